// SPDX-License-Identifier: BSD-2-Clause
// The virtio-mmio transport, version 2 (virtio 1.2, section 4.2), for the devices in this folder.
//
// A device embeds struct virtio_dev first, fills it with virtio_init, and offers virtio_ops. The
// transport owns registers, status, features, queue set-up, the interrupt; the device owns what
// the chains mean.
// Invariants: start, notify and the device's ring work happen only while virtio_live; the interrupt
// line is high exactly while isr is not 0 (but while it changes, which takes no lock: whom an interrupt wakes is not to
// wait for who raised it, and is mostly the first to run). A chain that makes no sense ends in virtio_fail, and the
// device then does nothing until the driver resets it; no other VM notices.
// Lock rank: all functions here are called with vdev.lock (LOCK_DEVICE) held, but virtio_init. A device that is reached
// from elsewhere too, by others who hold their own device's lock, has a second one (inner, LOCK_PORT): for all but notify
// and InterruptACK both are held, and virtio_fail, virtio_config_changed need inner.
#pragma once
#include "vdev/dev.h"
#include "vdev/virtio/virtq.h"

enum { VIRTIO_MAX_QUEUES = 3, VIRTIO_CONFIG_MAX = 64 };

#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX (1ull << 29)
#define VIRTIO_F_VERSION_1 (1ull << 32)
#define VIRTIO_F_RING_RESET (1ull << 40)

enum {
    VIRTIO_ACKNOWLEDGE = 1,
    VIRTIO_DRIVER = 2,
    VIRTIO_DRIVER_OK = 4,
    VIRTIO_FEATURES_OK = 8,
    VIRTIO_NEEDS_RESET = 64,
    VIRTIO_FAILED = 128
};
enum { VIRTIO_INT_USED = 1, VIRTIO_INT_CONFIG = 2 };
enum { VIRTIO_ALL_QUEUES = -1 };

struct virtio_dev;
struct virtio_ops {
    uint32_t device_id;
    uint32_t queues;
    /* The driver kicked a queue. MMIO_RETRY: run me again (enough done for one exit). */
    enum mmio_result (*notify)(struct virtio_dev *v, unsigned queue);
    /* Optional, from here on. The driver is ready (DRIVER_OK). */
    void (*start)(struct virtio_dev *v);
    /* A queue, or VIRTIO_ALL_QUEUES, is being reset: forget its chains. What is in flight is
     * dropped when it ends: nothing is pushed. */
    void (*stop)(struct virtio_dev *v, int queue);
    bool (*busy)(struct virtio_dev *v); /* requests still reach guest memory */
    void (*config_write)(struct virtio_dev *v, uint64_t offset, uint64_t value, unsigned width);
    void (*save)(struct virtio_dev *v, struct state_writer *w);
    int (*load)(struct virtio_dev *v, struct state_reader *r);
    void (*resume)(struct virtio_dev *v);
    void (*destroy)(struct virtio_dev *v); /* frees; called without the lock */
    uint64_t (*memory)(struct virtio_dev *v); /* as vdev_ops says; not optional either */
};

struct virtio_dev {
    struct vdev vdev; /* first */
    const struct virtio_ops *ops;
    uint64_t offered, accepted; /* features */
    uint32_t device_sel, driver_sel, queue_sel;
    uint32_t generation; /* of the configuration space */
    uint8_t status;
    atomic_uint isr; /* without a lock */
    struct spinlock *inner; /* or NULL */
    bool stopping; /* a reset waits for requests in flight: begin no more */
    uint8_t config_len;
    _Alignas(8) uint8_t config[VIRTIO_CONFIG_MAX]; /* little endian, as the driver sees it */
    struct virtq q[VIRTIO_MAX_QUEUES];
};

void virtio_init(struct virtio_dev *v, const struct virtio_ops *ops, struct stage2 *mem,
                 uint64_t features);
static inline struct virtio_dev *virtio_of(struct vdev *dev) { return (struct virtio_dev *)dev; }

/* Whether this queue may be worked on. */
static inline bool virtio_live(const struct virtio_dev *v, unsigned queue)
{
    return (v->status & (VIRTIO_DRIVER_OK | VIRTIO_NEEDS_RESET)) == VIRTIO_DRIVER_OK &&
           !v->stopping && v->q[queue].ready;
}
/* Raises the interrupt, for VIRTIO_INT_ bits; a driver that is not ready gets none. Whatever locks are held: best none that
 * the guest's next access takes. */
void virtio_interrupt(struct virtio_dev *v, unsigned bits);
/* Chains were pushed: interrupts, if the driver wants to know. Whether it did. */
bool virtio_used(struct virtio_dev *v, unsigned queue);
/* The configuration space changed: a new generation and an interrupt. */
void virtio_config_changed(struct virtio_dev *v);
/* Lets the driver see what was changed of v->config otherwise. */
void virtio_show(struct virtio_dev *v);
/* The driver broke a rule that leaves no way on: DEVICE_NEEDS_RESET, and one line in the log. */
void virtio_fail(struct virtio_dev *v, const char *why);
