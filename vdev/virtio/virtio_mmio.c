// SPDX-License-Identifier: BSD-2-Clause
// The virtio-mmio transport: registers and the device status machine. (virtio 1.2, 4.2.2, 3.1.1)
#include "vdev/virtio/virtio_mmio.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "mem/frame.h"
#include "vdev/virtio/virtio_dev.h"

enum {
    REG_MAGIC = 0x00,
    REG_VERSION = 0x04,
    REG_DEVICE_ID = 0x08,
    REG_VENDOR_ID = 0x0c,
    REG_DEVICE_FEATURES = 0x10,
    REG_DEVICE_FEATURES_SEL = 0x14,
    REG_DRIVER_FEATURES = 0x20,
    REG_DRIVER_FEATURES_SEL = 0x24,
    REG_QUEUE_SEL = 0x30,
    REG_QUEUE_NUM_MAX = 0x34,
    REG_QUEUE_NUM = 0x38,
    REG_QUEUE_READY = 0x44,
    REG_QUEUE_NOTIFY = 0x50,
    REG_INTERRUPT_STATUS = 0x60,
    REG_INTERRUPT_ACK = 0x64,
    REG_STATUS = 0x70,
    REG_QUEUE_DESC = 0x80,
    REG_QUEUE_DRIVER = 0x90,
    REG_QUEUE_DEVICE = 0xa0, /* low; high is + 4 */
    REG_SHM_LEN = 0xb0,
    REG_SHM_BASE_HIGH = 0xbc,
    REG_QUEUE_RESET = 0xc0,
    REG_CONFIG_GENERATION = 0xfc,
    REG_CONFIG = 0x100
};
#define MAGIC 0x74726976u  /* "virt" */
#define VENDOR 0x4c505254u /* "TRPL" */

#define COMMON_FEATURES \
    (VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET)

/* What follows from isr. Who changed it comes here afterwards, so whoever is last to write has seen its last value. */
static void isr_changed(struct virtio_dev *v)
{
    unsigned isr;

    do {
        isr = atomic_load(&v->isr);
        vdev_show(&v->vdev, REG_INTERRUPT_STATUS, isr);
        irq_line_set(&v->vdev.irq, isr);
        atomic_thread_fence(memory_order_seq_cst);
    } while (atomic_load(&v->isr) != isr);
}

static void isr_set(struct virtio_dev *v, unsigned isr)
{
    atomic_store(&v->isr, isr);
    isr_changed(v);
}

static void isr_acknowledge(struct virtio_dev *v, unsigned bits)
{
    if (atomic_fetch_and(&v->isr, ~bits) & bits)
        isr_changed(v);
}

static inline bool is_ready(struct virtio_dev *v)
{
    return __atomic_load_n(&v->status, __ATOMIC_SEQ_CST) & VIRTIO_DRIVER_OK;
}

void virtio_interrupt(struct virtio_dev *v, unsigned bits)
{
    if ((atomic_fetch_or(&v->isr, bits) & bits) == bits)
        return;
    /* A reset clears the status, then isr: what was decided before it does not come after it. But a driver may be ready
     * again before the bits are taken back, and who raises them for that one finds them set, and leaves it to us. */
    while (!is_ready(v)) {
        atomic_fetch_and(&v->isr, ~bits);
        if (!is_ready(v))
            break;
        atomic_fetch_or(&v->isr, bits);
    }
    isr_changed(v);
}

bool virtio_used(struct virtio_dev *v, unsigned queue)
{
    bool wanted = virtq_notify(&v->q[queue]);

    if (wanted)
        virtio_interrupt(v, VIRTIO_INT_USED);
    return wanted;
}

void virtio_config_changed(struct virtio_dev *v)
{
    __atomic_store_n(&v->generation, v->generation + 1,
                     __ATOMIC_RELEASE); /* read without the lock */
    virtio_show(v);
    if (v->status & VIRTIO_DRIVER_OK)
        virtio_interrupt(v, VIRTIO_INT_CONFIG);
}

