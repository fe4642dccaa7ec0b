# kubesim: `make run` and `make test` are all a newcomer needs; `make help` lists the rest.
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2> /dev/null)
# uv then trusts the certificates that the machine trusts, as pip does; the second name is that of older versions.
export UV_SYSTEM_CERTS := true
export UV_NATIVE_TLS := true
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p > /dev/null && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2> /dev/null && echo $$p && break; done)
LOCK := .ci/requirements.lock

.PHONY: help run test lint bench fuzz mutants clean
.DEFAULT_GOAL := help

help:  ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 10

run: $(VENV)/core  ## install what is needed and run the vehicle stack's story
	@$(BIN)/python -m kubesim run specs/stack.yaml

test: $(VENV)/dev  ## run the tests
	@$(BIN)/python -m pytest -n auto tests

lint: $(VENV)/dev  ## style, types and layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

bench: $(VENV)/dev  ## measure the table of docs/performance.md (minutes, 4 GB)
	@$(BIN)/python -m benchmarks table

fuzz: $(VENV)/dev $(VENV)/fuzz/bin/st  ## fuzz the vehicle API by its OpenAPI document, 5,000 cases (minutes)
	@PYTHONPATH=. $(BIN)/python tests/vehicle_api/fuzz.py $(CURDIR)/$(VENV)/fuzz/bin/st 5000

# Apart from the rest: as a plugin of pytest's, it would more than double the time to start the tests.
$(VENV)/fuzz/bin/st: | $(BIN)/python
	@$(BIN)/python -m venv $(VENV)/fuzz
	@$(VENV)/fuzz/bin/python -m pip install --quiet --disable-pip-version-check 'schemathesis>=4.32'

mutants: $(VENV)/dev  ## hunt forty planted mistakes and real bugs of Kubernetes (some minutes)
	@PYTHONPATH=. $(BIN)/python tests/mutants/run.py
	@PYTHONPATH=. $(BIN)/python tests/mutants/bugs.py

clean:  ## remove the virtual environment and caches
	@rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(BIN)/python:
ifneq ($(UV),)
	@$(UV) venv --quiet --python "$(or $(PYTHON),>=3.11,<3.14)" $(VENV)
else
	@test -n "$(PYTHON)" || { echo "kubesim needs Python 3.11, 3.12 or 3.13; none was found on PATH" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 2; }
endif

ifneq ($(UV),)
INSTALL = $(UV) pip install --quiet --python $(BIN)/python --constraint $(LOCK)
else
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(LOCK)
endif

$(VENV)/core: pyproject.toml $(LOCK) | $(BIN)/python
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/dev: pyproject.toml $(LOCK) | $(BIN)/python
	@$(INSTALL) --editable '.[all,dev]'
	@touch $(VENV)/core $@
