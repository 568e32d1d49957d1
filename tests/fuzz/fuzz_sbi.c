// SPDX-License-Identifier: BSD-2-Clause
// SBI calls with any arguments, from any vCPU, while others start, stop, and come and go on harts. The fake
// checks each call's registers and pc; here: only legal errors, no value with an error, nothing done by a call
// that failed, bounded fences, and HSM states as a model of the specification has them.
// units: tests/fake/fake_sbi.c tests/fake/fake_base.c vcpu/sbi/*.c
#include <errno.h>

#include "fake_sbi.h"
#include "fuzz.h"
#include "vcpu/sbi/extensions.h"
#include "vcpu/sbi/hsm.h"

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
    /* Those that there are, and those that there may be one day: PMU, SSE, DBTR, STA, CPPC, NACL, MPXY. */
    static const unsigned long ids[16] = {SBI_EXT_BASE, SBI_EXT_TIME, SBI_EXT_IPI,  SBI_EXT_RFENCE,
                                          SBI_EXT_HSM,  SBI_EXT_SRST, SBI_EXT_DBCN, SBI_EXT_HSM,
                                          SBI_EXT_SUSP, SBI_EXT_FWFT, 0x504D55,     0x535345,
                                          0x44425452,   0x535441,     0x43505043,   0x4D505859};
    uint8_t how = fuzz_u8(in);

    if (how < 192)
        return ids[how & 15];
    return how < 240 ? how % 12 : how < 244 ? ids[how & 15] | 1ul << 32 : fuzz_u64(in);
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
    if (legacy)
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

    fid = fid < 240 ? fid & 7 : fuzz_u64(in);
    for (unsigned i = 0; i < 5; i++)
        a[i] = argument(in);
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
    r = fake_ecall(ext, fid, a[0], a[1], a[2], a[3], a[4]);
    check(ext, fid, r, before, hsm);
    if (fake_output_len > sizeof(fake_output) - 4096)
        fake_output_len = 0;
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

    if (n >= 27)
        return 0;
    fuzz_put_u(&o, (n == 8 ? 0 : 3) | (n & 1) << 7, 1);
    if (n == 26) { /* more text than one call moves */
        static const uint8_t much[] = {1, 6, 0, 160, 0x40, 0x1f, 128, 0, 1, 0, 0, 0};

        fuzz_put(&o, much, sizeof(much));
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