void virtio_fail(struct virtio_dev *v, const char *why)
{
    if (v->status & VIRTIO_NEEDS_RESET)
        return;
    log_limited(v->vdev.log, LOG_WARN, "%s: %s: needs a reset by its driver", v->vdev.name, why);
    v->status |= VIRTIO_NEEDS_RESET;
    virtio_show(v);
    /* 2.1.2: once DRIVER_OK is set the driver is told. */
    if (v->status & VIRTIO_DRIVER_OK)
        virtio_interrupt(v, VIRTIO_INT_CONFIG);
}

/* ---- status ---- */

static bool enter_features_ok(struct virtio_dev *v)
{
    if ((v->accepted & ~v->offered) || !(v->accepted & VIRTIO_F_VERSION_1))
        return false; /* 3.1.1 step 6: the driver reads FEATURES_OK back, and finds it clear */
    for (unsigned i = 0; i < v->ops->queues; i++) {
        v->q[i].event_idx = v->accepted & VIRTIO_F_EVENT_IDX;
        v->q[i].indirect = v->accepted & VIRTIO_F_INDIRECT_DESC;
    }
    return true;
}

enum {
    ST_RESET = 0,
    ST_DRIVER = VIRTIO_DRIVER,
    ST_FEATURES = ST_DRIVER | VIRTIO_FEATURES_OK,
    ST_LIVE = ST_FEATURES | VIRTIO_DRIVER_OK,
};

/* The legal ways up, ACKNOWLEDGE apart: some drivers write it with DRIVER, and U-Boot, which resets the device
 * between the two, never again. Besides them: 0 (reset) and FAILED from anywhere; all else is ignored. */
static const struct {
    uint8_t from, to;
    bool (*enter)(struct virtio_dev *v); /* false: stay */
} status_table[] = {
    {ST_RESET, ST_RESET, NULL},
    {ST_RESET, ST_DRIVER, NULL},
    {ST_DRIVER, ST_FEATURES, enter_features_ok},
    {ST_FEATURES, ST_LIVE, NULL},
};

static void queue_clear(struct virtio_dev *v, unsigned i)
{
    bool event_idx = v->q[i].event_idx, indirect = v->q[i].indirect;

    virtq_reset(&v->q[i], VIRTQ_MAX_SIZE);
    v->q[i].event_idx = event_idx;
    v->q[i].indirect = indirect;
}

static void device_reset(struct virtio_dev *v)
{
    if (v->ops->stop)
        v->ops->stop(v, VIRTIO_ALL_QUEUES);
    for (unsigned i = 0; i < v->ops->queues; i++)
        virtq_reset(&v->q[i], VIRTQ_MAX_SIZE);
    v->accepted = 0;
    v->device_sel = v->driver_sel = v->queue_sel = 0;
    __atomic_store_n(&v->status, ST_RESET, __ATOMIC_SEQ_CST);
    v->stopping = false;
    virtio_show(v);
    isr_set(v, 0);
}

/* A reset promises that memory is no longer touched (2.1.2, 2.6.1): so while requests are in flight the
 * access is tried again. */
static bool must_wait(struct virtio_dev *v)
{
    v->stopping = v->ops->busy && v->ops->busy(v);
    return v->stopping;
}

static enum mmio_result write_status(struct virtio_dev *v, uint8_t to)
{
    if (to == ST_RESET) {
        if (must_wait(v))
            return MMIO_RETRY;
        device_reset(v);
        return MMIO_OK;
    }
    if ((to & VIRTIO_FAILED) && !((to ^ v->status) & ~VIRTIO_FAILED)) {
        v->status = to;
        return MMIO_OK;
    }
    if (v->status & ~to)
        return MMIO_OK; /* only a reset clears a bit */
    for (unsigned i = 0; i < ARRAY_LEN(status_table); i++) {
        if (status_table[i].from != (v->status & ~VIRTIO_ACKNOWLEDGE) ||
            status_table[i].to != (to & ~VIRTIO_ACKNOWLEDGE))
            continue;
        if (status_table[i].enter && !status_table[i].enter(v))
            return MMIO_OK;
        v->status = to;
        if (status_table[i].to == ST_LIVE && v->ops->start)
            v->ops->start(v);
        return MMIO_OK;
    }
    return MMIO_OK;
}

