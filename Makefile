# Every target sets up what it needs. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
RUN_SETUP := $(VENV)/.run-$(shell cat requirements.lock pyproject.toml 2>/dev/null | cksum | cut -d' ' -f1)
DEV_SETUP := $(VENV)/.dev-$(shell cat requirements-dev.lock pyproject.toml 2>/dev/null | cksum | cut -d' ' -f1)
PYTEST := $(BIN)/python -m pytest
RATE ?= 25
JOBS ?= 2
BOOTSTRAP ?=
CUSTOMERS ?= 1000000
CONTACTS ?= 10
STATE ?= memory
INTERACTIONS ?= 50000
EVENTS ?= 2000000
RUNS ?= 3
PARTS ?=
MINUTES ?= 10
TICK ?= 0.5
BENCH_RATE ?= 0
# Tests of minutes each, left out of `make test`.
LONG := tests/deploy/test_commands.py tests/docs/test_your_own_events.py \
	$(addprefix tests/integration/,test_truth.py test_horizon.py test_identities.py test_exhibit_change.py \
	test_microbatch_faults.py test_monitoring.py test_restart.py test_warehouse.py)

.PHONY: help run run-kafka test check deploy-check ci bench bench-journeys bench-peers long truth audit audit-short faults faults-short kills soak outage mutations mutations-short alerts tour operations-short docs format lock services clean

help: ## List every target.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

run: $(RUN_SETUP) ## Live KPIs of a simulated center in this terminal. BOOTSTRAP=host:port uses a Kafka of your own, RATE=n sets events a second.
	@$(BIN)/cxstream demo --rate $(RATE) $(if $(BOOTSTRAP),--bootstrap $(BOOTSTRAP))

run-kafka: $(RUN_SETUP) ## The same on a real Apache Kafka (needs Java and Maven) that keeps its log in var/kafka.
	@$(BIN)/cxstream demo --rate $(RATE) --kafka

test: $(DEV_SETUP) services ## All tests but audits and faults, on real services, in JOBS=2 processes; ends with what could not be run.
	@$(PYTEST) --durations=15 -n $(JOBS) --dist loadfile $(addprefix --ignore=,$(LONG))

check: $(DEV_SETUP) ## Formatting, lint, types, import law, freshness of what is generated.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m schemas.generate --check
	@$(BIN)/python -m pipeline.docs --check

deploy-check: $(DEV_SETUP) services ## Image, Compose, Kubernetes, rules and dashboards, without a container engine.
	@PYTHON=$(BIN)/python docker/check.sh

ci: check deploy-check test long audit-short faults-short mutations-short operations-short ## What continuous integration runs.

long: $(DEV_SETUP) services ## What takes a minute or more each: a second computation in SQL, corrections of any age, identities, restarts, every rule and every deployed command.
	@$(PYTEST) -n $(JOBS) --dist loadfile $(LONG)

truth: $(DEV_SETUP) services ## 200,000 events, two workers, a SIGKILL: every value against SQL and the simulator.
	@CXSTREAM_TRUTH_EVENTS=200000 $(PYTEST) tests/integration/test_truth.py

audit: $(DEV_SETUP) services ## A simulated week (INTERACTIONS=n), two restarts: stream against SQL in every cell, and planted bugs.
	@CXSTREAM_AUDIT_INTERACTIONS=$(INTERACTIONS) $(PYTEST) tests/audit -s

audit-short: $(DEV_SETUP) services ## Stages against SQL in every column of every fact, and planted bugs, without a Kafka.
	@$(PYTEST) -n $(JOBS) --dist loadfile tests/audit --ignore=tests/audit/test_audit.py

faults: $(DEV_SETUP) services ## Every trial of faults on a real Kafka and ClickHouse; a table at the end.
	@$(PYTEST) -n $(JOBS) --dist loadfile tests/faults

faults-short: $(DEV_SETUP) services ## Kills, broker restarts, ClickHouse cut off, poison.
	@$(PYTEST) tests/faults/test_short.py

kills: $(DEV_SETUP) services ## kill -9 at each numbered step of a checkpoint in each stage, under load, logs compacted; a table.
	@$(PYTEST) tests/soak/test_kills.py

