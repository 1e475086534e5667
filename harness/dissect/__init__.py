"""From captured frames to tables, and scapy layers for our protocols: an independent check on the peers.

Nothing here is built on `peers.wire`: both are written against the specifications, each on its own.
"""
