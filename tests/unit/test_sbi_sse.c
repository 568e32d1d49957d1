// SPDX-License-Identifier: BSD-2-Clause
// SSE: each call, attribute, state and error of SBI 3.0 "Supervisor Software Events"; delivery, preemption,
// completion; who gets a global event.
// units: tests/fake/fake_sbi.c tests/fake/fake_base.c vcpu/sbi/act.c vcpu/sbi/base.c vcpu/sbi/dbcn.c vcpu/sbi/fwft.c vcpu/sbi/hsm.c vcpu/sbi/ipi.c vcpu/sbi/legacy.c vcpu/sbi/pmu.c vcpu/hostpmu.c vcpu/sbi/counters.c vcpu/sbi/rfence.c vcpu/sbi/sbi.c vcpu/sbi/srst.c vcpu/sbi/sta.c vcpu/sta.c vcpu/sbi/sse.c vcpu/sse.c vcpu/sbi/susp.c vcpu/sbi/time.c
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "fake_sbi.h"
#include "vcpu/sbi/hsm.h"
#include "vcpu/sse.h"

enum { READ, WRITE, REGISTER, UNREGISTER, ENABLE, DISABLE, COMPLETE, INJECT, UNMASK, MASK };
#define LOCAL 0xFFFF0000ul
#define GLOBAL 0xFFFF8000ul
#define KICK 0x4000ul
#define HIGH (1ul << 32) /* event, attribute and count have 32 bits */
#define ALL_ONES (~0ul)
#define BUFFER (FAKE_RAM + 0x800)
#define HANDLER 0xFFFFFFFF80001234ul
#define INTERRUPTED 0xFFFFFFFF80005678ul
#define CALL(fid, ...) CALL_(fid, __VA_ARGS__, 0, 0, 0, 0, 0)
#define CALL_(fid, a0, a1, a2, a3, a4, ...) fake_ecall(SBI_EXT_SSE, fid, a0, a1, a2, a3, a4)
#define OK(...) fake_expect(CALL(__VA_ARGS__), SBI_OK, 0)
#define FAILS(error, ...) fake_expect(CALL(__VA_ARGS__), error, 0)

static const unsigned long ids[] = {KICK, LOCAL, GLOBAL};
static struct vcpu *const v = &fake_vcpus[0];

static int setup(void **state)
{
    (void)state;
    fake_sbi_reset(4);
    for (unsigned i = 0; i < 4; i++)
        sse_reset(&fake_vcpus[i]);
    csr_write(CSR_SSTATUS, SSTATUS_SPP);
    return 0;
}

static uint64_t word(unsigned i)
{
    uint64_t value;

    memcpy(&value, fake_ram + (BUFFER - FAKE_RAM) + 8 * i, 8);
    return value;
}

static void set_word(unsigned i, uint64_t value)
{
    memcpy(fake_ram + (BUFFER - FAKE_RAM) + 8 * i, &value, 8);
}

static uint64_t get(unsigned long event, unsigned attr)
{
    set_word(0, 0xAAAA);
    OK(READ, event, attr, 1, BUFFER);
    return word(0);
}

static struct fake_result put(unsigned long event, unsigned attr, uint64_t value)
{
    set_word(0, value);
    return CALL(WRITE, event, attr, 1, BUFFER);
}

static void put_ok(unsigned long event, unsigned attr, uint64_t value)
{
    fake_expect(put(event, attr, value), SBI_OK, 0);
    assert_int_equal(get(event, attr), value);
}

static unsigned state_of(unsigned long event) { return get(event, SSE_STATUS) & 3; }
static bool pending(unsigned long event) { return get(event, SSE_STATUS) & 4; }

static void enable(unsigned long event)
{
    OK(REGISTER, event, HANDLER, event + 1);
    OK(ENABLE, event);
}