/* ---- queues ---- */

static struct virtq *selected(struct virtio_dev *v)
{
    return v->queue_sel < v->ops->queues ? &v->q[v->queue_sel] : NULL;
}

/* The selected queue is reset, when no request of it is in flight. */
static enum mmio_result stop_selected(struct virtio_dev *v)
{
    if (must_wait(v))
        return MMIO_RETRY;
    if (v->ops->stop)
        v->ops->stop(v, (int)v->queue_sel);
    queue_clear(v, v->queue_sel);
    return MMIO_OK;
}

static enum mmio_result write_queue_ready(struct virtio_dev *v, uint32_t value)
{
    struct virtq *q = selected(v);

    if (!q || q->ready == (value & 1) || (v->status & VIRTIO_NEEDS_RESET))
        return MMIO_OK;
    if (value & 1) {
        int error = v->status & VIRTIO_FEATURES_OK ? virtq_ready(q) : 0;

        if (error == -ENOMEM)
            virtio_fail(v, "no memory for a queue");
        else if (error)
            virtio_fail(v, "a queue outside RAM or not aligned");
        return MMIO_OK;
    }
    return stop_selected(v);
}

/* 2.6.1, 4.2.2.1: the read of QueueReset gives 0 as soon as the write has completed. */
static enum mmio_result write_queue_reset(struct virtio_dev *v, uint32_t value)
{
    if (!selected(v) || value != 1 || !(v->accepted & VIRTIO_F_RING_RESET) ||
        !(v->status & VIRTIO_FEATURES_OK))
        return MMIO_OK;
    return stop_selected(v);
}

static void write_queue_address(struct virtio_dev *v, uint64_t offset, uint32_t value)
{
    struct virtq *q = selected(v);
    unsigned part = (unsigned)(offset - REG_QUEUE_DESC) >> 4;
    uint64_t *addr;

    if (!q || q->ready)
        return;
    addr = &q->addr[part].v;
    if (offset & 4)
        *addr = (*addr & 0xffffffffu) | ((uint64_t)value << 32);
    else
        *addr = (*addr & ~0xffffffffull) | value;
}

static void write_queue_num(struct virtio_dev *v, uint32_t value)
{
    struct virtq *q = selected(v);

    /* 2.7: a power of two; anything else keeps the size that was. */
    if (q && !q->ready && value && value <= VIRTQ_MAX_SIZE && !(value & (value - 1)))
        q->size = (uint16_t)value;
}

/* ---- registers ---- */

/* Those that virtio_read_unlocked leaves. */
static uint32_t read_register(struct virtio_dev *v, uint64_t offset)
{
    struct virtq *q;

    switch (offset) {
    case REG_VENDOR_ID:
        return VENDOR;
    case REG_DEVICE_FEATURES:
        return v->device_sel < 2 ? (uint32_t)(v->offered >> (32 * v->device_sel)) : 0;
    case REG_QUEUE_NUM_MAX:
        return selected(v) ? VIRTQ_MAX_SIZE : 0;
    case REG_QUEUE_READY:
        q = selected(v);
        return q && q->ready;
    case REG_STATUS:
        return v->status;
    case REG_SHM_LEN ... REG_SHM_BASE_HIGH:
        return UINT32_MAX; /* no such region */
    default:
        return 0; /* write-only, reserved, QueueReset (never in progress when it can be read) */
    }
}

