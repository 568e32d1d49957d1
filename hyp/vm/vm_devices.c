// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "blk/disks.h"
#include "ctl/console.h"
#include "drv/drv.h"
#include "vdev/irqchip/vplic.h"
#include "vdev/ramdisk.h"
#include "vdev/rtc.h"
#include "vdev/virtio/virtio_dev.h"
#include "vm/layout.h"
#include "vm/vm_ops.h"

/* Disks, cards, console and entropy: their interrupts are those below the UART's. */
_Static_assert(VM_MAX_DISKS + VM_MAX_NETS + 2 <= GUEST_VIRTIO_MAX, "virtio devices of a VM");

static void set_external(void *owner, unsigned context, bool level)
{
    struct vm *vm = owner;

    if (context < vm->guest.vcpu_count)
        vcpu_irq_set(vm->guest.vcpu[context], HVIP_VSEIP, level);
}

/* Takes the device (NULL: out of memory): onto the bus, or destroyed. irq 0: none. */
static int add(struct vm *vm, struct vdev *dev, const char *name, const char *role, uint64_t base,
               uint32_t irq)
{
    int error;

    if (!dev)
        return -ENOMEM;
    fmt_snprintf(dev->name, sizeof(dev->name), "%s", name);
    fmt_snprintf(dev->role, sizeof(dev->role), "%s", role);
    dev->base = gpa(base);
    dev->mem = &vm->guest.s2;
    dev->log = &vm->guest.log;
    if (irq)
        dev->irq = vplic_line(vm->plic, irq);
    error = bus_add(&vm->guest.bus, dev);
    if (error)
        dev->ops->destroy(dev);
    return error;
}

/* The nth virtio device: its place and interrupt follow from n. */
static int add_virtio(struct vm *vm, struct vdev *dev, const char *role)
{
    unsigned n = vm_virtio_count(vm);
    char name[16];

    fmt_snprintf(name, sizeof(name), "virtio%u", n);
    return add(vm, dev, name, role, GUEST_VIRTIO_BASE + (uint64_t)n * VIRTIO_MMIO_SIZE,
               GUEST_VIRTIO_IRQ + n);
}

unsigned vm_virtio_count(const struct vm *vm)
{
    unsigned n = 0;

    for (unsigned i = 0; i < vm->guest.bus.count; i++)
        n += vm->guest.bus.dev[i]->base.v >= GUEST_VIRTIO_BASE;
    return n;
}

static int open_ram(struct vm *vm, unsigned n, const char **why)
{
    const struct vm_disk *d = &vm->config.disk[n];
    char serial[21];

    fmt_snprintf(serial, sizeof(serial), "%.16s-%u", vm->config.name, n);
    vm->disk[n] = ramdisk_create(d->image.data, d->image.size, d->image.size, d->read_only, serial);
    if (!vm->disk[n])
        *why = "out of memory";
    return vm->disk[n] ? 0 : -ENOMEM;
}

static int open_host(struct vm *vm, unsigned n, const char **why)
{
    const struct vm_disk *d = &vm->config.disk[n];

    vm->disk[n] = host_disk_open(d->host_index, d->read_only);
    if (vm->disk[n])
        return 0;
    *why = d->host_index >= host_disk_count()
               ? "disks: the machine has no such host disk (give one, as with DISK=file)"
               : "disks: another VM has this host disk, or a partition on it";
    return -ENODEV;
}

/* The reason that is returned outlives the VM, which is not made, so the one that names names goes to the log. */
static int open_part(struct vm *vm, unsigned n, const char **why)
{
    const struct vm_disk *d = &vm->config.disk[n];
    char text[176];
    int error = d->qcow2 ? disks_open_image(d->part, d->read_only, &vm->disk[n], text, sizeof(text))
                         : disks_open(d->part, d->read_only, &vm->disk[n], text, sizeof(text));

    if (!error)
        return 0;
    log_error("VM %s: disks: %s", vm->config.name, text);
    *why = error == -ENOENT  ? "disks: there is no such partition: see the log"
           : error == -EBUSY ? "disks: another VM has the partition: see the log"
                             : "disks: a partition cannot be used: see the log";
    return error;
}

static int open_disk(struct vm *vm, unsigned n, const char **why)
{
    switch (vm->config.disk[n].kind) {
    case VM_DISK_HOST:
        return open_host(vm, n, why);
    case VM_DISK_PART:
        return open_part(vm, n, why);
    default:
        return open_ram(vm, n, why);
    }
}

