# Man pages (in docs/man) and the reference as HTML (build/docs/html), both made from include/circflow.h.

MAN_PAGES := $(wildcard docs/man/man3/*.3)

.PHONY: man install-man uninstall-man
man: ## Renew the man pages in docs/man from include/circflow.h
	CIRCFLOW_WRITE_MAN=1 $(CARGO) test --target-dir target --test reference

# docs/man/links has a line for each function and type: its name, and the page where it stands.
install-man:
	@install -d "$(DESTDIR)$(MANDIR)/man3"
	@install -m 644 $(MAN_PAGES) "$(DESTDIR)$(MANDIR)/man3/"
	@while read -r name page; do ln -sf "$$page.3" "$(DESTDIR)$(MANDIR)/man3/$$name.3"; done <docs/man/links

uninstall-man:
	@for page in $(notdir $(MAN_PAGES)) $$(sed 's/ .*/.3/' docs/man/links); do \
		rm -f "$(DESTDIR)$(MANDIR)/man3/$$page"; done

DOCS    := $(BUILD)/docs
DOXYGEN := docs/doxygen

.PHONY: docs check-docs
# What Doxygen reads is written first: the header with its comments in Doxygen's form, and the pages. Each of its
# warnings is an error.
docs: ## Make the reference with guide and examples as HTML, build/docs/html/index.html
	@scripts/setup.sh doxygen python3
	@rm -rf $(DOCS) && mkdir -p $(DOCS)/in
	CIRCFLOW_WRITE_DOXYGEN=$(CURDIR)/$(DOCS)/in/circflow.h \
		$(CARGO) test --quiet --target-dir target --test reference doxygen
	python3 $(DOXYGEN)/pages.py $(DOCS)/in
	{ cat $(DOXYGEN)/Doxyfile; echo 'PROJECT_NUMBER = $(VERSION)'; } | doxygen -
	@echo "docs: $(DOCS)/html/index.html"

# Not in `make check`: it installs Doxygen, which is more than 100 MB. That the man pages are new is tested there.
check-docs: ## Check the reference's links, and the look of the man pages
	@scripts/setup.sh mandoc groff man-db
	@$(MAKE) --no-print-directory docs
	python3 $(DOXYGEN)/links.py $(DOCS)/html
	docs/man/check.sh $(DOCS)/man
	@echo "check-docs: OK"
