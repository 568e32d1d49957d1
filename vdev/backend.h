// SPDX-License-Identifier: BSD-2-Clause
// What stands behind devices: character streams, block storage, networks, entropy, clocks for people. The
// device side is in vdev/, the providing side in hyp/ (drivers, console multiplexer, RAM disks).
// Lock rank: the provider's own is LOCK_BACKEND; callbacks to the device (ready, done) are made
// with no lock held, on any hart, and take the device's lock. Callers: devices on one side, hyp/{drv,blk,net,ctl} and ramdisk.c on the other.
#pragma once
#include "base/addr.h"
#include "base/state.h"
#include "base/util.h"

/* A character stream, such as a console. Never blocks. */
struct chr_backend {
    /* Bytes taken: all, or fewer when the buffer is full and is being drained, or when it has taken long
     * enough: the guest's access is then tried again (MMIO_RETRY). A stream that nobody drains takes all and drops the oldest. */
    size_t (*write)(void *ctx, const char *data, size_t len);
    size_t (*read)(void *ctx, char *to, size_t max); /* bytes waiting, up to max */
    void (*size)(void *ctx, uint16_t *columns, uint16_t *rows);
    void *ctx;
    /* Set by the device: input waits to be read, or the size has changed. */
    void (*ready)(void *device);
    /* Set by a device that has such a thing: a break on the line, after what it has read. False: no room. */
    bool (*line_break)(void *device);
    void *device;
};

enum blk_op { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_DISCARD, BLK_WRITE_ZEROES };
enum { BLK_SEGMENTS = 128 };
struct blk_segment {
    void *hva;
    uint32_t len;
}; /* in the direct map, pinned by the requester */
/* Devices to be called once all that a provider had has been said done: see blk_request.batch. */
struct blk_waiter {
    struct blk_waiter *next;
    void (*fn)(struct blk_waiter *w);
};
struct blk_batch {
    struct blk_waiter *first;
};
static inline void blk_batch_add(struct blk_batch *b, struct blk_waiter *w)
{
    w->next = b->first;
    b->first = w;
}
static inline void blk_batch_end(struct blk_batch *b)
{
    while (b->first) {
        struct blk_waiter *w = b->first;

        b->first = w->next; /* fn may add it to another one */
        w->fn(w);
    }
}

struct blk_request {
    enum blk_op op;
    uint64_t sector; /* 512 bytes each */
    uint64_t sectors; /* of the whole request, for discard and write-zeroes too */
    bool unmap; /* write zeroes may deallocate */
    struct blk_segment *seg; /* read and write: total length = sectors * 512; not to be changed */
    unsigned seg_count;
    int result; /* 0, -EIO, -ENOTSUP, -ENOSPC, -EACCES: set before done */
    /* Once for each request taken. May be called before submit returns (on any hart): it then takes
     * no lock. After submit has returned, call it with no lock held. */
    void (*done)(struct blk_request *r);
    void *owner;
    struct blk_request *next; /* for the provider's queue */
    /* The submitter calls commit after this one and others like it: until then none of them need be begun. */
    bool more;
    /* NULL at submit. Set before done by a provider that has others to say done at once: whoever is told so may put off what it does
     * once for all of them, to when the provider ends the batch, which it does at once, with no lock held. */
    struct blk_batch *batch;
};
/* A disk that is made larger while it is used. */
struct blk_growth {
    uint64_t sectors; /* of the disk, from now on */
    uint64_t
        room; /* of the range of the host's disk that it lies in, which is its own from now on; as many, if it is all of that */
    bool only_check; /* nothing is done: could it be? */
    char why[128]; /* of an error, for people */
};
struct blk_backend {
    /* Takes the request (0) or says -EAGAIN (full: tried again after ready()), never fails otherwise:
     * other errors come through done. */
    int (*submit)(void *ctx, struct blk_request *r);
    /* Optional: begins what was submitted with `more`. The requester need not hear of ends before `wanted` of all that it has in
     * flight have ended, but for slow ones, and soon all the same (milliseconds); 0: the provider's own choice. Holds until the next call. */
    void (*commit)(void *ctx, unsigned wanted);
    void (*close)(void *ctx);
    void *ctx;
    uint64_t sectors; /* capacity; grow changes it, as one store */
    uint32_t block_size; /* bytes, >= 512 */
    bool read_only, can_discard, can_write_zeroes, can_flush;
    unsigned depth; /* requests worth having in flight; 1: all end within submit; 0: not known */
    /* Optional: contents that live only in memory, as part of the VM's state. */
    void (*save)(void *ctx, struct state_writer *w);
    int (*load)(void *ctx, struct state_reader *r);
    /* Optional: drops all that was written to these; no request is under way. */
    void (*revert)(void *ctx);
    /* Optional: bytes of the host's memory that it holds, contents of a RAM disk apart. */
    uint64_t (*memory)(void *ctx);
    /* Optional: makes it larger, whatever is in flight: `sectors` are more then. 0; -EINVAL, -EBUSY, -ENOSPC, -ENOMEM, -EIO and why:
     * it is as large as it was. Threads that may sleep, one at a time, no lock held. */
    int (*grow)(void *ctx, struct blk_growth *g);
    const uint64_t *frames; /* optional: frames that the contents of a RAM disk hold */
    char serial[21];
    const char *behind; /* what an image has behind it, by name; NULL: nothing */
    void (*ready)(void *device); /* set by the device: the provider takes requests again */
    void *device;
};

