// SPDX-License-Identifier: BSD-2-Clause
// SBI calls with any arguments, from any vCPU, while others start, stop, and come and go on harts. The fake
// checks each call's registers and pc; here: only legal errors, no value with an error, nothing done by a call
// that failed, bounded fences, and HSM states as a model of the specification has them; software events change
// state as they may, and their handlers are nested by priority.
// units: vcpu/sta.c tests/fake/fake_sbi.c tests/fake/fake_base.c vcpu/hostpmu.c vcpu/sbi/*.c vcpu/sse.c
#include <errno.h>

#include "fake_sbi.h"
#include "fuzz.h"
#include "vcpu/sbi/extensions.h"
#include "vcpu/sbi/hsm.h"
#include "vcpu/sse.h"

const unsigned fuzz_runs = 12000;
const size_t fuzz_max = 1024;

static uint8_t load_how; /* what HLV does */

/* The word is in fake_ram, or HLV faults in one of the ways that it can. */
static bool guest_load(uint64_t gva, void *to, unsigned width, struct arch_fault *fault)
{
    static const uint64_t causes[] = {CAUSE_LOAD_PAGE_FAULT, CAUSE_LOAD_GUEST_PAGE_FAULT,
                                      CAUSE_LOAD_ACCESS, CAUSE_LOAD_GUEST_PAGE_FAULT};

    if (load_how & 1) {
        *fault = (struct arch_fault){.cause = causes[load_how >> 1 & 3], .tval = gva};
        if (load_how & 8)
            fault->htval = gva >> 2;
        if (load_how & 16)
            load_how = 0; /* the next one goes well */
        return false;
    }
    memcpy(to, fake_ram + gva % (FAKE_RAM_SIZE - 8), width);
    return true;
}

static unsigned long argument(struct fuzz_in *in)
{
    uint8_t how = fuzz_u8(in);

    if (how < 64)
        return how;
    if (how < 96)
        return 1ul << (how & 31) << (fuzz_u8(in) & 32);
    if (how < 112)
        return ~0ul - (how & 15);
    if (how < 128)
        return FAKE_RAM + FAKE_RAM_SIZE - (how & 15);
    if (how < 160)
        return FAKE_RAM + fuzz_u16(in);
    return how < 192 ? fuzz_u16(in) : how < 208 ? fuzz_u32(in) | 1ul << 63 : fuzz_u64(in);
}

static unsigned long extension(struct fuzz_in *in)
{
    /* Those that there are, and those that there may be one day: PMU, DBTR, STA, CPPC, NACL, MPXY. */
    static const unsigned long ids[16] = {SBI_EXT_BASE, SBI_EXT_TIME, SBI_EXT_IPI,  SBI_EXT_RFENCE,
                                          SBI_EXT_HSM,  SBI_EXT_SRST, SBI_EXT_DBCN, SBI_EXT_HSM,
                                          SBI_EXT_SUSP, SBI_EXT_FWFT, 0x504D55,     0x535345,
                                          0x44425452,   0x535441,     0x43505043,   0x4D505859};
    uint8_t how = fuzz_u8(in);

    if (how < 192)
        return ids[how & 15];
    return how < 240 ? how % 12 : how < 244 ? ids[how & 15] | 1ul << 32 : fuzz_u64(in);
}

enum { SSE_INJECT = 7 }; /* function */

static unsigned long sse_id(unsigned long n)
{
    static const unsigned long ids[8] = {0xFFFF0000, 0x4000, 0xFFFF8000, 0xFFFF0000,
                                         0x4000,     2,      0x8000,     0xFFFF8000};

    return ids[n & 7];
}

/* The events of all, to compare. */
static struct vcpu_sse sse_before[GUEST_MAX_VCPUS];
static void sse_note(void)
{
    for (unsigned i = 0; i < fake_guest.vcpu_count; i++)
        sse_before[i] = fake_vcpus[i].sse;
}