/* All that can be read, but InterruptStatus, which isr_changed shows. */
void virtio_show(struct virtio_dev *v)
{
    static const uint8_t changing[] = {REG_DEVICE_FEATURES, REG_QUEUE_NUM_MAX, REG_QUEUE_READY,
                                       REG_STATUS};

    if (!v->vdev.page.hva)
        return;
    vdev_show(&v->vdev, REG_MAGIC, MAGIC);
    vdev_show(&v->vdev, REG_VERSION, 2);
    vdev_show(&v->vdev, REG_DEVICE_ID, v->ops->device_id);
    vdev_show(&v->vdev, REG_VENDOR_ID, VENDOR);
    for (unsigned offset = REG_SHM_LEN; offset <= REG_SHM_BASE_HIGH; offset += 4)
        vdev_show(&v->vdev, offset, read_register(v, offset));
    for (unsigned i = 0; i < ARRAY_LEN(changing); i++)
        vdev_show(&v->vdev, changing[i], read_register(v, changing[i]));
    memcpy((char *)v->vdev.page.hva + REG_CONFIG, v->config, v->config_len);
    vdev_show(&v->vdev, REG_CONFIG_GENERATION, v->generation);
}

static enum mmio_result write_register(struct virtio_dev *v, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case REG_STATUS:
        return write_status(v, (uint8_t)value);
    case REG_DEVICE_FEATURES_SEL:
        v->device_sel = value;
        break;
    case REG_DRIVER_FEATURES_SEL:
        v->driver_sel = value;
        break;
    case REG_DRIVER_FEATURES:
        if (v->driver_sel < 2 && (v->status & ~VIRTIO_ACKNOWLEDGE) == ST_DRIVER) {
            v->accepted &= ~(0xffffffffull << (32 * v->driver_sel));
            v->accepted |= (uint64_t)value << (32 * v->driver_sel);
        }
        break;
    case REG_QUEUE_SEL:
        v->queue_sel = value;
        break;
    case REG_QUEUE_NUM:
        write_queue_num(v, value);
        break;
    case REG_QUEUE_READY:
        return write_queue_ready(v, value);
    case REG_QUEUE_RESET:
        return write_queue_reset(v, value);
    case REG_QUEUE_DESC:
    case REG_QUEUE_DESC + 4:
    case REG_QUEUE_DRIVER:
    case REG_QUEUE_DRIVER + 4:
    case REG_QUEUE_DEVICE:
    case REG_QUEUE_DEVICE + 4:
        write_queue_address(v, offset, value);
        break;
    default:
        break;
    }
    return MMIO_OK;
}

static void access_config(struct virtio_dev *v, struct mmio_access *a)
{
    uint64_t at = a->offset - REG_CONFIG;

    if (!range_ok(at, a->width, v->config_len))
        return;
    if (!a->write)
        memcpy(&a->value, v->config + at, a->width);
    else if (v->ops->config_write)
        v->ops->config_write(v, at, a->value, a->width);
}

/* All but QueueNotify and InterruptACK. */
static enum mmio_result access_rest(struct virtio_dev *v, struct mmio_access *a)
{
    /* 4.2.2.2: registers are 32 bits wide and aligned; the configuration space takes any width. */
    if (a->offset < REG_CONFIG && a->width == 4 && !(a->offset & 3)) {
        if (a->write)
            return write_register(v, a->offset, (uint32_t)a->value);
        a->value = read_register(v, a->offset);
        return MMIO_OK;
    }
    if (!a->write)
        a->value = 0;
    if (a->offset >= REG_CONFIG && a->width <= sizeof(a->value))
        access_config(v, a);
    return MMIO_OK;
}

/* The same, and what it changed can be read. */
static enum mmio_result access_and_show(struct virtio_dev *v, struct mmio_access *a)
{
    enum mmio_result result = access_rest(v, a);

    if (a->write)
        virtio_show(v);
    return result;
}

static inline void inner_lock(struct virtio_dev *v)
{
    if (v->inner)
        spin_lock(v->inner);
}

static inline void inner_unlock(struct virtio_dev *v)
{
    if (v->inner)
        spin_unlock(v->inner);
}

