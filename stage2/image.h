// SPDX-License-Identifier: BSD-2-Clause
// What fresh guest RAM holds where it is not zeros: the images that a VM starts from (kernel, initrd), internal to
// stage2/. Nothing of them is copied at start: a page is mapped copy-on-write, or copied, when it is first touched.
// Pure but for frame.h. Lock rank: none: images are added before the VM runs. Callers: stage2/ only.
#pragma once
#include "stage2/stage2.h"

/* Makes host memory at to what fresh guest memory [g, g+size) is; whole pages. */
void image_fill(const struct stage2 *s2, void *to, uint64_t g, uint64_t size);
/* The host memory that holds just what fresh guest memory [g, g+size) would, whole pages that may be mapped
 * copy-on-write; 0: there is none. */
pa_t image_share(const struct stage2 *s2, uint64_t g, uint64_t size);
