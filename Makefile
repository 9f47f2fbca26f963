# `make demo` and `make test` set up all that they need in a virtual environment of the project's own.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

TOUR = descent directions backprop batches momentum optimizers matrix_calculus regression features autoencoder gan \
    contrastive chargpt policy compiled
PICTURES ?= examples/out

.PHONY: demo tour test build lint format bench coverage asan tsan clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip

demo: $(BIN)/python ## train on real digits, with a picture
	$(BIN)/python -m pip install -q ".[examples]"
	$(BIN)/python examples/digits.py

tour: $(BIN)/python ## every example of docs/tour.md; PICTURES=docs/tour makes the page's pictures anew
	$(BIN)/python -m pip install -q ".[examples]"
	for name in $(TOUR); do echo "== $$name"; $(BIN)/python examples/$$name.py --out $(PICTURES) || exit 1; done

test: $(BIN)/python ## install, then run the tests
	$(BIN)/python -m pip install -q -e ".[test]"
	$(BIN)/python -m pytest -q -n auto

bench: $(BIN)/python ## ratios against PyTorch and JAX, where they are installed
	$(BIN)/python -m pip install -q ".[bench]"
	$(BIN)/python -m benchmarks

build: ## the extension beside the sources, for working on them
	$(PYTHON) setup.py -q build_ext --inplace

coverage: ## docs/coverage.md, from what the library has
	$(PYTHON) -m autodiffc --coverage docs/coverage.md

asan: $(BIN)/python ## the tests under AddressSanitizer and UBSan
	$(BIN)/python -m pip install -q ".[test]" "setuptools>=70.1"
	sh tests/sanitize.sh asan $(BIN)/python -n auto

tsan: $(BIN)/python ## the tests of threads under ThreadSanitizer
	$(BIN)/python -m pip install -q ".[test]" "setuptools>=70.1"
	sh tests/sanitize.sh tsan $(BIN)/python

lint: ## what CI checks of the form
	ruff check .
	clang-format --dry-run --Werror $$(git ls-files 'csrc/*.c' 'csrc/*.h' 'tests/c/*.c')

format:
	ruff check --fix .
	clang-format -i $$(git ls-files 'csrc/*.c' 'csrc/*.h' 'tests/c/*.c')

clean:
	rm -rf build dist *.egg-info autodiffc/*.so autodiffc/_native.c $(VENV)
