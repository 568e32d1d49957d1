// SPDX-License-Identifier: BSD-2-Clause
// Constructors of the virtio devices and the UART; each returns a heap-allocated device, or NULL when out of
// memory. The VM code sets name, base, mem, irq before it adds the device to the bus.
// Lock rank: none. Callers: hyp/vm only.
#pragma once
#include "vdev/backend.h"
#include "vdev/dev.h"

struct vdev *virtio_console_create(struct stage2 *mem, struct chr_backend *chr);
struct vdev *virtio_blk_create(struct stage2 *mem, struct blk_backend *blk);
/* blk has grown: the driver is told of the disk's size (virtio 1.2, 5.2.5.2). No lock held. */
void virtio_blk_grown(struct vdev *dev);
/* Plugged into net, which close takes back when the device goes. */
struct vdev *virtio_net_create(struct stage2 *mem, struct net_backend *net);
struct vdev *virtio_rng_create(struct stage2 *mem, struct entropy_backend *rng);
/* vdev/ns16550.c; reg-shift 0, one-byte registers. */
struct vdev *ns16550_create(struct chr_backend *chr);
#define VIRTIO_MMIO_SIZE \
    0x1000 /* bytes of a virtio device's registers, for the guest's device tree */
