# SPDX-License-Identifier: BSD-2-Clause
# How build/trapline.elf and build/trapline.bin are made. Included by the Makefile; goal: trapline. With DEBUG=1
# they are build/debug/trapline.*, with more checks: undefined behaviour, stacks (docs/debugging.md).

CROSS ?= riscv64-linux-gnu-
LIBFDT_SRC ?= build/libfdt
ZLIB_SRC ?= build/zlib
DEBUG ?=
HYP_OUT := build$(if $(DEBUG),/debug)
# No F or D: the floating-point registers belong to guests while they are in the hypervisor.
HYP_ARCH := -march=rv64imac_zicsr_zifencei -mabi=lp64 -mcmodel=medany
HYP_INCLUDES := -Ihyp -I. -I$(LIBFDT_SRC) -isystem build/jsmn -isystem $(ZLIB_SRC)
HYP_SYSTEM := -nostdinc -isystem hyp/libc/include \
  -isystem $(shell $(CROSS)gcc -print-file-name=include 2>/dev/null)
HYP_CFLAGS := $(HYP_ARCH) $(HYP_SYSTEM) $(HYP_INCLUDES) -std=gnu11 -O2 -g -ffreestanding -fbuiltin -fno-pic \
  -fno-common -fno-stack-protector -fno-asynchronous-unwind-tables -ffunction-sections \
  -fdata-sections -fno-strict-aliasing -fno-tree-loop-distribute-patterns -fno-jump-tables \
  -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Werror
ifneq ($(DEBUG),)
HYP_CFLAGS += -DHYP_DEBUG=1 -fsanitize=undefined -fno-sanitize-recover=all
endif

HYP_C := $(wildcard hyp/*/*.c vcpu/*.c vcpu/*/*.c stage2/*.c vdev/*.c vdev/*/*.c)
HYP_S := $(wildcard hyp/*/*.S vcpu/*.S)
FDT_C := $(addprefix $(LIBFDT_SRC)/,fdt.c fdt_ro.c fdt_rw.c fdt_sw.c fdt_wip.c fdt_addresses.c \
  fdt_strerror.c fdt_check.c)
# What decompresses, without gzip's format and without an allocator of zlib's own.
ZLIB_C := $(addprefix $(ZLIB_SRC)/,inflate.c inftrees.c inffast.c adler32.c zutil.c)
ZLIB_CFLAGS := -DZ_SOLO -DNO_GZIP
HYP_OBJ := $(HYP_C:%.c=$(HYP_OUT)/hyp/%.o) $(HYP_S:%.S=$(HYP_OUT)/hyp/%.S.o) \
  $(patsubst $(LIBFDT_SRC)/%.c,$(HYP_OUT)/hyp/libfdt/%.o,$(FDT_C)) \
  $(patsubst $(ZLIB_SRC)/%.c,$(HYP_OUT)/hyp/zlib/%.o,$(ZLIB_C))
HYP_LDFLAGS := $(HYP_ARCH) -nostdlib -static -no-pie -Wl,--gc-sections -Wl,--build-id=none \
  -Wl,--no-warn-rwx-segments -Wl,-z,max-page-size=4096

.PHONY: trapline
trapline: $(HYP_OUT)/trapline.bin

$(HYP_OUT)/trapline.bin: $(HYP_OUT)/trapline.elf
	@$(CROSS)objcopy -O binary $< $@

# Linked twice: the symbol table for backtraces is made from the first link.
$(HYP_OUT)/trapline.elf: $(HYP_OBJ) hyp/boot/link.ld hyp/boot/symbols.awk
	@echo "LD  $@"
	@$(CROSS)gcc $(HYP_LDFLAGS) -Wl,-T,hyp/boot/link.ld -o $(HYP_OUT)/hyp/first.elf $(HYP_OBJ)
	@$(CROSS)nm -n $(HYP_OUT)/hyp/first.elf | awk -f hyp/boot/symbols.awk > $(HYP_OUT)/hyp/symbols.S
	@$(CROSS)gcc $(HYP_CFLAGS) -c -o $(HYP_OUT)/hyp/symbols.o $(HYP_OUT)/hyp/symbols.S
	@$(CROSS)gcc $(HYP_LDFLAGS) -Wl,-T,hyp/boot/link.ld -Wl,-Map,$(HYP_OUT)/trapline.map -o $@ \
	  $(HYP_OBJ) $(HYP_OUT)/hyp/symbols.o

# A library that is one header, of the machine's packages, apart from the machine's other headers.
build/jsmn/jsmn.h: /usr/include/jsmn.h
	@mkdir -p $(@D)
	@cp $< $@

$(HYP_OUT)/hyp/%.o: %.c | build/libfdt/.stamp build/zlib/.stamp build/jsmn/jsmn.h
	@mkdir -p $(@D)
	@echo "CC  $<"
	@$(CROSS)gcc $(HYP_CFLAGS) -MMD -MP -c -o $@ $<

$(HYP_OUT)/hyp/%.S.o: %.S
	@mkdir -p $(@D)
	@echo "AS  $<"
	@$(CROSS)gcc $(HYP_CFLAGS) -MMD -MP -c -o $@ $<

$(HYP_OUT)/hyp/libfdt/%.o: build/libfdt/.stamp
	@mkdir -p $(@D)
	@echo "CC  libfdt/$*.c"
	@$(CROSS)gcc $(HYP_CFLAGS) -Wno-error -w -c -o $@ $(LIBFDT_SRC)/$*.c

$(HYP_OUT)/hyp/zlib/%.o: build/zlib/.stamp
	@mkdir -p $(@D)
	@echo "CC  zlib/$*.c"
	@$(CROSS)gcc $(HYP_CFLAGS) $(ZLIB_CFLAGS) -include string.h -Wno-error -w -c -o $@ $(ZLIB_SRC)/$*.c

-include $(HYP_OBJ:.o=.d)
