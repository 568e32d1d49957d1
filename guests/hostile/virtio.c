// SPDX-License-Identifier: BSD-2-Clause
// Virtqueues that mean harm: loops, wild addresses, overlapping and enormous buffers, indirect tables in
// themselves, indices that run away; while the other harts change it all.
#include "hostile/hostile.h"

enum { SIZE = 256, AREA = 0x10000 }; /* of a queue; of guest memory for each */
enum { DESC = 0, AVAIL = 0x1000, USED = 0x2000, TABLE = 0x4000, HEADERS = 0x8000 };
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

/* Queues of the nth device: console, entropy, disks, network cards. */
static unsigned queues_of(unsigned n) { return n == 0 ? 2 : n < 2 + disks ? 1 : 3; }

static volatile uint64_t target; /* the queue's area that is being attacked */

static void put(uint64_t device, unsigned reg, uint64_t value)
{
    *(volatile uint32_t *)(device + reg) = (uint32_t)value;
}

static void put64(uint64_t device, unsigned reg, uint64_t value)
{
    put(device, reg, value);
    put(device, reg + 4, value >> 32);
}

static uint32_t get(uint64_t device, unsigned reg) { return *(volatile uint32_t *)(device + reg); }

static void set_queue(struct worker *w, uint64_t device, unsigned queue, uint64_t area)
{
    put(device, 0x30, queue);
    put(device, 0x38, one_in(w, 4) ? 1u << random_below(w, 9) : SIZE);
    put64(device, 0x80, one_in(w, 32) ? nasty_address(w) : area + DESC);
    put64(device, 0x90, one_in(w, 32) ? nasty_address(w) : area + AVAIL);
    /* Not over the rest of this VM's memory: it is written to. */
    put64(device, 0xa0, area + (one_in(w, 16) ? DESC : USED));
    put(device, 0x44, 1);
}

/* A driver's way up (virtio 1.2, 3.1.1), with some of the features. */
static void begin(struct worker *w, uint64_t device, uint64_t area, unsigned queues)
{
    uint64_t deadline = rdtime() + usec(1000000);

    put(device, 0x70, 0);
    while (get(device, 0x70) && rdtime() < deadline)
        ;
    put(device, 0x70, 1);
    put(device, 0x70, 3);
    for (unsigned sel = 0; sel < 2; sel++) {
        uint32_t offered;

        put(device, 0x14, sel);
        offered = get(device, 0x10);
        put(device, 0x24, sel);
        put(device, 0x20, sel || one_in(w, 4) ? offered : offered & random_next(w));
    }
    put(device, 0x70, 11);
    memset((void *)(area + AVAIL), 0, 0x3000);
    for (unsigned q = 0; q < queues; q++)
        set_queue(w, device, q, area + q * AREA);
    put(device, 0x70, 15);
}

static uint32_t length(struct worker *w)
{
    switch (random_below(w, 6)) {
    case 0:
        return (uint32_t)nasty(w);
    case 1:
        return 0;
    case 2:
        return 1;
    case 3:
        return 16;
    case 4:
        return 512 * (uint32_t)random_below(w, 4096);
    default:
        return (uint32_t)random_below(w, 2048);
    }
}

static struct desc wild(struct worker *w, uint64_t area)
{
    struct desc d = {
        .addr = one_in(w, 8) ? nasty_address(w) : arena_address(w),
        .len = length(w),
        .flags = (uint16_t)(random_next(w) & (one_in(w, 4) ? 7 : NEXT | WRITE)),
        .next = (uint16_t)(one_in(w, 16) ? nasty(w) : random_below(w, SIZE)),
    };

    if (one_in(w, 16) || (d.flags & INDIRECT)) {
        d.addr = area + TABLE + (one_in(w, 8) ? random_below(w, 64) : 0);
        d.len = one_in(w, 4) ? length(w) : 16 * (1 + (uint32_t)random_below(w, 300));
        d.flags = INDIRECT | (one_in(w, 16) ? NEXT : 0);
    }
    return d;
}

static void store_desc(uint64_t at, struct desc d) { *(volatile struct desc *)at = d; }

