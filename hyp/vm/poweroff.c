// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>

#include "base/log.h"
#include "mem/heap.h"
#include "vcpu/sbi/sbi.h"
#include "vdev/backend.h"
#include "vm/vm_ops.h"

#define FLUSH_TIMEOUT_US 10000000

enum { SRST_SHUTDOWN = 0 };

enum flush_state { FLUSH_WAITED_FOR, FLUSH_DONE, FLUSH_ABANDONED };

struct flush {
    struct blk_request request;
    _Atomic unsigned state; /* enum flush_state */
};

/* Whoever comes last, this or the one who waits, frees it. */
static void flush_done(struct blk_request *r)
{
    struct flush *f = CONTAINER_OF(r, struct flush, request);

    if (atomic_exchange(&f->state, FLUSH_DONE) == FLUSH_ABANDONED)
        heap_free(f);
}

static bool flush_wait(struct blk_backend *disk, struct flush *f, bool *taken)
{
    uint64_t start = arch_time();

    for (;;) {
        if (!*taken)
            *taken = disk->submit(disk->ctx, &f->request) == 0;
        if (atomic_load(&f->state) == FLUSH_DONE)
            return f->request.result == 0;
        if (arch_time() - start > timer_us(FLUSH_TIMEOUT_US))
            return false;
        thread_yield();
    }
}

static void flush_disk(struct blk_backend *disk)
{
    struct flush *f = heap_alloc(sizeof(*f));
    bool taken = false;

    if (!f)
        return;
    f->request.op = BLK_FLUSH;
    f->request.done = flush_done;
    if (!flush_wait(disk, f, &taken))
        log_error("disk %s: could not be flushed", disk->serial);
    if (!taken || atomic_exchange(&f->state, FLUSH_ABANDONED) == FLUSH_DONE)
        heap_free(f);
}

void (*vm_before_off)(void);

void vm_machine_off(bool failure)
{
    struct sbi_ret r;

    for (unsigned i = 0; i < VM_MAX; i++) {
        struct vm *vm = vm_hold(i);

        for (unsigned d = 0; vm && d < vm->config.disk_count; d++)
            if (vm->disk[d] && vm->disk[d]->can_flush && !vm->disk[d]->read_only)
                flush_disk(vm->disk[d]);
        if (vm)
            vm_let_go(vm);
    }
    log_notice("no VM runs: powering off");
    if (vm_before_off)
        vm_before_off();
    r = arch_sbi(SBI_EXT_SRST, 0, SRST_SHUTDOWN,
                 failure ? VM_SRST_SYSTEM_FAILURE : VM_SRST_NO_REASON, 0, 0, 0, 0);
    log_error("the firmware cannot power off (SBI error %ld): turn the machine off", r.error);
}