/* Whether an event may go from one state to the other by a call. */
static bool sse_step_ok(unsigned long fid, uint64_t from, uint64_t to)
{
    static const uint8_t steps[][3] = {
        {2, SSE_UNUSED, SSE_REGISTERED},  {3, SSE_REGISTERED, SSE_UNUSED},
        {4, SSE_REGISTERED, SSE_ENABLED}, {5, SSE_ENABLED, SSE_REGISTERED},
        {6, SSE_RUNNING, SSE_ENABLED},    {6, SSE_RUNNING, SSE_REGISTERED}};

    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (steps[i][0] == fid && steps[i][1] == from && steps[i][2] == to)
            return true;
    return false;
}

static void check_sse(unsigned long ext, unsigned long fid, struct fake_result r)
{
    unsigned changed = 0, pending = 0;

    for (unsigned i = 0; i < fake_guest.vcpu_count; i++) {
        for (unsigned e = 0; e < SSE_EVENTS; e++) {
            uint64_t from = sse_before[i].event[e].attr[SSE_STATUS];
            uint64_t to = fake_vcpus[i].sse.event[e].attr[SSE_STATUS];

            assert_true(to <= (SSE_STATUS_STATE | SSE_STATUS_PENDING));
            if (ext != SBI_EXT_SSE)
                continue;
            if ((from ^ to) & SSE_STATUS_STATE)
                assert_true(sse_step_ok(fid, from & 3, to & 3));
            changed += ((from ^ to) & SSE_STATUS_STATE) != 0;
            pending += ((from ^ to) & SSE_STATUS_PENDING) != 0;
        }
    }
    if (ext != SBI_EXT_SSE) {
        if (ext != SBI_EXT_HSM) /* a hart that stops has no events */
            for (unsigned i = 0; i < fake_guest.vcpu_count; i++)
                assert_memory_equal(&sse_before[i], &fake_vcpus[i].sse, sizeof(sse_before[i]));
        return;
    }
    assert_true(changed <= 1 && pending <= (fid == SSE_INJECT));
    assert_true(!r.ended || changed == 1);
    if (!r.ended && r.error)
        for (unsigned i = 0; i < fake_guest.vcpu_count; i++)
            assert_memory_equal(&sse_before[i], &fake_vcpus[i].sse, sizeof(sse_before[i]));
}

/* The exit boundary of a vCPU: if it enters a handler, then that of the most urgent of all that run there. */
static void deliver(struct vcpu *v)
{
    uint64_t best = UINT64_MAX;

    csr_write(CSR_VSSTATUS, 0);
    sse_note();
    v->pc = FAKE_ECALL_PC;
    sse_deliver(v);
    for (unsigned i = 0; i < SSE_EVENTS; i++) {
        const struct sse_event *e = sse_event(v, i);
        bool mine = sse_state(e) == SSE_RUNNING && (i < SSE_LOCALS || e->running_on == v->index);
        const struct vcpu_sse *was = &sse_before[i < SSE_LOCALS ? v->index : 0];
        bool is_new = mine && (was->event[i].attr[SSE_STATUS] & SSE_STATUS_STATE) != SSE_RUNNING;
        uint64_t key = e->attr[SSE_PRIORITY] << 2 | i;

        if (is_new) {
            assert_int_equal(v->pc, e->attr[SSE_ENTRY_PC]);
            assert_true(v->sse.unmasked && atomic_load(&v->hsm) == HSM_STARTED);
            assert_true(was->event[i].attr[SSE_STATUS] & SSE_STATUS_PENDING);
            for (unsigned j = 0; j < SSE_EVENTS; j++) {
                const struct sse_event *o = sse_event(v, j);
                if (j != i && sse_state(o) == SSE_RUNNING &&
                    (j < SSE_LOCALS || o->running_on == v->index))
                    assert_true((o->attr[SSE_PRIORITY] << 2 | j) > key);
            }
            assert_int_equal(best, UINT64_MAX); /* one at a time */
            best = key;
        }
    }
}

struct done {
    unsigned starts, timers, injects, events, fences, xcalls, ssip, requests;
    size_t output, input;
};
static struct done done(void)
{
    struct done d = {
        fake_starts, fake_timers, fake_injects,    fake_events,   fake_fences, fake_xcall_runs,
        0,           0,           fake_output_len, fake_input_len};

    for (unsigned i = 0; i < fake_guest.vcpu_count; i++) {
        d.ssip += fake_ssip[i];
        d.requests += atomic_load(&fake_vcpus[i].requests) != 0;
    }
    return d;
}