static enum mmio_result virtio_access(struct vdev *dev, struct mmio_access *a)
{
    struct virtio_dev *v = virtio_of(dev);
    enum mmio_result result;

    if (a->offset == REG_QUEUE_NOTIFY && a->width == 4 && a->write) {
        uint32_t queue = (uint32_t)a->value;

        return queue < v->ops->queues && virtio_live(v, queue) ? v->ops->notify(v, queue) : MMIO_OK;
    }
    inner_lock(v);
    result = access_and_show(v, a);
    inner_unlock(v);
    return result;
}

/* What drivers read often, or while they probe: values that are one load. */
static enum mmio_result virtio_read_unlocked(struct vdev *dev, struct mmio_access *a)
{
    struct virtio_dev *v = virtio_of(dev);
    uint64_t at = a->offset - REG_CONFIG;

    if (a->width != 4 || (a->offset & 3))
        return bus_access_locked(dev, a);
    if (at < v->config_len) { /* a multiple of 4 */
        a->value = __atomic_load_n((uint32_t *)(void *)(v->config + at), __ATOMIC_RELAXED);
        return MMIO_OK;
    }
    switch (a->offset) {
    case REG_MAGIC:
        a->value = MAGIC;
        return MMIO_OK;
    case REG_VERSION:
        a->value = 2;
        return MMIO_OK;
    case REG_DEVICE_ID:
        a->value = v->ops->device_id;
        return MMIO_OK;
    case REG_INTERRUPT_STATUS:
        a->value = atomic_load_explicit(&v->isr, memory_order_acquire);
        return MMIO_OK;
    case REG_CONFIG_GENERATION:
        a->value = __atomic_load_n(&v->generation, __ATOMIC_ACQUIRE);
        return MMIO_OK;
    default:
        return bus_access_locked(dev, a);
    }
}

/* An acknowledgement waits for nobody: another vCPU of the VM may be in a long kick. */
static enum mmio_result virtio_write_unlocked(struct vdev *dev, struct mmio_access *a)
{
    if (a->offset != REG_INTERRUPT_ACK || a->width != 4)
        return bus_access_locked(dev, a);
    isr_acknowledge(virtio_of(dev), (unsigned)a->value);
    return MMIO_OK;
}

/* ---- life ---- */

static void virtio_lock(struct virtio_dev *v)
{
    spin_lock(&v->vdev.lock);
    inner_lock(v);
}

static void virtio_unlock(struct virtio_dev *v)
{
    inner_unlock(v);
    spin_unlock(&v->vdev.lock);
}

static void virtio_reset(struct vdev *dev)
{
    struct virtio_dev *v = virtio_of(dev);

    virtio_lock(v);
    device_reset(v);
    virtio_unlock(v);
}

static bool virtio_busy(struct vdev *dev)
{
    struct virtio_dev *v = virtio_of(dev);
    bool busy;

    virtio_lock(v);
    busy = v->ops->busy && v->ops->busy(v);
    virtio_unlock(v);
    return busy;
}

static void virtio_resume(struct vdev *dev)
{
    struct virtio_dev *v = virtio_of(dev);

    virtio_lock(v);
    if (v->ops->resume)
        v->ops->resume(v);
    virtio_unlock(v);
}

static void virtio_save(struct vdev *dev, struct state_writer *w)
{
    struct virtio_dev *v = virtio_of(dev);

    virtio_lock(v);
    state_put_u32(w, v->ops->device_id);
    state_put_u64(w, v->offered);
    state_put_u64(w, v->accepted);
    state_put_u32(w, v->device_sel);
    state_put_u32(w, v->driver_sel);
    state_put_u32(w, v->queue_sel);
    state_put_u32(w, v->generation);
    state_put_u8(w, v->status);
    state_put_u8(w, (uint8_t)atomic_load(&v->isr));
    for (unsigned i = 0; i < v->ops->queues; i++)
        virtq_save(&v->q[i], w);
    if (v->ops->save)
        v->ops->save(v, w);
    virtio_unlock(v);
}

