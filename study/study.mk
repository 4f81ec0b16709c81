# The study of leg choice, in virtual time: `make study`, and STUDY=full for all worlds.

STUDY_RUN  := target/sim/circflow-study
STUDY_OUT  := $(BUILD)/study
study: JOBS  ?= 2
study: STUDY ?= default
STUDY_OPTIONS = --size $(STUDY) --jobs $(JOBS) $(if $(ALGORITHMS),--algorithms $(ALGORITHMS))

# What choices cost, if it was counted: make study-cost.
STUDY_COSTS = $(addprefix --costs ,$(wildcard $(STUDY_OUT)/costs.csv))

.PHONY: study study-build study-table study-cost study-known

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

study-table: study-build ## Put the shards of a study together: build/study/study.csv, study.md and study.html
	@$(STUDY_RUN) table $(STUDY_OUT)/shard-*.csv --out $(STUDY_OUT)/study.csv $(STUDY_COSTS) >$(STUDY_OUT)/study.md
	@$(STUDY_RUN) page $(STUDY_OUT)/study.csv $(STUDY_COSTS) --out $(STUDY_OUT)/study.html
	@cat $(STUDY_OUT)/study.md
	@echo; echo "The same with pictures, for a browser: $(STUDY_OUT)/study.html"

# An algorithm's name in the study is that of its CIRCFLOW_ALGORITHM_*, in small letters without lines between. BY_UX
# is none of its own.
study-cost: setup $(BENCH)/bench $(BENCH)/bench-alloc ## Count the instructions of a choice for each algorithm, for make study-table
	@mkdir -p $(STUDY_OUT)
	@sed -n 's/^#define CIRCFLOW_ALGORITHM_\([A-Z_]*\) \([0-9]*\)$$/\1 \2/p' $(HEADER) | grep -v '^BY_UX ' | tr -d _ | \
		tr A-Z a-z | while read -r name number; do \
		counts=$$(BENCH_ALGORITHM=$$number FORMAT=count ONLY="choose-stays choose-anew" benches/run.sh $(BENCH)) || exit 1; \
		echo "$$counts" | awk -v name=$$name '{ of[$$1] = $$2 } \
			END { print name "," of["choose-stays"] "," of["choose-anew"] }' || exit 1; \
		done >$(STUDY_OUT)/costs.part
	@{ echo algorithm,stays,anew; cat $(STUDY_OUT)/costs.part; } >$(STUDY_OUT)/costs.csv
	@rm $(STUDY_OUT)/costs.part
	@cat $(STUDY_OUT)/costs.csv

# A page of few worlds of each kind, for `make check-report`. Its costs are made up.
study-known: STUDY_KINDS := static/row static/upload static/talk -early/
study-known: study-build
	@mkdir -p $(REPORT)
	@rm -f $(REPORT)/study-part-*.csv
	@for kind in $(STUDY_KINDS); do \
		$(STUDY_RUN) run --filter="$$kind" --jobs 2 --out $(REPORT)/study-part-$$(echo "$$kind" | tr / _).csv || exit 1; done
	@printf 'algorithm,stays,anew\nlowrtt,84,370\n' >$(REPORT)/study-costs.csv
	@$(STUDY_RUN) table $(REPORT)/study-part-*.csv --out $(REPORT)/study.csv >$(REPORT)/study.md
	@$(STUDY_RUN) page $(REPORT)/study.csv --costs $(REPORT)/study-costs.csv --out $(REPORT)/study.html

study-build:
	@$(CARGO) build --quiet --profile sim --package circflow-study --target-dir target
