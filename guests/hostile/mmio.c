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

/* Whole registers, elements, segments, strides and indices that are made of wild numbers. */
static void vector_access(unsigned kind, uint64_t address, uint64_t value)
{
#define VECTOR(n, setting, text) \
    case n: \
        __asm__ volatile(".option push\n .option arch, +v\n vsetvli t0, %2, " setting \
                         "\n vmv.v.x v4, %1\n" text "\n .option pop" ::"r"(address), \
                         "r"(value), "r"(value & 15) \
                         : "t0", "memory"); \
        break;

    switch (kind) {
        VECTOR(0, "e32, m1, ta, ma", "vle32.v v8, (%0)")
        VECTOR(1, "e8, m1, ta, ma", "vse8.v v8, (%0)")
        VECTOR(2, "e64, m1, ta, ma", "vlse64.v v8, (%0), %1")
        VECTOR(3, "e32, m1, ta, ma", "vluxei32.v v8, (%0), v4")
        VECTOR(4, "e16, m1, ta, ma", "vlseg4e16.v v8, (%0)")
        VECTOR(5, "e32, m1, ta, ma", "vl1re32.v v8, (%0)")
        VECTOR(6, "e32, m1, ta, ma", "vs1r.v v8, (%0)")
        VECTOR(7, "e8, m1, ta, ma", "vle8ff.v v8, (%0)")
        VECTOR(8, "e8, m1, ta, ma", "vsm.v v8, (%0)")
    }
}
enum { VECTOR_KINDS = 9 };

/* Not so large that an element lies behind the device, where nothing is. */
static uint64_t stride(struct worker *w) { return random_below(w, 16); }

static uint64_t with_room(uint64_t address)
{
    if (address - UART < 0x100)
        return UART + (address & 7);
    return (address & 0xfff) > 0xc00 ? address - 0xc00 : address;
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

    switch (random_below(w, rt_rtc ? 4 : 3)) {
    case 0:
        a = PLIC + plic_offset(w);
        break;
    case 1:
        a = UART + (one_in(w, 4) ? random_below(w, 0x100 - 16) : random_below(w, 10));
        break;
    case 3:
        a = rt_rtc + (one_in(w, 8) ? random_below(w, 0x1000 - 16) : random_below(w, 0x24));
        break;
    default:
        a = VIRTIO + 0x1000 * random_below(w, 2 + disks + nets) +
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

/* No device, and no hole, is memory that may be run. */
static void jump(struct worker *w)
{
    uint64_t a = one_in(w, 2) ? choose_address(w) : nasty_address(w);

    if (!is_ram(a))
        __asm__ volatile("jalr ra, 0(%0)" ::"r"(a & ~1ul) : "ra", "memory");
}

void attack_mmio(struct worker *w)
{
    bool has_vector = rt_has("v");

    if (has_vector)
        csr_set(sstatus, SSTATUS_VS);
    for (uint64_t i = 0; i < w->ops; i++) {
        uint64_t address = choose_address(w);

        if (one_in(w, 32))
            jump(w);
        else if (has_vector && one_in(w, 8))
            vector_access((unsigned)random_below(w, VECTOR_KINDS), with_room(address), stride(w));
        else
            access((unsigned)random_below(w, KINDS), address, choose_value(w, address));
        w->done++;
    }
}
