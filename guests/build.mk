# SPDX-License-Identifier: BSD-2-Clause
# The bare-metal guests: each folder guests/NAME with C files, but rt, linux and linux-tools, becomes
# build/guests/NAME.bin. Goal: guests. Also small static programs for the Linux guest.

CROSS ?= riscv64-linux-gnu-
GUEST_NAMES := $(filter-out rt linux linux-tools,$(sort $(patsubst guests/%/,%,$(dir $(wildcard guests/*/*.c)))))
GUEST_BINS := $(GUEST_NAMES:%=build/guests/%.bin)
GUEST_TOOLS := $(patsubst guests/linux-tools/%.c,build/guests/linux-tools/%,$(wildcard guests/linux-tools/*.c))
GUEST_CFLAGS := -march=rv64gc -mabi=lp64d -mcmodel=medany -std=gnu11 -O2 -g -ffreestanding -fpie \
  -fvisibility=hidden -fno-common -fno-stack-protector -fno-asynchronous-unwind-tables \
  -fno-tree-loop-distribute-patterns -fno-strict-aliasing -nostdinc \
  -isystem $(shell $(CROSS)gcc -print-file-name=include 2>/dev/null) -Iguests \
  -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Werror
GUEST_LDFLAGS := -march=rv64gc -mabi=lp64d -nostdlib -static-pie -Wl,--no-dynamic-linker \
  -Wl,--build-id=none -Wl,--no-warn-rwx-segments -Wl,-z,max-page-size=4096 -Wl,-z,norelro \
  -Wl,-T,guests/rt/rt.ld
guest_objects = $(patsubst guests/%,build/guests/obj/%.o,$(wildcard guests/$1/*.c guests/$1/*.S))

.PHONY: guests
guests: $(GUEST_BINS) $(GUEST_TOOLS)

define guest_rule
build/guests/$1.elf: $(call guest_objects,rt) $(call guest_objects,$1) guests/rt/rt.ld
endef
$(foreach g,$(GUEST_NAMES),$(eval $(call guest_rule,$g)))

build/guests/%.elf:
	@echo "LD  $@"
	@$(CROSS)gcc $(GUEST_LDFLAGS) -o $@ $(filter %.o,$^)

build/guests/%.bin: build/guests/%.elf
	@$(CROSS)objcopy -O binary $< $@

build/guests/obj/%.o: guests/%
	@mkdir -p $(@D)
	@echo "CC  $<"
	@$(CROSS)gcc $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

build/guests/linux-tools/%: guests/linux-tools/%.c $(wildcard guests/linux-tools/*.h)
	@mkdir -p $(@D)
	@echo "LD  $@"
	@$(CROSS)gcc -std=gnu11 -O2 -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -nostdlib \
	  -static -Wl,--build-id=none -s -o $@ $<

.SECONDARY: $(GUEST_BINS:.bin=.elf)
-include $(shell find build/guests/obj -name '*.d' 2>/dev/null)
