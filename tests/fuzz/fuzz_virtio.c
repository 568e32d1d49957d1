// SPDX-License-Identifier: BSD-2-Clause
// Rings as a hostile driver makes them, under each virtio device: the input is a list of things that
// a driver, another vCPU and the backend do. Whatever they are, the device does a bounded amount of work
// for an exit, its interrupt line says what its registers say, a save and a load change nothing, and in
// the end nothing is pinned or left.
// units: vdev/virtio/virtq.c vdev/virtio/virtio_mmio.c vdev/virtio/blk.c vdev/virtio/blk_gather.c vdev/virtio/rng.c vdev/virtio/console.c vdev/virtio/net.c vdev/virtio/net_ctrl.c hyp/net/offload.c hyp/net/packet.c vdev/ramdisk.c vdev/bus.c hyp/base/state.c tests/fake/fake_base.c tests/fake/fake_vdev.c tests/fake/fake_guest_mem.c
#include <errno.h>

#include "fake_vdev.h"
#include "fuzz.h"
#include "vdev/ramdisk.h"
#include "vdev/virtio/net.h"
#include "vdev/virtio/virtio_dev.h"
#include "vdev/virtio/virtio_mmio.h"

const unsigned fuzz_runs = 2500;
const size_t fuzz_max = 1024;

enum { SECTORS = 256 };
/* NET and NET_CTRL are one device: the second of the two queues that inputs speak of is the one for sending, or the one
 * for commands. What NET sends comes back to it. */
enum { RNG, CONSOLE, DISK, DISK_ASYNC, RAMDISK, NET, NET_CTRL, DEVICES };

static struct vdev *dev;
static struct fake_chr chr;
static struct fake_blk disk;
static struct fake_net net;
static unsigned kind;
static char image[SECTORS * 512 / 2];

/* What "another vCPU" writes before one of the device's reads. */
static struct {
    unsigned in; /* reads */
    uint64_t at, v;
} race;

static bool in_ram(uint64_t at, uint64_t len)
{
    return at >= GM_BASE && range_ok(at - GM_BASE, len, GM_SIZE);
}

static void poke(uint64_t at, const void *v, size_t len)
{
    if (in_ram(at, len))
        fake_gm_put(at, v, len);
}

static void on_read(gpa_t from, size_t len)
{
    (void)from;
    (void)len;
    if (race.in && !--race.in)
        poke(race.at, &race.v, sizeof(race.v));
}

static void make(void)
{
    struct blk_backend *blk = &disk.blk;

    fake_chr_init(&chr);
    fake_net_init(&net);
    net.loop = true;
    fake_blk_init(&disk, SECTORS);
    disk.async = kind == DISK_ASYNC;
    if (kind == RNG) {
        dev = virtio_rng_create(&fake_gm_s2, fake_entropy());
    } else if (kind >= NET) {
        dev = virtio_net_create(&fake_gm_s2, &net.net);
    } else if (kind == CONSOLE) {
        dev = virtio_console_create(&fake_gm_s2, &chr.chr);
    } else {
        if (kind == RAMDISK)
            blk = ramdisk_create(image, sizeof(image), SECTORS * 512, false, "ram");
        dev = virtio_blk_create(&fake_gm_s2, blk);
    }
    fake_bus_put(dev, "fuzzed");
}

static bool is_disk(void) { return kind >= DISK && kind <= RAMDISK; }

static unsigned queues(void) { return kind >= NET ? 3 : kind == CONSOLE ? 2 : 1; }

/* The queue that a bit of the input means. */
static unsigned queue_of(bool second) { return kind == NET_CTRL ? 2u * second : second; }

/* An address that is likely to be of interest: small values are places in the rings and the data. */
static uint64_t address(struct fuzz_in *in)
{
    uint8_t how = fuzz_u8(in);

    switch (how & 7) {
    case 0:
        return fuzz_u64(in);
    case 1: /* around the end of RAM */
        return GM_BASE + GM_SIZE - fuzz_u16(in);
    case 2:
        return GM_BASE + fuzz_u32(in) % GM_SIZE;
    case 3:
        return drv_q[queue_of(how >> 7)].table + fuzz_u16(in);
    case 4:
        return drv_q[queue_of(how >> 7)].desc + fuzz_u16(in);
    default:
        return DRV_DATA + fuzz_u16(in);
    }
}