static void check(unsigned long ext, unsigned long fid, struct fake_result r, struct done before,
                  const uint8_t *hsm)
{
    struct done after = done();
    bool legacy = ext <= 8, known = sbi_find(ext) != NULL;
    unsigned changed = 0;

    for (unsigned i = 0; i < fake_guest.vcpu_count; i++)
        changed += hsm[i] != atomic_load(&fake_vcpus[i].hsm);
    check_sse(ext, fid, r);
    assert_true(after.fences - before.fences <= 70 * (FAKE_HARTS + 1));
    assert_true(after.output - before.output <= 4096);
    assert_true(after.injects - before.injects == (r.verdict == EXIT_INJECT));
    assert_true(after.events - before.events == (r.verdict == EXIT_STOP));
    if (ext != SBI_EXT_HSM && (ext != SBI_EXT_SUSP || r.verdict != EXIT_BLOCK))
        assert_int_equal(changed, 0);
    if (r.verdict != EXIT_RESUME) {
        assert_true(r.slow);
        assert_true(changed <= 1);
        return;
    }
    if (legacy || r.ended)
        return;
    assert_true(r.error <= 0 && r.error >= SBI_ERR_DENIED_LOCKED);
    if (!known)
        assert_int_equal(r.error, SBI_ERR_NOT_SUPPORTED);
    if (r.error) {
        assert_int_equal(r.value, 0);
        assert_int_equal(changed, 0);
        if (ext != SBI_EXT_DBCN)
            assert_memory_equal(&after, &before, sizeof(after));
    } else if (ext == SBI_EXT_HSM) {
        assert_int_equal(changed, fid == 0);
    }
}

static void call(struct fuzz_in *in, uint8_t op)
{
    unsigned long ext = extension(in), fid = fuzz_u8(in), a[5];
    uint8_t hsm[GUEST_MAX_VCPUS];
    struct done before;
    struct fake_result r;

    fid = fid < 240 ? fid % 12 : fuzz_u64(in);
    for (unsigned i = 0; i < 5; i++)
        a[i] = argument(in);
    if (ext == SBI_EXT_SSE && a[0] < 64)
        a[0] = sse_id(a[0]);
    for (unsigned i = 0; i < fake_guest.vcpu_count; i++)
        hsm[i] = (uint8_t)atomic_load(&fake_vcpus[i].hsm);
    /* The caller runs: it is started, and loaded on hart 0, this one. */
    fake_caller = op >> 3 & 3;
    if (fake_caller >= fake_guest.vcpu_count || hsm[fake_caller] != HSM_STARTED)
        return;
    for (unsigned i = 0; i < fake_guest.vcpu_count; i++)
        if (i == fake_caller || atomic_load(&fake_vcpus[i].loaded_hart) == 0)
            fake_sbi_load(i, i == fake_caller ? 0 : -1);
    csr_write(CSR_HGATP, fake_hgatp[0]);
    before = done();
    sse_note();
    r = fake_ecall(ext, fid, a[0], a[1], a[2], a[3], a[4]);
    check(ext, fid, r, before, hsm);
    if (fake_output_len > sizeof(fake_output) - 4096)
        fake_output_len = 0;
    if (op & 128)
        deliver(&fake_vcpus[fake_caller]);
}

