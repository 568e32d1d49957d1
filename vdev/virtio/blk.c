// SPDX-License-Identifier: BSD-2-Clause
// virtio block. (virtio 1.2, 5.2)
//
// A chain becomes a struct vblk_req; the backend moves its data to and from pinned guest memory, several
// requests at a time. A request larger than fits one struct blk_request (firmware reads a whole
// kernel at once) is carried out in rounds, one after another.
//
// A request's life:  FREE -> READY (a round is pinned) -> SUBMITTED -> IN_FLIGHT -> READY or FREE
// The backend may be done before submit returns, and then must not take our lock, which we
// hold; or later, on any hart. So done and submit's return meet in one atomic: whoever comes second
// goes on. done first: SUBMITTED -> EARLY, and the submitter, who sees EARLY, finishes. Submit's
// return first: SUBMITTED -> IN_FLIGHT, and done takes the lock and finishes.
//
// Kicks and interrupts are what costs (exits: one a kick, several an interrupt), so both are for several requests where the driver
// has several out at once: for groups, when it has been found to fill them (blk_gather.h). Else by what is in flight: FEW or more,
// reads and writes only. Then the driver is asked for a kick once there are half as many new ones, and gets its interrupt once
// half as many have ended as are left: the end of any other looks at both, and the last one is never waited with. A timer looks
// after LATE, for a backend that lets some requests wait for long, or when a group is late.
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/arch.h"
#include "base/log.h"
#include "base/panic.h"
#include "mem/heap.h"
#include "sched/timer.h"
#include "vdev/virtio/blk_gather.h"
#include "vdev/virtio/virtio_dev.h"
#include "vdev/virtio/virtio_mmio.h"

#define VBLK_F_SEG_MAX (1ull << 2)
#define VBLK_F_RO (1ull << 5)
#define VBLK_F_BLK_SIZE (1ull << 6)
#define VBLK_F_FLUSH (1ull << 9)
#define VBLK_F_CONFIG_WCE (1ull << 11)
#define VBLK_F_DISCARD (1ull << 13)
#define VBLK_F_WRITE_ZEROES (1ull << 14)

enum { /* request types */
       VBLK_IN = 0,
       VBLK_OUT = 1,
       VBLK_FLUSH = 4,
       VBLK_GET_ID = 8,
       VBLK_DISCARD = 11,
       VBLK_WRITE_ZEROES = 13
};
enum { VBLK_OK = 0, VBLK_IOERR = 1, VBLK_UNSUPP = 2 }; /* status */
enum { /* configuration space, 5.2.4 */
       CONFIG_CAPACITY = 0,
       CONFIG_SEG_MAX = 12,
       CONFIG_BLK_SIZE = 20,
       CONFIG_WRITEBACK = 32,
       CONFIG_MAX_DISCARD = 36,
       CONFIG_DISCARD_SEGS = 40,
       CONFIG_DISCARD_ALIGN = 44,
       CONFIG_MAX_ZEROES = 48,
       CONFIG_ZEROES_SEGS = 52,
       CONFIG_ZEROES_UNMAP = 56,
       CONFIG_LEN = 60
};
enum { UNMAP = 1, ID_BYTES = 20, SECTOR = 512 };

enum {
    VBLK_BUFS = 62, /* buffers of a chain; with 54 pieces a request is under 2 KiB */
    VBLK_SEG_MAX = VBLK_BUFS - 2, /* without header and status */
    VBLK_PIECES = 54, /* pieces of host memory in a round */
    VBLK_DEPTH = 16, /* requests in flight */
    VBLK_FEW = 4, /* of them: too few to wait for several */
    VBLK_LATE = 4000, /* microseconds */
    VBLK_ROUND = 1 << 20, /* bytes in a round */
    VBLK_KICK = 4 << 20, /* bytes (or as much work) in one exit */
    VBLK_CHAIN_COST = 4096, /* what a chain costs of those, even when empty */
    VBLK_DESC_COST = 128, /* and each of its descriptors */
    VBLK_MAX_DISCARD = 128 * 1024, /* sectors: 64 MiB, so that none takes long */
    VBLK_DISCARD_SHIFT = 6, /* discarding costs 1/64 of copying */
    VBLK_PIN_SHIFT = 4, /* and pinning 1/16 */
};

enum vblk_state { VBLK_S_FREE, VBLK_S_READY, VBLK_S_SUBMITTED, VBLK_S_EARLY, VBLK_S_IN_FLIGHT };

