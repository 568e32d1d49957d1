// SPDX-License-Identifier: BSD-2-Clause
// Between disks_edit.c (made and deleted), disks_resize.c (made larger) and disks_look.c (what there is).
// Lock rank: none. Callers: those only, threads that may sleep.
#pragma once
#include "blk/disks_edit.h"
#include "blk/gpt_edit.h"
#include "blk/qcow2.h"
#include "drv/drv.h"

/* Where the reason for an error goes. */
struct disks_text {
    char *why;
    size_t size;
};
int disks_fail(struct disks_text t, int error, const char *fmt, ...) PRINTF_LIKE(3, 4);

struct blk_backend *disks_open_place(const struct disks_place *p, enum host_disk_use use);
/* The partition of that name for oneself. */
int disks_open_alone(const char *name, struct disks_place *p, struct blk_backend **b,
                     struct disks_text t) MUST_CHECK;
void disks_close(struct blk_backend *b); /* or NULL */

/* What a partition holds. */
struct disks_look {
    struct qcow2 q;
    struct spinlock lock;
    bool image, understood;
    uint64_t size; /* of the guest's disk; 0: not understood */
};
/* On success disks_look_end is due; an image that is not understood is no error, and t says why. */
int disks_look(struct blk_backend *b, struct disks_look **out, struct disks_text t) MUST_CHECK;
void disks_look_end(struct disks_look *l);

/* A change of a disk's table: it is one's own from begin, which reads it, to end. */
struct disks_edit {
    unsigned disk;
    struct gpt g;
    struct blk_backend *head, *tail;
};
int disks_edit_begin(struct disks_edit *e, unsigned disk, struct disks_text t) MUST_CHECK;
/* The partition's place in the table. */
int disks_edit_find(const struct disks_edit *e, const struct disks_place *p, unsigned *n,
                    struct disks_text t) MUST_CHECK;
int disks_edit_commit(struct disks_edit *e, struct disks_text t) MUST_CHECK;
void disks_edit_end(struct disks_edit *e);
