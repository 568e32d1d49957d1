// SPDX-License-Identifier: BSD-2-Clause
// The first instructions: the RISC-V Linux Image header, the early page tables, the jump to the
// high link address. All pc-relative until then, so the image runs from any 2 MiB-aligned place.
#include "base/csr.h"
#include "sched/hart_offsets.h"

#define PTE_LEAF_RWX 0xcf /* V R W X A D */
#define PTE_LEAF_RW 0xc7  /* V R W A D */
#define PTE_TABLE 0x01

        .section .head, "ax"
        .globl _start
_start:
        /* Linux Documentation/arch/riscv/boot-image-header.rst */
        j boot_hart
        .balign 8
        .dword 0x200000        /* text_offset */
        .dword _image_size
        .dword 0               /* flags: little endian */
        .word 0x00000002       /* version 0.2 */
        .word 0
        .dword 0
        .ascii "RISCV\0\0\0"
        .ascii "RSC\x05"
        .word 0

boot_hart:
        csrw sie, zero
        csrw sip, zero
        mv s0, a0              /* hart id */
        mv s1, a1              /* device tree, physical */
        lla t0, _bss_start
        lla t1, _bss_end
1:      sd zero, 0(t0)
        addi t0, t0, 8
        bltu t0, t1, 1b

        lla s2, _start         /* physical address of the image */
        /* direct_base: 128 GiB-aligned window that holds the image; the direct map covers 192 GiB of it. */
        srli s3, s2, 37
        slli s3, s3, 37
        lla t0, early_root
        /* Direct map: entries 256..447, 1 GiB leaves. */
        srli t1, s3, 12
        slli t1, t1, 10
        ori t1, t1, PTE_LEAF_RW
        li t2, 1 << 28         /* 1 GiB in PTE units: 1 << (30 - 12 + 10) */
        li t3, 2048
        add t3, t0, t3         /* &early_root[256] */
        li t4, 192
2:      sd t1, 0(t3)
        add t1, t1, t2
        addi t3, t3, 8
        addi t4, t4, -1
        bnez t4, 2b
        /* Image: entry 510, two 2 MiB leaves. */
        lla t3, early_level1
        srli t1, t3, 12
        slli t1, t1, 10
        ori t1, t1, PTE_TABLE
        li t4, 510 * 8
        add t4, t0, t4
        sd t1, 0(t4)
        srli t1, s2, 12
        slli t1, t1, 10
        ori t1, t1, PTE_LEAF_RWX
        sd t1, 0(t3)
        li t2, 1 << 19         /* 2 MiB in PTE units */
        add t1, t1, t2
        sd t1, 8(t3)
        srli t0, t0, 12
        li t1, SATP_SV39
        or a2, t0, t1

        /* High addresses are pc-relative ones plus the difference of link and load address. */
        li t1, 0xffffffff80000000
        sub t1, t1, s2
        lla t0, boot_high
        add t0, t0, t1
        csrw stvec, t0
        sfence.vma
        csrw satp, a2          /* the next fetch faults, and lands at stvec */
        .balign 4
boot_high:
        lla sp, boot_stack_top
        lla tp, boot_hart_data
        csrw sscratch, zero
        lla t0, exit_entry
        csrw stvec, t0
        mv a0, s0
        mv a1, s1
        mv a2, s2
        mv a3, s3
        call boot_main
        j .

/* A secondary hart: a1 is the physical address of {satp, stack top, struct hart, function}; MMU off. */
        .globl secondary_start
        .balign 4
secondary_start:
        csrw sie, zero
        csrw sip, zero
        ld t0, 0(a1)
        ld s1, 8(a1)
        ld s2, 16(a1)
        ld s3, 24(a1)
        lla t1, _start
        li t2, 0xffffffff80000000
        sub t2, t2, t1
        lla t1, secondary_high
        add t1, t1, t2
        csrw stvec, t1
        sfence.vma
        csrw satp, t0
        .balign 4
secondary_high:
        mv sp, s1
        mv tp, s2
        csrw sscratch, zero
        lla t0, exit_entry
        csrw stvec, t0
        jr s3

        .section .bss_pages, "aw", @nobits
        .balign 4096
early_root:
        .skip 4096
early_level1:
        .skip 4096
        .globl boot_stack_guard
boot_stack_guard:              /* unmapped by hostmap.c */
        .skip 4096
        .skip 8192
        .globl boot_stack_top
boot_stack_top:
