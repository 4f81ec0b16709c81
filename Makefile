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
LIB     := target/release/libcircflow.a
CHECKED := target/checked/libcircflow.a
HEADER  := include/circflow.h
SOURCES := $(shell find src -name '*.rs' -o -name '*.h') Cargo.toml cbindgen.toml build.rs

# What a Rust static library needs besides itself (cargo rustc -- --print native-static-libs).
NATIVE_LIBS := -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc
CWARN       := -Wall -Wextra -Wpedantic -Werror
CFLAGS      ?= -O2 -g
CCOMMON     := -std=c99 -D_POSIX_C_SOURCE=200809L $(CWARN) -Iinclude

# $(call say,CC)command: shows a short line in place of the command. V=1 shows the commands.
say = $(if $(filter 1,$(V)),,@printf '  %-5s %s\n' '$(1)' '$(or $(2),$(@:$(BUILD)/%=%))';)

.PHONY: all help lib header machines docs-events setup setup-demo clean install
all: lib header ## Build the library and its header

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

lib: $(LIB)

$(LIB): $(SOURCES)
	$(call say,CARGO,$@ and the crates it uses: one to three minutes the first time)$(CARGO) build --release --target-dir target
	@touch $@

$(CHECKED): $(SOURCES)
	$(call say,CARGO,$@)$(CARGO) build --profile checked --features test-hooks --target-dir target
	@touch $@

header: ## Renew include/circflow.h from the source
	@$(CARGO) check --quiet --lib --target-dir target
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

include docs/docs.mk
include examples/examples.mk
include c-tests/c-tests.mk
include benches/benches.mk
include sim/sim.mk
include study/study.mk
include fuzz/fuzz.mk
include trace/trace.mk
include machine/machine.mk
include integration/tor/tor.mk
include integration/shadow/shadow.mk

.PHONY: check-loom
# A target directory of its own: `--cfg loom` builds every crate anew.
check-loom: ## Run the lock-free code under loom, which tries every order of steps (minutes)
	RUSTFLAGS="--cfg loom" $(CARGO) test --release --target-dir target/loom --test loom

install: $(LIB) ## Install library, header and pkg-config file: PREFIX=, DESTDIR=
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include
	install -m 644 $(LIB) $(DESTDIR)$(PREFIX)/lib/
	install -m 644 $(HEADER) $(DESTDIR)$(PREFIX)/include/
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|; s|@LIBS@|$(NATIVE_LIBS)|' circflow.pc.in \
		> $(DESTDIR)$(PREFIX)/lib/pkgconfig/circflow.pc
	chmod 644 $(DESTDIR)$(PREFIX)/lib/pkgconfig/circflow.pc

clean: ## Remove what was built
	rm -rf $(BUILD)
	$(CARGO) clean --target-dir target
