# SPDX-License-Identifier: Apache-2.0
#
#	make			ctr, ctr-oci and ctr-unpack, below build/
#	make quickstart		installs what is missing, builds, imports an image and runs it
#	make check-quick	tests without root, seconds
#	make check		all tests, with two boots of the lab's virtual machine, under 25 minutes
#	make check-long		soaks, sweeps, fuzzing
#	make install		PREFIX=/usr/local DESTDIR=
#	make deps		what building needs, from apt: the one target besides the test targets that uses the network
#	make asan | fuzz | analyze | coverage		sanitizers, fuzzers, static analysis, which lines the tests run
#	make fuzz-coverage		which lines of the readers the fuzzers' seeds run
#	make bench | bench-images | bench-net | lab	measurements; all jobs of the lab (LAB=JOB: one)
#	make format | clean | distclean
#
# Variables: V=1 shows commands. DEBUG=1 builds without optimisation. CC=clang. STATIC=musl|glibc|no
# says what `ctr` is linked with; without it the fastest to start that can be linked here is taken.
# FUZZ_SECONDS=60.
#
# One Makefile for the whole tree, a wildcard per folder: a new source file needs no change here.
# Objects lie below $(B) in the tree's own shape. Sanitizers, fuzzers and coverage are this same
# Makefile with another $(B).

.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules --no-builtin-variables --no-print-directory
.DELETE_ON_ERROR:

B := build
DEPS := build/deps
ifneq ($(filter default undefined,$(origin CC)),)
CC := gcc
endif
AR := ar
PREFIX := /usr/local
bindir = $(PREFIX)/bin
libexecdir = $(PREFIX)/libexec/ctr
mandir = $(PREFIX)/share/man
datadir = $(PREFIX)/share
unitdir = $(PREFIX)/lib/systemd/system

Q := $(if $(V),,@)
say = $(if $(V)$(findstring s,$(firstword -$(MAKEFLAGS))),,@printf '  %-4s %s\n' '$(1)' '$(2)')

# --- What `ctr` is linked with ---
#
# Nothing of it costs as much as its own start: exec to exit takes about 0.13 ms as a static musl
# program, 0.38 static with glibc, 0.72 dynamic. The archives are Debian's own;
# runtime/base/musl_compat.c is what they miss in musl.

LIBS := seccomp cap yajl mnl
MULTIARCH := $(shell gcc -print-multiarch 2>/dev/null)
LIBDIR := /usr/lib/$(MULTIARCH)
# Debian 12 has no libmnl.a: `make deps` fetches Debian 13's. A linked git worktree uses what the
# main one fetched.
MAIN_TREE := $(patsubst %/.git,%,$(shell git rev-parse --path-format=absolute --git-common-dir 2>/dev/null))
MNL_A := $(firstword $(wildcard $(LIBDIR)/libmnl.a $(DEPS)/mnl$(LIBDIR)/libmnl.a $(MAIN_TREE:%=%/$(DEPS)/mnl$(LIBDIR)/libmnl.a)))
ARCHIVES := $(foreach a,$(LIBDIR)/libseccomp.a $(LIBDIR)/libcap.a $(LIBDIR)/libyajl_s.a,$(or $(wildcard $(a)),missing)) \
	$(or $(MNL_A),missing)
MUSL_GCC := $(wildcard /usr/bin/musl-gcc)

ifneq ($(SAN)$(findstring clang,$(CC)),)
STATIC ?= no
endif
ifeq ($(STATIC),)
STATIC := $(if $(filter missing,$(ARCHIVES)),no,$(if $(MUSL_GCC),musl,glibc))
ifneq ($(STATIC),musl)
ifneq ($(filter-out deps quickstart check check-long clean distclean format,$(or $(MAKECMDGOALS),all)),)
$(info note: ctr will be linked with $(if $(filter no,$(STATIC)),shared libraries,static glibc) and start slower: \
$(if $(MUSL_GCC),libmnl.a or another static library,musl-gcc) is missing. `make deps` installs it)
endif
endif
else ifneq ($(filter-out musl glibc no,$(STATIC)),)
$(error STATIC is musl, glibc or no)
else ifeq ($(filter no,$(STATIC))$(filter missing,$(ARCHIVES)),missing)
$(error STATIC=$(STATIC) needs the static libraries of $(LIBS) in $(LIBDIR): try `make deps`)
endif

WARN := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wvla
OPT := $(if $(DEBUG),-O0,-O2) -g
HARDEN := $(if $(SAN),,-fstack-protector-strong)
# SAN is a list for -fsanitize, or `coverage`.
SAN_FLAGS := $(if $(filter coverage,$(SAN)),--coverage,$(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer))
BASE_FLAGS = -std=gnu17 $(OPT) $(WARN) $(HARDEN) $(SAN_FLAGS) -D_GNU_SOURCE -I. $(CFLAGS)

