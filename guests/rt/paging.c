// SPDX-License-Identifier: BSD-2-Clause
// Sv39: identity by 1 GiB leaves below WINDOW_VA, and 4 KiB leaves in the window.
#include "rt/paging.h"

static uint64_t root[512] __attribute__((aligned(4096)));
static uint64_t middle[512] __attribute__((aligned(4096)));
static uint64_t window[512] __attribute__((aligned(4096)));

static uint64_t pte(uint64_t pa, uint64_t bits) { return pa >> 12 << 10 | bits; }

void window_map(unsigned n, uint64_t pa, uint64_t bits)
{
    ((volatile uint64_t *)window)[n] = pte(pa, bits);
    __asm__ volatile("fence rw, rw" ::: "memory");
}

void paging_on(void)
{
    for (uint64_t i = 0; i < WINDOW_VA >> 30; i++)
        root[i] = pte(i << 30, PTE_RWX);
    root[WINDOW_VA >> 30] = pte((uint64_t)middle, PTE_V);
    middle[0] = pte((uint64_t)window, PTE_V);
    __asm__ volatile("sfence.vma" ::: "memory");
    csr_write(satp, 8ul << 60 | (uint64_t)root >> 12);
    __asm__ volatile("sfence.vma" ::: "memory");
}

void paging_off(void)
{
    csr_write(satp, 0);
    __asm__ volatile("sfence.vma" ::: "memory");
}
