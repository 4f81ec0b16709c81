# Benches: instructions, time and memory for each cell, through the C ABI.

BENCH         := $(BUILD)/bench
BENCH_SOURCES := benches/bench.c benches/checks.c benches/workloads.c benches/traces.c benches/stubs.c benches/peers.c \
	benches/alloc.c
BENCH_CC      := $(CC) $(CCOMMON) -O2 -g

.PHONY: bench bench-page bench-conflux bench-padding bench-queue bench-run bench-scale bench-scale-page bench-smoke bench-cross

bench: bench-conflux bench-padding bench-queue bench-run ## Measure the library: FORMAT=md for Markdown tables
	@:

bench-page: setup $(BENCH)/bench $(BENCH)/bench-alloc $(BENCH)/bench-padding $(BENCH)/bench-maybenot $(BENCH)/bench-timers \
	$(BENCH)/bench-libevent $(BENCH)/bench-queue $(BENCH)/bench-run $(BENCH)/bench-run-alloc ## Measure as bench, into docs/performance.md
	@VERSION=$(VERSION) CC="$(CC)" FROM=$(FROM) benches/page.sh $(BENCH)

bench-conflux: setup $(BENCH)/bench $(BENCH)/bench-alloc ## Measure conflux alone: ONLY="name ..."
	@VERSION=$(VERSION) CC="$(CC)" FORMAT=$(FORMAT) ONLY="$(ONLY)" benches/run.sh $(BENCH)

bench-cross: setup $(BENCH)/bench $(BENCH)/bench-alloc ## Count instructions in two ways that must agree
	@VERSION=$(VERSION) CC="$(CC)" FORMAT=cross ONLY="$(ONLY)" benches/run.sh $(BENCH)

bench-smoke: $(BENCH)/bench-alloc $(BENCH)/bench-run-alloc $(BENCH)/bench-queue $(BENCH)/bench-scale-alloc ## Run the benches at a small size, for their checks only
	@FORMAT=smoke ONLY="$(ONLY)" benches/run.sh $(BENCH)
	@FORMAT=smoke benches/circuits.sh $(BENCH)
	@FORMAT=smoke benches/queue.sh $(BENCH)
	@FORMAT=smoke benches/scale.sh $(BENCH)

$(BENCH)/bench: $(BENCH_SOURCES) benches/bench.h $(HEADER) $(LIB)
	@mkdir -p $(BENCH)
	$(call say,CC)$(BENCH_CC) -o $@ $(BENCH_SOURCES) $(LIB) $(NATIVE_LIBS)

# A program of its own, as counting costs instructions.
$(BENCH)/bench-alloc: $(BENCH_SOURCES) benches/bench.h $(HEADER) $(LIB)
	@mkdir -p $(BENCH)
	$(call say,CC)$(BENCH_CC) -DCOUNT_ALLOCATIONS -o $@ $(BENCH_SOURCES) $(LIB) $(NATIVE_LIBS)

# Padding, its peers, and the timers under it.
PEER := target/maybenot-ffi/release/libbench_maybenot_ffi.a

bench-padding: setup $(BENCH)/bench-padding $(BENCH)/bench-maybenot $(BENCH)/bench-timers $(BENCH)/bench-libevent ## Measure padding and timers: FORMAT=md for a Markdown table
	@FORMAT=$(FORMAT) benches/padding.sh $(BENCH)

$(BENCH)/bench-padding: benches/padding.c benches/padding.h $(HEADER) $(LIB)
	@mkdir -p $(BENCH)
	$(call say,CC)$(BENCH_CC) -D_GNU_SOURCE -o $@ benches/padding.c $(LIB) $(NATIVE_LIBS)

$(BENCH)/bench-maybenot: benches/padding_peer.c benches/padding.h $(PEER) | $(LIB)
	@mkdir -p $(BENCH)
	$(call say,CC)$(BENCH_CC) -o $@ benches/padding_peer.c $(PEER) $(NATIVE_LIBS)

$(BENCH)/bench-libevent: benches/peer_timers.c benches/padding.h benches/random.h
	@mkdir -p $(BENCH)
	$(call say,CC)$(BENCH_CC) $(shell pkg-config --cflags libevent) -o $@ $< $(shell pkg-config --libs libevent)

