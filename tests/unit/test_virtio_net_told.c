// SPDX-License-Identifier: BSD-2-Clause
// When a network card's driver is told of frames, and whom it waits for meanwhile: nobody, since the vCPU that an interrupt
// wakes is mostly the first to run, and its first access would spin for a lock whose holder waits for the processor.
// units: vdev/virtio/virtq.c vdev/virtio/virtio_mmio.c vdev/virtio/net.c vdev/virtio/net_ctrl.c hyp/net/offload.c hyp/net/packet.c tests/fake/fake_base.c tests/fake/fake_vdev.c tests/fake/fake_guest_mem.c vdev/bus.c hyp/base/state.c
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fake_vdev.h"
#include "vdev/virtio/net.h"
#include "vdev/virtio/virtio_dev.h"

enum { REG_ISR = 0x60, REG_ACK = 0x64, REG_STATUS = 0x70 };
#define TX_DATA (DRV_DATA + 0x10000)
#define RX_DATA (DRV_DATA + 0x40000)

static struct vnet *card;
static struct fake_net net;
static unsigned answered;

static int setup(void **state)
{
    (void)state;
    fake_gm_start(false);
    fake_net_init(&net);
    card = vnet_of(virtio_of(virtio_net_create(&fake_gm_s2, &net.net)));
    fake_bus_put(&card->v.vdev, "net0");
    answered = 0;
    assert_true(drv_init(~0ull, 3, 64));
    for (uint64_t i = 0; i < 8; i++)
        drv_add(VNET_RX, &(struct drv_buf){RX_DATA + 2048 * i, 2048, true}, 1, false);
    drv_set_used_event(VNET_RX, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    card->v.vdev.ops->destroy(&card->v.vdev);
    fake_gm_stop();
    assert_int_equal(fake_heap_objects, 0);
    return 0;
}

static void send_one(void)
{
    drv_add(VNET_TX, &(struct drv_buf){TX_DATA, sizeof(struct vnet_header) + 60, false}, 1, false);
    drv_kick(VNET_TX);
}

static void give_one(void)
{
    static const uint8_t frame[60] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};

    assert_int_equal(fake_net_give(&net, frame, sizeof(frame), (struct net_offload){.csum = false}),
                     NET_TAKEN);
}

/* Another hart copies a long frame to this card. */
static void nothing_usual_waits_for_a_copy(void **state)
{
    (void)state;
    give_one();
    assert_true(fake_irq_level);
    fake_timer = NULL;
    atomic_fetch_add(&card->lock.next, 1);
    assert_int_equal(reg_read(REG_ISR), VIRTIO_INT_USED);
    atomic_fetch_add(&card->v.vdev.lock.next, 1); /* and another vCPU sends one */
    reg_write(REG_ACK, VIRTIO_INT_USED);
    atomic_fetch_add(&card->v.vdev.lock.serving, 1);
    assert_false(fake_irq_level);
    drv_set_used_event(VNET_TX, 0);
    send_one();
    assert_int_equal(net.sent, 1);
    assert_int_equal(drv_used_idx(VNET_TX), 1);
    assert_non_null(fake_timer);
    fake_timer_run();
    assert_true(fake_irq_level);
    atomic_fetch_add(&card->lock.serving, 1);
}

/* The guest, on another hart, answers before who raised the interrupt goes on. */
static void answer(void *chip, uint32_t source, bool level)
{
    (void)chip;
    (void)source;
    fake_irq_level = level;
    if (!level)
        return;
    assert_false(spin_held(&card->lock));
    answered++;
    reg_write(REG_ACK, reg_read(REG_ISR));
}

static void who_is_woken_may_answer_at_once(void **state)
{
    (void)state;
    card->v.vdev.irq = (struct irq_line){.set = answer};
    for (uint16_t i = 0; i < 4; i++) {
        drv_set_used_event(VNET_RX, i);
        give_one();
        assert_int_equal(answered, i + 1);
        assert_false(fake_irq_level); /* the line is as the register */
        assert_int_equal(reg_read(REG_ISR), 0);
    }
}

static void nothing_is_raised_after_a_reset(void **state)
{
    (void)state;
    give_one();
    reg_write(REG_STATUS, 0);
    assert_false(fake_irq_level);
    virtio_interrupt(&card->v, VIRTIO_INT_USED); /* which was decided before */
    assert_false(fake_irq_level);
    assert_int_equal(reg_read(REG_ISR), 0);
}