/* A vCPU's exit boundary; whether it has entered a handler there, with everything as it must be. */
static bool deliver(unsigned vcpu, unsigned long event)
{
    struct vcpu *to = &fake_vcpus[vcpu];
    uint64_t sepc = 0x1110 + vcpu;

    if (!(atomic_fetch_and(&to->requests, ~(uint64_t)VCPU_REQ_SSE) & VCPU_REQ_SSE))
        return false;
    to->pc = INTERRUPTED;
    to->gpr[16] = 66;
    to->gpr[17] = 77;
    csr_write(CSR_VSEPC, sepc);
    csr_write(CSR_VSSTATUS, SSTATUS_SIE | SSTATUS_SUM);
    csr_write(CSR_SSTATUS, 0); /* in user mode */
    sse_deliver(to);
    if (to->pc == INTERRUPTED) {
        assert_int_equal(csr_read(CSR_VSEPC), sepc);
        assert_int_equal(csr_read(CSR_VSSTATUS), SSTATUS_SIE | SSTATUS_SUM);
        return false;
    }
    assert_int_equal(to->pc, HANDLER);
    assert_int_equal(to->gpr[16], vcpu);
    assert_int_equal(to->gpr[17], event + 1);
    assert_int_equal(csr_read(CSR_VSEPC), INTERRUPTED);
    assert_int_equal(csr_read(CSR_VSSTATUS), SSTATUS_SPIE | SSTATUS_SUM);
    assert_int_equal(csr_read(CSR_SSTATUS), SSTATUS_SPP);
    return true;
}

static void reset_values(void **state)
{
    (void)state;
    for (fake_caller = 0; fake_caller < 4; fake_caller += 3)
        for (unsigned e = 0; e < ARRAY_LEN(ids); e++)
            for (unsigned a = 0; a < SSE_ATTRS; a++) {
                bool injectable = ids[e] != KICK && a == SSE_STATUS;
                bool own_hart = ids[e] != GLOBAL && a == SSE_PREFERRED_HART;

                assert_int_equal(get(ids[e], a), injectable ? 8 : own_hart ? fake_caller : 0);
            }
    fake_caller = 0;
    FAILS(SBI_ERR_ALREADY_STOPPED, MASK, 9); /* masked at first */
}

static void event_ids(void **state)
{
    static const unsigned long lacking[] = {0, 1, 0x8000, 0x10000, 0x100000, 0x108000};
    static const unsigned long bad[] = {2,          0x3FFF,     0x4001,     0x8001,
                                        0xC000,     0x20000,    0x80000000, 0x7FFFFFF,
                                        0xFFFEFFFF, 0xFFFF0001, 0xFFFF8001, 0xFFFFFFFF};

    (void)state;
    for (unsigned fid = READ; fid <= INJECT; fid++) {
        if (fid == COMPLETE)
            continue;
        for (unsigned i = 0; i < ARRAY_LEN(lacking); i++)
            FAILS(SBI_ERR_NOT_SUPPORTED, fid, lacking[i], 0, 1, BUFFER);
        for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
            FAILS(SBI_ERR_INVALID_PARAM, fid, bad[i], 0, 1, BUFFER);
    }
}

static void functions(void **state)
{
    static const unsigned long fids[] = {10, 11, 0x80000000, HIGH, HIGH + 6, ALL_ONES};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(fids); i++)
        FAILS(SBI_ERR_NOT_SUPPORTED, fids[i], LOCAL, HANDLER);
}

static void states(void **state)
{
    /* fid, state before, state after */
    static const unsigned legal[][3] = {{REGISTER, SSE_UNUSED, SSE_REGISTERED},
                                        {UNREGISTER, SSE_REGISTERED, SSE_UNUSED},
                                        {ENABLE, SSE_REGISTERED, SSE_ENABLED},
                                        {DISABLE, SSE_ENABLED, SSE_REGISTERED}};

    (void)state;
    for (unsigned e = 0; e < ARRAY_LEN(ids); e++)
        for (unsigned row = 0; row < ARRAY_LEN(legal); row++)
            for (unsigned was = SSE_UNUSED; was <= SSE_RUNNING; was++) {
                struct sse_event *event = sse_event(v, (enum sse_index)e);

                event->attr[SSE_STATUS] = was;
                event->running_on = 0;
                if (was == legal[row][1])
                    OK(legal[row][0], ids[e] + (e & 1 ? HIGH : 0), HANDLER, 5);
                else
                    FAILS(SBI_ERR_INVALID_STATE, legal[row][0], ids[e], HANDLER, 5);
                assert_int_equal(state_of(ids[e]), was == legal[row][1] ? legal[row][2] : was);
                event->attr[SSE_STATUS] = SSE_UNUSED;
            }
}

