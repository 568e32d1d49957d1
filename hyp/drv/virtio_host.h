// SPDX-License-Identifier: BSD-2-Clause
// Driver side of virtio-mmio (virtio 1.2 section 4.2; version 1 windows by section 4.2.4, "legacy": what
// QEMU offers unless told force-legacy=false).
//
// Split queues. Chains are built by virtio_host_append, offered by
// virtio_host_offer, and come back by virtio_host_used, in any order. Invariant: free descriptors form a list
// by link[], as chains do; links are kept apart from the descriptors, which the device could write.
// Lock rank: none of its own: the driver's lock (LOCK_BACKEND) is held. Callers: virtio_*_host.c.
#pragma once
#include "base/addr.h"
#include "boot/platform.h"

enum { VIRTIO_HOST_QUEUE = 256 }; /* descriptors at most; fewer when the device has fewer */
#define VIRTIO_HOST_F_EVENT_IDX (1ull << 29) /* wanted by drivers that call virtio_host_await */
enum { VIRTIO_ID_NET = 1, VIRTIO_ID_BLOCK = 2, VIRTIO_ID_CONSOLE = 3, VIRTIO_ID_RNG = 4 };

struct virtio_host_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

struct virtio_host;
struct virtio_host_queue {
    struct virtio_host *device;
    struct virtio_host_queue *next; /* of the device's */
    struct virtio_host_desc *desc;
    volatile uint16_t *avail; /* flags, idx, ring[] */
    volatile uint16_t *used; /* flags, idx, then {u32 id, u32 len}[] */
    unsigned index, pages; /* pages at desc */
    uint16_t size, free_head, free_count, avail_idx, used_idx;
    uint16_t tail; /* of the chain being built */
    uint16_t kicked; /* avail_idx when the device was last told */
    uint16_t link[VIRTIO_HOST_QUEUE]; /* the next of a chain or of the free list */
    uint16_t length[VIRTIO_HOST_QUEUE]; /* of the chain in flight with this head, else 0 */
};

struct virtio_host {
    volatile char *regs;
    uint32_t version, device_id, irq;
    uint64_t features; /* agreed */
    struct virtio_host_queue *queues;
};

struct virtio_host_buf {
    pa_t addr;
    uint32_t len;
    bool device_writes;
};

/* Resets the device and agrees on wanted & offered features (VIRTIO_F_VERSION_1 by itself). 0, -ENODEV
 * when the device refuses. */
int virtio_host_begin(struct virtio_host *d, uint64_t wanted) MUST_CHECK;
/* A queue of the device's, zeroed by the caller, who keeps it until the reset: at most size descriptors, a power of
 * two. Before virtio_host_go. 0, -ENOMEM, -ENODEV (there is none of this index). */
int virtio_host_queue_init(struct virtio_host_queue *q, struct virtio_host *d, unsigned index,
                           unsigned size) MUST_CHECK;
/* DRIVER_OK. */
void virtio_host_go(struct virtio_host *d);
/* Resets it and frees its queues' memory: before the driver, which has failed, frees the queues themselves. */
void virtio_host_forget(struct virtio_host *d);
/* Configuration space: 32 bits at offset (aligned); 8 bits. */
uint32_t virtio_host_config32(struct virtio_host *d, unsigned offset);
uint64_t virtio_host_config64(struct virtio_host *d, unsigned offset); /* stable */
uint8_t virtio_host_config8(struct virtio_host *d, unsigned offset);

/* Adds a descriptor to a chain that is being built: *head is -1 for the first. The caller has seen
 * that free_count is enough. */
void virtio_host_append(struct virtio_host_queue *q, int *head, struct virtio_host_buf buf);
/* Offers the chain to the device. */
void virtio_host_offer(struct virtio_host_queue *q, int head);
/* Tells the device of what was offered, if it wants to know. */
void virtio_host_kick(struct virtio_host_queue *q);
/* Asks for an interrupt once `count` more chains, at least 1, have been used; without VIRTIO_HOST_F_EVENT_IDX there is one for
 * each. True: so many have been already, and there may be none. (2.7.10) */
bool virtio_host_await(struct virtio_host_queue *q, unsigned count);
/* The next chain that the device has used, its descriptors freed: its head, or -EAGAIN. */
int virtio_host_used(struct virtio_host_queue *q, uint32_t *len) MUST_CHECK;
/* Acknowledges the device's interrupt. */
void virtio_host_ack(struct virtio_host *d);

/* The drivers. They own d from now on. 0, or an error with the reason logged. */
int virtio_net_host_attach(struct virtio_host *d) MUST_CHECK;
int virtio_blk_host_attach(struct virtio_host *d) MUST_CHECK;
int virtio_rng_host_attach(struct virtio_host *d) MUST_CHECK;
int virtio_serial_host_attach(struct virtio_host *d) MUST_CHECK;

/* Random bytes of the host, up to 64, waiting at most some milliseconds: how many came. */
size_t virtio_rng_host_read(void *to, size_t len);
/* Asks for 64 bytes; fn gets them later, on the boot hart, no lock held. Does nothing without a device
 * or while an earlier one is on its way. */
void virtio_rng_host_request(void (*fn)(const void *data, size_t len));