/* ---- networks ---- */

enum {
    NET_MAC = 6, /* bytes of an address */
    NET_ETHERNET = 14, /* bytes of a header */
    NET_HEAD =
        144, /* as much of a frame as headers take: Ethernet, VLAN, IP and TCP with options */
    NET_HEADROOM = 12, /* bytes before a head that whoever receives the frame may write to */
    NET_MTU = 1500, /* unless said otherwise */
    NET_MTU_MIN = 576,
    NET_MTU_MAX = 65521,
    NET_FRAME_MAX = NET_ETHERNET + 4 + 65535 /* of any frame, one to be segmented too */
};

/* Work on a frame that its sender left to others (virtio 1.2, 5.1.6.2). */
enum net_gso { NET_GSO_NONE, NET_GSO_TCP4, NET_GSO_TCP6 };
struct net_offload {
    bool
        csum; /* the sum of all from csum_start on belongs at csum_offset from there, where the pseudo-header's is */
    bool ecn; /* gso: of the segments only the first has CWR */
    uint8_t
        gso; /* enum net_gso: to be cut into segments of gso_size bytes of payload; csum is set then */
    uint16_t csum_start, csum_offset, gso_size;
    uint16_t header; /* gso: bytes before the payload, all in the head */
};

/* Bytes of a frame where the sender has them: in its guest's memory, or in the host's. */
struct stage2;
struct net_piece {
    union {
        gpa_t gpa; /* mem is set; RAM of that guest */
        const void *hva;
    };
    uint32_t len;
};
struct net_data {
    struct stage2 *mem; /* NULL: the host's */
    const struct net_piece *piece;
    unsigned pieces;
    /* Copies len bytes from offset. 0, -ENOMEM, -EFAULT. LOCK_BACKEND and less held. */
    int (*read)(const struct net_data *d, uint32_t offset, void *to, uint32_t len);
};

/* read of data that is one piece of the host's. */
static inline int net_read_host(const struct net_data *d, uint32_t offset, void *to, uint32_t len)
{
    __builtin_memcpy(to, (const char *)d->piece[0].hva + offset, len);
    return 0;
}

/* A frame in flight, from its Ethernet header on, without its check sequence. Its first bytes were copied, once, and
 * those are what is looked at and passed on; the rest stays with the sender until it is copied to where it goes. */
struct net_frame {
    uint8_t *head; /* at an even address, NET_HEADROOM bytes before it are there */
    uint32_t head_len; /* at most NET_HEAD; all of a frame that is no longer */
    uint32_t len; /* of the whole frame */
    const struct net_data *data; /* what follows the head, from data_at; NULL when nothing does */
    uint32_t data_at;
    uint16_t source; /* the port that it came from; set by the switch */
    bool batch; /* flush comes soon: receivers need not be told before */
    struct net_offload offload;
};

/* What a receiver takes that is not finished; the rest is done for it. */
enum { NET_CAN_CSUM = 1, NET_CAN_TSO4 = 2, NET_CAN_TSO6 = 4, NET_CAN_ECN = 8 };
enum net_fate { NET_TAKEN, NET_FILTERED, NET_FULL, NET_DOWN };

/* Where a network card is plugged in. */
struct net_backend {
    /* A frame from the card: delivered, or dropped and counted, when this returns; its sender may then change it. The bytes
     * that were copied or summed for it. Under the card's lock, and never from within receive. */
    uint64_t (*send)(void *ctx, struct net_frame *f);
    /* The end of a batch: those who have received its frames are told. As send. */
    void (*flush)(void *ctx);
    /* The card's own address becomes another; false: refused. */
    bool (*set_mac)(void *ctx, const uint8_t mac[NET_MAC]);
    void (*close)(void *ctx); /* waits until no receive runs; no locks held */
    uint64_t (*memory)(
        void *ctx); /* optional: bytes of the host's memory that are this card's alone */
    void *ctx;
    uint8_t mac[NET_MAC]; /* of the card, as configured */
    uint16_t mtu;
    bool link; /* as last told */
    uint64_t
        refused; /* counted by the card: what its driver gave as a frame, and made no sense or was too scattered */
    /* Set by the card: a frame for it, whose offload is within can. Any hart, LOCK_DEVICE and less held. */
    enum net_fate (*receive)(void *device, const struct net_frame *f);
    /* Optional: frames were received, the driver may be told. As receive. */
    void (*received)(void *device);
    void (*link_changed)(void *device); /* no locks held */
    _Atomic unsigned can; /* NET_CAN_: changes as drivers come and go */
    void *device;
};

/* A clock of the day: nanoseconds since 1970 (UTC). Any hart, any lock held. */
struct clock_backend {
    uint64_t (*now)(void *ctx);
    void *ctx;
};

/* Fills to with len random bytes from the host's source: always all. hyp/drv/entropy.c */
struct entropy_backend {
    void (*fill)(void *ctx, void *to, size_t len);
    void *ctx;
};
