# SPDX-License-Identifier: BSD-2-Clause
# Trapline. `make help` tells the goals and their settings.

CROSS ?= riscv64-linux-gnu-
LIBFDT_SRC := build/libfdt
PYTHON := /usr/bin/python3
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

-include hyp/build.mk
-include guests/build.mk
-include tools/trapctl/build.mk

BUNDLE ?= build/default.itb
BOOTARGS ?= earlycon=sbi console=hvc0
VCPUS ?= 1
RAM ?= 256M
NAME ?= vm0
SSH ?= 2222

# Goals that need more than a compiler first see to set-up, then start make anew: what set-up brought
# (compiler, libfdt) is then known when the rules are read. Set-up with nothing to do takes a moment.
again = +@$(MAKE) -s --no-print-directory

.PHONY: all
all: setup-run ## build/trapline.bin, build/trapctl and the default bundle
	$(again) trapline trapctl build/default.itb

.PHONY: setup-run setup-debian setup-unit setup-test setup-bench
setup-run setup-debian setup-unit setup-test setup-bench: setup-%:
	@tools/setup $*

build/libfdt/.stamp build/zlib/.stamp build/linux/Image build/linux/initrd.cpio:
	@tools/setup run

build/default.itb: build/linux/Image build/linux/initrd.cpio tools/mkbundle
	@echo "FIT $@"
	@tools/mkbundle $@ --vm vm0 --kernel build/linux/Image --initrd build/linux/initrd.cpio \
	  --bootargs "earlycon=sbi console=hvc0" --vcpus 2

# Settings reach the scripts as environment variables, so that no quote in them is read twice.
TRAPLINE ?= $(HYP_OUT)/trapline.bin
export BUNDLE BOOTARGS VCPUS RAM NAME KERNEL INITRD OUT TRAPLINE

.PHONY: run
ifeq ($(GUEST),debian)
run: BUNDLE := build/debian.itb
run: export DISK := build/debian.img
run: export NET := user,hostfwd=tcp:127.0.0.1:$(SSH)-10.0.2.15:2222
run: setup-debian
	$(again) trapline trapctl build/debian.itb build/debian.img
	@tools/debian login build/debian.img "$(SSH)"
	@tools/run "$$BUNDLE"
else
run: setup-run ## starts Trapline with a bundle under QEMU; GUEST=debian: a whole Debian
	$(if $(GUEST),$(error GUEST=$(GUEST) is not known (GUEST=debian)))
	$(again) trapline trapctl $(filter build/default.itb,$(BUNDLE))
	@tools/run "$$BUNDLE"
endif

# A whole Debian: one template, which each disk has a copy of. A disk is its VMs' own, and is never made anew.
.PHONY: debian-template
debian-template:
	@tools/debian unpack
	@tools/debian template

build/debian.img: | $(if $(wildcard build/debian.img),,debian-template)
	@echo "DISK $@"
	@tools/debian disk $@ debian

build/debian.itb: build/linux/Image build/linux/initrd.cpio tools/mkbundle Makefile
	@echo "FIT $@"
	@tools/mkbundle $@ --switch lan,mode=nat,forward=tcp:2222:debian:22 \
	  --vm debian --kernel build/linux/Image --initrd build/linux/initrd.cpio --vcpus 2 --ram 512M \
	  --bootargs "root=/dev/vda console=hvc0 systemd.hostname=debian" --disk qcow2:debian --net lan

build/demo.img: | $(if $(wildcard build/demo.img),,debian-template)
	@echo "DISK $@"
	@tools/debian disk $@ web fetch hog

build/demo.itb: build/linux/Image build/linux/initrd.cpio tools/mkbundle tools/demo-bundle
	@echo "FIT $@"
	@tools/demo-bundle $@

