# The simulation: whole networks in virtual time, from seeds.

SIM  := target/sim/circflow-sim
# Those that `make sim` gives on, each only if it is set.
SIM_OPTIONS = $(foreach name,SEEDS FIRST SHARD JOBS SEED STATS,$(if $($(name)),$(name)=$($(name))))

.PHONY: sim check-sim

sim: sim-build ## Simulate whole networks: SEEDS=100000 FIRST= SHARD=1/4 JOBS= STATS=1, or SEED= for one with its trace
	@$(SIM) $(SIM_OPTIONS)

check-sim: sim-build ## Simulate a thousand networks
	@$(SIM) SEEDS=1000

.PHONY: sim-build
sim-build:
	@$(CARGO) build --quiet --profile sim --package circflow-sim --target-dir target
