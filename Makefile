# Verbs for people; each works from a clean clone with only python3 (3.11 or newer) and make present.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROFILE := $(or $(TIMEGPT_ASSETS_PROFILE),demo)
RUN := VIRTUAL_ENV="$(CURDIR)/$(VENV)" PATH="$(CURDIR)/$(BIN):$$PATH"
# A process that may keep no bytecode compiles all of Dagster when it starts, six seconds; many tests start some.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup setup-neural fmt lint check test test-cov soak demo sweep forecast-grid-plan forecast-grid search ui bench docs lock
.PHONY: check-data build-features forecast calibrate backtest evaluate report
help:  ## list the verbs
	@grep -hE '^[a-z][a-z -]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

# Every file that is installed is named by its hash, the installer's own included; the project is built by what is locked.
$(VENV)/.ready: requirements.lock installer.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r installer.lock
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
	@[ ! -e $(VENV)/.neural ] || $(MAKE) --no-print-directory setup-neural

setup: $(VENV)/.ready  ## make .venv from the lock

# Syncing with the lock takes out what the lock does not name: the mark says to bring the extra back.
setup-neural: setup  ## torch for the seat tsmixer and fracast for tsfm, their size said first; GIGABYTES=yes for builds of gigabytes
	@$(BIN)/python -m timegpt_assets_tests.setup_neural GIGABYTES=$(GIGABYTES)
	@touch $(VENV)/.neural

fmt: setup  ## the code as ruff would write it
	$(BIN)/ruff format .

lint: setup  ## what ruff finds wrong in the code
	$(BIN)/ruff check .

check: setup  ## format, lint, types, import contracts, definitions, known vulnerabilities (AUDIT=required: or fail)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(RUN) dg check defs
	AUDIT="$(AUDIT)" $(BIN)/python -m timegpt_assets_tests.audit

test: setup  ## everything but the soak counts; under 15 minutes on 2 cores
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

test-cov: setup  ## the same, and which lines of the package no test runs
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --cov timegpt_assets --cov-report term-missing:skip-covered

soak: setup  ## the whole repetition counts (crash and race tests)
	$(BIN)/python -m pytest -m soak -n 2 --soak

demo: setup  ## the synthetic market through every stage but promotion, with a report
	$(BIN)/timegpt-assets demo

ASKED = $(if $(START),--start $(START)) $(if $(END),--end $(END)) $(if $(RUN_ID),--run-id $(RUN_ID))
check-data build-features forecast calibrate backtest evaluate report: setup  ## one stage; START=, END= and RUN_ID= say what of
	$(BIN)/timegpt-assets $@ --profile $(PROFILE) $(strip $(ASKED))

sweep: setup  ## every combination of the trading grid on stored forecasts; GRID=name for another grid
	$(BIN)/timegpt-assets sweep --profile $(PROFILE) $(if $(GRID),--grid $(GRID))

search: setup  ## search for trading rules on stored forecasts, in three stages; MONTH=YYYY-MM for another month
	$(BIN)/timegpt-assets search --profile $(PROFILE) $(if $(MONTH),--month $(MONTH))

FORECAST_GRID ?= configs/forecast_grid.yaml
REUSE := $(if $(BASELINE_RUN),--reuse-baseline --baseline-run $(BASELINE_RUN))
forecast-grid-plan: setup  ## what every combination of forecast settings would cost; FORECAST_GRID=file for another grid
	$(BIN)/timegpt-assets sweep --profile $(PROFILE) --forecast-grid $(FORECAST_GRID) --plan-only

forecast-grid: setup  ## ask for them within the budget and rank them; BASELINE_RUN=place to take over bars and features
	$(BIN)/timegpt-assets sweep --profile $(PROFILE) --forecast-grid $(FORECAST_GRID) --execute $(REUSE)

ui: setup  ## the Dagster UI on the instance the command line uses
	$(BIN)/timegpt-assets ui

bench: setup  ## every benchmark, one JSON line a figure
	$(BIN)/python -m timegpt_assets_tests.benchmarks

# Every extra but neural and tsfm, whose torch would come as gigabytes of another build.
LOCKED := $(foreach extra,postgres scale models sweep notebooks statistical serve news docs dev,--extra $(extra))
lock: setup  ## what pyproject.toml asks for, resolved into requirements.lock with hashes
	$(BIN)/uv pip compile --quiet pyproject.toml $(LOCKED) --generate-hashes --no-header \
	  --python-version 3.11 --output-file requirements.lock

docs: setup  ## the generated reference pages, and of all pages the site in site/, with search
	$(BIN)/python -m timegpt_assets_tests.reference_docs
	$(BIN)/python -m sphinx --quiet --fresh-env --fail-on-warning --keep-going --conf-dir docs . site
	@echo "open site/index.html"
