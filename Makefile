# Two commands need nothing but Python with venv and pip, make, and a C compiler: `make demo`, `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
LINKS = build/import/tensorkiln

.PHONY: demo test lint format types links check bench clean

demo: $(VENV)/.demo
	$(BIN)/python examples/demo.py

test: $(VENV)/.test
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Type checkers do not see where the editable install maps the folders: links show them.
links:
	mkdir -p $(LINKS)
	for name in compiler runtime frontends benchmarks; do ln -sfn ../../../$$name $(LINKS)/$$name; done
	for file in frontends/api/*; do case $$file in *__pycache__*) ;; *) ln -sfn ../../../$$file $(LINKS)/$$(basename $$file);; esac; done

types: $(VENV)/.lint links
	cd build/import && $(abspath $(BIN))/mypy --config-file ../../pyproject.toml -p tensorkiln

check: lint types test

bench: $(VENV)/.demo
	$(BIN)/tensorkiln bench --threads 1,2

$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/pyvenv.cfg pyproject.toml
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[demo]'
	touch $@

$(VENV)/.test: $(VENV)/pyvenv.cfg pyproject.toml
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[test]'
	touch $@

$(VENV)/.lint: $(VENV)/pyvenv.cfg pyproject.toml
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[test,lint]'
	touch $@

clean:
	rm -rf $(VENV) build