$(BENCH)/bench-timers: benches/timers.rs $(LIB)
	@mkdir -p $(BENCH)
	@cp "$$($(CARGO) build --release --target-dir target --bench timers --message-format short 2>/dev/null; \
		ls -t target/release/deps/timers-* | grep -v '\.d$$' | head -n 1)" $@

$(PEER): benches/maybenot-ffi/Cargo.toml benches/maybenot-ffi/src/lib.rs
	$(CARGO) build --release --manifest-path benches/maybenot-ffi/Cargo.toml --target-dir target/maybenot-ffi

# The backpressure queue and its peers: one program in Rust, as its channels have no names in C.
bench-queue: setup $(BENCH)/bench-queue ## Measure the backpressure queue: FORMAT=md for a Markdown table
	@FORMAT=$(FORMAT) benches/queue.sh $(BENCH)

$(BENCH)/bench-queue: benches/queue.rs $(LIB)
	@mkdir -p $(BENCH)
	@cp "$$($(CARGO) build --release --target-dir target --bench queue --message-format short 2>/dev/null; \
		ls -t target/release/deps/queue-* | grep -v '\.d$$' | head -n 1)" $@

# Circuits that circflow runs.
RUN_SOURCES := benches/circuits.c benches/checks.c benches/tunnel.c benches/tunnel_parts.c benches/tunnel_threads.c \
	benches/peers.c benches/alloc.c

bench-run: setup $(BENCH)/bench-run $(BENCH)/bench-run-alloc ## Measure circuits that circflow runs: FORMAT=md for Markdown tables
	@FORMAT=$(FORMAT) benches/circuits.sh $(BENCH)

$(BENCH)/bench-run: $(RUN_SOURCES) benches/bench.h benches/tunnel.h benches/tunnel_parts.h $(HEADER) $(LIB)
	@mkdir -p $(BENCH)
	$(call say,CC)$(BENCH_CC) -o $@ $(RUN_SOURCES) $(LIB) $(NATIVE_LIBS)

$(BENCH)/bench-run-alloc: $(RUN_SOURCES) benches/bench.h benches/tunnel.h benches/tunnel_parts.h $(HEADER) $(LIB)
	@mkdir -p $(BENCH)
	$(call say,CC)$(BENCH_CC) -DCOUNT_ALLOCATIONS -o $@ $(RUN_SOURCES) $(LIB) $(NATIVE_LIBS)

# What operations cost among few and among many.
SCALE_SOURCES := benches/scale.c benches/scale_library.c benches/scale_other.c benches/scale_peer.c benches/checks.c \
	benches/alloc.c
SCALE_HEADERS := benches/bench.h benches/padding.h benches/random.h benches/scale.h benches/scale_peer.h
SCALE_CC      := $(BENCH_CC) -D_GNU_SOURCE

bench-scale: setup $(BENCH)/bench-scale $(BENCH)/bench-scale-alloc ## Measure costs among 1 to 1,000,000: SCALE="1 1000 .." FORMAT=md|csv
	@FORMAT=$(FORMAT) SCALE="$(SCALE)" benches/scale.sh $(BENCH)

bench-scale-page: setup $(BENCH)/bench-scale $(BENCH)/bench-scale-alloc ## Renew docs/scale.svg and its tables in docs/performance.md
	@FORMAT=page SCALE="$(SCALE)" benches/scale.sh $(BENCH)

$(BENCH)/bench-scale: $(SCALE_SOURCES) $(SCALE_HEADERS) $(HEADER) $(LIB)
	@mkdir -p $(BENCH)
	$(call say,CC)$(SCALE_CC) -o $@ $(SCALE_SOURCES) $(LIB) $(NATIVE_LIBS) $(shell pkg-config --libs libevent)

$(BENCH)/bench-scale-alloc: $(SCALE_SOURCES) $(SCALE_HEADERS) $(HEADER) $(LIB)
	@mkdir -p $(BENCH)
	$(call say,CC)$(SCALE_CC) -DCOUNT_ALLOCATIONS -o $@ $(SCALE_SOURCES) $(LIB) $(NATIVE_LIBS) $(shell pkg-config --libs libevent)
