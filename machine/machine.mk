# The command that makes and explains padding machines: `make machine`, then build/circflow-machine; docs/padding.md.

MACHINE := $(BUILD)/circflow-machine

.PHONY: machine
machine: $(MACHINE) ## Build the command that makes and explains padding machines, build/circflow-machine
	@:

$(MACHINE): $(SOURCES) Cargo.lock machine/Cargo.toml $(shell find machine/src -type f)
	$(call say,CARGO,$@ and the crates it uses: one to five minutes the first time)$(CARGO) build --release \
		--package circflow-machine --target-dir target
	@mkdir -p $(@D)
	@cp target/release/circflow-machine $@
	@touch $@
