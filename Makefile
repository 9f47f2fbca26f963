# Development targets; README.md leads with `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: build demo test clean

build: ## the extension beside the sources, for working on them
	$(PYTHON) setup.py -q build_ext --inplace
