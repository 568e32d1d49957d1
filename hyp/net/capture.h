// SPDX-License-Identifier: BSD-2-Clause
// Captures: copies of the frames that pass one port, or the uplink, as pcapng, for who reads them. Frames are as they pass: unfinished
// checksums and large segments too.
//
// A capture has a ring of bytes in which whole blocks wait. Nobody waits for its reader: a frame that finds no room is
// lost, and counted. Captures are never freed, only used anew, so that a port may be looked at without a lock: a frame
// under way whose capture has been closed since finds that it is no longer its port's.
// Invariant: the ring always has room for the block that ends the file.
// Lock rank: capture.lock is LOCK_SWITCH, held while a frame is copied; the sender's LOCK_DEVICE may be held, and nothing later. Callers: switch.c
// and the uplink's tap (frames); ctl, by way of switch_manage.c (all else).
#pragma once
#include "vdev/backend.h"

enum { CAPTURES = 8, CAPTURE_RING = 512 * 1024, CAPTURE_SNAPLEN_MIN = 64 };
/* The longest block. */
enum { CAPTURE_BLOCK = 128 + NET_FRAME_MAX };

struct capture;

/* A capture of nothing yet. name: of the interface, in the file; ready: called, on any hart with LOCK_DEVICE and less held, when
 * there is something to read after there was nothing. NULL with *why. */
struct capture *capture_make(const char *name, uint32_t snaplen, void (*ready)(void),
                             const char **why);
/* From now on it takes frames of this: any address that is one thing's own. */
void capture_watch(struct capture *c, const void *of);
/* No more frames of this, if it takes these, or of anything (NULL): the file is ended. */
void capture_end(struct capture *c, const void *of);
/* The frame passes: sent or received by its port's owner. */
void capture_frame(struct capture *c, const void *of, const struct net_frame *f, bool sent);
void capture_free(struct capture *c);

/* Bytes that wait; whether these are the last ones. */
uint32_t capture_waits(struct capture *c, bool *ended);
/* Whole blocks, at most max bytes (CAPTURE_BLOCK or more). */
uint32_t capture_take(struct capture *c, uint8_t *to, uint32_t max);
struct capture_counts {
    uint64_t frames, lost;
};
struct capture_counts capture_counts(struct capture *c);