.PHONY: demo
demo: export DISK := build/demo.img
demo: export NET := user,hostfwd=tcp:127.0.0.1:8080-10.0.2.15:8080,hostfwd=tcp:127.0.0.1:$(SSH)-10.0.2.15:2222
demo: setup-debian ## three Debian VMs on a network, one a hog under a cap; watch them with build/trapctl top
	$(again) trapline trapctl build/demo.itb build/demo.img
	@tools/debian login build/demo.img "$(SSH)"
	@KEEP=1 tools/run build/demo.itb

.PHONY: bundle
bundle: setup-run ## makes a one-VM bundle from a kernel
	@test -n "$$KERNEL" -a -n "$$OUT" || { echo 'usage: make bundle KERNEL=f [INITRD=f] [DISK=f] [NET=f]' \
	  '[BOOTARGS="..."] [VCPUS=1] [RAM=256M] [NAME=vm0] OUT=x.itb' >&2; exit 2; }
	@tools/mkbundle "$$OUT" --vm "$$NAME" --kernel "$$KERNEL" --bootargs="$$BOOTARGS" \
	  --vcpus "$$VCPUS" --ram "$$RAM" $${INITRD:+--initrd "$$INITRD"} \
	  $(foreach d,$(DISK),--disk '$d') $(foreach n,$(NET),--net '$n')

.PHONY: unit
unit: setup-unit ## builds and runs the unit tests on this machine (seconds)
	$(again) unit-run

.PHONY: static
static: setup-test ## static checks: layers, headers, format, cppcheck, scripts
	@ci/static

.PHONY: system
system: setup-test ## system tests under QEMU; T=name picks some
	$(again) trapline build/default.itb $(if $(GUEST_BINS),guests)
	$(again) trapctl build/unit/trapctl
	$(again) DEBUG=1 trapline
	@tools/debian template || echo "system: without Debian's template: test_debian fails" >&2
	@ci/system $(T)

.PHONY: test
test: setup-test ## unit, static and system tests; ends with "N passed, N failed"
	@MAKE='$(MAKE)' ci/test

.PHONY: bench
bench: setup-bench ## exit costs, and a Debian boot, native beside Trapline
	$(again) trapline build/default.itb $(if $(GUEST_BINS),guests)
	@tests/perf/bench

.PHONY: format
format: ## formats the C files (clang-format)
	@ci/format --fix

