# Everything starts here. Needs Python 3.11 to 3.13, make and git; sets up the rest in .venv by itself.
#
# One environment in two stages: the core stamp is what `make demo` needs, the test stamp adds TensorFlow and
# the tools. A stage is installed again only when pyproject.toml or the pinned versions change.

VENV := .venv
BIN := $(VENV)/bin
PINS := constraints/pins.txt
CORE := $(VENV)/.core-stamp
TOOLS := $(VENV)/.test-stamp
INSTALL := $(BIN)/python -m pip install -c $(PINS)

# Interpreters to try, in this order; `make PYTHON=/path/to/python3.12 ...` names one.
PYTHON ?= python3 python3.13 python3.12 python3.11
# Test processes; `make test WORKERS=0` runs in one.
WORKERS ?= 2
# What `make quick` runs: graph, ops, compiler, ways in and stepper, not kernels, Keras or parity.
ENGINE_TESTS := $(addprefix tests/,compile data ops run session stepper tracing)

export PIP_NO_INPUT = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export TF_CPP_MIN_LOG_LEVEL ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test quick lint parity bench peers clean

help:
	@echo "make demo    set up the core and run the demonstration (no TensorFlow needed)"
	@echo "make test    set up everything and run the whole test suite"
	@echo "make setup   set up .venv for both and run nothing"
	@echo "make quick   the engine's own tests, for the inner loop: under two minutes"
	@echo "make lint    ruff, import contracts, mypy"
	@echo "make parity  our numbers beside TensorFlow's"
	@echo "make bench   our times beside those of every peer installed"
	@echo "make peers   install PyTorch and JAX for make bench"
	@echo "make clean   remove .venv and what the tools leave behind"

setup: $(TOOLS)

demo: $(CORE)
	$(BIN)/minigraph warmup
	$(BIN)/minigraph demo

test: $(TOOLS)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

quick: $(TOOLS)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow and not fuzz and not checked" $(ENGINE_TESTS)

lint: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

parity: $(TOOLS)
	$(BIN)/minigraph parity

bench: $(TOOLS)
	$(BIN)/minigraph bench

peers: $(TOOLS)
	$(INSTALL) --no-build-isolation -e '.[peers]'

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks

# setuptools comes first and pinned, so that no build environment with a version of its own is downloaded.
$(CORE): pyproject.toml $(PINS)
	@$(BIN)/python -c '' 2>/dev/null || $(create-venv)
	$(INSTALL) setuptools
	$(INSTALL) --no-build-isolation -e '.[learn]'
	@touch $@

$(TOOLS): $(CORE)
	$(INSTALL) --no-build-isolation -e '.[learn,plot,tensorflow,dev]'
	@touch $@

define create-venv
{ \
	for python in $(PYTHON); do \
		$$python -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
			2>/dev/null && exec $$python -m venv --clear $(VENV); \
	done; \
	echo "minigraph needs Python 3.11, 3.12 or 3.13 with the venv module; none of these has it:" >&2; \
	for python in $(PYTHON); do \
		echo "  $$python: $$($$python --version 2>&1 | head -n 1)" >&2; \
	done; \
	echo "Install one (on Debian and Ubuntu also python3-venv), or name one: make PYTHON=/path/to/python3.12" >&2; \
	exit 1; \
}
endef
