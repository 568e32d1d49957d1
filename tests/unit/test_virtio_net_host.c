// SPDX-License-Identifier: BSD-2-Clause
// The driver of the host's network card, on queues of the test's own: what is sent and handed out, users that come and go,
// a device that is full, slow, or wrong about lengths, and set-up that fails.
// units: hyp/drv/virtio_net_host.c tests/fake/fake_base.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drv/drv.h"
#include "drv/uplink.h"
#include "drv/virtio_host.h"
#include "mem/frame.h"
#include "sched/thread.h"

unsigned fake_highest_lock(void);

/* ---- queues ---- */

enum { SIZE = 256 };

static struct {
    struct virtio_host_queue *q;
    struct {
        struct virtio_host_buf buf[2];
        unsigned bufs;
    } chain[SIZE];
    unsigned next; /* the last that append used */
    int offered[SIZE], used[SIZE]; /* heads, in order */
    uint32_t len[SIZE];
    unsigned offers, uses, kicks;
} dev[2];
static void (*handler)(void *arg);
static void (*worker_fn)(void *arg);
static struct thread thread;
static jmp_buf out;
static int pages, pages_left = -1, yields;
static int begin_error, queue_error, irq_error;
static uint16_t queue_size = SIZE;
static uint64_t features;

int virtio_host_begin(struct virtio_host *d, uint64_t wanted)
{
    assert_int_equal(wanted & ~(1ull << 3 | 1ull << 5), 0);
    d->features = features;
    return begin_error;
}

int virtio_host_queue_init(struct virtio_host_queue *q, struct virtio_host *d, unsigned index,
                           unsigned size)
{
    static uint16_t avail[4];

    (void)d;
    assert_true(size == (index ? 256 : 128) && index < 2);
    memset(&dev[index], 0, sizeof(dev[index]));
    dev[index].q = q;
    q->index = index;
    q->size = queue_size;
    q->avail = avail;
    return index == 1 ? queue_error : 0;
}

void virtio_host_go(struct virtio_host *d) { d->version |= 0x100; }
void virtio_host_forget(struct virtio_host *d) { d->version |= 0x200; }
void virtio_host_ack(struct virtio_host *d) { (void)d; }
uint8_t virtio_host_config8(struct virtio_host *d, unsigned offset)
{
    static const uint8_t config[12] = {2, 1, 2, 3, 4, 5, 1, 0, 1, 0, 0x78, 0x05}; /* MTU 1400 */

    (void)d;
    return config[offset];
}

void virtio_host_append(struct virtio_host_queue *q, int *head, struct virtio_host_buf buf)
{
    unsigned i = q->index;

    if (*head < 0) {
        while (dev[i].chain[dev[i].next].bufs)
            dev[i].next = (dev[i].next + 1) % SIZE;
        *head = (int)dev[i].next;
    }
    dev[i].chain[*head].buf[dev[i].chain[*head].bufs++] = buf;
}

void virtio_host_offer(struct virtio_host_queue *q, int head)
{
    assert_int_equal(dev[q->index].chain[head].bufs, 2);
    dev[q->index].offered[dev[q->index].offers++ % SIZE] = head;
}

void virtio_host_kick(struct virtio_host_queue *q) { dev[q->index].kicks++; }

int virtio_host_used(struct virtio_host_queue *q, uint32_t *len)
{
    unsigned i = q->index;
    int head;

    if (!dev[i].uses)
        return -EAGAIN;
    head = dev[i].used[0];
    *len = dev[i].len[0];
    dev[i].uses--;
    memmove(dev[i].used, dev[i].used + 1, dev[i].uses * sizeof(dev[i].used[0]));
    memmove(dev[i].len, dev[i].len + 1, dev[i].uses * sizeof(dev[i].len[0]));
    dev[i].chain[head].bufs = 0;
    return head;
}

/* The device uses the oldest chain that was offered, with len bytes in it. */
static void use(unsigned i, uint32_t len)
{
    assert_true(dev[i].offers > 0);
    dev[i].used[dev[i].uses] = dev[i].offered[0];
    dev[i].len[dev[i].uses++] = len;
    dev[i].offers--;
    memmove(dev[i].offered, dev[i].offered + 1, dev[i].offers * sizeof(dev[i].offered[0]));
}

int host_irq_register(uint32_t irq, void (*fn)(void *arg), void *arg)
{
    (void)irq;
    (void)arg;
    handler = fn;
    return irq_error;
}

void *frame_alloc_page(void)
{
    if (!pages_left)
        return NULL;
    pages_left -= pages_left > 0;
    pages++;
    return aligned_alloc(4096, 4096);
}

void frame_free_page(void *page)
{
    pages--;
    free(page);
}

/* ---- the thread ---- */

struct thread *thread_create(const char *name, void (*fn)(void *arg), void *arg)
{
    (void)name;
    (void)arg;
    worker_fn = fn;
    return &thread;
}