struct vblk;
struct vblk_req {
    struct blk_request br;
    struct vblk *dev;
    _Atomic uint32_t state; /* no byte: exchanging one needs libatomic */
    bool dropped; /* its queue was reset: nobody waits for it */
    bool pinned;
    uint16_t head;
    uint8_t bufs, readable; /* buffers; those that the device reads */
    uint8_t at; /* where the next round begins */
    uint32_t at_offset;
    uint32_t written; /* into guest memory, status apart */
    uint64_t left; /* data bytes after this round's */
    uint64_t readable_len, writable_len;
    gpa_t status;
    struct virtq_buf buf[VBLK_BUFS];
    union { /* what pin fills in is what the backend takes (and does not change: unpin needs gfn) */
        struct guest_iov iov[VBLK_PIECES];
        struct blk_segment seg[VBLK_PIECES];
    };
};
_Static_assert(sizeof(struct vblk_req) <= 2048, "a request fits a 2 KiB heap object");
_Static_assert(sizeof(struct guest_iov) == sizeof(struct blk_segment) &&
                   offsetof(struct guest_iov, len) == offsetof(struct blk_segment, len),
               "a piece is a segment");

struct vblk {
    struct virtio_dev v;
    struct blk_backend *blk;
    unsigned depth;
    uint32_t work; /* done for a chain, in bytes of the budget, not charged yet */
    bool full; /* the backend said -EAGAIN: wait for ready or done */
    bool uncommitted; /* the backend has requests that it need not have begun */
    bool batched; /* waits for the end of a batch */
    bool urgent; /* a slow request has ended: the driver is told at once */
    bool watched; /* the timer is set since something waits for several */
    bool unfinished; /* the timer is set since a turn's work was not all that there is */
    uint16_t arrived; /* chains taken that `gather` has not heard of */
    struct gather gather;
    unsigned flying, slow; /* requests IN_FLIGHT; of these, others than reads and writes */
    unsigned wanted; /* told to the backend with the last commit */
    struct blk_waiter waiter;
    uint8_t redo_count; /* chains in flight when the state was saved: done again first */
    uint16_t redo[VBLK_DEPTH];
    struct timer rest; /* looks again: see vblk_continue, vblk_watch */
    struct vblk_req *req[VBLK_DEPTH];
};

static struct vblk *vblk_of(struct virtio_dev *v) { return CONTAINER_OF(v, struct vblk, v); }

static bool vblk_has(const struct vblk *b, uint64_t feature) { return b->v.accepted & feature; }

/* ---- the end of a request ---- */

static void vblk_unpin(struct vblk_req *r)
{
    if (r->pinned)
        guest_mem_unpin(r->dev->v.vdev.mem, r->iov, r->br.seg_count, r->br.op == BLK_READ);
    r->pinned = false;
}

static void vblk_finish(struct vblk_req *r, uint8_t status)
{
    struct vblk *b = r->dev;

    vblk_unpin(r);
    if (!r->dropped && b->v.q[0].ready) {
        if (guest_mem_write(b->v.vdev.mem, r->status, &status, sizeof(status)))
            virtio_fail(&b->v, "a status byte outside RAM");
        else
            virtq_push(&b->v.q[0], r->head, (status ? 0 : r->written) + 1);
    }
    atomic_store_explicit(&r->state, VBLK_S_FREE, memory_order_relaxed);
}

/* A driver that broke a rule gets no answer: the device needs a reset. */
static void vblk_abandon(struct vblk_req *r, const char *why)
{
    vblk_unpin(r);
    virtio_fail(&r->dev->v, why);
    atomic_store_explicit(&r->state, VBLK_S_FREE, memory_order_relaxed);
}

/* ---- rounds ---- */

/* Pins what comes next of the data, as much as fits a round. 0, -EFAULT, -ENOMEM, -EINVAL (framed so oddly
 * that a round cannot end at a sector). */
static int vblk_pin_round(struct vblk_req *r)
{
    struct stage2 *mem = r->dev->v.vdev.mem;
    bool write = r->br.op == BLK_READ;
    uint64_t bytes = 0;

    r->br.seg_count = 0;
    r->pinned = true;
    while (bytes < r->left && bytes < VBLK_ROUND && r->br.seg_count < VBLK_PIECES) {
        struct virtq_buf *buf = &r->buf[r->at];
        gpa_t from = gpa_add(buf->addr, r->at_offset);
        uint64_t n = min_u64(buf->len - r->at_offset, min_u64(r->left, VBLK_ROUND) - bytes);
        unsigned room = VBLK_PIECES - r->br.seg_count;
        int got;

        if (!n) {
            r->at++;
            r->at_offset = 0;
            continue;
        }
        got = guest_mem_pin(mem, from, n, write, &r->iov[r->br.seg_count], room);
        if (got == -E2BIG) {
            /* Scattered: take what surely fits, and let the next round have the rest. */
            n = min_u64(n, (room - 1) * PAGE_SIZE);
            if (!n)
                break;
            got = guest_mem_pin(mem, from, n, write, &r->iov[r->br.seg_count], room);
        }
        if (got < 0)
            return got;
        r->dev->work += (uint32_t)n >> VBLK_PIN_SHIFT;
        r->br.seg_count += (unsigned)got;
        r->at_offset += (uint32_t)n;
        bytes += n;
    }
    if (!bytes || bytes % SECTOR)
        return -EINVAL;
    r->left -= bytes;
    r->br.sectors = bytes / SECTOR;
    return 0;
}

