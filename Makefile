# Two commands need nothing but Python with venv and pip, make, and a C compiler: `make demo`, `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
LINKS = build/import/tensorkiln

.PHONY: demo test lint types links bench clean

demo: $(VENV)/.demo
	$(BIN)/python examples/demo.py

test: $(VENV)/.test
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Type checkers do not see where the editable install maps the folders: links show them.
links:
	mkdir -p $(LINKS)
	for name in compiler runtime frontends benchmarks; do ln -sfn ../../../$$name $(LINKS)/$$name; done
	for file in frontends/api/*; do case $$file in *__pycache__*) ;; *) ln -sfn ../../../$$file $(LINKS)/$$(basename $$file);; esac; done

types: $(VENV)/.lint links
	cd build/import && $(abspath $(BIN))/mypy --config-file ../../pyproject.toml -p tensorkiln

bench: $(VENV)/.demo
	$(BIN)/tensorkiln bench

$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/pyvenv.cfg pyproject.toml
	$(BIN)/python -m pip install -q -e '.[demo]'
	touch $@

$(VENV)/.test: $(VENV)/pyvenv.cfg pyproject.toml
	$(BIN)/python -m pip install -q -e '.[test]'
	touch $@

$(VENV)/.lint: $(VENV)/pyvenv.cfg pyproject.toml
	$(BIN)/python -m pip install -q -e '.[test,lint]'
	touch $@

clean:
	rm -rf $(VENV) build