static uint32_t length(struct fuzz_in *in)
{
    static const uint32_t usual[] = {0, 1, 16, 17, 512, 513, 1024, 4096, 8192, 65536, 1 << 20};
    uint8_t how = fuzz_u8(in);

    return how < 128 ? usual[how % ARRAY_LEN(usual)] : how < 192 ? fuzz_u16(in) : fuzz_u32(in);
}

static void one_desc(struct fuzz_in *in)
{
    uint8_t how = fuzz_u8(in);
    struct drv_queue *q = &drv_q[queue_of(how & 1)];
    bool indirect = how & 2;
    uint16_t index = fuzz_u8(in), next = fuzz_u8(in), flags = how >> 2 & 7;
    uint64_t addr = address(in);
    struct virtq_desc d = {addr, length(in), flags, next};

    poke((indirect ? q->table : q->desc) + 16ull * index, &d, sizeof(d));
}

/* At DRV_DATA, to be sent: a header, and TCP; or a command. */
static void net_data(struct fuzz_in *in, unsigned queue)
{
    struct vnet_header h = {.flags = fuzz_u8(in) & 1, .csum_start = 34, .csum_offset = 16};
    uint8_t frame[64] = {[12] = 8, [14] = 0x45, [23] = 6, [46] = 0x50};
    uint8_t command[16];

    h.gso_type = fuzz_u8(in) & 0x85;
    h.gso_size = fuzz_u16(in);
    frame[16] = fuzz_u8(in);
    frame[17] = fuzz_u8(in);
    for (unsigned i = 0; i < sizeof(command); i++)
        command[i] = fuzz_u8(in) & 7;
    if (queue == 2) {
        fake_gm_put(DRV_DATA, command, sizeof(command));
    } else {
        fake_gm_put(DRV_DATA, &h, sizeof(h));
        fake_gm_put(DRV_DATA + sizeof(h), frame, sizeof(frame));
    }
}

/* A chain that a good driver could have made: so that the rest is reached. */
static void good_chain(struct fuzz_in *in)
{
    uint8_t how = fuzz_u8(in), n = 0;
    unsigned queue = queue_of(how & 1);
    struct drv_buf b[6];
    uint32_t h[4] = {fuzz_u8(in) & 15, 0, fuzz_u16(in) & 511, 0};

    fake_gm_put(DRV_DATA, h, sizeof(h));
    if (is_disk()) {
        b[n++] = (struct drv_buf){DRV_DATA, 16, false};
        queue = 0;
    } else if (kind >= NET && queue) {
        net_data(in, queue);
        b[n++] = (struct drv_buf){DRV_DATA, 12 + (how >> 5) * 40u, false};
    }
    for (unsigned k = how >> 1 & 3; k; k--) {
        b[n].addr = address(in);
        b[n].len = length(in);
        b[n++].write = is_disk() ? how & 8 : kind == RNG || queue == 0;
    }
    if (is_disk() || !n)
        b[n++] = (struct drv_buf){DRV_DATA + 0x800, 1,
                                  kind == RNG || is_disk() || queue == 0 || queue == 2};
    if (drv_q[queue].size)
        drv_add(queue, b, n, how & 16);
}

static struct fake_stream saved(void)
{
    struct fake_stream s = {0};
    struct state_writer w = fake_stream_writer(&s);

    dev->ops->save(dev, &w);
    assert_int_equal(w.error, 0);
    return s;
}

/* What was saved can be loaded, and is then what it was. */
static void save_and_load(void)
{
    struct fake_stream a, b;
    struct state_reader r;
    int left = fake_memory_left;

    if (vdev_busy(dev))
        return;
    fake_memory_left = -1;
    a = saved();
    r = fake_stream_reader(&a);
    assert_int_equal(dev->ops->load(dev, &r), 0);
    assert_int_equal(a.at, a.len);
    b = saved();
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    fake_memory_left = left;
    vdev_resume(dev);
    free(a.data);
    free(b.data);
}

/* One exit: bounded, whatever is in the rings. */
static enum mmio_result access(uint64_t off, unsigned width, bool write, uint64_t v)
{
    uint64_t before = fake_gm_copied;
    enum mmio_result r = reg_access(off, width, write, &v);

