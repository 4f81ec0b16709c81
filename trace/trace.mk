# The command that reads traces: `make trace`, then build/circflow-trace; `make check-report` looks at its page.

TRACE := $(BUILD)/circflow-trace

.PHONY: trace
trace: $(TRACE) ## Build the command that reads records of engines, build/circflow-trace
	@:

$(TRACE): $(SOURCES) $(HEADER) Cargo.lock trace/Cargo.toml $(shell find trace/src -type f)
	$(call say,CARGO,$@ and the crates it uses: one to five minutes the first time)$(SHIPPED_CARGO) build --release \
		--package circflow-trace --target-dir target/shipped
	@mkdir -p $(@D)
	@cp $(SHIPPED_OUT)/circflow-trace $@
	@touch $@

REPORT      := $(BUILD)/report
LONG_EVENTS := 10000000

.PHONY: check-report
# The long trace has 440 MB; the command may have 200 MB of addresses for it. npm, where it is missing, is Debian's.
check-report: ## Look at pages of `circflow-trace report`, of the study and of Shadow in headless Chromium
	@scripts/setup.sh chromium $$(command -v npm >/dev/null || echo npm)
	@$(MAKE) --no-print-directory $(TRACE)
	$(CARGO) build --release --package circflow-trace --example made_trace --target-dir target
	@mkdir -p $(REPORT)
	target/release/examples/made_trace known $(REPORT)/known.trace
	$(TRACE) report $(REPORT)/known.trace -o $(REPORT)/known.html
	target/release/examples/made_trace long $(REPORT)/long.trace $(LONG_EVENTS)
	bash -c 'ulimit -v 200000; time timeout 120 $(TRACE) report $(REPORT)/long.trace -o $(REPORT)/long.html'
	@rm $(REPORT)/long.trace
	@test $$(wc -c <$(REPORT)/long.html) -lt 5000000 || { echo "check-report: FAILED: the page is too large"; exit 1; }
	@$(MAKE) --no-print-directory study-known
	@mkdir -p $(REPORT)/browser
	@$(MAKE) --no-print-directory shadow-known
	@cp trace/browser/*.js* study/browser/*.js integration/shadow/browser/*.js $(REPORT)/browser
	cd $(REPORT)/browser && npm ci --ignore-scripts --no-audit --no-fund && REPORT=.. node --test
	@echo "check-report: OK; pictures are in $(REPORT)"
