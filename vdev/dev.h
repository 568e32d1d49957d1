// SPDX-License-Identifier: BSD-2-Clause
// Virtual devices: an access record, guest memory, a backend and an interrupt line. A device knows
// nothing of vCPUs, page tables or harts.
//
// An MMIO exit becomes one struct mmio_access; bus_access finds the device and calls its access
// operation with the device's lock held; exit.c applies the result once.
// Invariants: access never waits; it either completes or returns MMIO_RETRY before any side
// effect. Every device implements save and load. Widths that a device does not take: reads give 0,
// writes are dropped, MMIO_OK (as on real buses) unless the device's chapter says otherwise.
// Lock rank: LOCK_DEVICE for dev->lock, taken by the bus and by backends' completion callbacks;
// the interrupt line (LOCK_IRQCHIP) and guest_mem may be used under it. Callers: devices, bus.c, vm (makes and adds them).
#pragma once
#include "base/addr.h"
#include "base/log.h"
#include "base/spinlock.h"
#include "base/state.h"
#include "stage2/guest_mem.h"

struct mmio_access {
    gpa_t gpa;
    uint64_t offset; /* within the device; set by the bus */
    uint64_t value; /* write: what to store, zero extended; read: the result, zero extended */
    uint8_t width; /* bytes: 1, 2, 4, 8 */
    bool write;
    uint16_t vcpu; /* index of the vCPU that did it (the vPLIC's contexts need no more) */
};

/* MMIO_RETRY: the instruction is to be run again after a yield (the backend is full, a request that
 * the access would abandon still moves data, or the device has done its share of work for one exit);
 * nobody says when, and the pc has not moved. */
enum mmio_result { MMIO_OK, MMIO_UNHANDLED, MMIO_RETRY };

/* An interrupt line of a VM's interrupt controller, level by nature; pulse for edges. */
struct irq_line {
    void (*set)(void *chip, uint32_t source, bool level);
    void *chip;
    uint32_t source;
};
static inline void irq_line_set(const struct irq_line *l, bool level)
{
    if (l->set)
        l->set(l->chip, l->source, level);
}

struct vdev;
struct vdev_ops {
    const char *type; /* "ns16550a", "virtio-mmio", "plic": for people and for state sections */
    enum mmio_result (*access)(struct vdev *dev, struct mmio_access *a);
    void (*reset)(struct vdev *dev); /* as at power on; in flight requests are drained or dropped */
    void (*save)(struct vdev *dev, struct state_writer *w);
    int (*load)(struct vdev *dev, struct state_reader *r);
    void (*destroy)(struct vdev *dev); /* frees the device; in flight requests are done */
    /* Bytes of the host's memory that it and its backend hold, the contents of RAM disks apart. */
    uint64_t (*memory)(struct vdev *dev);
    /* Optional. Reads, called WITHOUT the lock, which costs as much as the rest of the way from bus to
     * device: answers those that change nothing and need one load only; the others it hands on, as
     * its last act, to bus_access_locked. */
    enum mmio_result (*read)(struct vdev *dev, struct mmio_access *a);
    /* Optional. Writes, likewise: does those that need no lock, and hands the others on. */
    enum mmio_result (*write)(struct vdev *dev, struct mmio_access *a);
    /* Optional. Whether a backend still has requests that reach guest memory. Before a reset, an
     * unload of guest memory, or a destroy, the VM code stops the vCPUs and waits for false. */
    bool (*busy)(struct vdev *dev);
    /* Optional. After a load, before the vCPUs run: does again what was in flight at the save. */
    void (*resume)(struct vdev *dev);
};
/* All operations but access are called without the device's lock, and take it themselves. load of a
 * device whose name, mem and irq are set; -EINVAL when the stream does not fit: destroy it then. */

/* What a device has moved for its guest since it was made: for people and programs, no part of its state. */
enum vdev_direction { VDEV_READ, VDEV_WRITE, VDEV_DIRECTIONS }; /* as the guest sees it */
struct vdev_account {
    uint64_t operations[VDEV_DIRECTIONS], bytes[VDEV_DIRECTIONS], flushes;
};

struct vdev_page {
    void *hva; /* a frame of the device's, or NULL: there is no such page */
    uint64_t offset; /* within the device */
};

struct vdev {
    const struct vdev_ops *ops;
    char name[16]; /* "uart0", "virtio1" */
    char role[12]; /* what it is to the VM, in accounts: "disk-0", "hvc" */
    gpa_t base;
    uint64_t size;
    struct stage2 *mem; /* guest memory, for guest_mem_* */
    struct irq_line irq;
    /* A page of which reads change nothing, with what they give: the VM maps it for its guest, for reading only, so that they
     * are no exits. From its first reset on the device keeps it as its registers are (vdev_show); writes come to access, as ever. */
    struct vdev_page page;
    /* Its VM's, for lines that the guest can provoke; NULL: none is held back. */
    struct log_limit *log;
    struct spinlock lock;
    uint64_t reads, writes; /* accesses, for the shell */
    struct vdev_account account; /* under the lock; others may read it, a little late */
};

/* What a read of the aligned word at offset, which is in the page, gives from now on. */
static inline void vdev_show(struct vdev *dev, uint64_t offset, uint32_t value)
{
    char *p = dev->page.hva;

    if (p)
        __atomic_store_n((uint32_t *)(void *)(p + (offset - dev->page.offset)), value,
                         __ATOMIC_RELEASE);
}

static inline void vdev_moved(struct vdev *dev, enum vdev_direction direction, uint64_t bytes)
{
    dev->account.bytes[direction] += bytes;
}
static inline void vdev_operated(struct vdev *dev, enum vdev_direction direction)
{
    dev->account.operations[direction]++;
}

/* The VM's devices by address. Filled before the VM runs, constant while it does. */
#define BUS_MAX 24
struct bus {
    struct vdev *dev[BUS_MAX]; /* ascending base, no overlaps */
    unsigned count;
    struct vdev *_Atomic last; /* the last one hit: a guess, which any hart may overwrite */
};
int bus_add(struct bus *bus, struct vdev *dev) MUST_CHECK; /* -ENOSPC, -EEXIST, -EINVAL */
/* Devices whose range does not hold the whole access: MMIO_UNHANDLED. */
enum mmio_result bus_access(struct bus *bus, struct mmio_access *a);
/* The device's access operation under its lock; offset is set. For read operations of devices. */
enum mmio_result bus_access_locked(struct vdev *dev, struct mmio_access *a);
struct vdev *bus_find(struct bus *bus, gpa_t g);

static inline bool vdev_busy(struct vdev *dev) { return dev->ops->busy && dev->ops->busy(dev); }
static inline void vdev_resume(struct vdev *dev)
{
    if (dev->ops->resume)
        dev->ops->resume(dev);
}
