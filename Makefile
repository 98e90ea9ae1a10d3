# Everything a newcomer needs: `make demo`, then `make test`. Needs git, make, bash and Python 3.11 or newer.
SHELL := bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# What is imported again and again is compiled once: some shells and images switch that off, at 20 s for each test run.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
READY := .venv/.installed
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
endif

# The slow ones first: the others run beside them.
STATIC := types lint format imports dependencies spelling containers
BESIDE := -j2 --keep-going $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

.PHONY: help demo test check bench chaos audit clean lock install unit $(STATIC)

help: ## Show this list.
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /|/' | while IFS='|' read -r name text; do \
		printf '  make %-9s %s\n' "$$name" "$$text"; done

demo: $(READY) ## Run the main job: a week of payments, through Kafka into accounting.
	@$(BIN)/mainstem demo

test: $(READY) ## Run every check and every test, on the real development stack.
	@$(MAKE) $(BESIDE) $(STATIC)
	@echo "==> All tests, on Kafka, the registry and PostgreSQL (the first run downloads them)"
# A file is one worker's: the scenarios of chaos would only wait for each other. Not by xdist's groups, which do nothing
# with pytest 9.2. In the order of the folders: chaos takes longest, and comes first.
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=html:build/coverage

check: $(READY) ## Run what takes less than a minute: static checks and the tests that need no stack, with fewer examples.
	@$(MAKE) $(BESIDE) unit $(STATIC)
	@echo "==> All checks passed"

bench: $(READY) ## Measure the speed beside plain client loops, on the real broker.
	@for file in $$(grep -l __main__ tests/bench/*.py); do echo "==> $$file"; PYTHONPATH=. $(BIN)/python "$$file" || exit 1; done
	@echo "==> From a webhook to the journal, 200 baskets a second"
	@$(BIN)/mainstem demo --once --rate 200 -o json

chaos: $(READY) ## Kill everything a thousand times, for up to two hours, and count what was lost; it goes on where it was.
	@$(BIN)/python -m tests.chaos --faults 1000 --lanes 2

audit: $(READY) ## Ask the network whether a dependency has a known weakness.
	@$(BIN)/pip-audit --requirement requirements/dev.txt --disable-pip --require-hashes --strict

clean: ## Stop the development stack and delete all that was made, its data included.
	@if [ -x $(BIN)/mainstem ] && [ -d .mainstem ]; then $(BIN)/mainstem stop || true; fi
	@rm -rf .venv .mainstem .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	@rm -f .coverage .coverage.*
	@rm -f mainstem/codec/native/*.so
	@find connectors integrations mainstem streams tests -name __pycache__ -prune -exec rm -rf {} +

install: $(READY) ## Make .venv with the pinned dependencies.

lock: ## Pin the dependencies anew, with hashes, after a change of pyproject.toml.
	@requirements/lock.sh

unit: $(READY)
	@echo "==> Tests without the stack"
	@MAINSTEM_THOROUGH=0.2 $(BIN)/pytest -q -n 2 -m "not stack and not slow"

format: $(READY)
	@echo "==> Format"
	@$(BIN)/ruff format --quiet --diff . || { echo "mend it with: $(BIN)/ruff format ."; exit 1; }

lint: $(READY)
	@echo "==> Lint"
	@$(BIN)/ruff check --quiet .

types: $(READY)
	@echo "==> Types"
	@$(BIN)/mypy --no-error-summary mainstem connectors streams integrations tests

imports: $(READY)
	@echo "==> Who imports what"
	@report=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$report"; exit 1; }

dependencies: $(READY)
	@echo "==> Dependencies used and declared"
	@report=$$($(BIN)/deptry . 2>&1) || { echo "$$report"; exit 1; }

spelling: $(READY)
	@echo "==> Spelling"
	@$(BIN)/codespell

containers: $(READY)
	@echo "==> Containers and workflow"
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/hadolint deploy/Dockerfile

# pip names each package as it looks at it: enough to show how far it is.
$(READY): requirements/dev.txt pyproject.toml setup.py $(wildcard mainstem/codec/native/*.[ch])
	@if [ -z "$(PYTHON)" ]; then echo "mainstem needs Python 3.11 or newer; set PYTHON=/path/to/python3" >&2; exit 2; fi
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		echo "==> Making .venv with $$($(PYTHON) --version)"; rm -rf .venv; $(PYTHON) -m venv .venv; fi
	@echo "==> Installing the pinned dependencies (a minute the first time)"
	@set -euo pipefail; all=$$(grep -c '==' requirements/dev.txt); seen=0; \
	$(BIN)/python -u -m pip install --disable-pip-version-check --progress-bar off --no-color \
		--require-hashes --requirement requirements/dev.txt | while read -r word rest; do \
		case "$$word" in \
			Collecting|Requirement) seen=$$((seen + 1)); \
				if [ -t 1 ]; then printf '\r    %d of %d' "$$seen" "$$all"; fi ;; \
			Installing) if [ -t 1 ]; then printf ', unpacking them'; fi ;; \
		esac; done; if [ -t 1 ]; then echo; fi
	@echo "==> Installing mainstem"
	@report=$$($(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-deps --no-build-isolation --editable . 2>&1) || { echo "$$report"; exit 1; }
	@touch $@
