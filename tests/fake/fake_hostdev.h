// SPDX-License-Identifier: BSD-2-Clause
// Virtio devices of the host, behind their registers, for unit tests of hyp/drv: they complete requests in the order, with the
// status and with the mistakes that the test wants. Thread, timer and interrupts of the drivers are here too.
// Link: tests/fake/hostdev.units.
#pragma once
#include "drv/drv.h"
#include "drv/virtio_host.h"
#include "fake_timer.h"

enum { HOSTDEVS = 16, HOSTDEV_SECTORS = 256, HOSTDEV_PENDING = 256 };

/* Features that a disk of hostdev_disk offers, and the driver takes. */
#define F_ALL (1 << 2 | 1 << 6 | 1 << 9 | 1 << 13 | 1 << 14)
#define F_EVENT_IDX (1ull << 29)
#define F_V1 (1ull << 32)

struct hostdev {
    uint32_t version, id, queue_max, status, isr, generation;
    uint64_t offered, accepted;
    uint32_t driver_sel, device_sel, queue_num, align, ready;
    uint64_t ring[3];
    uint8_t config[64];
    uint16_t avail_seen, used_idx;
    uint16_t pending[HOSTDEV_PENDING];
    unsigned pending_count, kicks, most_segments;
    bool held; /* requests wait for hostdev_complete */
    bool refuse_features;
    uint32_t last_flags, last_discard_sectors; /* of a discard, or a write of zeroes */
    uint8_t answer; /* status of requests; 0xFE: leave it as it is */
    void (*handler)(void *arg);
    void *arg;
    uint8_t disk[HOSTDEV_SECTORS * 512];
};

extern struct hostdev hostdevs[HOSTDEVS];
extern unsigned hostdev_count; /* of those that are somebody's */
extern unsigned hostdev_sched_points; /* how often the drivers let others run */

/* Memory and registers; before all others. */
void hostdev_start(void);
/* A new disk, its sectors filled; the driver does not know it yet. */
struct hostdev *hostdev_disk(void);
void hostdev_config32(struct hostdev *d, unsigned at, uint32_t v);
/* The driver finds it. */
void hostdev_attach(struct hostdev *d);
/* Completes the nth request that waits. */
void hostdev_complete(struct hostdev *d, unsigned n);
/* Puts anything into the used ring. */
void hostdev_put_used(struct hostdev *d, uint32_t head, uint32_t len);
/* By used_event: whether the device has to interrupt for what it has used since `old`. */
bool hostdev_wants_interrupt(struct hostdev *d, uint16_t old);
void hostdev_interrupt(struct hostdev *d);
/* Completes all that wait, one by one, each with its interrupt. */
void hostdev_finish(struct hostdev *d);
/* The drivers' timer, which must be set, fires. */
void hostdev_run_timer(void);
