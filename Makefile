# `make help` lists what can be asked for. On a fresh Debian or Ubuntu machine `make run` is the first command.
VENV ?= .venv
PYTHON ?= /usr/bin/python3
SPEC ?= experiments/partition.yaml
PYTEST_ARGS ?=
export VENV PYTHON

BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run setup setup-test test lint format bench virtual vagrant-test lock clean distclean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## set up, then run one experiment and say where its report is (SPEC=experiments/partition.yaml)
	$(BIN)/harness run $(SPEC)

setup: ## install what running needs (may be repeated: nothing is done twice)
	@tools/setup.sh run

setup-test:
	@tools/setup.sh test

test: lint ## set up, check style and types, run all tests (PYTEST_ARGS='-k dht -x')
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: setup-test ## check style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m mypy

format: setup-test ## bring the code into the project's style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup-test ## measure speed and accuracy (nothing else should run meanwhile)
	@set -e; for benchmark in benchmarks/[a-z]*.py; do echo "== $$benchmark"; $(BIN)/python $$benchmark; done

virtual: ## build the virtual-time kernel (about 4 minutes, once) and run SPEC in virtual time
	@tools/setup.sh virtual
	$(BIN)/harness kernel build
	$(BIN)/harness run --clock virtual $(SPEC)

vagrant-test: setup ## bring the Vagrantfile up for real, under software emulation, and run an experiment in it (root, 8 minutes)
	tests/vagrant/run.sh

lock: setup-test ## renew the pinned versions: the newest that install by wheel on Python 3.10 to 3.12
	tools/lock.sh

clean: ## remove caches and built files (results and the virtual environment stay)
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find harness peers topologies tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove the virtual environment as well
	rm -rf $(VENV)