/* The next round of a request in which data is left; it is READY then, else it has ended. */
static bool vblk_begin_round(struct vblk_req *r)
{
    int error = vblk_pin_round(r);

    if (!error) {
        atomic_store_explicit(&r->state, VBLK_S_READY, memory_order_relaxed);
        return true;
    }
    if (error == -EFAULT)
        vblk_abandon(r, "a data buffer outside RAM");
    else
        vblk_finish(r, VBLK_IOERR);
    return false;
}

static bool vblk_begin_flush(struct vblk_req *r)
{
    r->br.op = BLK_FLUSH;
    r->br.seg_count = 0;
    r->br.sectors = 0;
    atomic_store_explicit(&r->state, VBLK_S_READY, memory_order_relaxed);
    return true;
}

/* 5.2.6.2: without a write-back cache (switched off, or a driver that knows no flush) a write is done
 * when it is on the medium. */
static bool vblk_writes_through(const struct vblk *b)
{
    if (!b->blk->can_flush)
        return false;
    if (vblk_has(b, VBLK_F_CONFIG_WCE))
        return !b->v.config[CONFIG_WRITEBACK];
    return !vblk_has(b, VBLK_F_FLUSH);
}

/* The backend is done with a round. True: there is another. */
static bool vblk_end_round(struct vblk_req *r)
{
    struct vblk *b = r->dev;
    enum blk_op op = r->br.op;

    vblk_unpin(r);
    if (r->dropped || r->br.result) {
        vblk_finish(r, r->br.result == -ENOTSUP ? VBLK_UNSUPP : VBLK_IOERR);
        return false;
    }
    if (op == BLK_READ)
        r->written += (uint32_t)(r->br.sectors * SECTOR);
    if (op == BLK_READ || op == BLK_WRITE)
        vdev_moved(&b->v.vdev, op == BLK_READ ? VDEV_READ : VDEV_WRITE, r->br.sectors * SECTOR);
    if (r->left) {
        r->br.sector += r->br.sectors;
        return vblk_begin_round(r);
    }
    if (op != BLK_READ && op != BLK_FLUSH && vblk_writes_through(b))
        return vblk_begin_flush(r);
    vblk_finish(r, VBLK_OK);
    return false;
}

static bool vblk_is_slow(const struct vblk_req *r)
{
    return r->br.op != BLK_READ && r->br.op != BLK_WRITE;
}

/* A round is under way; it has come back. */
static void vblk_fly(struct vblk_req *r)
{
    r->dev->flying++;
    r->dev->slow += vblk_is_slow(r);
}

static void vblk_land(struct vblk_req *r)
{
    r->dev->flying--;
    r->dev->slow -= vblk_is_slow(r);
    r->dev->urgent |= vblk_is_slow(r);
}

static bool vblk_gathers(const struct vblk *b) { return b->gather.depth && !b->slow; }

/* How many new requests, or ended ones, are worth a kick or an interrupt. */
static uint16_t vblk_patience(const struct vblk *b)
{
    if (vblk_gathers(b))
        return gather_group(&b->gather);
    return (uint16_t)(b->slow || b->flying < VBLK_FEW ? 1 : b->flying / 2);
}

/* What a round costs this hart: when it ended at once its data were moved, or zeroed, here. */
static int64_t vblk_round_cost(const struct vblk_req *r)
{
    return (int64_t)(r->br.sectors * SECTOR) >> (r->pinned ? 0 : VBLK_DISCARD_SHIFT);
}

static void vblk_charge(struct vblk *b, int64_t *budget)
{
    *budget -= b->work;
    b->work = 0;
}

