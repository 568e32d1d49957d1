// SPDX-License-Identifier: BSD-2-Clause
// The host's virtio block devices (virtio 1.2, 5.2) as backends: asynchronous, many requests in flight.
//
// A request takes a slot; when it is more than the device takes at once (segments, sectors of a discard),
// its slot sends it in parts, one after the other. The interrupt only wakes a thread, which takes completions and calls done
// and ready, with no lock held: what a VM begins there counts as that thread's time, not as that of whom
// the interrupt came upon, and is fair to all however many requests a VM makes. An opener counts the
// calls that are out, and close waits for them.
//
// Interrupts are coalesced by what is in flight (as Ahmad et al., "vIC: Interrupt Coalescing for Virtual Machine Storage Device
// IO", USENIX ATC 2011, do): an opener with four requests or more in flight waits until three quarters of them have ended,
// one with fewer hears of each. So the last one is never waited with, and no timer is needed to hear of it; one there is
// for a device that lets some requests wait for long, so that those which ended are heard of within PATIENCE. An opener that
// knows better says with its commit how many it wants to hear of (backend.h).
//
// Whoever finds the queue full waits for a turn, and as long as somebody waits nobody else gets room: else one who submits
// again from within done, as a busy guest's disk does, would have all room that its own requests give back, for ever.
#include <errno.h>
#include <string.h>

#include "base/arch.h"
#include "base/list.h"
#include "base/log.h"
#include "base/spinlock.h"
#include "drv/drv.h"
#include "drv/virtio_host.h"
#include "mem/frame.h"
#include "mem/heap.h"
#include "sched/thread.h"
#include "sched/timer.h"

#define F_SEG_MAX (1ull << 2)
#define F_RO (1ull << 5)
#define F_BLK_SIZE (1ull << 6)
#define F_FLUSH (1ull << 9)
#define F_DISCARD (1ull << 13)
#define F_WRITE_ZEROES (1ull << 14)

enum { /* configuration space, 5.2.4 */
       CFG_CAPACITY = 0,
       CFG_SEG_MAX = 12,
       CFG_BLK_SIZE = 20,
       CFG_MAX_DISCARD = 36,
       CFG_MAX_WRITE_ZEROES = 48,
       CFG_ZEROES_MAY_UNMAP = 56,
};
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2, S_NONE = 0xFF };
enum {
    SECTOR = 512,
    DISKS = 8,
    ID_LENGTH = 20,
    RANGE_UNMAP = 1,
    ID_WAIT = 10000000,
    COMPLETE_MAX = 16,
    FEW = 4, /* in flight: too few to wait for several */
    PATIENCE = 4000, /* microseconds */
};

/* What the device reads and writes besides data. */
struct slot_dma {
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    struct {
        uint64_t sector;
        uint32_t sectors, flags;
    } range;
    char id[ID_LENGTH];
    uint8_t status;
    uint8_t pad[11];
};
_Static_assert(sizeof(struct slot_dma) == 64, "a page of slots");
enum { SLOTS = 4096 / sizeof(struct slot_dma), NO_SLOT = 0xFF };

struct opener;
struct slot {
    struct blk_request *request;
    struct opener *opener;
    uint64_t sectors_done, part_sectors;
    unsigned segs_done, part_segs;
    bool stalled; /* the part waits for descriptors */
    uint8_t next_free;
};

struct disk {
    struct virtio_host *d;
    struct virtio_host_queue queue;
    struct spinlock lock; /* LOCK_BACKEND; what follows but the facts */
    struct slot_dma *dma;
    struct slot slot[SLOTS];
    uint8_t slot_of_head[VIRTIO_HOST_QUEUE];
    uint8_t free_slot;
    unsigned stalled; /* slots that are */
    unsigned requests; /* taken, and not done */
    unsigned active; /* openers that have such */
    bool watched; /* the timer is set */
    uint16_t heard_at; /* the used index at which it interrupts next */
    struct timer watch;
    struct list openers; /* those that wait: in the order in which they began to */
    unsigned waiting; /* openers that wait */
    struct opener *turn; /* who may submit although others wait */
    /* Facts: */
    uint64_t sectors;
    uint32_t block_size, seg_max, max_discard, max_zeroes;
    bool read_only, can_flush, zeroes_unmap;
    char serial[ID_LENGTH + 1];
};

