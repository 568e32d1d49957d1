// SPDX-License-Identifier: BSD-2-Clause
// A watchdog, optional in a VM (docs/bundle.md): what Allwinner's D1 has, since of the watchdogs for which
// distributions' riscv64 kernels and U-Boot bring drivers it is the simplest (no clocks, no resets).
// Invariants: its time is the guest's, which stands still while the VM is paused; that belongs to the
// provider behind it (hyp/vm/vm_watchdog.c).
// Lock rank: as all devices; the provider's functions are called under the device's lock.
// Callers: hyp/vm.
#pragma once
#include "vdev/dev.h"

#define WATCHDOG_SIZE 0x20

struct watchdog_backend {
    void (*start)(void *ctx, uint64_t us); /* from now on, anew if it ran: the VM is reset then */
    void (*stop)(void *ctx);
    uint64_t (*left)(void *ctx); /* us; UINT64_MAX: it does not run */
    void (*close)(void *ctx); /* stopped, and nothing of it runs any more; no locks held */
    void *ctx;
};

/* NULL when out of memory. */
struct vdev *watchdog_create(struct watchdog_backend *backend) MUST_CHECK;