static bool status_is_legal(uint8_t status)
{
    status &= (uint8_t)~(VIRTIO_ACKNOWLEDGE | VIRTIO_NEEDS_RESET | VIRTIO_FAILED);
    for (unsigned i = 0; i < ARRAY_LEN(status_table); i++)
        if (status == status_table[i].to)
            return true;
    return status == ST_RESET;
}

static int load_registers(struct virtio_dev *v, struct state_reader *r)
{
    uint8_t isr;

    /* Features that this host does not offer cannot be promised on: refuse. */
    if (state_get_u32(r) != v->ops->device_id || (state_get_u64(r) & ~v->offered))
        state_fail(r, -EINVAL);
    v->accepted = state_get_u64(r);
    v->device_sel = state_get_u32(r);
    v->driver_sel = state_get_u32(r);
    v->queue_sel = state_get_u32(r);
    v->generation = state_get_u32(r);
    v->status = state_get_u8(r);
    isr = state_get_u8(r);
    if (!status_is_legal(v->status) || (isr & ~(VIRTIO_INT_USED | VIRTIO_INT_CONFIG)))
        state_fail(r, -EINVAL);
    if ((v->status & VIRTIO_FEATURES_OK) && !enter_features_ok(v))
        state_fail(r, -EINVAL);
    isr_set(v, r->error ? 0 : isr);
    return r->error;
}

static int virtio_load(struct vdev *dev, struct state_reader *r)
{
    struct virtio_dev *v = virtio_of(dev);

    virtio_lock(v);
    device_reset(v);
    if (!load_registers(v, r)) {
        for (unsigned i = 0; i < v->ops->queues; i++) {
            bool event_idx = v->q[i].event_idx, indirect = v->q[i].indirect;

            virtq_load(&v->q[i], r, VIRTQ_MAX_SIZE);
            v->q[i].event_idx = event_idx;
            v->q[i].indirect = indirect;
            if (v->q[i].ready && !(v->status & VIRTIO_FEATURES_OK))
                state_fail(r, -EINVAL);
        }
        if (!r->error && v->ops->load)
            state_fail(r, v->ops->load(v, r));
    }
    if (r->error)
        device_reset(v);
    virtio_show(v);
    virtio_unlock(v);
    return r->error;
}

static void virtio_destroy(struct vdev *dev)
{
    struct virtio_dev *v = virtio_of(dev);
    void *page = dev->page.hva;

    virtio_reset(dev);
    v->ops->destroy(v);
    /* Last: until a backend is closed, who raised an interrupt on another hart may still be showing what became of it. */
    if (page)
        frame_free_page(page);
}

static uint64_t virtio_memory(struct vdev *dev)
{
    struct virtio_dev *v = virtio_of(dev);

    return v->ops->memory(v) + (dev->page.hva ? PAGE_SIZE : 0);
}

static const struct vdev_ops virtio_vdev_ops = {
    .type = "virtio-mmio",
    .access = virtio_access,
    .read = virtio_read_unlocked,
    .write = virtio_write_unlocked,
    .reset = virtio_reset,
    .save = virtio_save,
    .load = virtio_load,
    .destroy = virtio_destroy,
    .memory = virtio_memory,
    .busy = virtio_busy,
    .resume = virtio_resume,
};

void virtio_init(struct virtio_dev *v, const struct virtio_ops *ops, struct stage2 *mem,
                 uint64_t features)
{
    v->vdev.ops = &virtio_vdev_ops;
    v->vdev.size = VIRTIO_MMIO_SIZE;
    v->vdev.mem = mem;
    spin_init(&v->vdev.lock, LOCK_DEVICE);
    v->ops = ops;
    v->vdev.page.hva = frame_alloc_page(); /* without it reads are exits */
    v->offered = features | COMMON_FEATURES;
    for (unsigned i = 0; i < ops->queues; i++) {
        v->q[i].mem = mem;
        virtq_reset(&v->q[i], VIRTQ_MAX_SIZE);
    }
}
