// SPDX-License-Identifier: BSD-2-Clause
// Start of harts, traps and SBI calls.
#include "rt/rt.h"

#include "rt/offsets.h"

_Static_assert(offsetof(struct hart, stack) == HART_STACK, "offsets.h");
_Static_assert(offsetof(struct hart, user_sp) == HART_USER_SP, "offsets.h");
_Static_assert(offsetof(struct hart, scratch) == HART_SCRATCH, "offsets.h");

struct hart harts[RT_HARTS];
bool rt_trapline;

static char stacks[RT_HARTS][RT_STACK] __attribute__((aligned(16)));

void rt_enter(uint64_t hartid, uint64_t arg);
void rt_trap(uint64_t *frame);
void rt_leave_user(uint64_t value) __attribute__((noreturn));
void secondary_start(void);

struct sbi_ret sbi_call(uint64_t ext, uint64_t fid, uint64_t a0, uint64_t a1, uint64_t a2,
                        uint64_t a3, uint64_t a4)
{
    register uint64_t r0 __asm__("a0") = a0;
    register uint64_t r1 __asm__("a1") = a1;
    register uint64_t r2 __asm__("a2") = a2;
    register uint64_t r3 __asm__("a3") = a3;
    register uint64_t r4 __asm__("a4") = a4;
    register uint64_t r6 __asm__("a6") = fid;
    register uint64_t r7 __asm__("a7") = ext;

    __asm__ volatile("ecall"
                     : "+r"(r0), "+r"(r1)
                     : "r"(r2), "r"(r3), "r"(r4), "r"(r6), "r"(r7)
                     : "memory");
    return (struct sbi_ret){(long)r0, r1};
}

void rt_shutdown(void)
{
    sbi_call(SBI_SRST, 0, 0, 0, 0, 0, 0);
    sbi_call(8, 0, 0, 0, 0, 0, 0); /* legacy */
    for (;;)
        __asm__ volatile("wfi");
}

/* ---- traps ---- */

void trap_begin(void)
{
    struct hart *h = hart_self();

    h->trap = (struct trap_record){0};
    h->resume = 0;
    h->catching = true;
}

struct trap_record trap_end(void)
{
    struct hart *h = hart_self();

    __asm__ volatile("" ::: "memory");
    h->catching = false;
    return h->trap;
}

static void take_interrupt(struct hart *h, unsigned cause)
{
    switch (cause) {
    case IRQ_SOFT:
        csr_clear(sip, SIE_SSIE);
        break;
    case IRQ_TIMER:
        if (h->timer_every)
            sbi_call(SBI_TIME, 0, rdtime() + h->timer_every, 0, 0, 0, 0);
        else
            csr_clear(sie, SIE_STIE);
        break;
    default:
        csr_clear(sie, 1ul << cause);
    }
    h->irqs[cause & 15]++;
}

static unsigned insn_length(uint64_t pc)
{
    uint16_t first;

    csr_set(sstatus, SSTATUS_SUM); /* it may be on a user page */
    first = *(volatile uint16_t *)pc;
    csr_clear(sstatus, SSTATUS_SUM);
    return (first & 3) == 3 ? 4 : 2;
}

static bool is_fetch_fault(uint64_t cause)
{
    return cause == CAUSE_FETCH_MISALIGNED || cause == CAUSE_FETCH_ACCESS ||
           cause == CAUSE_FETCH_PAGE;
}

void rt_trap(uint64_t *frame)
{
    struct hart *h = hart_self();
    uint64_t cause = csr_read(scause), tval = csr_read(stval);
    bool user = !(csr_read(sstatus) & SSTATUS_SPP);

    if (cause >> 63) {
        take_interrupt(h, (unsigned)cause & 63);
        return;
    }
    if (user && cause == CAUSE_ECALL_U)
        rt_leave_user(frame[10]);
    if (!h->catching) {
        printf("FAIL unexpected trap on hart %lu: cause %lu, tval %lx, epc %lx (image + %lx), ra "
               "%lx\n",
               h->id, cause, tval, frame[0], frame[0] - (uint64_t)image_start, frame[1]);
        rt_shutdown();
    }
    h->trap.count++;
    h->trap.cause = cause;
    h->trap.tval = tval;
    h->trap.epc = frame[0];
    h->trap.from_user = user;
    if (h->resume) {
        frame[0] = h->resume;
        h->resume = 0;
    } else {
        frame[0] = is_fetch_fault(cause) ? frame[1] : frame[0] + insn_length(frame[0]);
    }
}

/* ---- harts ---- */

static void serve(struct hart *h)
{
    for (;;) {
        if (h->run) {
            void (*run)(void *) = h->run;

            run(h->arg);
            h->run = NULL;
            __atomic_add_fetch(&h->done, 1, __ATOMIC_RELEASE);
        }
        __asm__ volatile("nop; nop; nop; nop");
    }
}

bool rt_wait(const volatile uint64_t *what, uint64_t value)
{
    uint64_t end = rt_patience();

    while (*what < value)
        if (rdtime() > end)
            return *what >= value;
    return true;
}

void rt_tidy(void)
{
    csr_write(sie, 0);
    csr_clear(sstatus, SSTATUS_SIE | SSTATUS_SUM);
    csr_clear(sip, SIE_SSIE);
    csr_set(sstatus, SSTATUS_FS);
    csr_write(satp, 0);
    sbi_call(SBI_TIME, 0, ~0ul, 0, 0, 0, 0);
    harts[0].catching = false;
    harts[0].timer_every = 0;
}

bool hart_wait(unsigned n)
{
    uint64_t end = rt_patience();

    while (__atomic_load_n(&harts[n].run, __ATOMIC_ACQUIRE))
        if (rdtime() > end)
            return false;
    return true;
}

bool hart_run(unsigned n, void (*function)(void *arg), void *arg)
{
    struct hart *h = &harts[n];
    struct sbi_ret status = sbi_call(SBI_HSM, 2, h->id, 0, 0, 0, 0);

    if (status.error || !hart_wait(n))
        return false;
    h->arg = arg;
    __atomic_store_n(&h->run, function, __ATOMIC_RELEASE);
    if (status.value == 1) /* stopped */
        return sbi_call(SBI_HSM, 0, h->id, (uint64_t)secondary_start, (uint64_t)h, 0, 0).error == 0;
    return true;
}

static void order_harts(uint64_t boot)
{
    for (unsigned i = 1; i < rt_hart_count; i++) {
        if (harts[i].id == boot) {
            harts[i].id = harts[0].id;
            harts[0].id = boot;
        }
    }
    for (unsigned i = 0; i < RT_HARTS; i++)
        harts[i].stack = (uint64_t)(stacks[i] + RT_STACK);
}

void rt_enter(uint64_t hartid, uint64_t arg)
{
    struct hart *h = hart_self();

    if (h != &harts[0])
        serve(h);
    if (!fdt_read(arg)) {
        printf("FAIL no device tree at %lx\n", arg);
        rt_shutdown();
    }
    order_harts(hartid);
    rt_trapline = sbi_call(SBI_BASE, 1, 0, 0, 0, 0, 0).value == TRAPLINE_IMPL_ID;
    guest_main();
    rt_shutdown();
}