    assert_true(fake_gm_copied - before < MIB(8));
    assert_true(write || width == 8 || v >> 8 * width == 0);
    return r;
}

static void access_any(struct fuzz_in *in)
{
    uint8_t how = fuzz_u8(in);
    uint64_t off = how & 1 ? fuzz_u8(in) * 4u : fuzz_u16(in) % (VIRTIO_MMIO_SIZE + 8);
    unsigned width = how & 2 ? 1u << (how >> 2 & 3) : 4;

    access(off, width, how & 16, fuzz_u(in, width));
}

/* A frame from elsewhere, of any length; a cable. */
static void net_does(uint8_t how)
{
    static uint8_t frame[70000] = {2, 0, 0, 0, 0, 1};

    if (how & 1) {
        net.net.link = how & 2;
        net.net.link_changed(net.net.device);
    } else {
        uint64_t before = fake_gm_copied;

        frame[5] = how >> 1 & 1;
        (void)fake_net_give(&net, frame, 14 + (how >> 2) * (how & 128 ? 1000u : 50u),
                            (struct net_offload){.gso = 0});
        assert_true(fake_gm_copied - before < KIB(256));
    }
}

static void backend_does(struct fuzz_in *in)
{
    uint8_t how = fuzz_u8(in);

    if (kind >= NET)
        net_does(how);
    else if (kind == CONSOLE && how & 1 && chr.in_len + 40 < sizeof(chr.in))
        fake_chr_type(&chr, "0123456789012345678901234567890123456789", how >> 1 & 31);
    else if (kind == CONSOLE)
        chr.out_room = how & 2 ? 1u << (how >> 2 & 15) : 0;
    else if (disk.queued && how & 1)
        fake_blk_complete(&disk, (how >> 1) % disk.queued);
    else if (how & 2)
        disk.fail = how & 4 ? -EIO : how & 8 ? -ENOTSUP : 0;
    else
        disk.capacity = how >> 3;
    if (kind == DISK_ASYNC && how & 128 && disk.blk.ready)
        disk.blk.ready(disk.blk.device);
    if (chr.out_len > sizeof(chr.out) / 2)
        chr.out_len = 0;
}

static void step(struct fuzz_in *in)
{
    uint8_t op = fuzz_u8(in);
    uint64_t v;

    switch (op & 15) {
    case 0:
    case 1:
        one_desc(in);
        break;
    case 2:
        if (drv_q[queue_of(op >> 7)].size)
            drv_offer(queue_of(op >> 7), fuzz_u8(in));
        break;
    case 3:
        if (drv_q[queue_of(op >> 7)].size)
            drv_set_avail_idx(queue_of(op >> 7), fuzz_u16(in));
        break;
    case 4:
        if (drv_q[queue_of(op >> 7)].size)
            drv_set_used_event(queue_of(op >> 7), fuzz_u16(in));
        break;
    case 5:
    case 6:
    case 7:
        for (unsigned n = 1 + (op >> 4 & 3);
             n && access(0x50, 4, true, queue_of(op >> 7)) == MMIO_RETRY; n--)
            ;
        break;
    case 8:
        v = fuzz_u64(in);
        poke(address(in), &v, 8);
        break;
    case 9:
    case 10:
        good_chain(in);
        break;
    case 11:
        access_any(in);
        break;
    case 12:
    case 13:
        backend_does(in);
        break;
    case 14:
        race.in = 1 + (op >> 4);
        race.v = fuzz_u64(in);
        race.at = address(in);
        break;
    case 15:
        if (op & 16) {
            save_and_load();
        } else if (op & 32) {
            fake_memory_left = op & 64 ? op >> 7 : -1;
        } else if (op & 64) {
            fake_gm_error = op & 128 ? -ENOMEM : 0;
        } else if (!vdev_busy(dev)) {
            dev->ops->reset(dev);
            assert_int_equal(fake_gm_pins, 0);
        }
        break;
    }
}