/* Hands rounds of a READY request to the backend while they end at once. False: the budget is spent. */
static bool vblk_go(struct vblk_req *r, int64_t *budget)
{
    struct vblk *b = r->dev;

    do {
        uint32_t was = VBLK_S_SUBMITTED;
        int64_t cost;
        int error;

        if (*budget <= 0)
            return false;
        cost = vblk_round_cost(r);
        r->br.batch = NULL;
        r->br.more = b->blk->commit != NULL;
        atomic_store_explicit(&r->state, VBLK_S_SUBMITTED, memory_order_relaxed);
        vblk_fly(r);
        error = b->blk->submit(b->blk->ctx, &r->br);
        b->uncommitted |= !error;
        if (error == -EAGAIN) {
            vblk_land(r);
            atomic_store_explicit(&r->state, VBLK_S_READY, memory_order_relaxed);
            b->full = true;
            return true;
        }
        if (error)
            r->br.result = error;
        else if (atomic_compare_exchange_strong(&r->state, &was, VBLK_S_IN_FLIGHT))
            return true;
        vblk_land(r);
        *budget -= cost;
        vblk_charge(b, budget);
    } while (vblk_end_round(r));
    return true;
}

/* ---- the beginning of a request ---- */

/* Reads the chain into the request: each descriptor once. 1; 0: too long for us, but with a place for
 * the status; negative: malformed. */
static int vblk_read_chain(struct vblk_req *r, struct virtq_chain *c)
{
    struct virtq_buf buf;
    bool fits = true, has_status = false;
    int more;

    r->bufs = r->readable = 0;
    r->readable_len = r->writable_len = 0;
    while ((more = virtq_next(c, &buf)) > 0) {
        r->dev->work += VBLK_DESC_COST;
        if (!buf.len)
            continue;
        if (buf.write) {
            has_status = true;
            r->status = gpa_add(buf.addr, buf.len - 1);
            r->writable_len += buf.len;
        } else {
            r->readable_len += buf.len;
        }
        if (r->bufs == VBLK_BUFS) {
            fits = false;
            continue;
        }
        r->buf[r->bufs++] = buf;
        r->readable = (uint8_t)(r->readable + !buf.write);
    }
    if (more < 0)
        return more;
    return has_status ? fits : -EILSEQ;
}

/* Copies len bytes from the readable part of the chain, and leaves the cursor behind them. */
static int vblk_take(struct vblk_req *r, void *to, uint64_t len)
{
    char *p = to;

    while (len) {
        struct virtq_buf *buf = &r->buf[r->at];
        uint64_t n;
        int error;

        if (r->at == r->readable)
            return -EILSEQ;
        n = min_u64(len, buf->len - r->at_offset);
        error = guest_mem_read(r->dev->v.vdev.mem, gpa_add(buf->addr, r->at_offset), p, n);
        if (error)
            return error;
        r->at_offset += (uint32_t)n;
        if (r->at_offset == buf->len) {
            r->at++;
            r->at_offset = 0;
        }
        p += n;
        len -= n;
    }
    return 0;
}

/* The place of a range: on the disk, whole blocks. */
static bool vblk_range_ok(const struct vblk *b, uint64_t sector, uint64_t sectors)
{
    uint64_t per_block = max_u64(b->blk->block_size / SECTOR, 1);

    return sectors && range_ok(sector, sectors, b->blk->sectors) && !(sector % per_block) &&
           !(sectors % per_block);
}

struct vblk_header {
    uint32_t type, reserved;
    uint64_t sector;
};
struct vblk_range {
    uint64_t sector;
    uint32_t sectors, flags;
};

static bool vblk_begin_data(struct vblk_req *r, const struct vblk_header *h)
{
    struct vblk *b = r->dev;
    bool in = h->type == VBLK_IN;

    r->left = in ? r->writable_len - 1 : r->readable_len - sizeof(*h);
    if (in) {
        r->at = r->readable;
        r->at_offset = 0;
    }
    if (r->left % SECTOR || !vblk_range_ok(b, h->sector, r->left / SECTOR) ||
        r->left > UINT32_MAX || (!in && b->blk->read_only)) {
        vblk_finish(r, VBLK_IOERR);
        return false;
    }
    vdev_operated(&b->v.vdev, in ? VDEV_READ : VDEV_WRITE);
    r->br.op = in ? BLK_READ : BLK_WRITE;
    r->br.sector = h->sector;
    r->br.seg = r->seg;
    return vblk_begin_round(r);
}

