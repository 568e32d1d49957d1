// SPDX-License-Identifier: BSD-2-Clause
#include "boot/start_harts.h"

#include <errno.h>

#include "base/log.h"
#include "drv/drv.h"
#include "mem/frame.h"
#include "mem/heap.h"
#include "mem/hostmap.h"
#include "mem/hostmap_init.h"
#include "sched/irq.h"
#include "vcpu/load.h"

#define SBI_EXT_HSM_ 0x48534D
#define FAULT_FRAME_BYTES 256
#define START_TIMEOUT_US 1000000

extern char _start[], secondary_start[];

struct hart boot_hart_data;

/* What secondary_start reads with the MMU off; entry.S knows the order. */
struct start_block {
    uint64_t satp, stack_top;
    struct hart *hart;
    void (*fn)(void);
};

int start_hart_memory(struct hart *h)
{
    char *page = frame_alloc_page();

    if (!page)
        return -ENOMEM;
    /* The frame lies below the stack: an overflow of the emergency stack spoils only the report. */
    h->fault_frame = (uint64_t *)page;
    h->fault_stack = (uint64_t)page + PAGE_SIZE;
    return 0;
}

void start_hart_local(void)
{
    load_hart_init();
    csr_write(CSR_SIE, BIT(IRQ_SSI) | BIT(IRQ_STI) | BIT(IRQ_SEI));
    csr_write(CSR_SCOUNTEREN, 0);
    plic_hart_init();
}

static void secondary_main(void)
{
    start_hart_local();
    sched_idle();
}

/* 0, or a reason for people. */
static const char *start_one(uint64_t hartid, struct start_block *block)
{
    struct hart *h = heap_alloc(sizeof(*h));
    struct thread *idle = heap_alloc(sizeof(*idle));
    struct sbi_ret ret;
    uint64_t deadline;

    if (!h || !idle || start_hart_memory(h))
        return "out of memory";
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
    arch_fence_rw();
    ret = arch_sbi(SBI_EXT_HSM_, 0, hartid, image_pa + (uint64_t)(secondary_start - _start),
                   hva_to_pa(block).v, 0, 0, 0);
    if (ret.error) {
        harts[h->index] = 0;
        return "firmware refuses to start it";
    }
    /* The block is used again for the next hart, so this one must be up first. */
    deadline = arch_time() + timer_us(START_TIMEOUT_US);
    while (!atomic_load(&h->online)) {
        if (arch_time() > deadline) {
            harts[h->index] = 0;
            return "it was started but does not answer";
        }
    }
    hart_count++;
    return 0;
}

void start_other_harts(const struct platform *p)
{
    struct start_block *block = frame_alloc_page();

    for (unsigned i = 0; block && i < p->hart_count && hart_count < HART_MAX; i++) {
        const struct platform_hart *ph = &p->hart[i];
        const char *why;

        if (!ph->usable || ph->hartid == boot_hart_data.hartid)
            continue;
        why = start_one(ph->hartid, block);
        if (why)
            log_warn("hart %lu is left out: %s", ph->hartid, why);
    }
    if (block)
        frame_free_page(block);
}