struct opener {
    struct blk_backend backend;
    struct disk *disk;
    struct list node;
    uint64_t first; /* its sector 0 is this one of the disk */
    enum host_disk_use use;
    unsigned calls_out; /* callbacks being made, requests in flight */
    unsigned flying, slow; /* requests in flight; of these, others than reads and writes */
    unsigned wanted; /* ended ones of which it wants to hear, all at once; 0: as we think fit */
    bool waiting; /* was told -EAGAIN */
    bool offered; /* by it since it told the device: the interrupt may not be by its patience yet */
};

static struct thread *worker; /* of all disks */
static struct disk *disk[DISKS];
static unsigned disk_count;

/* --- parts of requests --- */

/* The next segments that end on a sector's boundary. False: there is no such part. */
static bool choose_segments(const struct disk *k, struct slot *s)
{
    const struct blk_request *r = s->request;
    uint64_t bytes = 0;
    s->part_segs = 0;
    for (unsigned i = s->segs_done; i < r->seg_count && i - s->segs_done < k->seg_max; i++) {
        bytes += r->seg[i].len;
        if (bytes % SECTOR == 0) {
            s->part_segs = i + 1 - s->segs_done;
            s->part_sectors = bytes / SECTOR;
        }
    }
    return s->part_segs > 0;
}

static bool choose_part(const struct disk *k, struct slot *s)
{
    const struct blk_request *r = s->request;
    uint64_t left = r->sectors - s->sectors_done;
    switch (r->op) {
    case BLK_READ:
    case BLK_WRITE:
        return choose_segments(k, s);
    case BLK_DISCARD:
        s->part_sectors = min_u64(left, k->max_discard);
        return true;
    case BLK_WRITE_ZEROES:
        s->part_sectors = min_u64(left, k->max_zeroes);
        return true;
    default:
        s->part_sectors = left;
        return true;
    }
}

static unsigned descriptors(const struct slot *s)
{
    switch (s->request->op) {
    case BLK_READ:
    case BLK_WRITE:
        return s->part_segs + 2;
    case BLK_FLUSH:
        return 2;
    default:
        return 3;
    }
}

static uint32_t request_type(enum blk_op op)
{
    switch (op) {
    case BLK_READ:
        return T_IN;
    case BLK_WRITE:
        return T_OUT;
    case BLK_FLUSH:
        return T_FLUSH;
    case BLK_DISCARD:
        return T_DISCARD;
    default:
        return T_WRITE_ZEROES;
    }
}

static void append(struct disk *k, int *head, const void *p, uint32_t len, bool device_writes)
{
    virtio_host_append(&k->queue, head, (struct virtio_host_buf){hva_to_pa(p), len, device_writes});
}

/* Offers the slot's part; there are descriptors enough. */
static void send_part(struct disk *k, struct slot *s)
{
    const struct blk_request *r = s->request;
    struct slot_dma *m = &k->dma[s - k->slot];
    int head = -1;

    memset(m, 0, sizeof(*m));
    m->status = S_NONE;
    m->header.type = request_type(r->op);
    append(k, &head, &m->header, sizeof(m->header), false);
    if (r->op == BLK_READ || r->op == BLK_WRITE) {
        m->header.sector = s->opener->first + r->sector + s->sectors_done;
        for (unsigned i = 0; i < s->part_segs; i++)
            append(k, &head, r->seg[s->segs_done + i].hva, r->seg[s->segs_done + i].len,
                   r->op == BLK_READ);
    } else if (r->op != BLK_FLUSH) {
        m->range.sector = s->opener->first + r->sector + s->sectors_done;
        m->range.sectors = (uint32_t)s->part_sectors;
        m->range.flags = r->op == BLK_WRITE_ZEROES && r->unmap && k->zeroes_unmap ? RANGE_UNMAP : 0;
        append(k, &head, &m->range, sizeof(m->range), false);
    }
    append(k, &head, &m->status, sizeof(m->status), true);
    k->slot_of_head[head] = (uint8_t)(s - k->slot);
    virtio_host_offer(&k->queue, head);
}

/* --- submission --- */

static bool segments_ok(const struct blk_request *r)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < r->seg_count; i++) {
        if (r->seg[i].len == 0)
            return false;
        bytes += r->seg[i].len;
    }
    return r->sectors <= UINT32_MAX && bytes == r->sectors * SECTOR && r->seg_count <= BLK_SEGMENTS;
}

/* 0, or the result of a request that needs no device to fail. */
static int check(const struct opener *o, const struct blk_request *r)
{
    const struct blk_backend *b = &o->backend;
    if (r->op == BLK_FLUSH)
        return b->can_flush ? 0 : -ENOTSUP;
    if (r->op != BLK_READ && b->read_only)
        return -EACCES;
    if ((r->op == BLK_DISCARD && !b->can_discard) ||
        (r->op == BLK_WRITE_ZEROES && !b->can_write_zeroes))
        return -ENOTSUP;
    if (r->sectors == 0 || !range_ok(r->sector, r->sectors, b->sectors))
        return -EIO;
    if ((r->op == BLK_READ || r->op == BLK_WRITE) && !segments_ok(r))
        return -EIO;
    return 0;
}

static void finish(struct blk_request *r, int result)
{
    r->result = result;
    r->done(r);
}

static struct slot *take_slot(struct disk *k)
{
    if (k->free_slot == NO_SLOT)
        return NULL;
    struct slot *s = &k->slot[k->free_slot];
    k->free_slot = s->next_free;
    return s;
}

static void give_slot(struct disk *k, struct slot *s)
{
    s->request = NULL;
    s->next_free = k->free_slot;
    k->free_slot = (uint8_t)(s - k->slot);
}

static void set_waiting(struct disk *k, struct opener *o, bool waits)
{
    k->waiting += (unsigned)waits - (unsigned)o->waiting;
    o->waiting = waits;
}

/* Told -EAGAIN: behind those that wait already. Whose turn it is, and who found no room in it, keeps its place. */
static void wait_for_turn(struct disk *k, struct opener *o)
{
    if (o->waiting)
        return;
    set_waiting(k, o, true);
    if (k->turn == o)
        return;
    list_remove(&o->node);
    list_push_back(&k->openers, &o->node);
}

static bool is_slow(const struct blk_request *r) { return r->op != BLK_READ && r->op != BLK_WRITE; }

/* How many of the opener's requests in flight may have ended before it hears of them. */
static unsigned patience(const struct disk *k, const struct opener *o)
{
    if (o->slow || k->stalled || k->waiting || (!o->wanted && o->flying < FEW))
        return 1;
    return o->wanted ? (unsigned)min_u64(o->wanted, o->flying) : o->flying - o->flying / 4;
}

/* Asks for the interrupt after count more. True: so many have ended already, and the worker is to look. */
static bool await(struct disk *k, unsigned count)
{
    k->heard_at = (uint16_t)(k->queue.used_idx + count);
    if (virtio_host_await(&k->queue, count))
        return true;
    if (count > 1 && !k->watched) {
        k->watched = true;
        timer_set(&k->watch, arch_time() + timer_us(PATIENCE));
    }
    return false;
}

/* Tells the device of what was offered, o's. An interrupt that comes earlier than o wants it stays, if others have requests
 * in flight too. True: as await. */
static bool tell(struct disk *k, struct opener *o)
{
    unsigned count = patience(k, o);
    uint16_t left = (uint16_t)(k->heard_at - k->queue.used_idx);
    bool soon = k->active > 1 && left >= 1 && left <= count;
    bool wake = !soon && await(k, count);
    o->offered = false;
    virtio_host_kick(&k->queue);
    return wake;
}

