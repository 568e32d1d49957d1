// SPDX-License-Identifier: BSD-2-Clause
// The host's virtio network card (virtio 1.2, 5.1): the uplink. Plain frames, without offloads; what is sent is copied
// into buffers of the driver's, so that no guest waits for the host's network, and none of its memory is held.
//
// The interrupt only wakes a thread, which hands frames to the users, with no lock held, and gives the buffers back: so the
// time that they cost is that thread's, and a flood from outside gets no more than the hypervisor's share.
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/log.h"
#include "base/spinlock.h"
#include "drv/drv.h"
#include "drv/uplink.h"
#include "drv/virtio_host.h"
#include "mem/frame.h"
#include "sched/thread.h"

#define F_MTU (1ull << 3)
#define F_MAC (1ull << 5)
#define F_VERSION_1 (1ull << 32)
enum { CFG_MAC = 0, CFG_MTU = 10 };
enum { RX, TX, QUEUES };
enum {
    HEADER = 12,
    LEGACY_HEADER = 10
}; /* 5.1.6: without mergeable buffers a legacy one is shorter */
enum {
    BUFFERS = 128, /* at most: two descriptors each, since a legacy device wants the header apart */
    RX_BUFFERS = 64,
    TX_PART = 2, /* one sender has at most so many in use for each that is free */
    BUFFER_SIZE = 2048,
    BUFFER_DATA = 18, /* where the frame is: the IP header behind it is aligned */
    DATA_SIZE = BUFFER_SIZE - BUFFER_DATA,
    PER_PAGE = 4096 / BUFFER_SIZE,
    VLAN_TAG = 4,
    BATCH = 32, /* frames before others have their turn */
    NO_INTERRUPT = 1
};

_Static_assert(2 * BUFFERS <= VIRTIO_HOST_QUEUE, "");
_Static_assert(UPLINK_USERS *UPLINK_PORTS <= UINT8_MAX + 1, "sender_of");

struct way {
    struct virtio_host_queue queue;
    char *page[BUFFERS / PER_PAGE];
    uint8_t buffer_of[VIRTIO_HOST_QUEUE]; /* by head */
    uint8_t free[BUFFERS]; /* TX */
    unsigned free_count;
};

static struct way way[QUEUES];
static uint8_t sender_of[BUFFERS]; /* TX, while it is in use */
static uint8_t in_use[UPLINK_USERS * UPLINK_PORTS]; /* TX buffers of each sender */
static struct virtio_host *device;
static struct thread *worker;
static struct spinlock lock = SPINLOCK_INIT(LOCK_BACKEND); /* queues, users */
static uint32_t header;
static uint8_t card_mac[NET_MAC];
static uint16_t card_mtu;

static struct user {
    void (*fn)(void *ctx, struct net_frame *f);
    void *ctx;
    bool busy; /* fn runs */
} users[UPLINK_USERS];

static void (*_Atomic tap)(const struct net_frame *f, bool sent);

void uplink_tap(void (*fn)(const struct net_frame *f, bool sent)) { atomic_store(&tap, fn); }

static void look_at(const struct net_frame *f, bool sent)
{
    void (*fn)(const struct net_frame *f, bool sent) =
        atomic_load_explicit(&tap, memory_order_relaxed);

    if (fn)
        fn(f, sent);
}

/* The frame that a buffer holds. */
struct held {
    struct net_frame frame;
    struct net_data data;
    struct net_piece rest;
};

static void hold(struct held *h, char *buffer, uint32_t len)
{
    uint8_t *bytes = (uint8_t *)buffer + BUFFER_DATA; /* the device's header makes room before it */
    uint32_t head = (uint32_t)min_u64(len, NET_HEAD);

    h->rest = (struct net_piece){.hva = bytes + head, .len = len - head};
    h->data = (struct net_data){.piece = &h->rest, .pieces = 1, .read = net_read_host};
    h->frame = (struct net_frame){
        .head = bytes, .head_len = head, .len = len, .data = len > head ? &h->data : NULL};
}

static char *buffer_at(struct way *w, unsigned n)
{
    return w->page[n / PER_PAGE] + n % PER_PAGE * BUFFER_SIZE;
}