static void registration(void **state)
{
    (void)state;
    FAILS(SBI_ERR_INVALID_PARAM, REGISTER, LOCAL, HANDLER + 1, 5);
    assert_int_equal(state_of(LOCAL), SSE_UNUSED);
    OK(REGISTER, LOCAL, HANDLER, ALL_ONES);
    assert_int_equal(get(LOCAL, SSE_ENTRY_PC), HANDLER);
    assert_int_equal(get(LOCAL, SSE_ENTRY_ARG), ALL_ONES);
    FAILS(SBI_ERR_INVALID_PARAM, REGISTER, LOCAL, 1, 5);
    FAILS(SBI_ERR_INVALID_STATE, REGISTER, LOCAL, 2, 5);
    assert_int_equal(get(LOCAL, SSE_ENTRY_PC), HANDLER);
    fake_caller = 1; /* a local event is each hart's own, a global one is everybody's */
    assert_int_equal(state_of(LOCAL), SSE_UNUSED);
    OK(REGISTER, GLOBAL, HANDLER, 1);
    fake_caller = 2;
    FAILS(SBI_ERR_INVALID_STATE, REGISTER, GLOBAL, HANDLER, 1);
    OK(ENABLE, GLOBAL);
}

static void ranges_and_memory(void **state)
{
    static const unsigned long base[][3] = {
        {10, 1, SBI_ERR_BAD_RANGE},         {0, 11, SBI_ERR_BAD_RANGE},
        {9, 2, SBI_ERR_BAD_RANGE},          {0xFFFFFFFF, 1, SBI_ERR_BAD_RANGE},
        {0xFFFFFFFF, 2, SBI_ERR_BAD_RANGE}, {1, 0xFFFFFFFF, SBI_ERR_BAD_RANGE},
        {0, 0, SBI_ERR_INVALID_PARAM},      {99, 0, SBI_ERR_INVALID_PARAM},
        {0, HIGH, SBI_ERR_INVALID_PARAM}};
    static const unsigned long bad[][2] = {{BUFFER + 1, 0},
                                           {BUFFER + 4, 0},
                                           {BUFFER, 1},
                                           {BUFFER, ALL_ONES},
                                           {FAKE_RAM - 8, 0},
                                           {FAKE_RAM + FAKE_RAM_SIZE, 0},
                                           {FAKE_RAM + FAKE_RAM_SIZE - 8, 0},
                                           {0, 0},
                                           {0x10000000, 0},
                                           {ALL_ONES - 7, 0}};

    (void)state;
    for (unsigned fid = READ; fid <= WRITE; fid++) {
        for (unsigned i = 0; i < ARRAY_LEN(base); i++)
            FAILS((long)base[i][2], fid, LOCAL, base[i][0], base[i][1], BUFFER);
        for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
            FAILS(SBI_ERR_INVALID_ADDRESS, fid, LOCAL, 1, 2, bad[i][0], bad[i][1]);
        fake_mem_error = -ENOMEM;
        FAILS(SBI_ERR_FAILED, fid, LOCAL, 1, 1, BUFFER);
        fake_mem_error = 0;
    }
    /* From base on, packed; nothing before or behind is touched. The high halves do not count. */
    OK(REGISTER, LOCAL, HANDLER, 0x77);
    for (unsigned i = 0; i < 6; i++)
        set_word(i, 0xEE);
    OK(READ, HIGH | LOCAL, HIGH | SSE_ENTRY_PC, HIGH | 2, BUFFER + 8);
    assert_int_equal(word(0), 0xEE);
    assert_int_equal(word(1), HANDLER);
    assert_int_equal(word(2), 0x77);
    assert_int_equal(word(3), 0xEE);
    OK(READ, LOCAL, 0, 10, FAKE_RAM + FAKE_RAM_SIZE - 80);
}

