# The C tests: one cmocka program for each subject, built against the library with every check on, against the release,
# under valgrind, and with sanitizers.

C_TESTS      := memory life errors reentry tokens link receive send close log import wire order edges padding ownqueue timers \
                budgets negotiate padsoak padscale elsewhere hub threads queue relay streams ended congestion roles legs \
                params
C_TESTS      += loops readme
C_TESTS      += twin many
C_TESTS      += handles wrong
C_TESTS      += age pinning
C_TESTS      += detail
C_TESTS      += names
C_TESTS      += rows
C_TESTS      += grow service leaving channel
# These need the checked library's feature test-hooks.
C_TESTS_HOOK := poison
# Hosts in C++.
CXX_TESTS    := throw
C_TESTS      += work clock record counters
C_TEST_DEPS  := c-tests/host.c c-tests/host.h c-tests/every.h $(HEADER)
C_TEST_FLAGS := $(CCOMMON) $(CFLAGS) $(shell pkg-config --cflags cmocka 2>/dev/null) -DHEADER_PATH='"$(HEADER)"' \
                -I$(BUILD)/c-tests
CXX_TEST_FLAGS := -std=c++11 $(CWARN) -O2 -g -Iinclude
# Asked for when it is used: `setup` may have just installed it.
CMOCKA_LIBS   = $$(pkg-config --libs cmocka)
README_PROGRAM := $(BUILD)/c-tests/readme_program.h
SANITIZERS   := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
VALGRIND     ?= valgrind
C_STANDARDS  := c99 c11 c17
C_TESTS      += lengths
C_TESTS      += choices own_choice

CHECKED_TESTS := $(patsubst %,$(BUILD)/c-tests/checked/%,$(C_TESTS) $(C_TESTS_HOOK) $(CXX_TESTS))
RELEASE_TESTS := $(patsubst %,$(BUILD)/c-tests/release/%,$(C_TESTS) $(CXX_TESTS))
ASAN_TESTS    := $(patsubst %,$(BUILD)/c-tests/asan/%,$(C_TESTS) $(C_TESTS_HOOK) $(CXX_TESTS))

# What README and the examples say must be so: the example on one screen compiles, and the small
# examples print what they should.
check-examples: examples ## Run the small examples, and compile the example of README
	@for name in $(SAME_NAMES); do \
		build/examples/$$name | diff - examples/$$name.out || { echo "check-examples: FAILED: $$name"; exit 1; }; \
	done
	@examples/move-a-file.sh $(EXAMPLES)/tunnel $(BUILD)/tunnel
	@examples/fetch-metrics.sh build/examples/metrics
	@$(MAKE) --no-print-directory $(README_PROGRAM)
	$(call say,CC,$(README_PROGRAM))$(CC) $(CCOMMON) -fsyntax-only -x c $(README_PROGRAM)
	$(call say,CXX,$(README_PROGRAM))$(CXX) -std=c++11 $(CWARN) -Iinclude -fsyntax-only -x c++ $(README_PROGRAM)
	@$(MAKE) --no-print-directory demo-padding-short
	@echo "check-examples: OK"

.PHONY: check check-lint check-dead check-examples check-c check-c-header check-valgrind check-asan check-tsan c-tests-checked c-tests-release c-tests-asan

check: setup ## Run every test: Rust, C, Python, the examples, a simulation, fuzzers for a moment, a short demo, small benches
	$(CARGO) test --features header
	$(CARGO) test --package circflow-trace
	$(CARGO) test --package circflow-study
	$(CARGO) test --package circflow-machine
	@$(MAKE) --no-print-directory check-lint
	@$(MAKE) --no-print-directory check-c
	@$(MAKE) --no-print-directory check-examples
	@$(MAKE) --no-print-directory check-sim
	@$(MAKE) --no-print-directory check-dead
	@$(MAKE) --no-print-directory check-shadow
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny --log-level error --workspace --offline check bans licenses sources; fi
	$(CARGO) test --package circflow-fuzz
	@$(MAKE) --no-print-directory check-fuzz
	@$(MAKE) --no-print-directory demo-short
	@$(MAKE) --no-print-directory demo-slow-short
	@$(MAKE) --no-print-directory demo-circuits-short
	@$(MAKE) --no-print-directory demo-unequal-short
	@$(MAKE) --no-print-directory check-demo
	@$(MAKE) --no-print-directory bench-smoke
	@echo "check: OK"

# A Rust that is newer than ours may have lints that we have not seen: LINTS= only prints them.
LINTS        ?= -D warnings
check-lint: ## Check that clippy, where it is installed, and rustdoc have nothing to say
	@if $(CARGO) clippy --version >/dev/null 2>&1; then $(CARGO) clippy --workspace --features circflow/header --all-targets -- $(LINTS); fi
	RUSTDOCFLAGS="$(LINTS)" $(CARGO) doc --workspace --no-deps

