// SPDX-License-Identifier: BSD-2-Clause
// The reader of partition tables over damaged disks whose checksums are right: refused, or partitions that lie on the
// disk, outside the table, and apart from one another.
// units: hyp/blk/gpt.c hyp/blk/blk_io.c hyp/vm/hash.c tests/fake/fake_disk.c tests/fake/fake_base.c
#include <errno.h>

#include "blk/gpt.h"
#include "fake_disk.h"
#include "fuzz.h"
#include "vm/hash.h"

const unsigned fuzz_runs = 6000;
const size_t fuzz_max = 16 * 512;
enum { BLOCKS = 64 };

static uint64_t field(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;

    memcpy(&v, p, bytes);
    return v;
}

/* So that what is behind the checksums is reached. */
static void set_checksums(struct fake_disk *d, size_t header)
{
    uint8_t *h = d->data + header;
    uint64_t at = field(h + 72, 8), len = field(h + 80, 4) * field(h + 84, 4);
    uint32_t size = (uint32_t)field(h + 12, 4), crc;

    if (at < d->size / 512 && range_ok(at * 512, len, d->size) &&
        !hash_crc32(d->data + at * 512, len, &crc))
        memcpy(h + 88, &crc, 4);
    memset(h + 16, 0, 4);
    if (size <= 512 && !hash_crc32(h, size, &crc))
        memcpy(h + 16, &crc, 4);
}

static void check(const struct gpt *g, const struct fake_disk *d)
{
    static uint8_t owner[BLOCKS + 1];
    struct gpt_partition p;

    memset(owner, 0, sizeof(owner));
    for (unsigned n = 0; n < g->count; n++) {
        if (!gpt_partition(g, n, &p))
            continue;
        assert_true(p.sectors && range_ok(p.first, p.sectors, d->blk.sectors));
        assert_true(p.first >= 2);
        assert_true(strlen(p.name) < GPT_NAME_MAX);
        for (uint64_t s = p.first; s < p.first + p.sectors; s++)
            assert_int_equal(owner[s]++, 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fake_disk d;
    struct gpt g;
    const char *why = NULL;
    int error;

    if (size < 1)
        return 0;
    fake_disk_init(&d, BLOCKS * 512);
    if (data[0] & 1)
        d.blk.block_size = 4096;
    memcpy(d.data + 512, data + 1, size - 1 < d.size - 1024 ? size - 1 : d.size - 1024);
    set_checksums(&d, 512);
    if (data[0] & 2) /* the last block is the header, as the backup's is */
        memcpy(d.data + d.size - 512, d.data + 512, 512);
    set_checksums(&d, d.size - 512);
    if (data[0] & 1)
        memcpy(d.data + 4096, d.data + 512, 512);
    error = gpt_read(&g, &d.blk, &why);
    assert_true(error == 0 || (why && strlen(why) > 10));
    assert_true(error == 0 || error == -EINVAL || error == -ENOENT || error == -ENOMEM ||
                error == -EIO);
    if (!error) {
        check(&g, &d);
        gpt_free(&g);
    }
    fake_disk_free(&d);
    assert_int_equal(fake_heap_blocks, 0);
    return 0;
}

static void put_entry(struct fuzz_out *o, uint64_t first, uint64_t last)
{
    fuzz_put(o, "0123456789abcdef0123456789ABCDEF", 32);
    fuzz_put_u(o, first, 8);
    fuzz_put_u(o, last, 8);
    fuzz_put_u(o, 0, 8);
    fuzz_put(o, "n\0a\0m\0e\0\xc3\xd8\x34\xde", 12);
    for (unsigned i = 0; i < 60; i++)
        fuzz_put_u(o, 0, 1);
}

size_t fuzz_seed(unsigned n, uint8_t *to, size_t max)
{
    struct fuzz_out o = {to, 0, max};

    if (n >= 4)
        return 0;
    fuzz_put_u(&o, n, 1);
    fuzz_put(&o, "EFI PART\0\0\1\0\x5c\0\0\0", 16);
    fuzz_put_u(&o, 0, 8);
    fuzz_put_u(&o, n & 2 ? 63 : 1, 8);
    fuzz_put_u(&o, n & 2 ? 1 : 63, 8);
    fuzz_put_u(&o, 4, 8);
    fuzz_put_u(&o, 60, 8);
    fuzz_put(&o, "0123456789abcdef", 16);
    fuzz_put_u(&o, 2, 8);
    fuzz_put_u(&o, 4, 4);
    fuzz_put_u(&o, 128, 4);
    while (o.len < 513)
        fuzz_put_u(&o, 0, 1);
    put_entry(&o, 8, 15);
    put_entry(&o, 20, 40);
    return o.len;
}