static bool vblk_begin_range(struct vblk_req *r, bool zeroes)
{
    struct vblk *b = r->dev;
    struct vblk_range range;
    uint8_t status = VBLK_IOERR;
    uint64_t len = r->readable_len - sizeof(struct vblk_header);

    if (len != sizeof(range) || b->blk->read_only) {
        vblk_finish(r, VBLK_IOERR); /* we said: one range a request */
        return false;
    }
    if (vblk_take(r, &range, sizeof(range))) {
        vblk_abandon(r, "a range outside RAM");
        return false;
    }
    /* 5.2.6.2: discard knows no flags, write zeroes only unmap. */
    if (range.flags & (zeroes ? ~(uint32_t)UNMAP : UINT32_MAX)) {
        status = VBLK_UNSUPP;
    } else if (range.sectors <= VBLK_MAX_DISCARD && vblk_range_ok(b, range.sector, range.sectors)) {
        r->br.op = zeroes ? BLK_WRITE_ZEROES : BLK_DISCARD;
        r->br.sector = range.sector;
        r->br.sectors = range.sectors;
        r->br.unmap = range.flags & UNMAP;
        atomic_store_explicit(&r->state, VBLK_S_READY, memory_order_relaxed);
        return true;
    }
    vblk_finish(r, status);
    return false;
}

static void vblk_get_id(struct vblk_req *r)
{
    struct vblk *b = r->dev;
    char id[ID_BYTES] = {0};
    size_t done = 0;

    memcpy(id, b->blk->serial, strnlen(b->blk->serial, ID_BYTES));
    for (unsigned i = r->readable; i < r->bufs && done < ID_BYTES; i++) {
        size_t n = min_u64(min_u64(r->buf[i].len, ID_BYTES - done), r->writable_len - 1 - done);

        if (n && guest_mem_write(b->v.vdev.mem, r->buf[i].addr, id + done, n)) {
            vblk_abandon(r, "a data buffer outside RAM");
            return;
        }
        done += n;
    }
    r->written = (uint32_t)done;
    vblk_finish(r, VBLK_OK);
}

/* Turns a chain into a request. True: it is READY for the backend, else it has ended. */
static bool vblk_begin(struct vblk_req *r, struct virtq_chain *c)
{
    struct vblk *b = r->dev;
    struct vblk_header h;
    int fits;

    r->br = (struct blk_request){.done = r->br.done, .owner = r};
    r->head = c->head;
    r->at = 0;
    r->at_offset = r->written = 0;
    r->left = 0;
    r->dropped = r->pinned = false;
    fits = vblk_read_chain(r, c);
    if (fits < 0 || vblk_take(r, &h, sizeof(h))) {
        vblk_abandon(r, "a malformed block request");
        return false;
    }
    if (!fits) {
        vblk_finish(r, VBLK_IOERR); /* longer than SEG_MAX allows */
        return false;
    }
    switch (h.type) {
    case VBLK_IN:
    case VBLK_OUT:
        return vblk_begin_data(r, &h);
    case VBLK_FLUSH:
        if (!vblk_has(b, VBLK_F_FLUSH))
            break;
        b->v.vdev.account.flushes++;
        return vblk_begin_flush(r);
    case VBLK_DISCARD:
        if (vblk_has(b, VBLK_F_DISCARD))
            return vblk_begin_range(r, false);
        break;
    case VBLK_WRITE_ZEROES:
        if (vblk_has(b, VBLK_F_WRITE_ZEROES))
            return vblk_begin_range(r, true);
        break;
    case VBLK_GET_ID:
        vblk_get_id(r);
        return false;
    default:
        break;
    }
    vblk_finish(r, VBLK_UNSUPP);
    return false;
}

/* ---- the queue ---- */

static struct vblk_req *vblk_in_state(struct vblk *b, enum vblk_state state)
{
    for (unsigned i = 0; i < b->depth; i++)
        if (atomic_load_explicit(&b->req[i]->state, memory_order_relaxed) == state)
            return b->req[i];
    return NULL;
}

/* The next chain: one to do again, or one from the ring. As virtq_pop. */
static int vblk_next_chain(struct vblk *b, struct virtq_chain *c)
{
    struct virtq *q = &b->v.q[0];

    if (b->redo_count)
        return virtq_chain_at(q, b->redo[--b->redo_count], c) ? -EILSEQ : 1;
    return virtq_pop(q, c);
}

/* With something that waits for several: it is looked at again in any case. */
static void vblk_watch(struct vblk *b)
{
    uint64_t now, late;

    if (b->watched)
        return;
    now = arch_time();
    late = now + timer_us(VBLK_LATE);
    if (vblk_gathers(
            b)) /* after a flush that may have passed: a timer in the past would run for ever */
        late = max_u64(gather_late(&b->gather), now + 1);
    b->watched = true;
    timer_set(&b->rest, late);
}

/* Asks for a kick, by what is in flight. True: there is one already. */
static bool vblk_arm(struct vblk *b)
{
    uint16_t patience;

    if (b->arrived)
        gather_arrived(&b->gather, b->arrived, arch_time());
    b->arrived = 0;
    patience = vblk_patience(b);
    if (patience > 1)
        vblk_watch(b);
    return virtq_arm_after(&b->v.q[0], patience);
}

