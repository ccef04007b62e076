# `make` lists the targets. Each sets up .venv first; nothing else is needed but Python 3.11, 3.12 or 3.13 and make.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
READY := .venv/.ready
INSTALL := .venv/bin/pip install --disable-pip-version-check --quiet --progress-bar off
# CPU=1: PyTorch without CUDA, from this index. Every version is that of requirements.txt either way.
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help repro demo test lint format bench requirements setup

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## .venv with all packages; CPU=1, here and below, the first time: PyTorch without CUDA

repro: $(READY) ## the paper: every table and figure, a model a core (docs/grid.md); `dvc repro` is the same, one after the other
	python -m stages.grid

demo: $(READY) ## the repository's models on synthetic pictures of every set, and a latent space to play with: one page, a minute
	python -m stages.demo

test: $(READY) lint ## linter and tests
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder  # a file a worker: the slowest, test_graph, starts early

lint: $(READY) ## format and linter, nothing is changed
	ruff format --check .
	ruff check .

format: $(READY) ## what the linter can mend
	ruff format .
	ruff check --fix .

bench: $(READY) ## reports/benchmarks.md
	python -m benchmarks.bench

$(READY): requirements.txt
	@test -n "$(PYTHON)" || { echo "error: expected Python 3.11, 3.12 or 3.13 on the PATH, found none; set PYTHON=" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(if $(filter 1,$(CPU)),$(INSTALL) --no-deps --index-url $(TORCH_CPU_INDEX) $$(grep '^torch' requirements.txt))
	$(INSTALL) -r requirements.in -c requirements.txt
	touch $@

requirements: requirements.in ## requirements.txt from requirements.in; needs uv (pip install uv)
	uv pip compile --universal --python-version 3.11 --no-emit-index-url --no-header --quiet requirements.in -o requirements.txt