check-dead: ## Check that all of src is reached from the functions of C
	@CARGO="$(CARGO)" scripts/dead.sh

check-c: setup check-c-header check-symbols check-beside c-tests-checked c-tests-release ## Run the C tests: every check on, then the release
	@$(call run_all,check-c,,$(CHECKED_TESTS) $(RELEASE_TESTS))

check-valgrind: setup c-tests-checked ## Run the C tests under valgrind: an invalid access or a leak is a failure
	@PADSCALE_CIRCUITS=1000; THREADS_MESSAGES=4000; export PADSCALE_CIRCUITS THREADS_MESSAGES; \
	$(call run_all,check-valgrind,$(VALGRIND) --quiet --num-callers=40 --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=all \
		--suppressions=c-tests/valgrind.supp --error-exitcode=1,$(CHECKED_TESTS))

check-asan: setup c-tests-asan $(BUILD)/c-tests/asan/overflow ## Run the C tests with address and undefined-behaviour sanitizers
	@for test in $(ASAN_TESTS); do \
		nm $$test | grep -q __asan_init || { echo "check-asan: FAILED: no sanitizer in $$test"; exit 1; }; \
	done
	@if $(BUILD)/c-tests/asan/overflow 2>$(BUILD)/c-tests/asan/overflow.txt || \
		! grep -q heap-buffer-overflow $(BUILD)/c-tests/asan/overflow.txt; then \
		echo "check-asan: FAILED: the sanitizer missed a heap overflow"; exit 1; \
	fi
	@$(call run_all,check-asan,env ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1,$(ASAN_TESTS))

TSAN_HOST    = $(shell rustc -vV | sed -n 's/^host: //p')
TSAN_RUNTIME = $(wildcard $(shell rustc --print sysroot)/lib/rustlib/$(TSAN_HOST)/lib/librustc-*_rt.tsan.a)
TSAN_DIR     = $(BUILD)/c-tests/tsan
TSAN_LIB     = target/tsan/$(TSAN_HOST)/debug/libcircflow_c.a
TSAN_LINK    = $(TSAN_LIB) -Wl,--whole-archive $(TSAN_RUNTIME) -Wl,--no-whole-archive -Wl,--export-dynamic

# Library and host both with the sanitizer. The stock toolchain ships its runtime; RUSTC_BOOTSTRAP lets it take the one
# flag. What that cannot judge, as std is not built anew, is in c-tests/tsan.supp.
# make reads $(NATIVE_LIBS) before the first command of a rule runs, so the list is read by the shell here.
check-tsan: NATIVE = target/tsan/native-libs
check-tsan: setup ## Run the event loops of c-tests/threads.c under ThreadSanitizer
	@[ -n "$(TSAN_RUNTIME)" ] || { echo "check-tsan: FAILED: this Rust comes without ThreadSanitizer's runtime;" \
		"that of rustup, on Linux and x86-64 or aarch64, has it"; exit 1; }
	RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" $(CARGO) rustc \
		--package circflow-c --lib --crate-type staticlib --target $(TSAN_HOST) --target-dir target/tsan -- \
		--print native-static-libs=$(NATIVE)
	@mkdir -p $(TSAN_DIR)
	$(call say,CC,c-tests/tsan/threads.o)$(CC) $(C_TEST_FLAGS) -O1 -fsanitize=thread -c c-tests/threads.c -o $(TSAN_DIR)/threads.o
	$(call say,CC,c-tests/tsan/race.o)$(CC) $(C_TEST_FLAGS) -O1 -fsanitize=thread -c c-tests/race.c -o $(TSAN_DIR)/race.o
	$(call say,CC,c-tests/tsan/host.o)$(CC) $(C_TEST_FLAGS) -c c-tests/host.c -o $(TSAN_DIR)/host.o
	$(call say,LD,c-tests/tsan/race)$(CC) $(TSAN_DIR)/race.o $(TSAN_LINK) $$(cat $(NATIVE)) -lresolv -o $(TSAN_DIR)/race
	$(call say,LD,c-tests/tsan/threads)$(CC) $(TSAN_DIR)/threads.o $(TSAN_DIR)/host.o $(TSAN_LINK) $(CMOCKA_LIBS) $$(cat $(NATIVE)) -lresolv -o $(TSAN_DIR)/threads
	@if TSAN_OPTIONS="exitcode=66 suppressions=c-tests/tsan.supp" $(TSAN_DIR)/race >$(TSAN_DIR)/race.log 2>&1; then \
		echo "check-tsan: FAILED: the sanitizer missed a data race"; exit 1; fi
	@for planted in '#0 count' '#[0-9] .*circflow::'; do \
		grep -q "$$planted" $(TSAN_DIR)/race.log || \
			{ echo "check-tsan: FAILED: the sanitizer missed the planted race $$planted"; exit 1; }; \
	done
	@TSAN_OPTIONS="exitcode=66 suppressions=c-tests/tsan.supp" $(TSAN_DIR)/threads >$(TSAN_DIR)/threads.log 2>&1 || \
		{ cat $(TSAN_DIR)/threads.log; echo "check-tsan: FAILED"; exit 1; }
	@grep delivered $(TSAN_DIR)/threads.log
	@echo "check-tsan: OK; both planted races were reported"

