// SPDX-License-Identifier: BSD-2-Clause
#include "net/net.h"

enum { REG_DEVICE = 0x08, REG_SEL = 0x24, REG_FEATURES = 0x20, REG_QUEUE = 0x30, REG_SIZE = 0x38 };
enum { REG_READY = 0x44, REG_NOTIFY = 0x50, REG_ISR = 0x60, REG_ACK = 0x64, REG_STATUS = 0x70 };
enum { REG_DESC = 0x80, REG_AVAIL = 0x90, REG_USED = 0xa0, REG_CONFIG = 0x100 };
enum { RX, TX, QUEUES, DESC_WRITE = 2 };
enum { F_MAC = 1 << 5, F_MRG_RXBUF = 1 << 15, F_EVENT_IDX = 1 << 29 }; /* and VERSION_1 */
#define VIRTIO 0x10001000ul
#define PLIC 0xc000000ul
enum { PLIC_ENABLE = 0x2000, PLIC_CLAIM = 0x200004 };

struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};
struct queue {
    struct desc desc[NET_RING];
    struct {
        uint16_t flags, idx, ring[NET_RING], used_event;
    } avail __attribute__((aligned(64)));
    struct {
        uint16_t flags, idx;
        struct {
            uint32_t id, len;
        } ring[NET_RING];
        uint16_t avail_event;
    } used __attribute__((aligned(64)));
} __attribute__((aligned(4096)));

static volatile struct queue queue[QUEUES];
static uint8_t buffer[QUEUES][NET_RING][NET_BUFFER] __attribute__((aligned(4096)));
static uint64_t device;
static uint16_t added[QUEUES]; /* offered; shown to the device with avail.idx */
static uint16_t taken; /* of what came */
struct net_account net_account;
uint8_t net_mac[6];

static inline void fence(void) { __asm__ volatile("fence rw, rw" ::: "memory"); }
static void put(unsigned reg, uint64_t v) { *(volatile uint32_t *)(device + reg) = (uint32_t)v; }
static uint32_t get(unsigned reg) { return *(volatile uint32_t *)(device + reg); }

uint64_t net_now(void) { return csr_read(instret); }

static void put_address(unsigned reg, volatile void *at)
{
    put(reg, (uint64_t)at);
    put(reg + 4, (uint64_t)at >> 32);
}

static void open_queue(unsigned n)
{
    put(REG_QUEUE, n);
    put(REG_SIZE, NET_RING);
    put_address(REG_DESC, queue[n].desc);
    put_address(REG_AVAIL, &queue[n].avail);
    put_address(REG_USED, &queue[n].used);
    for (unsigned i = 0; i < NET_RING; i++) {
        queue[n].desc[i].addr = (uint64_t)buffer[n][i];
        queue[n].desc[i].len = NET_BUFFER;
        queue[n].desc[i].flags = n == RX ? DESC_WRITE : 0;
        queue[n].avail.ring[i] = (uint16_t)i;
    }
    /* Nobody asks for what was sent: an interrupt after 2^15 frames. */
    queue[n].avail.used_event = n == TX ? 0x8000 : 0;
    put(REG_READY, 1);
}

bool net_open(unsigned n)
{
    device = VIRTIO + 0x1000 * n;
    if (get(REG_DEVICE) != 1)
        return false;
    put(REG_STATUS, 0);
    put(REG_STATUS, 3);
    put(REG_SEL, 0);
    put(REG_FEATURES, F_MAC | F_MRG_RXBUF | F_EVENT_IDX);
    put(REG_SEL, 1);
    put(REG_FEATURES, 1);
    put(REG_STATUS, 11);
    for (unsigned q = 0; q < QUEUES; q++)
        open_queue(q);
    put(REG_STATUS, 15);
    for (unsigned i = 0; i < sizeof(net_mac); i++)
        net_mac[i] = *(volatile uint8_t *)(device + REG_CONFIG + i);
    *(volatile uint32_t *)(PLIC + 4 * (n + 1)) = 1;
    *(volatile uint32_t *)(PLIC + PLIC_ENABLE) = 2u << n;
    added[RX] = NET_RING;
    net_refill();
    put(REG_NOTIFY, RX);
    return true;
}

/* ---- sending ---- */

uint8_t *net_next(void) { return buffer[TX][added[TX] % NET_RING] + NET_VNET_HEADER; }

void net_add(unsigned len)
{
    queue[TX].desc[added[TX] % NET_RING].len = NET_VNET_HEADER + len;
    added[TX]++;
}

/* Whether the device has asked to hear of one of those from old on. (2.7.10) */
static bool wants_kick(unsigned n, uint16_t old)
{
    uint16_t idx = queue[n].avail.idx;

    return (uint16_t)(idx - queue[n].used.avail_event - 1) < (uint16_t)(idx - old);
}

uint64_t net_kick(void)
{
    uint16_t old = queue[TX].avail.idx;

    fence();
    queue[TX].avail.idx = added[TX];
    fence();
    return wants_kick(TX, old) ? NET_TIMED(put(REG_NOTIFY, TX)) : 0;
}

/* ---- receiving ---- */

const uint8_t *net_poll(unsigned *len)
{
    uint32_t id;

    if (taken == queue[RX].used.idx)
        return NULL;
    fence();
    id = queue[RX].used.ring[taken % NET_RING].id;
    *len = queue[RX].used.ring[taken % NET_RING].len - NET_VNET_HEADER;
    /* Back in the order in which they were used. */
    queue[RX].avail.ring[added[RX] % NET_RING] = (uint16_t)id;
    added[RX]++;
    taken++;
    return buffer[RX][id] + NET_VNET_HEADER;
}

void net_refill(void)
{
    uint16_t old = queue[RX].avail.idx;

    fence();
    queue[RX].avail.idx = added[RX];
    fence();
    if (wants_kick(RX, old))
        NET_TIMED(put(REG_NOTIFY, RX));
}

static void serve(void)
{
    uint32_t source, isr;

    NET_TIMED(source = *(volatile uint32_t *)(PLIC + PLIC_CLAIM));
    if (!source)
        return;
    NET_TIMED(isr = get(REG_ISR));
    NET_TIMED(put(REG_ACK, isr));
    NET_TIMED(*(volatile uint32_t *)(PLIC + PLIC_CLAIM) = source);
}

void net_wait(uint64_t until)
{
    queue[RX].avail.used_event = taken;
    fence();
    if (queue[RX].used.idx != taken)
        return;
    if (until)
        sbi_call(SBI_TIME, 0, until, 0, 0, 0, 0);
    csr_set(sie, SIE_SEIE | (until ? SIE_STIE : 0));
    while (!(csr_read(sip) & SIE_SEIE) && (!until || rdtime() < until))
        NET_TIMED(__asm__ volatile("wfi"));
    csr_clear(sie, SIE_SEIE | SIE_STIE);
    if (csr_read(sip) & SIE_SEIE)
        serve();
}