static void fly(struct disk *k, struct opener *o, const struct blk_request *r)
{
    k->active += !o->flying++;
    o->slow += is_slow(r);
}

static void land(struct disk *k, struct opener *o, const struct blk_request *r)
{
    k->active -= !--o->flying;
    o->slow -= is_slow(r);
}

/* With the lock held. 0; -EAGAIN; -EIO when it cannot be cut into parts. */
static int start(struct disk *k, struct opener *o, struct blk_request *r)
{
    if (k->waiting > o->waiting && k->turn != o)
        return -EAGAIN;
    struct slot *s = take_slot(k);
    if (!s)
        return -EAGAIN;
    *s = (struct slot){.request = r, .opener = o};
    int error = !choose_part(k, s) ? -EIO : descriptors(s) > k->queue.free_count ? -EAGAIN : 0;
    if (error) {
        give_slot(k, s);
        return error;
    }
    o->calls_out++;
    k->requests++;
    fly(k, o, r);
    if (k->waiting)
        k->turn = NULL; /* one request a turn */
    send_part(k, s);
    return 0;
}

static int disk_submit(void *ctx, struct blk_request *r)
{
    struct opener *o = ctx;
    struct disk *k = o->disk;
    int error = check(o, r);
    if (!error) {
        bool wake = false;
        spin_lock(&k->lock);
        error = start(k, o, r);
        if (error == -EAGAIN)
            wait_for_turn(k, o);
        o->offered |= !error;
        if (!error && !r->more) {
            o->wanted = 0;
            wake = tell(k, o);
        }
        spin_unlock(&k->lock);
        if (wake)
            thread_wake(worker);
        if (!error || error == -EAGAIN)
            return error;
    }
    finish(r, error);
    return 0;
}

static void disk_commit(void *ctx, unsigned wanted)
{
    struct opener *o = ctx;
    struct disk *k = o->disk;
    spin_lock(&k->lock);
    o->wanted = wanted;
    bool wake = o->offered && tell(k, o);
    spin_unlock(&k->lock);
    if (wake)
        thread_wake(worker);
}

/* --- completion --- */

static int result_of(uint8_t status)
{
    return status == S_OK ? 0 : status == S_UNSUPP ? -ENOTSUP : -EIO;
}

/* A part has come back; true when the whole request is done. */
static bool end_part(struct disk *k, struct slot *s)
{
    struct blk_request *r = s->request;
    r->result = result_of(k->dma[s - k->slot].status);
    s->sectors_done += s->part_sectors;
    s->segs_done += s->part_segs;
    if (r->result || r->op == BLK_FLUSH || s->sectors_done >= r->sectors)
        return true;
    if (!choose_part(k, s)) {
        r->result = -EIO; /* the segments end on sectors too seldom for this device */
        return true;
    }
    s->stalled = true;
    k->stalled++;
    return false;
}

/* Sends what parts there is room for. A part fits an empty queue, so one that does not fit now waits
 * for chains that are in flight. */
static void send_stalled(struct disk *k)
{
    bool any = false;
    for (unsigned i = 0; i < SLOTS && k->stalled > 0; i++) {
        struct slot *s = &k->slot[i];
        if (!s->stalled || descriptors(s) > k->queue.free_count)
            continue;
        s->stalled = false;
        k->stalled--;
        send_part(k, s);
        any = true;
    }
    if (any)
        virtio_host_kick(&k->queue);
}

/* The next request that is done: its opener's calls_out still counts it. */
static struct blk_request *next_done(struct disk *k, struct opener **o)
{
    uint32_t len;
    int head;
    while ((head = virtio_host_used(&k->queue, &len)) >= 0) {
        struct slot *s = &k->slot[k->slot_of_head[head]];
        struct blk_request *r = s->request;
        if (!r) {
            give_slot(k, s); /* read_serial waited for it no longer */
            continue;
        }
        bool done = end_part(k, s);
        if (done) {
            *o = s->opener;
            give_slot(k, s);
            k->requests--;
            land(k, *o, r);
        }
        send_stalled(k);
        if (done)
            return r;
    }
    return NULL;
}

