// SPDX-License-Identifier: BSD-2-Clause
// Split virtqueues; virtq.h explains the ring.
#include "vdev/virtio/virtq.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/state.h"

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };
enum { AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };
enum { RING_FLAGS = 0, RING_IDX = 2, RING_ENTRIES = 4 }; /* offsets in both rings */
/* More than a queue's size beyond last_avail, so the driver never passes it: no kicks. */
enum { EVENT_NEVER = 0x8000 };

static const struct {
    uint8_t align, fixed, entry;
} part_shape[VIRTQ_PARTS] = {
    [VIRTQ_DESC] = {16, 0, 16},
    [VIRTQ_AVAIL] = {2, 6, 2}, /* flags, idx, used_event */
    [VIRTQ_USED] = {4, 6, 8},  /* flags, idx, avail_event */
};

static uint64_t part_bytes(const struct virtq *q, unsigned part)
{
    return part_shape[part].fixed + (uint64_t)q->size * part_shape[part].entry;
}

/* An area that is not contiguous in host memory: rare, and kept out of the way of those that are. */
static __attribute__((noinline)) uint16_t ring_load_copied(struct virtq *q, enum virtq_part part,
                                                           uint64_t off)
{
    uint16_t v = 0;

    if (guest_mem_read(q->mem, gpa_add(q->addr[part], off), &v, sizeof(v)))
        q->broken = true;
    return v;
}

static __attribute__((noinline)) void ring_store_copied(struct virtq *q, uint64_t off,
                                                        const void *from, size_t len)
{
    if (guest_mem_write(q->mem, gpa_add(q->addr[VIRTQ_USED], off), from, len))
        q->broken = true;
}

/* Ring words are shared with running vCPUs: single loads and stores, never torn, never repeated. */
static inline uint16_t ring_load(struct virtq *q, enum virtq_part part, uint64_t off)
{
    const char *hva = q->map[part].hva;

    return hva ? __atomic_load_n((const uint16_t *)(const void *)(hva + off), __ATOMIC_RELAXED)
               : ring_load_copied(q, part, off);
}

static inline void ring_store(struct virtq *q, uint64_t off, uint16_t v)
{
    char *hva = q->map[VIRTQ_USED].hva;

    if (hva)
        __atomic_store_n((uint16_t *)(void *)(hva + off), v, __ATOMIC_RELAXED);
    else
        ring_store_copied(q, off, &v, sizeof(v));
}

static void virtq_unmap(struct virtq *q)
{
    for (unsigned i = 0; i < VIRTQ_PARTS; i++) {
        if (q->map[i].hva)
            guest_mem_unpin(q->mem, &q->map[i], 1, i == VIRTQ_USED);
        q->map[i].hva = NULL;
    }
    q->mapped = false;
}

/* Pins the three areas; one that is not contiguous in host memory is reached by copies instead. */
static int virtq_map(struct virtq *q)
{
    for (unsigned i = 0; i < VIRTQ_PARTS; i++) {
        int n = guest_mem_pin(q->mem, q->addr[i], part_bytes(q, i), i == VIRTQ_USED, &q->map[i], 1);

        if (n == 1)
            continue;
        q->map[i].hva = NULL;
        if (n != -E2BIG) {
            virtq_unmap(q);
            return n < 0 ? n : -EFAULT;
        }
    }
    q->mapped = true;
    return 0;
}

void virtq_reset(struct virtq *q, uint16_t size)
{
    struct stage2 *mem = q->mem;

    virtq_unmap(q);
    *q = (struct virtq){.mem = mem, .size = size};
}

int virtq_ready(struct virtq *q)
{
    int error;

    for (unsigned i = 0; i < VIRTQ_PARTS; i++)
        if (!is_aligned(q->addr[i].v, part_shape[i].align))
            return -EINVAL;
    error = virtq_map(q);
    if (error)
        return error;
    q->last_avail = q->seen_avail = q->used_idx = q->signalled = 0;
    q->broken = q->quiet = false;
    q->ready = true;
    return 0;
}

static __attribute__((noinline)) bool virtq_map_late(struct virtq *q)
{
    if (virtq_map(q))
        q->broken = true;
    return !q->broken;
}

/* Whether the queue can be used at all. After a load the areas are pinned at the first use. */
static inline bool virtq_usable(struct virtq *q)
{
    return q->ready && !q->broken && (q->mapped || virtq_map_late(q));
}

/* Of a usable queue. */
static inline void chain_begin(struct virtq_chain *c, struct virtq *q, uint16_t head)
{
    c->q = q;
    c->head = c->next = head;
    c->table_size = c->left = q->size;
    c->batch_at = c->batch_count = 0;
    c->more = true;
    c->indirect = c->writable = false;
}