static void offer(struct way *w, unsigned n, uint32_t len, bool device_writes)
{
    pa_t at = hva_to_pa(buffer_at(w, n));
    int head = -1;

    virtio_host_append(&w->queue, &head, (struct virtio_host_buf){at, header, device_writes});
    virtio_host_append(&w->queue, &head,
                       (struct virtio_host_buf){pa_add(at, BUFFER_DATA), len, device_writes});
    w->buffer_of[head] = (uint8_t)n;
    virtio_host_offer(&w->queue, head);
}

/* ---- out ---- */

static void give_back(struct way *w, uint8_t n)
{
    w->free[w->free_count++] = n;
    in_use[sender_of[n]]--;
}

static void reclaim(struct way *w)
{
    uint32_t len;
    int head;

    while ((head = virtio_host_used(&w->queue, &len)) >= 0)
        give_back(w, w->buffer_of[head]);
}

static bool fill(char *to, const struct net_frame *f)
{
    memset(to, 0, HEADER);
    to += BUFFER_DATA;
    memcpy(to, f->head, f->head_len);
    return f->len == f->head_len ||
           !f->data->read(f->data, f->data_at, to + f->head_len, f->len - f->head_len);
}

static uint8_t sender(const void *ctx, const struct net_frame *f)
{
    unsigned user = 0;

    while (user < UPLINK_USERS - 1 && users[user].ctx != ctx)
        user++;
    return (uint8_t)(user * UPLINK_PORTS + f->source % UPLINK_PORTS);
}

/* Dynamic thresholds (Choudhury, Hahne): however many flood, there is room for one who does not. */
static bool has_room(const struct way *w, uint8_t from)
{
    return in_use[from] < TX_PART * w->free_count;
}

/* A free buffer, which is the caller's; negative: there is none for this sender. */
static int take_buffer(struct way *w, const void *ctx, const struct net_frame *f)
{
    uint8_t from;
    int n = -1;

    spin_lock(&lock);
    from = sender(ctx, f);
    if (!has_room(w, from))
        reclaim(w);
    if (has_room(w, from)) {
        n = w->free[--w->free_count];
        sender_of[n] = from;
        in_use[from]++;
    }
    spin_unlock(&lock);
    return n;
}

bool uplink_send(const void *ctx, const struct net_frame *f)
{
    struct way *w = &way[TX];
    int n = device && f->len <= DATA_SIZE ? take_buffer(w, ctx, f) : -1;
    struct held copy;
    bool filled;

    if (n < 0)
        return false;
    filled = fill(buffer_at(w, (unsigned)n), f);
    if (filled) { /* what is sent, whatever becomes of the sender's */
        hold(&copy, buffer_at(w, (unsigned)n), f->len);
        look_at(&copy.frame, true);
    }
    spin_lock(&lock);
    if (filled) {
        offer(w, (unsigned)n, f->len, false);
        virtio_host_kick(&w->queue);
    } else {
        give_back(w, (uint8_t)n);
    }
    spin_unlock(&lock);
    return filled;
}

/* ---- in ---- */

/* Hands a frame to each user in turn. */
static void hand_out(struct net_frame *f)
{
    for (unsigned i = 0; i < UPLINK_USERS; i++) {
        struct user u;

        spin_lock(&lock);
        u = users[i];
        users[i].busy = u.fn != NULL;
        spin_unlock(&lock);
        if (!u.fn)
            continue;
        u.fn(u.ctx, f);
        spin_lock(&lock);
        users[i].busy = false;
        spin_unlock(&lock);
    }
}

static void receive(char *buffer, uint32_t len)
{
    struct held h;

    if (len < NET_ETHERNET)
        return;
    hold(&h, buffer, len);
    look_at(&h.frame, false);
    hand_out(&h.frame);
}

/* Takes one frame that has come. False: there is none. */
static bool receive_one(void)
{
    struct way *w = &way[RX];
    uint32_t len = 0;
    unsigned n = 0;
    int head;

    spin_lock(&lock);
    head = virtio_host_used(&w->queue, &len);
    if (head >= 0)
        n = w->buffer_of[head];
    spin_unlock(&lock);
    if (head < 0)
        return false;
    if (len > header)
        receive(buffer_at(w, n), (uint32_t)min_u64(len - header, DATA_SIZE));
    spin_lock(&lock);
    offer(w, n, DATA_SIZE, true);
    spin_unlock(&lock);
    return true;
}

static void worker_main(void *arg)
{
    (void)arg;
    for (;;) {
        unsigned n = 0;

        while (n < BATCH && receive_one())
            n++;
        if (n)
            virtio_host_kick(&way[RX].queue);
        if (n == BATCH)
            thread_yield();
        else
            thread_block();
    }
}

