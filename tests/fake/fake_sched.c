// SPDX-License-Identifier: BSD-2-Clause
#include "fake_sched.h"

#include <stdlib.h>
#include <string.h>

#include "mem/heap.h"
#include "mem/hostmap.h"
#include "sched/irq.h"
#include "sched/timer_hart.h"
#include "sched/xcall.h"

#define SBI_EXT_IPI 0x735049

struct hart fake_sched_hart[FAKE_SCHED_HARTS];
struct thread fake_sched_idle[FAKE_SCHED_HARTS];
uint64_t fake_switch_ticks;
unsigned fake_ipis;
static char stack[THREAD_STACK_SIZE];

void arch_switch_stack(uint64_t *save_sp, uint64_t load_sp)
{
    (void)save_sp;
    (void)load_sp;
    fake_time += fake_switch_ticks;
}

void arch_begin_stack(uint64_t *save_sp, uint64_t load_sp, void (*fn)(void))
{
    (void)fn;
    arch_switch_stack(save_sp, load_sp);
}

void arch_begin_anew(uint64_t load_sp, void (*fn)(void *arg), void *arg)
{
    (void)load_sp;
    fake_time += fake_switch_ticks;
    fn(arg);
}

void *heap_alloc(size_t size) { return calloc(1, size); }
void heap_free(void *p) { free(p); }
void *hostmap_stack(uint64_t size)
{
    (void)size;
    return stack;
}
void hostmap_stack_free(void *lowest, uint64_t size)
{
    (void)lowest;
    (void)size;
}
void hart_answer_xcalls(void) {}

static struct sbi_ret count_ipis(unsigned long ext, unsigned long fid, const unsigned long a[6])
{
    (void)fid;
    (void)a;
    fake_ipis += ext == SBI_EXT_IPI;
    return (struct sbi_ret){0, 0};
}

void fake_sched_start(unsigned wanted)
{
    fake_arch_reset();
    fake_sbi = count_ipis;
    fake_time = 1000;
    fake_switch_ticks = 0;
    fake_ipis = 0;
    timer_hz = FAKE_HZ;
    timer_sstc = true;
    memset(fake_sched_hart, 0, sizeof(fake_sched_hart));
    memset(fake_sched_idle, 0, sizeof(fake_sched_idle));
    hart_count = wanted;
    fair_group_init(&thread_hypervisor);
    for (unsigned i = 0; i < hart_count; i++) {
        struct hart *h = &fake_sched_hart[i];

        h->index = i;
        harts[i] = fake_hart_data[i] = h;
        sched_hart_init(h, &fake_sched_idle[i]);
        atomic_store(&h->online, true);
    }
}

void fake_sched_thread(struct thread *t, struct fair_group *g)
{
    list_init(&t->fair.node);
    thread_join(t, g);
    atomic_store(&t->state, THREAD_BLOCKED);
    t->since = fake_time;
    t->blocked_as = THREAD_IDLED;
}
