# Everything a contributor does. `make` alone lists the targets.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2

.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/ready: pyproject.toml requirements/dev.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "infragen needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

.venv-checkov/ready: requirements/checkov.lock
	$(PYTHON) -m venv .venv-checkov
	.venv-checkov/bin/python -m pip install --quiet --require-hashes -r requirements/checkov.lock
	touch $@

setup: .venv/ready  ## environment of the project, from the lock file

example: .venv/ready  ## compile example 01 into build/01
	$(BIN)/infragen plan examples/01-serve-llama-8b/workload.yaml --out build/01

chromium:  ## the browser that the tests of the HTML report use; installed where root and apt are at hand
	@command -v chromium >/dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; }

test: .venv/ready .venv-checkov/ready chromium  ## every test: units, goldens, Terraform, checkov, the browser, the wheel
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup

check: .venv/ready .venv-checkov/ready  ## what must be green before a commit: lint, types, layers, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

golden: .venv/ready  ## write the golden files anew; review them with git diff
	INFRAGEN_GOLDEN=1 $(BIN)/pytest -p no:xdist tests/test_golden.py tests/test_errors.py tests/test_refused.py tests/test_cases.py tests/test_verify.py tests/test_report.py tests/test_docs.py

docs: golden  ## write docs/rules.md and the outputs in README.md anew

fmt: .venv/ready  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/ready  ## speed, as ratios in one run
	$(BIN)/python tools/bench.py

lock: .venv/ready  ## resolve the lock files anew
	$(PYTHON) -m pip install --quiet uv
	$(PYTHON) -m uv pip compile --quiet --upgrade pyproject.toml --group dev --generate-hashes --universal \
	  --python-version 3.11 --no-header --no-annotate -o requirements/dev.lock
	$(PYTHON) -m uv pip compile --quiet --upgrade requirements/checkov.in --generate-hashes --universal \
	  --python-version 3.11 --no-header --no-annotate -o requirements/checkov.lock

clean:  ## remove what make made
	rm -rf .venv .venv-checkov build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: help setup example chromium test check golden docs fmt bench lock clean
