# Each target sets up .venv from requirements.txt first; nothing else is needed but Python 3.11 or 3.12 and make.
PYTHON ?= $(shell for p in python3.11 python3.12 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$p && break; done)
READY := .venv/.ready
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: repro test lint format bench requirements setup

repro: $(READY) ## the paper: every table and figure, a model a core (docs/grid.md); `dvc repro` is the same, one after the other
	python -m stages.grid

test: $(READY) lint
	python -m pytest

lint: $(READY)
	ruff format --check .
	ruff check .

format: $(READY)
	ruff format .
	ruff check --fix .

bench: $(READY)
	python -m benchmarks.bench

setup: $(READY)

$(READY): requirements.txt
	@test -n "$(PYTHON)" || { echo "error: expected Python 3.11 or 3.12 on the PATH, found neither; set PYTHON=" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	.venv/bin/pip install --disable-pip-version-check --quiet --progress-bar off -r requirements.txt
	touch $@

requirements: requirements.in ## requirements.txt from requirements.in; needs uv (pip install uv)
	uv pip compile --universal --python-version 3.11 --no-emit-index-url --no-header --quiet requirements.in -o requirements.txt
