// SPDX-License-Identifier: BSD-2-Clause
// VMIDs by generation. A stage 2 has a VMID of the current generation or must get a new one before
// it runs. When all are used up a new generation begins, and each hart flushes everything before it
// runs anything of that generation. VMIDs are private to a hart, so a hart may go on with what it
// runs, by an old VMID, until then: that is why flushes ask vmid_loaded for the VMID that is really
// in use here.
#include "base/panic.h"
#include "stage2/walk.h"

enum { HARTS = 64, VMID_BITS = 16 };

static struct spinlock lock = SPINLOCK_INIT(LOCK_VMID);
static unsigned vmid_count = 1; /* 1: there are no VMIDs */
static uint64_t generation = 1;
static unsigned next_vmid = 1; /* 0 is never given to a VM, unless there are none */
static struct {
    const struct stage2 *loaded;
    uint64_t generation; /* everything of older ones is flushed */
    uint16_t vmid; /* of loaded */
    uint64_t unused; /* a power of two in size: found by a shift */
} on_hart[HARTS]; /* each hart writes its own */

void vmid_init(unsigned bits)
{
    vmid_count = 1u << bits;
    generation = 1;
    next_vmid = 1;
    for (unsigned i = 0; i < HARTS; i++) {
        on_hart[i].loaded = NULL;
        on_hart[i].generation = 0;
    }
}

static uint64_t assign(struct stage2 *s2)
{
    uint64_t vmid;

    spin_lock(&lock);
    vmid = __atomic_load_n(&s2->vmid, __ATOMIC_RELAXED);
    if (vmid >> VMID_BITS != generation) {
        if (vmid_count == 1) {
            vmid = generation << VMID_BITS;
        } else {
            if (next_vmid == vmid_count) {
                next_vmid = 1;
                __atomic_store_n(&generation, generation + 1, __ATOMIC_RELEASE);
            }
            vmid = generation << VMID_BITS | next_vmid++;
        }
        atomic_store(&s2->stale, UINT64_MAX);
        __atomic_store_n(&s2->vmid, vmid, __ATOMIC_RELEASE);
    }
    spin_unlock(&lock);
    return vmid;
}

/* Bits above the VMID's own are not set by assign(). */
static uint64_t hgatp_of(const struct stage2 *s2, uint16_t vmid)
{
    return (uint64_t)s2->mode << HGATP_MODE_SHIFT | (uint64_t)vmid << HGATP_VMID_SHIFT |
           s2->root.v >> PAGE_SHIFT;
}

/* Its VMID is of this generation, and the hart knows nothing that is not its own by it. (Without VMIDs all are
 * stale, always.) */
static bool is_ready(const struct stage2 *s2, unsigned h, uint64_t vmid)
{
    uint64_t announced = atomic_load_explicit(&s2->harts, memory_order_relaxed) &
                         ~atomic_load_explicit(&s2->stale, memory_order_relaxed);
    uint64_t now = __atomic_load_n(&generation, __ATOMIC_RELAXED);

    return vmid >> VMID_BITS == now && on_hart[h].generation == now && announced >> h & 1;
}

static __attribute__((noinline)) uint64_t make_ready(struct stage2 *s2, unsigned h, uint64_t vmid)
{
    uint64_t hgatp;
    bool flush, flush_vs;

    if (vmid >> VMID_BITS != __atomic_load_n(&generation, __ATOMIC_RELAXED))
        vmid = assign(s2);
    flush =
        on_hart[h].generation != vmid >> VMID_BITS || (vmid_count == 1 && on_hart[h].loaded != s2);
    flush_vs = vmid_count > 1 && atomic_load_explicit(&s2->stale, memory_order_relaxed) & BIT(h);
    if (flush_vs)
        atomic_fetch_and(&s2->stale, ~BIT(h));
    on_hart[h].loaded = s2;
    on_hart[h].vmid = (uint16_t)vmid;
    on_hart[h].generation = vmid >> VMID_BITS;
    /* Before anything is translated here, so that no flush misses it. */
    walk_reader(s2);
    hgatp = hgatp_of(s2, (uint16_t)vmid);
    if (flush || flush_vs) {
        /* In this order: until hgatp is written, the hart may still fetch translations by the old
         * one, and hfence.vvma is for the VMID in it. hfence.gvma alone leaves what a hart with
         * separate TLBs keeps of the VS-stage. */
        arch_hgatp_write_read(hgatp);
        if (flush)
            arch_hfence_gvma_all();
        arch_hfence_vvma_all();
    }
    return hgatp;
}

uint64_t vmid_load(struct stage2 *s2)
{
    unsigned h = hart_index();
    uint64_t vmid = __atomic_load_n(&s2->vmid, __ATOMIC_ACQUIRE);

    if (!is_ready(s2, h, vmid))
        return make_ready(s2, h, vmid);
    on_hart[h].loaded = s2;
    on_hart[h].vmid = (uint16_t)vmid;
    return hgatp_of(s2, (uint16_t)vmid);
}

bool vmid_loaded(const struct stage2 *s2, uint16_t *vmid)
{
    unsigned h = hart_index();

    *vmid = on_hart[h].vmid;
    if (on_hart[h].loaded == s2)
        return true;
    *vmid = (uint16_t)__atomic_load_n(&s2->vmid, __ATOMIC_RELAXED);
    return false;
}

void vmid_unload(const struct stage2 *s2)
{
    unsigned h = hart_index();

    if (on_hart[h].loaded != s2)
        return;
    on_hart[h].loaded = NULL;
    arch_hgatp_write_read(0); /* its tables are about to be freed */
    arch_hfence_gvma_vmid(on_hart[h].vmid);
}
