// SPDX-License-Identifier: BSD-2-Clause
// qcow2 images (QEMU's docs/interop/qcow2): version 3 read and written, version 2 read.
//
//   qcow2_header.c  what the header says, and opening
//   qcow2_map.c     where the guest's bytes are: level 1 and 2 tables
//   qcow2_alloc.c   reference counts: clusters taken and given back
//   qcow2_count.c   how much is used
//   qcow2_grow.c    a longer table of reference counts
//   qcow2_write.c   what changes tables: writes into new clusters, zeros, discards, flushes
//   qcow2_compressed.c  what compressed clusters hold; they are read only, a write makes a plain one of them
//   qcow2_create.c  new images
//   qcow2_resize.c  a larger disk
//
// The rule that keeps an image whole whenever the power goes: what refers to a thing is written after the thing, with a
// flush between. So in qcow2_flush: data and reference counts, then the table of reference counts, then level 1 and 2. A cluster that is given
// up is referred to by nothing on the disk before its count goes down, and only then may it be used again. What a power
// cut can leave is a cluster that is counted and not referred to: a leak, which `qemu-img check -r leaks` mends. Entries are
// 8 bytes, so a torn write of a table is some of its entries old and some new, each as good.
//
// Everything in a file is doubted: offsets are checked to be aligned and inside, sizes are bounded. An entry that cannot be
// is -EIO.
// One thread, the image's worker, calls what may sleep or change anything; qcow2_map is for any hart, with the
// lock held.
// Lock rank: the lock of the image (LOCK_BACKEND) is taken inside for changes. Callers: hyp/blk.
#pragma once
#include "blk/meta_cache.h"

enum {
    QCOW2_CLUSTER_MIN = 9, /* bits */
    QCOW2_CLUSTER_MAX = 21,
    QCOW2_NAME = 64, /* of a backing file: here a partition's */
    QCOW2_L1_MAX = 32 << 20, /* bytes; QEMU's own limit */
    QCOW2_REFCOUNT_TABLE_MAX = 8 << 20, /* bytes, QEMU's too */
    QCOW2_PENDING = 64, /* ranges of clusters given up, until the next flush */
};

struct qcow2 {
    struct meta_cache cache;
    struct blk_backend *file;
    bool writable; /* false also once nothing may be changed any more: qcow2_write_header */
    /* From the header. */
    unsigned version, cluster_bits, refcount_order;
    uint64_t size; /* bytes of the guest's disk */
    uint64_t l1_at, refcount_table_at, refcount_table_len;
    uint32_t l1_size;
    uint64_t clusters; /* that the file has room for */
    bool has_backing;
    char backing[QCOW2_NAME], backing_format[8];
    /* Reads what is behind this image for a cluster that is copied, zeros past its end; NULL: nothing is. */
    int (*read_below)(void *ctx, uint64_t at, void *to, size_t len);
    /* Called before clusters that were given up are used again: returns when nobody moves data of theirs. */
    void (*quiesce)(void *ctx);
    void *ctx;
    uint64_t free_from; /* no cluster before this one is free */
    uint8_t *copy; /* two clusters: what is copied around a write; heap */
    struct blk_segment seg[BLK_SEGMENTS]; /* of a write into new clusters: too much for a stack */
    struct qcow2_inflate *inflate; /* once a compressed cluster was read */
    struct qcow2_pending {
        uint64_t first, count;
        bool
            shared; /* with compressed clusters that are still there, it may be: not to be discarded */
    } pending[QCOW2_PENDING];
    unsigned pending_count;
};

/* Reads the header and checks it. 0; -EINVAL: no such image or one that is not understood; -ENOMEM; -EIO; why says it for people.
 * cache_pages bounds the memory for tables: 4 KiB each. */
int qcow2_open(struct qcow2 *q, struct blk_backend *file, bool writable, unsigned cache_pages,
               struct spinlock *lock, char *why, size_t why_size) MUST_CHECK;
/* Nothing is written: flush before. The file stays the caller's. */
void qcow2_close(struct qcow2 *q);
uint64_t qcow2_memory(const struct qcow2 *q); /* bytes that it holds besides *q */

enum qcow2_kind {
    QCOW2_HOLE, /* what the backing file has, or zeros */
    QCOW2_ZERO,
    QCOW2_DATA,
    QCOW2_COMPRESSED, /* one cluster: qcow2_read_compressed */
    QCOW2_ABSENT, /* the table that says it is not in memory: qcow2_load */
};
struct qcow2_run {
    enum qcow2_kind kind;
    uint64_t len; /* bytes of one kind, contiguous in the file if DATA */
    uint64_t
        host; /* DATA: offset in the file. COMPRESSED: of what is stored. ABSENT: of the table */
    uint64_t stored; /* COMPRESSED: bytes; they may be fewer */
    bool in_place; /* DATA may be written where it is */
};
/* What [at, at+len), on the disk and not empty, begins with. With the lock held. 0, -EIO. */
int qcow2_map(struct qcow2 *q, uint64_t at, uint64_t len, struct qcow2_run *run) MUST_CHECK;
/* Brings in the table that map found absent. */
int qcow2_load(struct qcow2 *q, uint64_t table) MUST_CHECK;

/* Writes the beginning of [at, at+len), whose data are seg (all of it): *done bytes, at least one sector. Where map says
 * DATA and in_place it is not needed. -ENOSPC; -EIO; -ENOMEM; the image is as it was then. */
int qcow2_write(struct qcow2 *q, uint64_t at, const struct blk_segment *seg, unsigned seg_count,
                uint64_t len, uint64_t *done) MUST_CHECK;