static void attributes_before_enable(void **state)
{
    static const unsigned read_only[] = {SSE_STATUS, SSE_ENTRY_PC, SSE_ENTRY_ARG};

    (void)state;
    for (unsigned e = 0; e < ARRAY_LEN(ids); e++) {
        for (unsigned s = SSE_UNUSED; s <= SSE_REGISTERED; s++) {
            put_ok(ids[e], SSE_PRIORITY, 0xFFFFFFFF);
            fake_expect(put(ids[e], SSE_PRIORITY, HIGH), SBI_ERR_INVALID_PARAM, 0);
            assert_int_equal(get(ids[e], SSE_PRIORITY), 0xFFFFFFFF);
            put_ok(ids[e], SSE_CONFIG, 1);
            put_ok(ids[e], SSE_CONFIG, 0);
            fake_expect(put(ids[e], SSE_CONFIG, 2), SBI_ERR_INVALID_PARAM, 0);
            fake_expect(put(ids[e], SSE_CONFIG, 1ul << 63), SBI_ERR_INVALID_PARAM, 0);
            for (unsigned i = 0; i < ARRAY_LEN(read_only); i++)
                fake_expect(put(ids[e], read_only[i], 0), SBI_ERR_DENIED, 0);
            for (unsigned a = SSE_INTERRUPTED_SEPC; a <= SSE_INTERRUPTED_A7; a++)
                fake_expect(put(ids[e], a, 0), SBI_ERR_INVALID_STATE, 0);
            if (s == SSE_UNUSED)
                OK(REGISTER, ids[e], HANDLER, 0);
        }
        OK(ENABLE, ids[e]);
        fake_expect(put(ids[e], SSE_PRIORITY, 0), SBI_ERR_INVALID_STATE, 0);
        fake_expect(put(ids[e], SSE_CONFIG, 0), SBI_ERR_INVALID_STATE, 0);
        fake_expect(put(ids[e], SSE_PREFERRED_HART, 0),
                    ids[e] == GLOBAL ? SBI_ERR_INVALID_STATE : SBI_ERR_DENIED, 0);
    }
}

static void preferred_hart(void **state)
{
    (void)state;
    fake_expect(put(LOCAL, SSE_PREFERRED_HART, 0), SBI_ERR_DENIED, 0);
    put_ok(GLOBAL, SSE_PREFERRED_HART, 3);
    fake_expect(put(GLOBAL, SSE_PREFERRED_HART, 4), SBI_ERR_INVALID_PARAM, 0);
    fake_expect(put(GLOBAL, SSE_PREFERRED_HART, HIGH), SBI_ERR_INVALID_PARAM, 0);
    fake_expect(put(GLOBAL, SSE_PREFERRED_HART, ALL_ONES), SBI_ERR_INVALID_PARAM, 0);
    assert_int_equal(get(GLOBAL, SSE_PREFERRED_HART), 3);
}

static void write_all_or_none(void **state)
{
    (void)state;
    set_word(0, 5); /* priority: good */
    set_word(1, 2); /* config: bad */
    set_word(2, 99); /* preferred hart: bad, but later */
    FAILS(SBI_ERR_INVALID_PARAM, WRITE, LOCAL, SSE_PRIORITY, 3, BUFFER);
    assert_int_equal(get(LOCAL, SSE_PRIORITY), 0);
    set_word(0, 5);
    set_word(1, 1);
    set_word(2, 1);
    FAILS(SBI_ERR_DENIED, WRITE, LOCAL, SSE_PRIORITY, 3, BUFFER);
    assert_int_equal(get(LOCAL, SSE_CONFIG), 0);
    set_word(0, 5);
    set_word(1, 1);
    OK(WRITE, GLOBAL, SSE_PRIORITY, 3, BUFFER);
    assert_int_equal(get(GLOBAL, SSE_PRIORITY), 5);
    assert_int_equal(get(GLOBAL, SSE_CONFIG), 1);
    assert_int_equal(get(GLOBAL, SSE_PREFERRED_HART), 1);
}

static void masking(void **state)
{
    (void)state;
    FAILS(SBI_ERR_ALREADY_STOPPED, MASK, 0);
    OK(UNMASK, 0);
    FAILS(SBI_ERR_ALREADY_STARTED, UNMASK, 0);
    OK(MASK, 0);
    FAILS(SBI_ERR_ALREADY_STOPPED, MASK, 0);
    fake_caller = 1;
    OK(UNMASK, 0);
}

