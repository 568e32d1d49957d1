// SPDX-License-Identifier: BSD-2-Clause
// Page tables that lead to devices, to nothing, in circles; changed by the other harts while they are
// walked. Leaves lead to RAM and devices only: a load from nothing would end the VM.
#include "hostile/hostile.h"

enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128 };
enum {
    BASE = 192
}; /* of the entries in use at each level: in another level's place all others are 0 */

static uint64_t root[512] __attribute__((aligned(4096)));
static uint64_t middle[512] __attribute__((aligned(4096)));
static uint64_t window[512] __attribute__((aligned(4096)));

static uint64_t pte(uint64_t pa, uint64_t bits)
{
    return (pa >> 12 & ((1ul << 44) - 1)) << 10 | bits;
}

static uint64_t table_pte(struct worker *w)
{
    switch (random_below(w, 8)) {
    case 0:
        return pte((uint64_t)root, V); /* itself */
    case 1:
        return pte((uint64_t)middle, V);
    case 2:
        return pte(one_in(w, 2) ? UART : VIRTIO, V); /* read by the walk of the hart */
    case 3:
        return pte(nasty(w), V); /* mostly nothing there */
    case 4:
        return pte(rt_ram_base + rt_ram_size, V);
    case 5:
        return pte((uint64_t)window, V | (random_next(w) & (A | D | U | G)));
    default:
        return pte((uint64_t)window, V);
    }
}

/* The device pages are such as cannot be large pages by mistake: misaligned, or all device. */
static uint64_t leaf_pte(struct worker *w)
{
    uint64_t bits = V | R | W | X | A | D;

    switch (random_below(w, 8)) {
    case 0:
        return pte(VIRTIO + 0x1000 * random_below(w, 2 + disks + nets), V | R | W | A | D);
    case 1:
        return pte(PLIC + 0x1000 * random_below(w, 4), V | R | W | A | D);
    case 2:
        bits = V | (random_next(w) & 0xfe);
        break;
    case 3:
        bits |= 1ul << (54 + random_below(w, 10)); /* reserved, PBMT, NAPOT */
        break;
    case 4:
        return random_next(w) & ~(uint64_t)V;
    default:
        break;
    }
    return pte(arena + 0x100000 + 0x1000 * random_below(w, 64), bits);
}

static void scribble(struct worker *w)
{
    switch (random_below(w, 8)) {
    case 0:
        ((volatile uint64_t *)root)[BASE] = one_in(w, 2) ? pte((uint64_t)middle, V) : table_pte(w);
        break;
    case 1:
    case 2:
        ((volatile uint64_t *)middle)[BASE + random_below(w, 2)] = table_pte(w);
        break;
    default:
        ((volatile uint64_t *)window)[BASE + random_below(w, 64)] = leaf_pte(w);
    }
}

static void touch(struct worker *w, uint64_t va)
{
    uint64_t v = 0x8082808280828082; /* returns, so that it may be run */

    switch (random_below(w, 8)) {
    case 0:
        __asm__ volatile("sd %0, 0(%1)" ::"r"(v), "r"(va) : "memory");
        break;
    case 1:
        __asm__ volatile("sb %0, 3(%1)" ::"r"(0x82ul), "r"(va & ~1ul) : "memory");
        break;
    case 2:
        __asm__ volatile("amoswap.w zero, %0, (%1)" ::"r"(v), "r"(va) : "memory");
        break;
    case 3:
        __asm__ volatile("lr.d %0, (%1)\n sc.d %0, %0, (%1)" : "+r"(v) : "r"(va) : "memory");
        break;
    case 4:
        __asm__ volatile("fld ft0, 0(%0)" ::"r"(va) : "ft0", "memory");
        break;
    case 5: /* a page of returns, or no page to run */
        __asm__ volatile("jalr ra, 0(%0)" ::"r"(va & ~7ul) : "ra", "memory");
        break;
    default:
        __asm__ volatile("ld %0, 0(%1)" : "=r"(v) : "r"(va) : "memory");
    }
}

void attack_paging_scribble(struct worker *w)
{
    for (uint64_t i = 0; i < 4 * w->ops; i++) {
        scribble(w);
        if (one_in(w, 32))
            sbi_call(SBI_RFENCE, 1, 0, ~0ul, 0, ~0ul, 0);
        w->done++;
    }
}

void attack_paging(struct worker *w)
{
    for (uint64_t at = 0; at < 64 * 0x1000; at += 8)
        *(volatile uint64_t *)(arena + 0x100000 + at) = 0x8082808280828082;
    for (unsigned i = 0; i < 4; i++)
        root[i] = pte((uint64_t)i << 30, V | R | W | X | A | D);
    root[BASE] = pte((uint64_t)middle, V);
    middle[BASE] = middle[BASE + 1] = pte((uint64_t)window, V);
    __asm__ volatile("sfence.vma" ::: "memory");
    csr_write(satp, 8ul << 60 | (uint64_t)root >> 12);
    __asm__ volatile("sfence.vma" ::: "memory");
    for (uint64_t i = 0; i < w->ops; i++) {
        uint64_t va = (uint64_t)BASE << 30 | (BASE + random_below(w, 2)) << 21 |
                      (BASE + random_below(w, 64)) << 12;

        scribble(w);
        if (one_in(w, 2))
            __asm__ volatile("sfence.vma" ::: "memory");
        touch(w, va | (random_below(w, 4096 - 16) & (one_in(w, 4) ? ~0ul : ~15ul)));
        w->done++;
    }
    csr_write(satp, 0);
    __asm__ volatile("sfence.vma" ::: "memory");
}
