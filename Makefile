# Everything is installed into .venv from requirements.lock; nothing else on the machine is changed.
PYTHON ?= python3
BIN := .venv/bin
# Of tests, on two cores: two leave a quarter of both idle, waiting for files and servers.
WORKERS := 3
.DEFAULT_GOAL := help
.PHONY: help install up demo test test-all test-live test-kill check lint types contracts lock bench bench-data clean

help:            ## what there is to make
	@sed -n 's/^\([a-z-]*\): *.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

install: .venv/.installed  ## the virtual environment, from the lock

.venv/.installed: requirements.lock pyproject.toml
	@sh scripts/check_prerequisites.sh $(PYTHON)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing from requirements.lock into .venv (about a minute the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

up: install      ## the Prefect server, a worker and the dispatcher, until Ctrl-C
	@exec $(BIN)/branchline up

demo: install    ## run the whole workflow on a real repository and a real database
	@$(BIN)/python examples/demo.py

test: install    ## the tests
	@$(BIN)/python -m pytest -n $(WORKERS) -q -m "not live"

test-all: install ## the tests; what cannot run here fails instead of being skipped
	@BRANCHLINE_TEST_REQUIRE_SERVERS=1 BRANCHLINE_TEST_REQUIRE_ALL=1 $(BIN)/python -m pytest -n $(WORKERS) -q -m "not live"

test-live: install ## servers, workers, a browser, kills, as people use them: what CI has no time for
	@BRANCHLINE_TEST_REQUIRE_ALL=1 $(BIN)/python -m pytest -q -m live

test-kill: install ## killed before every transaction and between any two, in each operation (a quarter of an hour)
	@BRANCHLINE_TEST_REQUIRE_ALL=1 BRANCHLINE_TEST_KILL_EVERYWHERE=1 $(BIN)/python -m pytest -n $(WORKERS) -q -o timeout=1200 tests/kill

check: lint types contracts test ## all that CI checks

lint: install    ## style
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: install   ## mypy, strict on src/
	@$(BIN)/mypy

contracts: install ## the directions of imports
	@PYTHONPATH=. $(BIN)/lint-imports

bench: install   ## ratios against named references, measured in one run
	@$(BIN)/python -m benchmarks

bench-data: install ## sanitized copies against plain dumps and other tools; writes docs/benchmarks.md (20 minutes)
	@$(BIN)/python -m benchmarks.data --output docs/benchmarks.md

lock:            ## pin again, for every platform, with hashes (needs uv)
	uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --upgrade -o requirements.lock

clean:           ## remove what make and the demo made
	@test ! -d .demo || chmod -R u+w .demo
	rm -rf .venv .demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
