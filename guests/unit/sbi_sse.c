// SPDX-License-Identifier: BSD-2-Clause
// Supervisor software events (SBI SSE): the calls' errors, delivery at once and with interrupts off, nesting,
// a global event on each hart, WFI.
#include "unit/sse.h"
#include "unit/unit.h"

#define SBI_SSE 0x535345u
#define INVALID_STATE (-10)
#define BAD_RANGE (-11)
enum { READ, WRITE, REGISTER, UNREGISTER, ENABLE, DISABLE, COMPLETE, INJECT, UNMASK, MASK };
enum { STATUS, PRIORITY, CONFIG, PREFERRED_HART, ENTRY_PC, ENTRY_ARG, SEPC, FLAGS, A6, A7 };
enum { UNUSED, REGISTERED, ENABLED, RUNNING, PENDING = 4, INJECTABLE = 8 };
#define LOCAL 0xFFFF0000ul
#define GLOBAL 0xFFFF8000ul
#define KICK 0x4000ul

static struct sse_context contexts[3];
static volatile uint64_t order;

#define CALL(...) CALL_(__VA_ARGS__, 0, 0, 0, 0, 0)
#define CALL_(fid, a0, a1, a2, a3, a4, ...) sbi_call(SBI_SSE, fid, a0, a1, a2, a3, a4)

static struct sbi_ret put(uint64_t event, uint64_t attr, uint64_t value)
{
    volatile uint64_t word = value;

    return CALL(WRITE, event, attr, 1, (uint64_t)&word);
}

static uint64_t get(uint64_t event, uint64_t attr)
{
    volatile uint64_t word = ~0ul;

    return CALL(READ, event, attr, 1, (uint64_t)&word).error ? ~0ul : word;
}

static void run(struct sse_context *c, uint64_t hart)
{
    c->hart = hart;
    c->sepc = csr_read(sepc);
    c->order = ++order;
    if (c->then)
        c->then(c);
    c->count++;
}

static struct sse_context *context(unsigned n)
{
    struct sse_context *c = &contexts[n];

    memset(c, 0, sizeof(*c));
    c->stack = (uint64_t)(c->memory + ARRAY_LEN(c->memory)) & ~15ul;
    c->run = run;
    return c;
}

/* Registered and enabled with a context of its own; what failed, or 0. */
static long begin(uint64_t event, struct sse_context *c)
{
    long error = CALL(REGISTER, event, (uint64_t)sse_entry, (uint64_t)c).error;

    return error ? error : CALL(ENABLE, event).error;
}

static void end(uint64_t event)
{
    CALL(DISABLE, event);
    CALL(UNREGISTER, event);
    put(event, PRIORITY, 0);
    put(event, CONFIG, 0);
}

UNIT_CASE(sse_probe, UNIT_TRAPLINE)
{
    CHECK(sbi_call(SBI_BASE, 3, SBI_SSE, 0, 0, 0, 0).value, "is missing");
    CHECK_SBI(CALL(10, LOCAL), SBI_NOT_SUPPORTED);
    CHECK_SBI(CALL(ENABLE, 0x0), SBI_NOT_SUPPORTED); /* RAS */
    CHECK_SBI(CALL(ENABLE, 0x2), SBI_INVALID_PARAM); /* reserved */
    CHECK_SBI(CALL(ENABLE, LOCAL), INVALID_STATE);
    CHECK_SBI(CALL(REGISTER, LOCAL, 1), SBI_INVALID_PARAM);
    CHECK_SBI(CALL(INJECT, LOCAL, 99), SBI_INVALID_PARAM);
    CHECK_SBI(CALL(INJECT, KICK, 0), SBI_FAILED);
    CHECK_SBI(CALL(COMPLETE, 0), SBI_OK);
    CHECK_EQ(get(LOCAL, STATUS), INJECTABLE);
    CHECK_EQ(get(GLOBAL, STATUS), INJECTABLE);
    CHECK_EQ(get(KICK, STATUS), UNUSED);
}

