// SPDX-License-Identifier: BSD-2-Clause
// SSE (chapter 17): the software events, one local and one global, through every state.
#include "sbi/spec.h"

enum { READ, WRITE, REGISTER, UNREGISTER, ENABLE, DISABLE, COMPLETE, INJECT, UNMASK, MASK };
enum { STATUS, PRIORITY, CONFIG, PREFERRED_HART, ENTRY_PC, ENTRY_ARG, SEPC, FLAGS, A6, A7, ATTRS };
enum { UNUSED, REGISTERED, ENABLED, RUNNING };
#define LOCAL 0xFFFF0000ul
#define GLOBAL 0xFFFF8000ul
#define HIGH (1ul << 63 | 1ul << 32)
#define ALL (~0ul)

static const uint64_t events[] = {LOCAL, GLOBAL};
/* Reserved: "event_id is invalid". */
static const uint64_t reserved[] = {
    0x2,      0x3fff,     0x8001,     0xbfff,     0x10001,    0x18000,    0x20000,          0x28000,
    0x100001, 0xFFFF0001, 0xFFFF3FFF, 0xFFFF8001, 0xFFFFBFFF, HIGH | 0x2, HIGH | 0xFFFF8001};
/* Platforms' own, and standard ones that a machine may lack. */
static const uint64_t optional[] = {0x4001, 0xC000, 0x14000, 0x1C000, 0xFFFF4000, 0xFFFFC000};
static const uint64_t standard[] = {0, 1, 0x8000, 0x10000, 0x100000, 0x108000};

/* What a handler (sse_entry.S) has seen; its own argument points here. */
static volatile struct seen {
    uint64_t a6, sepc, sstatus, count, t0, time;
} seen, seen_global;
void sse_handler(void);

static uint64_t *words(void) { return (uint64_t *)spec_pages; }
static uint64_t ours(void) { return (uint64_t)spec_pages; }

static uint64_t attr(uint64_t event, uint64_t id)
{
    words()[0] = 0xBAD;
    sbi_call(EXT_SSE, READ, event, id, 1, ours(), 0);
    return words()[0];
}

static unsigned state(uint64_t event) { return attr(event, STATUS) & 3; }

static struct sbi_ret write_attr(uint64_t event, uint64_t id, uint64_t value)
{
    words()[0] = value;
    return CALL(EXT_SSE, WRITE, event, id, 1, ours(), 0);
}

static struct sbi_ret do_register(uint64_t event)
{
    return CALL(EXT_SSE, REGISTER, event, (uint64_t)sse_handler, (uint64_t)&seen);
}
static struct sbi_ret do_enable(uint64_t event) { return CALL(EXT_SSE, ENABLE, event); }
static struct sbi_ret do_disable(uint64_t event) { return CALL(EXT_SSE, DISABLE, event); }
static struct sbi_ret do_unregister(uint64_t event) { return CALL(EXT_SSE, UNREGISTER, event); }

/* Back to UNUSED and masked, whatever came before. */
static void put_back(uint64_t event)
{
    sbi_call(EXT_SSE, DISABLE, event, 0, 0, 0, 0);
    words()[0] = words()[1] = 0;
    sbi_call(EXT_SSE, WRITE, event, PRIORITY, 2, ours(), 0);
    sbi_call(EXT_SSE, UNREGISTER, event, 0, 0, 0, 0);
    sbi_call(EXT_SSE, MASK, 0, 0, 0, 0, 0);
}

/* Ids that are none, for a function whose first argument is one. */
static void check_ids(struct sbi_ret (*call)(uint64_t event))
{
    for (unsigned i = 0; i < ARRAY_LEN(reserved); i++)
        check_errors(call(reserved[i]), ERR(SBI_INVALID_PARAM) | natively(ERR(SBI_NOT_SUPPORTED)),
                     "event %lx", reserved[i]);
    for (unsigned i = 0; i < ARRAY_LEN(optional); i++)
        check_errors(call(optional[i]), ERR(SBI_INVALID_PARAM) | ERR(SBI_NOT_SUPPORTED),
                     "event %lx", optional[i]);
}

/* ---- attributes ---- */

static struct sbi_ret read_one(uint64_t event)
{
    return CALL(EXT_SSE, READ, event, 0, 1, ours(), 0);
}

static struct sbi_ret read_two(uint64_t low, uint64_t high)
{
    return CALL(EXT_SSE, READ, LOCAL, PRIORITY, 2, low, high);
}

