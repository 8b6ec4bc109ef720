# Every target is one line that calls a tool; `make help` lists them. STACK names the stack; NODES sets the size of a new cluster.
STACK ?= dev

.DEFAULT_GOAL := help
.PHONY: help up preview status backup backups restore drift promote down local-up local-down local-purge tools env pictures pins pins-move golden test test-long test-images test-e2e faults bench bench-web

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

up: ## set up whatever is missing, deploy STACK (default dev) and check that it works
	@local/run local/stacks/main.ts up $(STACK)

preview: ## show what a change does to STACK and which policy rules it breaks; works without credentials, too (PREVIEW="--keyless --base main")
	@local/run local/stacks/preview.ts $(STACK) $(PREVIEW)

status: ## show STACK's pods, replication and volumes, and what is wrong; docs/runbook.md says what to do
	@local/run local/stacks/status.ts $(STACK)

backup: ## take a base of STACK's MySQL now; docs/backup.md says how to turn backups on
	@local/run local/stacks/backup.ts take $(STACK)

backups: ## list the bases of STACK's MySQL, and between which times it can be restored
	@local/run local/stacks/backup.ts list $(STACK)

restore: ## restore STACK's MySQL in place: AT=latest or a time, GTID=, BASE=, or UNDO=1; docs/backup.md says what stays
	@local/run local/stacks/main.ts restore $(STACK) "$(AT)" "$(GTID)" "$(BASE)" "$(UNDO)"

drift: ## show what someone changed in STACK by hand since its last update
	@local/run local/stacks/drift.ts $(STACK)

promote: ## copy the images that stack FROM has deployed, and pin them in stack TO: FROM=dev TO=prod
	@local/run local/stacks/promote.ts "$(FROM)" "$(TO)"

down: ## destroy STACK with its data, and wait until nothing is left
	@local/run local/stacks/main.ts down $(STACK)

local-up: ## set up the local environment only: Docker, registry, cluster, tools (NODES=3 for three nodes)
	@local/run local/environment/main.ts up

local-down: ## stop what local-up started; keep everything
	@local/run local/environment/main.ts down

local-purge: ## remove the local environment with all its data, and free its disk space
	@local/run local/environment/main.ts purge

tools: ## install only Pulumi and its plugins, into ~/.cache/dabaweb-pulumi: what a preview needs
	@local/run local/environment/main.ts tools

env: ## print the exports for plain pulumi, kubectl and docker on STACK: eval "$(make -s env)"; with EXAMPLE=key-value, prepare that program
	@local/run local/stacks/main.ts env "$(STACK)" "$(EXAMPLE)"

pictures: ## create the pictures in README.md and docs/: drawings, and screenshots of the running stack dev
	@local/run docs/pictures.ts

pins: ## check that users can download every pinned file and image
	@local/run local/pin-upkeep/check.ts

pins-move: ## pin today's digests of the images, or other versions (PINS="redis:8.2.11")
	@local/run local/pin-upkeep/move.ts $(PINS)

golden: ## write the resource graphs of the stacks to test/golden; docs/review.md says what they are for
	@local/run test/golden/write.ts

test: ## run all tests: unit, graphs, images, end to end; ONLY=mysql (a part or a path) runs what a change to it can break
	@local/run test/run.ts $(if $(ONLY),--only "$(ONLY)")

test-long: ## run more of each test; docs/tests.md lists what, and it takes hours instead of minutes
	@GRAPHS=10000 TEST_LONG=yes local/run test/run.ts

test-images: ## run the tests of the images, with Docker only
	@local/run test/run.ts images

test-e2e: ## run the end-to-end tests, in their own stacks
	@local/run test/run.ts e2e

faults: ## run the failure matrix, on its own cluster (FAULTS="--rows redis --runs 1")
	@local/run test/faults/run.ts $(FAULTS)

bench: ## measure updates and previews, and write docs/benchmarks.md
	@local/run local/environment/main.ts with local/run bench/bench.ts

bench-web: ## measure the web tier under load, and write docs/benchmarks-web.md
	@local/run local/environment/main.ts with local/run bench/web.ts
