// SPDX-License-Identifier: BSD-2-Clause
// The MMIO bus: which device an access belongs to.
#include "vdev/dev.h"

#include <errno.h>

static bool in_range(const struct vdev *dev, gpa_t g)
{
    return g.v - dev->base.v < dev->size; /* below base wraps, and is too large */
}

int bus_add(struct bus *bus, struct vdev *dev)
{
    unsigned at = 0;

    if (!dev->size || dev->base.v + (dev->size - 1) < dev->base.v)
        return -EINVAL;
    if (bus->count == BUS_MAX)
        return -ENOSPC;
    while (at < bus->count && bus->dev[at]->base.v < dev->base.v)
        at++;
    if (at > 0 && in_range(bus->dev[at - 1], dev->base))
        return -EEXIST;
    if (at < bus->count && in_range(dev, bus->dev[at]->base))
        return -EEXIST;
    for (unsigned i = bus->count; i > at; i--)
        bus->dev[i] = bus->dev[i - 1];
    bus->dev[at] = dev;
    /* Another hart may be counting what a VM takes while its devices are made: it sees no place without a device. */
    __atomic_store_n(&bus->count, bus->count + 1, __ATOMIC_RELEASE);
    return 0;
}

static __attribute__((noinline)) struct vdev *bus_search(struct bus *bus, gpa_t g)
{
    struct vdev *dev;
    unsigned low = 0, high = bus->count;

    while (low < high) {
        unsigned mid = (low + high) / 2;

        if (bus->dev[mid]->base.v <= g.v)
            low = mid + 1;
        else
            high = mid;
    }
    if (!low || !in_range(bus->dev[low - 1], g))
        return NULL;
    dev = bus->dev[low - 1];
    atomic_store_explicit(&bus->last, dev, memory_order_relaxed);
    return dev;
}

/* Most accesses are to the device of the one before. */
static inline struct vdev *guess(struct bus *bus, gpa_t g)
{
    struct vdev *dev = atomic_load_explicit(&bus->last, memory_order_relaxed);

    return dev && in_range(dev, g) ? dev : NULL;
}

struct vdev *bus_find(struct bus *bus, gpa_t g)
{
    struct vdev *dev = guess(bus, g);

    return dev ? dev : bus_search(bus, g);
}

/* This one and the next are not inlined so that bus_access, on its usual way, ends in a jump and saves no register. */
__attribute__((noinline)) enum mmio_result bus_access_locked(struct vdev *dev,
                                                             struct mmio_access *a)
{
    enum mmio_result result;

    spin_lock(&dev->lock);
    result = dev->ops->access(dev, a);
    spin_unlock(&dev->lock);
    return result;
}

/* Counts that race with another hart's may lose one: they are for people. */
static inline void count(uint64_t *n)
{
    __atomic_store_n(n, __atomic_load_n(n, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

static inline enum mmio_result access_device(struct vdev *dev, struct mmio_access *a)
{
    uint64_t offset = a->gpa.v - dev->base.v;

    if (a->width > dev->size - offset)
        return MMIO_UNHANDLED;
    a->offset = offset;
    if (a->write) {
        count(&dev->writes);
        return dev->ops->write ? dev->ops->write(dev, a) : bus_access_locked(dev, a);
    }
    count(&dev->reads);
    return dev->ops->read ? dev->ops->read(dev, a) : bus_access_locked(dev, a);
}

static __attribute__((noinline)) enum mmio_result access_other(struct bus *bus,
                                                               struct mmio_access *a)
{
    struct vdev *dev = bus_search(bus, a->gpa);

    return dev ? access_device(dev, a) : MMIO_UNHANDLED;
}

enum mmio_result bus_access(struct bus *bus, struct mmio_access *a)
{
    struct vdev *dev = guess(bus, a->gpa);

    return dev ? access_device(dev, a) : access_other(bus, a);
}