/* Takes what there is and hands it on. False: there is more, but the budget is spent. */
static bool vblk_take_all(struct vblk *b, int64_t *budget)
{
    struct vblk_req *r;

    while (virtio_live(&b->v, 0) && !b->full) {
        struct virtq_chain c;
        bool ready;
        int got;

        r = vblk_in_state(b, VBLK_S_READY);
        if (r) {
            if (!vblk_go(r, budget))
                return false;
            continue;
        }
        r = vblk_in_state(b, VBLK_S_FREE);
        if (!r)
            return true; /* done goes on, so no kicks are wanted until then */
        if (*budget <= 0)
            return false;
        got = vblk_next_chain(b, &c);
        if (got < 0) {
            virtio_fail(&b->v, "a malformed queue");
            return true;
        }
        if (got == 0) {
            if (!vblk_arm(b))
                return true;
            continue;
        }
        b->work += VBLK_CHAIN_COST;
        b->arrived++;
        ready = vblk_begin(r, &c);
        vblk_charge(b, budget);
        if (ready && !vblk_go(r, budget))
            return false;
    }
    return true;
}

/* Tells the driver of what has ended, when that is worth an interrupt. */
static void vblk_signal(struct vblk *b)
{
    uint16_t ended = virtq_unsignalled(&b->v.q[0]);
    bool enough = ended >= vblk_patience(b);

    if (!ended)
        return;
    if (!enough && !b->urgent) {
        vblk_watch(b);
        return;
    }
    if (enough && vblk_gathers(b))
        gather_filled(&b->gather, arch_time());
    b->urgent = false;
    virtio_used(&b->v, 0);
}

/* The backend begins, and says when as many have ended as a group lacks. */
static void vblk_commit(struct vblk *b)
{
    unsigned patience = vblk_patience(b);
    unsigned wanted = vblk_gathers(b) ? patience - virtq_unsignalled(&b->v.q[0]) % patience : 0;

    if ((b->uncommitted || wanted != b->wanted) && b->blk->commit)
        b->blk->commit(b->blk->ctx, wanted);
    b->uncommitted = false;
    b->wanted = wanted;
}

/* Does what can be done now. False: there is more, but the budget is spent. */
static bool vblk_run(struct vblk *b, int64_t *budget)
{
    bool all = vblk_take_all(b, budget);

    vblk_commit(b);
    vblk_signal(b);
    return all;
}

static enum mmio_result vblk_notify(struct virtio_dev *v, unsigned queue)
{
    int64_t budget = VBLK_KICK;

    (void)queue;
    return vblk_run(vblk_of(v), &budget) ? MMIO_OK : MMIO_RETRY;
}

/* Work from a callback has no exit to come back to: when the budget is spent, the end of what is in flight
 * goes on with it. When nothing is, since all ends at once (an image's holes), it is the timer that does, a little later. */
static void vblk_continue(struct vblk *b, int64_t budget)
{
    b->full = false;
    b->unfinished = !vblk_run(b, &budget) && !vblk_in_state(b, VBLK_S_IN_FLIGHT);
    if (b->unfinished)
        timer_set(&b->rest, arch_time() + timer_hz / 1000);
}

static void vblk_done(struct blk_request *br)
{
    struct vblk_req *r = br->owner;
    struct vblk *b = r->dev;
    struct blk_batch *batch = br->batch;
    uint32_t was = VBLK_S_SUBMITTED;

    if (atomic_compare_exchange_strong(&r->state, &was, VBLK_S_EARLY))
        return; /* submit has not returned yet, and holds the lock */
    spin_lock(&b->v.vdev.lock);
    vblk_land(r);
    (void)vblk_end_round(r); /* another round is READY, and vblk_run finds it */
    if (!batch)
        vblk_continue(b, VBLK_KICK);
    else if (!b->batched)
        blk_batch_add(batch, &b->waiter);
    b->batched |= batch != NULL;
    spin_unlock(&b->v.vdev.lock);
}

static void vblk_batch_ended(struct blk_waiter *w)
{
    struct vblk *b = CONTAINER_OF(w, struct vblk, waiter);

    spin_lock(&b->v.vdev.lock);
    b->batched = false;
    vblk_continue(b, VBLK_KICK);
    spin_unlock(&b->v.vdev.lock);
}

static void vblk_ready(void *device)
{
    struct vblk *b = device;

    spin_lock(&b->v.vdev.lock);
    vblk_continue(b, VBLK_KICK);
    spin_unlock(&b->v.vdev.lock);
}

