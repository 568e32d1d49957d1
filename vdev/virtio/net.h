// SPDX-License-Identifier: BSD-2-Clause
// Between net.c (frames) and net_ctrl.c (the control queue, filters) only.
//
// Lock rank: vdev.lock (LOCK_DEVICE) for what is sent and the control queue; n->lock (LOCK_PORT) for all that a frame
// for this card meets: receive queue, filters, link. Registers are written with both held. While frames are copied to it the
// guest's usual accesses, kicks and acknowledgements, need no n->lock: they would wait for the copy. So a card that
// sends, whose own vdev.lock is held, can fill the receive queue of any other card; no two LOCK_PORT are ever held.
#pragma once
#include "sched/timer.h"
#include "vdev/backend.h"
#include "vdev/virtio/virtio_mmio.h"

enum { VNET_RX, VNET_TX, VNET_CTRL, VNET_QUEUES };

#define VNET_F_CSUM (1ull << 0)
#define VNET_F_GUEST_CSUM (1ull << 1)
#define VNET_F_MTU (1ull << 3)
#define VNET_F_MAC (1ull << 5)
#define VNET_F_GUEST_TSO4 (1ull << 7)
#define VNET_F_GUEST_TSO6 (1ull << 8)
#define VNET_F_GUEST_ECN (1ull << 9)
#define VNET_F_HOST_TSO4 (1ull << 11)
#define VNET_F_HOST_TSO6 (1ull << 12)
#define VNET_F_HOST_ECN (1ull << 13)
#define VNET_F_MRG_RXBUF (1ull << 15)
#define VNET_F_STATUS (1ull << 16)
#define VNET_F_CTRL_VQ (1ull << 17)
#define VNET_F_CTRL_RX (1ull << 18)
#define VNET_F_CTRL_RX_EXTRA (1ull << 20)
#define VNET_F_CTRL_MAC_ADDR (1ull << 23)

enum { /* configuration space, 5.1.4 */
       VNET_CONFIG_MAC = 0,
       VNET_CONFIG_STATUS = 6,
       VNET_CONFIG_PAIRS = 8,
       VNET_CONFIG_MTU = 10,
       VNET_CONFIG_LEN = 12
};
enum { VNET_S_LINK_UP = 1 };

/* 5.1.6; num_buffers is there in every frame of a version 1 device. */
struct vnet_header {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};
_Static_assert(sizeof(struct vnet_header) == NET_HEADROOM, "5.1.6");

/* Receive modes, by the number of the command of class VIRTIO_NET_CTRL_RX that switches each. */
enum {
    VNET_PROMISC,
    VNET_ALLMULTI,
    VNET_ALLUNI,
    VNET_NOMULTI,
    VNET_NOUNI,
    VNET_NOBCAST,
    VNET_MODES
};
enum { VNET_FILTERS = 32, VNET_PIECES = 64 };
enum { VNET_FIRST = sizeof(struct vnet_header) + NET_HEAD }; /* what is read of a chain at once */

/* Addresses beside the card's own that the driver wants frames for; overflow: more than fit, so all of the kind. */
struct vnet_filter {
    uint8_t modes; /* bits by VNET_PROMISC … */
    bool overflow[2]; /* unicast, multicast */
    uint8_t count[2]; /* mac[] has the unicast ones first */
    uint8_t mac[VNET_FILTERS][NET_MAC];
};

struct vnet {
    struct virtio_dev v;
    struct spinlock lock; /* LOCK_PORT; v.inner */
    struct net_backend *net;
    struct vnet_filter filter;
    /* When the driver is told of what was sent: vdev.lock. */
    struct timer tx_late;
    bool tx_late_set;
    unsigned told_at_show; /* told, when it was last shown what was sent */
    atomic_uint told; /* interrupts for received frames */
    /* The frame that is being sent, read once. A receiver puts its own header in place of the sender's. */
    struct net_piece piece[VNET_PIECES];
    struct {
        _Alignas(8) struct vnet_header header;
        uint8_t head[NET_HEAD];
    } first;
};
static inline struct vnet *vnet_of(struct virtio_dev *v) { return CONTAINER_OF(v, struct vnet, v); }
static inline bool vnet_has(const struct vnet *n, uint64_t feature)
{
    return n->v.accepted & feature;
}

/* net_ctrl.c. The control queue was kicked; vdev.lock is held. */
enum mmio_result vnet_control(struct vnet *n);
/* As after a reset: everything is let in. Both locks. */
void vnet_filter_reset(struct vnet *n);
/* Whether the driver wants a frame that goes to this address. LOCK_PORT. */
bool vnet_wants(const struct vnet *n, const uint8_t mac[NET_MAC]);
void vnet_filter_save(const struct vnet *n, struct state_writer *w);
void vnet_filter_load(struct vnet *n, struct state_reader *r);
