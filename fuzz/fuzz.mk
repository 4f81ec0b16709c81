# Coverage-guided fuzzing with libFuzzer, whose source comes with a crate; the stock toolchain of rustup instruments.

FUZZ_TARGETS := abi machines wire peer
FUZZ_HOST     = $(shell rustc -vV | sed -n 's/^host: //p')
FUZZ_BIN      = target/fuzz/$(FUZZ_HOST)/checked/fuzz-
FUZZ_OUT     := $(BUILD)/fuzz
# What cargo-fuzz asks for, too. RUSTC_BOOTSTRAP lets a stable compiler take the one flag that begins with -Z.
FUZZ_FLAGS   := -Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer -Cpasses=sancov-module \
	-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
	-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1
# Seconds for one input, and MiB: far above what any needs.
FUZZ_CAPS    := -timeout=60 -rss_limit_mb=2048
TIME         ?= 60
FUZZ_CHOSEN   = $(or $(ONLY),$(FUZZ_TARGETS))

.PHONY: fuzz check-fuzz fuzz-build fuzz-replay fuzz-merge

fuzz: fuzz-build ## Fuzz the C ABI, machine texts, decoders and the hostile peer: TIME=seconds for each, ONLY="abi wire"
	@$(call fuzz_all,$(FUZZ_CHOSEN),-max_total_time=$(TIME))
	@echo "fuzz: OK"

check-fuzz: fuzz-build ## Replay the fuzzers' corpus, fuzz for a few seconds, and find a planted crash
	@$(call fuzz_all,$(FUZZ_TARGETS),--check)
	@fuzz/planted.sh $(FUZZ_BIN)planted $(FUZZ_OUT) "$(MAKE)"
	@echo "check-fuzz: OK"

fuzz-replay: fuzz-build ## Play one input again, as a crash has printed it: TARGET=abi INPUT=path, or BASE64=
	@mkdir -p $(FUZZ_OUT)
	@$(if $(BASE64),printf '%s' '$(BASE64)' | base64 -d >$(FUZZ_OUT)/input)
	@$(FUZZ_BIN)$(TARGET) $(FUZZ_CAPS) $(or $(INPUT),$(FUZZ_OUT)/input)

fuzz-merge: fuzz-build ## Keep in fuzz/corpus what reaches more, of all that was found: ONLY=
	@for target in $(FUZZ_CHOSEN); do fuzz/merge.sh $(FUZZ_BIN)$$target $$target $(FUZZ_OUT)/$$target || exit 1; done

fuzz-build:
	@scripts/setup.sh build-essential
	@command -v rustc >/dev/null && [ -n "$$(ls $$(rustc --print sysroot)/lib/rustlib/$(FUZZ_HOST)/lib/librustc-*_rt.asan.a \
		2>/dev/null)" ] || { echo "fuzz: FAILED: this Rust comes without sanitizers; that of rustup has them"; exit 1; }
	@RUSTC_BOOTSTRAP=1 RUSTFLAGS="$(FUZZ_FLAGS)" $(CARGO) build --quiet --profile checked --package circflow-fuzz --bins \
		--target $(FUZZ_HOST) --target-dir target/fuzz

# $(call fuzz_all,targets,options): new inputs go to build/fuzz, never to the repository.
define fuzz_all
	for target in $(1); do \
		mkdir -p $(FUZZ_OUT)/$$target; \
		fuzz/run.sh $(FUZZ_BIN)$$target $$target $(FUZZ_OUT)/$$target $(FUZZ_CAPS) $(2) || exit 1; \
	done
endef
