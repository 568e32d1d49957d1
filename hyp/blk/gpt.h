// SPDX-License-Identifier: BSD-2-Clause
// GUID partition tables. (UEFI 2.10, 5.3)
//
// Both copies of the table are read; the first that is whole (checksums, bounds, no partitions that overlap) is used: the
// primary one, or else the backup. A change is made in memory and written by gpt_write: first the copy that was not
// used, then the other, a flush between, so that at every moment one copy is whole and old or new.
// Nothing on the disk is believed; sizes are bounded. Offsets to and from callers are sectors of 512 bytes, whatever
// the disk's logical block is.
// Lock rank: none. Pure but for the heap and the backend. Callers: hyp/blk, threads that may sleep.
#pragma once
#include "vdev/backend.h"

enum {
    GPT_NAME_UNITS = 36, /* UTF-16 */
    GPT_NAME_MAX = 3 * GPT_NAME_UNITS + 1, /* bytes of UTF-8 with a terminating 0 */
    GPT_GUID = 16,
};

struct gpt {
    uint32_t block; /* bytes of the disk's logical block */
    uint64_t blocks; /* of the disk */
    uint64_t first_usable, last_usable; /* blocks */
    uint64_t place[2],
        entries_at[2]; /* of the header and entries of the primary and the backup copy */
    uint32_t count, entry_size, header_size;
    unsigned used; /* which copy was read: 0 the primary, 1 the backup */
    bool other_good; /* the other copy says the same */
    uint8_t guid[GPT_GUID];
    uint8_t *entries; /* count * entry_size bytes, as on the disk; heap */
};

struct gpt_partition {
    uint64_t first, sectors; /* of 512 bytes */
    uint8_t type[GPT_GUID], guid[GPT_GUID];
    char name[GPT_NAME_MAX];
};

/* disk is the whole disk. 0; -ENOENT: it has no such table; -EINVAL: one that is not whole in either copy; -ENOMEM; -EIO;
 * *why says it for people. After 0 gpt_free is due. */
int gpt_read(struct gpt *g, struct blk_backend *disk, const char **why) MUST_CHECK;
void gpt_free(struct gpt *g);

/* The nth of g->count places for partitions; false: it is not in use. */
bool gpt_partition(const struct gpt *g, unsigned n, struct gpt_partition *p);