int virtq_chain_at(struct virtq *q, uint16_t head, struct virtq_chain *c)
{
    if (!virtq_usable(q) || head >= q->size)
        return -EILSEQ;
    chain_begin(c, q, head);
    return 0;
}

int virtq_pop(struct virtq *q, struct virtq_chain *c)
{
    uint16_t waiting, head;

    if (!virtq_usable(q))
        return -EILSEQ;
    if (q->seen_avail == q->last_avail)
        q->seen_avail = ring_load(q, VIRTQ_AVAIL, RING_IDX);
    waiting = (uint16_t)(q->seen_avail - q->last_avail);
    if (waiting > q->size)
        q->broken = true;
    if (q->broken || !waiting)
        return q->broken ? -EILSEQ : 0;
    /* The entry, and the descriptors behind it, were written before idx: read them after it. */
    atomic_thread_fence(memory_order_acquire);
    head = ring_load(q, VIRTQ_AVAIL, RING_ENTRIES + 2ull * (q->last_avail & (q->size - 1)));
    if (head >= q->size)
        q->broken = true;
    if (q->broken) /* also: the entry could not be read */
        return -EILSEQ;
    chain_begin(c, q, head);
    q->last_avail++;
    /* At work: kicks are of no use now. With EVENT_IDX avail_event has just fallen behind. */
    if (!q->event_idx && !q->quiet)
        virtq_disarm(q);
    return 1;
}

bool virtq_offered(struct virtq *q)
{
    return virtq_usable(q) && ring_load(q, VIRTQ_AVAIL, RING_IDX) != q->last_avail;
}

void virtq_undo_pop(struct virtq *q) { q->last_avail--; }

static inline int desc_read_direct(struct virtq *q, uint16_t index, struct virtq_desc *d)
{
    const char *hva = q->map[VIRTQ_DESC].hva;
    uint64_t word;

    if (!hva)
        return guest_mem_read(q->mem, gpa_add(q->addr[VIRTQ_DESC], 16ull * index), d, sizeof(*d));
    hva += 16ull * index;
    d->addr = __atomic_load_n((const uint64_t *)hva, __ATOMIC_RELAXED);
    word = __atomic_load_n((const uint64_t *)(hva + 8), __ATOMIC_RELAXED);
    d->len = (uint32_t)word;
    d->flags = (uint16_t)(word >> 32);
    d->next = (uint16_t)(word >> 48);
    return 0;
}

static int desc_read_indirect(struct virtq_chain *c, uint16_t index, struct virtq_desc *d)
{
    /* Below batch_at wraps: not in the batch. */
    if ((uint16_t)(index - c->batch_at) >= c->batch_count) {
        uint16_t n = (uint16_t)min_u64(VIRTQ_BATCH, (uint64_t)c->table_size - index);
        int error =
            guest_mem_read(c->q->mem, gpa_add(c->table, 16ull * index), c->batch, n * sizeof(*d));

        if (error)
            return error;
        c->batch_at = index;
        c->batch_count = n;
    }
    *d = c->batch[index - c->batch_at];
    return 0;
}

static inline int chain_read(struct virtq_chain *c, uint16_t index, struct virtq_desc *d)
{
    if (index >= c->table_size || !c->left)
        return -EILSEQ;
    c->left--;
    return c->indirect ? desc_read_indirect(c, index, d) : desc_read_direct(c->q, index, d);
}

/* 2.7.5.3.1: no table within a table, none with a next, none empty. */
static int chain_enter_table(struct virtq_chain *c, const struct virtq_desc *d)
{
    uint32_t n = d->len / sizeof(*d);

    if (!c->q->indirect || c->indirect || (d->flags & DESC_NEXT) || d->len % sizeof(*d) || !n ||
        n > VIRTQ_MAX_SIZE || d->addr + d->len < d->addr)
        return -EILSEQ;
    c->indirect = true;
    c->table = gpa(d->addr);
    c->table_size = c->left = (uint16_t)n;
    return 0;
}

int virtq_next(struct virtq_chain *c, struct virtq_buf *b)
{
    struct virtq_desc d;
    int error;

    if (!c->more)
        return 0;
    error = chain_read(c, c->next, &d);
    if (!error && (d.flags & DESC_INDIRECT)) {
        error = chain_enter_table(c, &d);
        if (!error)
            error = chain_read(c, 0, &d);
        if (!error && (d.flags & DESC_INDIRECT))
            error = -EILSEQ;
    }
    if (error)
        return error;
    b->addr = gpa(d.addr);
    b->len = d.len;
    b->write = d.flags & DESC_WRITE;
    if (c->writable && !b->write)
        return -EILSEQ; /* 2.7.4.2: what the device reads comes first */
    c->writable = b->write;
    c->more = d.flags & DESC_NEXT;
    c->next = d.next;
    return 1;
}