/* Something that is nearly a block request, so that it gets further than to its header. */
static void block_request(struct worker *w, uint64_t area, unsigned head)
{
    static const uint8_t types[] = {0, 0, 0, 1, 1, 4, 8, 11, 13, 2};
    uint64_t header = area + HEADERS + 64 * head;
    unsigned data = (head + 1) % SIZE, status = (head + 2) % SIZE;
    uint32_t type = types[random_below(w, ARRAY_LEN(types))];
    volatile uint64_t *h = (volatile uint64_t *)header;

    h[0] = type;
    h[1] = one_in(w, 4) ? nasty(w) : random_below(w, 64);
    h[2] = one_in(w, 4) ? nasty(w) : random_below(w, 4096); /* a range, for discard */
    h[3] = one_in(w, 4) ? nasty(w) : 1 + random_below(w, 4096);
    store_desc(area + DESC + 16 * head, (struct desc){header, 16, NEXT, (uint16_t)data});
    if (type == 11 || type == 13)
        store_desc(area + DESC + 16 * data,
                   (struct desc){header + 16, one_in(w, 8) ? 32 : 16, NEXT, (uint16_t)status});
    else
        store_desc(area + DESC + 16 * data,
                   (struct desc){one_in(w, 16) ? nasty_address(w) : arena_address(w), length(w),
                                 (uint16_t)(NEXT | (type == 1 ? 0 : WRITE)), (uint16_t)status});
    store_desc(area + DESC + 16 * status, (struct desc){area + HEADERS + 0x4000, 1, WRITE, 0});
}

/* Something that is nearly a frame: to anybody, from the card's own address or another, with offloads that may be
 * agreed on; or a command; or a buffer to receive into. */
static void network_request(struct worker *w, uint64_t device, uint64_t area, unsigned head,
                            unsigned queue)
{
    uint64_t at = area + HEADERS + 64 * head;
    volatile uint8_t *b = (volatile uint8_t *)at;
    unsigned next = (head + 1) % SIZE;
    uint32_t more = one_in(w, 16) ? length(w) : (uint32_t)random_below(w, 1400);

    for (unsigned i = 0; i < 64; i++)
        b[i] = i < 12 && !one_in(w, 16) ? 0 : (uint8_t)random_next(w);
    for (unsigned i = 0; i < 6; i++) {
        if (one_in(w, 2))
            b[12 + i] = 0xff; /* else somebody's, hardly anybody's */
        if (!one_in(w, 64))
            b[18 + i] = *(volatile uint8_t *)(device + 0x100 + i);
    }
    if (one_in(w, 2)) { /* IPv4 and TCP, to be segmented */
        static const uint8_t ip[] = {8, 0, 0x45, 0};

        for (unsigned i = 0; i < sizeof(ip); i++)
            b[24 + i] = ip[i];
        b[0] = 1;
        b[1] = one_in(w, 2);
        b[6] = 34;
        b[8] = 16;
        b[35] = 6;
    }
    if (queue == 2) {
        b[0] = (uint8_t)random_below(w, 3);
        b[1] = (uint8_t)random_below(w, 6);
    }
    store_desc(area + DESC + 16 * head,
               (struct desc){queue ? at : arena_address(w), queue ? 64 : 2048,
                             (uint16_t)(queue ? NEXT : WRITE), (uint16_t)next});
    store_desc(area + DESC + 16 * next,
               (struct desc){arena_address(w), more, queue == 2 ? WRITE : 0, 0});
}

