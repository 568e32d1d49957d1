// SPDX-License-Identifier: BSD-2-Clause
// The virtual PLIC. (RISC-V PLIC specification 1.0.0; section numbers below are its chapters.)
//
// Sources are bits of 64-bit words. A source's gateway: line high (or a pulse) sets pending, unless the
// source is in service; a claim moves it from pending to in service; completion ends that, and, when the
// line is high still, sets pending again. What is pending stays so until claimed, even if the line falls.
#include "vdev/irqchip/vplic.h"

#include <errno.h>

#include "mem/frame.h"
#include "mem/heap.h"

enum { /* register map, chapter 3 */
       PRIORITY = 0x0,
       PENDING = 0x1000,
       ENABLE = 0x2000,
       ENABLE_STRIDE = 0x80,
       CONTEXT = 0x200000,
       CONTEXT_STRIDE = 0x1000,
       CONTEXT_THRESHOLD = 0,
       CONTEXT_CLAIM = 4
};
enum { PRIORITY_MAX = 7 };
#define SOURCES (~0ull << 1) /* source 0 does not exist */

struct vplic {
    struct vdev vdev; /* first; the lock has rank LOCK_IRQCHIP */
    void (*set_external)(void *owner, unsigned context, bool level);
    void *owner;
    unsigned contexts;
    uint64_t line, pending, service;
    uint64_t active; /* sources with a priority above 0: others never interrupt */
    uint64_t out; /* bit per context: its output as last told */
    uint8_t priority[VPLIC_SOURCES + 1];
    struct {
        uint64_t enable;
        uint32_t threshold;
    } context[];
};

/* Index of the lowest bit set, without a libgcc call; x is not 0. */
static unsigned lowest_bit(uint64_t x)
{
    unsigned n = 0;

    for (unsigned step = 32; step; step /= 2) {
        if (!(x & ((1ull << step) - 1))) {
            x >>= step;
            n += step;
        }
    }
    return n;
}

/* The source that context c would claim (highest priority, then lowest id), or 0. */
static unsigned best_source(const struct vplic *p, unsigned c)
{
    uint64_t ready = p->pending & p->context[c].enable & p->active;
    unsigned best = 0, best_priority = 0;

    while (ready) {
        unsigned s = lowest_bit(ready);

        ready &= ready - 1;
        if (p->priority[s] > best_priority) {
            best = s;
            best_priority = p->priority[s];
        }
    }
    return best;
}

static bool context_output(const struct vplic *p, unsigned c)
{
    return p->priority[best_source(p, c)] > p->context[c].threshold; /* priority[0] is 0 */
}

static void update_context(struct vplic *p, unsigned c)
{
    bool level = context_output(p, c);

    if (level == ((p->out >> c) & 1))
        return;
    p->out ^= 1ull << c;
    p->set_external(p->owner, c, level);
}

static void update_all(struct vplic *p)
{
    for (unsigned c = 0; c < p->contexts; c++)
        update_context(p, c);
}

static void update_source(struct vplic *p, uint64_t bit)
{
    for (unsigned c = 0; c < p->contexts; c++)
        if (p->context[c].enable & bit)
            update_context(p, c);
}

/* ---- lines ---- */

static void vplic_set(void *chip, uint32_t source, bool level)
{
    struct vplic *p = chip;
    uint64_t bit;

    if (!source || source > VPLIC_SOURCES)
        return;
    bit = 1ull << source;
    spin_lock(&p->vdev.lock);
    if (!level) {
        p->line &= ~bit;
    } else {
        p->line |= bit;
        if (!((p->pending | p->service) & bit)) {
            p->pending |= bit;
            update_source(p, bit);
        }
    }
    spin_unlock(&p->vdev.lock);
}

struct irq_line vplic_line(struct vdev *plic, uint32_t source)
{
    return (struct irq_line){.set = vplic_set, .chip = plic, .source = source};
}

/* ---- registers ---- */

/* Chapter 8. A claim ignores the threshold. */
static uint32_t claim(struct vplic *p, unsigned c)
{
    unsigned source = best_source(p, c);
    uint64_t bit = 1ull << source;

    if (!source)
        return 0;
    p->pending &= ~bit;
    p->service |= bit;
    update_source(p, bit);
    return source;
}

