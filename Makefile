# Verbs for people; each works from a clean clone with only python3 (3.11 or newer) and make present.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROFILE := $(or $(TIMEGPT_ASSETS_PROFILE),demo)
RUN := VIRTUAL_ENV="$(CURDIR)/$(VENV)" PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: help setup check test soak demo ui bench docs
help:  ## list the verbs
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

setup: $(VENV)/.ready  ## make .venv from the lock

check: setup  ## format, lint, types, import contracts, definitions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(RUN) dg check defs

test: setup  ## everything but the soak counts; under 15 minutes on 2 cores
	$(BIN)/python -m pytest -n 3 --dist loadfile

soak: setup  ## the whole repetition counts (crash and race tests)
	$(BIN)/python -m pytest -m soak -n 2 --soak

demo: setup  ## the synthetic market through every stage, with a report
	$(BIN)/timegpt-assets demo

ui: setup  ## the Dagster UI on the instance the command line uses
	$(BIN)/timegpt-assets ui

bench: setup  ## every benchmark, one JSON line a figure
	$(BIN)/python -m timegpt_assets_tests.benchmarks

docs: setup  ## the generated reference pages
	$(BIN)/python -m timegpt_assets_tests.reference_docs
