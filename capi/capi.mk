# What C links, in build/lib as it is installed: the archive, and on ELF systems the shared library. For another machine or
# another libc: make CARGO_BUILD_TARGET=x86_64-unknown-linux-musl CC=musl-gcc.

RUST_TARGET := $(CARGO_BUILD_TARGET:%=%/)
LIB_DIR     := $(BUILD)/$(RUST_TARGET)lib
LIB         := $(LIB_DIR)/libcircflow.a
SHARED_NAME := libcircflow.so.$(VERSION)
SONAME      := libcircflow.so.$(firstword $(subst ., ,$(VERSION)))
# rustc makes no shared library for a libc that is linked statically. On macOS, nobody has tried yet.
STATIC_ONLY := $(if $(findstring musl,$(CARGO_BUILD_TARGET))$(filter Darwin,$(shell uname -s)),yes)
SHARED      := $(if $(STATIC_ONLY),,$(LIB_DIR)/$(SHARED_NAME))
# With every check on, and functions that panic on purpose: for the tests.
CHECKED     := $(LIB_DIR)/checked/libcircflow.a

# Folders of cargo. What is shipped has one of its own, as only there all crates are compiled without this machine's paths.
SHIPPED_OUT := target/shipped/$(RUST_TARGET)release
CHECKED_OUT := target/$(RUST_TARGET)checked
CAPI_SOURCES := $(SOURCES) Cargo.lock capi/Cargo.toml capi/lib.rs
# What the archives need from the system, as rustc says. Each build has a file of its own, as both may run at a time.
NATIVE         := target/$(CARGO_BUILD_TARGET:%=%-)native-libs
CHECKED_NATIVE := target/$(CARGO_BUILD_TARGET:%=%-)checked-native-libs
NATIVE_LIBS     = $(shell cat $(NATIVE))
CHECKED_LIBS    = $(shell cat $(CHECKED_NATIVE))
# unless_there FILE: the archive is made again where the file is gone. rustc writes it only when it compiles.
unless_there    = $(if $(wildcard $(1)),,again)
# A wrapper of the user's runs inside ours. One for the workspace would come between, so it is off. The path of ours comes
# by the environment, as it may have quotes in it.
SHIPPED_CARGO = USERS_WRAPPER="$${RUSTC_WRAPPER-$$CARGO_BUILD_RUSTC_WRAPPER}" RUSTC_WRAPPER="$$OUR_WRAPPER" \
	RUSTC_WORKSPACE_WRAPPER= $(CARGO)

.PHONY: lib again symbols check-symbols check-beside
lib: $(LIB) $(SHARED) ## Build the library for C: build/lib
	@:

$(SHIPPED_OUT)/libcircflow_c.a: export OUR_WRAPPER := $(CURDIR)/capi/rustc.sh
$(SHIPPED_OUT)/libcircflow_c.a: $(CAPI_SOURCES) capi/rustc.sh $(call unless_there,$(NATIVE))
	@test -s $(NATIVE) || rm -f $(SHIPPED_OUT)/deps/libcircflow_c*
	@$(if $(and $(wildcard $@),$(filter capi/rustc.sh,$?)),rm -rf target/shipped # cargo does not know that file)
	$(call say,CARGO,$@ and the crates it uses: one to three minutes the first time)$(SHIPPED_CARGO) rustc \
		--package circflow-c --lib --release --target-dir target/shipped -- \
		--print native-static-libs=$(NATIVE) $(if $(STATIC_ONLY),,-C link-arg=-Wl,-soname,$(SONAME) -C link-arg=-Wl,-z,text)
	@touch -c $@ && test -s $@

$(CHECKED_OUT)/libcircflow_c.a: $(CAPI_SOURCES) $(call unless_there,$(CHECKED_NATIVE))
	@test -s $(CHECKED_NATIVE) || rm -f $(CHECKED_OUT)/deps/libcircflow_c*
	$(call say,CARGO)$(CARGO) rustc --package circflow-c --lib --crate-type staticlib --profile checked --features test-hooks \
		--target-dir target -- --print native-static-libs=$(CHECKED_NATIVE)
	@touch -c $@ && test -s $@

$(LIB): $(SHIPPED_OUT)/libcircflow_c.a
$(CHECKED): $(CHECKED_OUT)/libcircflow_c.a
$(LIB) $(CHECKED): capi/archive.sh
	@mkdir -p $(@D)
	$(call say,LD)CC="$(CC)" capi/archive.sh $(filter %.a,$^) $@

$(LIB_DIR)/$(SHARED_NAME): $(SHIPPED_OUT)/libcircflow_c.a
	@mkdir -p $(@D)
	@cp $(SHIPPED_OUT)/libcircflow_c.so $@
	@ln -sf $(SHARED_NAME) $(@D)/$(SONAME)
	@ln -sf $(SONAME) $(@D)/libcircflow.so

# The ABI that programs rely on, so each change is seen in a diff. A name may be added; one that goes needs a new SONAME.
symbols: $(LIB) ## Renew capi/circflow.symbols, the names that the library promises
	@capi/symbols.sh $(LIB) >capi/circflow.symbols

check-symbols: $(LIB) $(SHARED) $(CHECKED) ## Check what the libraries export, and how large they are
	@CC="$(CC)" CARGO="$(CARGO)" NATIVE_LIBS="$(NATIVE_LIBS)" capi/check.sh $(HEADER) $(LIB) $(CHECKED) $(SHARED)

check-beside: $(LIB) $(SHARED) $(CHECKED) ## Check that circflow links and runs beside a second Rust library
	@CC="$(CC)" CXX="$(CXX)" NATIVE_LIBS="$(NATIVE_LIBS)" capi/beside/run.sh $(BUILD)/beside \
		$(SHIPPED_OUT)/libcircflow_c.a $(LIB) $(CHECKED) $(SHARED)
