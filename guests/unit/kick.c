// SPDX-License-Identifier: BSD-2-Clause
// The operator's kick, of a hart that is deaf: interrupts off. Only with "kick" in the command line, since
// somebody has to do it when the case asks for it.
#include "unit/sse.h"
#include "unit/unit.h"

#define SBI_SSE 0x535345u
enum { REGISTER = 2, UNREGISTER, ENABLE, DISABLE, UNMASK = 8, MASK };
#define KICK 0x4000ul
#define HARDWARE_ERROR 19

static struct sse_context context;

static void run(struct sse_context *c, uint64_t hart)
{
    c->hart = hart;
    c->sepc = csr_read(sepc);
    c->count++;
}

static bool is_asked_for(void)
{
    csr_clear(sstatus, SSTATUS_SIE);
    csr_write(sie, 0);
    return strstr(rt_bootargs, "kick") != NULL;
}

UNIT_CASE(kick_exception, UNIT_TRAPLINE)
{
    uint64_t end = rt_patience();
    struct trap_record t;

    if (!is_asked_for())
        return;
    trap_begin();
    printf("kick me: exception\n");
    while (!((volatile struct trap_record *)&hart_self()->trap)->count && rdtime() < end)
        continue;
    t = trap_end();
    CHECK_EQ(t.count, 1);
    CHECK_EQ(t.cause, HARDWARE_ERROR);
    CHECK_EQ(t.tval, 0);
    CHECK(t.epc >= (uint64_t)image_start && t.epc < (uint64_t)_end, "epc %lx", t.epc);
}

UNIT_CASE(kick_event, UNIT_TRAPLINE)
{
    if (!is_asked_for())
        return;
    context.stack = (uint64_t)(context.memory + ARRAY_LEN(context.memory)) & ~15ul;
    context.run = run;
    CHECK_SBI(sbi_call(SBI_SSE, UNMASK, 0, 0, 0, 0, 0), SBI_OK);
    CHECK_SBI(sbi_call(SBI_SSE, REGISTER, KICK, (uint64_t)sse_entry, (uint64_t)&context, 0, 0),
              SBI_OK);
    CHECK_SBI(sbi_call(SBI_SSE, ENABLE, KICK, 0, 0, 0, 0), SBI_OK);
    printf("kick me: event\n");
    CHECK(rt_wait(&context.count, 1), "no event");
    CHECK(context.sepc >= (uint64_t)image_start && context.sepc < (uint64_t)_end, "sepc %lx",
          context.sepc);
    CHECK_SBI(sbi_call(SBI_SSE, DISABLE, KICK, 0, 0, 0, 0), SBI_OK);
    CHECK_SBI(sbi_call(SBI_SSE, UNREGISTER, KICK, 0, 0, 0, 0), SBI_OK);
    CHECK_SBI(sbi_call(SBI_SSE, MASK, 0, 0, 0, 0, 0), SBI_OK);
}
