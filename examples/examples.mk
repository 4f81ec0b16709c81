# Examples: hello.c, the one to start with; tunnel.c, two processes on poll(2); run_circuits.c, padding.c and
# slow_consumer.c, one matter each; on libevent metrics.c and the demo.
#
# make demo takes FILE=path, or makes a file of SIZE_MIB; LEG_A= and LEG_B= "Mbit/s round-trip-ms"; CIRCUITS= number of
# sets at once; THREADS= of the exit, 1 or 2; SLOW_READER=1; BASE_PORT=; RATIO= how much faster two legs have to be;
# ALGORITHM= by which the exit chooses legs; PADDING= name of machines in examples/machines, or a file of machines;
# RECORD= file for what happens in each process, 0 for none.

EXAMPLES     := $(BUILD)/examples
# Those that print the same each time: NAME.out.
SAME_NAMES   := hello run_circuits padding slow_consumer
SMALL        := $(patsubst %,$(EXAMPLES)/%,$(SAME_NAMES) tunnel)
DEMO_NAMES   := demo demo-client demo-relay demo-exit demo-idle
DEMO_BINS    := $(DEMO_NAMES:%=$(EXAMPLES)/%)
DEMO_HEADERS := $(wildcard examples/demo/*.h)
DEMO_CFLAGS   = $(CFLAGS) $(CCOMMON) $(shell pkg-config --cflags libevent) \
	-DMACHINES_FOLDER='"$(CURDIR)/examples/machines"'
DEMO_LIBS     = $(shell pkg-config --libs libevent)

RECORD       ?= $(BUILD)/demo.trace
DEMO_RECORD   = $(filter-out 0,$(RECORD))
# The page of x.trace is x.html.
DEMO_PAGE     = $(patsubst %.trace,%,$(DEMO_RECORD)).html

# NAME,VALUE as an option of the demo, quoted for the shell; nothing when the value is empty.
demo_option = $(if $(strip $(2)),--$(1) '$(subst ','\'',$(2))')
DEMO_OPTIONS = $(call demo_option,file,$(FILE)) $(call demo_option,size-mib,$(SIZE_MIB)) \
	$(call demo_option,leg-a,$(LEG_A)) $(call demo_option,leg-b,$(LEG_B)) $(call demo_option,circuits,$(CIRCUITS)) \
	$(call demo_option,threads,$(THREADS)) \
	$(call demo_option,base-port,$(BASE_PORT)) $(call demo_option,ratio,$(RATIO)) $(call demo_option,padding,$(PADDING)) \
	$(call demo_option,algorithm,$(ALGORITHM)) $(call demo_option,record,$(DEMO_RECORD)) $(if $(filter-out 0,$(SLOW_READER)),--slow-reader)

.PHONY: examples demo demo-unequal check-demo demo-picture demo-short demo-slow-short demo-circuits-short demo-kill \
	demo-padding demo-padding-short demo-unequal-short
examples: $(SMALL) $(EXAMPLES)/metrics $(DEMO_BINS) ## Build the examples and the demo
	@:

# The page of a record, also of a demo that failed, but not of one that moved nothing. At its head stands what the demo
# found.
DEMO_FOUND = $(BUILD)/demo.found
demo_page  = $(if $(DEMO_RECORD),if [ -s $(DEMO_RECORD) ]; then \
	$(TRACE) report $(DEMO_RECORD) -o $(DEMO_PAGE) --title "$$(cat $(DEMO_FOUND) 2>/dev/null)" && \
	echo "what happened: $(DEMO_PAGE)" || status=1; fi;)

demo: setup-demo ## Move a file over one leg, then two, and make a page of it: FILE=, LEG_A=, LEG_B=, CIRCUITS=, SLOW_READER=1, ..
	@$(MAKE) --no-print-directory examples $(if $(DEMO_RECORD),trace)
	@rm -f $(DEMO_FOUND)
	@status=0; $(EXAMPLES)/demo $(DEMO_OPTIONS) --found $(DEMO_FOUND) || status=$$?; $(demo_page) exit $$status

UNEQUAL = examples/unequal.py --demo $(EXAMPLES)/demo

demo-unequal: setup-demo ## Unequal legs, alone against two, on real sockets: ALGORITHMS=lowrtt,ontime RUNS=9 ROWS=1,5 JOBS=1
	@scripts/setup.sh python3
	@$(MAKE) --no-print-directory examples
	@$(UNEQUAL) --out $(BUILD)/unequal $(call demo_option,algorithms,$(ALGORITHMS)) $(call demo_option,runs,$(RUNS)) \
		$(call demo_option,rows,$(ROWS)) $(call demo_option,jobs,$(JOBS))

# The names in the CSV are what the exit's set says. The table has a line for each algorithm, with ratio and range.
demo-unequal-short: SHORT := $(BUILD)/unequal-short
demo-unequal-short: examples ## A row of make demo-unequal, quickly, for the tests
	@scripts/setup.sh python3
	@python3 -m doctest examples/unequal.py
	@$(UNEQUAL) --out $(SHORT) --rows 5 --runs 1 --algorithms 'lowrtt ontime'
	@for line in '^1,5,alone,.*,0,0,0$$' '^1,5,lowrtt,' '^1,5,ontime,'; do \
		grep -q "$$line" $(SHORT).csv || { echo "demo-unequal-short: FAILED: no $$line in $(SHORT).csv"; exit 1; }; done
	@for name in lowrtt ontime; do \
		grep -Eq "^\| 5: 1 MiB, .* \| $$name \| [0-9.]+ \| - \| [0-9.]+ to [0-9.]+ \| - \| .* \|$$" $(SHORT).md || \
			{ echo "demo-unequal-short: FAILED: no line for $$name in $(SHORT).md"; exit 1; }; done
	@! $(EXAMPLES)/demo --algorithm nothing 2>$(SHORT).log && grep -q 'there are: .* ontime' $(SHORT).log || \
		{ echo "demo-unequal-short: FAILED: an algorithm that there is not"; exit 1; }

demo-short: examples ## A quick run of the demo, for the tests
	@$(EXAMPLES)/demo --size-mib 2 --leg-a '10 20' --leg-b '10 40' --ratio 1.3

demo-slow-short: examples ## A slow reader, quickly, for the tests
	@$(EXAMPLES)/demo --slow-reader --size-mib 2 --leg-a '10 20' --leg-b '10 40'

demo-circuits-short: examples ## Twenty sets at once, at an exit of two threads, quickly, for the tests
	@$(EXAMPLES)/demo --circuits 20 --size-mib 2 --threads 2

demo-padding: setup-demo ## Ten seconds in which nobody sends anything: how regular are the cells of padding?
	@$(MAKE) --no-print-directory examples
	@$(EXAMPLES)/demo --idle 10 $(call demo_option,base-port,$(BASE_PORT))

demo-padding-short: examples ## Quick runs with padding, for the tests
	@$(EXAMPLES)/demo --two-only --size-mib 1 --padding constant-rate
	@$(EXAMPLES)/demo --idle 2

# The figures of the demo against those of its record; and the commands of the guide's recipe, one by one:
# those that show events have to show some.
check-demo: examples $(TRACE) ## Check that records of the demo say what the demo says, and run the recipe of docs/guide.md
	@CIRCFLOW_DEMO=$(CURDIR)/$(EXAMPLES)/demo $(CARGO) test --package circflow-trace --test demo -- --ignored
	@sed -nE -e 's/^build\/circflow-trace show .*/& | grep -c ./p' -e '/^(make demo|build\/circflow-trace (stats|report)) /p' \
		docs/guide.md >$(BUILD)/recipe.sh
	@sh -ex $(BUILD)/recipe.sh >$(BUILD)/recipe.log
	@echo "check-demo: OK"

demo-picture: examples $(TRACE) ## Draw docs/demo.svg anew, from a demo
	@$(EXAMPLES)/demo --record $(BUILD)/picture.trace
	@$(TRACE) picture $(BUILD)/picture.trace -o docs/demo.svg \
		--title "make demo: 32 MiB from an exit to a client, over one leg, then over two"

demo-kill: examples ## Kill a relay of leg B in mid-transfer, at different moments
	@examples/kill-a-relay.sh $(EXAMPLES)/demo

$(SMALL): $(EXAMPLES)/%: examples/%.c $(HEADER) $(LIB) | $(EXAMPLES)
	$(call say,CC)$(CC) $(CFLAGS) $(CCOMMON) $< -o $@ $(LIB) $(NATIVE_LIBS)

$(EXAMPLES)/metrics: examples/metrics.c $(HEADER) $(LIB) | $(EXAMPLES)
	$(call say,CC)$(CC) $(CFLAGS) $(CCOMMON) $(shell pkg-config --cflags libevent) $< -o $@ $(LIB) $(NATIVE_LIBS) $(DEMO_LIBS)

$(EXAMPLES)/demo-%.o: examples/demo/%.c $(DEMO_HEADERS) $(HEADER) | $(EXAMPLES)
	$(call say,CC)$(CC) $(DEMO_CFLAGS) -c $< -o $@

# The sources of each program.
demo_objects   = $(patsubst %,$(EXAMPLES)/demo-%.o,$(1))
DEMO_NODE     := loop node record memory padding channel cell
DEMO_ENDPOINT := endpoint leg digest sha256 $(DEMO_NODE)
$(EXAMPLES)/demo: $(call demo_objects,demo algorithm watch summary cap options machines transfer network lines child progress \
	testfile sha256)
$(EXAMPLES)/demo-client: $(call demo_objects,client reader $(DEMO_ENDPOINT))
$(EXAMPLES)/demo-exit: $(call demo_objects,exit $(DEMO_ENDPOINT))
$(EXAMPLES)/demo-idle: $(call demo_objects,idle regular $(DEMO_ENDPOINT))
$(EXAMPLES)/demo-relay: $(call demo_objects,relay passage turns wire shaper regular $(DEMO_NODE))

$(DEMO_BINS): $(LIB)
	$(call say,LD)$(CC) $(CFLAGS) $(filter %.o,$^) -o $@ $(LIB) $(NATIVE_LIBS) $(DEMO_LIBS)

$(EXAMPLES):
	@mkdir -p $@
