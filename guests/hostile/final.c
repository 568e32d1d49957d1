// SPDX-License-Identifier: BSD-2-Clause
// What a VM does not come back from.
#include "hostile/hostile.h"

static uint64_t hole(struct worker *w)
{
    switch (random_below(w, 6)) {
    case 0:
        return UART + 0xfe; /* over the end of a device */
    case 1:
        return rt_ram_base + rt_ram_size + random_below(w, 0x1000);
    case 2:
        return rt_ram_base - 8;
    case 3:
        return VIRTIO + 0x1000 * (2 + disks) + random_below(w, 0x1000);
    case 4:
        return 0;
    default:
        return 1ul << (32 + random_below(w, 9)) | (random_next(w) & 0xffff);
    }
}

/* One access, of some kind, to where nothing is: the VM is stopped with a report; a jump is an access
 * fault, and goes on. */
void final_hole(struct worker *w)
{
    uint64_t a = hole(w);

    printf("hostile: to %lx\n", a);
    switch (random_below(w, 6)) {
    case 0:
        __asm__ volatile("ld zero, 0(%0)" ::"r"(a) : "memory");
        break;
    case 1:
        __asm__ volatile("sw zero, 0(%0)" ::"r"(a) : "memory");
        break;
    case 2:
        __asm__ volatile("amoadd.w zero, zero, (%0)" ::"r"(a & ~3ul) : "memory");
        break;
    case 3:
        __asm__ volatile("fld ft0, 0(%0)" ::"r"(a) : "ft0", "memory");
        break;
    case 4:
        __asm__ volatile("lr.d zero, (%0)" ::"r"(a & ~7ul) : "memory");
        break;
    default:
        __asm__ volatile("jr %0" ::"r"(a & ~1ul) : "memory");
    }
    printf("hostile: went on\n");
}

/* No translation, and no trap vector: each fetch faults, for ever, on all harts. */
void final_lost(struct worker *w)
{
    uint64_t table = w->index & 1 ? rt_ram_base + rt_ram_size + 0x100000 : UART;

    csr_write(stvec, arena);
    csr_write(satp, 8ul << 60 | table >> 12);
    __asm__ volatile("sfence.vma" ::: "memory");
    for (;;)
        ;
}

void final_reboot(struct worker *w)
{
    sbi_call(SBI_SRST, 0, 1 + random_below(w, 2), random_below(w, 2), 0, 0, 0);
}

/* All harts at once, and those that are stopped are started again by the others. */
void final_crowd(struct worker *w)
{
    for (;;) {
        for (unsigned i = 0; i < rt_hart_count; i++)
            sbi_call(SBI_HSM, 0, harts[i].id, 0x80000000 - 2, 0, 0, 0);
        for (unsigned i = 0; i < rt_hart_count; i++)
            if (i != w->index)
                sbi_call(SBI_HSM, 0, harts[i].id, rt_ram_base + 2, 0, 0, 0);
        if (one_in(w, 4))
            *(volatile uint32_t *)(rt_ram_base + rt_ram_size) = 0;
    }
}
