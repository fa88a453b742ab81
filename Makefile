# Two commands: `make run` opens the program, `make test` checks it. Each sets up what it needs.
.PHONY: run test lint types contracts tests setup demo benchmarks bundle bundle-test clean

PYTHON := .venv/bin/python
WITH_DISPLAY := packaging/with_display.sh

run: setup
	packaging/run.sh

test: setup lint types contracts tests

setup: .venv/installed

.venv/installed: pyproject.toml packaging/setup.sh
	packaging/setup.sh

lint: setup
	.venv/bin/ruff check app tests packaging
	.venv/bin/ruff format --check app tests packaging

types: setup
	.venv/bin/mypy

contracts: setup
	.venv/bin/lint-imports

# The window's tests have a process of their own: torch and a software OpenGL do not go together in one.
tests: setup
	$(PYTHON) -m pytest tests/unit tests/e2e
	$(WITH_DISPLAY) $(PYTHON) -m pytest tests/gui

demo: setup
	$(PYTHON) -m histoloop demo --rounds 3 --seed 0

benchmarks: setup
	$(WITH_DISPLAY) $(PYTHON) tests/benchmarks/run_all.py

# The frozen program in dist/histoloop, and build/bundle-report.md about it (docs/packaging.md).
bundle: setup
	$(WITH_DISPLAY) $(PYTHON) packaging/bundle.py

# The frozen program without source, Python and network, beside the source: minutes.
bundle-test: setup
	$(WITH_DISPLAY) $(PYTHON) -m pytest tests/bundle

clean:
	rm -rf .venv build dist tour .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
