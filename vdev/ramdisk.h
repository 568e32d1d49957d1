// SPDX-License-Identifier: BSD-2-Clause
// A RAM disk: a block backend over a read-only image in the hypervisor's memory (of the bundle), with
// copy-on-write pages of its own, so that many disks share an image.
//
// A page of 4 KiB is the image's, or a frame of ours, or known to be zero (written so, or discarded).
// The table of pages has two levels, made as writes come: an untouched disk costs a few bytes per 2 MiB.
// Requests end within submit. When memory runs out (guests' memory: mem/frame.h has a reserve) a write fails with -ENOSPC, the disk stays
// as it was but for what the request had already written.
// Lock rank: none: its one device, which holds its own lock, is the only caller. Callers: hyp/vm.
#pragma once
#include "vdev/backend.h"

/* A disk of size bytes (rounded up to 4 KiB; what the image lacks reads as zeros), or NULL (out
 * of memory, or size is 0). image may be NULL when image_size is 0. The image must outlive the disk. close of
 * the backend frees it: virtio-blk's destroy does. */
struct blk_backend *ramdisk_create(const void *image, uint64_t image_size, uint64_t size,
                                   bool read_only, const char *serial);
