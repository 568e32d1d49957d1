// SPDX-License-Identifier: BSD-2-Clause
// A driver for one virtio network card, as little as its programs need, with an account of what each access that may exit
// takes away from this guest. (virtio 1.2, sections 2.7, 4.2, 5.1)
#pragma once
#include "rt/rt.h"

enum { NET_RING = 256, NET_BUFFER = 2048, NET_VNET_HEADER = 12 };

/* Instructions that went by outside this guest, and accesses that had more than a few of them: exits. */
struct net_account {
    uint64_t away, exits;
};
extern struct net_account net_account;
uint64_t net_now(void); /* instructions of the machine */

/* Runs one access of the guest's own by one instruction, and counts what it cost beyond that. */
#define NET_TIMED(access) \
    ({ \
        uint64_t before_ = csr_read(instret), took_; \
        access; \
        took_ = csr_read(instret) - before_ - 2; \
        net_account.away += took_; \
        net_account.exits += took_ > 8; \
        took_; \
    })

extern uint8_t net_mac[6];
/* The card that is the nth virtio device; false: there is none. */
bool net_open(unsigned n);
/* A place for the next frame to send, NET_BUFFER bytes; it goes with net_kick. */
uint8_t *net_next(void);
void net_add(unsigned len); /* bytes of the frame at net_next */
/* Tells the device of what was added, if it wants to know; the instructions that took. */
uint64_t net_kick(void);
/* The next frame that has come, or NULL; valid until net_refill, which gives all buffers back to the device. */
const uint8_t *net_poll(unsigned *len);
void net_refill(void);
/* Waits for the device's interrupt, or until a time (0: for ever), and serves it. */
void net_wait(uint64_t until);

/* malformed.c: sends so many frames that are nearly right, as the host with this address of IPv4. */
void malformed_run(uint32_t own, unsigned frames);
