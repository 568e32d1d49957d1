// SPDX-License-Identifier: BSD-2-Clause
// Accesses to every register of every device: all widths, misaligned, and by instructions that no
// device understands.
#include "hostile/hostile.h"

#define OPS(op) \
    op("lb %0, 0(%1)") op("lbu %0, 0(%1)") op("lh %0, 0(%1)") op("lhu %0, 0(%1)") \
        op("lw %0, 0(%1)") op("lwu %0, 0(%1)") op("ld %0, 0(%1)") op("sb %0, 0(%1)") \
            op("sh %0, 0(%1)") op("sw %0, 0(%1)") op("sd %0, 0(%1)") op("flw ft0, 0(%1)") \
                op("fld ft0, 0(%1)") op("fsw ft0, 0(%1)") op("fsd ft0, 0(%1)") op("lr.w %0, (%1)") \
                    op("lr.d %0, (%1)") op("sc.w %0, %0, (%1)") op("sc.d %0, %0, (%1)") \
                        op("amoadd.w %0, %0, (%1)") op("amoswap.d %0, %0, (%1)") \
                            op("amomaxu.w zero, %0, (%1)") op("amoand.d.aqrl %0, %0, (%1)") \
                                op("c.lw %0, 4(%1)") op("c.ld %0, 8(%1)") op("c.sw %0, 0(%1)") \
                                    op("c.sd %0, 0(%1)") op("c.fld fa0, 0(%1)") \
                                        op("c.fsd fa0, 0(%1)") op("lw zero, 0(%1)") \
                                            op("sw zero, 0(%1)") op("lw %1, 0(%1)")
enum { KINDS = 32 };

/* In registers that the compressed forms have. */
static void access(unsigned kind, uint64_t address, uint64_t value)
{
    register uint64_t v __asm__("a4") = value;
    register uint64_t a __asm__("a5") = address;
    unsigned n = 0;

#define OP(text) \
    if (kind == n++) \
        __asm__ volatile(".option push\n .option rvc\n" text "\n .option pop" \
                         : "+r"(v), "+r"(a)::"memory", "ft0", "fa0");
    OPS(OP)
}

static uint64_t plic_offset(struct worker *w)
{
    switch (random_below(w, 5)) {
    case 0:
        return random_below(w, 0x110); /* priorities */
    case 1:
        return 0x1000 + random_below(w, 16);
    case 2:
        return 0x2000 + random_below(w, 0x80 * 10);
    case 3:
        return 0x200000 + 0x1000 * random_below(w, 10) + random_below(w, 16);
    default:
        return random_below(w, 0x4000000 - 16);
    }
}

/* Never over the end of a device: that is a hole. */
static uint64_t choose_address(struct worker *w)
{
    uint64_t a;

    switch (random_below(w, 3)) {
    case 0:
        a = PLIC + plic_offset(w);
        break;
    case 1:
        a = UART + (one_in(w, 4) ? random_below(w, 0x100 - 16) : random_below(w, 10));
        break;
    default:
        a = VIRTIO + 0x1000 * random_below(w, 2 + disks) +
            (one_in(w, 8) ? random_below(w, 0x1000 - 16) : random_below(w, 0x140));
    }
    return one_in(w, 4) ? a : a & ~3ul;
}

static uint64_t choose_value(struct worker *w, uint64_t address)
{
    uint64_t v = nasty(w), offset = address & 0xfff;

    if (address - UART < 8)
        return (v & ~0xfful) | (one_in(w, 2) ? '.' : v & 0x5f); /* no text that a test waits for */
    if (address - VIRTIO >= 0x100000)
        return v;
    if (offset >= 0x80 && offset < 0xa8 && is_ram((uint32_t)v))
        return (uint32_t)arena_address(w); /* rings are written to */
    if (offset == 0x70 && one_in(w, 2)) {
        static const uint8_t way[] = {0, 1, 3, 11, 15};

        return way[random_below(w, ARRAY_LEN(way))];
    }
    return v;
}

void attack_mmio(struct worker *w)
{
    for (uint64_t i = 0; i < w->ops; i++) {
        uint64_t address = choose_address(w);

        access((unsigned)random_below(w, KINDS), address, choose_value(w, address));
        w->done++;
    }
}
