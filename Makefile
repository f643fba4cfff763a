# Everything starts from here. `make demo` and `make test` need make and Python 3.11 or newer with venv, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ARGS ?=

.PHONY: help demo test install check bench fuzz upstream schema lock clean

help:
	@echo "make demo     everything on this machine, ready to try        (ARGS=\"--port 8123\")"
	@echo "make test     the whole test suite                            (ARGS=\"-k votes\")"
	@echo "make check    format, lint, types, layers, SQL, then the tests"
	@echo "make bench    side by side with other servers                 (ARGS=\"--only W1\")"
	@echo "make fuzz     asks whatever the schema allows, for 300 s      (ARGS=\"--seconds 60\")"
	@echo "make upstream graphql-core's own execution tests, by plan      (needs a package registry)"
	@echo "make schema   writes schema.graphql"
	@echo "make lock     writes the locked requirements anew"

demo: $(INSTALLED)
	@exec $(BIN)/python -m backend demo $(ARGS)

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

install: $(INSTALLED)

# One venv for demo and tests. Hashes are checked; the project itself is linked into it, for the command `heitto`.
$(INSTALLED): requirements/dev.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed, as $(PYTHON) (or: make PYTHON=python3.12 ...)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V) (or: make PYTHON=python3.12 ...)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv is missing: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/squawk sql/migrations/*.sql
	$(MAKE) test

bench: $(INSTALLED)
	$(BIN)/python -m bench $(ARGS)

fuzz: $(INSTALLED)
	$(BIN)/python -m tests.access.fuzz $(ARGS)

upstream: $(INSTALLED)
	$(BIN)/python -m tests.planned.upstream $(ARGS)

schema: $(INSTALLED)
	$(BIN)/python -m backend schema > schema.graphql.new && mv schema.graphql.new schema.graphql

# --universal: one file for every platform. No address of an index gets into it.
lock: $(INSTALLED)
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate --no-header --python-version 3.11 pyproject.toml --extra embedded --group dev -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate --no-header --python-version 3.11 pyproject.toml -c requirements/dev.txt -o requirements/run.txt
	echo hatchling==1.33.0 | $(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate --no-header --python-version 3.11 -c requirements/dev.txt -o requirements/build.txt -

clean:
	rm -rf $(VENV)