void thread_wake(struct thread *t)
{
    assert_ptr_equal(t, &thread);
    if (!setjmp(out))
        worker_fn(NULL);
}

void thread_block(void) { longjmp(out, 1); }
void thread_yield(void) { yields++; }

/* ---- tests ---- */

static struct virtio_host host;

static void attach(int error)
{
    memset(&host, 0, sizeof(host));
    assert_int_equal(virtio_net_host_attach(&host), error);
    assert_int_equal(host.version, error == -EEXIST ? 0 : error ? 0x200 : 0x100);
}

/* Before the one that works. */
static void set_up_that_fails(void **state)
{
    uint8_t mac[NET_MAC];
    uint16_t mtu;

    (void)state;
    features = 1ull << 3 | 1ull << 5 | 1ull << 32;
    begin_error = -ENODEV;
    attach(-ENODEV);
    begin_error = 0;
    queue_error = -ENODEV;
    attach(-ENODEV);
    queue_error = 0;
    irq_error = -ENOSPC;
    attach(-ENOSPC);
    irq_error = 0;
    for (pages_left = 0; pages_left < 64; pages_left += 13) {
        int left = pages_left;

        attach(-ENOMEM);
        assert_int_equal(pages, 0);
        pages_left = left;
    }
    pages_left = -1;
    assert_false(uplink_get(mac, &mtu));
    assert_int_equal(uplink_open(NULL, NULL), -ENODEV);
    assert_false(uplink_send(NULL, &(struct net_frame){.len = 60}));
    queue_size = 16; /* fewer than wanted */
    attach(0);
    attach(-EEXIST);
    assert_true(uplink_get(mac, &mtu));
    assert_memory_equal(mac, "\2\1\2\3\4\5", 6);
    assert_int_equal(mtu, 1400);
    assert_int_equal(dev[0].offers, 8);
    assert_int_equal(dev[0].kicks, 1);
}

static unsigned handed[2];
static uint8_t last[2048];
static uint32_t last_len;

static void take(void *ctx, struct net_frame *f)
{
    assert_int_equal(fake_highest_lock(), 0);
    handed[*(unsigned *)ctx]++;
    last_len = f->len;
    memcpy(last, f->head, f->head_len);
    if (f->len > f->head_len)
        assert_int_equal(
            f->data->read(f->data, f->data_at, last + f->head_len, f->len - f->head_len), 0);
}

static void frames_out(void **state)
{
    uint8_t bytes[2048];
    struct net_piece rest = {.hva = bytes + NET_HEAD};
    struct net_data data = {.piece = &rest, .pieces = 1, .read = net_read_host};
    struct net_frame f = {.head = bytes, .data = &data};

    (void)state;
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 5 + i / 256);
    for (unsigned i = 0; i < 8; i++) {
        const struct virtio_host_buf *b;

        f.len = i == 7 ? 2030 : 60 + i * 200;
        f.source = (uint16_t)i;
        f.head_len = (uint32_t)min_u64(f.len, NET_HEAD);
        assert_true(uplink_send(NULL, &f));
        b = dev[1].chain[dev[1].offered[i]].buf;
        assert_int_equal(b[0].len, 12);
        assert_int_equal(b[1].len, f.len);
        assert_false(b[0].device_writes || b[1].device_writes);
        assert_memory_equal(pa_to_hva(b[1].addr), bytes, f.len);
        for (unsigned k = 0; k < 12; k++)
            assert_int_equal(((uint8_t *)pa_to_hva(b[0].addr))[k], 0);
    }
    assert_false(uplink_send(NULL, &f)); /* full */
    f.source = 8;
    assert_false(uplink_send(NULL, &f));
    use(1, 0);
    use(1, 0);
    assert_true(uplink_send(NULL, &f));
    assert_true(uplink_send(NULL, &f));
    assert_false(uplink_send(NULL, &f));
    f.len = 2031;
    use(1, 0);
    assert_false(uplink_send(NULL, &f));
    assert_int_equal(dev[1].kicks, 10);
}

