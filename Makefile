# Everything a person needs is two commands: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup setup-dev demo test check lock schemas docker-test wheel clean

setup: $(VENV)/.runtime          ## leaves .venv/bin/payonce
setup-dev: $(VENV)/.dev

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "payonce needs Python 3.11 or newer, this is %s; name one with PYTHON=..." % sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8'

NATIVE := $(wildcard native/src/*.rs) native/Cargo.toml native/Cargo.lock hatch_build.py

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml $(NATIVE) | $(BIN)/uv
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements/runtime.txt
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --reinstall-package payonce -e .
	@cat native/not-built.txt 2>/dev/null || true
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

demo: setup                      ## the same seeded customers and faults under at-least-once and exactly-once
	$(BIN)/payonce demo

test: setup-dev                  ## everything, on a real Kafka and a real PostgreSQL
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: setup-dev                 ## what takes seconds: format, lint, types, imports, unit tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/unit tests/tidy

schemas: setup                   ## write docs/events and docs/*.schema.json from the models
	$(BIN)/python -m events.schemas docs/events
	$(BIN)/python -m simulator.schemas docs

wheel: setup                     ## dist/*.whl, with the native part for this platform
	$(BIN)/uv build --quiet --wheel

lock: setup                      ## pin anew what pyproject.toml allows
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes pyproject.toml --group dev -c requirements/runtime.txt -o requirements/dev.txt

docker-test: setup-dev           ## needs a Docker engine
	$(BIN)/python -m pytest -m docker tests/docker

clean:
	rm -rf $(VENV) .payonce
