// SPDX-License-Identifier: BSD-2-Clause
// Bundles in memory: the one that the firmware loaded (number 0), and those that were sent over the wire. A bundle's
// file is whole 2 MiB pieces of host memory (FRAME_IMAGE), contiguous, so that kernels and initrds in it can be mapped
// into guests as they are.
//
// References: whoever fills or reads a bundle holds one, and each VM that was made from it; the last one that goes
// frees the memory. The boot bundle has one more, so it stays.
// Invariant: a bundle that VMs were made from is never written again.
// Lock rank: takes LOCK_VM for a moment. Callers: boot, ctl, hyp/vm; threads only.
#pragma once
#include "base/addr.h"

struct vm_config;

enum { BUNDLE_MAX = 16, BUNDLE_BOOT = 0 }; /* how many there may be at once */

/* Images whose hashes were looked at, by their node in the tree. The file does not change, so neither does what was
 * found, and a client that has a VM made again and again has nothing hashed again. Images beyond are checked each time. */
enum { BUNDLE_HASHES = 64 };
struct bundle_hashes {
    bool all_good; /* the file was read whole, and every image that is used is good */
    unsigned count;
    struct {
        int node;
        bool damaged;
    } image[BUNDLE_HASHES];
};

struct bundle {
    unsigned id; /* of its own; never used twice */
    void *data;
    uint64_t size; /* of the file; its memory is whole 2 MiB pieces */
    struct bundle_hashes hashes;
    pa_t base; /* where its memory begins; 0: none of ours (see bundle_adopt_boot) */
    unsigned refs; /* LOCK_VM */
};

/* Memory for a file of size bytes, with the caller's reference; contents are what was there before. 0, -EINVAL (no
 * bytes), -ENOMEM (no run of memory that long without the reserve of mem/frame.h), -ENOSPC (BUNDLE_MAX). */
int bundle_alloc(uint64_t size, struct bundle **out) MUST_CHECK;
/* The boot bundle, once: its reserved memory [base, base+size) becomes FRAME_IMAGE. NULL: out of memory. */
struct bundle *bundle_adopt_boot(pa_t base, uint64_t size) MUST_CHECK;
void bundle_get(struct bundle *b); /* b: one that the caller knows to be referenced */
void bundle_put(struct bundle *b); /* NULL is fine */
/* The bundle with the least number that is id or more, with a reference for the caller; NULL: there is none. */
struct bundle *bundle_from(unsigned id) MUST_CHECK;

/* Who wants to know what is in a bundle. */
struct bundle_reader {
    int (*each)(void *ctx, const struct vm_config *c);
    void (*wrong)(void *ctx, const char *why); /* a VM that is left out; NULL: logged */
    void *ctx;
};

/* bundle.c (pure but for heap and log): calls each() with each VM of the file, in its order; c->bundle is b. Every
 * image that is used is checked once, whatever comes of it (b->hashes). A VM that is wrong is left out, with one
 * line that says why. -EINVAL: the file is no bundle, or no VM in it is good, and why has the (last) line; -ENOMEM;
 * or the first error of each(), which ends it. The names and data in the configuration point into the file. */
int bundle_read(struct bundle *b, const struct bundle_reader *r, char *why,
                size_t why_size) MUST_CHECK;
