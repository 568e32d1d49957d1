// SPDX-License-Identifier: BSD-2-Clause
// Changes to a partition table in memory, and writing it; see gpt.h.
// Lock rank: none. Pure but for the heap and the backends. Callers: disks_edit.c, threads that may sleep.
#pragma once
#include "blk/gpt.h"

/* Places for partitions are multiples of this, in bytes. */
#define GPT_ALIGN MIB(1)

/* The free stretch from first on (a sector; 0: the first large enough): where a partition of so many bytes can be. 0 and *first,
 * or -ENOSPC. */
int gpt_find_room(const struct gpt *g, uint64_t bytes, uint64_t *first) MUST_CHECK;
/* How many sectors the partition n can have where it is. */
uint64_t gpt_room_of(const struct gpt *g, unsigned n);
/* A new partition [first, first + sectors), which is free; name is ASCII, guid random. 0; -ENOSPC: no place in the table. */
int gpt_add(struct gpt *g, const char *name, uint64_t first, uint64_t sectors,
            const uint8_t guid[GPT_GUID]) MUST_CHECK;
void gpt_remove(struct gpt *g, unsigned n);
void gpt_set_sectors(struct gpt *g, unsigned n, uint64_t sectors);

/* Writes both copies: first the one that was not read, so that one is always whole. head begins at the disk's first sector and
 * ends before the first usable one; tail begins behind the last usable one and ends with the disk. -EINVAL: the
 * backup copy has no place there; -ENOMEM, -EIO. */
int gpt_write(const struct gpt *g, struct blk_backend *head, struct blk_backend *tail) MUST_CHECK;