static inline void put_used(struct virtq *q, uint16_t n, uint16_t head, uint32_t written)
{
    uint64_t off = RING_ENTRIES + 8ull * ((q->used_idx + n) & (q->size - 1));
    char *hva = q->map[VIRTQ_USED].hva;

    if (hva) { /* aligned to 4 */
        __atomic_store_n((uint32_t *)(void *)(hva + off), head, __ATOMIC_RELAXED);
        __atomic_store_n((uint32_t *)(void *)(hva + off + 4), written, __ATOMIC_RELAXED);
    } else {
        const uint32_t elem[2] = {head, written};

        ring_store_copied(q, off, elem, sizeof(elem));
    }
}

static inline void show_used(struct virtq *q, uint16_t count)
{
    /* The data and the entries, before the idx that shows them. */
    atomic_thread_fence(memory_order_release);
    q->used_idx = (uint16_t)(q->used_idx + count);
    ring_store(q, RING_IDX, q->used_idx);
}

void virtq_push(struct virtq *q, uint16_t head, uint32_t written)
{
    if (!virtq_usable(q))
        return;
    put_used(q, 0, head, written);
    show_used(q, 1);
}

void virtq_put(struct virtq *q, uint16_t n, uint16_t head, uint32_t written)
{
    if (virtq_usable(q))
        put_used(q, n, head, written);
}

void virtq_show(struct virtq *q, uint16_t count)
{
    if (virtq_usable(q))
        show_used(q, count);
}

bool virtq_wants_notify(struct virtq *q)
{
    uint16_t since = q->signalled, event;

    if (q->used_idx == since || !virtq_usable(q))
        return false;
    /* Our idx must be visible before we look at what the driver wants: it does the reverse. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!q->event_idx)
        return !(ring_load(q, VIRTQ_AVAIL, RING_FLAGS) & AVAIL_NO_INTERRUPT);
    event = ring_load(q, VIRTQ_AVAIL, RING_ENTRIES + 2ull * q->size);
    return (uint16_t)(q->used_idx - event - 1) < (uint16_t)(q->used_idx - since);
}

bool virtq_notify(struct virtq *q)
{
    bool wanted = virtq_wants_notify(q);

    q->signalled = q->used_idx;
    return wanted;
}

static void set_avail_event(struct virtq *q, uint16_t event)
{
    ring_store(q, RING_ENTRIES + 8ull * q->size, event);
}

bool virtq_arm_after(struct virtq *q, uint16_t count)
{
    if (!virtq_usable(q))
        return false;
    if (q->event_idx) {
        set_avail_event(q, (uint16_t)(q->last_avail + count - 1));
    } else if (q->quiet) {
        q->quiet = false;
        ring_store(q, RING_FLAGS, 0);
    }
    atomic_thread_fence(memory_order_seq_cst);
    q->seen_avail = ring_load(q, VIRTQ_AVAIL, RING_IDX);
    return (uint16_t)(q->seen_avail - q->last_avail) >= (q->event_idx ? count : 1);
}

void virtq_disarm(struct virtq *q)
{
    if (!virtq_usable(q))
        return;
    if (q->event_idx) {
        set_avail_event(q, (uint16_t)(q->last_avail + EVENT_NEVER));
    } else if (!q->quiet) {
        q->quiet = true;
        ring_store(q, RING_FLAGS, USED_NO_NOTIFY);
    }
}

void virtq_save(const struct virtq *q, struct state_writer *w)
{
    for (unsigned i = 0; i < VIRTQ_PARTS; i++)
        state_put_u64(w, q->addr[i].v);
    state_put_u16(w, q->size);
    state_put_u16(w, q->last_avail);
    state_put_u16(w, q->used_idx);
    state_put_u16(w, q->signalled);
    state_put_u8(w, q->ready);
    state_put_u8(w, q->quiet);
    state_put_u8(w, q->broken);
}

void virtq_load(struct virtq *q, struct state_reader *r, uint16_t max)
{
    virtq_reset(q, max);
    for (unsigned i = 0; i < VIRTQ_PARTS; i++)
        q->addr[i] = gpa(state_get_u64(r));
    q->size = state_get_u16(r);
    q->last_avail = q->seen_avail = state_get_u16(r);
    q->used_idx = state_get_u16(r);
    q->signalled = state_get_u16(r);
    q->ready = state_get_u8(r) & 1;
    q->quiet = state_get_u8(r) & 1;
    q->broken = state_get_u8(r) & 1;
    if (!q->size || q->size > max || (q->size & (q->size - 1)))
        state_fail(r, -EINVAL);
    for (unsigned i = 0; i < VIRTQ_PARTS; i++)
        if (q->ready && !is_aligned(q->addr[i].v, part_shape[i].align))
            state_fail(r, -EINVAL);
    if (r->error) { /* nothing of a bad stream is ever used */
        q->ready = false;
        q->size = max;
    }
}