static void is_delivered_and_completed(void **state)
{
    (void)state;
    enable(LOCAL);
    OK(UNMASK, 0);
    deliver(0, LOCAL);
    v->in_wfi = true;
    OK(INJECT, LOCAL, 0);
    assert_true(pending(LOCAL));
    assert_true(deliver(0, LOCAL));
    assert_false(v->in_wfi);
    assert_int_equal(get(LOCAL, SSE_STATUS), 8 | SSE_RUNNING);
    assert_int_equal(get(LOCAL, SSE_INTERRUPTED_SEPC), 0x1110);
    assert_int_equal(get(LOCAL, SSE_INTERRUPTED_FLAGS), 0);
    assert_int_equal(get(LOCAL, SSE_INTERRUPTED_A6), 66);
    assert_int_equal(get(LOCAL, SSE_INTERRUPTED_A7), 77);
    assert_true(CALL(COMPLETE, 0).ended);
    assert_int_equal(v->pc, INTERRUPTED);
    assert_int_equal(v->gpr[16], 66);
    assert_int_equal(v->gpr[17], 77);
    assert_int_equal(csr_read(CSR_VSEPC), 0x1110);
    assert_int_equal(csr_read(CSR_VSSTATUS), SSTATUS_SIE | SSTATUS_SUM);
    assert_int_equal(csr_read(CSR_SSTATUS), 0);
    assert_int_equal(state_of(LOCAL), SSE_ENABLED);
    assert_false(deliver(0, LOCAL)); /* looked, and nothing was there */
    OK(COMPLETE, 0); /* none runs: success, and nothing is done */
}

static void handler_changes_where_it_goes_on(void **state)
{
    (void)state;
    enable(LOCAL);
    OK(UNMASK, 0);
    OK(INJECT, LOCAL, HIGH * 0);
    assert_true(deliver(0, LOCAL));
    for (unsigned bit = 0; bit < 6; bit++)
        put_ok(LOCAL, SSE_INTERRUPTED_FLAGS, 1ul << bit);
    fake_expect(put(LOCAL, SSE_INTERRUPTED_FLAGS, 64), SBI_ERR_INVALID_PARAM, 0);
    fake_expect(put(LOCAL, SSE_INTERRUPTED_FLAGS, 1ul << 63), SBI_ERR_INVALID_PARAM, 0);
    put_ok(LOCAL, SSE_INTERRUPTED_FLAGS, 63);
    put_ok(LOCAL, SSE_INTERRUPTED_SEPC, 0xABCD0);
    put_ok(LOCAL, SSE_INTERRUPTED_A6, 6);
    put_ok(LOCAL, SSE_INTERRUPTED_A7, ALL_ONES);
    fake_expect(put(LOCAL, SSE_PRIORITY, 0), SBI_ERR_INVALID_STATE, 0);
    FAILS(SBI_ERR_INVALID_STATE, DISABLE, LOCAL);
    csr_write(CSR_VSEPC, 0x9998);
    csr_write(CSR_VSSTATUS, SSTATUS_SPP);
    assert_true(CALL(COMPLETE, 0).ended);
    assert_int_equal(v->pc, 0x9998);
    assert_int_equal(csr_read(CSR_SSTATUS), SSTATUS_SPP);
    assert_int_equal(csr_read(CSR_VSSTATUS), SSTATUS_SPP | SSTATUS_SPIE);
    assert_int_equal(csr_read(CSR_VSEPC), 0xABCD0);
    assert_int_equal(v->gpr[16], 6);
    assert_int_equal(v->gpr[17], ALL_ONES);
}

static void interrupted_flags(void **state)
{
    static const uint64_t status[] = {SSTATUS_SPP, SSTATUS_SPIE, SSTATUS_SPP | SSTATUS_SPIE};

    (void)state;
    enable(LOCAL);
    OK(UNMASK, 0);
    for (unsigned i = 0; i < ARRAY_LEN(status); i++) {
        OK(INJECT, LOCAL, 0);
        csr_write(CSR_VSSTATUS, status[i]);
        csr_write(CSR_SSTATUS, SSTATUS_SPP);
        sse_deliver(v);
        assert_int_equal(csr_read(CSR_VSSTATUS), SSTATUS_SPP); /* SPIE is SIE: off */
        assert_int_equal(get(LOCAL, SSE_INTERRUPTED_FLAGS), i + 1);
        assert_true(CALL(COMPLETE, 0).ended);
        assert_int_equal(csr_read(CSR_VSSTATUS), status[i]);
    }
}

