# `make` alone lists what there is. Every target first sets up what it needs and lacks (scripts/setup).

# Where cargo puts what it builds, also when CARGO_TARGET_DIR moves it.
RELEASE := $(abspath $(or $(CARGO_TARGET_DIR),target))/release
PYTHON  := .venv/bin/python
SCRIPTS := $(wildcard scripts/*) .ci/run tests/third_party/run

# Arguments for the server: make run ARGS="--videos /srv/films"
ARGS ?=

# Tests of the server wait for it most of the time: two on each core at once.
export RUST_TEST_THREADS ?= $(shell expr 2 '*' $$(getconf _NPROCESSORS_ONLN))

.PHONY: help run test lint bench setup videos clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

run: ## build and start the server on the sample videos (ARGS="..." goes to it)
	scripts/setup run
	cargo build --release
	scripts/make_videos --missing
	$(RELEASE)/playhouse serve $(ARGS)

# Release mode: key generation and picture coding are too slow to test without. The Python clients and the
# browser talk to the binary that `cargo test` builds for its system tests: all is compiled once.
test: ## run everything: unit, property and system tests, the Python clients, the console in a browser
	scripts/setup test
	scripts/make_videos --missing
	cargo test --workspace --release
	tests/third_party/run
	PLAYHOUSE_BIN=$(RELEASE)/playhouse $(PYTHON) -m unittest discover -s tests/clients -v
	PLAYHOUSE_BIN=$(RELEASE)/playhouse $(PYTHON) -m unittest discover -s tests/browser -v

lint: ## formatting, clippy, shell and Python syntax
	scripts/setup run
	cargo fmt --all --check
	cargo fmt --manifest-path tests/third_party/Cargo.toml --check
	cargo clippy --workspace --all-targets --release -- -D warnings
	for script in $(SCRIPTS); do bash -n "$$script" || exit 1; done
	@if command -v shellcheck >/dev/null; \
	then echo "shellcheck $(SCRIPTS)"; shellcheck $(SCRIPTS); \
	else echo "shellcheck is not installed: skipped"; fi
	python3 -m compileall -q clients tests benches

bench: ## measure against plain OpenCV, redis-server and nginx, side by side
	scripts/setup bench
	scripts/make_videos --missing
	cargo build --release --workspace
	PATH="$(abspath .venv/bin):$$PATH" $(RELEASE)/playhouse-bench all

setup: ## only install what is missing for run, test and bench
	scripts/setup test
	scripts/setup bench

videos: ## make the sample videos again
	scripts/setup run
	scripts/make_videos

clean: ## remove what was built, and the Python environment
	cargo clean
	rm -rf .venv
