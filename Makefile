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

BUNDLE ?= build/default.itb
BOOTARGS ?= earlycon=sbi console=hvc0
VCPUS ?= 1
RAM ?= 256M
NAME ?= vm0

# Goals that need more than a compiler first see to set-up, then start make anew: what set-up brought
# (compiler, libfdt) is then known when the rules are read. Set-up with nothing to do takes a moment.
again = +@$(MAKE) --no-print-directory

.PHONY: all
all: setup-run ## build/trapline.bin and the default bundle
	$(again) trapline build/default.itb

.PHONY: setup-run setup-unit setup-test
setup-run setup-unit setup-test: setup-%:
	@tools/setup $*

build/libfdt/.stamp build/linux/Image build/linux/initrd.cpio:
	@tools/setup run

build/default.itb: build/linux/Image build/linux/initrd.cpio tools/mkbundle
	@echo "FIT $@"
	@tools/mkbundle $@ --vm vm0 --kernel build/linux/Image --initrd build/linux/initrd.cpio \
	  --bootargs "earlycon=sbi console=hvc0" --vcpus 2

# Settings reach the scripts as environment variables, so that no quote in them is read twice.
export BUNDLE BOOTARGS VCPUS RAM NAME KERNEL INITRD OUT

.PHONY: run
run: setup-run ## starts Trapline with a bundle under QEMU
	$(again) trapline $(filter build/default.itb,$(BUNDLE))
	@tools/run "$$BUNDLE"

.PHONY: bundle
bundle: setup-run ## makes a one-VM bundle from a kernel
	@test -n "$$KERNEL" -a -n "$$OUT" || { echo 'usage: make bundle KERNEL=f [INITRD=f] [DISK=f]' \
	  '[BOOTARGS="..."] [VCPUS=1] [RAM=256M] [NAME=vm0] OUT=x.itb' >&2; exit 2; }
	@tools/mkbundle "$$OUT" --vm "$$NAME" --kernel "$$KERNEL" --bootargs="$$BOOTARGS" \
	  --vcpus "$$VCPUS" --ram "$$RAM" $${INITRD:+--initrd "$$INITRD"} \
	  $(foreach d,$(DISK),--disk '$d')

.PHONY: unit
unit: setup-unit ## builds and runs the unit tests on this machine (seconds)
	$(again) unit-run

.PHONY: static
static: setup-test ## static checks: layers, headers, format, cppcheck, scripts
	@ci/static

.PHONY: system
system: setup-test ## system tests under QEMU; T=name picks some
	$(again) trapline build/default.itb $(if $(GUEST_BINS),guests)
	@ci/system $(T)

.PHONY: test
test: setup-test ## unit, static and system tests; ends with "N passed, N failed"
	@MAKE='$(MAKE)' ci/test

.PHONY: bench
bench: setup-run ## exit costs, and a Debian boot, native beside Trapline
	$(again) trapline build/default.itb $(if $(GUEST_BINS),guests)
	@tests/perf/bench

.PHONY: format
format: ## formats the C files (clang-format)
	@ci/format --fix

.PHONY: clean
clean: ## removes what was built here; keeps what was downloaded
	@rm -rf build/hyp build/unit build/guests build/test-logs build/trapline.* build/*.itb build/*.its

.PHONY: distclean
distclean: ## removes build/ altogether
	@rm -rf build

.PHONY: help
help: ## this text
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18
	@sed 's/^/  /' tools/help.txt

# --- unit tests -----------------------------------------------------------------------------------
#
# Each tests/unit/test_X.c is a program. A line near its top says what it is linked with:
#   // units: stage2/walk.c tests/fake/fake_mem.c

UNIT_TESTS := $(wildcard tests/unit/test_*.c)
UNIT_BINS := $(UNIT_TESTS:tests/unit/%.c=build/unit/%)
UNIT_CFLAGS := -std=gnu11 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
  -fno-omit-frame-pointer -Wall -Wextra -Werror -DTRAPLINE_HOST_TEST -Itests/fake -I. -Ihyp

unit_sources = $(shell sed -n 's|^// units: *||p' $1)

define unit_rule
build/unit/$1: $(patsubst %.c,build/unit/obj/%.o,tests/unit/$1.c $(call unit_sources,tests/unit/$1.c))
endef
$(foreach t,$(UNIT_TESTS:tests/unit/%.c=%),$(eval $(call unit_rule,$t)))

$(UNIT_BINS):
	@$(CC) $(UNIT_CFLAGS) -o $@ $(filter %.o,$^) -lcmocka -lfdt

build/unit/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "CC  $< (unit)"
	@$(CC) $(UNIT_CFLAGS) -MMD -MP -c -o $@ $<

.PHONY: unit-run
unit-run:
	+@$(MAKE) --no-print-directory -k -j$$(nproc) $(UNIT_BINS) || :
	@ci/unit $(UNIT_BINS)

-include $(shell find build/unit/obj -name '*.d' 2>/dev/null)

# For scripts: make print-HYP_CFLAGS
print-%:
	@echo '$($*)'