static void waits_until_it_may_come(void **state)
{
    (void)state;
    OK(INJECT, LOCAL, 0); /* unused: the source has fired all the same */
    assert_int_equal(get(LOCAL, SSE_STATUS), 8 | 4);
    OK(REGISTER, LOCAL, HANDLER, LOCAL + 1);
    OK(UNMASK, 0);
    assert_false(deliver(0, LOCAL));
    OK(MASK, 0);
    OK(ENABLE, LOCAL);
    assert_false(deliver(0, LOCAL));
    assert_true(pending(LOCAL));
    OK(UNMASK, 0);
    assert_true(deliver(0, LOCAL));
    OK(INJECT, LOCAL, 0); /* while it runs: once more after it */
    OK(INJECT, LOCAL, 0);
    assert_false(deliver(0, LOCAL));
    assert_true(pending(LOCAL));
    assert_true(CALL(COMPLETE, 0).ended);
    assert_true(deliver(0, LOCAL));
    assert_true(CALL(COMPLETE, 0).ended);
    assert_false(deliver(0, LOCAL));
}

static void one_shot(void **state)
{
    (void)state;
    put_ok(LOCAL, SSE_CONFIG, 1);
    enable(LOCAL);
    OK(UNMASK, 0);
    OK(INJECT, LOCAL, 0);
    assert_true(deliver(0, LOCAL));
    OK(INJECT, LOCAL, 0);
    assert_true(CALL(COMPLETE, 0).ended);
    assert_int_equal(state_of(LOCAL), SSE_REGISTERED);
    assert_false(deliver(0, LOCAL));
    OK(ENABLE, LOCAL);
    assert_true(deliver(0, LOCAL));
}

static void inject_errors(void **state)
{
    static const unsigned long bad[] = {4, 32, 64, 0x80000000, HIGH, ALL_ONES};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        FAILS(SBI_ERR_INVALID_PARAM, INJECT, LOCAL, bad[i]);
        OK(INJECT, GLOBAL, bad[i]); /* ignored */
    }
    FAILS(SBI_ERR_FAILED, INJECT, KICK, 0);
    atomic_store(&fake_vcpus[3].hsm, HSM_STOPPED);
    FAILS(SBI_ERR_INVALID_PARAM, INJECT, LOCAL, 3);
    for (unsigned i = 0; i < 4; i++)
        assert_false(fake_vcpus[i].sse.event[SSE_LOCAL_SOFTWARE].attr[SSE_STATUS]);
}

static void another_harts_local_event(void **state)
{
    (void)state;
    fake_caller = 2;
    enable(LOCAL);
    OK(UNMASK, 0);
    fake_caller = 0;
    deliver(2, LOCAL);
    OK(INJECT, LOCAL, 2);
    assert_false(pending(LOCAL)); /* our own */
    assert_int_equal(atomic_load(&v->requests), 0);
    assert_true(deliver(2, LOCAL));
}

/* Priorities of KICK, LOCAL, GLOBAL: any order; injected from the lowest: each preempts the one before. */
static void nesting(void **state)
{
    static const unsigned orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

    for (unsigned row = 0; row < ARRAY_LEN(orders); row++) {
        setup(state);
        for (unsigned rank = 0; rank < 3; rank++) {
            put_ok(ids[orders[row][rank]], SSE_PRIORITY, rank * 0x7FFFFFFFul);
            enable(ids[orders[row][rank]]);
        }
        OK(UNMASK, 0);
        for (int rank = 2; rank >= 0; rank--) {
            sse_raise(v, orders[row][rank]);
            assert_true(deliver(0, ids[orders[row][rank]]));
        }
        for (unsigned rank = 0; rank < 3; rank++) { /* the highest ends first */
            assert_int_equal(state_of(ids[orders[row][rank]]), SSE_RUNNING);
            csr_write(CSR_VSEPC, 0x40 + rank);
            assert_true(CALL(COMPLETE, 0).ended);
            assert_int_equal(v->pc, 0x40 + rank);
            assert_int_equal(state_of(ids[orders[row][rank]]), SSE_ENABLED);
        }
        OK(COMPLETE, 0);
    }
}

/* All raised at once: in order of priority, each after the one before. */
static void lower_ones_wait(void **state)
{
    for (unsigned same = 0; same < 2; same++) {
        setup(state);
        for (unsigned e = 0; e < 3; e++) {
            put_ok(ids[e], SSE_PRIORITY, same ? 7 : 9 - e);
            enable(ids[e]);
        }
        for (unsigned e = 0; e < 3; e++)
            sse_raise(v, e);
        OK(UNMASK, 0);
        for (unsigned i = 0; i < 3; i++) {
            assert_true(deliver(0, ids[same ? i : 2 - i])); /* the same: by id */
            vcpu_request(v, VCPU_REQ_SSE);
            assert_false(deliver(0, 0));
            assert_true(CALL(COMPLETE, 0).ended);
        }
        assert_false(deliver(0, 0));
    }
}

