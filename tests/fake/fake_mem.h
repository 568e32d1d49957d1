// SPDX-License-Identifier: BSD-2-Clause
// The fake machine's memory: an arena of the host as its RAM, at a physical address that a test
// chooses (so direct_offset is not 0 and code that mixes up pa and hva faults).
// Link: tests/fake/fake_base.c tests/fake/fake_mem.c hyp/mem/frame.c hyp/mem/frame_boot.c
// hyp/mem/frame_ref.c (for fake_mem_start).
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define FAKE_RAM_BASE 0x80000000ul

/* Takes (anew) an arena of bytes at physical base; its hva is like base modulo 1 GiB.
 * fake_mem_release gives it back. */
void fake_mem_arena(uint64_t base, uint64_t bytes);
void fake_mem_release(void);
/* An arena at FAKE_RAM_BASE, all of it one bank of frame.c, nothing reserved. Resets the fake arch. */
void fake_mem_start(uint64_t bytes);
