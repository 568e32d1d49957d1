// SPDX-License-Identifier: BSD-2-Clause
// virtio-mmio, the driver's side: discovery, feature agreement, queues.
#include <errno.h>
#include <string.h>

#include "base/arch.h"
#include "base/log.h"
#include "drv/drv.h"
#include "drv/virtio_host.h"
#include "mem/frame.h"
#include "mem/heap.h"
#include "mem/hostmap.h"

enum { /* registers, 4.2.2 and 4.2.4 */
       MAGIC = 0x000,
       VERSION = 0x004,
       DEVICE_ID = 0x008,
       DEVICE_FEATURES = 0x010,
       DEVICE_FEATURES_SEL = 0x014,
       DRIVER_FEATURES = 0x020,
       DRIVER_FEATURES_SEL = 0x024,
       GUEST_PAGE_SIZE = 0x028, /* legacy */
       QUEUE_SEL = 0x030,
       QUEUE_NUM_MAX = 0x034,
       QUEUE_NUM = 0x038,
       QUEUE_ALIGN = 0x03C, /* legacy */
       QUEUE_PFN = 0x040,   /* legacy */
       QUEUE_READY = 0x044,
       QUEUE_NOTIFY = 0x050,
       INTERRUPT_STATUS = 0x060,
       INTERRUPT_ACK = 0x064,
       STATUS = 0x070,
       QUEUE_DESC = 0x080,
       QUEUE_DRIVER = 0x090,
       QUEUE_DEVICE = 0x0A0,
       CONFIG_GENERATION = 0x0FC,
       CONFIG = 0x100,
};
enum { ST_ACKNOWLEDGE = 1, ST_DRIVER = 2, ST_DRIVER_OK = 4, ST_FEATURES_OK = 8, ST_FAILED = 128 };
enum { DESC_NEXT = 1, DESC_WRITE = 2, USED_NO_NOTIFY = 1 };
enum { MAGIC_VALUE = 0x74726976, LEGACY = 1, MODERN = 2 };
#define F_VERSION_1 (1ull << 32)
#define F_ACCESS_PLATFORM (1ull << 33) /* bus addresses: no IOMMU is in use, so they are physical */

static uint32_t get(struct virtio_host *d, unsigned reg) { return mmio_read32(d->regs + reg); }

static void put(struct virtio_host *d, unsigned reg, uint32_t v) { mmio_write32(d->regs + reg, v); }

static void put64(struct virtio_host *d, unsigned reg, uint64_t v)
{
    put(d, reg, (uint32_t)v);
    put(d, reg + 4, (uint32_t)(v >> 32));
}

static uint64_t offered_features(struct virtio_host *d)
{
    put(d, DEVICE_FEATURES_SEL, 0);
    uint64_t low = get(d, DEVICE_FEATURES);
    put(d, DEVICE_FEATURES_SEL, 1);
    return low | (d->version == MODERN ? (uint64_t)get(d, DEVICE_FEATURES) << 32 : 0);
}

static void reset(struct virtio_host *d)
{
    put(d, STATUS, 0);
    for (unsigned i = 0; i < 100000 && get(d, STATUS) != 0; i++)
        arch_pause();
}

void virtio_host_forget(struct virtio_host *d)
{
    reset(d); /* it must not write to its queues any more */
    for (struct virtio_host_queue *q = d->queues; q; q = q->next)
        for (unsigned i = 0; i < q->pages; i++)
            frame_put(pa_add(hva_to_pa(q->desc), i * PAGE_SIZE));
    d->queues = NULL;
}

static int refuse(struct virtio_host *d)
{
    put(d, STATUS, ST_FAILED);
    return -ENODEV;
}

/* 3.1.1, "Driver Initialization", as far as step 6. */
int virtio_host_begin(struct virtio_host *d, uint64_t wanted)
{
    reset(d);
    put(d, STATUS, ST_ACKNOWLEDGE);
    put(d, STATUS, ST_ACKNOWLEDGE | ST_DRIVER);

    uint64_t offered = offered_features(d);
    d->features = offered & (wanted | F_VERSION_1 | F_ACCESS_PLATFORM);
    put(d, DRIVER_FEATURES_SEL, 0);
    put(d, DRIVER_FEATURES, (uint32_t)d->features);
    if (d->version == LEGACY) {
        put(d, GUEST_PAGE_SIZE, PAGE_SIZE);
        return 0;
    }
    put(d, DRIVER_FEATURES_SEL, 1);
    put(d, DRIVER_FEATURES, (uint32_t)(d->features >> 32));
    put(d, STATUS, ST_ACKNOWLEDGE | ST_DRIVER | ST_FEATURES_OK);
    if (!(offered & F_VERSION_1) || !(get(d, STATUS) & ST_FEATURES_OK))
        return refuse(d);
    return 0;
}

