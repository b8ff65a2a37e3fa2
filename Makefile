# Each target sets itself up from nothing but Python 3.11 or newer.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
RUN_STAMP := .venv/.installed
DEMO_STAMP := .venv/.installed-demo
DEV_STAMP := .venv/.installed-dev
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test lint browser bench lock clean
.DELETE_ON_ERROR:

# The whole product on one machine: rps demo --help tells what DEMO may hold.
demo: $(DEMO_STAMP)
	@$(BIN)/rps demo $(DEMO)

test: lint browser
	$(BIN)/pytest -n 2 $(TESTS)

lint: $(DEV_STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The tests of the pages look at them in Chromium: as root on Debian it is installed.
browser:
	@for each in chromium chromium-browser google-chrome; do \
	    if command -v $$each >/dev/null; then exit 0; fi; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing Chromium, which the tests of the pages need (once)" >&2; \
	    apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive \
	        apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else \
	    echo "the tests of the pages need Chromium: install it" \
	    "(Debian: apt-get install chromium) and run make again" >&2; exit 1; fi

# Takes about ten minutes; bench/README.md tells what BENCH may hold. For example:
# make bench BENCH="--peers DIR --reps 3"
bench: $(DEV_STAMP)
	$(BIN)/python -m bench $(BENCH)

# New versions within the bounds of pyproject.toml.
lock: $(DEV_STAMP)
	$(BIN)/pip-compile $(LOCK_FLAGS) --upgrade -o requirements.lock pyproject.toml
	$(BIN)/pip-compile $(LOCK_FLAGS) --upgrade --extra demo -c requirements.lock \
	    -o requirements-demo.lock pyproject.toml
	$(BIN)/pip-compile $(LOCK_FLAGS) --upgrade --extra dev -c requirements.lock \
	    -o requirements-dev.lock pyproject.toml

LOCK_FLAGS := --quiet --generate-hashes --no-header --strip-extras --allow-unsafe \
    --build-deps-for editable \
    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links

# Keeps .rps, where data may be.
clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	    .import_linter_cache *.egg-info build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "rps needs Python 3.11: none was found" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "rps needs Python 3.11 or newer; $(PYTHON) is" \
	    "$$("$(PYTHON)" --version 2>&1). Name one: make PYTHON=/path/to/python3.11" >&2; \
	    exit 1; }
	"$(PYTHON)" -m venv .venv

# The lock names every file by its hash; ours is installed on top, editable.
$(RUN_STAMP): requirements.lock pyproject.toml | .venv/bin/python
	@echo "installing what rps needs into .venv (once)" >&2
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# Roundup comes as source, which the setuptools of the first lock builds.
$(DEMO_STAMP): requirements-demo.lock $(RUN_STAMP)
	@echo "installing the tracker of the demo into .venv (once)" >&2
	@$(PIP) install --require-hashes --no-build-isolation -r requirements-demo.lock
	@touch $@

$(DEV_STAMP): requirements-dev.lock $(RUN_STAMP)
	@echo "installing what the tests need into .venv (once)" >&2
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
