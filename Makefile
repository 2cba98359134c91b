# One non-recursive Makefile: a wildcard per folder, objects below build/.
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules
B := build
CC := gcc
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu17 $(CFLAGS) -Wall -Wextra -Werror -D_GNU_SOURCE -I. -MMD -MP
Q := $(if $(V),,@)
SRC := $(wildcard runtime/base/*.c runtime/*.c netns/*.c images/*.c cli/*.c)
UNPACK_SRC := $(wildcard images/unpack/*.c)
OBJ := $(SRC:%.c=$B/%.o)
UNPACK_OBJ := $(UNPACK_SRC:%.c=$B/%.o)

all: $(if $(OBJ),$B/ctr $B/ctr-oci) $(if $(UNPACK_OBJ),$B/ctr-unpack)

$B/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC   $<")
	$Q$(CC) $(ALL_CFLAGS) -c -o $@ $<

$B/ctr: $(OBJ)
	$(if $(V),,@echo "  LD   $@")
	$Q$(CC) $(CFLAGS) -o $@ $^ -lseccomp -lcap -lyajl -lmnl
$B/ctr-oci: $B/ctr
	$Qln -sfn ctr $@
$B/ctr-unpack: $(UNPACK_OBJ)
	$(if $(V),,@echo "  LD   $@")
	$Q$(CC) $(CFLAGS) -o $@ $^ -larchive

clean:
	$Qrm -rf $B
.PHONY: all clean
-include $(OBJ:.o=.d) $(UNPACK_OBJ:.o=.d)