/* Chapter 9. An id that is not enabled for the context is ignored. */
static void complete(struct vplic *p, unsigned c, uint32_t source)
{
    uint64_t bit;

    if (!source || source > VPLIC_SOURCES)
        return;
    bit = 1ull << source;
    if (!(p->service & p->context[c].enable & bit))
        return;
    p->service &= ~bit;
    if (p->line & bit) {
        p->pending |= bit;
        update_source(p, bit);
    }
}

static uint32_t word_of(uint64_t bits, uint64_t word)
{
    return word < 2 ? (uint32_t)(bits >> (32 * word)) : 0;
}

static uint32_t vplic_read(struct vplic *p, uint64_t offset)
{
    if (offset < PENDING)
        return offset / 4 <= VPLIC_SOURCES ? p->priority[offset / 4] : 0;
    if (offset >= CONTEXT) {
        uint64_t c = (offset - CONTEXT) / CONTEXT_STRIDE;

        if (c >= p->contexts)
            return 0;
        switch (offset % CONTEXT_STRIDE) {
        case CONTEXT_CLAIM:
            return claim(p, (unsigned)c);
        case CONTEXT_THRESHOLD:
            return p->context[c].threshold;
        default:
            return 0;
        }
    }
    if (offset >= ENABLE) {
        uint64_t c = (offset - ENABLE) / ENABLE_STRIDE;

        return c < p->contexts ? word_of(p->context[c].enable, offset % ENABLE_STRIDE / 4) : 0;
    }
    return word_of(p->pending, (offset - PENDING) / 4);
}

static void write_priority(struct vplic *p, uint64_t source, uint32_t value)
{
    if (!source || source > VPLIC_SOURCES)
        return;
    p->priority[source] = value & PRIORITY_MAX;
    if (p->priority[source])
        p->active |= 1ull << source;
    else
        p->active &= ~(1ull << source);
    update_source(p, 1ull << source);
}

/* The enable bits of a context are what drivers read at each interrupt (Linux, before it completes one). */
static void show_enable(struct vplic *p, unsigned c)
{
    for (unsigned word = 0; word < 2; word++)
        vdev_show(&p->vdev, ENABLE + (uint64_t)c * ENABLE_STRIDE + 4 * word,
                  word_of(p->context[c].enable, word));
}

static void show_all(struct vplic *p)
{
    for (unsigned c = 0; c < p->contexts; c++)
        show_enable(p, c);
}

static void write_enable(struct vplic *p, uint64_t c, uint64_t word, uint32_t value)
{
    uint64_t *enable;

    if (c >= p->contexts || word >= 2)
        return;
    enable = &p->context[c].enable;
    *enable &= ~(0xffffffffull << (32 * word));
    *enable |= ((uint64_t)value << (32 * word)) & SOURCES;
    show_enable(p, (unsigned)c);
    update_context(p, (unsigned)c);
}

static void vplic_write(struct vplic *p, uint64_t offset, uint32_t value)
{
    if (offset >= CONTEXT) {
        uint64_t c = (offset - CONTEXT) / CONTEXT_STRIDE;

        if (c >= p->contexts)
            return;
        if (offset % CONTEXT_STRIDE == CONTEXT_CLAIM) {
            complete(p, (unsigned)c, value);
        } else if (offset % CONTEXT_STRIDE == CONTEXT_THRESHOLD) {
            p->context[c].threshold = value & PRIORITY_MAX;
            update_context(p, (unsigned)c);
        }
    } else if (offset >= ENABLE) {
        write_enable(p, (offset - ENABLE) / ENABLE_STRIDE, offset % ENABLE_STRIDE / 4, value);
    } else if (offset < PENDING) {
        write_priority(p, offset / 4, value);
    }
}

static enum mmio_result vplic_access(struct vdev *dev, struct mmio_access *a)
{
    struct vplic *p = (struct vplic *)dev;

    if (a->width != 4 || (a->offset & 3)) {
        if (!a->write)
            a->value = 0;
    } else if (a->write) {
        vplic_write(p, a->offset, (uint32_t)a->value);
    } else {
        a->value = vplic_read(p, a->offset);
    }
    return MMIO_OK;
}

/* All reads but a claim: each is of one word. */
static enum mmio_result vplic_read_unlocked(struct vdev *dev, struct mmio_access *a)
{
    if (a->width != 4 || (a->offset & 3) ||
        (a->offset >= CONTEXT && a->offset % CONTEXT_STRIDE == CONTEXT_CLAIM))
        return bus_access_locked(dev, a);
    a->value = vplic_read((struct vplic *)dev, a->offset);
    return MMIO_OK;
}

