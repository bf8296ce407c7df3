# understudy: `make run` and `make test` do all the set-up. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEV := $(VENV)/.ready-dev
ARGS ?=

.DEFAULT_GOAL := check
.PHONY: check install run test bench train fix docs lock help clean

check: $(DEV) ## what CI runs: format, lint, types, layers, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory test

install: $(READY) ## make .venv and install understudy into it

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("understudy needs Python 3.11 or newer; this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV) || { echo "cannot make a virtual environment: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }

$(READY): $(VENV)/bin/python locks/run.txt pyproject.toml
	$(BIN)/pip install --quiet --require-hashes --requirement locks/run.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): $(READY) locks/dev.txt
	$(BIN)/pip install --quiet --require-hashes --requirement locks/dev.txt
	@touch $@

run: $(READY) ## start the gateway; make run ARGS="--port 8010" passes options to `understudy serve`
	@exec $(BIN)/understudy serve $(ARGS)

test: $(DEV) ## all tests, the one with the real Claude Code included
	$(BIN)/pytest -n auto $(ARGS)

bench: $(DEV) ## CPU and memory per request beside nginx, in one run
	$(BIN)/python -m bench $(ARGS)

train: $(DEV) ## make the table of tasks anew, and its report; DATA=FOLDER holds the prompts
	$(BIN)/python -m training $(DATA) $(ARGS)

fix: $(DEV) ## format, and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(DEV) ## draw again what the documents show of the code: trees, tables, the grammar
	$(BIN)/python scripts/draw.py

lock: $(DEV) ## pin every dependency with its hashes, from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --no-strip-extras --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--output-file locks/run.txt pyproject.toml locks/build.in
	$(BIN)/uv pip compile --quiet --universal --no-strip-extras --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--constraint locks/run.txt --output-file locks/dev.txt --group dev pyproject.toml

clean: ## remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

help: ## this list
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
