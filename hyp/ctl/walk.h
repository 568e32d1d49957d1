// SPDX-License-Identifier: BSD-2-Clause
// Both stages of a translation, step by step, as text or JSON: whoever asks gets each step as it is found.
// Entries are shown as they are in memory now; the guest may be changing them. Untouched memory is not populated.
// Lock rank: LOCK_STAGE2 inside, not while each() runs. Callers: commands, with the VM held (ctl/inspect.h) and not off.
#pragma once
#include "vm/vm.h"

enum walk_kind {
    WALK_VS, /* an entry of the guest's own tables */
    WALK_G, /* an entry of the second stage */
    WALK_FOUND, /* the second stage's result: address is the host's */
    WALK_NOTHING, /* it has none: text says why, and whether that is wrong */
    WALK_GPA, /* the guest's tables' result: address */
    WALK_FAULT, /* they have none: text */
};
enum { WALK_TEXT = 96 };

struct walk_step {
    enum walk_kind kind;
    unsigned level, index; /* of WALK_VS and WALK_G */
    uint64_t table, pte;
    uint64_t address;
    char text[WALK_TEXT];
};
typedef void (*walk_fn)(void *ctx, const struct walk_step *step);

/* A vCPU's address: each VS entry is followed by the second stage's steps to it, the last by those to the page. */
void walk_gva(struct vm *vm, const struct vcpu *v, gva_t va, walk_fn each, void *ctx);
void walk_gpa(struct vm *vm, gpa_t g, walk_fn each, void *ctx);
/* "Sv48" of a vsatp. */
const char *walk_mode(uint64_t vsatp);
unsigned walk_asid(uint64_t vsatp);
