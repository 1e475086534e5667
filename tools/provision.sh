#!/usr/bin/env bash
# Run as root by Vagrant in the new machine: the steps of `make setup`, then `harness` for everybody.
set -euo pipefail
environment=/opt/p2p-harness # outside /vagrant, which is a copy of the project and may be copied again

VENV=$environment /vagrant/tools/setup.sh run
ln -sfn "$environment/bin/harness" /usr/local/bin/harness
# `vagrant ssh -c "harness run experiments/..."` starts in the home directory; the paths are the project's.
cat >/etc/profile.d/p2p-harness.sh <<'X'
if [ "$PWD" = /home/vagrant ]; then cd /vagrant; fi
X