static void fill(struct worker *w, uint64_t device, uint64_t area, unsigned queue, bool network)
{
    volatile uint16_t *avail = (volatile uint16_t *)(area + AVAIL);
    unsigned head = (unsigned)random_below(w, SIZE), n = 1 + (unsigned)random_below(w, 4);

    for (unsigned i = 0; i < n; i++) {
        if (one_in(w, 2) && network)
            network_request(w, device, area, (head + 3 * i) % SIZE, queue);
        else if (one_in(w, 2))
            block_request(w, area, (head + 3 * i) % SIZE);
        else
            store_desc(area + DESC + 16 * ((head + 3 * i) % SIZE), wild(w, area));
        avail[2 + (avail[1] + i) % SIZE] =
            (uint16_t)(one_in(w, 64) ? nasty(w) : (head + 3 * i) % SIZE);
    }
    for (unsigned i = 0; i < 8; i++)
        store_desc(area + TABLE + 16 * random_below(w, 300), wild(w, area));
    if (one_in(w, 64))
        avail[0] = (uint16_t)nasty(w);
    if (one_in(w, 64))
        avail[2 + SIZE] = (uint16_t)nasty(w); /* used_event */
    __asm__ volatile("fence" ::: "memory");
    avail[1] = (uint16_t)(avail[1] + (one_in(w, 64) ? nasty(w) : one_in(w, 16) ? SIZE : n));
    __asm__ volatile("fence" ::: "memory");
}

/* A chain of as many descriptors as can be, again and again: work without end, if it has no bound. */
static void fill_long(struct worker *w, uint64_t area)
{
    volatile uint16_t *avail = (volatile uint16_t *)(area + AVAIL);
    uint32_t len = one_in(w, 2) ? 0 : 1;
    uint16_t flags = one_in(w, 2) ? WRITE : 0;

    for (unsigned i = 0; i < SIZE; i++) {
        store_desc(area + DESC + 16 * i,
                   (struct desc){arena_address(w), len, flags | NEXT, (uint16_t)((i + 1) % SIZE)});
        store_desc(area + TABLE + 16 * i,
                   (struct desc){arena_address(w), len, flags | NEXT, (uint16_t)((i + 1) % SIZE)});
        avail[2 + i] = (uint16_t)i;
    }
    if (one_in(w, 2)) /* and then one more table of them */
        store_desc(area + DESC + 16 * (SIZE - 1),
                   (struct desc){area + TABLE, 16 * SIZE, INDIRECT, 0});
    __asm__ volatile("fence" ::: "memory");
    avail[1] = (uint16_t)(avail[1] + SIZE);
}

void attack_virtio(struct worker *w)
{
    for (uint64_t i = 0; i < w->ops; i++) {
        unsigned n = (unsigned)random_below(w, 2 + disks + nets);
        uint64_t device = VIRTIO + 0x1000 * n, area = arena + arena_size - 0x200000 + n * 2 * AREA;
        unsigned queue = (unsigned)random_below(w, queues_of(n));

        if ((get(device, 0x70) & 0xff) != 15 || one_in(w, 32))
            begin(w, device, area, queues_of(n));
        target = area + queue * AREA;
        if (one_in(w, 16))
            fill_long(w, target);
        else
            fill(w, device, target, queue, n >= 2 + disks);
        put(device, 0x50, one_in(w, 32) ? nasty(w) : queue);
        if (one_in(w, 16))
            put(device, 0x64, get(device, 0x60));
        if (one_in(w, 128)) { /* one queue, while it is at work */
            put(device, 0x30, queue);
            put(device, one_in(w, 2) ? 0xc0 : 0x44, one_in(w, 2));
        }
        w->done++;
    }
    for (unsigned n = 0; n < 2 + disks + nets; n++)
        put(VIRTIO + 0x1000 * n, 0x70, 0);
}

/* The other harts: rings and tables, while they are read. */
void attack_virtio_scribble(struct worker *w)
{
    while (!target)
        ;
    for (uint64_t i = 0; i < 4 * w->ops; i++) {
        uint64_t area = target;

        switch (random_below(w, 4)) {
        case 0:
            store_desc(area + DESC + 16 * random_below(w, SIZE), wild(w, area));
            break;
        case 1:
            store_desc(area + TABLE + 16 * random_below(w, 300), wild(w, area));
            break;
        case 2:
            ((volatile uint16_t *)(area + AVAIL))[2 + random_below(w, SIZE)] =
                (uint16_t)random_below(w, SIZE + 1);
            break;
        default:
            if (one_in(w, 16))
                ((volatile uint16_t *)(area + AVAIL))[1] += (uint16_t)random_below(w, 300);
            else if (one_in(w, 32))
                put(VIRTIO + 0x1000 * random_below(w, 2 + disks + nets), 0x50, random_below(w, 3));
        }
        w->done++;
    }
}
