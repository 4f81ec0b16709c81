# circflow inside C Tor: README.md in this folder. TOR_SRC=path takes a source folder of tor instead of fetching one.

TOR_HERE     := integration/tor
TOR_CACHE    := cache/tor
TOR_BUILD    := $(CURDIR)/$(BUILD)/tor
TOR_REPLAY   := $(BUILD)/tor/replay
TOR_PACKAGES := $(DEMO_PACKAGES) libssl-dev zlib1g-dev dpkg-dev python3
# AddressSanitizer, UBSan and traps at overflows, as tor's configure knows them.
TOR_ASAN     := --disable-systemd --disable-lzma --disable-zstd --disable-seccomp --enable-fragile-hardening
# What makes and builds the patch series: its own git, and tor's autotools.
PATCH_PACKAGES := git autoconf automake pkg-config clang-format perl python3
TOR_PARTS    := tor-tests tor-valgrind tor-rows tor-network tor-algorithms tor-oom tor-halfclosed check-shadow-tors
TOR_GROUPS   := conflux/.. circuitpadding/.. congestion_control/.. relaycell/.. relaycrypt/.. sendme/..

# A prefix of its own, as a packager's.
TOR_PATCH    := $(TOR_BUILD)/patch

.PHONY: tor tor-debug check-tor tor-tests tor-network tor-cost tor-seam tor-padding tor-valgrind tor-rows tor-halfclosed \
	tor-algorithms tor-churn tor-oom tor-asan tor-patch

tor: $(LIB) ## Build stock tor 0.4.9, and tor with circflow inside: TOR_SRC=
	@scripts/setup.sh $(TOR_PACKAGES)
	@source=$$($(TOR_HERE)/fetch.sh $(TOR_CACHE)) && \
	$(TOR_HERE)/build.sh stock "$$source" $(TOR_BUILD)/stock && \
	$(TOR_HERE)/build.sh circflow "$$source" $(TOR_BUILD)/circflow $(TOR_BUILD)/stock $(CURDIR)/$(LIB) "$(NATIVE_LIBS)"
	@echo "tor: stock          $(BUILD)/tor/stock/src/app/tor"
	@echo "tor: with circflow  $(BUILD)/tor/circflow/src/app/tor"

tor-patch: $(LIB) $(SHARED) $(NOTICES) ## A patch series on tor 0.4.9, for git am; build it without and with circflow, and run all of tor's tests
	@scripts/setup.sh $(TOR_PACKAGES) $(PATCH_PACKAGES)
	@$(MAKE) --no-print-directory install PREFIX=$(TOR_PATCH)/prefix >/dev/null
	@source=$$($(TOR_HERE)/fetch.sh $(TOR_CACHE)) && \
	$(TOR_HERE)/patch/series.py base "$$source" $(TOR_PATCH)/made && \
	$(TOR_HERE)/patch/series.py make $(TOR_PATCH)/made $(TOR_PATCH)/series && \
	echo "tor-patch: the series is in $(BUILD)/tor/patch/series" && \
	$(TOR_HERE)/patch/check.sh "$$source" $(TOR_PATCH)/series $(TOR_PATCH) $(TOR_PATCH)/prefix
	@$(TOR_HERE)/network.py --stock $(TOR_PATCH)/off --circflow $(TOR_PATCH)/on --size-mib 8 --no-controls \
		--algorithm lowrtt --mix everywhere --mix client
	@$(TOR_HERE)/padding.py --stock $(TOR_PATCH)/off --circflow $(TOR_PATCH)/on
	@echo "tor-patch: OK"

tor-debug: tor
	@source=$$($(TOR_HERE)/fetch.sh $(TOR_CACHE)) && \
	$(TOR_HERE)/build.sh debug "$$source" $(TOR_BUILD)/debug $(TOR_BUILD)/stock $(CURDIR)/$(LIB) "$(NATIVE_LIBS)"

check-tor: tor ## Tor's own tests, also under valgrind, and a private network, stock and with circflow: NETWORK=, SIZE_MIB=
	@for part in $(TOR_PARTS); do \
		begun=$$(date +%s); \
		$(MAKE) --no-print-directory $$part || exit 1; \
		echo "check-tor: $$part took $$(($$(date +%s) - begun)) s"; \
	done
	@echo "check-tor: OK"

tor-seam: tor
	@source=$$($(TOR_HERE)/fetch.sh $(TOR_CACHE)) && \
	$(TOR_HERE)/build.sh seam "$$source" $(TOR_BUILD)/seam-stock $(TOR_BUILD)/stock && \
	$(TOR_HERE)/build.sh seam "$$source" $(TOR_BUILD)/seam-circflow $(TOR_BUILD)/circflow $(CURDIR)/$(LIB) "$(NATIVE_LIBS)"