/* Of equal priorities the lower id preempts, the higher does not. */
static void equal_priorities_nest_by_id(void **state)
{
    (void)state;
    for (unsigned e = 0; e < 3; e++)
        enable(ids[e]);
    OK(UNMASK, 0);
    sse_raise(v, SSE_LOCAL_SOFTWARE);
    assert_true(deliver(0, LOCAL));
    sse_raise(v, SSE_GLOBAL_SOFTWARE);
    assert_false(deliver(0, GLOBAL));
    sse_raise(v, SSE_KICK);
    assert_true(deliver(0, KICK));
    assert_true(CALL(COMPLETE, 0).ended);
    assert_false(deliver(0, GLOBAL));
    assert_true(CALL(COMPLETE, 0).ended);
    assert_true(deliver(0, GLOBAL));
}

static void unmask(unsigned vcpu)
{
    fake_caller = vcpu;
    OK(UNMASK, 0);
    assert_false(deliver(vcpu, 0));
    fake_caller = 0;
}

static void global_goes_to_the_preferred_hart(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        unmask(i);
    for (unsigned i = 0; i < 4; i++) {
        put_ok(GLOBAL, SSE_PREFERRED_HART, i);
        fake_caller = 3 - i;
        if (i)
            OK(ENABLE, GLOBAL);
        else
            enable(GLOBAL);
        OK(INJECT, GLOBAL, 99);
        for (unsigned other = 0; other < 4; other++) {
            vcpu_request(&fake_vcpus[other],
                         VCPU_REQ_SSE); /* whoever else looks does not take it */
            if (other != i)
                assert_false(deliver(other, GLOBAL));
        }
        assert_true(deliver(i, GLOBAL));
        fake_caller =
            (i + 1) & 3; /* only the hart that handles it may change what it interrupted */
        fake_expect(put(GLOBAL, SSE_INTERRUPTED_A6, 1), SBI_ERR_INVALID_STATE, 0);
        OK(COMPLETE, 0);
        assert_int_equal(state_of(GLOBAL), SSE_RUNNING);
        fake_caller = i;
        put_ok(GLOBAL, SSE_INTERRUPTED_A6, 1);
        assert_true(CALL(COMPLETE, 0).ended);
        OK(DISABLE, GLOBAL);
        deliver(i, GLOBAL);
    }
}

static void global_goes_to_whoever_is_ready(void **state)
{
    (void)state;
    enable(GLOBAL);
    OK(INJECT, GLOBAL, 0);
    for (unsigned i = 0; i < 4; i++)
        assert_false(deliver(i, GLOBAL)); /* nobody is */
    fake_caller = 2;
    OK(UNMASK, 0);
    assert_true(deliver(2, GLOBAL));
    assert_true(CALL(COMPLETE, 0).ended);
    deliver(2, GLOBAL);
    unmask(0); /* the preferred one, at first */
    OK(INJECT, GLOBAL, 0);
    OK(MASK, 0); /* before it looks: the other one has to */
    assert_false(deliver(0, GLOBAL));
    assert_true(deliver(2, GLOBAL));
}

static void stop_hands_global_on(void **state)
{
    (void)state;
    unmask(0);
    unmask(1);
    enable(LOCAL);
    enable(GLOBAL);
    OK(INJECT, GLOBAL, 0);
    assert_true(deliver(0, GLOBAL));
    OK(INJECT, GLOBAL, 0);
    assert_int_equal(fake_ecall(SBI_EXT_HSM, 1, 0, 0, 0, 0, 0).verdict, EXIT_BLOCK);
    fake_caller = 1; /* what ran there has ended; what came meanwhile comes here */
    assert_true(deliver(1, GLOBAL));
    assert_int_equal(v->sse.event[SSE_LOCAL_SOFTWARE].attr[SSE_STATUS], SSE_UNUSED);
    assert_false(v->sse.unmasked);
    assert_int_equal(state_of(GLOBAL), SSE_RUNNING);
}