/* Bytes of descriptors and available ring: the used ring follows, at the next page (a legacy device
 * works its place out in this way; to others it is told). */
static uint64_t used_offset(unsigned size)
{
    return align_up(sizeof(struct virtio_host_desc) * size + 2 * (3 + size), PAGE_SIZE);
}

static int take_queue_memory(struct virtio_host_queue *q, unsigned size)
{
    uint64_t bytes = used_offset(size) + 6 + 8 * (uint64_t)size;
    unsigned order = 0;
    pa_t p;
    while (PAGE_SIZE << order < bytes)
        order++;
    if (frame_alloc(order, FRAME_HYP, OWNER_HYP, &p))
        return -ENOMEM;
    char *ring = pa_to_hva(p);
    memset(ring, 0, PAGE_SIZE << order);
    q->pages = 1u << order;
    q->desc = (struct virtio_host_desc *)ring;
    q->avail = (volatile uint16_t *)(ring + sizeof(struct virtio_host_desc) * size);
    q->used = (volatile uint16_t *)(ring + used_offset(size));
    q->size = q->free_count = (uint16_t)size;
    for (unsigned i = 0; i < size; i++)
        q->link[i] = (uint16_t)(i + 1);
    return 0;
}

int virtio_host_queue_init(struct virtio_host_queue *q, struct virtio_host *d, unsigned index,
                           unsigned most)
{
    unsigned size = 1;
    put(d, QUEUE_SEL, index);
    most = (unsigned)min_u64(get(d, QUEUE_NUM_MAX), min_u64(most, VIRTIO_HOST_QUEUE));
    while (size * 2 <= most)
        size *= 2; /* the ring's indices wrap at 2^16 */
    if (most == 0)
        return refuse(d);
    int error = take_queue_memory(q, size);
    if (error)
        return error;
    q->device = d;
    q->index = index;
    q->next = d->queues;
    d->queues = q;

    pa_t ring = hva_to_pa(q->desc);
    put(d, QUEUE_NUM, size);
    if (d->version == LEGACY) {
        put(d, QUEUE_ALIGN, PAGE_SIZE);
        put(d, QUEUE_PFN, (uint32_t)(ring.v >> PAGE_SHIFT));
        return 0;
    }
    put64(d, QUEUE_DESC, ring.v);
    put64(d, QUEUE_DRIVER, ring.v + sizeof(struct virtio_host_desc) * size);
    put64(d, QUEUE_DEVICE, ring.v + used_offset(size));
    put(d, QUEUE_READY, 1);
    return 0;
}

void virtio_host_go(struct virtio_host *d)
{
    put(d, STATUS,
        ST_ACKNOWLEDGE | ST_DRIVER | ST_DRIVER_OK | (d->version == LEGACY ? 0 : ST_FEATURES_OK));
}

uint8_t virtio_host_config8(struct virtio_host *d, unsigned offset)
{
    return mmio_read8(d->regs + CONFIG + offset);
}

uint32_t virtio_host_config32(struct virtio_host *d, unsigned offset)
{
    return get(d, CONFIG + offset);
}

/* 2.5.1: two reads, so until the generation stays the same between them. */
uint64_t virtio_host_config64(struct virtio_host *d, unsigned offset)
{
    uint64_t v;
    uint32_t before, after = 0;
    unsigned tries = 0;
    do {
        before = d->version == MODERN ? get(d, CONFIG_GENERATION) : 0;
        v = get(d, CONFIG + offset) | (uint64_t)get(d, CONFIG + offset + 4) << 32;
        after = d->version == MODERN ? get(d, CONFIG_GENERATION) : 0;
    } while (before != after && ++tries < 100);
    return v;
}

void virtio_host_append(struct virtio_host_queue *q, int *head, struct virtio_host_buf buf)
{
    uint16_t i = q->free_head;
    q->free_head = q->link[i];
    q->free_count--;
    q->desc[i] = (struct virtio_host_desc){
        .addr = buf.addr.v,
        .len = buf.len,
        .flags = buf.device_writes ? DESC_WRITE : 0,
    };
    if (*head < 0) {
        *head = i;
        q->length[i] = 1;
    } else {
        q->desc[q->tail].flags |= DESC_NEXT;
        q->desc[q->tail].next = i;
        q->link[q->tail] = i;
        q->length[*head]++;
    }
    q->tail = i;
}

