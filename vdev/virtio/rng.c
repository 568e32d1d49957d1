// SPDX-License-Identifier: BSD-2-Clause
// virtio entropy: one queue of buffers to fill. (virtio 1.2, 5.4)
#include <errno.h>

#include "mem/heap.h"
#include "vdev/virtio/virtio_dev.h"
#include "vdev/virtio/virtio_mmio.h"

/* The device need not fill a buffer (5.4.6.1: one byte will do), and drivers come back: so that
 * no kick makes the host generate megabytes. */
enum {
    VRNG_CHAIN_MAX = 256,
    VRNG_STEP = 64, /* made at once: a chain may have hundreds of buffers of one byte */
    VRNG_KICK = 64 /* chains in one exit */
};

struct vrng {
    struct virtio_dev v;
    struct entropy_backend *source;
};

static int vrng_fill(struct vrng *g, struct virtq_chain *c, uint32_t *filled)
{
    uint8_t random[VRNG_CHAIN_MAX];
    struct virtq_buf b;
    uint32_t made = 0;
    int r;

    *filled = 0;
    while (*filled < sizeof(random) && (r = virtq_next(c, &b)) != 0) {
        uint32_t n = (uint32_t)min_u64(b.len, sizeof(random) - *filled);

        if (r < 0 || !b.write)
            return -EILSEQ;
        for (; made < *filled + n; made += VRNG_STEP)
            g->source->fill(g->source->ctx, random + made, VRNG_STEP);
        r = guest_mem_write(g->v.vdev.mem, b.addr, random + *filled, n);
        if (r)
            return r;
        *filled += n;
    }
    return 0;
}

static enum mmio_result vrng_notify(struct virtio_dev *v, unsigned queue)
{
    struct virtq *q = &v->q[queue];

    for (unsigned n = 0; n < VRNG_KICK; n++) {
        struct virtq_chain c;
        uint32_t filled;
        int r = virtq_pop(q, &c);

        if (r == 0) {
            if (virtq_arm(q))
                continue;
            virtio_used(v, queue);
            return MMIO_OK;
        }
        if (r < 0 || vrng_fill(CONTAINER_OF(v, struct vrng, v), &c, &filled)) {
            virtio_fail(v, "a malformed entropy request");
            return MMIO_OK;
        }
        virtq_push(q, c.head, filled);
        vdev_operated(&v->vdev, VDEV_READ);
        vdev_moved(&v->vdev, VDEV_READ, filled);
    }
    virtio_used(v, queue);
    return MMIO_RETRY;
}

static void vrng_destroy(struct virtio_dev *v) { heap_free(CONTAINER_OF(v, struct vrng, v)); }

static uint64_t vrng_memory(struct virtio_dev *v)
{
    (void)v;
    return heap_takes(sizeof(struct vrng));
}

static const struct virtio_ops vrng_ops = {
    .device_id = 4,
    .queues = 1,
    .notify = vrng_notify,
    .destroy = vrng_destroy,
    .memory = vrng_memory,
};

struct vdev *virtio_rng_create(struct stage2 *mem, struct entropy_backend *rng)
{
    struct vrng *g = heap_alloc(sizeof(*g));

    if (!g)
        return NULL;
    g->source = rng;
    virtio_init(&g->v, &vrng_ops, mem, 0);
    return &g->v.vdev;
}
