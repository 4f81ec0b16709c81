# Man pages (in docs/man) and the reference as HTML (build/docs/html), both made from include/circflow.h.

MAN_PAGES := $(wildcard docs/man/man3/*.3)
MANDIR    ?= $(PREFIX)/share/man

.PHONY: man install-man uninstall-man
man: ## Renew the man pages in docs/man from include/circflow.h
	CIRCFLOW_WRITE_MAN=1 $(CARGO) test --target-dir target --test reference

# docs/man/links has a line for each function and type: its name, and the page where it stands.
install-man:
	install -d "$(DESTDIR)$(MANDIR)/man3"
	install -m 644 $(MAN_PAGES) "$(DESTDIR)$(MANDIR)/man3/"
	@while read -r name page; do ln -sf "$$page.3" "$(DESTDIR)$(MANDIR)/man3/$$name.3"; done <docs/man/links

uninstall-man:
	@for page in $(notdir $(MAN_PAGES)) $$(sed 's/ .*/.3/' docs/man/links); do \
		rm -f "$(DESTDIR)$(MANDIR)/man3/$$page"; done
