// SPDX-License-Identifier: BSD-2-Clause
// What devices stand on, for tests: heap and frames with limits, an interrupt line, backends, a byte
// stream for state, and a guest's driver (rings, registers).
// Link: tests/fake/fake_base.c tests/fake/fake_vdev.c tests/fake/fake_guest_mem.c
#pragma once
#include "base/state.h"
#include "fake_guest_mem.h"
#include "sched/timer.h"
#include "vdev/backend.h"
#include "vdev/dev.h"

/* Memory */
extern int fake_heap_objects, fake_frames;
extern int fake_memory_left; /* allocations that still work; -1: no limit */

/* The timer that is set last; NULL: none. Runs it. */
extern struct timer *fake_timer;
void fake_timer_run(void);

/* An interrupt line */
extern bool fake_irq_level;
extern unsigned fake_irq_rises;
struct irq_line fake_irq(void);

/* A character stream */
struct fake_chr {
    struct chr_backend chr;
    char out[200000];
    size_t out_len, out_room; /* room left */
    unsigned writes;
    char in[4096];
    size_t in_at, in_len;
    uint16_t columns, rows;
};
void fake_chr_init(struct fake_chr *c);
void fake_chr_type(struct fake_chr *c, const char *text, size_t len); /* and calls ready */

/* A disk; requests end at once, or when the test says so */
enum { FAKE_BLK_QUEUE = 64 };
struct fake_blk {
    struct blk_backend blk;
    uint8_t *data;
    bool async;
    unsigned capacity; /* requests it takes before -EAGAIN */
    struct blk_request *queue[FAKE_BLK_QUEUE];
    unsigned queued;
    unsigned submitted, flushes;
    unsigned uncommitted; /* submitted with `more`, and no commit yet */
    unsigned wanted; /* of the last commit */
    struct blk_batch *batch; /* what completed requests are told of */
    int fail; /* result of all requests */
    bool closed;
};
void fake_blk_init(struct fake_blk *b, uint64_t sectors);
void fake_blk_free(struct fake_blk *b);
void fake_blk_complete(struct fake_blk *b, unsigned which); /* one of the queue */

struct entropy_backend *fake_entropy(void); /* bytes 1, 2, 3, ... */
extern unsigned fake_entropy_fills;

/* A network: keeps the last frame that was sent, and may give each back to its sender */
struct fake_net {
    struct net_backend net;
    uint8_t frame[NET_FRAME_MAX];
    struct net_offload offload;
    uint32_t len;
    unsigned sent, taken, full;
    bool loop, fixed_mac, closed, unflushed;
};
void fake_net_init(struct fake_net *n);
/* Bytes of the host as a frame to the card. */
enum net_fate fake_net_give(struct fake_net *n, const void *bytes, uint32_t len,
                            struct net_offload offload);

/* State streams */
struct fake_stream {
    uint8_t *data;
    size_t len, at;
};
struct state_writer fake_stream_writer(struct fake_stream *s);
struct state_reader fake_stream_reader(struct fake_stream *s);

/* A device on a bus at DEV_BASE */
#define DEV_BASE 0x10001000ull
extern struct bus fake_bus;
void fake_bus_put(struct vdev *dev, const char *name);
void fake_check_page(const struct vdev *dev,
                     const struct mmio_access *a); /* after a read that was OK */
enum mmio_result reg_access(uint64_t off, unsigned width, bool write, uint64_t *value);
uint32_t reg_read(uint64_t off);
enum mmio_result reg_write(uint64_t off, uint32_t v);

/* A virtio driver with up to three queues */
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };
struct drv_queue {
    uint64_t desc, avail, used, table;
    uint16_t size, idx, seen, next_desc;
};
extern struct drv_queue drv_q[3];
extern uint64_t drv_features;
uint64_t drv_offered(void);
/* The initialisation sequence up to DRIVER_OK, rings in the first 192 KiB of RAM; false: refused. */
bool drv_init(uint64_t features, unsigned queues, uint16_t size);
void drv_setup_queue(unsigned queue, uint16_t size);
void drv_desc(unsigned queue, unsigned index, uint64_t addr, uint32_t len, uint16_t flags,
              uint16_t next);
void drv_offer(unsigned queue, uint16_t head); /* in the available ring */
struct drv_buf {
    uint64_t addr;
    uint32_t len;
    bool write;
};
/* A chain of n buffers, offered; its head. */
uint16_t drv_add(unsigned queue, const struct drv_buf *buf, unsigned n, bool indirect);
bool drv_want_kick(unsigned queue, uint16_t old); /* as a driver with EVENT_IDX decides */
enum mmio_result drv_kick(unsigned queue); /* until it needs no retry */
bool drv_used(unsigned queue, uint32_t *id, uint32_t *len);
uint16_t drv_used_idx(unsigned queue);
void drv_set_used_event(unsigned queue, uint16_t v);
void drv_set_avail_idx(unsigned queue, uint16_t v);
#define DRV_DATA (GM_BASE + 0x40000) /* free for the tests */
bool drv_needs_reset(void);
