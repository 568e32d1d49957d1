// SPDX-License-Identifier: BSD-2-Clause
// Calls of which everything is known: see spec.h.
#include "sbi/spec.h"

enum { RA = 1, SP = 2, A0 = 10, A1 = 11, A6 = 16, A7 = 17, REGS = 32 };

void spec_ecall(uint64_t regs[2 * REGS]);

/* Legacy calls return nothing in a1 (chapter 5). */
static bool keeps_a1(uint64_t ext) { return ext <= 8; }

static unsigned first_changed(const uint64_t *before, const uint64_t *after, bool a1)
{
    for (unsigned r = RA; r < REGS; r++) {
        if (r == SP || r == A0 || (r == A1 && !a1))
            continue;
        if (before[r] != after[r])
            return r;
    }
    return 0;
}

struct sbi_ret spec_call(uint64_t ext, uint64_t fid, unsigned n, const uint64_t *args)
{
    uint64_t regs[2 * REGS];
    unsigned bad;

    for (unsigned r = 0; r < REGS; r++)
        regs[r] = 0xA5C3000000000000 | (uint64_t)r << 40 | 0x5A5A00FFu << 8 | r;
    for (unsigned i = 0; i < n; i++)
        regs[A0 + i] = args[i];
    regs[A6] = fid;
    regs[A7] = ext;
    spec_ecall(regs);
    bad = first_changed(regs, regs + REGS, keeps_a1(ext));
    check(!bad, "extension %lx, function %lx: x%u was %lx and is %lx", ext, fid, bad, regs[bad],
          regs[REGS + bad]);
    return (struct sbi_ret){(long)regs[REGS + A0], regs[REGS + A1]};
}

unsigned long spec_probe(uint64_t ext) { return sbi_call(SBI_BASE, 3, ext, 0, 0, 0, 0).value; }
