# The simulation: whole networks in virtual time, from seeds.

SIM  := target/sim/circflow-sim
# Those that `make sim` gives on, each only if it is set.
SIM_OPTIONS = $(foreach name,SEEDS FIRST SHARD JOBS SEED STATS,$(if $($(name)),$(name)=$($(name)))) $(SIM_TRACE)
# Elsewhere TRACE is the program that reads traces.
SIM_TRACE   = $(if $(filter command,$(firstword $(origin TRACE))),TRACE=$(TRACE))

.PHONY: sim check-sim

sim: sim-build ## Simulate whole networks: SEEDS=100000 FIRST= SHARD=1/4 JOBS= STATS=1, or SEED= for one with its steps, TRACE=file
	@$(SIM) $(SIM_OPTIONS)

check-sim: sim-build ## Simulate a thousand networks
	@$(SIM) SEEDS=1000
	@mkdir -p $(BUILD)
	@for copy in one two; do $(SIM) SEED=1 TRACE=$(BUILD)/sim-$$copy.trace >/dev/null || exit 1; done
	@cmp $(BUILD)/sim-one.trace $(BUILD)/sim-two.trace

.PHONY: sim-build
sim-build:
	@$(CARGO) build --quiet --profile sim --package circflow-sim --target-dir target