/* Makes [at, at+len) read as zeros; unmap: its clusters are given up. */
int qcow2_zero(struct qcow2 *q, uint64_t at, uint64_t len, bool unmap) MUST_CHECK;
/* Gives up the clusters that lie in [at, at+len) wholly: they read as zeros afterwards. */
int qcow2_discard(struct qcow2 *q, uint64_t at, uint64_t len) MUST_CHECK;
/* Everything that was written before is on the medium. */
int qcow2_flush(struct qcow2 *q) MUST_CHECK;
/* Whether a flush must write tables; else flushing the file will do. */
static inline bool qcow2_needs_flush(const struct qcow2 *q)
{
    return meta_dirty(&q->cache) || q->pending_count;
}

/* ---- between qcow2_*.c ---- */

#define QCOW2_MAGIC 0x514649fbu
#define QCOW2_OFFSET 0x00fffffffffffe00ul /* in entries of all tables */
#define QCOW2_COPIED (1ul << 63) /* referred to once: may be written in place */
#define QCOW2_COMPRESSED_FLAG (1ul << 62)
#define QCOW2_ZERO_FLAG 1ul

enum { /* offsets in the header */
       QCOW2_H_VERSION = 4,
       QCOW2_H_BACKING_AT = 8,
       QCOW2_H_BACKING_LEN = 16,
       QCOW2_H_CLUSTER_BITS = 20,
       QCOW2_H_SIZE = 24,
       QCOW2_H_CRYPT = 32,
       QCOW2_H_L1_SIZE = 36,
       QCOW2_H_L1_AT = 40,
       QCOW2_H_REFCOUNT_TABLE = 48,
       QCOW2_H_REFCOUNT_CLUSTERS = 56,
       QCOW2_H_SNAPSHOTS = 60,
       QCOW2_H_V2_LEN = 72,
       QCOW2_H_INCOMPATIBLE = 72,
       QCOW2_H_COMPATIBLE = 80,
       QCOW2_H_AUTOCLEAR = 88,
       QCOW2_H_REFCOUNT_ORDER = 96,
       QCOW2_H_LENGTH = 100,
       QCOW2_H_V3_LEN = 104,
};
#define QCOW2_EXT_BACKING_FORMAT 0xe2792acau
#define QCOW2_EXT_FEATURE_NAMES 0x6803f857u

static inline uint64_t qcow2_cluster(const struct qcow2 *q) { return 1ul << q->cluster_bits; }
static inline uint64_t qcow2_l2_entries(const struct qcow2 *q) { return qcow2_cluster(q) / 8; }
/* Whether a table or cluster at offset, len bytes, can be. */
bool qcow2_place_ok(const struct qcow2 *q, uint64_t offset, uint64_t len);
/* Where the level 1 entry of a place of the guest's disk is. */
uint64_t qcow2_l1_entry(const struct qcow2 *q, uint64_t at);
uint64_t qcow2_l2_entry(const struct qcow2 *q, uint64_t table, uint64_t at);
/* A level 2 entry, judged. */
int qcow2_judge(const struct qcow2 *q, uint64_t entry, struct qcow2_run *run) MUST_CHECK;

struct qcow2_field {
    unsigned at, bytes; /* in the header's first sector */
    uint64_t value;
};
/* Fields of the header, all in one write of its sector: old or new, whatever happens; and a flush. When that fails and the old
 * sector cannot be written back either, nobody knows which it is on the medium: tables are not changed any more (writable). */
int qcow2_write_header(struct qcow2 *q, const struct qcow2_field *field, unsigned n) MUST_CHECK;
/* Whether the header, the level 1 or the refcount table is in these clusters, which the counts say are free: the counts are
 * wrong then, and writing there would end the image. */
bool qcow2_on_tables(const struct qcow2 *q, uint64_t first, uint64_t n);
/* Makes the table reach to the file's end. -ENOSPC: where it would lie the file has no room; -ENOMEM; -EIO. */
int qcow2_grow_refcounts(struct qcow2 *q) MUST_CHECK;
/* Sets the count of a cluster in the byte of a block where it begins. */
void qcow2_put_count(const struct qcow2 *q, uint8_t *at, uint64_t cluster, uint64_t count);
/* Where the block is that counts a cluster; 0: there is none. -ENOSPC: the table does not reach so far. */
int qcow2_find_block(struct qcow2 *q, uint64_t cluster, uint64_t *block) MUST_CHECK;
/* How many clusters of the file are in use, by the counts on the disk: all, or those that were counted until then (arch_time).
 * 0, -EIO, -ENOMEM. */
int qcow2_count_used(struct qcow2 *q, uint64_t until, uint64_t *used, bool *all) MUST_CHECK;
/* Up to want free clusters that follow one another: their count becomes 1. -ENOSPC. */
int qcow2_alloc(struct qcow2 *q, uint64_t want, uint64_t *first, uint64_t *got) MUST_CHECK;
/* Exactly n of them, whose counts are in one page (n <= QCOW2_L1_MAX >> cluster_bits). */
int qcow2_alloc_run(struct qcow2 *q, uint64_t n, uint64_t *first) MUST_CHECK;
/* Gives back clusters that nothing on the disk refers to, or will. */
int qcow2_release(struct qcow2 *q, uint64_t first, uint64_t count) MUST_CHECK;
/* The same after the next flush of the tables that no longer refer to them. */
int qcow2_give_up(struct qcow2 *q, uint64_t host, uint64_t count) MUST_CHECK;
int qcow2_give_up_compressed(struct qcow2 *q, const struct qcow2_run *run) MUST_CHECK;
