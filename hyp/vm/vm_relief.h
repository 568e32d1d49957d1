// SPDX-License-Identifier: BSD-2-Clause
// When guests have used up the host's memory, all but the reserve (mem/frame.h), ONE VM is stopped, which one is
// vm_memory_choose's rule, and its memory comes back. The vCPUs that found none wait for that and go on. A VM that is
// off but holds RAM disks may be the one too: what it wrote to them is dropped.
// Lock rank: none held, but see frame_guests_low. Callers: the manager; vCPUs (wait).
#pragma once
#include "vm/vm.h"

/* The manager, at its start: from then on it is woken when memory ends. */
void vm_relief_watch(void);
/* The manager: if memory has ended, stops the VM whose turn it is. Whether one was. */
bool vm_relief_run(void);
/* guest_ops.no_memory */
bool vm_relief_wait(struct guest *g);
