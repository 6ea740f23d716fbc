# The main jobs, each from nothing: only Python 3.11 or newer and the package registries are needed. Some tests drive
# Chromium and, by npm, a JavaScript client: both are installed where that can be done without asking (.ci/tools), and
# these tests are skipped where they are missing.

PORT ?= 8080
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
TESTS ?=
# One more than the cores of a small machine: most of the tests wait for something.
WORKERS ?= 3

.PHONY: help demo test lint format lock
.DEFAULT_GOAL := help

help: ## list the jobs
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/.run ## a shop's agent on an emulated WhatsApp; prints the address of the phone page (PORT=8080)
	$(BIN)/greenline demo --port $(PORT)

# Files are begun in their order, the slow ones of tests/acceptance first: by the number of their tests, as xdist has
# it, the minutes in which servers are killed would come last, with the other workers idle. What was compiled is kept,
# also where the environment says otherwise: every command that a test starts would compile the sources anew.
test: $(VENV)/.test ## pass all tests (TESTS=tests/unit for some, WORKERS=0 for one process)
	@.ci/tools
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

lint: $(VENV)/.test ## rules, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.test ## put the sources into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

LOCK := uv pip compile pyproject.toml --generate-hashes --no-header --no-emit-index-url --universal -p 3.11

lock: ## write the lock files anew from pyproject.toml (needs uv)
	$(LOCK) -o requirements.lock
	$(LOCK) --group test -o requirements-test.lock

# The environment. A stamp says which lock file it was made from, so that a second run has nothing to do.

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Greenline needs Python 3.11 or newer. Install it, or name it: make PYTHON=..."; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@if command -v uv >/dev/null; then \
		uv venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV); \
	else \
		$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "Install the module venv (Debian: apt-get install python3-venv)."; exit 1; }; \
	fi

define install
	@if command -v uv >/dev/null; then \
		uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1) && \
		uv pip install --quiet --python $(BIN)/python --no-deps -e .; \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .; \
	fi
endef

$(VENV)/.run: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing what Greenline needs"
	$(call install,requirements.lock)
	@touch $@

$(VENV)/.test: requirements-test.lock pyproject.toml | $(BIN)/python tests/js/node_modules/.installed
	@echo "Installing what Greenline and its tests need"
	$(call install,requirements-test.lock)
	@touch $@ $(VENV)/.run

tests/js/node_modules/.installed: tests/js/package.json
	@command -v npm >/dev/null || .ci/tools
	@if command -v npm >/dev/null; then \
		echo "Installing the JavaScript client and the widget that the tests drive" && \
		npm install --prefix tests/js --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error && \
		touch $@; \
	fi
