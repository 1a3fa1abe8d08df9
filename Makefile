# make demo: the demonstration; make test: the tests; make check: tests, lint and types.
# Each makes the Python environment it needs.

PYTHON ?= python3
JOBS ?= 2
PIP := -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint format types check bench clean

demo: .venv/ready
	.venv/bin/python examples/demo.py

test: .venv-test/ready
	.venv-test/bin/python -m pytest -n $(JOBS)

lint: .venv-test/ready
	.venv-test/bin/ruff check .
	.venv-test/bin/ruff format --check .

format: .venv-test/ready
	.venv-test/bin/ruff check --fix .
	.venv-test/bin/ruff format .

# The import name's folders, as type checkers need them: they do not see editable installs.
types: .venv-test/ready
	rm -rf build/import && mkdir -p build/import/tensorkiln
	ln -s ../../../frontends/api/*.py ../../../compiler ../../../runtime ../../../frontends \
		../../../benchmarks build/import/tensorkiln/
	.venv-test/bin/python -m mypy --strict build/import/tensorkiln

check: test lint types

bench: .venv/ready
	.venv/bin/tensorkiln bench --threads 1,$(JOBS)

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) --editable ".[demo]"
	touch $@

.venv-test/ready: pyproject.toml
	$(PYTHON) -m venv .venv-test
	.venv-test/bin/python $(PIP) --editable ".[test,lint]"
	touch $@

clean:
	rm -rf .venv .venv-test build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
