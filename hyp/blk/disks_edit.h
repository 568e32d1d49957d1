// SPDX-License-Identifier: BSD-2-Clause
// Disks made, grown, cloned and deleted on the host's disks: each is a GPT partition, with a qcow2 image in it or raw.
//
// Contents are made before the table says that there is a partition, and a partition is not in the table any more when its contents go: a power
// cut leaves the disk as it was or as it should be. What a VM has open is not touched (-EBUSY), but for disks_grow.
// Errors leave a line in why, for people.
// Lock rank: none. Callers: ctl, threads that may sleep.
#pragma once
#include "blk/disks.h"

struct disks_new {
    const char *name; /* 1 to 36 letters, digits and . _ + - */
    uint64_t size; /* bytes of the guest's disk; with a template 0: as that */
    uint64_t room; /* bytes of the partition; 0: as many as the disk can ever need */
    int disk; /* of the host; -1: the first that has room */
    bool raw; /* no image: all zeros */
    const char
        *template; /* NULL: none. Else the disk that is behind it, which nobody may write any more */
};
int disks_create(const struct disks_new *n, char *why, size_t why_size) MUST_CHECK;
/* Makes the guest's disk larger, and the partition as far as there is room behind it (a raw one must have it all). */
int disks_resize(const char *name, uint64_t size, char *why, size_t why_size) MUST_CHECK;
/* The same for the disk that is open as b (disks_open; disks_open_image, then it is an image), whatever its guest does
 * meanwhile: on success b->sectors are more. */
int disks_grow(const char *name, bool image, struct blk_backend *b, uint64_t size, char *why,
               size_t why_size) MUST_CHECK;
/* force: even if it is behind others, which are lost. */
int disks_delete(const char *name, bool force, char *why, size_t why_size) MUST_CHECK;

enum { DISKS_COUNT_US = 100000, DISKS_COUNT_ALL_US = 500000 }; /* for one image; for all */
struct disks_info {
    struct disks_place place;
    bool image; /* a qcow2 image is in it */
    uint64_t size; /* of the guest's disk; 0: an image that is not understood */
    uint64_t
        used; /* bytes of the partition: of an image, its clusters that are in use; if it was asked for */
    bool used_more; /* there may be more: counting would have taken too long */
    char behind[64]; /* what is behind the image; "": nothing */
    enum { DISKS_FREE, DISKS_READ, DISKS_WRITTEN } use;
};
/* Calls each() with every partition, in the order of the tables; disks without one leave a line in the log. With count_used an
 * image's counts are read, 2 bytes for each cluster in use, for as long as below. What a VM has not flushed yet is not in either. -ENOMEM. */
int disks_list(bool count_used, void (*each)(void *ctx, const struct disks_info *i),
               void *ctx) MUST_CHECK;
