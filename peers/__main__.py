"""`python3 -m peers`: be one peer. See `peers.options` for the command line and `peers.node` for what it does."""

import sys

from peers.node import main

sys.exit(main(sys.argv[1:]))
