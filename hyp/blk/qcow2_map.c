// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>

#include "blk/blk_io.h"
#include "blk/qcow2.h"

uint64_t qcow2_l1_entry(const struct qcow2 *q, uint64_t at)
{
    return q->l1_at + 8 * (at / (qcow2_cluster(q) * qcow2_l2_entries(q)));
}

uint64_t qcow2_l2_entry(const struct qcow2 *q, uint64_t table, uint64_t at)
{
    return table + 8 * ((at >> q->cluster_bits) % qcow2_l2_entries(q));
}

/* The entry of a compressed cluster: where it begins, to a byte, and how many sectors it goes on after that one. */
static int judge_compressed(const struct qcow2 *q, uint64_t entry, struct qcow2_run *run)
{
    unsigned sector_bits = q->cluster_bits - 8, offset_bits = 62 - sector_bits;
    uint64_t sectors = entry >> offset_bits & ((1ul << sector_bits) - 1);

    run->kind = QCOW2_COMPRESSED;
    run->in_place = false;
    run->host = entry & ((1ul << offset_bits) - 1);
    run->stored = (sectors + 1) * BLK_SECTOR - run->host % BLK_SECTOR;
    return range_ok(run->host, run->stored, q->file->sectors * BLK_SECTOR) ? 0 : -EIO;
}

int qcow2_judge(const struct qcow2 *q, uint64_t entry, struct qcow2_run *run)
{
    if (entry & QCOW2_COMPRESSED_FLAG)
        return judge_compressed(q, entry, run);
    run->host = entry & QCOW2_OFFSET;
    run->in_place = entry & QCOW2_COPIED;
    if (run->host && !qcow2_place_ok(q, run->host, qcow2_cluster(q)))
        return -EIO;
    if (q->version >= 3 && entry & QCOW2_ZERO_FLAG)
        run->kind = QCOW2_ZERO;
    else
        run->kind = run->host ? QCOW2_DATA : QCOW2_HOLE;
    return 0;
}

static bool goes_on(const struct qcow2_run *run, const struct qcow2_run *next, uint64_t len)
{
    return next->kind == run->kind && next->in_place == run->in_place &&
           (run->kind == QCOW2_HOLE || run->kind == QCOW2_ZERO ||
            (run->kind == QCOW2_DATA && next->host == run->host + len));
}

/* The run that begins with the entries at p, left bytes of them; the first cluster is entered offset bytes in. */
static int run_of(const struct qcow2 *q, const uint8_t *p, uint32_t left, uint64_t offset,
                  uint64_t len, struct qcow2_run *run)
{
    uint64_t have = qcow2_cluster(q);
    int error = qcow2_judge(q, meta_be(p, 8), run);

    if (error)
        return error;
    for (uint32_t i = 8; i < left && have < offset + len; i += 8) {
        struct qcow2_run next;

        if (qcow2_judge(q, meta_be(p + i, 8), &next) || !goes_on(run, &next, have))
            break;
        have += qcow2_cluster(q);
    }
    run->len = min_u64(have - offset, len);
    if (run->kind != QCOW2_COMPRESSED)
        run->host += offset;
    return 0;
}

static int absent(struct qcow2_run *run, uint64_t table)
{
    *run = (struct qcow2_run){.kind = QCOW2_ABSENT, .host = table};
    return 0;
}

int qcow2_map(struct qcow2 *q, uint64_t at, uint64_t len, struct qcow2_run *run)
{
    uint64_t l2_span = qcow2_cluster(q) * qcow2_l2_entries(q), l2, entry_at;
    uint32_t left;
    const uint8_t *p = meta_peek(&q->cache, qcow2_l1_entry(q, at), &left);

    if (!p)
        return absent(run, qcow2_l1_entry(q, at));
    l2 = meta_be(p, 8) & QCOW2_OFFSET;
    len = min_u64(len, l2_span - at % l2_span);
    if (!l2) {
        *run = (struct qcow2_run){.kind = QCOW2_HOLE, .len = len};
        return 0;
    }
    if (!qcow2_place_ok(q, l2, qcow2_cluster(q)))
        return -EIO;
    entry_at = qcow2_l2_entry(q, l2, at);
    p = meta_peek(&q->cache, entry_at, &left);
    if (!p)
        return absent(run, entry_at);
    return run_of(q, p, left, at % qcow2_cluster(q), len, run);
}

int qcow2_load(struct qcow2 *q, uint64_t table)
{
    const uint8_t *p;

    return meta_load(&q->cache, table, META_MAPS, &p);
}