static const uint64_t ranges[][2] = {
    {ATTRS, 1},      {ATTRS - 1, 2},  {0, ATTRS + 1},  {0xFFFFFFFF, 1}, {0xFFFFFFFF, 2},
    {1, 0xFFFFFFFF}, {0, 0x80000000}, {0x80000000, 1}, {0, 1ul << 29},
};

static void check_attr_ranges(uint64_t fid, uint64_t event)
{
    for (unsigned i = 0; i < ARRAY_LEN(ranges); i++)
        check_error(CALL(EXT_SSE, fid, event, ranges[i][0], ranges[i][1], ours(), 0), SBI_BAD_RANGE,
                    "event %lx, attributes %lx, %lx", event, ranges[i][0], ranges[i][1]);
    check_error(CALL(EXT_SSE, fid, event, PRIORITY, 0, ours(), 0), SBI_INVALID_PARAM, "count 0");
    check_error(CALL(EXT_SSE, fid, event, PRIORITY, HIGH, ours(), 0), SBI_INVALID_PARAM,
                "count 0 with upper bits set");
}

SPEC_CHECK(EXT_SSE, READ, sse_read)
{
    static const struct shmem s = {read_two, 16, 8, SBI_INVALID_ADDRESS, ERR(SBI_INVALID_ADDRESS)};

    check_ids(read_one);
    for (unsigned i = 0; i < ARRAY_LEN(standard); i++)
        check_errors(read_one(standard[i]), ERR(SBI_OK) | ERR(SBI_NOT_SUPPORTED), "event %lx",
                     standard[i]);
    if (rt_trapline)
        check_shmem(&s);
    for (unsigned e = 0; e < ARRAY_LEN(events); e++) {
        memset(spec_pages, 0x55, 256);
        check_error(CALL(EXT_SSE, READ, events[e] | HIGH, HIGH, ATTRS | HIGH, ours(), 0), SBI_OK,
                    "all attributes, upper bits set");
        check((words()[STATUS] & 7) == 0 && !(words()[STATUS] >> 4), "status %lx", words()[STATUS]);
        check(words()[STATUS] & 8, "a software event that cannot be injected: %lx",
              words()[STATUS]);
        for (unsigned a = PRIORITY; a < ATTRS; a++)
            check(a == PREFERRED_HART || !words()[a], "event %lx: attribute %u is %lx", events[e],
                  a, words()[a]);
        check(mask_is_valid(1, words()[PREFERRED_HART]), "preferred hart %lx",
              words()[PREFERRED_HART]);
        check(words()[ATTRS] == 0x5555555555555555, "more than was asked for is written");
        check_attr_ranges(READ, events[e]);
    }
}

static struct sbi_ret write_one(uint64_t event) { return write_attr(event, PRIORITY, 0); }

static struct sbi_ret write_two(uint64_t low, uint64_t high)
{
    if (!high && low >= rt_ram_base && low + 16 <= ram_end() && !(low & 7))
        memset((void *)low, 0, 16);
    return CALL(EXT_SSE, WRITE, LOCAL, PRIORITY, 2, low, high);
}

/* DENIED since a late draft of 3.0; OpenSBI 1.6 is of before. */
#define READ_ONLY (ERR(SBI_DENIED) | natively(ERR(SBI_BAD_RANGE)))

/* Attributes that cannot be written: now, or ever. The words that are read hold legal values. */
static void check_read_only(uint64_t event)
{
    static const uint64_t never[] = {STATUS, ENTRY_PC, ENTRY_ARG};

    for (unsigned i = 0; i < ARRAY_LEN(never); i++)
        check_errors(write_attr(event, never[i], 0), READ_ONLY, "attribute %lu", never[i]);
    memset(spec_pages, 0, 64);
    words()[PREFERRED_HART - PRIORITY] = harts[0].id;
    check_errors(CALL(EXT_SSE, WRITE, event, PRIORITY, ENTRY_PC, ours(), 0), READ_ONLY,
                 "a range with read-only ones in it");
    for (uint64_t a = SEPC; a < ATTRS; a++)
        check_error(write_attr(event, a, 0), SBI_INVALID_STATE, "attribute %lu, not RUNNING", a);
}