/* ---- the device ---- */

/* Lines belong to the devices: they are not ours to reset. */
static void vplic_clear(struct vplic *p)
{
    p->service = p->active = 0;
    p->pending = p->line;
    for (unsigned s = 0; s <= VPLIC_SOURCES; s++)
        p->priority[s] = 0;
    for (unsigned c = 0; c < p->contexts; c++) {
        p->context[c].enable = 0;
        p->context[c].threshold = 0;
    }
    show_all(p);
    update_all(p);
}

static void vplic_reset(struct vdev *dev)
{
    spin_lock(&dev->lock);
    vplic_clear((struct vplic *)dev);
    spin_unlock(&dev->lock);
}

static void vplic_save(struct vdev *dev, struct state_writer *w)
{
    struct vplic *p = (struct vplic *)dev;

    spin_lock(&dev->lock);
    state_put_u32(w, p->contexts);
    state_put_u64(w, p->line);
    state_put_u64(w, p->pending);
    state_put_u64(w, p->service);
    state_put(w, p->priority, sizeof(p->priority));
    for (unsigned c = 0; c < p->contexts; c++) {
        state_put_u64(w, p->context[c].enable);
        state_put_u32(w, p->context[c].threshold);
    }
    spin_unlock(&dev->lock);
}

static int vplic_load(struct vdev *dev, struct state_reader *r)
{
    struct vplic *p = (struct vplic *)dev;

    spin_lock(&dev->lock);
    if (state_get_u32(r) != p->contexts)
        state_fail(r, -EINVAL);
    p->line = state_get_u64(r) & SOURCES;
    p->pending = state_get_u64(r) & SOURCES;
    p->service = state_get_u64(r) & SOURCES;
    state_get(r, p->priority, sizeof(p->priority));
    p->active = 0;
    for (unsigned s = 0; s <= VPLIC_SOURCES; s++) {
        if (p->priority[s] > (s ? PRIORITY_MAX : 0))
            state_fail(r, -EINVAL);
        p->active |= (uint64_t)(p->priority[s] != 0) << s;
    }
    for (unsigned c = 0; c < p->contexts; c++) {
        p->context[c].enable = state_get_u64(r) & SOURCES;
        p->context[c].threshold = state_get_u32(r) & PRIORITY_MAX;
    }
    if (r->error)
        vplic_clear(p);
    show_all(p);
    /* Tell every output, changed or not: the vCPUs were loaded too. */
    p->out = 0;
    for (unsigned c = 0; c < p->contexts; c++) {
        bool level = context_output(p, c);

        p->out |= (uint64_t)level << c;
        p->set_external(p->owner, c, level);
    }
    spin_unlock(&dev->lock);
    return r->error;
}

static void vplic_destroy(struct vdev *dev)
{
    if (dev->page.hva)
        frame_free_page(dev->page.hva);
    heap_free(dev);
}

static size_t size_of(unsigned contexts)
{
    return sizeof(struct vplic) + contexts * sizeof(((struct vplic *)0)->context[0]);
}

static uint64_t vplic_memory(struct vdev *dev)
{
    return heap_takes(size_of(((struct vplic *)dev)->contexts)) + (dev->page.hva ? PAGE_SIZE : 0);
}

static const struct vdev_ops vplic_ops = {
    .type = "plic",
    .access = vplic_access,
    .read = vplic_read_unlocked,
    .reset = vplic_reset,
    .save = vplic_save,
    .load = vplic_load,
    .destroy = vplic_destroy,
    .memory = vplic_memory,
};

struct vdev *vplic_create(unsigned contexts,
                          void (*set_external)(void *owner, unsigned context, bool level),
                          void *owner)
{
    struct vplic *p;

    if (!contexts || contexts > VPLIC_MAX_CONTEXTS)
        return NULL;
    p = heap_alloc(size_of(contexts));
    if (!p)
        return NULL;
    p->vdev.ops = &vplic_ops;
    p->vdev.size = VPLIC_SIZE;
    spin_init(&p->vdev.lock, LOCK_IRQCHIP);
    p->set_external = set_external;
    p->owner = owner;
    p->contexts = contexts;
    p->vdev.page = (struct vdev_page){NULL, ENABLE};
    if (contexts * ENABLE_STRIDE <= PAGE_SIZE)
        p->vdev.page.hva = frame_alloc_page(); /* without it reads are exits */
    return &p->vdev;
}
