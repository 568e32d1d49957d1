// SPDX-License-Identifier: BSD-2-Clause
#include "fake_sbi.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "sched/xcall.h"
#include "stage2/guest_mem.h"

struct guest fake_guest;
struct vcpu_features vcpu_features;
struct vcpu fake_vcpus[GUEST_MAX_VCPUS];
uint8_t fake_ram[FAKE_RAM_SIZE];
uint64_t fake_hgatp[FAKE_HARTS];
static struct hart fake_hart_of[FAKE_HARTS];
unsigned fake_caller;
unsigned fake_starts, fake_ssip[GUEST_MAX_VCPUS], fake_timers, fake_injects, fake_events;
unsigned fake_populates, fake_xcall_runs, fake_vectors;
uint64_t fake_xcall_mask;
uint64_t fake_start_pc, fake_start_arg, fake_timer, fake_inject_cause, fake_inject_tval;
uint64_t fake_populated;
struct vcpu *fake_started;
enum guest_event fake_event;
uint32_t fake_reason;
int fake_start_result, fake_populate_result, fake_walk_result;
uint64_t fake_walk_out;
void (*fake_before_xcall)(void);
void (*fake_on_request)(struct vcpu *v);
char fake_output[8192];
size_t fake_output_len, fake_console_room;
const char *fake_input;
size_t fake_input_len, fake_largest_piece;
int fake_mem_error;
uint64_t fake_mem_error_from;

static void guest_event(struct guest *g, enum guest_event event, uint32_t reason)
{
    assert_ptr_equal(g, &fake_guest);
    fake_events++;
    fake_event = event;
    fake_reason = reason;
}

static size_t console_write(struct guest *g, const char *data, size_t len)
{
    size_t n = min_u64(len, fake_console_room);

    assert_ptr_equal(g, &fake_guest);
    assert_true(fake_output_len + n <= sizeof(fake_output));
    memcpy(fake_output + fake_output_len, data, n);
    fake_output_len += n;
    fake_console_room -= n;
    fake_largest_piece = max_u64(fake_largest_piece, len);
    return n;
}

static size_t console_read(struct guest *g, char *to, size_t max)
{
    size_t n = min_u64(max, fake_input_len);

    assert_ptr_equal(g, &fake_guest);
    memcpy(to, fake_input, n);
    fake_input += n;
    fake_input_len -= n;
    fake_largest_piece = max_u64(fake_largest_piece, max);
    return n;
}

static bool no_memory(struct guest *g)
{
    (void)g;
    return false;
}

static const struct guest_ops ops = {guest_event, console_write, console_read, no_memory};

void fake_sbi_load(unsigned vcpu, int hart)
{
    atomic_store(&fake_vcpus[vcpu].loaded_hart, hart);
    if (hart >= 0)
        fake_hgatp[hart] = 9ul << HGATP_MODE_SHIFT | 3ul << HGATP_VMID_SHIFT | FAKE_ROOT >> 12;
}

void fake_sbi_reset(unsigned count)
{
    fake_arch_reset();
    memset(fake_hart_of, 0, sizeof(fake_hart_of));
    for (unsigned i = 0; i < FAKE_HARTS; i++)
        fake_hart_data[i] = &fake_hart_of[i];
    memset(&fake_guest, 0, sizeof(fake_guest));
    memset(fake_vcpus, 0, sizeof(fake_vcpus));
    memset(&vcpu_features, 0, sizeof(vcpu_features));
    memset(fake_ram, 0, sizeof(fake_ram));
    memset(fake_hgatp, 0, sizeof(fake_hgatp));
    memset(fake_ssip, 0, sizeof(fake_ssip));
    fake_caller = 0;
    fake_starts = fake_timers = fake_injects = fake_events = fake_populates = fake_xcall_runs = 0;
    fake_vectors = 0;
    fake_start_result = fake_populate_result = fake_walk_result = fake_mem_error = 0;
    fake_xcall_mask = fake_mem_error_from = 0;
    fake_before_xcall = NULL;
    fake_on_request = NULL;
    fake_output_len = fake_input_len = fake_largest_piece = 0;
    fake_input = "";
    fake_console_room = sizeof(fake_output);
    fake_guest.ops = &ops;
    spin_init(&fake_guest.sse_lock, LOCK_IRQCHIP);
    fake_guest.name = "test";
    fake_guest.vcpu_count = count;
    fake_guest.sstc = true;
    fake_guest.s2.root = pa(FAKE_ROOT);
    for (unsigned i = 0; i < count; i++) {
        fake_vcpus[i].index = (uint16_t)i;
        fake_vcpus[i].hartid = i;
        fake_vcpus[i].guest = &fake_guest;
        atomic_store(&fake_vcpus[i].loaded_hart, -1);
        fake_guest.vcpu[i] = &fake_vcpus[i];
    }
    fake_sbi_load(0, 0);
}