void virtio_host_offer(struct virtio_host_queue *q, int head)
{
    q->avail[2 + (q->avail_idx & (q->size - 1))] = (uint16_t)head;
    arch_fence_rw();
    q->avail[1] = ++q->avail_idx;
}

static bool has_events(const struct virtio_host_queue *q)
{
    return q->device->features & VIRTIO_HOST_F_EVENT_IDX;
}

/* The device's avail_event, behind the used ring: the index that is to be passed. */
static bool wants_kick(const struct virtio_host_queue *q)
{
    uint16_t event;
    if (!has_events(q))
        return !(q->used[0] & USED_NO_NOTIFY);
    event = q->used[2 + 4 * q->size];
    return (uint16_t)(q->avail_idx - event - 1) < (uint16_t)(q->avail_idx - q->kicked);
}

void virtio_host_kick(struct virtio_host_queue *q)
{
    arch_fence_rw(); /* the index is out before what the device wants is read */
    bool wanted = wants_kick(q);
    q->kicked = q->avail_idx;
    if (wanted)
        put(q->device, QUEUE_NOTIFY, q->index);
}

bool virtio_host_await(struct virtio_host_queue *q, unsigned count)
{
    if (has_events(q))
        q->avail[2 + q->size] = (uint16_t)(q->used_idx + count - 1); /* used_event */
    arch_fence_rw();
    return (uint16_t)(q->used[1] - q->used_idx) >= count;
}

static void free_chain(struct virtio_host_queue *q, uint16_t head)
{
    uint16_t last = head;
    for (unsigned n = q->length[head]; n > 1; n--)
        last = q->link[last];
    q->link[last] = q->free_head;
    q->free_head = head;
    q->free_count = (uint16_t)(q->free_count + q->length[head]);
    q->length[head] = 0;
}

int virtio_host_used(struct virtio_host_queue *q, uint32_t *len)
{
    static struct log_limit limit;
    while (q->used[1] != q->used_idx) {
        arch_fence_rw(); /* the entry is read after the index */
        volatile uint32_t *entry =
            (volatile uint32_t *)(q->used + 2) + 2 * (q->used_idx & (q->size - 1));
        uint32_t head = entry[0];
        *len = entry[1];
        q->used_idx++;
        if (head < q->size && q->length[head] > 0) {
            free_chain(q, (uint16_t)head);
            return (int)head;
        }
        if (log_ratelimit(&limit))
            log_warn("virtio: the device used descriptor %u, which it did not have", head);
    }
    return -EAGAIN;
}

void virtio_host_ack(struct virtio_host *d)
{
    uint32_t status = get(d, INTERRUPT_STATUS);
    if (status)
        put(d, INTERRUPT_ACK, status);
}

/* The drivers, by device type; NULL: none. */
static int (*driver_of(uint32_t device_id))(struct virtio_host *d)
{
    switch (device_id) {
    case VIRTIO_ID_NET:
        return virtio_net_host_attach;
    case VIRTIO_ID_BLOCK:
        return virtio_blk_host_attach;
    case VIRTIO_ID_CONSOLE:
        return virtio_serial_host_attach;
    case VIRTIO_ID_RNG:
        return virtio_rng_host_attach;
    default:
        return NULL;
    }
}

static void attach(struct virtio_host *d)
{
    int error = driver_of(d->device_id)(d);
    if (!error)
        return;
    log_warn("virtio device %u (interrupt %u) cannot be used: error %d", d->device_id, d->irq,
             -error);
    virtio_host_forget(d);
    heap_free(d);
}

static void probe(struct platform_range window, uint32_t irq)
{
    volatile char *regs = hostmap_device(pa(window.base), min_u64(window.size, PAGE_SIZE));
    if (!regs || mmio_read32(regs + MAGIC) != MAGIC_VALUE)
        return;
    uint32_t version = mmio_read32(regs + VERSION), id = mmio_read32(regs + DEVICE_ID);
    if (id == 0)
        return; /* an empty slot */
    if (!driver_of(id)) {
        log_info("virtio device type %u: not used", id);
        return;
    }
    if (version != LEGACY && version != MODERN) {
        log_warn("virtio device type %u: version %u is not known", id, version);
        return;
    }
    struct virtio_host *d = heap_alloc(sizeof(*d));
    if (!d)
        return;
    d->regs = regs;
    d->version = version;
    d->device_id = id;
    d->irq = irq;
    attach(d);
}

void virtio_host_init(const struct platform *p)
{
    for (unsigned i = 0; i < p->virtio_count; i++)
        probe(p->virtio[i].regs, p->virtio[i].irq);
}
