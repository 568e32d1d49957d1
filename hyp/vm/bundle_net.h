// SPDX-License-Identifier: BSD-2-Clause
// Network cards and switches of a bundle (docs/bundle.md).
// Pure. Lock rank: none. Callers: bundle.c.
#pragma once
#include "vm/fit.h"

/* The property nets of a VM's node, with what /switches says of the switches that it names. 0, or -EINVAL and f->why. */
int bundle_take_nets(struct fit *f, int node, struct vm_config *c) MUST_CHECK;
