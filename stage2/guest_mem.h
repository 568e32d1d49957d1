// SPDX-License-Identifier: BSD-2-Clause
// guest_mem: THE way to reach guest memory, for all code outside stage2/. It checks bounds,
// populates, breaks copy-on-write, marks dirty.
//
// Copies for control structures (read once into a value, then validate the value). Pins for data
// buffers of devices that do DMA, and for long-lived rings: a pinned frame is not shared, swapped,
// ballooned or freed.
// Errors: -EFAULT (not RAM, or the range leaves it or wraps, or a write to what is mapped
// read-only), -ENOMEM. Nothing is done partly but copies, which may have copied a prefix.
// An aligned copy of 2, 4 or 8 bytes is one access, as ring indices need; order between accesses is
// the caller's.
// Lock rank: takes LOCK_STAGE2, mostly does not (see stage2/walk.h). Callers: devices, vcpu, vm,
// ctl, on any hart.
#pragma once
#include "stage2/stage2.h"

int guest_mem_read(struct stage2 *s2, gpa_t from, void *to, size_t len) MUST_CHECK;
int guest_mem_write(struct stage2 *s2, gpa_t to, const void *from, size_t len) MUST_CHECK;
/* From one guest's memory to another's, or within one (the ranges do not overlap then). -EFAULT speaks of either. */
int guest_mem_copy(struct stage2 *to_s2, gpa_t to, struct stage2 *from_s2, gpa_t from,
                   size_t len) MUST_CHECK;
int guest_mem_zero(struct stage2 *s2, gpa_t to, size_t len) MUST_CHECK;
/* Whether [g, g+len) is all guest RAM (populated or not). */
bool guest_mem_is_ram(struct stage2 *s2, gpa_t g, uint64_t len);

/* Physically contiguous each. gfn, the guest frame of its first byte, is for unpin. */
struct guest_iov {
    void *hva;
    uint32_t len;
    uint32_t gfn;
};
/* Pins [g, g+len), for the device to write when write is set, into at most max pieces (contiguous
 * frames are joined). Number of pieces (0 for len 0), or -EFAULT, -ENOMEM, -E2BIG: nothing is
 * pinned then.
 * A caller that may not stay long bounds len: each page of it is populated here. */
int guest_mem_pin(struct stage2 *s2, gpa_t g, uint64_t len, bool write, struct guest_iov *iov,
                  unsigned max) MUST_CHECK;
/* written: the device may have written, so the pages are marked dirty. The pieces as pin made them. */
void guest_mem_unpin(struct stage2 *s2, const struct guest_iov *iov, unsigned n, bool written);
