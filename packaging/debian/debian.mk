# Packages for Debian and Ubuntu: packaging/debian/deb.sh.

DEB          := $(BUILD)/deb
# What Debian's own tor is built with.
DEB_PACKAGES := debhelper dpkg-dev
DEB_TOR_PACKAGES := libcap-dev libevent-dev liblzma-dev libseccomp-dev libssl-dev libsystemd-dev libzstd-dev zlib1g-dev

.PHONY: deb deb-tor check-deb
deb: $(NOTICES) ## Make Debian packages libcircflow0, libcircflow-dev, circflow-doc: build/deb
	@scripts/setup.sh $(DEB_PACKAGES)
	@$(MAKE) --no-print-directory dist
	@packaging/debian/deb.sh circflow $(VERSION) $(DEB) $(NOTICES) $(BUILD)/circflow-$(VERSION).tar.gz

deb-tor: $(LIB) $(NOTICES) ## Make the Debian package tor-circflow, which takes the place of stock tor: build/deb; TOR_SRC=
	@scripts/setup.sh $(DEB_PACKAGES) $(DEB_TOR_PACKAGES)
	@source=$$(integration/tor/fetch.sh cache/tor) && \
	packaging/debian/deb.sh tor-circflow $(VERSION) $(DEB) $(NOTICES) "$$source" $(CURDIR)/$(BUILD)/tor/package "$(NATIVE_LIBS)"

check-deb: deb deb-tor ## Check the Debian packages in a fresh root: install, use, remove; needs root and a network
	@scripts/setup.sh lintian debootstrap
	@packaging/debian/check.sh $(DEB) cache/deb
