// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>

#include "base/arch.h"
#include "base/spinlock.h"
#include "mem/frame.h"
#include "mem/heap.h"
#include "vm/bundle.h"

static struct spinlock lock = SPINLOCK_INIT(LOCK_VM);
static struct bundle *list[BUNDLE_MAX];
static unsigned next_id = BUNDLE_BOOT + 1;

/* -ENOSPC: there are as many as can be. */
static int list_add(struct bundle *b, unsigned *next)
{
    int error = -ENOSPC;

    spin_lock(&lock);
    for (unsigned i = 0; i < BUNDLE_MAX && error; i++) {
        if (list[i])
            continue;
        b->id = next ? (*next)++ : BUNDLE_BOOT;
        list[i] = b;
        error = 0;
    }
    spin_unlock(&lock);
    return error;
}

int bundle_alloc(uint64_t size, struct bundle **out)
{
    uint64_t blocks = size / MIB(2) + (size % MIB(2) != 0);
    struct bundle *b;
    int error;

    *out = NULL;
    if (!size)
        return -EINVAL;
    b = heap_alloc(sizeof(*b));
    if (!b)
        return -ENOMEM;
    /* What VMs that run need to go on is not for a new one. */
    error = blocks <= UINT32_MAX && frame_guests_may_have(blocks * (MIB(2) / PAGE_SIZE), false)
                ? frame_alloc_run(blocks, FRAME_IMAGE, OWNER_HYP, &b->base)
                : -ENOMEM;
    if (error) {
        heap_free(b);
        return error;
    }
    b->data = pa_to_hva(b->base);
    b->size = size;
    b->refs = 1;
    error = list_add(b, &next_id);
    if (error) {
        frame_put_range(b->base, blocks * MIB(2));
        heap_free(b);
        return error;
    }
    *out = b;
    return 0;
}

struct bundle *bundle_adopt_boot(pa_t base, uint64_t size)
{
    struct bundle *b = heap_alloc(sizeof(*b));

    if (!b)
        return NULL;
    b->data = pa_to_hva(base);
    b->size = size;
    b->refs = 1;
    if (frame_adopt(base, size, FRAME_IMAGE) || list_add(b, NULL)) {
        heap_free(b);
        return NULL;
    }
    return b;
}

void bundle_get(struct bundle *b)
{
    spin_lock(&lock);
    b->refs++;
    spin_unlock(&lock);
}

void bundle_put(struct bundle *b)
{
    bool last = false;

    if (!b)
        return;
    spin_lock(&lock);
    last = --b->refs == 0;
    for (unsigned i = 0; i < BUNDLE_MAX && last; i++)
        if (list[i] == b)
            list[i] = NULL;
    spin_unlock(&lock);
    if (!last)
        return;
    if (b->base.v)
        frame_put_range(b->base, align_up(b->size, MIB(2)));
    heap_free(b);
}

struct bundle *bundle_from(unsigned id)
{
    struct bundle *found = NULL;

    spin_lock(&lock);
    for (unsigned i = 0; i < BUNDLE_MAX; i++)
        if (list[i] && list[i]->id >= id && (!found || list[i]->id < found->id))
            found = list[i];
    if (found)
        found->refs++;
    spin_unlock(&lock);
    return found;
}