static struct opener *next_waiting(struct disk *k)
{
    LIST_FOR_EACH(it, &k->openers)
    {
        struct opener *o = CONTAINER_OF(it, struct opener, node);
        if (o->waiting) {
            set_waiting(k, o, false);
            return o;
        }
    }
    return NULL;
}

/* Lets those try again who were told to wait, in turn, until one finds the queue full. When nothing is in flight all
 * get their turn, since no end of a request would call them again. One that has no ready tries by itself: the turn is
 * its own until the next request ends. */
static void call_ready(struct disk *k)
{
    struct opener *o;
    for (unsigned i = 0; (i < 64 || !k->requests) && (o = next_waiting(k)); i++) {
        void (*ready)(void *device) = o->backend.ready;
        void *device = o->backend.device;
        k->turn = o;
        if (!ready && k->requests)
            return;
        o->calls_out++;
        spin_unlock(&k->lock);
        if (ready)
            ready(device);
        spin_lock(&k->lock);
        o->calls_out--;
        if (o->waiting && k->turn == o && k->requests)
            break; /* full again */
    }
    k->turn = NULL;
}

/* What has ended, and whose: as one batch, with the lock let go of once. */
struct ended {
    struct blk_request *request[COMPLETE_MAX];
    struct opener *opener[COMPLETE_MAX];
    unsigned count;
};

static void say_done(struct disk *k, struct ended *e)
{
    struct blk_batch batch = {0};
    spin_unlock(&k->lock);
    for (unsigned i = 0; i < e->count; i++) {
        e->request[i]->batch = &batch;
        e->request[i]->done(e->request[i]);
    }
    blk_batch_end(&batch);
    spin_lock(&k->lock);
    for (unsigned i = 0; i < e->count; i++)
        e->opener[i]->calls_out--;
}

/* The next interrupt: when it is of use to the least patient opener. True: as await. */
static bool await_next(struct disk *k)
{
    unsigned least = UINT32_MAX;
    LIST_FOR_EACH(it, &k->openers)
    {
        const struct opener *o = CONTAINER_OF(it, struct opener, node);
        if (o->flying)
            least = (unsigned)min_u64(least, patience(k, o));
    }
    return k->requests && await(k, least);
}

/* Some of what is done; true: there may be more. */
static bool complete(struct disk *k)
{
    struct ended e = {.count = 0};
    struct blk_request *r = NULL;
    spin_lock(&k->lock);
    while (e.count < COMPLETE_MAX && (r = next_done(k, &e.opener[e.count])))
        e.request[e.count++] = r;
    if (e.count) {
        say_done(k, &e);
        call_ready(k);
    }
    bool more = r || await_next(k);
    spin_unlock(&k->lock);
    return more;
}

static void worker_main(void *arg)
{
    (void)arg;
    for (;;) {
        for (unsigned i = 0; i < disk_count; i++)
            while (complete(disk[i]))
                sched_point();
        thread_block();
    }
}

static void on_interrupt(void *arg)
{
    struct disk *k = arg;
    virtio_host_ack(k->d); /* before the ring is looked at, so that none is missed */
    thread_wake(worker);
}

static void on_watch(struct timer *t)
{
    struct disk *k = CONTAINER_OF(t, struct disk, watch);
    spin_lock(&k->lock);
    k->watched = false;
    bool look = k->requests;
    spin_unlock(&k->lock);
    if (look)
        thread_wake(worker);
}

/* --- opening and closing --- */

unsigned host_disk_count(void) { return disk_count; }

/* The requester has none in flight that it waits for; what is left is let finish here. */
static void disk_close(void *ctx)
{
    struct opener *o = ctx;
    struct disk *k = o->disk;
    spin_lock(&k->lock);
    set_waiting(k, o, false);
    while (o->calls_out > 0) {
        spin_unlock(&k->lock);
        (void)complete(k);
        arch_pause();
        spin_lock(&k->lock);
    }
    list_remove(&o->node);
    if (k->turn == o)
        k->turn = NULL;
    spin_unlock(&k->lock);
    heap_free(o);
}

