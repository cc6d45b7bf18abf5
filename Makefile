# `make test` proves the project, `make demo` shows it; both work from a fresh clone with empty caches.

SUMU_CACHE ?= $(HOME)/.cache/sumu
# Outside of the checkout, so that a fresh clone builds in minutes.
CARGO_TARGET_DIR ?= $(SUMU_CACHE)/target
export SUMU_CACHE CARGO_TARGET_DIR

# The architecture's name in AWS.
ARCHITECTURE := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)
BIN := $(CARGO_TARGET_DIR)/debug
# Where image/build.sh leaves what is shipped, which the same commit builds to the same bytes anywhere.
SHIPPED = $(CARGO_TARGET_DIR)/$(shell rustc --print host-tuple)/release

# An end-to-end test mostly waits: five at once keep two cores busy.
TEST_THREADS ?= 5
# The stories for a real account: those that look at what users see, and inject nothing.
STORIES_IN_AWS := connect::a_token_in_a_place drift::an_edit lifecycle::an_applied_stack lifecycle::a_settled_stack \
	lifecycle::a_stack_in_use messages:: presence::a_user_is_online presence::presence_goes push::a_stack_that_rejects \
	neighbours::two_stacks crash::what_is_asked_for
# The name of a run, which is in each name of its resources.
RUN := $(or $(RUN),itest$(shell date +%H%M%S))

.PHONY: help demo test test-faults test-scale test-reproducible test-aws sweep-aws setup build lint bench crds chart functions image-root clean
.DEFAULT_GOAL := help

help: ## Shows this list.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | column -t -s '|'

demo: setup build ## Runs a live stack on this machine and talks to it; ONCE=1 ends by itself.
	@$(BIN)/demo $(if $(ONCE),--once)

test: setup lint build ## Checks everything: format, lints, docs, unit, API server and end-to-end tests.
	RUST_TEST_THREADS=$(TEST_THREADS) cargo test --workspace --locked

test-faults: setup build ## Runs every scenario of AWS's faults and every kill, which takes 23 minutes.
# Kills and noise by themselves: each has several operators at a time, and what is late is a failure.
	@failed=0; for group in "$(TEST_THREADS) faults:: delivery:: identity::" "2 kill::" "1 noise::"; do \
		set -- $$group; threads=$$1; shift; \
		RUST_TEST_THREADS=$$threads cargo test --workspace --locked --test live -- --include-ignored "$$@" || failed=1; \
	done; exit $$failed

test-scale: setup build ## A hundred stacks beside 600 big Secrets, and fifty that share AWS's rates; eleven minutes.
	RUST_TEST_THREADS=1 cargo test --workspace --locked --test live -- --include-ignored --nocapture scale::

test-reproducible: ## Builds what is shipped twice, in different places, and fails if a byte differs; half an hour.
	image/reproduce.sh

test-aws: setup functions ## Runs the stories of users in a real account, which costs cents: AWS_PROFILE=... make test-aws
	@echo "run $(RUN): everything in AWS is called sumu-$(RUN)-..., and make sweep-aws RUN=$(RUN) removes what a crash leaves"
	SUMU_TEST_AWS_RUN=$(RUN) RUST_TEST_THREADS=2 cargo test --workspace --locked --test live -- $(STORIES_IN_AWS); \
	told=$$?; $(BIN)/sweep $(RUN) && exit $$told

sweep-aws: ## Removes what a run of test-aws has left: AWS_PROFILE=... make sweep-aws RUN=itest...
	cargo build --workspace --locked --bins
	$(BIN)/sweep $(RUN)

setup: ## Makes what the testbed runs: kube-apiserver, etcd, kubectl, Helm and the AWS emulator.
	@tests/testbed/setup.sh

build: ## Builds every program.
	cargo build --workspace --locked --all-targets

lint: ## Checks format, lints and documentation; a warning is an error.
	cargo fmt --all --check
	cargo clippy --workspace --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --locked --no-deps

bench: ## Measures the functions beside what does the same; ONLY="posts start" chooses. Takes a quarter of an hour.
	cargo bench -p sumu-lambdas --locked --bench functions -- $(ONLY)

crds: ## Writes crds/sumustacks.yaml, the chart's copy of it and docs/reference.md from the Rust types.
	cargo build --workspace --locked
	$(BIN)/sumu-operator crd > crds/.sumustacks.yaml.new
	mv crds/.sumustacks.yaml.new crds/sumustacks.yaml
	cp crds/sumustacks.yaml charts/sumu-operator/files/sumustacks.yaml
	$(BIN)/sumu-operator reference > docs/.reference.md.new
	mv docs/.reference.md.new docs/reference.md

chart: ## Writes the table of values in the chart's README.md from its values.yaml.
	SUMU_WRITE_CHART=1 cargo test --workspace --locked --test chart -- values::

functions: build ## Packs the four Lambda functions, small and fast; takes minutes.
	image/build.sh
	$(BIN)/sumu-operator package --from $(SHIPPED) --to $(SUMU_CACHE)/functions --architecture $(ARCHITECTURE)

image-root: build ## Lays out what the image adds to its base, for this machine's processor alone; takes minutes.
	image/build.sh
	rm -rf $(SUMU_CACHE)/image
	image/layout.sh $(BIN)/sumu-operator $(SHIPPED)/sumu-operator $(SUMU_CACHE)/image $(ARCHITECTURE)=$(SHIPPED)

clean: ## Removes what was built, except for the testbed's programs.
	cargo clean
	rm -rf $(SUMU_CACHE)/functions $(SUMU_CACHE)/image
