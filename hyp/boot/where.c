// SPDX-License-Identifier: BSD-2-Clause
#include "boot/where.h"

#include "base/arch.h"
#include "boot/where_offsets.h"
#include "sched/hart.h"
#include "sched/timer.h"
#include "sched/xcall.h"

#define SBI_EXT_SSE_ 0x535345
#define SSE_LOCAL_SOFTWARE 0xffff0000ul
enum { SSE_REGISTER = 2, SSE_ENABLE = 4, SSE_DISABLE = 5, SSE_INJECT = 7, SSE_HART_UNMASK = 8 };
enum { ANSWER_US = 20000, INTERRUPT_US = 100000 };

/* What where.S stores when the firmware interrupts this hart. */
struct interrupted {
    uint64_t gpr[32]; /* but a6 and a7 */
    uint64_t pc;
    atomic_uint done;
};
_Static_assert(offsetof(struct interrupted, pc) == WHERE_PC, "assembly");
_Static_assert(offsetof(struct interrupted, done) == WHERE_DONE, "assembly");

void where_event(void); /* where.S */

static struct interrupted interrupted[HART_MAX];
static bool sse; /* all harts have the same firmware */

void where_hart_init(void)
{
    struct sbi_ret ret =
        arch_sbi(SBI_EXT_SSE_, SSE_REGISTER, SSE_LOCAL_SOFTWARE, (uint64_t)where_event,
                 (uint64_t)&interrupted[hart_index()], 0, 0, 0);

    if (ret.error)
        return;
    ret = arch_sbi(SBI_EXT_SSE_, SSE_ENABLE, SSE_LOCAL_SOFTWARE, 0, 0, 0, 0, 0);
    /* A draft of the extension, in OpenSBI 1.5, has no masks. */
    (void)arch_sbi(SBI_EXT_SSE_, SSE_HART_UNMASK, 0, 0, 0, 0, 0, 0);
    if (!ret.error)
        sse = true;
}

static void disable(void *arg)
{
    (void)arg;
    (void)arch_sbi(SBI_EXT_SSE_, SSE_DISABLE, SSE_LOCAL_SOFTWARE, 0, 0, 0, 0, 0);
}

void where_end(void)
{
    if (!sse)
        return;
    if (atomic_load(&hart_stuck_reports)) /* a stuck hart would be waited for */
        disable(NULL);
    else
        xcall_run(~0ul >> (64 - hart_count), disable, NULL);
}

bool where_has_sse(void) { return sse; }

static bool wait_for(atomic_uint *done, uint64_t us)
{
    uint64_t until = arch_time() + timer_us(us);

    while (!atomic_load_explicit(done, memory_order_acquire))
        if (arch_time() > until)
            return false;
        else
            arch_pause();
    return true;
}

enum where_how where_ask(unsigned index, struct where *at)
{
    struct interrupted *i = &interrupted[index];
    struct hart *h = harts[index];

    if (h == this_hart()) {
        *at = (struct where){(uint64_t)__builtin_return_address(0),
                             (uint64_t)__builtin_return_address(0),
                             (uint64_t)__builtin_frame_address(0)};
        return WHERE_ANSWERED;
    }
    atomic_store(&h->where_done, 0);
    hart_request(index, HART_REQ_WHERE);
    if (wait_for(&h->where_done, ANSWER_US)) {
        *at = (struct where){h->where_pc, h->where_pc, h->where_sp};
        return WHERE_ANSWERED;
    }
    atomic_store(&i->done, 0);
    if (!sse ||
        arch_sbi(SBI_EXT_SSE_, SSE_INJECT, SSE_LOCAL_SOFTWARE, h->hartid, 0, 0, 0, 0).error ||
        !wait_for(&i->done, INTERRUPT_US))
        return WHERE_NOWHERE;
    *at = (struct where){i->pc, i->gpr[1], i->gpr[2]};
    return WHERE_INTERRUPTED;
}
