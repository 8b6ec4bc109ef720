# Every target is one line that calls a tool; `make help` lists them. STACK names the stack, NODES the size of a new cluster.
STACK ?= dev

.DEFAULT_GOAL := help
.PHONY: help up preview status drift promote down local-up local-down local-purge tools env pictures pins pins-move golden test test-long test-images test-e2e faults bench bench-web

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

up: ## bring up whatever is missing, deploy STACK (dev) and check that it works
	@local/run local/stacks/main.ts up $(STACK)

preview: ## show what a change does to STACK and what the policy pack refuses, with its state or without any credentials (PREVIEW="--keyless --base main")
	@local/run local/stacks/preview.ts $(STACK) $(PREVIEW)

status: ## show STACK's pods, replication and volumes, and what is wrong; what to do then: docs/runbook.md
	@local/run local/stacks/status.ts $(STACK)

drift: ## name what kubectl or anybody else changed in STACK since its last update
	@local/run local/stacks/drift.ts $(STACK)

promote: ## pin what stack FROM has deployed in stack TO, after copying its images: FROM=dev TO=prod
	@local/run local/stacks/promote.ts "$(FROM)" "$(TO)"

down: ## destroy STACK with its data, and wait until nothing is left of it
	@local/run local/stacks/main.ts down $(STACK)

local-up: ## the local environment alone: Docker, registry, cluster, tools (NODES=3 for three nodes)
	@local/run local/environment/main.ts up

local-down: ## stop what local-up started; everything is kept
	@local/run local/environment/main.ts down

local-purge: ## remove the local environment with all its data, give its disk back
	@local/run local/environment/main.ts purge

tools: ## Pulumi and its plugins alone, into ~/.cache/dabaweb-pulumi: what a preview needs
	@local/run local/environment/main.ts tools

env: ## print the exports for plain pulumi, kubectl and docker on STACK: eval "$(make -s env)"
	@local/run local/environment/main.ts env $(STACK)

pictures: ## make the pictures of README.md and docs/: drawings, and screenshots of the stack dev as it runs
	@local/run docs/pictures.ts

pins: ## ask whether every pinned file and image is where users download it
	@local/run local/pin-upkeep/check.ts

pins-move: ## pin images by the digests of today, or other versions of them (PINS="redis:8.2.11")
	@local/run local/pin-upkeep/move.ts $(PINS)

golden: ## write the resource graphs of the stacks anew, test/golden; what they are for: docs/review.md
	@local/run test/golden/write.ts

test: ## everything: unit, graphs, images, end to end; ONLY=mysql (a part or a path) runs what that can break
	@local/run test/run.ts $(if $(ONLY),--only "$(ONLY)")

test-long: ## the same, and what docs/tests.md lists: it takes hours where `make test` takes minutes
	@GRAPHS=10000 TEST_LONG=yes local/run test/run.ts

test-images: ## the images' tests, with Docker alone
	@local/run test/run.ts images

test-e2e: ## the end-to-end tests, in a stack of their own
	@local/run test/run.ts e2e

faults: ## the failure matrix, on a cluster of its own (FAULTS="--rows redis --runs 1")
	@local/run test/faults/run.ts $(FAULTS)

bench: ## measure, and write docs/benchmarks.md
	@local/run local/environment/main.ts with local/run bench/bench.ts

bench-web: ## measure the web tier under load, and write docs/benchmarks-web.md
	@local/run local/environment/main.ts with local/run bench/web.ts
