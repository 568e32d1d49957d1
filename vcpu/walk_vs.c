// SPDX-License-Identifier: BSD-2-Clause
// The VS-stage walk in software (privileged architecture, "Virtual Address Translation
// Process"). The tables are the guest's, so anything may be in them: each entry is read once,
// through guest_mem, and the walk goes down at most five levels. Permissions are not judged:
// nobody asks for an access here; A and D neither.
#include <errno.h>

#include "vcpu/vcpu.h"

enum { VSATP_BARE = 0, VSATP_SV39 = 8, VSATP_SV48 = 9, VSATP_SV57 = 10 };

#define VSATP_PPN_MASK ((1ul << 44) - 1)
#define PTE_PPN_SHIFT 10
#define PTE_PPN_MASK ((1ul << 44) - 1)
#define PTE_RESERVED (0x7Ful << 54)
#define PTE_RSW (3ul << 59) /* not reserved on hosts with Svrsw60t59b */
#define PTE_PBMT (3ul << 61)
#define PTE_N (1ul << 63)
#define PTE_LEAF (PTE_R | PTE_X)
#define NAPOT_64K 8 /* ppn[3:0] of a 64 KiB page, the one size of Svnapot */

/* Levels of the mode, 0: bare, negative: no such mode. */
static int mode_levels(uint64_t vsatp)
{
    switch (vsatp >> 60) {
    case VSATP_BARE:
        return 0;
    case VSATP_SV39:
        return 3;
    case VSATP_SV48:
        return 4;
    case VSATP_SV57:
        return 5;
    default:
        return -EFAULT;
    }
}

/* Bits above the highest must equal it. */
static bool is_canonical(uint64_t va, unsigned levels)
{
    unsigned unused = 64 - (PAGE_SHIFT + 9 * levels);

    return (uint64_t)((int64_t)(va << unused) >> unused) == va;
}

/* Else a hart that takes these bits, and tells no address of its faults (fault_by_walk), would fault for ever. */
static bool is_reserved(uint64_t pte)
{
    return pte & PTE_RESERVED & ~(vcpu_features.svrsw60t59b ? PTE_RSW : 0);
}

static bool is_pointer(uint64_t pte)
{
    return !(pte & (PTE_LEAF | PTE_W | PTE_A | PTE_D | PTE_U | PTE_PBMT | PTE_N));
}

/* What a leaf at this level maps va to. 0, or -EFAULT for a reserved encoding. */
static int leaf_gpa(uint64_t pte, unsigned level, uint64_t va, gpa_t *out)
{
    uint64_t ppn = pte >> PTE_PPN_SHIFT & PTE_PPN_MASK;
    uint64_t offset_bits = PAGE_SHIFT + 9 * level;

    if ((pte & PTE_W) && !(pte & PTE_R))
        return -EFAULT;
    if (ppn & ((1ul << (9 * level)) - 1))
        return -EFAULT; /* misaligned superpage */
    if (pte & PTE_N) {
        if (level || (ppn & 0xF) != NAPOT_64K)
            return -EFAULT;
        ppn &= ~0xFul;
        offset_bits = 16;
    }
    *out = gpa(ppn << PAGE_SHIFT | (va & ((1ul << offset_bits) - 1)));
    return 0;
}

unsigned vcpu_walk_vs(struct stage2 *s2, uint64_t vsatp, gva_t va, struct vs_step steps[5],
                      gpa_t *out, int *result)
{
    int levels = mode_levels(vsatp);
    gpa_t table = gpa((vsatp & VSATP_PPN_MASK) << PAGE_SHIFT);
    unsigned n = 0;

    *out = gpa(0);
    *result = -EFAULT;
    if (levels == 0) {
        *out = gpa(va.v);
        *result = 0;
    }
    if (levels <= 0 || !is_canonical(va.v, (unsigned)levels))
        return 0;
    for (unsigned level = (unsigned)levels; level-- > 0;) {
        struct vs_step *s = &steps[n++];
        uint64_t pte = 0;

        *s = (struct vs_step){level, table, va.v >> (PAGE_SHIFT + 9 * level) & 511, 0};
        if (guest_mem_read(s2, gpa_add(table, s->index * 8ul), &pte, sizeof(pte)))
            break;
        s->pte = pte;
        if (!(pte & PTE_V) || is_reserved(pte))
            break;
        if (pte & PTE_LEAF) {
            *result = leaf_gpa(pte, level, va.v, out);
            break;
        }
        if (!is_pointer(pte))
            break;
        table = gpa((pte >> PTE_PPN_SHIFT & PTE_PPN_MASK) << PAGE_SHIFT);
    }
    return n;
}

static bool fetch_half(struct stage2 *s2, uint64_t vsatp, gva_t va, uint16_t *to)
{
    struct vs_step steps[5];
    gpa_t g;
    int result;

    vcpu_walk_vs(s2, vsatp, va, steps, &g, &result);
    return !result && !guest_mem_read(s2, g, to, sizeof(*to));
}

bool vcpu_walk_fetch(struct stage2 *s2, uint64_t vsatp, gva_t pc, uint32_t *raw)
{
    uint16_t low, high = 0;

    if (!fetch_half(s2, vsatp, pc, &low))
        return false;
    /* The other half may lie on another page. */
    if ((low & 3) == 3 && !fetch_half(s2, vsatp, gva(pc.v + 2), &high))
        return false;
    *raw = low | (uint32_t)high << 16;
    return true;
}
