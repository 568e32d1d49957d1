// SPDX-License-Identifier: BSD-2-Clause
// Stage 2 (G-stage) translation of one VM: guest physical to host physical.
//
// One walker (walk.c) descends; visitors say what to do. Guest RAM is a few regions, populated on
// first touch, zeroed, in the largest piece that fits (1 GiB only where asked, 2 MiB while memory is
// plentiful, else 4 KiB).
// Invariants: tables are FRAME_TABLE of the owner; a leaf holds one reference on its frame; V, U, A,
// D are set in every valid leaf (A/D are cleared only for dirty harvest); G is 0. Changes are made
// in two steps, reserve all tables then commit, so that -ENOMEM leaves nothing half done. Frames
// taken out of the tables are freed only after the flush that makes them unreachable.
// Lock rank: LOCK_STAGE2, taken inside these functions. Nobody may hold it (or anything after it)
// while calling stage2_flush_commit, which waits for other harts.
// Specification: privileged architecture, "Two-Stage Address Translation".
#pragma once
#include "base/addr.h"
#include "base/spinlock.h"

enum stage2_mode { STAGE2_BARE = 0, STAGE2_SV39X4 = 8, STAGE2_SV48X4 = 9, STAGE2_SV57X4 = 10 };

enum { /* PTE bits */
    PTE_V = 1 << 0, PTE_R = 1 << 1, PTE_W = 1 << 2, PTE_X = 1 << 3,
    PTE_U = 1 << 4, PTE_G = 1 << 5, PTE_A = 1 << 6, PTE_D = 1 << 7,
    PTE_SOFT_COW = 1 << 8, /* software bit: write-protected, shared until written */
};
enum { PROT_R = 1, PROT_W = 2, PROT_X = 4 };

#define STAGE2_MAX_RAM 4
struct stage2_ram { gpa_t base; uint64_t size; };

struct stage2 {
    struct spinlock lock;
    pa_t root;
    uint8_t mode;              /* enum stage2_mode */
    uint16_t owner;            /* of frames and tables */
    uint64_t vmid;             /* generation << 16 | VMID; owned by vmid.c */
    _Atomic uint64_t harts;    /* bit n: hart n may hold translations of this VM */
    struct stage2_ram ram[STAGE2_MAX_RAM];
    unsigned ram_count;
    uint64_t mapped_bytes;     /* by leaves */
    uint64_t table_frames;
};

struct stage2_leaf {
    uint64_t pte;
    pa_t pa;                   /* of the gpa asked for */
    uint64_t page_size;        /* 4 KiB, 2 MiB, 1 GiB, ... */
};

/* What a change took out; must be given to stage2_flush_commit once the lock is free. */
struct stage2_flush {
    struct stage2 *s2;
    uint64_t start, end;       /* gpa range to flush; start >= end: nothing */
    pa_t free_list;            /* tables and frames to put, chained through their first word */
    uint32_t free_count;
};
#define STAGE2_FLUSH_INIT(s) {.s2 = (s), .start = UINT64_MAX}

/* The modes that the hardware takes, a bit (1 << mode) each; the one used for new VMs is the
 * smallest that covers the VM's RAM and devices. Set once at boot by probing hgatp. */
extern uint32_t stage2_modes;
const char *stage2_mode_name(enum stage2_mode mode);
unsigned stage2_mode_gpa_bits(enum stage2_mode mode);

int stage2_create(struct stage2 *s2, uint16_t owner, uint64_t gpa_end) MUST_CHECK;
void stage2_destroy(struct stage2 *s2); /* no vCPU of it may run; frees all that it maps */
int stage2_add_ram(struct stage2 *s2, gpa_t base, uint64_t size) MUST_CHECK;
const struct stage2_ram *stage2_find_ram(const struct stage2 *s2, gpa_t g);

/* Maps [g, g+size) to p with the largest leaves that fit. 0, -ENOMEM, -EEXIST (something is mapped
 * there: nothing was changed), -EINVAL (unaligned, beyond the mode's range). Takes a reference on each
 * frame that is RAM; pte_soft may hold PTE_SOFT_COW. */
int stage2_map(struct stage2 *s2, gpa_t g, pa_t p, uint64_t size, unsigned prot,
               uint64_t pte_soft) MUST_CHECK;
int stage2_unmap(struct stage2 *s2, gpa_t g, uint64_t size, struct stage2_flush *f) MUST_CHECK;
int stage2_protect(struct stage2 *s2, gpa_t g, uint64_t size, unsigned prot,
                   struct stage2_flush *f) MUST_CHECK;
/* Splits the leaf at g down to page_size; merges 512 leaves that are contiguous, alike. */
int stage2_split(struct stage2 *s2, gpa_t g, uint64_t page_size, struct stage2_flush *f) MUST_CHECK;
int stage2_merge(struct stage2 *s2, gpa_t g, struct stage2_flush *f) MUST_CHECK;
/* Write-protects [g, g+size) for dirty tracking / reports pages written since, and re-arms. */
int stage2_dirty_start(struct stage2 *s2, gpa_t g, uint64_t size, struct stage2_flush *f) MUST_CHECK;
int stage2_dirty_harvest(struct stage2 *s2, gpa_t g, uint64_t size,
                         void (*dirty)(void *ctx, gpa_t g, uint64_t size), void *ctx,
                         struct stage2_flush *f) MUST_CHECK;

/* The guest touched g: makes RAM there present (and writable, breaking copy-on-write or marking
 * dirty). 0; -EFAULT: g is not RAM; -ENOMEM. Local stale entries are flushed when it returns;
 * remote ones where that matters. Hot path: called from the page-fault exit. */
int stage2_populate(struct stage2 *s2, gpa_t g, bool write) MUST_CHECK;
/* 0 and the leaf, or -ENOENT. */
int stage2_lookup(struct stage2 *s2, gpa_t g, struct stage2_leaf *leaf) MUST_CHECK;

struct stage2_step { unsigned level; pa_t table; unsigned index; uint64_t pte; };
/* The descent for people: fills up to 5 steps, returns how many. */
unsigned stage2_trace(struct stage2 *s2, gpa_t g, struct stage2_step steps[5]);
/* Calls each() for every leaf in [g, g+size), ascending; adjacent leaves are not joined. */
void stage2_for_each(struct stage2 *s2, gpa_t g, uint64_t size,
                     void (*each)(void *ctx, gpa_t g, const struct stage2_leaf *leaf), void *ctx);

/* Flushes, on every hart that may hold them, the translations in the batch, then frees. */
void stage2_flush_commit(struct stage2_flush *f);

/* vmid.c: VMIDs by generation. vmid_init: bits that hgatp implements (0: none, and every change of
 * VM on a hart flushes). vmid_load: hgatp value for running s2 on this hart; does the local flushes
 * that a new generation (or 0 bits) needs. */
void vmid_init(unsigned bits);
uint64_t vmid_load(struct stage2 *s2);