ifeq ($(STATIC),musl)
# musl-gcc calls $REALGCC. Position-independent would cost 0.1 ms of relocations, and musl's headers
# stand alone: those of the kernel and of the four libraries are linked into a directory of their
# own, for /usr/include is glibc's.
HOT_CC := REALGCC=$(CC) $(MUSL_GCC)
MUSL_INC := $(DEPS)/musl-include
HOT_FLAGS = $(BASE_FLAGS) -DCTR_MUSL -fno-pie -ffunction-sections -isystem $(MUSL_INC)
HOT_LDFLAGS := -static -no-pie -Wl,--gc-sections
START_LD := runtime/start.ld
HOT_LIBS := $(ARCHIVES) -lm
else ifeq ($(STATIC),glibc)
HOT_CC := $(CC)
HOT_FLAGS = $(BASE_FLAGS) -fno-pie
HOT_LDFLAGS := -static -no-pie
HOT_LIBS := $(ARCHIVES)
else
HOT_CC := $(CC)
HOT_FLAGS = $(BASE_FLAGS) -fPIE
HOT_LDFLAGS := -pie -Wl,-z,relro,-z,now
HOT_LIBS := $(LIBS:%=-l%) -lm
endif
# ctr-unpack and what else is not on the start path: always glibc, dynamic. Libraries that nothing
# asks for are dropped.
COLD_FLAGS = $(BASE_FLAGS) -fPIE
COLD_LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,--as-needed
COLD_LIBS := -larchive -lz -lzstd -lnettle -lseccomp -lyajl

# --- Sources ---