/* A group is late. It is not the driver's doing when the backend will fill it. */
static void vblk_judge(struct vblk *b)
{
    uint16_t ended = virtq_unsignalled(&b->v.q[0]);
    bool filling = b->flying && b->flying + ended >= gather_group(&b->gather);
    bool held = ended || virtq_offered(&b->v.q[0]);

    gather_looked(&b->gather, held && !filling, !b->flying, arch_time());
}

/* Whatever waits for several waits no longer. */
static void vblk_look(struct vblk *b)
{
    if (vblk_gathers(b))
        vblk_judge(b);
    vblk_continue(b, VBLK_KICK);
    virtio_used(&b->v, 0);
    if (vblk_patience(b) > 1)
        vblk_watch(b);
}

/* Since the timer was set groups may have been filled: then it was set too early. */
static void vblk_rested(struct timer *t)
{
    struct vblk *b = CONTAINER_OF(t, struct vblk, rest);

    spin_lock(&b->v.vdev.lock);
    b->watched = false;
    if (!b->unfinished && vblk_gathers(b) && gather_late(&b->gather) > arch_time())
        vblk_watch(b);
    else
        vblk_look(b);
    spin_unlock(&b->v.vdev.lock);
}

/* ---- the device ---- */

/* The end of a batch still comes to a device that waits for it. */
static bool vblk_busy(struct virtio_dev *v)
{
    struct vblk *b = vblk_of(v);

    return b->batched || vblk_in_state(b, VBLK_S_IN_FLIGHT);
}

static void vblk_stop(struct virtio_dev *v, int queue)
{
    struct vblk *b = vblk_of(v);
    struct vblk_req *r;

    while ((r = vblk_in_state(b, VBLK_S_READY)) != NULL) {
        vblk_unpin(r);
        atomic_store_explicit(&r->state, VBLK_S_FREE, memory_order_relaxed);
    }
    for (unsigned i = 0; i < b->depth; i++)
        b->req[i]->dropped = true;
    b->redo_count = 0;
    b->full = false;
    b->arrived = 0;
    gather_init(&b->gather);
    if (queue == VIRTIO_ALL_QUEUES)
        v->config[CONFIG_WRITEBACK] = b->blk->can_flush;
}

static void vblk_config_write(struct virtio_dev *v, uint64_t offset, uint64_t value, unsigned width)
{
    if (offset == CONFIG_WRITEBACK && width == 1 && vblk_has(vblk_of(v), VBLK_F_CONFIG_WCE))
        v->config[CONFIG_WRITEBACK] = value & 1;
}

/* Requests in flight are saved as their heads, and done again from the start: each may be. */
static void vblk_save(struct virtio_dev *v, struct state_writer *w)
{
    struct vblk *b = vblk_of(v);
    uint16_t heads[2 * VBLK_DEPTH];
    uint8_t n = 0;

    for (unsigned i = 0; i < b->redo_count; i++)
        heads[n++] = b->redo[i];
    for (unsigned i = 0; i < b->depth; i++)
        if (b->req[i]->state != VBLK_S_FREE && !b->req[i]->dropped)
            heads[n++] = b->req[i]->head;
    ASSERT(n <= VBLK_DEPTH); /* redo is only taken into a request */
    state_put_u8(w, n);
    for (unsigned i = 0; i < n; i++)
        state_put_u16(w, heads[i]);
    state_put_u8(w, v->config[CONFIG_WRITEBACK]);
    state_put_u64(w, b->blk->sectors);
    state_put_u8(w, b->blk->save != NULL);
    if (b->blk->save)
        b->blk->save(b->blk->ctx, w);
}

static int vblk_load(struct virtio_dev *v, struct state_reader *r)
{
    struct vblk *b = vblk_of(v);
    uint8_t n = state_get_u8(r);

    if (n > VBLK_DEPTH)
        return -EINVAL;
    for (unsigned i = 0; i < n; i++) {
        b->redo[i] = state_get_u16(r);
        if (b->redo[i] >= v->q[0].size)
            return -EINVAL;
    }
    v->config[CONFIG_WRITEBACK] = state_get_u8(r) & 1;
    /* Another disk, or one whose contents were not saved where ours must be loaded, will not do. */
    if (state_get_u64(r) != b->blk->sectors || state_get_u8(r) != (b->blk->load != NULL))
        return -EINVAL;
    if (b->blk->load && !r->error)
        state_fail(r, b->blk->load(b->blk->ctx, r));
    b->redo_count = r->error ? 0 : n;
    return r->error;
}

static void vblk_resume(struct virtio_dev *v) { vblk_continue(vblk_of(v), 16ll * VBLK_KICK); }

