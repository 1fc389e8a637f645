# A fresh machine needs Python >= 3.11, git and make. Everything lands in .venv; nothing is installed outside it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install demo test test-slow dist dist-check fuzz lint docs clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: install
	mkdir -p demo
	$(BIN)/dyntex synthesize example:flame -o demo/flame.mp4 --size 64 --budget 120 --overwrite

test: install
	$(BIN)/python -m pytest

test-slow: install
	$(BIN)/python -m pytest -m slow

# The sdist and the wheel.
dist: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dist]'
	rm -rf dist
	$(BIN)/python -m build --no-isolation

# Builds both, checks them, and uses the wheel alone in a fresh environment: DYNTEX_PYTHONS="python3.12 python3.13" for others
dist-check: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dist]'
	$(BIN)/python -m pytest -n 0 -m slow tests/test_wheel.py

# Mutated files, odd names, pairs of options, until the time is over: SECONDS=1800 SEED=0
fuzz: install
	$(BIN)/python tests/fuzz.py --seconds $(or $(SECONDS),180) --seed $(or $(SEED),0)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# docs/api.md, from the docstrings.
docs: install
	$(BIN)/python docs/make_api.py

clean:
	rm -rf $(VENV) demo dist build .pytest_cache .mypy_cache .ruff_cache