BASE_SRC := $(wildcard runtime/base/*.c)
SRC := $(BASE_SRC) $(wildcard runtime/*.c netns/*.c images/*.c cli/*.c)
UNPACK_SRC := $(wildcard images/unpack/*.c)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_COLD_SRC := $(wildcard tests/unit/test_unpack*.c)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
# Programs that tests and benchmarks run, one file each. Some run inside instances: always static.
TOOL_SRC := $(wildcard tests/bench/*.c tests/life/*.c tests/lab/*.c)

OBJ := $(SRC:%.c=$B/%.o)
COLD_OBJ := $(UNPACK_SRC:%.c=$B/cold/%.o)
COLD_BASE_OBJ := $(BASE_SRC:%.c=$B/cold/%.o)
UNIT := $(UNIT_SRC:%.c=$B/%)
UNIT_COLD := $(UNIT_COLD_SRC:%.c=$B/%)
FUZZERS := $(FUZZ_SRC:%.c=$B/%)
NETCOST := $B/tests/bench/netcost
TOOLS := $(filter-out $(NETCOST),$(TOOL_SRC:%.c=$B/%))
PROGRAMS := $(if $(filter $B/cli/main.o,$(OBJ)),$B/ctr $B/ctr-oci) $(if $(COLD_OBJ),$B/ctr-unpack)

all: $(PROGRAMS)
tests: $(UNIT) $(TOOLS)
tools: $(TOOLS)
fuzzers: $(FUZZERS)

# --- Rules ---

# Objects depend on the flags they were compiled with.
FLAGS_NOW = $(HOT_CC) $(HOT_FLAGS) $(HOT_LDFLAGS) $(HOT_LIBS) | $(CC) $(COLD_FLAGS) $(COLD_LDFLAGS) $(COLD_LIBS)
$B/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_NOW)' | cmp -s - $@ || echo '$(FLAGS_NOW)' >$@

# What is linked of all sources depends on which there are: one may have been removed.
$B/sources: FORCE
	@mkdir -p $(@D)
	@echo '$(SRC) $(UNPACK_SRC)' | cmp -s - $@ || echo '$(SRC) $(UNPACK_SRC)' >$@

# Two things are compiled in where a source names them, and only those sources depend on their
# values.
VERSION := $(or $(shell git describe --tags --always --dirty 2>/dev/null),unknown)
NAMED = -DCTR_LIBEXECDIR='"$(libexecdir)"' -DCTR_VERSION='"$(VERSION)"'
NAMING_SRC := $(shell grep -lE 'CTR_LIBEXECDIR|CTR_VERSION' $(SRC) $(UNPACK_SRC) /dev/null)
NAMING_OBJ := $(NAMING_SRC:%.c=$B/%.o) $(NAMING_SRC:%.c=$B/cold/%.o)
$B/named: FORCE
	@mkdir -p $(@D)
	@echo "$(libexecdir) $(VERSION)" | cmp -s - $@ || echo "$(libexecdir) $(VERSION)" >$@
$(NAMING_OBJ): $B/named
$(NAMING_OBJ): BASE_NAMED = $(NAMED)

$B/%.o: %.c $B/flags $(if $(MUSL_INC),$(MUSL_INC)/made)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$Q$(HOT_CC) $(HOT_FLAGS) $(BASE_NAMED) -MMD -MP -c -o $@ $<

$B/cold/%.o: %.c $B/flags
	@mkdir -p $(@D)
	$(call say,CC,$< (glibc))
	$Q$(CC) $(COLD_FLAGS) $(BASE_NAMED) -MMD -MP -c -o $@ $<

$B/ctr: $(OBJ) $(filter /%,$(HOT_LIBS)) $B/sources $(START_LD)
	$(call say,LD,$@)
	$Q$(HOT_CC) $(HOT_FLAGS) $(HOT_LDFLAGS) $(START_LD:%=-Wl,-z,noseparate-code,-T,%) -o $@ $(OBJ) $(HOT_LIBS)

$B/ctr-oci: $B/ctr
	$Qln -sfn ctr $@

# Archives, so that a program takes of them only what it names.
$B/libctr.a: $(filter-out $B/cli/main.o,$(OBJ)) $B/sources
$B/cold/libbase.a: $(COLD_BASE_OBJ) $B/sources
$B/cold/libunpack.a: $(filter-out $B/cold/images/unpack/main.o,$(COLD_OBJ)) $B/sources
$B/libctr.a $B/cold/libbase.a $B/cold/libunpack.a:
	$Qrm -f $@
	$Q$(AR) rcs $@ $(filter %.o,$^)

$B/ctr-unpack: $(COLD_OBJ) $B/cold/libbase.a $B/sources
	$(call say,LD,$@)
	$Q$(CC) $(COLD_FLAGS) $(COLD_LDFLAGS) -o $@ $(COLD_OBJ) $B/cold/libbase.a $(COLD_LIBS)

$(UNIT_COLD): $B/tests/unit/%: $B/cold/tests/unit/%.o $B/cold/libunpack.a $B/cold/libbase.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$Q$(CC) $(COLD_FLAGS) $(COLD_LDFLAGS) -o $@ $^ $(COLD_LIBS)

$(filter-out $(UNIT_COLD),$(UNIT)): $B/%: $B/%.o $B/runtime/base/musl_compat.o $B/libctr.a
	$(call say,LD,$@)
	$Q$(HOT_CC) $(HOT_FLAGS) $(HOT_LDFLAGS) -o $@ $^ $(HOT_LIBS)

# What it measures is in libctr.a.
$(NETCOST): $B/%: $B/%.o $B/runtime/base/musl_compat.o $B/libctr.a
	$(call say,LD,$@)
	$Q$(HOT_CC) $(HOT_FLAGS) $(HOT_LDFLAGS) -o $@ $^ $(HOT_LIBS)

# With the C library alone, so that no static library of another need be there. Nothing of a
# sanitizer can be static, nor is a tool what is being examined: there it comes from a plain build.
ifeq ($(SAN),)
$(TOOLS): $B/%: $B/%.o $B/libctr.a
	$(call say,LD,$@)
	$Q$(HOT_CC) $(HOT_FLAGS) -static -no-pie -o $@ $^ -lm
else
$B/plain/made: FORCE
	$Q$(MAKE) B=$B/plain SAN= STATIC=no CC=gcc OPT='-O2 -g' tools
	@touch $@
$(TOOLS): $B/%: $B/plain/made
	@mkdir -p $(@D) && cmp -s $B/plain/$* $@ || cp $B/plain/$* $@
endif

# A fuzzer sees both worlds; libarchive's is glibc's, so this links only with STATIC=no.
$(FUZZERS): $B/%: $B/%.o $(if $(COLD_OBJ),$B/cold/libunpack.a) $B/libctr.a
	$(call say,LD,$@)
	$Q$(HOT_CC) $(HOT_FLAGS) -fsanitize=fuzzer -o $@ $^ $(HOT_LIBS) $(COLD_LIBS)

# Tests define functions that nothing declares (LLVMFuzzerTestOneInput).
$B/tests/%.o $B/cold/tests/%.o: WARN := $(filter-out -Wmissing-prototypes,$(WARN))

# Where libmnl.a is Debian 13's, its headers are as well.
$(MUSL_INC)/made:
	@mkdir -p $(MUSL_INC)/sys
	$Qln -sfn /usr/include/linux /usr/include/asm-generic /usr/include/seccomp.h /usr/include/seccomp-syscalls.h \
		/usr/include/yajl $(MUSL_INC)/
	$Qln -sfn /usr/include/$(MULTIARCH)/asm $(MUSL_INC)/asm
	$Qln -sfn /usr/include/sys/capability.h $(MUSL_INC)/sys/
	$Qln -sfn $(abspath $(dir $(MNL_A))/../../include/libmnl) $(MUSL_INC)/libmnl
	@touch $@

-include $(OBJ:.o=.d) $(COLD_OBJ:.o=.d) $(COLD_BASE_OBJ:.o=.d)
-include $(UNIT:%=%.d) $(UNIT_COLD_SRC:%.c=$B/cold/%.d) $(TOOLS:%=%.d) $(FUZZERS:%=%.d)

deps:
	$Qtests/install-deps build static

# --- Tests ---
#
# Where packages may have been installed first, or where the build is another one, make starts anew:
# what can be linked is found out when it starts.

quickstart:
	$QB=$B tests/quickstart

check-quick: all tests
	$QB=$B tests/run rules unit plan

check:
	$Qtests/install-deps build check
	$Qtests/install-deps static || true
	$Qtests/lab/lab build-base >/dev/null || true # its failure is the lab's to report; others use its files
	$Qtests/install-deps static || true # a mirror that failed some minutes ago may answer now
	$Q$(MAKE) all tests
	$QB=$B tests/run rules unit plan life lab

check-long:
	$Qtests/install-deps analyze
	$Qrc=0; for t in check soak asan fuzz analyze; do \
		echo "== make $$t"; $(MAKE) --no-print-directory $$t || rc=1; done; exit $$rc

soak: all tests
	$QB=$B tests/run soak

# What is being sanitized must be what was written: no -O2.
ASAN := B=build/asan SAN=address,undefined STATIC=no OPT='-O1 -g'
asan:
	$Q$(MAKE) $(ASAN) all tests
	$QB=build/asan tests/run unit plan life

FUZZ_SECONDS := 60
FUZZ := B=build/fuzz CC=clang SAN=fuzzer-no-link,address,undefined STATIC=no OPT='-O1 -g'
fuzz:
	$Q$(MAKE) $(FUZZ) fuzzers
	$QFUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run build/fuzz

FUZZ_COVERAGE := B=build/fuzz-coverage CC=clang SAN=fuzzer-no-link STATIC=no \
	OPT='-O0 -g -fprofile-instr-generate -fcoverage-mapping'
fuzz-coverage:
	$Q$(MAKE) $(FUZZ_COVERAGE) fuzzers
	$Qtests/fuzz/coverage build/fuzz-coverage

coverage:
	$Q$(MAKE) B=build/coverage SAN=coverage STATIC=no OPT='-O0 -g' all tests
	$Qfind build/coverage -name '*.gcda' -delete
	$QB=build/coverage tests/run unit plan life
	$Qtests/coverage build/coverage

analyze:
	$Qtests/analyze $(SRC) $(UNPACK_SRC)

bench: all tests
	$Qtests/bench/bench $(BENCH)

bench-net: all tests $(NETCOST)
	$Qtests/bench/net.py $(BENCH)

bench-images: all
	$Qunshare -m tests/bench/images.py $(BENCH)

lab: all tests
	$Qtests/lab/lab run --no-build $(or $(LAB),$(shell tests/lab/lab list))

format:
	$Qgit ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

# --- Installing ---

MAN := $(wildcard man/*.[1-8])
install: all
	$Qinstall -d $(DESTDIR)$(bindir) $(DESTDIR)$(libexecdir)
	$Qinstall -m 755 $B/ctr $(DESTDIR)$(bindir)/ctr
	$Qln -sfn ctr $(DESTDIR)$(bindir)/ctr-oci
	$Qinstall -m 755 $B/ctr-unpack $(DESTDIR)$(libexecdir)/ctr-unpack
	$Qfor m in $(MAN); do install -D -m 644 $$m $(DESTDIR)$(mandir)/man$${m##*.}/$${m##*/} || exit 1; done
	$Qinstall -d $(DESTDIR)$(unitdir)
	$Qsed 's,@bindir@,$(bindir),' cli/ctr.service >$(DESTDIR)$(unitdir)/ctr.service
	$Qinstall -d $(DESTDIR)$(datadir)/bash-completion/completions $(DESTDIR)$(datadir)/zsh/site-functions \
		$(DESTDIR)$(datadir)/fish/vendor_completions.d
	$Q$B/ctr completion bash >$(DESTDIR)$(datadir)/bash-completion/completions/ctr
	$Q$B/ctr completion zsh >$(DESTDIR)$(datadir)/zsh/site-functions/_ctr
	$Q$B/ctr completion fish >$(DESTDIR)$(datadir)/fish/vendor_completions.d/ctr.fish

# build/deps stays: it was fetched from the network.
clean:
	$Qfor d in build/*; do [ "$$d" = $(DEPS) ] || rm -rf "$$d"; done
distclean:
	$Qrm -rf build

FORCE:
.PHONY: all tests tools fuzzers deps quickstart check-quick check check-long soak asan fuzz fuzz-coverage coverage analyze bench bench-images bench-net lab \
	format install clean distclean FORCE