static void vblk_free(struct vblk *b)
{
    for (unsigned i = 0; i < VBLK_DEPTH; i++)
        heap_free(b->req[i]);
    heap_free(b);
}

static void vblk_destroy(struct virtio_dev *v)
{
    struct vblk *b = vblk_of(v);

    ASSERT(!vblk_busy(v)); /* the VM code has waited (vdev_ops.busy) */
    b->blk->ready = NULL;
    b->blk->device = NULL;
    timer_cancel_wait(&b->rest); /* before: it may have something to say to the backend */
    if (b->blk->close)
        b->blk->close(b->blk->ctx);
    vblk_free(b);
}

static uint64_t vblk_memory(struct virtio_dev *v)
{
    const struct vblk *b = vblk_of(v);
    uint64_t own = heap_takes(sizeof(*b)) + b->depth * heap_takes(sizeof(*b->req[0]));

    return own + (b->blk->memory ? b->blk->memory(b->blk->ctx) : 0);
}

static const struct virtio_ops vblk_ops = {
    .device_id = 2,
    .queues = 1,
    .notify = vblk_notify,
    .stop = vblk_stop,
    .busy = vblk_busy,
    .config_write = vblk_config_write,
    .save = vblk_save,
    .load = vblk_load,
    .resume = vblk_resume,
    .destroy = vblk_destroy,
    .memory = vblk_memory,
};

static uint64_t vblk_features(const struct blk_backend *blk)
{
    uint64_t f = VBLK_F_SEG_MAX | VBLK_F_BLK_SIZE;

    if (blk->read_only)
        return f | VBLK_F_RO;
    if (blk->can_flush)
        f |= VBLK_F_FLUSH | VBLK_F_CONFIG_WCE;
    if (blk->can_discard)
        f |= VBLK_F_DISCARD;
    if (blk->can_write_zeroes)
        f |= VBLK_F_WRITE_ZEROES;
    return f;
}

static void put32(struct vblk *b, unsigned at, uint32_t v)
{
    memcpy(b->v.config + at, &v, sizeof(v));
}

static void vblk_fill_config(struct vblk *b)
{
    uint32_t per_block = (uint32_t)max_u64(b->blk->block_size / SECTOR, 1);

    b->v.config_len = CONFIG_LEN;
    memcpy(b->v.config + CONFIG_CAPACITY, &b->blk->sectors, sizeof(b->blk->sectors));
    put32(b, CONFIG_SEG_MAX, VBLK_SEG_MAX);
    put32(b, CONFIG_BLK_SIZE, per_block * SECTOR);
    b->v.config[CONFIG_WRITEBACK] = b->blk->can_flush;
    put32(b, CONFIG_MAX_DISCARD, VBLK_MAX_DISCARD);
    put32(b, CONFIG_DISCARD_SEGS, 1);
    put32(b, CONFIG_DISCARD_ALIGN, (uint32_t)max_u64(per_block, PAGE_SIZE / SECTOR));
    put32(b, CONFIG_MAX_ZEROES, VBLK_MAX_DISCARD);
    put32(b, CONFIG_ZEROES_SEGS, 1);
    b->v.config[CONFIG_ZEROES_UNMAP] = b->blk->can_discard;
}

void virtio_blk_grown(struct vdev *dev)
{
    struct vblk *b = vblk_of(virtio_of(dev));

    spin_lock(&dev->lock);
    __atomic_store_n((uint64_t *)(void *)(b->v.config + CONFIG_CAPACITY), b->blk->sectors,
                     __ATOMIC_RELAXED); /* read without the lock */
    virtio_config_changed(&b->v);
    spin_unlock(&dev->lock);
}

struct vdev *virtio_blk_create(struct stage2 *mem, struct blk_backend *blk)
{
    struct vblk *b = heap_alloc(sizeof(*b));

    if (!b)
        return NULL;
    b->blk = blk;
    b->waiter.fn = vblk_batch_ended;
    timer_init(&b->rest, vblk_rested);
    gather_init(&b->gather);
    b->depth = blk->depth && blk->depth < VBLK_DEPTH ? blk->depth : VBLK_DEPTH;
    for (unsigned i = 0; i < b->depth; i++) {
        b->req[i] = heap_alloc(sizeof(*b->req[i]));
        if (!b->req[i]) {
            vblk_free(b);
            return NULL;
        }
        b->req[i]->dev = b;
        b->req[i]->br.done = vblk_done;
    }
    virtio_init(&b->v, &vblk_ops, mem, vblk_features(blk));
    vblk_fill_config(b);
    blk->device = b;
    blk->ready = vblk_ready;
    return &b->v.vdev;
}
