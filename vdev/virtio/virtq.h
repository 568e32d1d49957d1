// SPDX-License-Identifier: BSD-2-Clause
// Split virtqueues: the only code that reads or writes a ring. (virtio 1.2, section 2.7.)
//
// The ring. A queue is three areas in guest memory, made by the driver. The descriptor table has
// `size` descriptors of 16 bytes: address, length, flags, and the index of the next one, so that
// descriptors form chains; a chain is one request: first all buffers that the device reads, then all
// that it writes. A descriptor may instead point to a table elsewhere (indirect), which holds the
// rest of the chain. The available ring is how the driver offers chains: it writes the index of
// the chain's first descriptor (the head) in the next slot, then increments idx, which counts
// freely through 65535 to 0. We keep our own count of what we took (last_avail); the difference is what
// waits, and cannot exceed `size`. The used ring goes the other way: we write {head, bytes that we
// wrote} in the next slot, then increment its idx.
//
//     driver:  desc[3] = {buffer}    avail.ring[avail.idx % size] = 3    avail.idx++    kick
//     device:  head = avail.ring[last_avail % size], last_avail++        ... works ...
//              used.ring[used.idx % size] = {3, written}                 used.idx++     interrupt
//
// Kicks and interrupts are what costs, so each side can say when it wants none. Without EVENT_IDX
// there is a flag in each ring. With it, the word behind the available ring (used_event) is the
// used idx whose passing the driver wants to hear of, and the word behind the used ring
// (avail_event) the available idx whose passing the device wants to hear of. While a device works it
// leaves avail_event behind; when it runs dry it arms (avail_event = last_avail), then, after a full
// barrier, looks once more: the driver does the same in mirror image (adds, barrier, looks at
// avail_event), so one of the two sees the other and no kick is lost.
//
// Trust. Other vCPUs change all of this while we read it. So every field is read once, into a value, and
// the value is checked; indices are checked against sizes, and a chain has a bound, so that
// a loop ends: as many direct descriptors as the queue has, and one indirect table of at most
// VIRTQ_MAX_SIZE. Addresses are not checked here: guest_mem does that wherever they are used.
//
// A queue has at most 256 entries: the descriptor table is then just a page (and so is always
// contiguous in host memory, and can be reached by pointer), the work that one kick can cause is
// bounded, and with indirect descriptors no driver gains from more.
//
// Lock rank: none of its own; the device's lock protects a queue. Pins are held from virtq_ready
// to virtq_reset; virtq_map renews them after a load. Callers: devices in this folder.
#pragma once
#include "stage2/guest_mem.h"

struct state_reader;
struct state_writer;

enum { VIRTQ_MAX_SIZE = 256 };
enum virtq_part { VIRTQ_DESC, VIRTQ_AVAIL, VIRTQ_USED, VIRTQ_PARTS };

struct virtq {
    struct stage2 *mem;
    gpa_t addr[VIRTQ_PARTS];
    struct guest_iov map[VIRTQ_PARTS]; /* hva NULL: not contiguous, reached by copies */
    uint16_t size; /* a power of two */
    uint16_t last_avail; /* chains taken */
    uint16_t seen_avail; /* the driver's idx when last read */
    uint16_t used_idx; /* chains given back */
    uint16_t signalled; /* used_idx at the last decision about an interrupt */
    bool ready, mapped;
    bool event_idx, indirect; /* negotiated */
    bool quiet; /* without EVENT_IDX: NO_NOTIFY is set */
    bool broken; /* sticks until virtq_reset: the ring makes no sense */
};

struct virtq_buf {
    gpa_t addr;
    uint32_t len;
    bool write; /* by the device */
};

struct virtq_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
}; /* as in memory */

/* A chain being read: a cursor, so that no chain needs memory of its own. */
enum { VIRTQ_BATCH = 8 }; /* descriptors of an indirect table copied at once */
struct virtq_chain {
    struct virtq *q;
    gpa_t table; /* the indirect table, once entered */
    uint16_t table_size; /* descriptors in it, or in the queue */
    uint16_t head, next;
    uint16_t left; /* descriptors that the chain may still have in this table */
    uint16_t batch_at, batch_count;
    bool more, indirect, writable;
    struct virtq_desc batch[VIRTQ_BATCH];
};

/* Power-on state; releases the pins. size is the default size. */
void virtq_reset(struct virtq *q, uint16_t size);
/* The driver says that the queue is set up: checks alignment, and pins the three areas.
 * 0, -EINVAL, -EFAULT (not RAM), -ENOMEM. */
int virtq_ready(struct virtq *q) MUST_CHECK;

/* The next chain: 1, 0 (none), or -EILSEQ: the ring makes no sense. From a pop until virtq_arm the
 * driver is asked for no kicks. */
int virtq_pop(struct virtq *q, struct virtq_chain *c) MUST_CHECK;
/* Whether the driver has offered chains that are not taken. */
bool virtq_offered(struct virtq *q);
/* Takes back the last pop, of a chain that cannot be dealt with now. */
void virtq_undo_pop(struct virtq *q);
/* A chain that was taken before a save, by its head. 0 or -EILSEQ. */
int virtq_chain_at(struct virtq *q, uint16_t head, struct virtq_chain *c) MUST_CHECK;
/* The next buffer of a chain: 1, 0 (the end), -EILSEQ (malformed), or an error of guest_mem. */
int virtq_next(struct virtq_chain *c, struct virtq_buf *b) MUST_CHECK;
/* Gives the chain back; written: bytes that the device wrote into it. */
void virtq_push(struct virtq *q, uint16_t head, uint32_t written);
/* The same for several chains that the driver must see at once: entry n (from 0) of those that are not shown yet, then
 * all of them. Chains that were taken back are put no more. */
void virtq_put(struct virtq *q, uint16_t n, uint16_t head, uint32_t written);
void virtq_show(struct virtq *q, uint16_t count);
/* Chains given back since the last virtq_notify. */
static inline uint16_t virtq_unsignalled(const struct virtq *q)
{
    return (uint16_t)(q->used_idx - q->signalled);
}
/* The driver was told of all that was given back, by an interrupt for something else. */
static inline void virtq_told(struct virtq *q) { q->signalled = q->used_idx; }
/* After pushes: whether the driver wants an interrupt for them. (2.7.7) */
bool virtq_notify(struct virtq *q);
/* The same, but the decision is yet to come: by virtq_notify. */
bool virtq_wants_notify(struct virtq *q);
/* Asks for a kick once there are `count` more chains, at least 1; without EVENT_IDX at the next. True: there are so many already,
 * pop again (2.7.10). */
bool virtq_arm_after(struct virtq *q, uint16_t count);
static inline bool virtq_arm(struct virtq *q) { return virtq_arm_after(q, 1); }
/* Asks for no kicks, until virtq_arm. */
void virtq_disarm(struct virtq *q);

void virtq_save(const struct virtq *q, struct state_writer *w);
void virtq_load(struct virtq *q, struct state_reader *r, uint16_t max);
