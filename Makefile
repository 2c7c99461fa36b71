# make demo    sets everything up, indexes the sample photos, searches them
# make test    sets everything up, runs every check that CI runs
# make test-torch  the same for what needs torch (gigabytes): exporting, torch runtimes, captions
# make check   the quick part of it: format, lint, types, documentation
# make docs    writes again what is generated in README and docs
# make fuzz    damages pictures at random for a minute (SECONDS=600: ten) and reads them
# make bench   measures; results go to bench/results
# make setup   a virtual environment with everything for development

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLAIN := $(VENV)/.plain
SETUP := $(VENV)/.ready
TORCH := .venv-torch
PAGE := tools/page/node_modules/.package-lock.json
# Installs a package where that is possible without asking anybody.
debian = { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) >/dev/null || true; }
GENERATED := README.md docs/cli.md docs/filters.md docs/formats.md docs/models.md docs/query.md \
	docs/alike.md docs/ranking.md docs/settings.md docs/stores.md docs/web.md
CODE := src tests bench tools

.PHONY: setup demo test test-torch check docs fuzz bench clean chromium
.DELETE_ON_ERROR:

setup: $(SETUP)

$(PLAIN): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "pixseek needs Python 3.11 or newer; try: make PYTHON=python3.12"; exit 1; }
	@echo "setting up $(VENV) (takes a minute the first time)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(SETUP): $(PLAIN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@

demo: $(PLAIN)
	@rm -rf .demo
	@BIN="$(CURDIR)/$(BIN)" sh samples/demo.sh

# What checks the page's JavaScript (TypeScript; the page itself needs nothing built).
$(PAGE): tools/page/package.json tools/page/package-lock.json
	@command -v npm >/dev/null || $(call debian,npm)
	@command -v npm >/dev/null || { echo "checking the page needs npm (Node.js)"; exit 1; }
	npm --prefix tools/page ci --no-audit --no-fund --loglevel=error

# The browser that the page is tested in.
chromium:
	@command -v chromium >/dev/null || test -n "$$PIXSEEK_TEST_CHROMIUM" || $(call debian,chromium fonts-dejavu-core)
	@command -v chromium >/dev/null || test -n "$$PIXSEEK_TEST_CHROMIUM" || { \
		echo "testing the page needs Chromium: install it, or name one in PIXSEEK_TEST_CHROMIUM"; exit 1; }

check: setup $(PAGE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	tools/page/node_modules/.bin/tsc --project tools/page
	$(BIN)/cog --check -I . $(GENERATED)

test: check chromium
	$(BIN)/coverage run -m pytest --numprocesses auto --dist loadfile
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered

$(TORCH)/.ready: pyproject.toml tests/torch/requirements.txt
	@echo "setting up $(TORCH) (several gigabytes, takes some minutes the first time)"
	$(PYTHON) -m venv $(TORCH)
	$(TORCH)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(TORCH)/bin/python -m pip install --quiet --disable-pip-version-check \
		--only-binary :all: --requirement tests/torch/requirements.txt
	$(TORCH)/bin/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

test-torch: $(TORCH)/.ready
	$(TORCH)/bin/python -m pytest tests/torch

SECONDS := 60
FILES := tests/data
fuzz: setup
	$(BIN)/python -m tools.fuzz --seconds $(SECONDS) --files $(FILES)

docs: setup
	$(BIN)/cog -r -I . $(GENERATED)

bench: setup
	$(BIN)/python -m bench.stores
	$(BIN)/python -m bench.engines
	$(BIN)/python -m bench.startup
	$(BIN)/python -m bench.indexing
	$(BIN)/python -m bench.sync
	$(BIN)/python -m bench.page
	$(BIN)/python -m bench.hostile

clean:
	rm -rf $(VENV) $(TORCH) tools/page/node_modules .demo .coverage* .mypy_cache .pytest_cache .ruff_cache dist
