// SPDX-License-Identifier: BSD-2-Clause
// Cards of VMs at a switch, without VMs, for unit tests of hyp/net/switch*: what each gets is counted, and the last kept.
// Link: tests/fake/switch.units.
#pragma once
#include "fake_heap.h"
#include "fake_uplink.h"
#include "net/switch.h"

enum { CARDS = SWITCH_PORTS + 1 };

struct card {
    struct net_backend *net; /* its port; NULL: it is not plugged in */
    unsigned got, told,
        links; /* frames taken; ends of batches, and changes of the link, that it was told of */
    uint32_t last_len;
    uint8_t last[2048]; /* the head of the last frame */
    enum net_fate fate; /* of what comes */
};

extern struct card cards[CARDS];
extern struct switch_config cards_lan; /* "lan0", internal */
extern void (*cards_on_link)(void); /* called once, as the next card is told of its link */
extern void (*cards_on_yield)(void);
extern unsigned cards_yields;
extern bool cards_in_batch; /* what is sent is part of a batch, until cards_flush */

#define BROADCAST 0xffffffffffffull
#define MAC_OF(n) (0x020000000001ull + (n)) /* of the card that did not ask for another */

/* Plugs card n, named "vmN.0", into a switch; its error. */
int cards_plug_into(const struct switch_config *sw, unsigned n, struct port_config config);
/* The same into cards_lan; fails the test unless it goes well. */
void cards_plug(unsigned n, struct port_config config);
void cards_plug_all(unsigned n); /* the first n, plain ones */
void cards_unplug(unsigned n);
/* After each test: unplugs all, and fails it if a switch, or memory of one, is left. */
int cards_end(void **state);
/* A frame of 60 bytes, or of len, between such addresses; what the port's send says. */
uint64_t cards_send(unsigned n, uint64_t to);
uint64_t cards_send_len(unsigned n, uint64_t from, uint64_t to, uint32_t len);
void cards_flush(unsigned n);
/* What the first switch knows of the port of card n. */
struct port_info cards_info(unsigned n);
/* Who got what since the last call: a bit for each card. */
uint64_t cards_got(void);