soak: $(DEV_SETUP) services ## Half an hour of kills, freezes, restarts, outages, joins and leaves; SOAK_MINUTES=30 shortens it, SOAK_SEED=17 is its schedule.
	@$(PYTEST) tests/soak/test_soak.py

outage: $(DEV_SETUP) services ## ClickHouse down for OUTAGE_MINUTES=10 under load; every row once after it.
	@$(PYTEST) tests/soak/test_outage.py

mutations: $(DEV_SETUP) services ## Each promise broken on purpose in a copy of the source: its named test passes without and fails with it; a table.
	@$(BIN)/python -m tests.mutations --jobs $(JOBS)

mutations-short: $(DEV_SETUP) ## The same for those that need neither Kafka nor ClickHouse.
	@$(BIN)/python -m tests.mutations --short --jobs $(JOBS)

alerts: $(DEV_SETUP) services ## Every alert fires on its cause and clears, on real services, with short windows.
	@$(PYTEST) tests/alerts

operations-short: $(DEV_SETUP) services ## The tour, and most alerts, without those that wait for rebalances or for an hour made short.
	@$(PYTEST) -n $(JOBS) --dist loadfile tests/alerts tests/tour -k "not versions and not ahead and not stands_still and not restore and not checkpoints"

tour: $(DEV_SETUP) services ## docs/tour.md and the restores of docs/deploy.md, run from the pages.
	@$(PYTEST) tests/tour

bench: $(DEV_SETUP) services ## What a message costs beside a plain loop and stock Faust, on a real Kafka: EVENTS=2000000, RUNS=3, PARTS="layer product sink latency"; latency: MINUTES=10, TICK=0.5, BENCH_RATE=events a second (0: half of what a burst sustains).
	@BENCH_MINUTES=$(MINUTES) BENCH_TICK_SECONDS=$(TICK) BENCH_RATE=$(BENCH_RATE) $(BIN)/python -m tests.bench $(PARTS) --events $(EVENTS) --runs $(RUNS)

bench-peers: $(DEV_SETUP) services ## The same work on Kafka Streams, Bytewax, Quix and stock Faust, as far as they install.
	@$(BIN)/python -m tests.bench peers --events $(EVENTS) --runs $(RUNS)

bench-journeys: $(DEV_SETUP) services ## Histories of CUSTOMERS=n customers with CONTACTS=n contacts each, in STATE=memory or rocksdb: memory, cost, restore.
	@CXSTREAM_STATE=$(STATE) BENCH_CUSTOMERS=$(CUSTOMERS) BENCH_CONTACTS=$(CONTACTS) $(BIN)/python -m tests.bench.journeys

docs: $(DEV_SETUP) ## Write what is generated in docs/ and schemas/json/.
	@$(BIN)/python -m schemas.generate
	@$(BIN)/python -m pipeline.docs

format: $(DEV_SETUP) ## Format and repair what can be repaired.
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

lock: ## Write the lock files anew from pyproject.toml (needs uv).
	@for kind in run dev rocksdb tracing; do \
		case $$kind in \
			run) out=requirements.lock; more=;; \
			dev) out=requirements-dev.lock; more="--group dev --extra rocksdb --extra tracing";; \
			rocksdb) out=requirements-rocksdb.lock; more="--extra rocksdb";; \
			tracing) out=requirements-tracing.lock; more="--extra tracing";; \
		esac; \
		uv pip compile pyproject.toml --group build $$more \
			--universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
			--no-emit-index-url --no-emit-find-links --quiet --output-file $$out; \
	done

services: ## Install the services that tests use, where this may be done (CI=true, or as root).
	@tests/support/install-services.sh

clean: ## Remove what was built; var/ with your data stays.
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "cxstream needs Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# Each kind of set-up is marked by a file named after what it was made from.
define set_up
	@began=$$SECONDS; echo "setting up $(VENV) ..."; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1); \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .; \
	rm -f $(VENV)/.$(2)-*; touch $@; echo "set up in $$((SECONDS - began)) s"
endef

$(RUN_SETUP): $(VENV)/bin/python
	$(call set_up,requirements.lock,run)

$(DEV_SETUP): $(VENV)/bin/python
	$(call set_up,requirements-dev.lock,dev)
