// SPDX-License-Identifier: BSD-2-Clause
// The register files of all devices on one bus, as a VM has them, under any sequence of accesses: every
// width and offset, reads zero extended, holes and ends answered; and the PLIC beside a model of its
// specification, with lines that rise and fall.
// units: vdev/virtio/virtq.c vdev/virtio/virtio_mmio.c vdev/virtio/blk.c vdev/virtio/blk_gather.c vdev/virtio/rng.c vdev/virtio/console.c vdev/ns16550.c vdev/irqchip/vplic.c vdev/watchdog.c vdev/rtc.c vdev/ramdisk.c vdev/bus.c hyp/base/state.c vdev/virtio/net.c vdev/virtio/net_ctrl.c hyp/net/offload.c hyp/net/packet.c tests/fake/fake_base.c tests/fake/fake_vdev.c tests/fake/fake_devices.c tests/fake/fake_guest_mem.c
#include <errno.h>

#include "fake_devices.h"
#include "fuzz.h"
#include "vdev/irqchip/vplic.h"

const unsigned fuzz_runs = 6000;
const size_t fuzz_max = 1024;

enum { CONTEXTS = 3, DEVICES = 24, PLIC = 0, UART = 1 }; /* their places in the list */
#define PLIC_BASE 0x0c000000ul
#define OTHERS_BASE 0x10000000ul /* 4 KiB each */

static struct bus bus;
static struct vdev *dev[DEVICES];
static const bool *const ext = fake_device_external[0]; /* what the vCPUs were told */

static uint64_t base_of(unsigned n) { return n == PLIC ? PLIC_BASE : OTHERS_BASE + 0x1000ul * n; }

/* ---- the model of the PLIC: a struct a source, loops, nothing clever ---- */

static struct {
    bool line, pending, service;
    uint32_t priority;
    bool enable[CONTEXTS];
} src[VPLIC_SOURCES + 1];
static uint32_t threshold[CONTEXTS];

static unsigned model_best(unsigned c)
{
    unsigned best = 0;

    for (unsigned s = 1; s <= VPLIC_SOURCES; s++)
        if (src[s].pending && src[s].enable[c] && src[s].priority > src[best].priority)
            best = s;
    return best;
}

static void model_line(unsigned s, bool level)
{
    src[s].line = level;
    if (level && !src[s].service)
        src[s].pending = true;
}

static uint32_t model_read(uint64_t off)
{
    uint32_t v = 0;
    unsigned c, s;

    if (off < 0x1000)
        return off / 4 <= VPLIC_SOURCES ? src[off / 4].priority : 0;
    if (off < 0x2000) {
        for (unsigned i = 0; i < 32; i++)
            if ((off - 0x1000) * 8 + i <= VPLIC_SOURCES)
                v |= (uint32_t)src[(off - 0x1000) * 8 + i].pending << i;
        return v;
    }
    if (off < 0x200000) {
        c = (unsigned)((off - 0x2000) / 0x80);
        for (unsigned i = 0; i < 32 && c < CONTEXTS; i++)
            if (off % 0x80 * 8 + i <= VPLIC_SOURCES)
                v |= (uint32_t)src[off % 0x80 * 8 + i].enable[c] << i;
        return v;
    }
    c = (unsigned)((off - 0x200000) / 0x1000);
    if (c >= CONTEXTS || off % 0x1000 > 4)
        return 0;
    if (off % 0x1000 == 0)
        return threshold[c];
    s = model_best(c);
    if (s) {
        src[s].pending = false;
        src[s].service = true;
    }
    return s;
}

static void model_write(uint64_t off, uint32_t v)
{
    unsigned c;

    if (off < 0x1000) {
        if (off && off / 4 <= VPLIC_SOURCES)
            src[off / 4].priority = v & 7;
    } else if (off >= 0x2000 && off < 0x200000) {
        c = (unsigned)((off - 0x2000) / 0x80);
        for (unsigned i = 0; i < 32 && c < CONTEXTS; i++) {
            uint64_t s = off % 0x80 * 8 + i;

            if (s && s <= VPLIC_SOURCES)
                src[s].enable[c] = v >> i & 1;
        }
    } else if (off >= 0x200000) {
        c = (unsigned)((off - 0x200000) / 0x1000);
        if (c >= CONTEXTS)
            return;
        if (off % 0x1000 == 0)
            threshold[c] = v & 7;
        if (off % 0x1000 == 4 && v && v <= VPLIC_SOURCES && src[v].service && src[v].enable[c]) {
            src[v].service = false;
            model_line(v, src[v].line);
        }
    }
}

static void model_check(void)
{
    for (unsigned c = 0; c < CONTEXTS; c++)
        assert_int_equal(ext[c], src[model_best(c)].priority > threshold[c]);
}

/* ---- lines: a device's reaches the PLIC, and the model too ---- */

static void line_set(void *chip, uint32_t source, bool level)
{
    struct irq_line l = vplic_line(chip, source);

    model_line(source, level);
    irq_line_set(&l, level);
}

/* ---- operations ---- */

static uint64_t offset(struct fuzz_in *in, unsigned n)
{
    static const uint32_t plic[] = {0,        0x1000,   0x2000,   0x2080,   0x2100,         0x2180,
                                    0x200000, 0x201000, 0x202000, 0x203000, VPLIC_SIZE - 64};
    uint8_t how = fuzz_u8(in);

    if (how == 255)
        return fuzz_u64(in);
    if (n != PLIC)
        return how < 128 ? how % 8 + (n != UART ? how / 8 * 4u : 0) : fuzz_u16(in) & 0x10ff;
    return plic[how % ARRAY_LEN(plic)] + (how < 128 ? fuzz_u8(in) & ~3u : fuzz_u16(in));
}

