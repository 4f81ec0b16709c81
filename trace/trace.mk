# The command that reads traces: `make trace`, then build/circflow-trace.

TRACE := $(BUILD)/circflow-trace

.PHONY: trace
trace: $(TRACE) ## Build the command that reads records of engines, build/circflow-trace

$(TRACE): $(SOURCES) $(HEADER) Cargo.lock $(shell find trace -name '*.rs' -o -name 'Cargo.toml')
	$(CARGO) build --release --package circflow-trace --target-dir target
	@mkdir -p $(@D)
	cp target/release/circflow-trace $@
	@touch $@
