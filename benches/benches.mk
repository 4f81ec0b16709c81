# Benches: instructions, time and memory for each cell, through the C ABI.

BENCH         := $(BUILD)/bench
BENCH_SOURCES := benches/bench.c benches/workloads.c benches/traces.c benches/stubs.c benches/peers.c benches/alloc.c
BENCH_CC      := $(CC) $(CCOMMON) -O2 -g

.PHONY: bench bench-smoke bench-cross

bench: setup $(BENCH)/bench $(BENCH)/bench-alloc ## Measure the library: FORMAT=md for a Markdown table, ONLY="name ..."
	@VERSION=$(VERSION) CC="$(CC)" FORMAT=$(FORMAT) ONLY="$(ONLY)" benches/run.sh $(BENCH)

bench-cross: setup $(BENCH)/bench $(BENCH)/bench-alloc ## Count instructions in two ways that must agree
	@VERSION=$(VERSION) CC="$(CC)" FORMAT=cross ONLY="$(ONLY)" benches/run.sh $(BENCH)

bench-smoke: $(BENCH)/bench-alloc ## Run every bench at a small size, for its checks only
	@FORMAT=smoke ONLY="$(ONLY)" benches/run.sh $(BENCH)

$(BENCH)/bench: $(BENCH_SOURCES) benches/bench.h $(HEADER) $(LIB)
	@mkdir -p $(BENCH)
	$(BENCH_CC) -o $@ $(BENCH_SOURCES) $(LIB) $(NATIVE_LIBS)

# A program of its own, as counting costs instructions.
$(BENCH)/bench-alloc: $(BENCH_SOURCES) benches/bench.h $(HEADER) $(LIB)
	@mkdir -p $(BENCH)
	$(BENCH_CC) -DCOUNT_ALLOCATIONS -o $@ $(BENCH_SOURCES) $(LIB) $(NATIVE_LIBS)
