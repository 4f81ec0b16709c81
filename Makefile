# circflow: `make help` lists what there is.
#
# The Rust side is cargo's. This file builds what is C (tests, examples, benches), and ties the two together.

CARGO   ?= cargo
CC      ?= cc
CXX     ?= c++
PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   := build

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
HEADER  := include/circflow.h
SOURCES := $(shell find src -name '*.rs' -o -name '*.h') Cargo.toml $(wildcard build.rs)

CWARN       := -Wall -Wextra -Wpedantic -Werror
CFLAGS      ?= -O2 -g
CCOMMON     := -std=c99 -D_POSIX_C_SOURCE=200809L $(CWARN) -Iinclude

# $(call say,CC)command: shows a short line in place of the command. V=1 shows the commands.
say = $(if $(filter 1,$(V)),,@printf '  %-5s %s\n' '$(1)' '$(or $(2),$(@:$(BUILD)/%=%))';)

.PHONY: all help header machines docs-events setup setup-demo clean
all: lib ## Build the library

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

header: ## Renew include/circflow.h from the source
	@$(CARGO) check --quiet --lib --features header --target-dir target
	@new=$$(ls -t target/debug/build/circflow-*/out/circflow.h | head -n 1); \
	cmp -s $$new $(HEADER) || { cp $$new $(HEADER); echo "$(HEADER) is new"; }

machines: ## Renew tests/machines and examples/machines from tests/common/machines.rs
	CIRCFLOW_WRITE_MACHINES=1 $(CARGO) test --target-dir target --test machine_texts

docs-events: ## Renew the tables of docs/events.md from src/event/table.rs
	CIRCFLOW_WRITE_EVENTS=1 $(CARGO) test --target-dir target --test events_page

# The library needs Rust and its linker, and no package. A target names what it needs besides.
DEMO_PACKAGES := build-essential pkg-config libevent-dev
TEST_PACKAGES := $(DEMO_PACKAGES) libcmocka-dev valgrind

setup: ## Install the Debian packages that demo and tests need
	@scripts/setup.sh $(TEST_PACKAGES)

setup-demo: ## Install those that the examples and the demo need
	@scripts/setup.sh $(DEMO_PACKAGES)

include capi/capi.mk
include packaging/packaging.mk
include docs/docs.mk
include examples/examples.mk
# A source archive (make dist) comes without these.
include $(wildcard c-tests/c-tests.mk benches/benches.mk sim/sim.mk study/study.mk fuzz/fuzz.mk trace/trace.mk \
	machine/machine.mk packaging/debian/debian.mk integration/tor/tor.mk integration/shadow/shadow.mk)

.PHONY: check-loom
# A target directory of its own: `--cfg loom` builds every crate anew.
check-loom: ## Run the lock-free code under loom, which tries every order of steps (minutes)
	RUSTFLAGS="--cfg loom" $(CARGO) test --release --target-dir target/loom --test loom

clean: ## Remove what was built
	rm -rf $(BUILD)
	$(CARGO) clean --target-dir target