static void on_interrupt(void *arg)
{
    virtio_host_ack(arg);
    thread_wake(worker);
}

/* ---- users ---- */

bool uplink_get(uint8_t mac[NET_MAC], uint16_t *mtu)
{
    memcpy(mac, card_mac, NET_MAC);
    *mtu = card_mtu;
    return device != NULL;
}

int uplink_open(void (*fn)(void *ctx, struct net_frame *f), void *ctx)
{
    int error = device ? -ENOSPC : -ENODEV;

    spin_lock(&lock);
    for (unsigned i = 0; i < UPLINK_USERS && error == -ENOSPC; i++)
        if (!users[i].fn && !users[i].busy) {
            users[i] = (struct user){fn, ctx, false};
            error = 0;
        }
    spin_unlock(&lock);
    return error;
}

/* Whether fn of this user, which gets no more, still runs. */
static bool take_out(void *ctx)
{
    bool busy = false;

    spin_lock(&lock);
    for (unsigned i = 0; i < UPLINK_USERS; i++)
        if (users[i].ctx == ctx) {
            users[i].fn = NULL;
            busy = users[i].busy;
            users[i].ctx = busy ? ctx : NULL;
        }
    spin_unlock(&lock);
    return busy;
}

void uplink_close(void *ctx)
{
    while (take_out(ctx))
        thread_yield();
}

/* ---- set-up ---- */

static int way_init(struct way *w, struct virtio_host *d, unsigned index)
{
    unsigned buffers = index == RX ? RX_BUFFERS : BUFFERS;
    int error = virtio_host_queue_init(&w->queue, d, index, 2 * buffers);

    if (error)
        return error;
    for (unsigned i = 0; i < buffers / PER_PAGE; i++) {
        w->page[i] = frame_alloc_page();
        if (!w->page[i])
            return -ENOMEM;
    }
    for (unsigned i = 0; i < w->queue.size / 2u; i++) {
        if (index == RX)
            offer(w, i, DATA_SIZE, true);
        else
            w->free[w->free_count++] = (uint8_t)i;
    }
    return 0;
}

static void way_free(struct way *w)
{
    for (unsigned i = 0; i < ARRAY_LEN(w->page); i++)
        if (w->page[i])
            frame_free_page(w->page[i]);
    memset(w, 0, sizeof(*w));
}

static void read_config(struct virtio_host *d)
{
    for (unsigned i = 0; i < NET_MAC; i++)
        card_mac[i] = d->features & F_MAC ? virtio_host_config8(d, CFG_MAC + i) : 2 * (i == 0);
    card_mtu = NET_MTU;
    if (d->features & F_MTU)
        card_mtu =
            (uint16_t)(virtio_host_config8(d, CFG_MTU) | virtio_host_config8(d, CFG_MTU + 1) << 8);
    card_mtu = (uint16_t)min_u64(card_mtu, DATA_SIZE - NET_ETHERNET - VLAN_TAG);
}

static int set_up(struct virtio_host *d)
{
    int error = virtio_host_begin(d, F_MAC | F_MTU);

    if (error)
        return error;
    header = d->features & F_VERSION_1 ? HEADER : LEGACY_HEADER;
    read_config(d);
    for (unsigned i = 0; i < QUEUES && !error; i++)
        error = way_init(&way[i], d, i);
    if (!error)
        error = host_irq_register(d->irq, on_interrupt, d);
    return error;
}

int virtio_net_host_attach(struct virtio_host *d)
{
    int error;

    if (device)
        return -EEXIST; /* one is enough */
    if (!worker)
        worker = thread_create("uplink", worker_main, NULL);
    error = worker ? set_up(d) : -ENOMEM;
    if (error) {
        virtio_host_forget(d); /* before its memory is freed */
        for (unsigned i = 0; i < QUEUES; i++)
            way_free(&way[i]);
        return error;
    }
    way[TX].queue.avail[0] = NO_INTERRUPT; /* what was sent is seen when there is more to send */
    device = d;
    virtio_host_go(d);
    virtio_host_kick(&way[RX].queue);
    log_info("network: %02x:%02x:%02x:%02x:%02x:%02x, MTU %u", card_mac[0], card_mac[1],
             card_mac[2], card_mac[3], card_mac[4], card_mac[5], card_mtu);
    return 0;
}
