# Two commands matter: `make demo` runs the main job on real data, `make test` proves that it works.
# Both set everything up first, from nothing but make and Python 3.11, 3.12 or 3.13.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Installs the same files as pip, ten times as fast; where only pip has been told of an index, pip does it.
UV := VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip --quiet

# Real data already at hand: data sets are taken from there, and some tests read more of it.
ifeq ($(origin SOPAN_DATA),undefined)
ifneq ($(wildcard ../shared/data),)
export SOPAN_DATA := $(abspath ../shared/data)
endif
endif

.PHONY: help setup setup-dev setup-bench setup-peers demo test test-all gates check bench bench-smoke wheel-check lock clean

help:
	@echo "make demo   set up, fetch real reviews, compare the steps, write a report"
	@echo "make test   set up, run every test that is not slow: minutes"
	@echo "make test-all  set up, run every test"
	@echo "make check  set up, run every quality gate and every test"
	@echo "make bench  set up, measure the claims"
	@echo "make setup  make .venv with the sopan command in it: .venv/bin/sopan"
	@echo "make setup-peers  add the libraries that sopan is tested against, JAX and PyTorch among them"

setup: $(VENV)/.runtime
setup-dev: $(VENV)/.dev
setup-bench: $(VENV)/.bench

# PyTorch stands in no lock: on Linux its registry build brings gigabytes of CUDA. Where pip is pointed at a
# build without CUDA (PIP_FIND_LINKS, or PyTorch's own index), this very command takes that one.
TORCH := 2.13.0
# What transformers' Trainer asks for; it asks for PyTorch in turn.
ACCELERATE := 1.15.0
setup-peers: $(VENV)/.torch
$(VENV)/.torch: $(VENV)/.bench
	$(PIP) install torch==$(TORCH)
	$(PIP) install --no-deps accelerate==$(ACCELERATE)
	touch $@

$(VENV)/.runtime: locks/runtime.lock pyproject.toml
$(VENV)/.dev: locks/dev.lock pyproject.toml
$(VENV)/.bench: locks/bench.lock pyproject.toml

$(VENV)/.%:
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and \
	"sopan needs Python 3.11, 3.12 or 3.13, not " + sys.version.split()[0] + ": make PYTHON=python3.13")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	sed -n '/^uv==/,/[^\]$$/p' locks/dev.lock >$(VENV)/uv.txt
	$(PIP) install --no-deps --require-hashes -r $(VENV)/uv.txt
	$(UV) install --no-deps --require-hashes --compile-bytecode -r $(filter %.lock,$^) || \
	$(PIP) install --no-deps --require-hashes -r $(filter %.lock,$^)
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

# IMDB where it can be had, else the review snippets; `sopan data` says why not. The quickest three steps and a cascade
# of them, so that it takes minutes: `sopan compare imdb:talk` climbs them all.
demo: setup
	@if $(BIN)/sopan data imdb; then data=imdb:talk; \
	else data=snippets; echo "The IMDB reviews cannot be had here: using the review snippets instead."; fi; \
	set -x; $(BIN)/sopan compare $$data --steps bow,cbow,self_attention,cascade --out runs/demo --overwrite

# Two at a time: most of them wait for a process, a compiler or a file, and each may hold a gigabyte of TensorFlow.
test: setup-dev
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

# Also what takes long and finds little that the others miss: soaks, hundreds of kills, every step on every backend.
test-all: setup-dev
	$(BIN)/pytest -n 2 --dist worksteal

gates: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: gates test

bench: setup-bench
	$(BIN)/python bench/run.py

bench-smoke: setup-bench
	$(BIN)/python bench/run.py --smoke

# Build the wheel, install it without extras into a fresh environment, and use it there.
wheel-check: setup-dev
	$(BIN)/python recipes/check_wheel.py

# Hash-locked, for every platform and Python that we support, without an index address. Whole, hence --no-deps.
LOCK = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --quiet \
       --no-emit-index-url --custom-compile-command "make lock" --override locks/overrides.txt \
       --extra tensorflow --extra serve --extra report --extra excel --group build --group cpu
lock: setup-dev
	$(LOCK) --output-file locks/runtime.lock
	$(LOCK) --group dev --output-file locks/dev.lock
	$(LOCK) --group dev --group bench --output-file locks/bench.lock

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
