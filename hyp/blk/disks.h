// SPDX-License-Identifier: BSD-2-Clause
// The host's disks by the names of their partitions: what a bundle's `disks` and the shell's `disk` mean by a name.
//
// Partition tables are read anew at each call: they are small, and seldom asked for. A name must be on one disk
// only, once. A partition belongs to one writer or to any number of readers (drv.h).
// Errors leave a line in why, for people.
// Lock rank: none. Callers: vm, ctl; threads that may sleep.
#pragma once
#include "blk/gpt.h"

struct disks_place {
    unsigned disk; /* of the host */
    struct gpt_partition part;
};

/* Calls each() with every partition of a disk until it returns nonzero: that, or 0, or the error of the table. */
int disks_each(unsigned disk, int (*each)(void *ctx, const struct disks_place *p), void *ctx,
               char *why, size_t why_size) MUST_CHECK;
/* 0; -ENOENT: there is none; -EEXIST: there are several; -ENOMEM. */
int disks_find(const char *name, struct disks_place *place, char *why, size_t why_size) MUST_CHECK;
/* The partition as a backend of its own, its name as the serial number. As find, or -EBUSY: taken. */
int disks_open(const char *name, bool read_only, struct blk_backend **out, char *why,
               size_t why_size) MUST_CHECK;
/* The qcow2 image in the partition, whose backing files are other partitions (image.h). As open, or -EINVAL: no such image,
 * or one that is not understood. */
int disks_open_image(const char *name, bool read_only, struct blk_backend **out, char *why,
                     size_t why_size) MUST_CHECK;
