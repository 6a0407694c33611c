# make demo: from nothing to a trained, tried submission. make test: everything but the slow tests.
PYTHON ?= python3
VENV ?= .venv
PY = $(VENV)/bin/python
EMBEDDED = Digits MushroomSketch

.PHONY: demo test test-all lint docs translations clean

demo: $(VENV)/ready
	$(PY) main.py -e 3 -b 32 --folds 3
	$(PY) -m recipe predict data/input/MushroomSketch/image --limit 1 --out data/output/one.csv
	@echo "checkpoints, scores and out-of-fold predictions: data/output/model"

test: $(VENV)/ready-dev
	$(PY) -m pytest -n auto --dist loadfile -m "not slow"

test-all: $(VENV)/ready-dev
	$(PY) -m pytest

lint: $(VENV)/ready-dev
	$(PY) -m ruff check .
	$(PY) -m mypy

# The catalogue of Chinese sentences, from what the code says.
translations: $(VENV)/ready-dev
	$(PY) -m tests.catalogue

docs: $(VENV)/ready
	$(PY) -m recipe docs

$(VENV)/ready: requirements.txt
	$(PYTHON) setup_check.py $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet torch==2.13.0
	$(PY) -m pip install --quiet -r requirements.txt
	touch $@

$(VENV)/ready-dev: requirements-dev.txt requirements-fast.txt requirements-host.txt requirements-postgresql.txt $(VENV)/ready
	$(PY) -m pip install --quiet -r requirements-dev.txt
	touch $@

# What can be made again, and nothing else: trained runs (data/output), pictures of other competitions and archives stay.
clean:
	rm -rf $(VENV) build $(EMBEDDED:%=data/input/%) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -not -path "./data/*" -prune -exec rm -rf {} +
