// SPDX-License-Identifier: BSD-2-Clause
// A small bundle, made on the spot. Link: tests/fake/fake_bundle.c hyp/vm/hash.c, libfdt.
#pragma once
#include <stddef.h>

/* A file with one kernel and these VMs (NULL ends them), into size bytes at to: its length. A name with ! in front: that
 * VM's description is wrong; with + it starts by itself. */
size_t fake_bundle(void *to, size_t size, const char *const vms[]);