.PHONY: clean
clean: ## removes what was built here; keeps what was downloaded
	@rm -rf build/hyp build/debug build/tools build/trapctl build/unit build/fuzz build/coverage build/guests build/test-logs build/trapline.* build/*.itb build/*.its build/run.* build/demo.img build/demo.img.login

.PHONY: distclean
distclean: ## removes build/ altogether
	@rm -rf build

.PHONY: help
help: ## this text
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile tools/trapctl/build.mk | expand -t 18
	@sed 's/^/  /' tools/help.txt

# --- unit tests -----------------------------------------------------------------------------------
#
# Each tests/unit/test_X.c is a program. A line near its top says what it is linked with:
#   // units: stage2/walk.c tests/fake/fake_mem.c

UNIT_TESTS := $(wildcard tests/unit/test_*.c)
UNIT_BINS := $(UNIT_TESTS:tests/unit/%.c=build/unit/%)
UNIT_CFLAGS := -std=gnu11 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
  -fno-omit-frame-pointer -Wall -Wextra -Werror -DTRAPLINE_HOST_TEST -Itests/fake -I. -Ihyp

# X.units is a list that several share; where * is in a name, all such files.
unit_words = $(foreach f,$(shell set -f; sed -n 's|^// units: *||p' $1),$(if $(filter %.units,$f),$(shell set -f; cat $f),$f))
unit_sources = $(foreach f,$(call unit_words,$1),$(if $(findstring *,$f),$(wildcard $f),$f))

define unit_rule
build/unit/$1: $(patsubst %.c,build/unit/obj/%.o,tests/unit/$1.c $(call unit_sources,tests/unit/$1.c))
endef
$(foreach t,$(UNIT_TESTS:tests/unit/%.c=%),$(eval $(call unit_rule,$t)))

$(UNIT_BINS):
	@$(CC) $(UNIT_CFLAGS) -o $@ $(filter %.o,$^) -lcmocka -lfdt -lz $(UNIT_LIBS)

build/unit/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "CC  $< (unit)"
	@$(CC) $(UNIT_CFLAGS) -MMD -MP -c -o $@ $<

.PHONY: unit-run
unit-run:
	+@$(MAKE) --no-print-directory -k -j$$(nproc) $(UNIT_BINS) $(FUZZ_BINS) build/unit/trapctl || :
	@ci/unit $(UNIT_BINS) $(FUZZ_BINS)

# --- fuzzers --------------------------------------------------------------------------------------
#
# Each tests/fuzz/fuzz_X.c is a program too, with tests/fuzz/driver.c as its main: a bounded run is one
# of the unit tests, `make fuzz` runs it for long. What is fuzzed is built with coverage, the tests' own
# files without. Those that read trees are linked with the hypervisor's libfdt, since Debian 12's own one
# loops and faults where that does not: without it (`make unit` alone) they are left out.

FUZZ_FDT := $(addprefix build/fuzz/fuzz_,fdt bundle command qmp)
FUZZ_FDT_OBJS := $(patsubst %.c,build/fuzz/obj/%.o,$(wildcard $(LIBFDT_SRC)/*.c))
FUZZ_BINS := $(filter-out $(if $(FUZZ_FDT_OBJS),,$(FUZZ_FDT)),\
  $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_CFLAGS := $(UNIT_CFLAGS) -Itests/fuzz $(if $(FUZZ_FDT_OBJS),-I$(LIBFDT_SRC))
FUZZ_COVERAGE := -fsanitize-coverage=trace-pc,trace-cmp
TARGET ?=
SECONDS ?= 60

define fuzz_rule
build/fuzz/$1: $(patsubst %.c,build/fuzz/obj/%.o,tests/fuzz/$1.c $(call unit_sources,tests/fuzz/$1.c))
endef
$(foreach t,$(FUZZ_BINS:build/fuzz/%=%),$(eval $(call fuzz_rule,$t)))

$(FUZZ_BINS): build/fuzz/driver.o
	@$(CC) $(UNIT_CFLAGS) -o $@ $(filter %.o,$^) -lcmocka -lz

$(FUZZ_FDT): $(FUZZ_FDT_OBJS)

build/fuzz/driver.o: tests/fuzz/driver.c tests/fuzz/fuzz.h
	@mkdir -p $(@D)
	@$(CC) -std=gnu11 -g -O2 -Wall -Wextra -Werror -c -o $@ $<

build/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "CC  $< (fuzz)"
	@$(CC) $(FUZZ_CFLAGS) $(if $(filter tests/%,$<),,$(FUZZ_COVERAGE)) \
	  $(if $(filter $(LIBFDT_SRC)/%,$<),-w) -MMD -MP -c -o $@ $<

.PHONY: fuzz
fuzz: setup-unit ## fuzzers for long: TARGET=virtio, SECONDS=60 each, ENGINE=libfuzzer (clang)
	+@$(MAKE) --no-print-directory -j$$(nproc) $(if $(TARGET),$(filter-out %_decode,build/fuzz/fuzz_$(TARGET)),$(FUZZ_BINS))
	@CC=$(CC) ci/fuzz "$(SECONDS)" $(if $(TARGET),fuzz_$(TARGET),$(notdir $(FUZZ_BINS)) fuzz_decode)

-include $(shell find build/unit/obj build/fuzz/obj -name '*.d' 2>/dev/null)

# --- coverage -------------------------------------------------------------------------------------

.PHONY: coverage
coverage: setup-$(if $(SYSTEM),test,unit) ## line coverage of stage2/, vcpu/, vdev/ by unit tests; SYSTEM=1: and system tests
	$(if $(SYSTEM),$(again) trapline build/default.itb $(if $(GUEST_BINS),guests))
	@ci/coverage $(if $(SYSTEM),--system)

# For scripts: make print-HYP_CFLAGS
print-%:
	@echo '$($*)'
