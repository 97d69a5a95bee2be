# `make demo` and `make test` need nothing but Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# -qq: pip's errors alone; its many warnings of registries and folders do not matter here.
INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable $(1)

# One line before and one after, between which a mistake is the only thing to be read.
define install
@echo "installing torch and the rest into $(VENV): a few minutes and about 6 GB the first time"
@start=$$(date +%s) && $(INSTALL) && echo "installed in $$(($$(date +%s) - start)) s"
@touch $@
endef

.PHONY: demo test

demo: $(VENV)/.installed
	$(BIN)/python -m experiments.oneshot --dataset cars --prune 0.4

test: $(VENV)/.test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile

# The stamps hang on the files that say what to install: change one, and the next make brings the environment up to date.
$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.cfg pyproject.toml constraints.txt | $(BIN)/python
	$(call install,.)

$(VENV)/.test-installed: setup.cfg pyproject.toml constraints.txt | $(BIN)/python
	$(call install,'.[test]')
