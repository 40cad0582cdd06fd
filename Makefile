# dondoc. Every target does its own set-up; `make` alone lists them.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory
# Tests start many processes; without its cache each would compile all of our modules again.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --no-input
UV_COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --generate-hashes \
	--no-emit-index-url --no-header --python-version 3.11 --extra build

.PHONY: help
help: ## Print this list
	@echo "make TARGET [ARGS=...]"
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS=$$'\t' read -r target what; do \
		printf '  %-14s %s\n' "$$target" "$$what"; done

.PHONY: run
run: $(VENV)/runtime.stamp ## Start everything, embedded, on this machine (dondoc up; ARGS are passed on)
	@exec $(BIN)/dondoc up $(ARGS)

.PHONY: test
test: $(VENV)/dev.stamp ## Check everything: ruff, mypy, import rules, all tests (ARGS go to pytest)
	@$(MAKE) lint
	@echo "==> pytest"
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: lint
lint: $(VENV)/dev.stamp ## Check form, types and import rules only
	@echo "==> ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "==> mypy"
	@$(BIN)/mypy
	@echo "==> import rules"
	@$(BIN)/lint-imports

.PHONY: bench
bench: $(VENV)/dev.stamp ## Measure audited steps per second beside the same steps unaudited
	@$(BIN)/python -m bench $(ARGS)

.PHONY: bench-scale
bench-scale: $(VENV)/dev.stamp ## Measure 10,000 open tasks and 1,000 deadlines in one minute
	@$(BIN)/python -m bench.scale $(ARGS)

.PHONY: bench-verify
bench-verify: $(VENV)/dev.stamp ## Measure verifying 100,000 entries beside their signature checks alone
	@$(BIN)/python -m bench.verification $(ARGS)

.PHONY: bench-sequence
bench-sequence: $(VENV)/dev.stamp ## Measure sequencing up to a million entries, beside plain inserts and a peer
	@$(BIN)/python -m bench.sequencing $(ARGS)

.PHONY: bench-receipts
bench-receipts: $(VENV)/dev.stamp ## Measure receipts with the sequencer at work and without
	@$(BIN)/python -m bench.receipts $(ARGS)

.PHONY: bench-directory
bench-directory: $(VENV)/dev.stamp ## Measure importing 50,000 people, and asking the directory who acts
	@$(BIN)/python -m bench.directory $(ARGS)

.PHONY: lock
lock: $(VENV)/dev.stamp ## Write both lock files anew (ARGS=--upgrade, ARGS="--upgrade-package NAME")
	@echo "==> requirements.lock"
	@$(UV_COMPILE) $(ARGS) --output-file requirements.lock >/dev/null
	@echo "==> requirements-dev.lock"
	@$(UV_COMPILE) --extra dev --constraint requirements.lock $(ARGS) \
		--output-file requirements-dev.lock >/dev/null
	@for file in requirements.lock requirements-dev.lock; do \
		printf '%s\n' '# Written by "make lock"; see docs/contributing.md. Do not edit.' \
			| cat - $$file > $$file.new && mv $$file.new $$file; done

.PHONY: clean
clean: ## Remove the environment and everything that tools left behind (never your data)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis \
		.import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Set-up. The stamps make it happen once, and again only when a lock file or the project file changed.

$(BIN)/python:
	@python=; old=; bare=; \
	for candidate in $${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 python}; do \
		found=$$("$$candidate" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3], \
			int(sys.version_info >= (3, 11)))' 2>/dev/null) || continue; \
		if [ "$${found#* }" = 0 ]; then old="$$old $$candidate is $${found% *};"; continue; fi; \
		if ! "$$candidate" -c 'import ensurepip, venv' 2>/dev/null; then bare=$$candidate; continue; fi; \
		python=$$candidate; break; \
	done; \
	if [ -z "$$python" ] && [ -n "$$bare" ]; then \
		echo "$$bare is new enough but cannot make virtual environments." \
			"On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; fi; \
	if [ -z "$$python" ]; then \
		echo "dondoc needs Python 3.11 or newer and found none here.$${old:+ Too old:$${old%;}.}" \
			"Install one, or name it: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; fi; \
	echo "==> making $(VENV) with Python $${found% *}"; \
	"$$python" -m venv --clear $(VENV)

define install
@echo "==> installing the packages of $(1): pinned, every file checked against its hash."
@echo "    The first time this downloads about $(2) and takes a minute or two."
@$(PIP) --require-hashes --only-binary :all: -r $(1) \
	| sed -u -n -e 's/^Collecting \([^ ]*\).*/    \1/p' -e 's|^Processing .*/\(.*\)\.whl.*|    \1|p' \
	-e 's/^Installing collected.*/    installing them/p'
@echo "==> installing dondoc itself (editable)"
@$(PIP) --quiet --no-deps --no-build-isolation --editable .
@touch $@
endef

$(VENV)/runtime.stamp: requirements.lock pyproject.toml | $(BIN)/python
	$(call install,requirements.lock,90 MB)

$(VENV)/dev.stamp: requirements-dev.lock pyproject.toml | $(BIN)/python
	$(call install,requirements-dev.lock,160 MB)
	@touch $(VENV)/runtime.stamp