/* The first seven have an operation of their own. */
static unsigned which(struct fuzz_in *in, uint8_t op)
{
    unsigned n = op >> 5 & 7;

    if (n == 7 && fake_device_count > 7)
        n += fuzz_u8(in) % (fake_device_count - 7);
    return n < fake_device_count ? n : PLIC;
}

static void access(struct fuzz_in *in, uint8_t op)
{
    unsigned n = which(in, op), width = op & 4 ? 1u << (fuzz_u8(in) & 3) : n == UART ? 1 : 4;
    uint64_t off, value = 0;
    struct mmio_access a = {.width = (uint8_t)width, .write = op & 8, .vcpu = 0};
    struct vdev *d;
    enum mmio_result r;
    uint32_t want = 0;
    bool word;

    off = offset(in, n);
    a.gpa = gpa(base_of(n) + off);
    if (a.write)
        a.value = value = fuzz_u(in, width);
    d = bus_find(&bus, a.gpa);
    word = width == 4 && !(off & 3);
    if (d == dev[PLIC]) {
        off = a.gpa.v - PLIC_BASE;
        word = width == 4 && !(off & 3) && off <= VPLIC_SIZE - 4;
        if (word && !a.write)
            want = model_read(off);
        else if (word)
            model_write(off, (uint32_t)value);
    }
    r = bus_access(&bus, &a);
    if (!d || a.gpa.v - d->base.v > d->size - width) {
        assert_int_equal(r, MMIO_UNHANDLED);
        return;
    }
    assert_int_not_equal(r, MMIO_UNHANDLED);
    if (!a.write && r == MMIO_OK) {
        assert_true(width == 8 || a.value >> 8 * width == 0);
        if (d == dev[PLIC])
            assert_int_equal(a.value, want);
        fake_check_page(d, &a);
    }
}

static void host_does(struct fuzz_in *in, uint8_t op)
{
    struct fake_chr *c = op & 8 ? fake_device_console : fake_device_uart;

    if (op & 4)
        c->out_room = op & 16 ? 0 : 16;
    else if (c->in_len + 32 < sizeof(c->in))
        fake_chr_type(c, "abcdefghijklmnopqrstuvwxyz012345", fuzz_u8(in) & 31);
    if (c->out_len > sizeof(c->out) / 2)
        c->out_len = 0;
}

static void start(void)
{
    static bool started;

    if (!started)
        fake_gm_start(false);
    started = true;
    fake_memory_left = -1;
    memset(src, 0, sizeof(src));
    memset(threshold, 0, sizeof(threshold));
    bus = (struct bus){.count = 0};
    fake_device_contexts = CONTEXTS;
    fake_device_changes_only = true;
    assert_true(fake_device_count <= DEVICES);
    assert_int_equal(fake_device_find("plic"), PLIC);
    assert_int_equal(fake_device_find("uart"), UART);
    for (unsigned i = 0; i < fake_device_count; i++) {
        dev[i] = fake_devices[i].make(0);
        dev[i]->base = gpa(base_of(i));
        if (i != PLIC)
            dev[i]->irq = (struct irq_line){line_set, dev[PLIC], i};
        assert_int_equal(bus_add(&bus, dev[i]), 0);
        dev[i]->ops->reset(dev[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = {data, size};

    start();
    while (in.left) {
        uint8_t op = fuzz_u8(&in);
        uint8_t s;

        switch (op & 3) {
        case 0:
        case 1:
            access(&in, op);
            break;
        case 2: /* sources that no device has */
            s = fuzz_u8(&in) % 80;
            if (s <= VPLIC_SOURCES && s > 10 && s >= fake_device_count)
                line_set(dev[PLIC], s, op & 4);
            else if (s > VPLIC_SOURCES)
                irq_line_set(&(struct irq_line){vplic_line(dev[PLIC], s).set, dev[PLIC], s},
                             op & 4);
            break;
        case 3:
            host_does(&in, op);
            break;
        }
        model_check();
    }
    for (unsigned i = fake_device_count; i-- > 0;)
        fake_device_end(dev[i]);
    fake_devices_free();
    assert_int_equal(fake_gm_pins, 0);
    assert_int_equal(fake_heap_objects, 0);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *to, size_t max)
{
    struct fuzz_out o = {to, 0, max};

    if (n >= 3)
        return 0;
    for (unsigned s = 11; s < 16; s++) { /* priority, line */
        fuzz_put_u(&o, 8, 1);
        fuzz_put_u(&o, 0, 1);
        fuzz_put_u(&o, 4 * s, 1);
        fuzz_put_u(&o, s & 3, 4);
        fuzz_put_u(&o, 6, 1);
        fuzz_put_u(&o, s, 1);
    }
    fuzz_put_u(&o, 8, 1); /* enable */
    fuzz_put_u(&o, 2 + n, 1);
    fuzz_put_u(&o, 0, 1);
    fuzz_put_u(&o, 0xffff, 4);
    for (unsigned k = 0; k < 8; k++) { /* claim, complete */
        fuzz_put_u(&o, k & 1 ? 8 : 0, 1);
        fuzz_put_u(&o, 6 + n, 1);
        fuzz_put_u(&o, 4, 1);
        if (k & 1)
            fuzz_put_u(&o, 15 - k / 2, 4);
        fuzz_put_u(&o, 0x20 | (k & 1) << 3, 1); /* the UART's registers */
        fuzz_put_u(&o, k, 1);
        if (k & 1)
            fuzz_put_u(&o, 0xf7 >> k, 1);
        fuzz_put_u(&o, 3, 1);
        fuzz_put_u(&o, 5, 1);
    }
    return o.len;
}
