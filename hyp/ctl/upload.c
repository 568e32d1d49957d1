// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/upload.h"

#include <errno.h>
#include <string.h>

#include "ctl/base64.h"
#include "mem/heap.h"

static struct upload *uploads;

struct upload *upload_find(unsigned bundle)
{
    struct upload *u = uploads;

    while (u && u->bundle->id != bundle)
        u = u->next;
    return u;
}

static unsigned count(const struct qmp_session *s)
{
    unsigned n = 0;

    for (struct upload *u = uploads; u; u = u->next)
        n += u->session == s;
    return n;
}

int upload_open(struct qmp_session *s, uint64_t size, enum hash_kind kind, const uint8_t *digest,
                struct upload **out)
{
    struct upload *u;
    int error;

    *out = NULL;
    if (count(s) == UPLOADS_PER_SESSION)
        return -ENOSPC;
    u = heap_alloc(sizeof(*u));
    if (!u)
        return -ENOMEM;
    error = digest ? hash_begin(&u->hash, kind) : 0;
    if (!error) {
        u->has_digest = digest != NULL;
        error = bundle_alloc(size, &u->bundle);
    }
    if (error) {
        if (u->has_digest)
            (void)hash_end(&u->hash, NULL);
        heap_free(u);
        return error;
    }
    memset((uint8_t *)u->bundle->data + size, 0, align_up(size, MIB(2)) - size);
    if (digest)
        memcpy(u->digest, digest, kind == HASH_SHA256 ? HASH_SHA256_SIZE : sizeof(uint32_t));
    u->session = s;
    u->next = uploads;
    uploads = *out = u;
    return 0;
}

/* Bytes that follow those that were received are in their place. */
static void accept(struct upload *u, uint64_t bytes)
{
    if (u->has_digest)
        hash_more(&u->hash, (const uint8_t *)u->bundle->data + u->received, bytes);
    u->received += bytes;
}

/* A piece of which some was received before: that must be the same, the rest is new. */
static int write_again(struct upload *u, uint64_t offset, const char *text, size_t len)
{
    size_t most = len / 4 * 3;
    uint8_t *bytes = heap_alloc(most + !most), *to = (uint8_t *)u->bundle->data + offset;
    uint64_t known;
    int64_t n;
    int error = 0;

    if (!bytes)
        return -ENOMEM;
    n = base64_decode(text, len, bytes, most);
    if (n < 0) {
        error = (int)n;
    } else if (!range_ok(offset, (uint64_t)n, u->bundle->size)) {
        error = -ERANGE;
    } else {
        known = min_u64((uint64_t)n, u->received - offset);
        error = memcmp(bytes, to, known) ? -EEXIST : 0;
        if (!error && (uint64_t)n > known) {
            memcpy(to + known, bytes + known, (uint64_t)n - known);
            accept(u, (uint64_t)n - known);
        }
    }
    heap_free(bytes);
    return error;
}

int upload_write(struct upload *u, uint64_t offset, const char *text, size_t len)
{
    int64_t n;

    if (offset > u->received)
        return -ENODATA;
    if (offset < u->received)
        return write_again(u, offset, text, len);
    n = base64_decode(text, len, (uint8_t *)u->bundle->data + offset, u->bundle->size - offset);
    if (n < 0)
        return n == -ENOSPC ? -ERANGE : (int)n;
    accept(u, (uint64_t)n);
    return 0;
}

int upload_check(struct upload *u)
{
    uint8_t is[HASH_SHA256_SIZE];
    size_t len;

    if (u->received < u->bundle->size)
        return -ENODATA;
    if (!u->has_digest)
        return 0;
    len = hash_end(&u->hash, is);
    u->has_digest = false;
    return memcmp(is, u->digest, len) ? -EBADMSG : 0;
}

void upload_close(struct upload *u)
{
    struct upload **place = &uploads;

    while (*place != u)
        place = &(*place)->next;
    *place = u->next;
    if (u->has_digest)
        (void)hash_end(&u->hash, NULL);
    bundle_put(u->bundle);
    heap_free(u);
}

void upload_close_all(struct qmp_session *s)
{
    for (struct upload *u = uploads, *next; u; u = next) {
        next = u->next;
        if (u->session == s)
            upload_close(u);
    }
}
