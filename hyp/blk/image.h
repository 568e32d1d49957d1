// SPDX-License-Identifier: BSD-2-Clause
// An image, with what is behind it, as a block backend: qcow2 in a partition, its backing file in another one, and so on.
//
// A request is a small state machine (struct image_request), carried on run by run: a run is what one look-up finds, contiguous
// in one file.
//   Allocated clusters and raw files: each run goes straight into the file's queue, the guest's buffers as they are, from
//   whoever submits (the guest's notify) or ends the run before it. Zeros are filled in at once.
//   Everything else (tables that are not in memory, new clusters, copies, zeros, discards, flushes of tables) goes into the
//   queue of the image's worker, a thread that may sleep, and takes one request after another: so tables have one writer, and
//   the code that changes them reads from top to bottom.
// Clusters that were given up are used again only after the requests that may still move their data have ended: the
// worker then holds new ones back for a moment (quiesce).
// Each chain has its own caches and worker: what one VM does to them costs no other VM anything.
// Invariants: a request is in one place: with a file, in the worker's queue, or being carried on by one thread. A file's done
// and its submit's return meet in one atomic, as in vdev/virtio/blk.c.
// Lock rank: LOCK_BACKEND (the chain's lock), never held while a file is called. Callers: disks.c, threads that may sleep;
// submit: anyone, as blk_backend says.
#pragma once
#include "blk/qcow2.h"

enum image_format { IMAGE_RAW, IMAGE_QCOW2 };
enum { IMAGE_LAYERS = 8 };

/* Opens a file by its name, for an image: a partition (disks_open). */
typedef int image_open_file(void *ctx, const char *name, bool read_only, struct blk_backend **out,
                            char *why, size_t why_size);

/* The image in the file called name, and the files behind it; a worker thread that has the name. 0, or a negative errno
 * and why. Closed by the backend's close, which flushes. */
int image_open(const char *name, bool read_only, image_open_file *open, void *ctx,
               struct blk_backend **out, char *why, size_t why_size) MUST_CHECK;