/* The rings are the disk's, whoever uses it. */
static uint64_t disk_memory(void *ctx)
{
    (void)ctx;
    return heap_takes(sizeof(struct opener));
}

static void fill_backend(struct opener *o, uint64_t sectors)
{
    const struct disk *k = o->disk;
    o->backend = (struct blk_backend){
        .submit = disk_submit,
        .commit = disk_commit,
        .close = disk_close,
        .memory = disk_memory,
        .ctx = o,
        .sectors = sectors,
        .block_size = k->block_size,
        .read_only = o->use != HOST_DISK_WRITE || k->read_only,
        .can_discard = k->max_discard > 0,
        .can_write_zeroes = k->max_zeroes > 0,
        .can_flush = k->can_flush,
    };
    memcpy(o->backend.serial, k->serial, sizeof(k->serial));
}

/* Whether both may be open: no sector is written by one that the other reads or writes. */
static bool go_together(const struct opener *a, const struct opener *b)
{
    bool apart =
        a->first + a->backend.sectors <= b->first || b->first + b->backend.sectors <= a->first;
    bool look = a->use == HOST_DISK_LOOK || b->use == HOST_DISK_LOOK;
    return apart || look || (a->backend.read_only && b->backend.read_only);
}

static bool is_taken(const struct opener *o)
{
    LIST_FOR_EACH(it, &o->disk->openers)
    {
        if (!go_together(o, CONTAINER_OF(it, struct opener, node)))
            return true;
    }
    return false;
}

/* The range reaches further, if nobody has what is behind it. */
static int disk_grow(void *ctx, struct blk_growth *g)
{
    struct opener *o = ctx;
    struct disk *k = o->disk;
    struct opener more = {.backend.read_only = o->backend.read_only, .disk = k, .use = o->use};
    int error = -EINVAL;
    spin_lock(&k->lock);
    if (g->room > o->backend.sectors && range_ok(o->first, g->room, k->sectors)) {
        more.first = o->first + o->backend.sectors;
        more.backend.sectors = g->room - o->backend.sectors;
        error = is_taken(&more) ? -EBUSY : 0;
    }
    if (!error && !g->only_check)
        __atomic_store_n(&o->backend.sectors, g->room, __ATOMIC_RELEASE); /* submit looks at it */
    spin_unlock(&k->lock);
    if (error)
        fmt_snprintf(g->why, sizeof(g->why), "what is behind it on the host's disk is not free");
    return error;
}

struct blk_backend *host_disk_open_range(unsigned n, uint64_t first, uint64_t sectors,
                                         enum host_disk_use use)
{
    if (n >= disk_count || !range_ok(first, sectors, disk[n]->sectors))
        return NULL;
    struct opener *o = heap_alloc(sizeof(*o));
    if (!o)
        return NULL;
    o->disk = disk[n];
    o->first = first;
    o->use = use;
    fill_backend(o, sectors);
    o->backend.grow = disk_grow;

    spin_lock(&o->disk->lock);
    bool taken = is_taken(o);
    if (!taken)
        list_push_back(&o->disk->openers, &o->node);
    spin_unlock(&o->disk->lock);
    if (taken) {
        heap_free(o);
        return NULL;
    }
    return &o->backend;
}

uint64_t host_disk_sectors(unsigned n) { return n < disk_count ? disk[n]->sectors : 0; }

struct blk_backend *host_disk_open(unsigned n, bool read_only)
{
    return host_disk_open_range(n, 0, host_disk_sectors(n),
                                read_only ? HOST_DISK_READ : HOST_DISK_WRITE);
}

/* --- discovery --- */

