// SPDX-License-Identifier: BSD-2-Clause
#include "boot/start_harts.h"

#include <errno.h>

#include "base/log.h"
#include "boot/watchdog.h"
#include "drv/drv.h"
#include "mem/frame.h"
#include "mem/heap.h"
#include "mem/hostmap.h"
#include "mem/hostmap_init.h"
#include "sched/irq.h"
#include "sched/thread_list.h"
#include "vcpu/load.h"

#define SBI_EXT_HSM_ 0x48534D
#define FAULT_FRAME_BYTES 256
#define START_TIMEOUT_US 3000000

extern char _start[], secondary_start[];

struct hart boot_hart_data;
/* The hart that is being started, until it takes its place itself or is given up. */
static _Atomic(struct hart *) starting;

/* What secondary_start reads with the MMU off; entry.S knows the order. */
struct start_block {
    uint64_t satp, stack_top;
    struct hart *hart;
    void (*fn)(void);
};

void start_hart_faults(struct hart *h, char *page)
{
    /* The frame lies below the stack: an overflow of the emergency stack spoils only the report. */
    h->fault_frame = (uint64_t *)page;
    h->fault_stack = (uint64_t)page + PAGE_SIZE;
}

void start_hart_local(void)
{
    load_hart_init();
    csr_write(CSR_SIE, BIT(IRQ_SSI) | BIT(IRQ_STI) | BIT(IRQ_SEI));
    csr_write(CSR_SCOUNTEREN, 0);
    host_irq_hart_init();
}

static void secondary_main(void)
{
    struct hart *me = this_hart();

    /* One that comes too late, when it was given up, must not touch anything. */
    if (!atomic_compare_exchange_strong(&starting, &me, (struct hart *)0))
        for (;;)
            arch_wfi();
    start_hart_local();
    watchdog_hart_start();
    sched_idle();
}

/* False when it has been given up. */
static bool wait_online(struct hart *h)
{
    uint64_t begin = arch_time();
    struct hart *expected = h;

    while (!atomic_load(&h->online)) {
        if (arch_time() - begin < timer_us(START_TIMEOUT_US))
            arch_pause();
        else if (atomic_compare_exchange_strong(&starting, &expected, (struct hart *)0))
            return false;
        else
            expected = h; /* it is just taking its place */
    }
    return true;
}

/* 0, or a reason for people. What a hart that was given up may still use is never freed. */
static const char *start_one(uint64_t hartid)
{
    struct start_block *block = frame_alloc_page();
    struct hart *h = heap_alloc(sizeof(*h));
    struct thread *idle = heap_alloc(sizeof(*idle));
    char *fault_page = frame_alloc_page();
    struct sbi_ret ret;

    if (!block || !h || !idle || !fault_page)
        return "out of memory";
    start_hart_faults(h, fault_page);
    idle->stack = hostmap_stack(THREAD_STACK_SIZE);
    if (!idle->stack)
        return "out of memory";
    h->index = hart_count;
    h->hartid = hartid;
    fmt_snprintf(idle->name, sizeof(idle->name), "idle/%u", h->index);
    sched_hart_init(h, idle);
    harts[h->index] = h;
    block->satp = hostmap_satp();
    block->stack_top = (uint64_t)idle->stack + THREAD_STACK_SIZE;
    block->hart = h;
    block->fn = secondary_main;
    atomic_store(&starting, h);
    arch_fence_rw();
    ret = arch_sbi(SBI_EXT_HSM_, 0, hartid, image_pa + (uint64_t)(secondary_start - _start),
                   hva_to_pa(block).v, 0, 0, 0);
    if (ret.error) {
        harts[h->index] = 0;
        thread_list_remove(idle);
        return "firmware refuses to start it";
    }
    if (!wait_online(h)) {
        harts[h->index] = 0;
        thread_list_remove(idle);
        return "it was started but does not answer";
    }
    frame_free_page(block);
    hart_count++;
    return 0;
}

void start_other_harts(const struct platform *p)
{
    for (unsigned i = 0; i < p->hart_count && hart_count < HART_MAX; i++) {
        const struct platform_hart *ph = &p->hart[i];
        const char *why;

        if (!ph->usable || ph->hartid == boot_hart_data.hartid)
            continue;
        why = start_one(ph->hartid);
        if (why)
            log_warn("hart %lu is left out: %s", ph->hartid, why);
    }
}
