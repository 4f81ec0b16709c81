# Installing, and what is handed to packagers.

PREFIX     ?= /usr/local
DESTDIR    ?=
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR    ?= $(PREFIX)/share
MANDIR     ?= $(DATADIR)/man
DOCDIR     ?= $(DATADIR)/doc/circflow
NOTICES    := $(BUILD)/THIRD-PARTY.txt

.PHONY: install uninstall dist check-package check-fresh

# Exported, as folders may have spaces in their names, which would be lost on a command line.
install uninstall: export PREFIX := $(PREFIX)
install uninstall: export DESTDIR := $(DESTDIR)
install uninstall: export LIBDIR := $(LIBDIR)
install uninstall: export INCLUDEDIR := $(INCLUDEDIR)
install uninstall: export DATADIR := $(DATADIR)
install uninstall: export MANDIR := $(MANDIR)
install uninstall: export DOCDIR := $(DOCDIR)
# It looks at the folders first, so the man pages come after it.
INSTALLER = VERSION=$(VERSION) SONAME=$(SONAME) LIB=$(LIB) SHARED=$(SHARED) NOTICES=$(NOTICES) packaging/install.sh

install: $(LIB) $(SHARED) $(NOTICES) ## Install: PREFIX= DESTDIR= LIBDIR= INCLUDEDIR= DATADIR= MANDIR= DOCDIR=
	@NATIVE_LIBS="$(NATIVE_LIBS)" $(INSTALLER) install
	@$(MAKE) --no-print-directory install-man

uninstall: ## Remove what make install has put there: the same variables
	@$(INSTALLER) uninstall
	@$(MAKE) --no-print-directory uninstall-man

# Made with the library, so that `sudo make install` needs no cargo.
all: $(NOTICES)
$(NOTICES): Cargo.lock Cargo.toml packaging/notices.sh
	@mkdir -p $(@D)
	@packaging/notices.sh >$@.part
	@mv $@.part $@

dist: ## Make a source archive that builds without a network: build/circflow-VERSION.tar.gz
	@packaging/dist.sh $(VERSION) $(BUILD)

check-package: setup ## Check installing, a source archive, two builds that must be the same, Debian packages (a quarter of an hour)
	@scripts/setup.sh cmake
	@MAKE="$(MAKE)" CC="$(CC)" CXX="$(CXX)" VERSION=$(VERSION) packaging/tests/run.sh $(CURDIR)/$(BUILD)/package
	@$(if $(PARTS),,$(MAKE) --no-print-directory check-deb)

check-fresh: ## Check README's commands in a fresh root with a compiler and Rust; needs root and a network (an hour)
	@scripts/setup.sh debootstrap
	@packaging/tests/fresh.sh $(BUILD)/fresh cache/fresh
