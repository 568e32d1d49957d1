// SPDX-License-Identifier: BSD-2-Clause
// DBCN (SBI 3.0 chapter 12): the debug console.
#include "stage2/guest_mem.h"
#include "vcpu/sbi/extensions.h"

enum { DBCN_WRITE, DBCN_READ, DBCN_WRITE_BYTE };

/* A call moves at most CALL_MAX bytes, so that a guest cannot keep its hart from the others for
 * long: the specification allows less than what was asked for, and callers go on with the rest. */
enum { PIECE = 256, CALL_MAX = 4096 };

/* Both return the bytes moved, or -errno when memory failed before any was. */
static long console_write(struct guest *g, gpa_t from, size_t len)
{
    char piece[PIECE];
    size_t done = 0;

    while (done < len) {
        size_t n = min_u64(len - done, PIECE);
        int r = guest_mem_read(&g->s2, gpa_add(from, done), piece, n);
        if (r)
            return done ? (long)done : r;
        size_t taken = g->ops->console_write(g, piece, n);
        done += taken;
        if (taken < n)
            break;
    }
    return (long)done;
}

static long console_read(struct guest *g, gpa_t to, size_t len)
{
    char piece[PIECE];
    size_t done = 0;

    while (done < len) {
        size_t n = min_u64(len - done, PIECE);
        size_t got = g->ops->console_read(g, piece, n);
        int r = got ? guest_mem_write(&g->s2, gpa_add(to, done), piece, got) : 0;
        if (r)
            return done ? (long)done : r;
        done += got;
        if (got < n)
            break;
    }
    return (long)done;
}

static void transfer(struct vcpu *v, long (*move)(struct guest *, gpa_t, size_t),
                     struct sbi_reply *reply)
{
    struct guest *g = v->guest;
    uint64_t len = v->gpr[10], address = v->gpr[11], address_high = v->gpr[12];

    if (len == 0)
        return;
    if (address_high != 0 || !guest_mem_is_ram(&g->s2, gpa(address), len)) {
        reply->error = SBI_ERR_INVALID_PARAM;
        return;
    }
    long moved = move(g, gpa(address), min_u64(len, CALL_MAX));
    if (moved < 0)
        reply->error = SBI_ERR_FAILED;
    else
        reply->value = (unsigned long)moved;
}

static enum exit_result sbi_dbcn_call(struct vcpu *v, unsigned long fid, struct sbi_reply *reply)
{
    char c = (char)v->gpr[10];

    switch (fid) {
    case DBCN_WRITE:
        transfer(v, console_write, reply);
        return EXIT_ADVANCE;
    case DBCN_READ:
        transfer(v, console_read, reply);
        return EXIT_ADVANCE;
    case DBCN_WRITE_BYTE: /* the one that waits */
        return v->guest->ops->console_write(v->guest, &c, 1) ? EXIT_ADVANCE : EXIT_BLOCK;
    default:
        reply->error = SBI_ERR_NOT_SUPPORTED;
        return EXIT_ADVANCE;
    }
}

const struct sbi_extension sbi_ext_dbcn = {
    .name = "dbcn",
    .first = SBI_EXT_DBCN,
    .last = SBI_EXT_DBCN,
    .call = sbi_dbcn_call,
};