# $(call run_all,target,command in front,programs): runs all of them, also when one fails, and sums up.
define run_all
	failed=""; count=0; \
	for test in $(3); do \
		count=$$((count + 1)); \
		if RUST_BACKTRACE=0 $(2) $$test >$$test.log 2>&1; then \
			echo "$$test: $$(grep -c '^\[       OK' $$test.log) passed"; \
		else \
			failed="$$failed $$test"; cat $$test.log; \
		fi; \
	done; \
	if [ -n "$$failed" ]; then echo "$(1): FAILED:$$failed"; exit 1; fi; \
	echo "$(1): OK, $$count programs"
endef

# README's program, which c-tests/readme.c runs.
$(README_PROGRAM): README.md c-tests/readme.h
	@mkdir -p $(@D)
	@{ cat c-tests/readme.h; sed -n '/^```c$$/,/^```$$/p' README.md | grep -v '^```'; } >$@

$(BUILD)/c-tests/checked/readme $(BUILD)/c-tests/release/readme $(BUILD)/c-tests/asan/readme: $(README_PROGRAM)

$(BUILD)/c-tests/checked/rows $(BUILD)/c-tests/release/rows $(BUILD)/c-tests/asan/rows: c-tests/stream_rows.h

# The programs, by phony names, so that a check builds what it runs.
c-tests-checked: $(CHECKED_TESTS)
c-tests-release: $(RELEASE_TESTS)
c-tests-asan: $(ASAN_TESTS)

$(BUILD)/c-tests/checked/%: c-tests/%.c $(C_TEST_DEPS) $(CHECKED) | setup
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(C_TEST_FLAGS) $< c-tests/host.c $(CHECKED) $(CMOCKA_LIBS) $(CHECKED_LIBS) -o $@

$(BUILD)/c-tests/release/%: c-tests/%.c $(C_TEST_DEPS) $(LIB) | setup
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(C_TEST_FLAGS) $< c-tests/host.c $(LIB) $(CMOCKA_LIBS) $(NATIVE_LIBS) -o $@

$(BUILD)/c-tests/asan/%: c-tests/%.c $(C_TEST_DEPS) $(CHECKED) | setup
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(C_TEST_FLAGS) $(SANITIZERS) $< c-tests/host.c $(CHECKED) $(CMOCKA_LIBS) $(CHECKED_LIBS) -o $@

$(BUILD)/c-tests/checked/%: c-tests/%.cc $(HEADER) $(CHECKED) | setup
	@mkdir -p $(@D)
	$(call say,CXX)$(CXX) $(CXX_TEST_FLAGS) $< $(CHECKED) $(CHECKED_LIBS) -o $@

$(BUILD)/c-tests/release/%: c-tests/%.cc $(HEADER) $(LIB) | setup
	@mkdir -p $(@D)
	$(call say,CXX)$(CXX) $(CXX_TEST_FLAGS) $< $(LIB) $(NATIVE_LIBS) -o $@

$(BUILD)/c-tests/asan/%: c-tests/%.cc $(HEADER) $(CHECKED) | setup
	@mkdir -p $(@D)
	$(call say,CXX)$(CXX) $(CXX_TEST_FLAGS) $(SANITIZERS) $< $(CHECKED) $(CHECKED_LIBS) -o $@

# The header in every language it promises, and C++ that links.
check-c-header: $(HEADER) $(LIB)
	@for std in $(C_STANDARDS); do \
		$(CC) -std=$$std $(CWARN) -fsyntax-only -x c $(HEADER) || exit 1; \
	done
	@$(CXX) -std=c++11 $(CWARN) -fsyntax-only -x c++ $(HEADER)
	@mkdir -p $(BUILD)/c-tests
	@$(CXX) -std=c++11 $(CWARN) -Iinclude c-tests/cxx.cc $(LIB) $(NATIVE_LIBS) -o $(BUILD)/c-tests/cxx
	@$(BUILD)/c-tests/cxx
	@echo "header: $(C_STANDARDS) c++11"
