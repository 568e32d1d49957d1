// SPDX-License-Identifier: BSD-2-Clause
#include "net/capture.h"

#include <string.h>

#include "base/arch.h"
#include "base/spinlock.h"
#include "mem/heap.h"
#include "net/offload.h"
#include "net/pcapng.h"
#include "sched/timer.h"

static struct capture {
    struct spinlock lock;
    bool used;
    const void *of; /* NULL: of nothing */
    bool ended;
    uint8_t *ring;
    uint32_t at, have; /* of the ring: the first byte that waits, and how many do */
    uint32_t snaplen;
    struct capture_counts counts;
    uint64_t lost_since; /* the last frame that was put in */
    void (*ready)(void);
} captures[CAPTURES] = {
    [0 ... CAPTURES - 1] = {.lock = SPINLOCK_INIT(LOCK_SWITCH)},
};

static uint64_t now_ns(void)
{
    uint64_t ticks = arch_time(), hz = timer_hz ? timer_hz : 1;

    return ticks / hz * 1000000000 + ticks % hz * 1000000000 / hz;
}

/* ---- the ring; the capture's lock is held ---- */

/* How many bytes from offset on behind what waits are in one piece. */
static uint32_t piece(const struct capture *c, uint32_t offset, uint32_t len, uint8_t **to)
{
    uint32_t at = (c->at + c->have + offset) % CAPTURE_RING;

    *to = c->ring + at;
    return (uint32_t)min_u64(len, CAPTURE_RING - at);
}

/* Behind what waits, without making it wait; its end. */
static uint32_t put(struct capture *c, uint32_t offset, const void *from, uint32_t len)
{
    uint8_t *to;
    uint32_t first = piece(c, offset, len, &to);

    memcpy(to, from, first);
    memcpy(c->ring, (const uint8_t *)from + first, len - first);
    return offset + len;
}

/* The frame's first bytes; false: they cannot be read. */
static bool put_frame(struct capture *c, uint32_t offset, const struct net_frame *f, uint32_t len)
{
    uint8_t *to;
    uint32_t first = piece(c, offset, len, &to);

    return !offload_read(f, 0, to, first) &&
           (first == len || !offload_read(f, first, c->ring, len - first));
}

/* What was put becomes what waits. */
static void show(struct capture *c, uint32_t len)
{
    bool was_empty = !c->have;

    c->have += len;
    if (was_empty)
        c->ready();
}

static bool has_room(const struct capture *c, uint32_t len)
{
    return len + PCAPNG_END <= CAPTURE_RING - c->have;
}

/* ---- frames ---- */

static void take_frame(struct capture *c, const struct net_frame *f, bool sent)
{
    struct pcapng_frame p = {.time = now_ns(),
                             .captured = (uint32_t)min_u64(f->len, c->snaplen),
                             .length = f->len,
                             .sent = sent,
                             .lost = c->lost_since};
    uint8_t head[PCAPNG_HEAD], tail[PCAPNG_TAIL];
    uint32_t end = pcapng_tail(tail, &p);

    if (!has_room(c, PCAPNG_HEAD + p.captured + end) || !put_frame(c, PCAPNG_HEAD, f, p.captured)) {
        c->counts.lost++;
        c->lost_since++;
        return;
    }
    pcapng_head(head, &p);
    put(c, 0, head, PCAPNG_HEAD);
    show(c, put(c, PCAPNG_HEAD + p.captured, tail, end));
    c->counts.frames++;
    c->lost_since = 0;
}

void capture_frame(struct capture *c, const void *of, const struct net_frame *f, bool sent)
{
    spin_lock(&c->lock);
    if (c->of == of)
        take_frame(c, f, sent);
    spin_unlock(&c->lock);
}

/* ---- life ---- */

/* One that nobody has. */
static struct capture *reserve(void)
{
    for (unsigned i = 0; i < CAPTURES; i++) {
        bool had;

        spin_lock(&captures[i].lock);
        had = captures[i].used;
        captures[i].used = true;
        spin_unlock(&captures[i].lock);
        if (!had)
            return &captures[i];
    }
    return NULL;
}

struct capture *capture_make(const char *name, uint32_t snaplen, void (*ready)(void),
                             const char **why)
{
    struct capture *c = reserve();
    uint8_t begin[PCAPNG_BEGIN], *ring;

    *why = "there are as many captures as can be";
    if (!c)
        return NULL;
    ring = heap_alloc(CAPTURE_RING);
    *why = "out of memory";
    spin_lock(&c->lock);
    c->used = ring != NULL;
    c->ring = ring;
    c->of = NULL;
    c->ended = false;
    c->at = c->have = 0;
    c->snaplen = snaplen;
    c->counts = (struct capture_counts){0};
    c->lost_since = 0;
    c->ready = ready;
    if (ring)
        show(c, put(c, 0, begin, pcapng_begin(begin, name, snaplen)));
    spin_unlock(&c->lock);
    return ring ? c : NULL;
}

void capture_watch(struct capture *c, const void *of)
{
    spin_lock(&c->lock);
    c->of = of;
    spin_unlock(&c->lock);
}

void capture_end(struct capture *c, const void *of)
{
    uint8_t end[PCAPNG_END];

    spin_lock(&c->lock);
    if (!c->ended && (!of || c->of == of)) {
        c->of = NULL;
        c->ended = true;
        pcapng_end(end, now_ns(), c->counts.frames, c->counts.lost);
        show(c, put(c, 0, end, PCAPNG_END));
    }
    spin_unlock(&c->lock);
}

void capture_free(struct capture *c)
{
    uint8_t *ring;

    spin_lock(&c->lock);
    c->of = NULL;
    ring = c->ring;
    c->ring = NULL;
    c->used = false;
    spin_unlock(&c->lock);
    heap_free(ring);
}

/* ---- reading ---- */

uint32_t capture_waits(struct capture *c, bool *ended)
{
    uint32_t have;

    spin_lock(&c->lock);
    have = c->have;
    *ended = c->ended;
    spin_unlock(&c->lock);
    return have;
}

/* Bytes at the front, which stay there. */
static void peek(const struct capture *c, uint32_t offset, uint8_t *to, uint32_t len)
{
    uint32_t at = (c->at + offset) % CAPTURE_RING;
    uint32_t first = (uint32_t)min_u64(len, CAPTURE_RING - at);

    memcpy(to, c->ring + at, first);
    memcpy(to + first, c->ring, len - first);
}

uint32_t capture_take(struct capture *c, uint8_t *to, uint32_t max)
{
    uint32_t size = 0;

    spin_lock(&c->lock);
    while (size < c->have) {
        uint8_t head[8];
        uint32_t next;

        peek(c, size, head, sizeof(head));
        next = pcapng_block_size(head);
        if (next > max - size)
            break;
        size += next;
    }
    peek(c, 0, to, size);
    c->at = (c->at + size) % CAPTURE_RING;
    c->have -= size;
    spin_unlock(&c->lock);
    return size;
}

struct capture_counts capture_counts(struct capture *c)
{
    struct capture_counts counts;

    spin_lock(&c->lock);
    counts = c->counts;
    spin_unlock(&c->lock);
    return counts;
}
