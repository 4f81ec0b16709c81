# Downloads through real tors in the Shadow simulator, which is neither fetched nor built here: README.md in this folder.

SHADOW_HERE := integration/shadow
SHADOW_OUT  := $(BUILD)/shadow
# Programs of `make tor`.
SHADOW_TORS  = --tor stock=$(TOR_BUILD)/stock/src/app/tor --tor circflow=$(TOR_BUILD)/circflow/src/app/tor \
               --gencert $(TOR_BUILD)/stock/src/tools/tor-gencert
SHADOW_RUN   = --shadow "$(SHADOW)" $(SHADOW_TORS) --out $(SHADOW_OUT) $(SHADOW_OPTIONS)
shadow: JOBS    ?= 1
shadow: SEEDS   ?= 3
shadow: MINUTES ?= 10

.PHONY: shadow shadow-report shadow-small check-shadow check-shadow-tors shadow-known

# SHADOW_OPTIONS= takes more options of run.py, such as '--set ux=latency --clients 20'.
shadow: ## Compare leg choices in real tors, in the Shadow simulator: SHADOW=path SEEDS=3 MINUTES=10 VARIANTS=a,b JOBS=1
	@$(SHADOW_HERE)/run.py run --jobs $(JOBS) --seeds $(SEEDS) --minutes $(MINUTES) $(if $(FIRST),--first $(FIRST)) \
		$(if $(VARIANTS),--variants "$(VARIANTS)") $(SHADOW_RUN)

shadow-report: # Of what is in build/shadow already
	@$(SHADOW_HERE)/run.py report $(SHADOW_OUT)

shadow-small: ## A small network twice in Shadow: is all well, and the same?: SHADOW=path
	@$(SHADOW_HERE)/run.py small $(SHADOW_RUN)

check-shadow: ## Check what make shadow writes, reads and reports, with programs in place of Shadow and tor
	@scripts/setup.sh $$(command -v python3 >/dev/null || echo python3)
	@cd $(SHADOW_HERE) && python3 -W error::ResourceWarning -m unittest discover -s tests -t . --quiet
	@echo "check-shadow: OK"

# Part of check-tor.
check-shadow-tors: tor
	@cd $(SHADOW_HERE) && python3 -m tests.with_tors $(TOR_BUILD)/stock/src/app/tor $(TOR_BUILD)/circflow/src/app/tor \
		$(TOR_BUILD)/stock/src/tools/tor-gencert

# Made-up runs, and the page of them, for `make check-report`.
shadow-known:
	@rm -rf $(REPORT)/shadow
	@cd $(SHADOW_HERE) && python3 -m tests.known $(CURDIR)/$(REPORT)/shadow >/dev/null
