# Two commands: `make run` opens the program, `make test` checks it. Each sets up what it needs.
.PHONY: run test lint types contracts tests setup demo languages docs reference docs-test benchmarks torture wheel wheel-test bundle bundle-test deb deb-lint deb-test tarball tarball-test clean

PYTHON := .venv/bin/python
WITH_DISPLAY := packaging/with_display.sh

# Tests run side by side, on this many cores at most; a worker takes about a gigabyte of memory. Windows would take
# the focus from each other on one screen: each worker has a virtual display of its own, and a real screen one worker.
WORKERS ?= 2
SCREENS := $(if $(DISPLAY)$(WAYLAND_DISPLAY)$(filter-out Linux,$(shell uname -s)),1,$(WORKERS))

run: setup
	packaging/run.sh

test: setup lint types contracts tests

setup: .venv/installed

.venv/installed: pyproject.toml packaging/setup.sh
	packaging/setup.sh

lint: setup
	.venv/bin/ruff check app packaging tests
	.venv/bin/ruff format --check app packaging tests

types: setup
	.venv/bin/mypy

contracts: setup
	.venv/bin/lint-imports

# The window's tests have processes of their own: torch and a software OpenGL do not go together in one.
tests: setup
	$(PYTHON) -m pytest tests/unit tests/e2e tests/docs -m "not walk" -n logical --maxprocesses $(WORKERS) --dist worksteal
	$(PYTHON) -m pytest tests/gui --tx '$(SCREENS)*popen//python=$(WITH_DISPLAY) $(PYTHON)' --dist loadfile

demo: setup
	$(PYTHON) -m histoloop demo --rounds 3 --seed 0

# Collects the texts of the program for resources/languages; fails while some are not translated.
languages: setup
	$(PYTHON) packaging/languages.py

# The guide as a site in build/site; warnings are errors.
docs: setup
	$(PYTHON) -m sphinx -b html -q -W --keep-going -d build/doctrees docs build/site

# The pages of the guide that the program dictates.
reference: setup
	$(PYTHON) docs/generate.py

# Minutes: the guide's commands in an empty home, the tutorial in the real window.
docs-test: setup
	$(PYTHON) -m pytest tests/docs/test_commands.py
	$(WITH_DISPLAY) $(PYTHON) -m pytest tests/docs/test_tutorial_walk.py

# An hour or more; goes on where it was. BENCHMARKS="growth stages" runs some parts; "--help" lists them.
benchmarks: setup
	$(WITH_DISPLAY) $(PYTHON) tests/benchmarks/run_all.py $(BENCHMARKS)

# Kills, failing disks, power cuts, damaged inputs, parallel writers: an hour at most, and the same command goes on.
# TORTURE="--write" puts the table into docs/reliability.md; "--help" lists the rest.
torture: setup
	PYTHONPATH=tests:tests/support $(PYTHON) -m torture $(TORTURE)

wheel: setup
	$(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir dist .

wheel-test: wheel
	packaging/wheel_test.sh $(PYTHON) dist

# The frozen program in dist/histoloop, and build/bundle-report.md about it (docs/packaging.md).
bundle: setup
	$(WITH_DISPLAY) $(PYTHON) packaging/bundle.py

# The frozen program without source, Python and network, beside the source: minutes.
bundle-test: setup
	$(WITH_DISPLAY) $(PYTHON) -m pytest tests/bundle

# Installers of the frozen program in dist/histoloop, which `make bundle` makes (packaging/README.md).
INSTALLERS := PYTHONPATH=packaging $(PYTHON) -m installers

deb: setup
	$(INSTALLERS) deb

tarball: setup
	$(INSTALLERS) tarball

deb-lint:
	packaging/linux/lint_deb.sh

# In a clean Debian root; wants root's rights, debootstrap and Xvfb.
deb-test:
	packaging/linux/test_deb.sh

tarball-test:
	packaging/linux/test_tarball.sh

clean:
	rm -rf .venv build dist tour .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
