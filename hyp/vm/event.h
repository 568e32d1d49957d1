// SPDX-License-Identifier: BSD-2-Clause
// What happens to VMs, for whoever watches from outside: a queue of the last events.
//
// Invariant: an event is whole by itself (the VM may be gone when it is read). When nobody reads, or too slowly, the
// oldest are overwritten; a reader is told how many it missed.
// Lock rank: LOCK_VM (inside; never held at the call). Callers: vm (writes), ctl (reads).
#pragma once
#include "vm/vm.h"

enum vm_event_kind {
    VM_EVENT_CREATED,
    VM_EVENT_STARTED,
    VM_EVENT_STOPPED,
    VM_EVENT_PAUSED,
    VM_EVENT_RESUMED,
    VM_EVENT_RESET,
    VM_EVENT_CRASHED,
    VM_EVENT_DESTROYED,
};

struct vm_event {
    enum vm_event_kind kind;
    bool by_guest; /* the guest asked for it, or brought it about */
    uint64_t time; /* host time */
    char vm[VM_NAME_MAX];
    char reason[sizeof(((struct vm *)0)->end_reason)]; /* of its last end; "" when it has none */
};

void vm_event(const struct vm *vm, enum vm_event_kind kind, bool by_guest);
/* The event at *at (0 at first), which moves on; *missed: how many before it were overwritten. False: no more. */
bool vm_event_next(uint64_t *at, struct vm_event *e, uint64_t *missed);
/* Called after each event, from its thread. One watcher. */
void vm_event_watch(void (*wake)(void));
