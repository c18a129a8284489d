# Two commands do all: `make scan REPO=/path/to/repo` and `make test`.
# Everything is installed into .venv from the lock files in requirements/, checked by hash.

PYTHON ?= python3
REPO   ?= .
ARGS   ?=
BIN    := .venv/bin

.PHONY: scan test serve demo lint bench help clean

help: ## show what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

scan: .venv/.run-ready ## record what was achieved in REPO (default: this repository)
	@$(BIN)/achievement-collector scan $(ARGS) "$(REPO)"

test: .venv/.dev-ready ## run the whole test suite
	@$(BIN)/python -m compileall -q src || true # the tests start hundreds of processes; some machines keep no bytecode
	$(BIN)/python -m pytest -n auto $(ARGS)

serve: .venv/.run-ready ## take in webhooks, serve the API at http://127.0.0.1:8000
	@$(BIN)/achievement-collector serve $(ARGS)

demo: .venv/.run-ready ## watch an epic grow from webhooks and CI, offline
	@$(BIN)/python -m demo

lint: .venv/.dev-ready ## style, types and the layering of the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.dev-ready ## measure speed and memory on a synthetic history
	$(BIN)/python -m benchmarks.all $(ARGS)

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 scan" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.run-ready: .venv/.python requirements/run.lock pyproject.toml
	@test -e .venv/.dev-ready || { echo "installing what is needed into .venv (once) ..."; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.lock; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q src || true
	@touch $@

.venv/.dev-ready: .venv/.python requirements/dev.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q src || true
	@touch .venv/.run-ready $@

clean: ## remove the environment
	rm -rf .venv