/* An interrupt for received frames tells of what was sent before it, and of nothing that was sent later. */
static void sent_frames_are_told_of_once(void **state)
{
    (void)state;
    drv_set_used_event(VNET_TX, 0);
    send_one();
    give_one();
    assert_int_equal(fake_irq_rises, 1);
    reg_write(REG_ACK, VIRTIO_INT_USED);
    fake_timer_run();
    assert_int_equal(fake_irq_rises, 1);
    drv_set_used_event(VNET_TX, 1);
    send_one();
    fake_timer_run();
    assert_int_equal(fake_irq_rises, 2);
    reg_write(REG_ACK, VIRTIO_INT_USED);
    give_one(); /* the driver has not asked for it */
    drv_set_used_event(VNET_TX, 2);
    send_one();
    fake_timer_run();
    assert_int_equal(fake_irq_rises, 3);
}

static void received_not_yet(void *device) { (void)device; }

/* What was given is saved, but not yet the interrupt, which another hart has decided on and is about to raise. */
static void frames_given_before_a_save_are_told_of_after_it(void **state)
{
    struct fake_stream s = {.at = 0};
    struct state_writer w = fake_stream_writer(&s);
    struct state_reader r;
    struct vdev *dev = &card->v.vdev;

    (void)state;
    net.net.received = received_not_yet;
    give_one();
    assert_true(virtq_notify(&card->v.q[VNET_RX]));
    dev->ops->save(dev, &w);
    assert_int_equal(w.error, 0);
    r = fake_stream_reader(&s);
    assert_int_equal(dev->ops->load(dev, &r), 0);
    free(s.data);
    assert_false(fake_irq_level);
    vdev_resume(dev);
    assert_true(fake_irq_level);
    assert_int_equal(reg_read(REG_ISR), VIRTIO_INT_USED);
}

static int frames_at_close;

/* Another hart is still raising an interrupt, and shows that in the page that guests read. */
static void close_late(void *ctx)
{
    (void)ctx;
    frames_at_close = fake_frames;
    virtio_interrupt(&card->v, VIRTIO_INT_USED);
}

static void who_raises_as_the_card_goes_has_its_page(void **state)
{
    int frames = fake_frames;

    give_one();
    net.net.close = close_late;
    assert_int_equal(teardown(state), 0);
    setup(state);
    assert_int_equal(frames_at_close, frames);
}

/* One who decided before a reset, and one who raises for the driver that came after it, at the same time: as often as there is
 * time for, since the two must be within a few instructions of each other. */
enum { RACE_MS = 300, RACE_SPINS = 2000 };
static atomic_uint begun, ended;
static atomic_bool enough;

static bool is_at(atomic_uint *count, unsigned n)
{
    for (unsigned spins = 0; atomic_load(count) != n && !atomic_load(&enough); spins++)
        if (spins > RACE_SPINS)
            sched_yield();
    return atomic_load(count) == n;
}

static void *decided_before(void *arg)
{
    for (unsigned i = 1; is_at(&begun, i); i++) {
        virtio_interrupt(arg, VIRTIO_INT_USED);
        atomic_store(&ended, i);
    }
    return NULL;
}

static uint64_t milliseconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void the_next_driver_is_told_whoever_comes_late(void **state)
{
    struct virtio_dev *v = &card->v;
    uint64_t until = milliseconds() + RACE_MS;
    unsigned lost = 0;
    pthread_t other;

    (void)state;
    v->vdev.irq.set = NULL;
    assert_int_equal(pthread_create(&other, NULL, decided_before, v), 0);
    for (unsigned i = 1; milliseconds() < until; i++) {
        reg_write(REG_ACK, VIRTIO_INT_USED);
        __atomic_store_n(&v->status, 0, __ATOMIC_SEQ_CST);
        atomic_store(&begun, i);
        for (volatile unsigned spin = i % 64; spin; spin--)
            ;
        __atomic_store_n(&v->status, VIRTIO_DRIVER_OK, __ATOMIC_SEQ_CST);
        virtio_interrupt(v, VIRTIO_INT_USED);
        lost += is_at(&ended, i) && atomic_load(&v->isr) != VIRTIO_INT_USED;
    }
    atomic_store(&enough, true);
    pthread_join(other, NULL);
    assert_int_equal(lost, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_usual_waits_for_a_copy),
        TEST(who_is_woken_may_answer_at_once),
        TEST(nothing_is_raised_after_a_reset),
        TEST(sent_frames_are_told_of_once),
        TEST(frames_given_before_a_save_are_told_of_after_it),
        TEST(the_next_driver_is_told_whoever_comes_late),
        TEST(who_raises_as_the_card_goes_has_its_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
