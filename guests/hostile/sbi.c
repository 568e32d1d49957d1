// SPDX-License-Identifier: BSD-2-Clause
// SBI calls: every extension and none, functions that are and are not, arguments at all edges.
#include "hostile/hostile.h"

void hsm_stop_at_once(void); /* hsm_entry.S */
void sse_complete_at_once(void);

enum {
    SBI_PMU = 0x504d55,
    SBI_SUSP = 0x53555350,
    SBI_CPPC = 0x43505043,
    SBI_NACL = 0x4e41434c,
    SBI_STA = 0x535441,
    SBI_SSE = 0x535345,
    SBI_FWFT = 0x46574654,
    SBI_DBTR = 0x44425452,
    SBI_MPXY = 0x4d505859,
};

static const uint64_t ids[] = {
    0,        1,        2,        3,          4,          5,          6,          7,
    8,        9,        15,       SBI_BASE,   SBI_TIME,   SBI_IPI,    SBI_RFENCE, SBI_HSM,
    SBI_SRST, SBI_DBCN, SBI_PMU,  SBI_SUSP,   SBI_CPPC,   SBI_NACL,   SBI_STA,    SBI_SSE,
    SBI_FWFT, SBI_DBTR, SBI_MPXY, 0x08000000, 0x09000000, 0x0a000000, 0x0affffff,
};

struct call {
    uint64_t id, fid, a[5];
};

/* Calls whose arguments make sense one by one, so that they get past the first check. */
enum arg { ANY, SMALL, MASK, SHARED, EVENT, SSE_EVENT, COUNT, FLAG };
static const struct form {
    uint64_t id;
    uint8_t fids, arg[5];
} forms[] = {
    {SBI_PMU,
     9,
     {SMALL, MASK, MASK, EVENT, ANY}}, /* counters: base, mask, flags, event, its data */
    {SBI_PMU, 9, {SHARED, FLAG, FLAG, FLAG, FLAG}},
    {SBI_SSE, 10, {SSE_EVENT, COUNT, COUNT, SHARED, FLAG}},
    {SBI_FWFT, 2, {COUNT, FLAG, FLAG, ANY, ANY}},
    {SBI_STA, 1, {SHARED, FLAG, FLAG, ANY, ANY}},
    {SBI_DBTR, 8, {SHARED, FLAG, COUNT, COUNT, MASK}},
    {SBI_DBTR, 8, {SMALL, COUNT, MASK, ANY, ANY}},
    {SBI_SUSP, 1, {FLAG, SHARED, ANY, ANY, ANY}},
    {SBI_DBCN, 3, {SMALL, SHARED, FLAG, ANY, ANY}},
    {SBI_RFENCE, 7, {MASK, FLAG, SHARED, ANY, SMALL}},
    {SBI_MPXY, 7, {SHARED, FLAG, SMALL, COUNT, SHARED}},
};

static uint64_t make_arg(struct worker *w, enum arg kind)
{
    static const uint32_t sse_events[] = {0,       1,        0x8000,     0x10000,
                                          0x18000, 0x100000, 0xffff0000, 0xffff8000};
    static const uint32_t types[] = {0x00000, 0x10000, 0x20000, 0x30000, 0xf0000};

    if (one_in(w, 16))
        return nasty(w);
    switch (kind) {
    case SMALL:
        return random_below(w, 40);
    case MASK:
        return random_below(w, 1ul << random_below(w, 20));
    case SHARED: /* pages, lines, words; some over the end of one */
        return arena_address(w) & (one_in(w, 2) ? ~0xffful : one_in(w, 2) ? ~63ul : ~7ul);
    case EVENT:
        return types[random_below(w, ARRAY_LEN(types))] | random_below(w, 64);
    case SSE_EVENT:
        return sse_events[random_below(w, ARRAY_LEN(sse_events))];
    case COUNT:
        return random_below(w, 8);
    case FLAG:
        return random_below(w, 3);
    default:
        return nasty(w);
    }
}

static struct call structured(struct worker *w)
{
    const struct form *f = &forms[random_below(w, ARRAY_LEN(forms))];
    struct call c = {.id = f->id, .fid = random_below(w, f->fids)};

    for (unsigned n = 0; n < ARRAY_LEN(c.a); n++)
        c.a[n] = make_arg(w, f->arg[n]);
    return c;
}

static struct call random_call(struct worker *w)
{
    struct call c = {
        .id = one_in(w, 8) ? nasty(w) : ids[random_below(w, ARRAY_LEN(ids))],
        .fid = one_in(w, 4) ? nasty(w) : random_below(w, 10),
    };

    for (unsigned n = 0; n < ARRAY_LEN(c.a); n++)
        c.a[n] = one_in(w, 3) ? nasty_address(w) : nasty(w);
    if (one_in(w, 16))
        c.id |= 1ul << 63 | 1ul << 32; /* a caller that did not extend it */
    return c;
}

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
    case SBI_FWFT: /* landing pads, shadow stacks, double traps: this program is not made for them */
        if (!c->fid && c->a[0] >= 1 && c->a[0] <= 3)
            c->a[1] = 0;
        return true;
    case SBI_SSE: /* an event is a jump to its handler */
        if (c->fid == 2)
            c->a[1] = (uint64_t)sse_complete_at_once;
        return c->fid != 1 || c->a[1] < 4; /* where its handler returns to */
    case SBI_SUSP: /* what it resumes at ends the VM when that has no other hart */
        if (rt_hart_count == 1)
            return false;
        alarm_in(random_below(w, 100));
        if (!c->fid && is_ram(c->a[1]))
            c->a[1] = (uint64_t)hsm_stop_at_once;
        return true;
    default:
        return true;
    }
}

void attack_sbi(struct worker *w)
{
    for (uint64_t i = 0; i < w->ops; i++) {
        struct call c = one_in(w, 2) ? structured(w) : random_call(w);

        if (!tame(w, &c))
            continue;
        sbi_call(c.id, c.fid, c.a[0], c.a[1], c.a[2], c.a[3], c.a[4]);
        w->done++;
    }
    sbi_call(SBI_TIME, 0, ~0ul, 0, 0, 0, 0);
}