UNIT_CASE(sse_attrs, UNIT_TRAPLINE)
{
    static uint64_t words[11] __attribute__((aligned(16)));

    CHECK_SBI(CALL(READ, LOCAL, 0, 10, (uint64_t)words), SBI_OK);
    CHECK_SBI(CALL(READ, LOCAL, 0, 11, (uint64_t)words), BAD_RANGE);
    CHECK_SBI(CALL(READ, LOCAL, 0, 0, (uint64_t)words), SBI_INVALID_PARAM);
    CHECK_SBI(CALL(READ, LOCAL, 0, 1, (uint64_t)words + 4), SBI_INVALID_ADDRESS);
    CHECK_SBI(CALL(READ, LOCAL, 0, 1, 0x10000000), SBI_INVALID_ADDRESS);
    CHECK_SBI(CALL(READ, LOCAL, 0, 2, rt_ram_base + rt_ram_size - 8), SBI_INVALID_ADDRESS);
    CHECK_SBI(CALL(READ, LOCAL, 0, 1, (uint64_t)words, 1), SBI_INVALID_ADDRESS);
    CHECK_SBI(put(LOCAL, PRIORITY, 1ul << 32), SBI_INVALID_PARAM);
    CHECK_SBI(put(LOCAL, CONFIG, 2), SBI_INVALID_PARAM);
    CHECK_SBI(put(LOCAL, PREFERRED_HART, 0), SBI_DENIED);
    CHECK_SBI(put(LOCAL, STATUS, 0), SBI_DENIED);
    CHECK_SBI(put(LOCAL, A7, 0), INVALID_STATE);
    CHECK_SBI(put(GLOBAL, PREFERRED_HART, rt_hart_count), SBI_INVALID_PARAM);
}

/* Injected by itself, it comes before the next instruction; while masked, when it is unmasked. */
UNIT_CASE(sse_inject_self, UNIT_TRAPLINE)
{
    struct sse_context *c = context(0);

    CHECK_SBI(CALL(UNMASK, 0), SBI_OK);
    CHECK_EQ(begin(LOCAL, c), 0);
    CHECK_SBI(CALL(INJECT, LOCAL, hart_self()->id), SBI_OK);
    CHECK_EQ(c->count, 1);
    CHECK_EQ(c->hart, hart_self()->id);
    CHECK_SBI(CALL(MASK, 0), SBI_OK);
    CHECK_SBI(CALL(INJECT, LOCAL, hart_self()->id), SBI_OK);
    CHECK_EQ(c->count, 1);
    CHECK_EQ(get(LOCAL, STATUS), ENABLED | PENDING | INJECTABLE);
    CHECK_SBI(CALL(UNMASK, 0), SBI_OK);
    CHECK_EQ(c->count, 2);
    CHECK_SBI(CALL(DISABLE, LOCAL), SBI_OK);
    CHECK_SBI(put(LOCAL, CONFIG, 1), SBI_OK);
    CHECK_SBI(CALL(ENABLE, LOCAL), SBI_OK);
    CHECK_SBI(CALL(INJECT, LOCAL, hart_self()->id), SBI_OK);
    CHECK_EQ(c->count, 3);
    CHECK_EQ(get(LOCAL, STATUS), REGISTERED | INJECTABLE); /* one-shot */
    end(LOCAL);
    CHECK_SBI(CALL(MASK, 0), SBI_OK);
}

static uint64_t nested;

static void inject_the_other(struct sse_context *c)
{
    (void)c;
    CALL(INJECT, LOCAL, hart_self()->id);
    nested = contexts[1].count;
}

/* In the handler of one, the other one is injected: it preempts when its priority is higher. */
UNIT_CASE(sse_nesting, UNIT_TRAPLINE)
{
    for (unsigned round = 0; round < 2; round++) {
        struct sse_context *low = context(0), *high = context(1);

        order = 0;
        low->then = inject_the_other;
        put(LOCAL, PRIORITY, round ? 3 : 1);
        put(GLOBAL, PRIORITY, 2);
        put(GLOBAL, PREFERRED_HART, hart_self()->id);
        CHECK_SBI(CALL(UNMASK, 0), SBI_OK);
        CHECK_EQ(begin(GLOBAL, low), 0);
        CHECK_EQ(begin(LOCAL, high), 0);
        CHECK_SBI(CALL(INJECT, GLOBAL, 0), SBI_OK);
        CHECK_EQ(low->count, 1);
        CHECK_EQ(high->count, 1);
        CHECK_EQ(low->order, 1);
        CHECK_EQ(high->order, 2);
        CHECK_EQ(nested, round == 0);
        end(LOCAL);
        end(GLOBAL);
        CHECK_SBI(CALL(MASK, 0), SBI_OK);
    }
}

static void skip_the_loop(struct sse_context *c)
{
    put(LOCAL, FLAGS, 0);
    csr_write(sepc, c->sepc + 4);
}

