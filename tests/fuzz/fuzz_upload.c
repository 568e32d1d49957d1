// SPDX-License-Identifier: BSD-2-Clause
// Bundles over the wire, sent anyhow: pieces in and out of order, altered, cut, repeated, by two sessions, and base64 that
// is none. Beside a model: what was received is the file's beginning as it was first sent; and in the end all memory is free.
// units: hyp/ctl/upload.c hyp/ctl/base64.c hyp/vm/bundle_memory.c hyp/vm/hash.c hyp/mem/frame.c hyp/mem/frame_boot.c
// units: hyp/mem/frame_ref.c hyp/mem/frame_run.c tests/fake/fake_base.c tests/fake/fake_heap.c tests/fake/fake_mem.c
#include <errno.h>

#include "ctl/base64.h"
#include "ctl/upload.h"
#include "fake_heap.h"
#include "fake_mem.h"
#include "fuzz.h"
#include "mem/frame.h"

const unsigned fuzz_runs = 4000;
const size_t fuzz_max = 512;

enum { SIZE = 300, SLOTS = 3 };

/* ---- base64, by its definition ---- */

static int digit(int c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

static int64_t reference(const char *text, size_t len, uint8_t *to)
{
    uint64_t bits = 0;
    unsigned have = 0, padding = 0;
    int64_t n = 0;

    if (len % 4)
        return -EINVAL;
    while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
        padding++;
    for (size_t i = 0; i < len - padding; i++) {
        if (digit((unsigned char)text[i]) < 0)
            return -EINVAL;
        bits = bits << 6 | (unsigned)digit((unsigned char)text[i]);
        have += 6;
        if (have >= 8) {
            have -= 8;
            to[n++] = (uint8_t)(bits >> have);
        }
    }
    return bits & ((1ul << have) - 1) ? -EINVAL : n;
}

static void check_base64(const char *text, size_t len, size_t room)
{
    uint8_t wanted[512], got[513];
    int64_t n = reference(text, len, wanted), r;

    got[room] = 0xA5;
    r = base64_decode(text, len, got, room);
    if (n < 0)
        assert_true(r == -EINVAL || r == -ENOSPC);
    else if ((size_t)n > room)
        assert_int_equal(r, -ENOSPC);
    else
        assert_int_equal(r, n);
    if (r > 0)
        assert_memory_equal(got, wanted, (size_t)r);
    assert_int_equal(got[room], 0xA5);
}

/* ---- uploads ---- */

static struct model {
    struct upload *u;
    uint8_t data[SIZE];
    unsigned size, received, owner;
} model[SLOTS];

static struct qmp_session *session(unsigned n)
{
    return (struct qmp_session *)(uintptr_t)(64 + 64 * n);
}

static void forget(struct model *m)
{
    m->u = NULL;
    m->received = 0;
}

static void open_one(struct fuzz_in *in, struct model *m)
{
    uint8_t digest[HASH_SHA256_SIZE] = {0};
    uint8_t how = fuzz_u8(in);

    if (m->u)
        return;
    m->size = how % SIZE;
    m->owner = how & 1;
    if (upload_open(session(m->owner), m->size, how & 2 ? HASH_SHA256 : HASH_CRC32,
                    how & 4 ? digest : NULL, &m->u)) {
        assert_null(m->u);
        assert_true(!m->size);
    }
}

/* The pieces of the file, text of the input's own bytes: any base64, or none. */
static void write_one(struct fuzz_in *in, struct model *m)
{
    unsigned offset = fuzz_u8(in), len = fuzz_u8(in) % 64;
    const char *text = (const char *)in->at;
    uint8_t bytes[64];
    int64_t n;
    int error;

    len = len < in->left ? len : (unsigned)in->left;
    in->at += len;
    in->left -= len;
    if (!m->u)
        return;
    error = upload_write(m->u, offset, text, len);
    n = reference(text, len, bytes);
    if (offset > m->received) {
        assert_int_equal(error, -ENODATA);
    } else if (n < 0) {
        assert_true(error == -EINVAL || error == -ERANGE);
    } else if (offset + (unsigned)n > m->size) {
        assert_int_equal(error, -ERANGE);
    } else {
        unsigned known = m->received - offset < (unsigned)n ? m->received - offset : (unsigned)n;
        bool same = !memcmp(m->data + offset, bytes, known);

        assert_int_equal(error, same ? 0 : -EEXIST);
        if (same && offset + n > m->received) {
            memcpy(m->data + offset, bytes, (size_t)n);
            m->received = offset + (unsigned)n;
        }
    }
    assert_int_equal(m->u->received, m->received);
    assert_memory_equal(m->u->bundle->data, m->data, m->received);
}

static void check_one(struct model *m)
{
    uint8_t digest[HASH_SHA256_SIZE], wanted[HASH_SHA256_SIZE] = {0};
    struct hash h;
    size_t len;
    int error;

    if (!m->u)
        return;
    if (m->u->has_digest && m->received == m->size) {
        assert_int_equal(hash_begin(&h, m->u->hash.kind), 0);
        hash_more(&h, m->data, m->size);
        len = hash_end(&h, digest);
        error = upload_check(m->u);
        assert_int_equal(error, memcmp(digest, wanted, len) ? -EBADMSG : 0);
    } else {
        assert_int_equal(upload_check(m->u), m->received < m->size ? -ENODATA : 0);
    }
    upload_close(m->u);
    forget(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = {data, size};
    uint64_t before;

    if (size > 1)
        check_base64((const char *)data + 1, size - 1, data[0] * 2u);
    fake_mem_start(MIB(8));
    before = frame_free_count();
    while (in.left) {
        uint8_t what = fuzz_u8(&in);
        struct model *m = &model[what % SLOTS];

        switch (what / SLOTS % 6) {
        case 0:
            open_one(&in, m);
            break;
        case 1:
            check_one(m);
            break;
        case 2:
            upload_close_all(session(what >> 7));
            for (unsigned i = 0; i < SLOTS; i++)
                if (model[i].u && model[i].owner == what >> 7)
                    forget(&model[i]);
            break;
        default:
            write_one(&in, m);
        }
    }
    for (unsigned i = 0; i < 2; i++)
        upload_close_all(session(i));
    for (unsigned i = 0; i < SLOTS; i++)
        forget(&model[i]);
    assert_int_equal(frame_free_count(), before);
    assert_int_equal(fake_heap_blocks, 0);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *to, size_t max)
{
    static const char text[] = "Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmE=";
    struct fuzz_out o = {to, 0, max};

    if (n > 4)
        return 0;
    fuzz_put_u(&o, 0, 1); /* open */
    fuzz_put_u(&o, 23 + n, 1);
    for (unsigned i = 0; i < 4; i++) {
        fuzz_put_u(&o, 9, 1); /* write */
        fuzz_put_u(&o, n == 1 ? 6 * i : i == 2 ? 3 : 0, 1);
        fuzz_put_u(&o, n == 1 ? 8 : sizeof(text) - 1, 1);
        fuzz_put(&o, text, n == 1 ? 8 : sizeof(text) - 1);
    }
    fuzz_put_u(&o, 3, 1); /* check */
    return o.len;
}