static void others_do(struct fuzz_in *in, uint8_t op)
{
    uint8_t which = fuzz_u8(in);
    struct vcpu *v = &fake_vcpus[which % fake_guest.vcpu_count];

    switch (op >> 2 & 7) {
    case 0: /* starts and suspends end */
        if (atomic_load(&v->hsm) == HSM_START_PENDING)
            atomic_store(&v->hsm, HSM_STARTED);
        else
            hsm_resume(v);
        break;
    case 1:
        if (atomic_load(&v->loaded_hart) != 0)
            fake_sbi_load(v->index, 1 + (which >> 5) % (FAKE_HARTS - 1));
        break;
    case 2:
        if (atomic_load(&v->loaded_hart) > 0)
            fake_sbi_load(v->index, -1);
        break;
    case 3: /* another guest's hart */
        fake_hgatp[1 + which % (FAKE_HARTS - 1)] ^= 1;
        break;
    case 4:
        fake_console_room = which & 128 ? 0 : which * 16u;
        fake_input = "typed by somebody";
        fake_input_len = which % 17;
        break;
    case 5:
        load_how = which;
        break;
    case 6:
        fake_mem_error = which & 1 ? -ENOMEM : 0;
        fake_mem_error_from = FAKE_RAM + which * 256u;
        fake_populate_result = which & 2 ? -ENOMEM : 0;
        fake_walk_result = which & 4 ? -EFAULT : 0;
        fake_walk_out = FAKE_RAM + which;
        break;
    case 7:
        atomic_store(&v->requests, 0);
        if (which & 128)
            sse_raise(v, SSE_KICK);
        deliver(v);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = {data, size};
    uint8_t first = fuzz_u8(&in);

    load_how = 0;
    fake_sbi_reset(first % GUEST_MAX_VCPUS + 1);
    fake_guest.sstc = first & 128;
    vcpu_features = (struct vcpu_features){.misaligned_deleg = first & 1,
                                           .svadu = first & 2,
                                           .pmlen7 = first & 4,
                                           .pmlen16 = first & 8};
    fake_guest_load = guest_load;
    for (unsigned i = 0; i < fake_guest.vcpu_count; i++)
        sse_reset(&fake_vcpus[i]);
    for (unsigned i = 1; i < fake_guest.vcpu_count && i < 4; i++)
        atomic_store(&fake_vcpus[i].hsm, i == 1 ? HSM_STARTED : HSM_STOPPED);
    while (in.left) {
        uint8_t op = fuzz_u8(&in);

        if (op & 3)
            call(&in, op);
        else
            others_do(&in, op);
    }
    return 0;
}

/* Every function of every extension, rightly called. */
size_t fuzz_seed(unsigned n, uint8_t *to, size_t max)
{
    struct fuzz_out o = {to, 0, max};

    if (n >= 28)
        return 0;
    fuzz_put_u(&o, (n == 8 ? 0 : 3) | (n & 1) << 7, 1);
    if (n == 26) { /* more text than one call moves */
        static const uint8_t much[] = {1, 6, 0, 160, 0x40, 0x1f, 128, 0, 1, 0, 0, 0};

        fuzz_put(&o, much, sizeof(much));
        return o.len;
    }
    if (n == 27) { /* events that come while others run: function, event */
        static const uint8_t lives[][2] = {{2, 0}, {4, 0}, {2, 1}, {4, 1}, {2, 2}, {4, 2},
                                           {8, 0}, {7, 0}, {7, 2}, {7, 0}, {6, 0}, {6, 0},
                                           {6, 0}, {6, 0}, {5, 0}, {3, 0}, {5, 1}, {3, 2}};

        for (unsigned i = 0; i < sizeof(lives) / sizeof(lives[0]); i++) {
            fuzz_put_u(&o, 129, 1); /* and deliver what is due */
            fuzz_put_u(&o, 11, 1);
            fuzz_put_u(&o, lives[i][0], 1);
            fuzz_put_u(&o, lives[i][1], 5);
            if (i == 8) { /* the operator's */
                fuzz_put_u(&o, 28, 1);
                fuzz_put_u(&o, 128, 1);
            }
        }
        return o.len;
    }
    for (unsigned fid = 0; fid < 8; fid++) {
        fuzz_put_u(&o, 1, 1);
        fuzz_put_u(&o, n < 16 ? n : 192 + n - 16, 1);
        fuzz_put_u(&o, fid, 1);
        fuzz_put_u(&o, n == 6 ? 8 : n == 8 ? 0 : 2, 1); /* a0: a mask, a hart, a length, a type */
        fuzz_put_u(&o, n == 4 || n == 6 || n == 8 ? 128 : 0, 1);
        if (n == 4 || n == 6 || n == 8)
            fuzz_put_u(&o, 0x100, 2);
        fuzz_put_u(&o, 0, 3);
        fuzz_put_u(&o, 0, 1); /* what was begun ends */
        fuzz_put_u(&o, 2, 1);
    }
    return o.len;
}
