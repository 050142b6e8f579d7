# The dev loop. `make demo` and `make test` install what they need into .venv first.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo demo-healthy test test-rt check format bench bench-performance bench-truth bench-wrong-clear bench-at-once bench-plan bench-scale bench-disk bench-effects bench-real bench-watch bench-watch-beside bench-watch-live bench-chaos bench-clean-real sbom bench-fuzz bench-promises docs cli-reference lock bench-report pictures schema clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

.venv/run: requirements.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing savepath into .venv (once)" >&2
	@$(PIP) install --require-hashes -r requirements.txt
	@$(PIP) install --require-hashes -r requirements-build.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev: .venv/run requirements-dev.txt
	@echo "installing the tools of the tests into .venv (once)" >&2
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@

demo: .venv/run ## the incident on the embedded system, to an opened report
	$(BIN)/savepath demo --out out/demo --open

demo-healthy: .venv/run ## both sides alike: must not end in ESCALATE
	$(BIN)/savepath demo --out out/demo-healthy --healthy

test: .venv/dev ## the whole suite
	$(BIN)/python -m pytest -n 3 --dist worksteal -m "not alone"
	$(BIN)/python -m pytest -m alone

test-rt: .venv/dev ## Request Tracker 5 for real; installs it from Debian where it is not there (root)
	@command -v rt-setup-database-5 >/dev/null || (apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(RT_PACKAGES))
	SAVEPATH_TEST_RT=1 $(BIN)/python -m pytest tests/test_real_systems.py tests/test_request_tracker.py
RT_PACKAGES := request-tracker5 rt5-db-sqlite rt5-standalone

check: .venv/dev ## lint, format, types and known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python .ci/supply.py audit

sbom: .venv/run ## what it is made of, as CycloneDX: out/sbom.json
	$(BIN)/python .ci/supply.py sbom out/sbom.json

format: .venv/dev ## write the format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/dev ## the figures of this machine, side by side (minutes)
	$(BIN)/python -m benchmarks load

bench-performance: .venv/dev ## against k6, wrk, hey and autocannon, as far as they are on the PATH (13 minutes); PERFORMANCE=--write for docs/performance.md
	$(BIN)/python -m benchmarks performance $(PERFORMANCE)

bench-soak: .venv/dev ## half an hour at 50/s: memory and disk; SOAK_S=180 for less
	$(BIN)/python -m benchmarks soak

bench-day: .venv/dev ## a day at 50/s by a clock of its own: memory and disk; DAY_HOURS=2 for less
	$(BIN)/python -m benchmarks day

bench-truth: .venv/dev ## false alarms and power of the comparison, by simulation; TRUTH=--write puts them into docs/method.md
	$(BIN)/python -m benchmarks truth $(TRUTH)

bench-scale: .venv/dev ## ten and a hundred million samples: folding and comparing, seconds and memory
	$(BIN)/python -m benchmarks scale

bench-wrong-clear: .venv/dev ## a thousand faulted comparisons, none of which may say CLEAR (20 minutes)
	$(BIN)/python -m benchmarks wrong-clear

bench-at-once: .venv/dev ## two casedesks under run --versus, healthy and degraded, live (8 minutes)
	$(BIN)/python -m benchmarks at-once

bench-plan: .venv/dev ## whether plan --detect keeps its promise, by simulation
	$(BIN)/python -m benchmarks plan

bench-disk: .venv/dev ## what casedesk costs on each disk
	$(BIN)/python -m benchmarks disk

bench-effects: .venv/dev ## planted faults found by id, nothing found where there is none (20 minutes)
	$(BIN)/python -m benchmarks effects

bench-real: .venv/dev ## Roundup on a slowed disk, through run and compare
	$(BIN)/python -m benchmarks real

bench-watch: .venv/dev ## false alarms, delays, CLEAR and survival of the watch, on simulated months; WATCH=--write puts them into docs/method.md
	$(BIN)/python -m benchmarks watch $(WATCH)

bench-fuzz: .venv/fuzz ## a hundred thousand broken files for every reader, guided by coverage (hours); goes on where it was ended; FUZZ="--inputs 2000", FUZZ=--write for docs/security.md
	$(BIN)/python -m benchmarks fuzz $(FUZZ)

bench-promises: .venv/dev ## casedesk against its own OpenAPI document, a hundred requests that fit and a hundred that do not for each operation
	$(BIN)/python -m benchmarks promises

.venv/fuzz: .venv/dev requirements-fuzz.txt
	@$(PIP) install --require-hashes -r requirements-fuzz.txt
	@touch $@

bench-chaos: .venv/dev ## a hundred kills each of run, compare, watch and clean (half an hour); goes on where it was ended; CHAOS="--kills 20", CHAOS=--write for docs/security.md
	$(BIN)/python -m benchmarks chaos $(CHAOS)

bench-clean-real: .venv/dev ## what clean leaves on Roundup and PocketBase after runs and kills (CLEAN_KILLS=5 for less)
	$(BIN)/python -m benchmarks clean-real

bench-watch-beside: .venv/dev ## what an old environment beside the watched one is worth: false alarms and delays with and without it; goes on where it was ended
	$(BIN)/python -m benchmarks watch-beside

bench-watch-live: .venv/dev ## the watch on casedesk in fast time: a healthy hour, lost scripts, a ramp; LIVE="--cases ramp --repeats 5"
	$(BIN)/python -m benchmarks watch-live $(LIVE)

docs: .venv/dev ## these pages as a site, in out/site
	$(BIN)/python -m mkdocs build --strict

cli-reference: .venv/run ## write docs/cli.md again, from the helps
	$(BIN)/python -m savepath.reference > docs/cli.md

bench-report: .venv/dev ## what a report of a million samples costs and weighs
	$(BIN)/python -m benchmarks report

pictures: .venv/dev ## small PNGs of each kind of report for docs/ (needs Chromium)
	$(BIN)/python tests/pictures.py

schema: .venv/run ## publish the JSON Schemas again
	$(BIN)/savepath schema scenario > docs/schema/scenario.schema.json
	$(BIN)/savepath schema target > docs/schema/target.schema.json
	$(BIN)/savepath schema results > reports/results.schema.json
	$(BIN)/savepath schema watch-status > docs/schema/watch-status.schema.json

lock: .venv/dev ## pin the versions again, with hashes and without addresses (needs uv on the PATH)
	uv pip compile $(LOCK) pyproject.toml --output-file requirements.txt
	uv pip compile $(LOCK) pyproject.toml --extra dev --output-file requirements-dev.txt
	printf 'hatchling\neditables\n' | uv pip compile $(LOCK) --constraint requirements-dev.txt - --output-file requirements-build.txt
	printf 'atheris==3.0.0\n' | uv pip compile $(LOCK) - --output-file requirements-fuzz.txt
LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --no-annotate --no-emit-package savepath

clean: ## remove what was installed and made here
	rm -rf .venv out runs
