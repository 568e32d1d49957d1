// SPDX-License-Identifier: BSD-2-Clause
// One page table for a guest's tests (paging.c): identity for everything, and a window of pages.
#pragma once
#include "rt/rt.h"

#define WINDOW_VA 0x3000000000ul
enum { PTE_V = 1, PTE_R = 2, PTE_W = 4, PTE_X = 8, PTE_U = 16, PTE_A = 64, PTE_D = 128 };
#define PTE_RWX (PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D)

void paging_on(void); /* this hart; every hart has the same table */
void paging_off(void);
/* Page n of the window maps to the page at pa, with these bits; no fence. */
void window_map(unsigned n, uint64_t pa, uint64_t bits);
static inline uint64_t window_va(unsigned n) { return WINDOW_VA + n * 4096ul; }
