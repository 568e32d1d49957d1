// SPDX-License-Identifier: BSD-2-Clause
#include "fake_mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/addr.h"
#include "base/arch.h"
#include "mem/frame.h"

static void *arena;
static uint64_t arena_bytes;

void fake_mem_release(void)
{
    if (arena)
        munmap(arena, arena_bytes);
    arena = NULL;
}

void fake_mem_arena(uint64_t base, uint64_t bytes)
{
    uintptr_t start;

    fake_mem_release();
    /* Room to place it like base modulo 1 GiB, so that hva and pa have the same alignment. */
    arena_bytes = bytes + GIB(2);
    arena = mmap(NULL, arena_bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED) {
        perror("mmap");
        abort();
    }
    start = align_up((uintptr_t)arena, GIB(1)) + (base & (GIB(1) - 1));
    direct_offset = start - base;
}

void fake_mem_start(uint64_t bytes)
{
    fake_arch_reset();
    fake_mem_arena(FAKE_RAM_BASE, bytes);
    frame_reset();
    if (frame_add_bank(pa(FAKE_RAM_BASE), bytes) || frame_init_done())
        abort();
}
