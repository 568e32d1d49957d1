// SPDX-License-Identifier: BSD-2-Clause
// What a VM does not come back from.
#include "hostile/hostile.h"

static uint64_t hole(struct worker *w)
{
    switch (random_below(w, 7)) {
    case 0:
        return UART + 0xfe; /* over the end of a device */
    case 1:
        return rt_ram_base + rt_ram_size + random_below(w, 0x1000);
    case 2:
        return rt_ram_base - 8;
    case 3:
        return VIRTIO + 0x1000 * (2 + disks + nets) + random_below(w, 0x1000);
    case 4:
        return 0;
    case 5: /* between devices */
        return PLIC + 0x4000000 - 4 + random_below(w, 8) * 0x10000;
    default:
        return 1ul << (32 + random_below(w, 9)) | (random_next(w) & 0xffff);
    }
}

/* A jump leads to a device as well as to nothing: neither is memory that may be run. */
static uint64_t jump_target(struct worker *w, uint64_t a)
{
    static const uint64_t devices[] = {UART, PLIC + 0x200004, VIRTIO};

    return one_in(w, 2) ? devices[random_below(w, ARRAY_LEN(devices))] : a & ~1ul;
}

#define ACCESS(text, at, ...) __asm__ volatile(text ::"r"(at) : "memory", ##__VA_ARGS__)

/* One access, of the kind that the seed says, to where nothing is: the VM is stopped with a report; a jump is an
 * access fault, and goes on. */
void final_hole(struct worker *w)
{
    uint64_t a = hole(w);

    csr_set(sstatus, SSTATUS_VS);
    printf("hostile: to %lx\n", a);
    switch (seed % FINAL_HOLE_KINDS) {
    case 0:
        ACCESS("ld zero, 0(%0)", a);
        break;
    case 1:
        ACCESS("sw zero, 0(%0)", a);
        break;
    case 2:
        ACCESS("amoadd.w zero, zero, (%0)", a & ~3ul);
        break;
    case 3:
        ACCESS("fld ft0, 0(%0)", a, "ft0");
        break;
    case 4:
        ACCESS("lr.d zero, (%0)", a & ~7ul);
        break;
    case 5:
        ACCESS("sc.w zero, zero, (%0)", a & ~3ul); /* may fail before it looks */
        ACCESS("lh zero, 0(%0)", a | 1);
        break;
    case 6:
        ACCESS("sd zero, 0(%0)", a | 3);
        break;
    case 7:
        if (rt_has("v"))
            ACCESS(".option push\n .option arch, +v\n vsetivli zero, 4, e32, m1, ta, ma\n"
                   "vse32.v v8, (%0)\n .option pop",
                   a);
        ACCESS("fsd ft0, 0(%0)", a);
        break;
    default:
        ACCESS("jalr ra, 0(%0)", jump_target(w, a), "ra");
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
