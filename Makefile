# make demo: the main job on the local engines. make test: every test. Each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UNIT := tests/unit tests/fuzz
EXTRAS := .[all,dev,docs]

.DEFAULT_GOAL := help
.PHONY: help setup demo test unit it it8 check format bench faults plugin browser down clean docs site sbom audit fuzz

help: ## this list
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):.*## (.*)/make \1|\2/' | column -t -s '|'

setup: $(READY) ## the virtual environment, with everything in it

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "python3-venv is needed: apt-get install python3-venv"; exit 1; }
	@echo "installing into $(VENV): about a minute, 7 GB"
	@$(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.5,<1' || true
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '$(EXTRAS)' \
	  || $(BIN)/pip install --quiet --disable-pip-version-check --editable '$(EXTRAS)'
	@touch $(READY)

demo: $(READY) ## ingest, score, search, replay and report on the local engines
	$(BIN)/rank-cli demo

test: $(READY) browser ## unit and integration tests, and the README's snippets, on the real engines
	@$(BIN)/rank-cli stack up & engines=$$!; \
	$(BIN)/pytest $(UNIT) tests/faults tests/integration -n 2 --durations=30; status=$$?; \
	wait $$engines && exit $$status

unit: $(READY) ## unit tests, no server
	$(BIN)/pytest $(UNIT)

it: $(READY) ## integration tests on the real engines
	$(BIN)/pytest tests/integration

it8: $(READY) ## integration tests on Elasticsearch 8.19
	$(BIN)/python -m tests.es8

check: $(READY) ## format, lint, types, unit tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest $(UNIT)

format: $(READY) ## write the format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## every benchmark, results as JSON in benchmarks/results/
	$(BIN)/rank-cli stack up
	$(BIN)/python -m benchmarks

faults: $(READY) ## every fault of the ingest on the local engines, figures into docs/faults.md: about 30 minutes
	$(BIN)/rank-cli stack up
	$(BIN)/python -m tests.faults
	$(BIN)/python -m tests.faults.backfill
	$(BIN)/python -m docs.faults_table

plugin: $(READY) ## the rank-boost plugin for both server versions, tested, as zips in dist/
	$(BIN)/rank-cli plugin build --tests
	$(BIN)/rank-cli plugin build --tests --es-version 8.19

docs: $(READY) ## the command reference, the lint rules, the doctor's privileges and the list of snippets, generated
	$(BIN)/python -m docs.reference
	$(BIN)/python -m docs.lint_page
	$(BIN)/python -m docs.privileges
	$(BIN)/python -m docs.snippets

site: $(READY) ## the documentation as a site in build/site; a dead link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

sbom: $(READY) ## a bill of materials of the environment, build/sbom.cdx.json (CycloneDX, validated)
	$(BIN)/python -m release.sbom

audit: $(READY) ## known vulnerabilities of what is installed; ends with 3 where the service cannot be asked
	$(BIN)/python -m release.audit

fuzz: $(READY) ## every parser, with many more examples than make test: FUZZ_EXAMPLES=20000
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-20000} $(BIN)/pytest tests/fuzz --timeout 7200

browser:
	@command -v chromium >/dev/null \
	|| { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } \
	|| echo "no chromium here: the report's browser tests need it (apt-get install chromium)"

down: ## stop the local engines that this checkout started
	@test ! -x $(BIN)/rank-cli || $(BIN)/rank-cli stack down

clean: down ## remove what was built and the engines' data; downloads stay
	rm -rf $(VENV) .rank build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