/* What the configuration says of a disk of whatever kind. */
static int shape_disk(struct vm *vm, unsigned n)
{
    const struct vm_disk *d = &vm->config.disk[n];
    struct blk_backend *limited;

    if (d->serial[0])
        memcpy(vm->disk[n]->serial, d->serial, sizeof(d->serial));
    limited = blk_limit_create(vm->disk[n], &d->limit);
    if (!limited)
        return -ENOMEM;
    vm->disk[n] = limited;
    return 0;
}

static int add_disks(struct vm *vm, const char **why)
{
    for (unsigned i = 0; i < vm->config.disk_count; i++) {
        char role[sizeof("disk-0")];
        struct vdev *dev;
        int error = open_disk(vm, i, why);

        if (error)
            return error;
        dev = shape_disk(vm, i) ? NULL : virtio_blk_create(&vm->guest.s2, vm->disk[i]);
        if (!dev) { /* the device closes it from now on */
            struct blk_backend *disk = vm->disk[i];

            vm->disk[i] = NULL; /* who counts memory meanwhile must not find it */
            disk->close(disk->ctx);
        }
        fmt_snprintf(role, sizeof(role), "disk-%u", i);
        error = add_virtio(vm, dev, role);
        if (error) {
            vm->disk[i] = NULL;
            *why = "disks: out of memory";
            return error;
        }
    }
    return 0;
}

/* 02:54, locally administered, then 32 bits of FNV-1a over "VM.N": the same at every start and on every machine. */
static void derive_mac(uint8_t mac[NET_MAC], const char *name)
{
    uint32_t hash = 2166136261u;

    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    mac[0] = 0x02;
    mac[1] = 0x54;
    for (unsigned i = 0; i < 4; i++)
        mac[2 + i] = (uint8_t)(hash >> (24 - 8 * i));
}

static int add_net(struct vm *vm, unsigned n, const char **why)
{
    static const uint8_t none[NET_MAC];
    struct vm_net *net = &vm->config.net[n];
    struct net_backend *backend;
    struct vdev *dev;
    char role[16];
    int error;

    fmt_snprintf(net->port.name, sizeof(net->port.name), "%s.%u", vm->config.name, n);
    if (!memcmp(net->port.mac, none, NET_MAC))
        derive_mac(net->port.mac, net->port.name);
    error = switch_open(&net->network, &net->port, &backend, why);
    if (error)
        return error;
    dev = virtio_net_create(&vm->guest.s2, backend);
    if (!dev)
        backend->close(backend->ctx); /* the device does it from now on */
    fmt_snprintf(role, sizeof(role), "net-%u", n);
    error = add_virtio(vm, dev, role);
    if (error)
        *why = "nets: out of memory";
    return error;
}

static int add_nets(struct vm *vm, const char **why)
{
    int error = 0;

    for (unsigned i = 0; i < vm->config.net_count && !error; i++)
        error = add_net(vm, i, why);
    return error;
}

int vm_devices_make(struct vm *vm, const char **why)
{
    struct stage2 *s2 = &vm->guest.s2;
    int error;

    *why = "out of memory";
    vm_watchdog_init(vm);
    vm->plic = vplic_create(vm->guest.vcpu_count, set_external, vm);
    error = add(vm, vm->plic, "plic", "plic", GUEST_PLIC_BASE, 0);
    if (error) {
        vm->plic = NULL;
        return error;
    }
    error = add(vm, ns16550_create(console_backend(vm->console, 1)), "uart0", "uart",
                GUEST_UART_BASE, GUEST_UART_IRQ);
    if (!error && host_rtc())
        error = add(vm, rtc_create(host_rtc()), "rtc", "rtc", GUEST_RTC_BASE, GUEST_RTC_IRQ);
    if (!error && vm->config.watchdog)
        error = add(vm, watchdog_create(&vm->watchdog.backend), "watchdog", "watchdog",
                    GUEST_WATCHDOG_BASE, 0);
    if (!error)
        error = add_virtio(vm, virtio_console_create(s2, console_backend(vm->console, 0)), "hvc");
    if (!error)
        error = add_virtio(vm, virtio_rng_create(s2, &entropy), "entropy");
    if (!error)
        error = add_disks(vm, why);
    return error ? error : add_nets(vm, why);
}

void vm_devices_free(struct vm *vm)
{
    /* Last the PLIC: the others hold its lines. */
    while (vm->guest.bus.count) {
        struct vdev *dev = vm->guest.bus.dev[--vm->guest.bus.count];

        if (dev != vm->plic)
            dev->ops->destroy(dev);
    }
    if (vm->plic)
        vm->plic->ops->destroy(vm->plic);
    vm->plic = NULL;
    memset(vm->disk, 0, sizeof(vm->disk)); /* their devices have closed them */
}
