// SPDX-License-Identifier: BSD-2-Clause
// State streams of devices and of vCPUs, altered: refused, and the device is as new; or taken, and then
// what it saves is a stream that loads to the same state, it goes on working, and it leaves nothing behind.
// units: vdev/virtio/virtq.c vdev/virtio/virtio_mmio.c vdev/virtio/blk.c vdev/virtio/blk_gather.c vdev/virtio/rng.c vdev/virtio/console.c vdev/ns16550.c vdev/irqchip/vplic.c vdev/watchdog.c vdev/rtc.c vdev/ramdisk.c vdev/bus.c vcpu/regs.c vcpu/hostpmu.c vcpu/pmu_state.c vcpu/sbi/counters.c hyp/base/state.c vdev/virtio/net.c vdev/virtio/net_ctrl.c hyp/net/offload.c hyp/net/packet.c tests/fake/fake_base.c tests/fake/fake_vdev.c tests/fake/fake_devices.c tests/fake/fake_guest_mem.c
#include <errno.h>

#include "fake_devices.h"
#include "fuzz.h"
#include "vcpu/vcpu.h"

const unsigned fuzz_runs = 4000;
const size_t fuzz_max = 6000;

enum { VCPU }; /* then the devices in the order of their list */
static unsigned kinds(void) { return 1 + fake_device_count; }
static const struct fake_device *device_of(unsigned kind) { return &fake_devices[kind - 1]; }

struct vcpu_features vcpu_features = {.vlenb = 16};
static uint8_t vectors[2][32 * 16];

static struct vdev *make(unsigned kind)
{
    struct vdev *d = device_of(kind)->make(0);

    fake_bus_put(d, "loaded");
    return d;
}

static void unmake(struct vdev *d)
{
    fake_device_end(d);
    fake_devices_free();
    assert_int_equal(fake_gm_pins, 0);
    assert_int_equal(fake_heap_objects, 0);
    assert_int_equal(fake_frames, 0);
}

static struct fake_stream save(struct vdev *d)
{
    struct fake_stream s = {0};
    struct state_writer w = fake_stream_writer(&s);

    d->ops->save(d, &w);
    assert_int_equal(w.error, 0);
    return s;
}

static int load(struct vdev *d, struct fake_stream *s)
{
    struct state_reader r = fake_stream_reader(s);
    int error = d->ops->load(d, &r);

    assert_true(error <= 0);
    return error;
}

/* A driver that has never heard of the state: pokes at everything, kicks, resets, starts anew. */
static void use(struct vdev *d, unsigned kind)
{
    const struct drv_buf room = {DRV_DATA, 256, true};
    const struct fake_device *device = device_of(kind);

    vdev_resume(d);
    if (device->chr)
        fake_chr_type(device->chr, "input that is longer than any FIFO is", 37);
    for (uint64_t off = 0; off < 0x110; off += 4) {
        uint64_t v = 0;

        reg_access(off, 4, false, &v);
    }
    for (unsigned k = 0; k < 4; k++)
        reg_write(0x50, k & 1);
    if (device->queues) {
        assert_int_equal(fake_irq_level, reg_read(0x60) != 0);
        assert_true(drv_init(~0ull, device->queues, 8));
        if (device->chr)
            drv_add(0, &room, 1, false);
        assert_int_equal(drv_kick(0), MMIO_OK);
        assert_false(drv_needs_reset()); /* nothing is left of what was */
    }
    d->ops->reset(d);
    assert_int_equal(fake_gm_pins, 0);
}

static void one_device(unsigned kind, struct fake_stream *in)
{
    struct vdev *d = make(kind), *other;
    struct fake_stream was = save(d), now, again;
    int error = load(d, in);

    now = save(d);
    if (error && strcmp(device_of(kind)->name,
                        "ramdisk")) { /* but for the generation, which nobody takes back */
        assert_int_equal(now.len, was.len);
    } else if (!error) {
        unmake(d);
        other = make(kind);
        assert_int_equal(load(other, &now), 0);
        assert_int_equal(now.at, now.len);
        again = save(other);
        assert_int_equal(again.len, now.len);
        assert_memory_equal(again.data, now.data, now.len);
        free(again.data);
        d = other;
    }
    use(d, kind);
    unmake(d);
    free(was.data);
    free(now.data);
}

static int vcpu_load_from(struct vcpu *v, struct fake_stream *s)
{
    struct state_reader r = fake_stream_reader(s);

    return vcpu_load_state(v, &r);
}

static void one_vcpu(struct fake_stream *in)
{
    static struct vcpu a, b, before;
    static struct guest guest;
    struct fake_stream now = {0}, again = {0};
    struct state_writer w = fake_stream_writer(&now);

    memset(&a, 0x5a, sizeof(a));
    memset(&b, 0, sizeof(b));
    a.vector_used = false;
    a.vector_regs = vectors[0];
    b.vector_regs = vectors[1];
    a.index = 0;
    a.guest = b.guest = &guest;
    before = a;
    if (vcpu_load_from(&a, in)) {
        assert_memory_equal(&a, &before, sizeof(a)); /* not touched */
        return;
    }
    assert_true(atomic_load(&a.hsm) <= HSM_RESUME_PENDING);
    vcpu_save(&a, &w);
    assert_int_equal(vcpu_load_from(&b, &now), 0);
    w = fake_stream_writer(&again);
    vcpu_save(&b, &w);
    assert_int_equal(again.len, now.len);
    assert_memory_equal(again.data, now.data, now.len);
    free(now.data);
    free(again.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    struct fuzz_in in = {data, size};
    unsigned kind = fuzz_u8(&in) % kinds();
    struct fake_stream s;

    if (!started)
        fake_gm_start(false);
    started = true;
    fake_gm_clear(fuzz_u8(&in) & 1);
    s = (struct fake_stream){.data = (uint8_t *)(uintptr_t)in.at, .len = in.left};
    if (kind == VCPU)
        one_vcpu(&s);
    else
        one_device(kind, &s);
    return 0;
}

/* Streams of devices as new, and in the middle of work. */
size_t fuzz_seed(unsigned n, uint8_t *to, size_t max)
{
    struct fuzz_out o = {to, 0, max};
    unsigned kind = n / 2;
    struct fake_stream s = {0};
    struct state_writer w = fake_stream_writer(&s);
    struct drv_buf b[3] = {
        {DRV_DATA, 16, false}, {DRV_DATA + 4096, 512, true}, {DRV_DATA + 64, 1, true}};
    struct vdev *d;

    if (kind >= kinds())
        return 0;
    fuzz_put_u(&o, kind, 2);
    if (kind == VCPU) {
        static struct vcpu v;

        memset(&v, 0, sizeof(v));
        v.vector_regs = vectors[0];
        v.vector_used = n & 1;
        vcpu_save(&v, &w);
    } else {
        fake_gm_start(false);
        d = make(kind);
        fake_device_disk[0].async = true;
        if (n & 1 && device_of(kind)->queues) {
            assert_true(drv_init(~0ull, device_of(kind)->queues, 8));
            drv_add(0, device_of(kind)->chain == 1 ? b + 1 : b, device_of(kind)->chain, false);
            drv_kick(0);
        } else if (n & 1) { /* a UART's, a PLIC's, a watchdog's registers: the others ignore them */
            reg_write(2, 0x41);
            reg_write(1, 3);
            reg_write(0x2000, 3);
            reg_write(0x18, 0x16aa0071);
        }
        s = save(d);
        unmake(d);
        fake_gm_stop();
    }
    fuzz_put(&o, s.data, s.len);
    free(s.data);
    return o.len;
}
