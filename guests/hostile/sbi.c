// SPDX-License-Identifier: BSD-2-Clause
// SBI calls: every extension and none, functions that are and are not, arguments at all edges.
#include "hostile/hostile.h"

void hsm_stop_at_once(void); /* hsm_entry.S */

static const uint64_t ids[] = {
    0,          1,          2,          3,          4,          5,          6,          7,
    8,          9,          15,         SBI_BASE,   SBI_TIME,   SBI_IPI,    SBI_RFENCE, SBI_HSM,
    SBI_SRST,   SBI_DBCN,   0x504d55,   0x53555350, 0x43505043, 0x4e41434c, 0x535441,   0x535345,
    0x46574654, 0x44425452, 0x4d505859, 0x08000000, 0x09000000, 0x0a000000, 0x0affffff,
};

struct call {
    uint64_t id, fid, a[5];
};

/* Leaves out, or turns aside, what would only end this VM or take this hart away. */
static bool tame_hsm(struct worker *w, struct call *c)
{
    switch (c->fid) {
    case 0: /* start: another hart, which stops itself */
        if (is_ram(c->a[1]))
            c->a[1] = (uint64_t)hsm_stop_at_once;
        return true;
    case 1:
        return false;
    case 3:
        if ((uint32_t)c->a[0] == 0x80000000 && is_ram(c->a[1]))
            c->a[0] = 0;
        alarm_in(random_below(w, 100));
        return true;
    default:
        return true;
    }
}

static bool tame(struct worker *w, struct call *c)
{
    switch (c->id) {
    case 1: /* putchar */
        c->a[0] = (c->a[0] & ~0xfful) | '.';
        return one_in(w, 16);
    case 8: /* shutdown */
        return false;
    case SBI_SRST:
        if (!c->fid && (uint32_t)c->a[0] < 3)
            c->a[1] = 2 + random_below(w, 0xdffffffd);
        return true;
    case SBI_HSM:
        return tame_hsm(w, c);
    case SBI_DBCN:
        if (c->fid == 2)
            c->a[0] = '.';
        if (c->fid == 0 && is_ram(c->a[1]) && !one_in(w, 64))
            c->a[0] %= 32;
        return c->fid != 2 || one_in(w, 16);
    default:
        return true;
    }
}

void attack_sbi(struct worker *w)
{
    for (uint64_t i = 0; i < w->ops; i++) {
        struct call c = {
            .id = one_in(w, 8) ? nasty(w) : ids[random_below(w, ARRAY_LEN(ids))],
            .fid = one_in(w, 4) ? nasty(w) : random_below(w, 10),
        };

        for (unsigned n = 0; n < ARRAY_LEN(c.a); n++)
            c.a[n] = one_in(w, 3) ? nasty_address(w) : nasty(w);
        if (one_in(w, 16))
            c.id |= 1ul << 63 | 1ul << 32; /* a caller that did not extend it */
        if (!tame(w, &c))
            continue;
        sbi_call(c.id, c.fid, c.a[0], c.a[1], c.a[2], c.a[3], c.a[4]);
        w->done++;
    }
    sbi_call(SBI_TIME, 0, ~0ul, 0, 0, 0, 0);
}
