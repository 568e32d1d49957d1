// SPDX-License-Identifier: BSD-2-Clause
// The host's virtio entropy device (virtio 1.2, 5.4): one buffer, waited for at boot, and asked for again
// in time by the generator.
#include <errno.h>
#include <string.h>

#include "base/arch.h"
#include "base/spinlock.h"
#include "drv/drv.h"
#include "drv/virtio_host.h"
#include "mem/frame.h"

enum { BYTES = 64, WAIT_TRIES = 1000000 };

static struct virtio_host *device;
static struct virtio_host_queue queue;
static struct spinlock lock = SPINLOCK_INIT(LOCK_BACKEND);
static uint8_t *buffer;
static bool asked;
static void (*receiver)(const void *data, size_t len);

static void ask(void)
{
    int head = -1;
    virtio_host_append(&queue, &head, (struct virtio_host_buf){hva_to_pa(buffer), BYTES, true});
    virtio_host_offer(&queue, head);
    virtio_host_kick(&queue);
    asked = true;
}

/* What came, moved out of the device's reach; 0: nothing yet. */
static size_t take(uint8_t to[BYTES])
{
    uint32_t len;
    if (!asked || virtio_host_used(&queue, &len) < 0)
        return 0;
    asked = false;
    len = (uint32_t)min_u64(len, BYTES);
    memcpy(to, buffer, len);
    memset(buffer, 0, BYTES);
    return len;
}

static void on_interrupt(void *arg)
{
    uint8_t data[BYTES];
    void (*fn)(const void *data, size_t len) = NULL;
    (void)arg;
    virtio_host_ack(device);
    spin_lock(&lock);
    size_t n = take(data);
    if (n > 0) {
        fn = receiver;
        receiver = NULL;
    }
    spin_unlock(&lock);
    if (fn)
        fn(data, n);
    memset(data, 0, sizeof(data));
}

size_t virtio_rng_host_read(void *to, size_t len)
{
    uint8_t data[BYTES];
    size_t n = 0;
    if (!device)
        return 0;
    spin_lock(&lock);
    if (!asked)
        ask();
    for (unsigned i = 0; i < WAIT_TRIES && n == 0; i++) {
        arch_pause();
        n = take(data);
    }
    spin_unlock(&lock);
    n = min_u64(n, len);
    memcpy(to, data, n);
    memset(data, 0, sizeof(data));
    return n;
}

void virtio_rng_host_request(void (*fn)(const void *data, size_t len))
{
    if (!device)
        return;
    spin_lock(&lock);
    if (!receiver) {
        receiver = fn;
        if (!asked)
            ask();
    }
    spin_unlock(&lock);
}

int virtio_rng_host_attach(struct virtio_host *d)
{
    if (device)
        return -EEXIST;
    int error = virtio_host_begin(d, 0);
    if (!error)
        error = virtio_host_queue_init(&queue, d, 0, 8);
    if (error)
        return error;
    virtio_host_go(d);
    buffer = frame_alloc_page();
    if (!buffer)
        return -ENOMEM;
    device = d;
    /* Without an interrupt it still seeds at boot, where it is waited for. */
    (void)host_irq_register(d->irq, on_interrupt, NULL);
    return 0;
}
