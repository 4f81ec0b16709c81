# The study of leg choice, in virtual time: `make study`, and STUDY=full for all worlds.

STUDY_RUN  := target/sim/circflow-study
STUDY_OUT  := $(BUILD)/study
study: JOBS  ?= 2
study: STUDY ?= default
STUDY_OPTIONS = --size $(STUDY) --jobs $(JOBS) $(if $(ALGORITHMS),--algorithms $(ALGORITHMS))

.PHONY: study study-build study-table

# With SHARD, one part of a study that runs on several machines. Bring the files of all parts together, then make
# study-table.
study: study-build ## Study leg choice in virtual worlds: STUDY=full JOBS=2 ALGORITHMS=a,b SHARD=1/8
	@mkdir -p $(STUDY_OUT)
ifdef SHARD
	@$(STUDY_RUN) run $(STUDY_OPTIONS) --shard $(SHARD) --out $(STUDY_OUT)/shard-$(subst /,-of-,$(SHARD)).csv
else
	@rm -f $(STUDY_OUT)/shard-*.csv
	@$(STUDY_RUN) run $(STUDY_OPTIONS) --out $(STUDY_OUT)/shard-1-of-1.csv
	@$(MAKE) --no-print-directory study-table
endif

study-table: study-build ## Put the shards of a study together: build/study/study.csv and study.md
	@$(STUDY_RUN) table $(STUDY_OUT)/shard-*.csv --out $(STUDY_OUT)/study.csv >$(STUDY_OUT)/study.md
	@cat $(STUDY_OUT)/study.md

study-build:
	@$(CARGO) build --quiet --profile sim --package circflow-study --target-dir target