tor-rows: tor $(BUILD)/c-tests/release/rows ## What may come for a client's stream, row by row: a stock client's word, and circflow's
	@source=$$($(TOR_HERE)/fetch.sh $(TOR_CACHE)) && \
	$(TOR_HERE)/build.sh rows "$$source" $(TOR_BUILD)/rows $(TOR_BUILD)/stock
	@$(TOR_HERE)/rows.py --stock $(TOR_BUILD)/rows/src/test/test --circflow $(BUILD)/c-tests/release/rows

tor-tests: tor-seam
	@$(TOR_HERE)/tests.sh $(TOR_BUILD) $(TOR_GROUPS)

tor-valgrind: tor tor-seam ## Tor's tests of conflux and those of the seam, with circflow, under memcheck
	@scripts/setup.sh $(TOR_PACKAGES) valgrind
	@$(TOR_HERE)/valgrind.sh $(TOR_BUILD)

# NETWORK= takes options of network.py, such as '--mix everywhere --no-controls'. ALGORITHM= takes names of what tors with
# circflow choose legs by, such as 'lowrtt ontime': each has networks of its own.
tor-network: tor tor-debug $(TRACE) ## A private network: a file through a linked conflux set, and a page of it: ALGORITHM=, NETWORK=, SIZE_MIB=
	@$(TOR_HERE)/network.py --stock $(TOR_BUILD)/stock --circflow $(TOR_BUILD)/circflow --debug $(TOR_BUILD)/debug \
		--trace $(TRACE) --page $(BUILD)/tor-network $(ALGORITHM:%=--algorithm %) \
		$(if $(SIZE_MIB),--size-mib $(SIZE_MIB)) $(NETWORK)

tor-algorithms:
	@$(MAKE) --no-print-directory tor-network ALGORITHM='lowrtt ontime' NETWORK='--mix client --mix exit --no-controls'

# OOM= takes options of oom.py, such as '--only circflow'.
tor-oom: tor ## An exit runs out of memory while a set holds messages: what tor's handler frees, with stock exits and with circflow
	@$(TOR_HERE)/oom.py --stock $(TOR_BUILD)/stock --circflow $(TOR_BUILD)/circflow $(OOM)

$(TOR_REPLAY): $(TOR_HERE)/replay.c c-tests/stream_rows.h $(HEADER) $(LIB)
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CCOMMON) $(CFLAGS) -Ic-tests $< $(LIB) $(NATIVE_LIBS) -o $@

# HALFCLOSED= takes options of halfclosed.py, such as '--times 8'.
tor-halfclosed: tor $(TOR_REPLAY) ## Streams that end in every way on a private network: no row of a stock exit closes: HALFCLOSED=
	@source=$$($(TOR_HERE)/fetch.sh $(TOR_CACHE)) && \
	$(TOR_HERE)/build.sh trace "$$source" $(TOR_BUILD)/trace $(TOR_BUILD)/stock
	@$(TOR_HERE)/halfclosed.py --stock $(TOR_BUILD)/stock --trace $(TOR_BUILD)/trace --replay $(TOR_REPLAY) $(HALFCLOSED)

tor-asan: $(LIB)
	@scripts/setup.sh $(TOR_PACKAGES)
	@source=$$($(TOR_HERE)/fetch.sh $(TOR_CACHE)) && \
	$(TOR_HERE)/build.sh package "$$source" $(TOR_BUILD)/asan $(CURDIR)/$(LIB) "$(NATIVE_LIBS)" $(TOR_ASAN)

# CHURN= takes options of churn.py, such as '--only circflow'. ASAN=1 is for the build with circflow alone.
tor-churn: tor $(if $(ASAN),tor-asan) ## Kills, closes and stops tors while files move, stock and with circflow: MINUTES=5 SEED= ASAN=1
	@$(TOR_HERE)/churn.py --stock $(TOR_BUILD)/stock \
		$(if $(ASAN),--circflow $(TOR_BUILD)/asan --asan --only circflow,--circflow $(TOR_BUILD)/circflow) \
		$(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(CHURN)

# COST= takes options of cost.py, such as '--only instructions --detail'.
tor-cost: tor tor-seam ## What circflow costs in tor, against stock: instructions, processor time: COST=, SIZE_MIB=
	@scripts/setup.sh $(TOR_PACKAGES) valgrind
	@$(TOR_HERE)/cost.py --stock $(TOR_BUILD)/stock --circflow $(TOR_BUILD)/circflow \
		--seam-stock $(TOR_BUILD)/seam-stock/src/test/test --seam-circflow $(TOR_BUILD)/seam-circflow/src/test/test \
		$(if $(SIZE_MIB),--size-mib $(SIZE_MIB)) $(COST)

tor-padding: tor ## Padding by circflow on circuits of a private tor network: SIZE_MIB=
	@$(TOR_HERE)/padding.py --stock $(TOR_BUILD)/stock --circflow $(TOR_BUILD)/circflow \
		$(if $(SIZE_MIB),--size-mib $(SIZE_MIB))