static void check_written(uint64_t event)
{
    check_error(write_attr(event | HIGH, PRIORITY | HIGH, 7), SBI_OK, "priority");
    check(attr(event, PRIORITY) == 7, "priority is %lx, not 7", attr(event, PRIORITY));
    check_error(write_attr(event, CONFIG, 1), SBI_OK, "one-shot");
    check(attr(event, CONFIG) == 1, "config is %lx", attr(event, CONFIG));
    for (unsigned bit = 1; bit < 64; bit++)
        check_errors(write_attr(event, CONFIG, 1ul << bit),
                     ERR(SBI_INVALID_PARAM) | natively(ERR(SBI_OK)), "config bit %u", bit);
    check(!(attr(event, CONFIG) & ~1ul), "config has reserved bits: %lx", attr(event, CONFIG));
    write_attr(event, PRIORITY, 1ul << 40 | 9); /* "only lower 32-bits of the value are used" */
    check(!(attr(event, PRIORITY) >> 32), "priority is %lx", attr(event, PRIORITY));
    check_error(write_attr(event, PRIORITY, 0), SBI_OK, "priority back");
    check_error(write_attr(event, CONFIG, 0), SBI_OK, "config back");
}

SPEC_CHECK(EXT_SSE, WRITE, sse_write)
{
    static const struct shmem s = {write_two, 16, 8, SBI_INVALID_ADDRESS, ERR(SBI_INVALID_ADDRESS)};
    const uint64_t bad_harts[] = {4000, 1ul << 32 | harts[0].id, 1ul << 63 | harts[0].id, ALL};

    check_ids(write_one);
    if (rt_trapline)
        check_shmem(&s);
    for (unsigned e = 0; e < ARRAY_LEN(events); e++) {
        check_attr_ranges(WRITE, events[e]);
        check_read_only(events[e]);
        check_written(events[e]);
        check_error(do_register(events[e]), SBI_OK, "register");
        check_written(events[e]); /* in REGISTERED too */
        check_error(do_enable(events[e]), SBI_OK, "enable");
        for (uint64_t a = PRIORITY; a <= CONFIG; a++)
            check_error(write_attr(events[e], a, 0), SBI_INVALID_STATE, "attribute %lu, ENABLED",
                        a);
        put_back(events[e]);
    }
    check_errors(write_attr(LOCAL, PREFERRED_HART, harts[0].id), READ_ONLY,
                 "preferred hart of a local event");
    for (unsigned i = 0; i < ARRAY_LEN(bad_harts); i++)
        check_error(write_attr(GLOBAL, PREFERRED_HART, bad_harts[i]), SBI_INVALID_PARAM,
                    "preferred hart %lx", bad_harts[i]);
    for (unsigned i = 0; i < rt_hart_count; i++)
        check_error(write_attr(GLOBAL, PREFERRED_HART, harts[i].id), SBI_OK, "preferred hart %lx",
                    harts[i].id);
    write_attr(GLOBAL, PREFERRED_HART, harts[0].id);
}

/* ---- states ---- */

struct move {
    struct sbi_ret (*call)(uint64_t event);
    unsigned from, to;
};
static const struct move moves[] = {
    {do_register, UNUSED, REGISTERED},
    {do_unregister, REGISTERED, UNUSED},
    {do_enable, REGISTERED, ENABLED},
    {do_disable, ENABLED, REGISTERED},
};

static void go_to(uint64_t event, unsigned to)
{
    put_back(event);
    if (to >= REGISTERED)
        do_register(event);
    if (to >= ENABLED)
        do_enable(event);
    check(state(event) == to, "event %lx: state %u, not %u", event, state(event), to);
}

/* From every state: the one that it is for, and INVALID_STATE from the others. */
static void check_move(const struct move *m)
{
    check_ids(m->call);
    for (unsigned e = 0; e < ARRAY_LEN(events); e++) {
        for (unsigned from = UNUSED; from <= ENABLED; from++) {
            go_to(events[e], from);
            struct sbi_ret r = m->call(events[e] | HIGH);
            if (from == m->from) {
                check_error(r, SBI_OK, "event %lx, state %u", events[e], from);
                check(state(events[e]) == m->to, "state %u, not %u", state(events[e]), m->to);
            } else {
                check_error(r, SBI_INVALID_STATE, "event %lx, state %u", events[e], from);
                check(state(events[e]) == from, "state %u, not %u", state(events[e]), from);
            }
        }
        put_back(events[e]);
    }
}

SPEC_CHECK(EXT_SSE, REGISTER, sse_register)
{
    static const uint64_t odd[] = {1, 0x80000001, ALL};

    check_move(&moves[0]);
    for (unsigned i = 0; i < ARRAY_LEN(odd); i++)
        check_error(CALL(EXT_SSE, REGISTER, LOCAL, odd[i], 0), SBI_INVALID_PARAM, "entry %lx",
                    odd[i]);
    check_error(CALL(EXT_SSE, REGISTER, LOCAL, 0x1234567812345678, ALL), SBI_OK, "any even entry");
    check(attr(LOCAL, ENTRY_PC) == 0x1234567812345678, "ENTRY_PC is %lx", attr(LOCAL, ENTRY_PC));
    check(attr(LOCAL, ENTRY_ARG) == ALL, "ENTRY_ARG is %lx", attr(LOCAL, ENTRY_ARG));
    put_back(LOCAL);
}