static void check_registers(const uint64_t *before, const uint64_t *after, bool replied)
{
    for (unsigned i = 0; i < 32; i++) {
        if (!replied || (i != 10 && i != 11))
            assert_int_equal(before[i], after[i]);
    }
}

/* sbi_sse_complete of a handler: no reply, and the registers are those that it interrupted. */
static bool ends_handler(const struct vcpu *v, unsigned long ext, unsigned long fid)
{
    bool runs = false;

    for (unsigned i = 0; i < SSE_EVENTS; i++) {
        const struct sse_event *e = &(i < SSE_LOCALS ? v : &fake_vcpus[0])->sse.event[i];

        runs |= (e->attr[SSE_STATUS] & SSE_STATUS_STATE) == SSE_RUNNING &&
                (i < SSE_LOCALS || e->running_on == v->index);
    }
    return runs && ext == SBI_EXT_SSE && fid == 6;
}

struct fake_result fake_ecall(unsigned long ext, unsigned long fid, unsigned long a0,
                              unsigned long a1, unsigned long a2, unsigned long a3,
                              unsigned long a4)
{
    struct vcpu *v = &fake_vcpus[fake_caller];
    struct fake_result r = {0};
    uint64_t before[32];
    bool ends = ends_handler(v, ext, fid);

    for (unsigned i = 0; i < 32; i++)
        v->gpr[i] = 0x5A5A000000000000ul + i;
    v->gpr[10] = a0;
    v->gpr[11] = a1;
    v->gpr[12] = a2;
    v->gpr[13] = a3;
    v->gpr[14] = a4;
    v->gpr[16] = fid;
    v->gpr[17] = ext;
    memcpy(before, v->gpr, sizeof(before));
    v->pc = 0xDEAD;
    csr_write(CSR_SEPC, FAKE_ECALL_PC);

    bool (*guest_load)(uint64_t, void *, unsigned, struct arch_fault *) = fake_guest_load;
    fake_guest_load = NULL; /* no HLV in the fast path: it would be a page fault at 0 or so */
    r.verdict = sbi_dispatch(v);
    fake_guest_load = guest_load;
    assert_int_equal(v->pc, 0xDEAD);
    if (r.verdict == EXIT_SLOW) {
        r.slow = true;
        check_registers(before, v->gpr, false);
        assert_int_equal(csr_read(CSR_SEPC), FAKE_ECALL_PC);
        v->pc = FAKE_ECALL_PC;
        csr_write(CSR_SEPC, 0xBEEF);
        r.verdict = sbi_dispatch_slow(v);
        assert_int_equal(csr_read(CSR_SEPC), 0xBEEF);
        if (r.verdict == EXIT_RESUME && !ends)
            assert_int_equal(v->pc, FAKE_ECALL_PC + 4);
    } else {
        assert_int_equal(r.verdict, EXIT_RESUME);
        assert_int_equal(csr_read(CSR_SEPC), FAKE_ECALL_PC + 4);
    }
    if (ends) {
        assert_int_equal(r.verdict, EXIT_RESUME);
        r.ended = true;
        return r;
    }
    /* Suspend is the one call that replies and blocks. */
    check_registers(before, v->gpr, r.verdict == EXIT_RESUME || r.verdict == EXIT_BLOCK);
    r.error = (long)v->gpr[10];
    r.value = v->gpr[11];
    return r;
}

void fake_expect(struct fake_result r, long error, unsigned long value)
{
    assert_int_equal(r.verdict, EXIT_RESUME);
    assert_int_equal(r.error, error);
    assert_int_equal(r.value, value);
}

