# Diorama. Needs Python 3.11 or newer, its pip, and make; everything else comes from the locks.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# A stamp is named after the content of its lock: a second run installs nothing, a changed lock is installed anew.
digest = $(shell cksum < $(1) | tr ' ' -)
RUN_STAMP := $(VENV)/installed-$(call digest,requirements.lock)
DEV_STAMP := $(VENV)/installed-dev-$(call digest,requirements-dev.lock)
# Three files of tests at the same time, for they mostly wait, each with servers of its own, the longest (acceptance, crash) first.
CRASH_LAB := tests/crash/test_crash_lab.py # alone: it uses all of the machine
AT_ONCE := --numprocesses=3 --dist=loadfile --no-loadscope-reorder
LOCKING := $(BIN)/uv pip compile pyproject.toml --quiet --group build --extra stack --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-header

.DEFAULT_GOAL := help
.PHONY: help setup demo up test coverage check ci bench bench-overhead bench-choosing bench-api crash crash-takeover docs lock clean

help: ## say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | \
		while IFS='|' read -r name words; do printf '  %-16s%s\n' "$$name" "$$words"; done

demo: $(RUN_STAMP) ## make an avatar and a scene with it, into out/: the whole thing in one command
	@$(BIN)/diorama demo

up: $(RUN_STAMP) ## start the local stack; Ctrl-C stops it
	@$(BIN)/diorama up

setup: $(DEV_STAMP) ## install everything that work on this project needs

check: $(DEV_STAMP) ## format, lint and types, as CI checks them
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .

test: $(DEV_STAMP) ## all tests; TESTS="-k ledger" runs some of them
	@$(BIN)/python tests/clients/install.py replicate-2 >/dev/null
ifdef TESTS
	$(BIN)/python -m pytest --durations=15 $(TESTS)
else
	$(BIN)/python -m pytest --durations=25 $(AT_ONCE) tests --ignore=$(CRASH_LAB)
	$(BIN)/python -m pytest $(CRASH_LAB)
endif

# Apart from the tests: tracing every process of theirs takes so long that CI would not fit half an hour.
coverage: $(DEV_STAMP) ## all tests but the crash lab once more, with coverage
	@$(BIN)/python tests/clients/install.py replicate-2 >/dev/null
	@rm -f .coverage .coverage.*
	$(BIN)/python -m pytest $(AT_ONCE) --cov --cov-report=term --cov-fail-under=85 tests --ignore=$(CRASH_LAB)

ci: check test ## what CI runs

bench-overhead: $(DEV_STAMP) ## what Diorama adds to its providers' time; JSON=1: the last line is one JSON object
	@$(BIN)/python -m bench.overhead

bench-choosing: $(DEV_STAMP) ## what it costs to plan a step with 50 models after a million purchases
	@$(BIN)/python -m bench.choosing

bench-api: $(DEV_STAMP) ## how fast requests are accepted and read, beside what FastAPI and PostgreSQL alone can do
	@$(BIN)/python -m bench.api

bench: bench-overhead bench-choosing bench-api ## all measurements

crash: $(DEV_STAMP) ## kill everything everywhere, then audit; KILLS=300 PAUSES=20 BOUNDARIES=1 SEED=..., JSON=1: see bench-overhead
	@$(BIN)/python -m tests.crash --boundaries $(or $(BOUNDARIES),1) --kills $(or $(KILLS),300) --pauses $(or $(PAUSES),20) \
		$(if $(SEED),--seed $(SEED)) $(if $(filter 1,$(JSON)),--json)

crash-takeover: $(DEV_STAMP) ## kill the worker while 200 chains are in flight, and measure what that delays
	@$(BIN)/python -m tests.crash.takeover

docs: $(DEV_STAMP) ## write the tables in docs/ anew from the code
	@$(BIN)/python -m tests.documents

lock: $(DEV_STAMP) ## write requirements.lock and requirements-dev.lock anew from pyproject.toml
	$(LOCKING) --output-file requirements.lock
	$(LOCKING) --extra dev --constraint requirements.lock --output-file requirements-dev.lock

clean: ## remove what tools leave behind; the stack's data (.diorama) and pictures (out) stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov build dist
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --retries 10 --timeout 60 install -qq --no-deps

# A failed download is tried once more from the start; pip itself has tried ten times by then. Compiling all modules at once,
# on all cores, takes half of the time that pip takes for it.
define install
	@$(if $(PYTHON),,$(error Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11))
	@$(BIN)/python -c '' 2>/dev/null || { echo "Making $(VENV) with $(PYTHON)"; rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	@rm -f $(VENV)/installed-*
	@echo "Installing what $(1) lists (about a minute)"
	@$(PIP) --no-compile --require-hashes --requirement $(1) || \
		{ echo "Once more"; sleep 3; $(PIP) --no-compile --require-hashes --requirement $(1); }
	@$(PIP) --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true
endef

$(RUN_STAMP):
	$(call install,requirements.lock)
	@touch $@

# The larger lock has all of the smaller one, in the same versions.
$(DEV_STAMP):
	$(call install,requirements-dev.lock)
	@touch $(RUN_STAMP) $@