static void read_facts(struct disk *k)
{
    struct virtio_host *d = k->d;
    k->sectors = virtio_host_config64(d, CFG_CAPACITY);
    k->read_only = d->features & F_RO;
    k->can_flush = d->features & F_FLUSH;
    k->block_size = d->features & F_BLK_SIZE ? virtio_host_config32(d, CFG_BLK_SIZE) : SECTOR;
    if (k->block_size < SECTOR || k->block_size > PAGE_SIZE ||
        (k->block_size & (k->block_size - 1)))
        k->block_size = SECTOR;
    k->seg_max = d->features & F_SEG_MAX ? virtio_host_config32(d, CFG_SEG_MAX) : BLK_SEGMENTS;
    if (d->features & F_DISCARD)
        k->max_discard = virtio_host_config32(d, CFG_MAX_DISCARD);
    if (d->features & F_WRITE_ZEROES) {
        k->max_zeroes = virtio_host_config32(d, CFG_MAX_WRITE_ZEROES);
        k->zeroes_unmap = virtio_host_config8(d, CFG_ZEROES_MAY_UNMAP);
    }
}

/* The serial number, waited for: nothing else is in flight yet. One that comes too late finds its slot still taken. */
static void read_serial(struct disk *k)
{
    struct slot *s = take_slot(k);
    struct slot_dma *m = &k->dma[s - k->slot];
    uint32_t len;
    int head = -1, used = -EAGAIN;
    *m = (struct slot_dma){.header = {.type = T_GET_ID}, .status = S_NONE};
    append(k, &head, &m->header, sizeof(m->header), false);
    append(k, &head, m->id, sizeof(m->id), true);
    append(k, &head, &m->status, sizeof(m->status), true);
    s->request = NULL;
    k->slot_of_head[head] = (uint8_t)(s - k->slot);
    virtio_host_offer(&k->queue, head);
    virtio_host_kick(&k->queue);
    for (unsigned i = 0; i < ID_WAIT && used < 0; i++) {
        arch_pause();
        used = virtio_host_used(&k->queue, &len);
    }
    virtio_host_ack(k->d);
    if (used < 0)
        return;
    if (m->status == S_OK)
        memcpy(k->serial, m->id, ID_LENGTH);
    give_slot(k, s);
}

static int set_up(struct disk *k)
{
    int error = virtio_host_begin(k->d, F_SEG_MAX | F_RO | F_BLK_SIZE | F_FLUSH | F_DISCARD |
                                            F_WRITE_ZEROES | VIRTIO_HOST_F_EVENT_IDX);
    if (error)
        return error;
    read_facts(k);
    error = virtio_host_queue_init(&k->queue, k->d, 0, VIRTIO_HOST_QUEUE);
    if (error)
        return error;
    virtio_host_go(k->d);
    if (k->queue.size < 4)
        return -ENODEV;
    if (k->seg_max == 0 || k->seg_max > k->queue.size - 2u)
        k->seg_max = k->queue.size - 2u;
    k->dma = frame_alloc_page();
    if (!k->dma)
        return -ENOMEM;
    read_serial(k);
    error = host_irq_register(k->d->irq, on_interrupt, k);
    if (error)
        log_warn("a disk of the host has no interrupt that reaches Trapline");
    return error;
}

int virtio_blk_host_attach(struct virtio_host *d)
{
    if (disk_count == DISKS)
        return -ENOSPC;
    if (!worker)
        worker = thread_create("disks", worker_main, NULL);
    if (!worker)
        return -ENOMEM;
    struct disk *k = heap_alloc(sizeof(*k));
    if (!k)
        return -ENOMEM;
    k->d = d;
    spin_init(&k->lock, LOCK_BACKEND);
    timer_init(&k->watch, on_watch);
    list_init(&k->openers);
    k->free_slot = NO_SLOT;
    for (unsigned i = SLOTS; i-- > 0;)
        give_slot(k, &k->slot[i]);

    int error = set_up(k);
    if (error) {
        virtio_host_forget(d); /* before its memory is freed */
        if (k->dma)
            frame_free_page(k->dma);
        heap_free(k);
        return error;
    }
    log_info("disk %u: %lu MiB%s%s%s", disk_count, (unsigned long)(k->sectors >> 11),
             k->read_only ? ", read only" : "", k->serial[0] ? ", serial " : "", k->serial);
    disk[disk_count++] = k;
    return 0;
}
