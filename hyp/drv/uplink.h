// SPDX-License-Identifier: BSD-2-Clause
// The host's network card, and who uses it: bridges and the outer sides of NAT. There is one card, or none.
// Lock rank: LOCK_BACKEND inside. Callers: hyp/net.
#pragma once
#include "vdev/backend.h"

/* Users, and ports of each that are told apart (net_frame.source). */
enum { UPLINK_USERS = 4, UPLINK_PORTS = 64 };

/* Whether there is a card; its address, and how long its packets may be. */
bool uplink_get(uint8_t mac[NET_MAC], uint16_t *mtu);
/* Copies a finished frame to the card; ctx: of its user. False: dropped, for want of a card or of room there: all have the
 * card's buffers together, and who has twice as many in use as are free gets no more. So whoever floods leaves some
 * to others. */
bool uplink_send(const void *ctx, const struct net_frame *f);
/* From now on fn gets every frame that comes; on the card's thread, no locks held. 0; -ENODEV; -ENOSPC. */
int uplink_open(void (*fn)(void *ctx, struct net_frame *f), void *ctx) MUST_CHECK;
/* From now on fn, or nobody (NULL), sees every frame, in the card's buffer: as it is about to be sent, with its sender's locks
 * held; or come. */
void uplink_tap(void (*fn)(const struct net_frame *f, bool sent));
/* Waits until fn does not run; not from within it, no locks held. */
void uplink_close(void *ctx);
