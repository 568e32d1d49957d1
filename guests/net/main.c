// SPDX-License-Identifier: BSD-2-Clause
// What a frame from one VM to another costs, without the instructions of both guests, for `tests/perf/bench --only net`.
//   role=sink   answers each frame that asks for it
//   role=source sends to the sink, by batches, and waits for an answer after each window; prints "bench <row> <value>" for
//               each: instructions of the hypervisor a frame (answers are frames too), exits of
//               both guests a frame, and the least that a kick took
//   row=NAME    only one of them
//   role=malformed  sends frames=N that no sane host would, as host=N of 10.77.0.0/24, for a system test
// On one hart under -icount shift=0: then what passes in the source, while it is not running, is the hypervisor's and the
// sink's, which tells in its answers how much it has run itself.
#include "net/net.h"

enum { HELLO, DATA, STOP };
enum { TYPE = 0xb588 }; /* of Ethernet, as it is in memory: for experiments */
enum { WARM_UP = 64, ROUNDS = 256, CARD = 2 };
#define SUBNET 0x0a4d0000u

struct frame {
    uint8_t to[6], from[6];
    uint16_t type;
    uint8_t kind, answer;
    uint64_t own, exits; /* in answers: of the sink so far */
} __attribute__((packed));

static void send(const uint8_t *to, uint8_t kind, bool answer, uint64_t own, unsigned len)
{
    struct frame *f = (struct frame *)net_next();

    memcpy(f->to, to, 6);
    memcpy(f->from, net_mac, 6);
    f->type = TYPE;
    f->kind = kind;
    f->answer = answer;
    f->own = own;
    f->exits = net_account.exits;
    net_add(len);
}

static void sink(void)
{
    uint64_t start = net_now(), own;
    const struct frame *f;
    uint8_t to[6];
    unsigned len;
    bool answer, stop = false;

    while (!stop) {
        net_wait(0);
        answer = false;
        while ((f = (const struct frame *)net_poll(&len))) {
            answer |= f->type == TYPE && f->answer;
            stop |= f->type == TYPE && f->kind == STOP;
            memcpy(to, f->from, 6);
        }
        net_refill();
        if (!answer)
            continue;
        own = net_now() - start - net_account.away;
        send(to, DATA, false, own, 60);
        net_kick();
    }
}

/* ---- the source ---- */

static uint8_t peer[6];
static uint64_t peer_own, peer_exits; /* as last told */

/* Takes what has come: answers. */
static unsigned answers(void)
{
    const struct frame *f;
    unsigned n = 0, len;

    while ((f = (const struct frame *)net_poll(&len))) {
        if (f->type != TYPE)
            continue;
        memcpy(peer, f->from, 6);
        peer_own = f->own;
        peer_exits = f->exits;
        n++;
    }
    net_refill();
    return n;
}

static void find_sink(void)
{
    static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};

    do {
        send(all, HELLO, true, 0, 60);
        net_kick();
        net_wait(rdtime() + usec(10000));
    } while (!answers());
}

/* A window of frames and its answer; the least that a kick took. */
static uint64_t window(unsigned len, unsigned batch, unsigned frames)
{
    uint64_t least = ~0ul;

    for (unsigned i = 0; i < frames;) {
        uint64_t took;

        for (unsigned b = 0; b < batch && i < frames; b++, i++)
            send(peer, DATA, i + 1 == frames, 0, len);
        took = net_kick();
        least = took && took < least ? took : least;
    }
    do
        net_wait(0);
    while (!answers());
    return least;
}

static void measure(const char *name, unsigned len, unsigned batch, unsigned frames)
{
    uint64_t least = ~0ul, away, exits, all = (uint64_t)ROUNDS * (frames + 1);
    const char *only = rt_option("row");

    if (only && strcmp(only, name))
        return;
    for (unsigned i = 0; i < WARM_UP; i++)
        window(len, batch, frames);
    away = net_account.away - peer_own;
    exits = net_account.exits + peer_exits;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t took = window(len, batch, frames);

        least = took < least ? took : least;
    }
    away = net_account.away - peer_own - away;
    exits = net_account.exits + peer_exits - exits;
    printf("bench %s instructions %lu exits/100 %lu kick %lu\n", name, away / all,
           exits * 100 / all, least);
}

/* Options are words, the last one excepted with others behind them. */
static bool has_role(const char *role)
{
    const char *s = rt_option("role");
    size_t len = strlen(role);

    return s && !memcmp(s, role, len) && (!s[len] || s[len] == ' ');
}

void guest_main(void)
{
    if (!rt_option("role") || !net_open(CARD)) {
        printf("net guest: FAIL no role= or no card\n");
        return;
    }
    if (has_role("sink")) {
        sink();
        return;
    }
    if (has_role("malformed")) {
        malformed_run(SUBNET + (uint32_t)rt_number("host", 0), (unsigned)rt_number("frames", 0));
        printf("net guest: end\n");
        return;
    }
    find_sink();
    measure("stream", 60, 32, 128);
    measure("single", 60, 1, 1);
    measure("single-kicks", 60, 1, 128);
    measure("stream-1514", 1514, 32, 128);
    send(peer, STOP, false, 0, 60);
    net_kick();
    printf("net guest: end\n");
}