SPEC_CHECK(EXT_SSE, UNREGISTER, sse_unregister) { check_move(&moves[1]); }
SPEC_CHECK(EXT_SSE, ENABLE, sse_enable) { check_move(&moves[2]); }
SPEC_CHECK(EXT_SSE, DISABLE, sse_disable) { check_move(&moves[3]); }

/* ---- delivery ---- */

static void check_seen(uint64_t event)
{
    uint64_t end = rt_patience();

    while (!seen.count && rdtime() < end)
        __asm__ volatile("nop; nop; nop; nop");
    check(seen.count == 1, "event %lx: its handler ran %lu times", event, seen.count);
    check(seen.a6 == harts[0].id, "event %lx: a6 is %lx", event, seen.a6);
    check(seen.sstatus & SSTATUS_SPP, "event %lx: sstatus is %lx", event, seen.sstatus);
    check(!(seen.sstatus & SSTATUS_SIE), "event %lx: interrupts are on", event);
}

/* sepc and sstatus are what they were, once the handler has completed. */
static void deliver(uint64_t event, uint64_t hart)
{
    uint64_t sstatus = csr_read(sstatus);

    seen.count = 0;
    csr_write(sepc, 0x13579A);
    check_error(CALL(EXT_SSE, INJECT, event | HIGH, hart), SBI_OK, "inject %lx", event);
    check_seen(event);
    check(csr_read(sepc) == 0x13579A, "sepc is %lx", csr_read(sepc));
    check(csr_read(sstatus) == sstatus, "sstatus is %lx, was %lx", csr_read(sstatus), sstatus);
}

SPEC_CHECK(EXT_SSE, COMPLETE, sse_complete)
{
    check_error(CALL(EXT_SSE, COMPLETE), SBI_OK, "nothing runs");
    for (unsigned e = 0; e < ARRAY_LEN(events); e++) {
        go_to(events[e], ENABLED);
        check_error(CALL(EXT_SSE, UNMASK), SBI_OK, "unmask");
        deliver(events[e], harts[0].id);
        check(state(events[e]) == ENABLED, "state %u after complete", state(events[e]));
        check_error(CALL(EXT_SSE, COMPLETE), SBI_OK, "nothing runs any more");
        put_back(events[e]);
        write_attr(events[e], CONFIG, 1);
        go_to(events[e], UNUSED);
        write_attr(events[e], CONFIG, 1);
        do_register(events[e]);
        do_enable(events[e]);
        CALL(EXT_SSE, UNMASK);
        deliver(events[e], harts[0].id);
        check(state(events[e]) == REGISTERED, "state %u after a one-shot event", state(events[e]));
        put_back(events[e]);
    }
}

static struct sbi_ret inject(uint64_t event) { return CALL(EXT_SSE, INJECT, event, harts[0].id); }

SPEC_CHECK(EXT_SSE, INJECT, sse_inject)
{
    const uint64_t bad_harts[] = {4000, 1ul << 32 | harts[0].id, 1ul << 63 | harts[0].id, ALL};

    check_ids(inject);
    go_to(LOCAL, ENABLED);
    for (unsigned i = 0; i < ARRAY_LEN(bad_harts); i++)
        check_errors(CALL(EXT_SSE, INJECT, LOCAL, bad_harts[i]),
                     ERR(SBI_INVALID_PARAM) | natively(~0u), "hart %lx", bad_harts[i]);
    put_back(LOCAL);
    go_to(GLOBAL, ENABLED);
    CALL(EXT_SSE, UNMASK);
    deliver(GLOBAL, ALL); /* "For global events, the hart_id parameter is ignored" */
    put_back(GLOBAL);
    go_to(LOCAL, ENABLED);
    CALL(EXT_SSE, UNMASK);
    for (unsigned i = 0; i < 5; i++)
        deliver(LOCAL, harts[0].id);
    put_back(LOCAL);
}

/* Each other hart for itself: registered, enabled, unmasked there. */
static volatile uint64_t ready, go_on;

