# Thin on purpose: what a target does is in typed Python under e2e/.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
RUN := .venv/bin/python -m

.DEFAULT_GOAL := help
.PHONY: help demo demo-drift test test-long check cluster-up cluster-down images crds protos docs bench-operator bench-serving bench-stats bench-monitor simulate lock format setup setup-go setup-cluster

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup-cluster ## A model served on a real cluster, then its successor, under load
	@$(RUN) e2e.demo

demo-drift: setup-cluster ## Real rows that drift, replayed against a model on a real cluster
	@$(RUN) e2e.demo_drift

test: setup-cluster ## All tests, those on a real cluster included; leaves nothing behind
	@$(RUN) e2e.test

test-long: setup-cluster ## The tests that take longer
	@$(RUN) e2e.test --long

check: setup-go ## Formatting, lint, types, imports, generated files, chart and docs
	@$(RUN) e2e.check

cluster-up: setup-cluster ## A cluster with today's images; prints how to use it
	@$(RUN) e2e.cluster up

cluster-down: setup ## Stop and remove it
	@$(RUN) e2e.cluster down

images: setup-cluster ## Build the images whose inputs changed
	@$(RUN) e2e.cluster images

crds: setup ## Generate crds/ from the types
	@$(RUN) driftline_api.crd crds charts/driftline/files/crds

protos: setup ## Generate the messages of gRPC from their definition
	@$(RUN) driftline_serving.server.grpc.generate

docs: setup ## Build the pages into site/
	@.venv/bin/mkdocs build --strict

bench-operator: setup-cluster ## Measure the operator, with ratios
	@$(RUN) e2e.bench operator

bench-serving: setup-cluster ## Measure the model server, with ratios
	@$(RUN) e2e.bench serving

bench-stats: setup ## Measure how fast rows are counted, with ratios
	@$(RUN) e2e.bench stats

bench-monitor: setup-cluster ## Measure what the monitor and the proxy cost, with ratios
	@$(RUN) e2e.bench monitor

simulate: setup ## Whether the statistics keep what they state: up to 30 minutes
	@$(RUN) e2e.simulate

lock: setup-go ## Pin Python and Go dependencies by hash
	@$(RUN) e2e.lock

format: setup ## Format the Python
	@.venv/bin/ruff format
	@.venv/bin/ruff check --fix

setup:
	@$(PYTHON) e2e/bootstrap.py

setup-go:
	@$(PYTHON) e2e/bootstrap.py --go

setup-cluster:
	@$(PYTHON) e2e/bootstrap.py --cluster
