# Everything a newcomer needs: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo up down status test check types style imports units faults audit env pin-images compose-test setup lock data dashboards schemas clean

export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/prometheus/usr/bin:$(PATH)
export PYTHONPATH := $(CURDIR):$(CURDIR)/plugins
# Keep bytecode even where the environment forbids it: otherwise every one of the hundreds of Python processes that a
# test run starts compiles Airflow, pandas and pytest's rewritten tests again.
export PYTHONDONTWRITEBYTECODE :=

PYTHON := $(CURDIR)/.venv/bin/python
UV := $(shell command -v uv || command -v $(HOME)/.local/bin/uv || echo $(CURDIR)/.tools/uv/bin/uv)
PYTEST := $(PYTHON) -m pytest
SAFE := not compose and not faults
# One process more than there are cores, as many tests wait for something; the tests of a file stay together.
SIDE_BY_SIDE := --numprocesses $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1) --dist loadfile
# Tests that mostly wait; only those of a group stay together.
GROUPED := --dist loadgroup
# Checks that run at once print one after another, where make can do that.
IN_BLOCKS := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
TIMES := .pytest_cache/times
# Does something, and notes how long it took.
timed = $(2) && mkdir -p $(dir $(TIMES)) && printf '  %-8s %2d min %02d s\n' $(1) $$((SECONDS / 60)) $$((SECONDS % 60)) | tee -a $(TIMES)
COMPILE := pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --quiet \
	--custom-compile-command "make lock"

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 22

demo: setup  ## show how a regression is found, on a real stack (about five minutes)
	@$(PYTHON) -m demo story

up: setup  ## start the demo stack (PRODUCTION=1 adds production twins of the services)
	@$(PYTHON) -m demo up $(if $(PRODUCTION),--production)

down:  ## stop the demo stack; its files are kept in .demo
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m demo down; else echo "The stack was never set up."; fi

status: setup  ## show whether the demo stack runs, and its addresses
	@$(PYTHON) -m demo status

test:  ## run all checks and tests, and show how long each part took
	@scripts/setup test
	@rm -f $(TIMES)
	@$(call timed,checks,$(MAKE) --no-print-directory check)
	@$(call timed,units,$(PYTEST) -m "$(SAFE) and not integration" $(SIDE_BY_SIDE))
	@$(call timed,loads,$(PYTEST) -m "$(SAFE) and integration and not stack and not alone" $(GROUPED) --numprocesses 4)
	@$(call timed,stack,$(PYTEST) -m "$(SAFE) and stack" $(GROUPED) --numprocesses 2 tests/integration)
	@$(call timed,alone,$(PYTEST) -m "$(SAFE) and alone")
	@echo "how long each part took:" && cat $(TIMES)

units:  ## run the fast tests only
	@scripts/setup dev
	@$(PYTEST) -m "$(SAFE) and not integration" $(SIDE_BY_SIDE)

check:  ## check style, types and import rules
	@scripts/setup dev
	@$(MAKE) --no-print-directory --jobs 2 $(IN_BLOCKS) types style imports

types:
	mypy

style:
	ruff check .
	ruff format --check .

imports:
	lint-imports

env:  ## make .env, the settings and secrets of the compose stack; an existing file is kept
	@scripts/make-env

pin-images:  ## pin the images of the compose stack by digest in .env (needs a registry)
	@scripts/pin-images

compose-test:  ## build, start, load, break and remove the production stack (needs a container engine)
	@scripts/container-engine
	@scripts/setup test
	@$(PYTHON) -m pytest -m compose tests/compose -o log_cli=true -o log_cli_level=INFO

faults:  ## break every part of a production stack, one after another (about 25 minutes)
	@scripts/setup faults
	@$(PYTHON) -m pytest -m faults

audit: setup  ## check both locks for known vulnerabilities (queries PyPI; not part of make test)
	@PATH="$(dir $(UV)):$$PATH" $(PYTHON) scripts/audit.py

setup:  ## install uv, the virtual environment and Prometheus
	@scripts/setup run

lock:  ## update both locks from requirements.in and requirements-dev.in
	@scripts/setup run
	$(UV) $(COMPILE) --upgrade requirements.in --output-file requirements.txt
	$(UV) $(COMPILE) --upgrade requirements-dev.in --output-file requirements-dev.txt

data: setup  ## regenerate the scenarios' market data, and its picture
	$(PYTHON) -m include.data.generate --picture docs/images/market-data.png

dashboards:  ## generate Grafana's dashboard and its provisioning files
	@scripts/setup dev
	@$(PYTHON) -m include.perf.monitoring.dashboards

schemas: setup  ## generate the JSON Schemas of the files that other tools read
	@$(PYTHON) -m include.perf baselines schema

clean: down  ## remove the files of the demo and all caches; keeps .venv
	rm -rf .demo .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
