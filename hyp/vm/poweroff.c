// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>

#include "base/log.h"
#include "mem/heap.h"
#include "vcpu/sbi/sbi.h"
#include "vdev/backend.h"
#include "vm/vm_ops.h"

#define FLUSH_TIMEOUT_US 10000000

enum { SRST_SHUTDOWN = 0 };

struct flush {
    struct blk_request request;
    atomic_bool taken, done;
};

static void flush_done(struct blk_request *r)
{
    atomic_store(&CONTAINER_OF(r, struct flush, request)->done, true);
}

/* One more try, when it is needed, to be through with it. */
static bool flush_ended(struct blk_backend *disk, struct flush *f)
{
    if (!atomic_load(&f->taken))
        atomic_store(&f->taken, disk->submit(disk->ctx, &f->request) == 0);
    return atomic_load(&f->done);
}

static void flush_disk(struct blk_backend *disk)
{
    struct flush *f = heap_alloc(sizeof(*f)); /* outlives this call when the disk does not answer */
    uint64_t start = arch_time();

    if (!f)
        return;
    f->request.op = BLK_FLUSH;
    f->request.done = flush_done;
    while (!flush_ended(disk, f) && arch_time() - start < timer_us(FLUSH_TIMEOUT_US))
        thread_yield();
    if (!atomic_load(&f->done) || f->request.result)
        log_error("disk %s: could not be flushed", disk->serial);
    if (!atomic_load(&f->taken) || atomic_load(&f->done))
        heap_free(f);
}

void vm_machine_off(bool failure)
{
    struct sbi_ret r;

    for (unsigned i = 0; i < VM_MAX; i++) {
        struct vm *vm = vm_at(i);
        for (unsigned d = 0; vm && d < vm->config.disk_count; d++)
            if (vm->disk[d] && vm->disk[d]->can_flush && !vm->disk[d]->read_only)
                flush_disk(vm->disk[d]);
    }
    log_info("no VM runs: powering off");
    r = arch_sbi(SBI_EXT_SRST, 0, SRST_SHUTDOWN,
                 failure ? VM_SRST_SYSTEM_FAILURE : VM_SRST_NO_REASON, 0, 0, 0, 0);
    log_error("the firmware cannot power off (SBI error %ld): turn the machine off", r.error);
}
