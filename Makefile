# Exchange OS. `make demo` shows it, `make test` proves it, `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := node_modules/.bin
XOS := target/release/xos
# The platform's own program: the launcher in .bin hides its exit status.
FORGE := node_modules/@foundry-rs/forge-*/bin/forge
export PATH := $(CURDIR)/$(BIN):$(PATH)
export FOUNDRY_DISABLE_NIGHTLY_WARNING := 1

# Demo: SPEED multiplies the replay's pace, TRADERS sets their number, EXIT=1 ends after the audit, KILL=n kills the
# node n times on the way.
SPEED ?= 1
TRADERS ?= 48
KILL ?= 0
DEMO_FLAGS = --speed $(SPEED) --traders $(TRADERS) --kill-node $(KILL) $(if $(EXIT),--exit)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---------------------------------------------------------------- install and build

node_modules/.package-lock.json: package.json package-lock.json .npmrc
	@echo "==> installing Foundry, solc, forge-std and OpenZeppelin from npm"
	npm ci
	@touch $@

.PHONY: deps
deps: node_modules/.package-lock.json ## Install what the build needs

.PHONY: contracts
contracts: deps ## Build the contracts
	@echo "==> building contracts"
	$(FORGE) build

.PHONY: build
build: contracts ## Build the sequencer and the command line
	@echo "==> building the Rust workspace (the first time takes some minutes)"
	cargo build --release --locked --workspace --bins

# ---------------------------------------------------------------- the two commands

.PHONY: demo
demo: build ## The 2026 World Cup, end to end (SPEED=, TRADERS=, KILL=, EXIT=1)
	@$(XOS) demo $(DEMO_FLAGS)

.PHONY: test
test: lint test-contracts test-rust test-demo ## Everything that must hold
	@tools/count-tests target/test-contracts.log target/test-rust.log

# ---------------------------------------------------------------- parts of `test`

.PHONY: test-contracts
test-contracts: contracts ## Contract tests
	@echo "==> contract tests"
	@mkdir -p target
	node test/vectors/make-eip712.mjs --check
	FORGE_SNAPSHOT_CHECK=true $(FORGE) test | tee target/test-contracts.log

.PHONY: test-rust
test-rust: contracts ## Rust tests, the differential ones among them
	@echo "==> Rust tests"
	@mkdir -p target
	cargo test --release --locked --workspace 2>&1 | tee target/test-rust.log

.PHONY: test-demo
test-demo: test-rust ## The whole demo, faster, with the node killed on the way
	@echo "==> the demo end to end, with the node killed twice"
	cargo build --release --locked --workspace --all-targets
	$(XOS) demo --exit --speed 4 --kill-node 2

.PHONY: test-long
test-long: contracts ## Long fuzzing: contract invariants and differential lives
	FOUNDRY_FUZZ_RUNS=20000 FOUNDRY_INVARIANT_RUNS=512 FOUNDRY_INVARIANT_DEPTH=256 $(FORGE) test
	XOS_LIVES=3000 cargo test --release --locked -p xos-chain --test differential -- --nocapture

.PHONY: lint
lint: contracts ## Formatters and linters, warnings are errors
	@echo "==> lint"
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	$(FORGE) fmt --check
	FOUNDRY_PROFILE=lint $(FORGE) lint --deny warnings
	tools/check-security

.PHONY: fmt
fmt: deps ## Format everything
	cargo fmt --all
	$(FORGE) fmt

# ---------------------------------------------------------------- benchmarks: one JSON line a result

BENCHES := engine journal auth gas
RESULTS := target/bench/results.jsonl

.PHONY: bench
bench: ## Every benchmark
	@mkdir -p $(dir $(RESULTS)) && : > $(RESULTS)
	@for bench in $(BENCHES); do $(MAKE) --no-print-directory bench-$$bench; done
	@echo "==> results in $(RESULTS)"

.PHONY: bench-book bench-memory bench-snapshot bench-engine bench-journal bench-auth
bench-engine: bench-book bench-memory bench-snapshot # First the book alone, what an order takes, and how the state is saved.
bench-memory bench-snapshot: CRATE = xos-engine
bench-book bench-memory bench-snapshot bench-engine bench-journal bench-auth: bench-%: contracts ## One benchmark
	@mkdir -p $(dir $(RESULTS))
	@cargo run --quiet --release --locked -p $(or $(CRATE),xos-$*) --example bench-$* | tee -a $(RESULTS)

.PHONY: gas
gas: contracts ## Take the gas snapshots anew (`make test` checks them)
	$(FORGE) test --match-contract 'Gas'
	git --no-pager diff --stat snapshots

.PHONY: bench-gas
bench-gas: contracts ## Gas per filled order, execution and calldata
	@mkdir -p $(dir $(RESULTS))
	@$(FORGE) test --match-contract 'Gas' > /dev/null
	@tools/gas-results | tee -a $(RESULTS)

.PHONY: clean
clean: ## Remove what was built
	rm -rf target out cache broadcast run node_modules