static void wait_for_event(void *arg)
{
    (void)arg;
    sbi_call(EXT_SSE, REGISTER, LOCAL, (uint64_t)sse_handler, (uint64_t)&seen, 0, 0);
    sbi_call(EXT_SSE, ENABLE, LOCAL, 0, 0, 0, 0);
    sbi_call(EXT_SSE, UNMASK, 0, 0, 0, 0, 0);
    ready = 1;
    while (!go_on)
        ;
    sbi_call(EXT_SSE, MASK, 0, 0, 0, 0, 0);
    sbi_call(EXT_SSE, DISABLE, LOCAL, 0, 0, 0, 0);
    sbi_call(EXT_SSE, UNREGISTER, LOCAL, 0, 0, 0, 0);
}

SPEC_CHECK(EXT_SSE, INJECT, sse_inject_others)
{
    for (unsigned n = 1; n < rt_hart_count; n++) {
        ready = go_on = seen.count = 0;
        check(hart_run(n, wait_for_event, NULL) && rt_wait(&ready, 1), "hart %u does not run", n);
        check_error(CALL(EXT_SSE, INJECT, LOCAL, harts[n].id), SBI_OK, "hart %lx", harts[n].id);
        check(rt_wait(&seen.count, 1), "hart %lx: no event", harts[n].id);
        check(seen.a6 == harts[n].id, "hart %lx: a6 is %lx", harts[n].id, seen.a6);
        go_on = 1;
        check(hart_wait(n), "hart %u does not end", n);
        check(seen.count == 1, "hart %lx: %lu events", harts[n].id, seen.count);
        check(state(LOCAL) == UNUSED, "our own local event is in state %u", state(LOCAL));
    }
}

/* 17.3: of two that are pending, the one with the lesser number comes first; with the same, that
 * of the lesser id. */
static void check_order(uint64_t local, uint64_t global, bool local_first)
{
    put_back(LOCAL);
    put_back(GLOBAL);
    write_attr(GLOBAL, PREFERRED_HART, harts[0].id);
    write_attr(LOCAL, PRIORITY, local);
    write_attr(GLOBAL, PRIORITY, global);
    do_register(LOCAL);
    CALL(EXT_SSE, REGISTER, GLOBAL, (uint64_t)sse_handler, (uint64_t)&seen_global);
    do_enable(LOCAL);
    do_enable(GLOBAL);

    seen.count = seen_global.count = 0;
    check_error(CALL(EXT_SSE, INJECT, local_first ? GLOBAL : LOCAL, harts[0].id), SBI_OK, "inject");
    check_error(CALL(EXT_SSE, INJECT, local_first ? LOCAL : GLOBAL, harts[0].id), SBI_OK, "inject");

    check_error(CALL(EXT_SSE, UNMASK), SBI_OK, "unmask");

    check(rt_wait(&seen.count, 1) && rt_wait(&seen_global.count, 1), "one of two does not come");
    check((seen.time < seen_global.time) == local_first,
          "priorities %lu, %lu: local at %lx, global %lx", local, global, seen.time,
          seen_global.time);
    put_back(LOCAL);
    put_back(GLOBAL);
}

SPEC_CHECK(EXT_SSE, INJECT, sse_order)
{
    if (!rt_trapline) /* OpenSBI injects global events only where it finds a hart ready */
        return;

    check_order(1, 2, true);

    check_order(2, 1, false);
    check_order(5, 5, true);
    check_order(0, 0xFFFFFFFF, true);
    check_order(0xFFFFFFFF, 0x7FFFFFFF, false);
}

/* Masked at first; what comes meanwhile is pending, and delivered then. */
SPEC_CHECK(EXT_SSE, UNMASK, sse_unmask)
{
    go_to(LOCAL, ENABLED);
    seen.count = 0;
    check_error(CALL(EXT_SSE, INJECT, LOCAL, harts[0].id), SBI_OK, "inject");
    check(!seen.count, "delivered while masked");
    check(attr(LOCAL, STATUS) & 4, "not pending: %lx", attr(LOCAL, STATUS));
    check_error(CALL(EXT_SSE, UNMASK), SBI_OK, "unmask");
    check_seen(LOCAL);
    check(!(attr(LOCAL, STATUS) & 4), "still pending: %lx", attr(LOCAL, STATUS));
    check_error(CALL(EXT_SSE, UNMASK), SBI_ALREADY_STARTED, "unmask again");
    put_back(LOCAL);
}

SPEC_CHECK(EXT_SSE, MASK, sse_mask)
{
    check_error(CALL(EXT_SSE, MASK), SBI_ALREADY_STOPPED, "masked at first");
    check_error(CALL(EXT_SSE, UNMASK), SBI_OK, "unmask");
    check_error(CALL(EXT_SSE, MASK), SBI_OK, "mask");
    check_error(CALL(EXT_SSE, MASK), SBI_ALREADY_STOPPED, "mask again");
}
