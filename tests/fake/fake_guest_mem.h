// SPDX-License-Identifier: BSD-2-Clause
// A guest's memory as a flat array behind stage2/guest_mem.h, for tests of devices. It counts pins,
// can scatter pages over host memory, fail, and let "another vCPU" act before any read.
#pragma once
#include "stage2/guest_mem.h"

#define GM_BASE 0x80000000ull
#define GM_SIZE (4ull << 20)

extern struct stage2 fake_gm_s2;
extern int fake_gm_error; /* not 0: pins fail so */
extern unsigned fake_gm_errors_at; /* with fake_gm_error: pins that still work before */
extern unsigned fake_gm_pins; /* pages pinned now */
extern uint64_t fake_gm_copied; /* bytes read and written */
extern void (*fake_gm_read_hook)(gpa_t from, size_t len);

void fake_gm_start(bool scatter); /* zeroed memory; scatter: no two pages are neighbours */
void fake_gm_clear(bool scatter); /* as new, in the same place: cheaper than stop and start */
void fake_gm_stop(void); /* asserts that nothing is pinned */
void *fake_gm_ptr(uint64_t g); /* within one page */
void fake_gm_put(uint64_t g, const void *from, size_t len);
void fake_gm_get(uint64_t g, void *to, size_t len);
