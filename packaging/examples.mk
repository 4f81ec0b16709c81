# The examples of circflow, with the library that is installed: make, or make OUT=folder where this one is read-only.
# STATIC=1 links the archive.

OUT     ?= .
CC      ?= cc
CFLAGS  ?= -O2 -g
PACKAGE := $(if $(STATIC),circflow-static,circflow)
NAMES   := $(basename $(wildcard *.c))

.PHONY: all clean
all: $(addprefix $(OUT)/,$(NAMES))

# Some are on libevent. eval, as pkg-config quotes a space in the name of a folder.
$(OUT)/%: %.c
	@mkdir -p $(OUT)
	packages="$(PACKAGE) $$(sed -n 's/^#include <event2.*/libevent/p' $< | head -n 1)"; \
	eval '$(CC) -std=c99 -D_POSIX_C_SOURCE=200809L $(CFLAGS)' "$$(pkg-config --cflags $$packages)" '$< -o $@' \
		"$$(pkg-config --libs $$packages)" '$(LDFLAGS)'

clean:
	rm -f $(addprefix $(OUT)/,$(NAMES))