/* A hart that is suspended has lost what the handler needs: the event waits. */
static void suspends_are_not_ended(void **state)
{
    (void)state;
    unmask(0);
    enable(LOCAL);
    assert_int_equal(fake_ecall(SBI_EXT_HSM, 3, 0x80000000, FAKE_RAM, 5, 0, 0).verdict, EXIT_BLOCK);
    fake_caller = 1;
    OK(INJECT, LOCAL, 0);
    assert_false(deliver(0, LOCAL));
    assert_true(hsm_resume(v));
    assert_true(deliver(0, LOCAL));
}

static void suspend(unsigned vcpu)
{
    fake_caller = vcpu;
    assert_int_equal(fake_ecall(SBI_EXT_HSM, 3, 0, 0, 0, 0, 0).verdict, EXIT_BLOCK);
}

/* The preferred hart is a wish: while it is suspended any other takes the event, while all are, whoever comes first. */
static void global_while_the_preferred_is_suspended(void **state)
{
    (void)state;
    unmask(0);
    unmask(1);
    unmask(2);
    put_ok(GLOBAL, SSE_PREFERRED_HART, 1);
    enable(GLOBAL);
    suspend(1);
    fake_caller = 0;
    OK(INJECT, GLOBAL, 0);
    assert_false(deliver(1, GLOBAL));
    assert_true(deliver(0, GLOBAL));
    assert_true(CALL(COMPLETE, 0).ended);
    deliver(0, GLOBAL);
    /* It is asked, and suspends itself before it looks. */
    assert_true(hsm_resume(&fake_vcpus[1]));
    assert_false(deliver(1, GLOBAL));
    fake_caller = 0;
    OK(INJECT, GLOBAL, 0);
    suspend(1);
    assert_false(deliver(1, GLOBAL));
    assert_true(deliver(0, GLOBAL));
    fake_caller = 0;
    assert_true(CALL(COMPLETE, 0).ended);
    deliver(0, GLOBAL);
    /* All are. */
    suspend(2);
    fake_caller = 0;
    OK(INJECT, GLOBAL, 0);
    suspend(0);
    for (unsigned i = 0; i < 4; i++)
        assert_false(deliver(i, GLOBAL));
    assert_true(hsm_resume(&fake_vcpus[2]));
    assert_true(hsm_resume(&fake_vcpus[1])); /* just before the other looks */
    assert_false(deliver(2, GLOBAL));
    assert_true(deliver(1, GLOBAL));
}

static void reset_of_the_vm(void **state)
{
    (void)state;
    unmask(0);
    for (unsigned e = 0; e < 3; e++) {
        put_ok(ids[e], SSE_PRIORITY, 9);
        enable(ids[e]);
    }
    put(GLOBAL, SSE_PREFERRED_HART, 2);
    sse_raise(v, SSE_KICK);
    assert_true(deliver(0, KICK));
    sse_reset(v);
    reset_values(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(reset_values, setup),
        cmocka_unit_test_setup(event_ids, setup),
        cmocka_unit_test_setup(functions, setup),
        cmocka_unit_test_setup(states, setup),
        cmocka_unit_test_setup(registration, setup),
        cmocka_unit_test_setup(ranges_and_memory, setup),
        cmocka_unit_test_setup(attributes_before_enable, setup),
        cmocka_unit_test_setup(preferred_hart, setup),
        cmocka_unit_test_setup(write_all_or_none, setup),
        cmocka_unit_test_setup(masking, setup),
        cmocka_unit_test_setup(is_delivered_and_completed, setup),
        cmocka_unit_test_setup(handler_changes_where_it_goes_on, setup),
        cmocka_unit_test_setup(interrupted_flags, setup),
        cmocka_unit_test_setup(waits_until_it_may_come, setup),
        cmocka_unit_test_setup(one_shot, setup),
        cmocka_unit_test_setup(inject_errors, setup),
        cmocka_unit_test_setup(another_harts_local_event, setup),
        cmocka_unit_test_setup(nesting, setup),
        cmocka_unit_test_setup(lower_ones_wait, setup),
        cmocka_unit_test_setup(equal_priorities_nest_by_id, setup),
        cmocka_unit_test_setup(global_goes_to_the_preferred_hart, setup),
        cmocka_unit_test_setup(global_goes_to_whoever_is_ready, setup),
        cmocka_unit_test_setup(stop_hands_global_on, setup),
        cmocka_unit_test_setup(suspends_are_not_ended, setup),
        cmocka_unit_test_setup(global_while_the_preferred_is_suspended, setup),
        cmocka_unit_test_setup(reset_of_the_vm, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