/* Moves a ring so that each of its parts crosses a page: with scattered pages it is reached by copies. */
static void move_queue(unsigned queue, uint16_t size)
{
    struct drv_queue *q = &drv_q[queue];
    const uint64_t at[3] = {q->desc + 0xff0, q->avail + 0xffe, q->used + 0xffc};

    reg_write(0x30, queue);
    reg_write(0x44, 0);
    reg_write(0x38, size);
    for (unsigned i = 0; i < 3; i++) {
        reg_write(0x80 + 0x10 * i, (uint32_t)at[i]);
        reg_write(0x84 + 0x10 * i, (uint32_t)(at[i] >> 32));
    }
    reg_write(0x44, 1);
    q->desc = at[0];
    q->avail = at[1];
    q->used = at[2];
}

static void start_driver(struct fuzz_in *in)
{
    uint8_t how = fuzz_u8(in);
    uint16_t size = (uint16_t)(1u << (how >> 4 & 7));

    memset(drv_q, 0, sizeof(drv_q));
    if (how & 1) /* else the input has to do it */
        drv_init(~0ull & ~(how & 2 ? VIRTIO_F_EVENT_IDX : 0) &
                     ~(how & 4 ? VIRTIO_F_INDIRECT_DESC : 0),
                 queues(), size);
    for (unsigned i = 0; (how & 9) == 9 && i < queues(); i++)
        move_queue(i, size);
}

static void clean(bool scatter)
{
    static bool started;

    if (!started)
        fake_gm_start(scatter);
    started = true;
    fake_gm_clear(scatter);
    race.in = 0;
    fake_memory_left = -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = {data, size};
    uint8_t first = fuzz_u8(&in);

    kind = (first & 127) % DEVICES;
    clean(first & 128);
    make();
    start_driver(&in);
    fake_gm_read_hook = on_read;
    while (in.left) {
        step(&in);
        assert_int_equal(fake_irq_level, reg_read(0x60) != 0);
    }
    fake_gm_read_hook = NULL;
    disk.capacity = FAKE_BLK_QUEUE;
    while (disk.queued)
        fake_blk_complete(&disk, 0);
    assert_false(vdev_busy(dev));
    fake_memory_left = -1;
    dev->ops->destroy(dev);
    fake_blk_free(&disk);
    assert_int_equal(fake_gm_pins, 0);
    assert_int_equal(fake_heap_objects, 0);
    assert_int_equal(fake_frames, 0);
    return 0;
}

/* Each device with each kind of set-up, a few good requests, and what ends them. */
size_t fuzz_seed(unsigned n, uint8_t *to, size_t max)
{
    static const uint8_t how[] = {0x31, 0x33, 0x3d, 0x3f};
    struct fuzz_out o = {to, 0, max};

    if (n >= DEVICES * ARRAY_LEN(how) + DEVICES)
        return 0;
    if (n >= DEVICES * ARRAY_LEN(how)) { /* a chain that goes round without ever having a byte */
        static const uint8_t loop[] = {0x31, 0, 1 << 2, 0, 0, 5, 0, 0, 0, 2, 0, 5};

        fuzz_put_u(&o, n % DEVICES, 1);
        fuzz_put(&o, loop, sizeof(loop));
        return o.len;
    }
    fuzz_put_u(&o, n % DEVICES | (n & 1) << 7, 1);
    fuzz_put_u(&o, how[n / DEVICES], 1);
    for (unsigned k = 0; k < 8; k++) {
        static const uint8_t types[] = {0, 1, 4, 8, 11, 13, 0, 2};

        fuzz_put_u(&o, 9, 1); /* good_chain */
        fuzz_put_u(&o, 4 | (types[k] == 0 ? 8 : 0) | (k & 1) << 4 | (k & 1), 1); /* 2 buffers */
        fuzz_put_u(&o, types[k], 1);
        fuzz_put_u(&o, 3 * k, 2);
        for (unsigned b = 0; b < 2; b++) {
            fuzz_put_u(&o, 5, 1);
            fuzz_put_u(&o, 0x1000 * (b + 1), 2);
            fuzz_put_u(&o, types[k] == 11 || types[k] == 13 ? 2 * (b == 0) : 4, 1);
        }
        fuzz_put_u(&o, 5 | (k & 1) << 7, 1); /* kick */
        fuzz_put_u(&o, 12, 1); /* the backend */
        fuzz_put_u(&o, k & 1 ? 0x3d : 1, 1);
        fuzz_put_u(&o, k == 4 ? 31 : 5, 1); /* save and load, or a kick */
    }
    return o.len;
}