int vcpu_start(struct vcpu *v, uint64_t pc, uint64_t arg)
{
    if (fake_start_result)
        return fake_start_result;
    if (atomic_load(&v->hsm) != HSM_STOPPED)
        return -EALREADY;
    atomic_store(&v->hsm, HSM_START_PENDING);
    fake_starts++;
    fake_started = v;
    fake_start_pc = pc;
    fake_start_arg = arg;
    return 0;
}

void exit_choose_vectors(const struct guest *g)
{
    (void)g;
    fake_vectors++;
}

void vcpu_irq_raise_ssip(struct vcpu *v) { fake_ssip[v->index]++; }
struct thread *fake_ready, *fake_yielded_to;
bool thread_yield_to(struct thread *t)
{
    if (t == fake_ready)
        fake_yielded_to = t;
    return t == fake_ready;
}

void vcpu_request(struct vcpu *v, uint64_t bits)
{
    atomic_fetch_or(&v->requests, bits);
    if (fake_on_request)
        fake_on_request(v);
}

void vcpu_set_timer(struct vcpu *v, uint64_t t)
{
    assert_ptr_equal(v, &fake_vcpus[fake_caller]);
    fake_timers++;
    fake_timer = t;
}

void vcpu_inject(struct vcpu *v, uint64_t cause, uint64_t tval)
{
    assert_ptr_equal(v, &fake_vcpus[fake_caller]);
    fake_injects++;
    fake_inject_cause = cause;
    fake_inject_tval = tval;
}

unsigned vcpu_walk_vs(struct stage2 *s2, uint64_t vsatp, gva_t va, struct vs_step steps[5],
                      gpa_t *out, int *result)
{
    (void)va;
    (void)steps;
    assert_ptr_equal(s2, &fake_guest.s2);
    assert_int_equal(vsatp, csr_read(CSR_VSATP));
    *result = fake_walk_result;
    *out = gpa(fake_walk_out);
    return 0;
}

int stage2_populate(struct stage2 *s2, gpa_t g, bool write)
{
    assert_ptr_equal(s2, &fake_guest.s2);
    assert_false(write);
    fake_populates++;
    fake_populated = g.v;
    if (fake_populate_result)
        return fake_populate_result;
    return guest_mem_is_ram(s2, g, 1) ? 0 : -EFAULT;
}

bool guest_mem_is_ram(struct stage2 *s2, gpa_t g, uint64_t len)
{
    assert_ptr_equal(s2, &fake_guest.s2);
    return g.v >= FAKE_RAM && range_ok(g.v - FAKE_RAM, len, FAKE_RAM_SIZE);
}

static int access_error(gpa_t g, size_t len)
{
    if (!guest_mem_is_ram(&fake_guest.s2, g, len))
        return -EFAULT;
    return fake_mem_error && g.v + len > fake_mem_error_from ? fake_mem_error : 0;
}

int guest_mem_read(struct stage2 *s2, gpa_t from, void *to, size_t len)
{
    int r = access_error(from, len);

    assert_ptr_equal(s2, &fake_guest.s2);
    if (!r)
        memcpy(to, fake_ram + (from.v - FAKE_RAM), len);
    return r;
}

__attribute__((weak)) uint64_t timer_hz = 10000000;
int guest_mem_zero(struct stage2 *s2, gpa_t to, size_t len)
{
    static const char zeros[4096];

    assert_true(len <= sizeof(zeros));
    return guest_mem_write(s2, to, zeros, len);
}

int guest_mem_write(struct stage2 *s2, gpa_t to, const void *from, size_t len)
{
    int r = access_error(to, len);

    assert_ptr_equal(s2, &fake_guest.s2);
    if (!r)
        memcpy(fake_ram + (to.v - FAKE_RAM), from, len);
    return r;
}

/* Every hart has its own hgatp here. */
void xcall_run(uint64_t harts_mask, void (*fn)(void *arg), void *arg)
{
    unsigned self = fake_hart;

    assert_true(harts_mask != 0);
    assert_true(harts_mask >> FAKE_HARTS == 0);
    fake_xcall_runs++;
    fake_xcall_mask = harts_mask;
    if (fake_before_xcall)
        fake_before_xcall();
    for (unsigned i = 0; i < FAKE_HARTS; i++) {
        if (harts_mask >> i & 1) {
            fake_hart = i;
            csr_write(CSR_HGATP, fake_hgatp[i]);
            fn(arg);
        }
    }
    fake_hart = self;
    csr_write(CSR_HGATP, fake_hgatp[self]);
}
