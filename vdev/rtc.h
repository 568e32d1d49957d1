// SPDX-License-Identifier: BSD-2-Clause
// A clock of the day with an alarm: Goldfish's, which QEMU's machine "virt" has, and for which distributions' riscv64
// kernels have the driver (rtc-goldfish) built in.
// Invariants: it runs by the host's clock, while the VM is paused or off, too. What the guest sets it to is the guest's
// own, kept as the difference to the host's.
// Lock rank: as all devices. Callers: hyp/vm.
#pragma once
#include "vdev/backend.h"
#include "vdev/dev.h"

#define RTC_SIZE 0x1000

/* NULL when out of memory. The clock outlives it. */
struct vdev *rtc_create(const struct clock_backend *clock) MUST_CHECK;