static void frames_in(void **state)
{
    static unsigned names[5] = {0, 1, 0, 0, 0};
    const struct virtio_host_buf *b;

    (void)state;
    for (unsigned i = 0; i < UPLINK_USERS; i++)
        assert_int_equal(uplink_open(take, &names[i]), 0);
    assert_int_equal(uplink_open(take, &names[4]), -ENOSPC);
    uplink_close(&names[2]);
    uplink_close(&names[3]);
    for (unsigned i = 0; i < 20; i++) {
        uint32_t len = 14 + i * 100;

        b = dev[0].chain[dev[0].offered[0]].buf;
        assert_int_equal(b[0].len, 12);
        assert_int_equal(b[1].len, 2030);
        assert_true(b[0].device_writes && b[1].device_writes);
        for (unsigned k = 0; k < len; k++)
            ((uint8_t *)pa_to_hva(b[1].addr))[k] = (uint8_t)(k + i);
        use(0, 12 + len);
        handler(&host);
        assert_int_equal(handed[0], i + 1);
        assert_int_equal(handed[1], i + 1);
        assert_int_equal(last_len, len);
        for (unsigned k = 0; k < len; k++)
            assert_int_equal(last[k], (uint8_t)(k + i));
        assert_int_equal(dev[0].offers, 8);
    }
    /* Lengths that make no sense: too short, and beyond the buffer. */
    use(0, 0);
    use(0, 12);
    use(0, 25);
    handler(&host);
    assert_int_equal(handed[0], 20);
    use(0, 100000);
    handler(&host);
    assert_int_equal(handed[0], 21);
    assert_int_equal(last_len, 2030);
    assert_int_equal(dev[0].offers, 8);
    uplink_close(&names[0]);
    use(0, 100);
    handler(&host);
    assert_int_equal(handed[0], 21);
    assert_int_equal(handed[1], 22);
    uplink_close(&names[1]);
}

static bool no_memory;

/* A sender that changes its memory all the time. */
static int read_other_bytes(const struct net_data *d, uint32_t offset, void *to, uint32_t len)
{
    static uint8_t times;

    (void)d, (void)offset;
    memset(to, ++times, len);
    return no_memory ? -ENOMEM : 0;
}

static unsigned looks;

static void look(const struct net_frame *f, bool sent)
{
    assert_true(sent);
    looks++;
    last_len = f->len;
    assert_memory_equal(f->head, "\2", 2);
    memcpy(last, f->head, f->head_len);
    assert_int_equal(f->data->read(f->data, f->data_at, last + f->head_len, f->len - f->head_len),
                     0);
}

/* What a capture sees of a frame is what the card sends; and one that cannot be read costs no buffer. */
static void the_tap(void **state)
{
    uint8_t bytes[NET_HEAD] = {2};
    struct net_data data = {.read = read_other_bytes};
    struct net_frame f = {.head = bytes, .head_len = NET_HEAD, .len = 1000, .data = &data};

    (void)state;
    uplink_tap(look);
    while (dev[1].offers)
        use(1, 0);
    no_memory = true;
    for (unsigned i = 0; i < 20; i++)
        assert_false(uplink_send(NULL, &f));
    assert_int_equal(looks, 0);
    no_memory = false;
    for (unsigned i = 0; i < 8; i++) {
        const struct virtio_host_buf *b;

        f.source = (uint16_t)i;
        assert_true(uplink_send(NULL, &f));
        b = dev[1].chain[dev[1].offered[i]].buf;
        assert_int_equal(last_len, 1000);
        assert_memory_equal(pa_to_hva(b[1].addr), last, 1000);
    }
    assert_false(uplink_send(NULL, &f));
    assert_int_equal(looks, 8);
    uplink_tap(NULL);
}

/* As many as are taken. */
static unsigned flood(const void *ctx, uint16_t source)
{
    uint8_t bytes[NET_HEAD] = {2};
    struct net_frame f = {.head = bytes, .head_len = 60, .len = 60, .source = source};
    unsigned n = 0;

    while (uplink_send(ctx, &f))
        n++;
    return n;
}

static void use_all(void)
{
    while (dev[1].offers)
        use(1, 0);
}

/* There are 8 buffers. */
static void who_floods_leaves_room(void **state)
{
    static unsigned names[2] = {0, 1};
    unsigned sent[2] = {0, 0};

    (void)state;
    use_all();
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(uplink_open(take, &names[i]), 0);
    assert_int_equal(flood(&names[0], 3), 6);
    assert_int_equal(flood(&names[0], 4), 2); /* another port of this switch */
    use_all();
    assert_int_equal(flood(&names[0], 3), 6);
    assert_int_equal(flood(&names[1], 3), 2); /* and one of another */
    /* Both flood: the other one, which always comes second, gets nearly as much. */
    for (unsigned i = 0; i < 100; i++) {
        use(1, 0);
        sent[0] += flood(&names[0], 3);
        sent[1] += flood(&names[1], 3);
    }
    assert_true(sent[0] + sent[1] <= 102 && sent[0] + sent[1] >= 98);
    assert_true(sent[1] >= 40);
    /* All ports of a switch flood: who has sent nothing finds room. */
    for (unsigned i = 0; i < UPLINK_PORTS; i++) {
        flood(&names[0], (uint16_t)i);
        use(1, 0);
    }
    assert_int_equal(flood(&names[1], 63), 1);
    use_all();
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(flood(&names[i], 3), 6); /* no count has gone astray */
        use_all();
        uplink_close(&names[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_up_that_fails),
        cmocka_unit_test(frames_out),
        cmocka_unit_test(frames_in),
        cmocka_unit_test(the_tap),
        cmocka_unit_test(who_floods_leaves_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
