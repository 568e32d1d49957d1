// SPDX-License-Identifier: BSD-2-Clause
// Bundles that are sent over the wire, until they are taken in: each belongs to one session, and goes with it.
//
// The file's bytes are received in order; the checksum of the whole is computed as they come. What was received
// already may be sent again, if it is the same. The bytes lie where they will be used: no copy is made.
// Invariants: received bytes are never written again; the rest of the last 2 MiB piece is zero. What fails changes nothing.
// Lock rank: none. Callers: the control thread, which runs all sessions.
#pragma once
#include "base/util.h"
#include "vm/bundle.h"
#include "vm/hash.h"

struct qmp_session;

enum {
    UPLOAD_CHUNK =
        45056, /* data bytes of one write: as base64 they fit a message, with some escapes */
    UPLOADS_PER_SESSION = 4
};

struct upload {
    struct upload *next;
    struct qmp_session *session;
    struct bundle *bundle;
    uint64_t received;
    bool has_digest;
    uint8_t digest[HASH_SHA256_SIZE]; /* that the whole is to have */
    struct hash hash; /* of what was received, if there is a digest */
};

/* size bytes are to come, with this digest (NULL: the images' own must do). 0, -EINVAL (no bytes), -ENOMEM, -ENOSPC (as many
 * uploads or bundles as there can be). */
int upload_open(struct qmp_session *s, uint64_t size, enum hash_kind kind, const uint8_t *digest,
                struct upload **out) MUST_CHECK;
struct upload *upload_find(unsigned bundle); /* any session's; NULL: there is none that is open */
/* text: base64, for the file's bytes from offset on. 0; -ERANGE: beyond the size, -ENODATA: a gap (go on at received),
 * -EINVAL: no base64, -EEXIST: other bytes than were received before, -ENOMEM. */
int upload_write(struct upload *u, uint64_t offset, const char *text, size_t len) MUST_CHECK;
/* Whether all is there and has its digest: 0, -ENODATA, -EBADMSG. Once. */
int upload_check(struct upload *u) MUST_CHECK;
/* With its reference to the bundle: what no VM has is freed. */
void upload_close(struct upload *u);
void upload_close_all(struct qmp_session *s);
