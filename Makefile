# Two commands are the whole set-up: `make quickstart` and `make test`.
#
# PYTHON       the interpreter that the environment is made from (3.11 or later)
# VENV         where the environment stands
# CONSTRAINTS  the versions to install: constraints.txt or constraints-lowest.txt
# PIP_ARGS     passed to every pip install, for example an index that has a CPU-only torch
# ARGS         passed to pytest, for example ARGS='-k journal', or to the fault tests, for
#              example ARGS=--stale
# ONLY         the rows that `make chaos` runs, for example ONLY=F1,F6; the default is all

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
PIP_ARGS ?=
ARGS ?=
STUDY = quickstart$(if $(wildcard studies/quickstart),-$(shell date +%Y%m%d-%H%M%S))

BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check
# Plain pip with torch's exact version: a range, or another installer, takes another build of
# torch than the tested one, and with it gigabytes of CUDA libraries.
INSTALL = $(PIP) install --quiet $(PIP_ARGS) --constraint $(CONSTRAINTS)

.DEFAULT_GOAL = help
.PHONY: help install quickstart test test-browser chaos lint format benchmark clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed  ## make the environment and install the program into it

quickstart: $(VENV)/.installed  ## install, then run the sweep that needs nothing from outside
	$(BIN)/sweep run spaces/quickstart.yaml --name $(STUDY)

test: $(VENV)/.installed-dev  ## install what tests need and run them
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

test-browser: $(VENV)/.installed-dev node_modules/axe-core/axe.min.js  ## the report in a real Chromium (CHROMIUM=... names one)
	$(BIN)/python -m pytest tests/report/test_browser.py $(ARGS)

chaos: $(VENV)/.installed-dev  ## run the fault tests of docs/reliability.md, for hours; ONLY=F1,F6 runs some
	ONLY=$(ONLY) $(BIN)/python -m benchmarks.chaos $(ARGS)

lint: $(VENV)/.installed-dev  ## ruff, mypy, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/test_house.py

format: $(VENV)/.installed-dev  ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: $(VENV)/.installed-benchmark  ## what trials, engine and exploits cost, what searches find; hours of a quiet machine
	@failed=0; for what in "trials --size tiny" "trials --size ten_seconds" exploit control_plane \
	    perturbation search_quality report changes; do \
	  echo "python -m benchmarks.$$what"; \
	  PIP_ARGS='$(PIP_ARGS)' $(BIN)/python -m benchmarks.$$what || failed=1; \
	done; exit $$failed

# For the browser tests alone; part of no release.
node_modules/axe-core/axe.min.js:
	npm install --no-save --no-package-lock --no-audit --no-fund --silent axe-core@4.14

clean:  ## remove the environment and caches, never studies
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis node_modules *.egg-info

# A stamp is newer than what it was made from, so a second run installs nothing.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; got $$($(PYTHON) --version). Try make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml $(CONSTRAINTS)
	$(INSTALL) "$$(grep '^torch==' $(CONSTRAINTS))"
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(INSTALL) --editable '.[dev]'
	@touch $@

$(VENV)/.installed-benchmark: $(VENV)/.installed
	$(INSTALL) --editable '.[benchmark]'
	@touch $@