/* The handler may say where to go on: sepc at the completion is the pc. And registers are kept. */
UNIT_CASE(sse_resume_elsewhere, UNIT_TRAPLINE)
{
    struct sse_context *c = context(0);
    uint64_t a6, a7, other, id = hart_self()->id;

    c->then = skip_the_loop;
    CHECK_SBI(CALL(UNMASK, 0), SBI_OK);
    CHECK_EQ(begin(LOCAL, c), 0);
    csr_write(sepc, 0x12344);
    __asm__ volatile("mv a0, %3\n mv a1, %4\n li a6, 7\n li a7, 0x535345\n li t0, 99\n ecall\n"
                     ".option push\n.option norvc\n 1: j 1b\n.option pop\n"
                     "mv %0, a6\n mv %1, a7\n mv %2, t0\n"
                     : "=&r"(a6), "=&r"(a7), "=&r"(other)
                     : "r"(LOCAL), "r"(id)
                     : "a0", "a1", "a6", "a7", "t0", "memory");
    end(LOCAL);
    CHECK_SBI(CALL(MASK, 0), SBI_OK);
    CHECK_EQ(a6, 7);
    CHECK_EQ(a7, SBI_SSE);
    CHECK_EQ(other, 99);
    CHECK_EQ(csr_read(sepc), 0x12344);
}

static volatile uint64_t stage, spins;

extern const char sse_look[], sse_looked[];

/* WFI until there were two events. */
static __attribute__((noinline)) void wfi_for_two(volatile uint64_t *count)
{
    uint64_t now;

    __asm__ volatile(
        "sse_look: ld %0, (%1)\n bgeu %0, %2, sse_looked\n wfi\n j sse_look\n sse_looked:"
        : "=&r"(now)
        : "r"(count), "r"(2ul)
        : "memory");
}

/* An event between the look and the WFI would leave nothing to wake it: then it looks again. */
static void look_again(struct sse_context *c)
{
    if (c->sepc >= (uint64_t)sse_look && c->sepc < (uint64_t)sse_looked)
        csr_write(sepc, (uint64_t)sse_look);
}

/* Interrupts are off: nothing but an event gets through. Then in WFI, with no interrupt enabled. */
static void spin_deaf(void *arg)
{
    CALL(UNMASK, 0);
    csr_clear(sstatus, SSTATUS_SIE);
    csr_write(sie, 0);
    begin(LOCAL, arg);
    stage = 1;
    while (stage == 1)
        spins++;
    while (stage == 2) {
        stage = 3;
        wfi_for_two(&((struct sse_context *)arg)->count);
    }
    stage = 4;
    end(LOCAL);
    CALL(MASK, 0);
}

UNIT_CASE(sse_other_hart, UNIT_TRAPLINE | UNIT_SMP)
{
    struct sse_context *c = context(0);

    c->then = look_again;
    stage = 0;
    CHECK(hart_run(1, spin_deaf, c), "hart did not start");
    CHECK(rt_wait(&stage, 1), "hart does not run");
    CHECK_SBI(CALL(INJECT, LOCAL, harts[1].id), SBI_OK);
    CHECK(rt_wait(&c->count, 1), "no event");
    CHECK_EQ(c->hart, harts[1].id);
    stage = 2;
    CHECK(rt_wait(&stage, 3), "hart does not go on");
    CHECK_SBI(CALL(INJECT, LOCAL, harts[1].id), SBI_OK);
    CHECK(rt_wait(&c->count, 2), "no event in WFI");
    /* Handled between the look at the count and WFI, it leaves the hart in WFI, as it would any hart: then another one. */
    if (!rt_wait(&stage, 4))
        CHECK_SBI(CALL(INJECT, LOCAL, harts[1].id), SBI_OK);
    CHECK(hart_wait(1), "hart does not end");
    CHECK_EQ(get(LOCAL, STATUS), INJECTABLE); /* ours has nothing to do with it */
}

static void unmask_and_wait(void *arg)
{
    struct sse_context *c = arg;
    uint64_t before = c->count;

    CALL(UNMASK, 0);
    stage = 1;
    rt_wait(&c->count, before + 1);
    CALL(MASK, 0);
}

/* The global event goes to the preferred hart, or to the one that is ready. */
UNIT_CASE(sse_global, UNIT_TRAPLINE | UNIT_SMP)
{
    struct sse_context *c = context(0);

    for (unsigned preferred = 0; preferred < 2; preferred++) {
        uint64_t before = c->count;

        stage = 0;
        CHECK_SBI(put(GLOBAL, PREFERRED_HART, harts[preferred].id), SBI_OK);
        CHECK_EQ(begin(GLOBAL, c), 0);
        CHECK(hart_run(1, unmask_and_wait, c), "hart did not start");
        CHECK(rt_wait(&stage, 1), "hart does not run");
        CHECK_SBI(CALL(INJECT, GLOBAL, ~0ul), SBI_OK);
        CHECK(rt_wait(&c->count, before + 1), "no event");
        CHECK_EQ(c->hart, harts[1].id); /* the boot hart masks them */
        CHECK(hart_wait(1), "hart does not end");
        end(GLOBAL);
    }
    CHECK_SBI(put(GLOBAL, PREFERRED_HART, harts[0].id), SBI_OK);
}
