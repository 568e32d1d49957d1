// SPDX-License-Identifier: BSD-2-Clause
// Stage 2 (G-stage) translation of one VM: guest physical to host physical.
//
// One walker (walk.c) descends; visitors say what to do. Guest RAM is a few regions, populated on
// first touch, in pieces whose size follows what memory is left (populate.c): zeroed, or as the images that the
// VM starts from, which are mapped copy-on-write where their alignment allows it.
// Invariants: tables are FRAME_TABLE of the owner; a leaf holds one reference on its frame; V, U,
// A, D are set in every valid leaf (A/D are cleared only for dirty harvest); G is 0. Changes are
// made in two steps, reserve all tables then commit, so that -ENOMEM leaves nothing half done.
// Frames taken out of the tables are freed only after the flush that makes them unreachable.
// Lock rank: LOCK_STAGE2, taken inside these functions. Nobody may hold it (or anything after it)
// while calling stage2_flush_commit, which waits for other harts.
// Callers: vm (makes it), vcpu (faults, loading), ctl (looks), guest_mem.
// Specification: privileged architecture, "Two-Stage Address Translation".
#pragma once
#include "base/addr.h"
#include "base/spinlock.h"

enum stage2_mode { STAGE2_BARE = 0, STAGE2_SV39X4 = 8, STAGE2_SV48X4 = 9, STAGE2_SV57X4 = 10 };

enum { /* PTE bits */
       PTE_V = 1 << 0,
       PTE_R = 1 << 1,
       PTE_W = 1 << 2,
       PTE_X = 1 << 3,
       PTE_U = 1 << 4,
       PTE_G = 1 << 5,
       PTE_A = 1 << 6,
       PTE_D = 1 << 7,
       PTE_SOFT_COW = 1 << 8, /* software bit: write-protected, shared until written */
       /* Software bit, set for the time of a flush. With V: a copy-on-write page just broken, not
     * writable yet.
     * Without: taken out of the tables, its frame or table not freed yet (see flush.c). */
       PTE_SOFT_BUSY = 1 << 9,
};
enum { PROT_R = 1, PROT_W = 2, PROT_X = 4 };

#define STAGE2_MAX_RAM 4
struct stage2_ram {
    gpa_t base;
    uint64_t size;
};

#define STAGE2_MAX_IMAGES 4
struct stage2_image {
    gpa_t base;
    uint64_t size;
    const char *from;
    bool shared; /* its whole pages may be mapped */
};

struct stage2 {
    struct spinlock lock;
    pa_t root;
    uint8_t mode; /* enum stage2_mode */
    uint16_t owner; /* of frames and tables */
    uint64_t vmid; /* generation << 16 | VMID; owned by vmid.c */
    _Atomic uint64_t harts; /* bit n: hart n may hold translations of this VM, in its TLB or in C */
    /* Bit n: hart n may hold VS-stage translations of an earlier user of the VMID; vmid.c. */
    _Atomic uint64_t stale;
    uint16_t flush_tag; /* of the last flush that frees something; 1 .. 1023 */
    struct stage2_ram ram[STAGE2_MAX_RAM];
    unsigned ram_count;
    struct stage2_image image[STAGE2_MAX_IMAGES]; /* ascending */
    unsigned image_count;
    /* Counts what the hypervisor wrote that may be code. A vCPU that comes to a hart after it runs fence.i. */
    _Atomic uint32_t code_written;
    _Atomic bool starved; /* population is refused: the VM is to be stopped for want of memory */
    uint64_t mapped_bytes; /* by leaves */
    uint64_t shared_bytes; /* of these, by leaves that are copy-on-write */
    uint64_t table_frames;
    pa_t
        merged; /* tables that merges took out and no flush has freed yet, chained by their first word; 0: none */
};

struct stage2_leaf {
    uint64_t pte;
    pa_t pa; /* of the gpa asked for */
    uint64_t page_size; /* 4 KiB, 2 MiB, 1 GiB, ... */
};

/* What changes took out; must be given to stage2_flush_commit once the lock is free. One batch may
 * gather several changes. What a batch that is lost took out is freed by stage2_destroy. */
struct stage2_flush {
    struct stage2 *s2;
    uint64_t start, end; /* gpa range to flush; start >= end: nothing */
    bool busy; /* entries with PTE_SOFT_BUSY in the range are to be freed */
};
#define STAGE2_FLUSH_INIT(s) {.s2 = (s), .start = UINT64_MAX}

/* The modes that the hardware takes, a bit (1 << mode) each; the one used for new VMs is the
 * smallest that covers the VM's RAM and devices. Set once at boot by probing hgatp. */
extern uint32_t stage2_modes;
const char *stage2_mode_name(enum stage2_mode mode);
unsigned stage2_mode_gpa_bits(enum stage2_mode mode);

/* The smallest mode that covers [0, gpa_end). 0, -EINVAL (none of the host's does), -ENOMEM. */
int stage2_create(struct stage2 *s2, uint16_t owner, uint64_t gpa_end) MUST_CHECK;
void stage2_destroy(struct stage2 *s2); /* no vCPU of it may run; frees all that it maps */
/* A region that is populated on first touch; whole pages, below 2^44, apart from the others. 0,
 * -EINVAL, -ENOSPC (STAGE2_MAX_RAM). Before the VM runs. */
int stage2_add_ram(struct stage2 *s2, gpa_t base, uint64_t size) MUST_CHECK;
/* Fresh RAM at [g, g+size) holds the size bytes at from instead of zeros. They must stay, and as they are, until
 * stage2_destroy; where they are FRAME_IMAGE, and g and from alike modulo 4 KiB (2 MiB), whole pages (2 MiB pieces) of
 * them are mapped copy-on-write. Of one RAM region, apart from other images. 0, -EINVAL, -ENOSPC
 * (STAGE2_MAX_IMAGES). Before the VM runs. */
int stage2_add_image(struct stage2 *s2, gpa_t g, const void *from, uint64_t size) MUST_CHECK;
/* Whether an image has bytes in [g, g+size): fresh memory there is not zeros. */
bool stage2_has_image(const struct stage2 *s2, gpa_t g, uint64_t size);
const struct stage2_ram *stage2_find_ram(const struct stage2 *s2, gpa_t g);

/* Maps [g, g+size) to p with the largest leaves that fit. 0, -ENOMEM, -EEXIST (something is mapped
 * there: nothing was changed), -EINVAL (unaligned, beyond the mode's range, PROT_R missing). Takes
 * a reference on each frame that is RAM (and splits a larger allocation of which only a part is
 * mapped). pte_soft may hold PTE_SOFT_COW, then PROT_W is left out. Within guest RAM only host RAM
 * may be mapped. */
int stage2_map(struct stage2 *s2, gpa_t g, pa_t p, uint64_t size, unsigned prot,
               uint64_t pte_soft) MUST_CHECK;
/* These three split leaves at the ends of the range. 0, -EINVAL, or -ENOMEM and nothing was changed
 * (never so when no leaf reaches beyond the range). protect never makes a copy-on-write leaf
 * writable. */
int stage2_unmap(struct stage2 *s2, gpa_t g, uint64_t size, struct stage2_flush *f) MUST_CHECK;
int stage2_protect(struct stage2 *s2, gpa_t g, uint64_t size, unsigned prot,
                   struct stage2_flush *f) MUST_CHECK;
/* Splits the leaf at g down to page_size (0 also when it is that small, or there is none); merges
 * the 512 leaves that are contiguous and alike around g into the next size (-ENOENT: they are not). */
int stage2_split(struct stage2 *s2, gpa_t g, uint64_t page_size, struct stage2_flush *f) MUST_CHECK;
int stage2_merge(struct stage2 *s2, gpa_t g, struct stage2_flush *f) MUST_CHECK;
/* Dirty tracking clears D, so it works with hardware that sets D and with hardware that faults;
 * leaves keep their size (stage2_split first for finer tracking). start: all is clean; harvest
 * reports leaves written since, and re-arms. dirty() is called with LOCK_STAGE2 held; what it
 * reports may be copied only after the batch is committed, since until then writes go unnoticed. */
int stage2_dirty_start(struct stage2 *s2, gpa_t g, uint64_t size,
                       struct stage2_flush *f) MUST_CHECK;
int stage2_dirty_harvest(struct stage2 *s2, gpa_t g, uint64_t size,
                         void (*dirty)(void *ctx, gpa_t g, uint64_t size), void *ctx,
                         struct stage2_flush *f) MUST_CHECK;

/* The guest touched g: makes RAM there present (and writable, breaking
 * copy-on-write or marking dirty). 0; -EFAULT: g is not RAM, or a write to what is mapped
 * read-only; -ENOMEM: nothing is left but the reserve (frame.h). Local stale entries are flushed when it returns; remote ones where that
 * matters. Hot path: called from the page-fault exit. */
int stage2_populate(struct stage2 *s2, gpa_t g, bool write) MUST_CHECK;
/* 0 and the leaf, or -ENOENT. */
int stage2_lookup(struct stage2 *s2, gpa_t g, struct stage2_leaf *leaf) MUST_CHECK;

struct stage2_step {
    unsigned level;
    pa_t table;
    unsigned index;
    uint64_t pte;
};
/* The descent for people: fills up to 5 steps, returns how many. */
unsigned stage2_trace(struct stage2 *s2, gpa_t g, struct stage2_step steps[5]);
/* Calls each() for every leaf in [g, g+size), ascending, with LOCK_STAGE2 held; adjacent leaves are
 * not joined. */
void stage2_for_each(struct stage2 *s2, gpa_t g, uint64_t size,
                     void (*each)(void *ctx, gpa_t g, const struct stage2_leaf *leaf), void *ctx);

/* Flushes, on every hart that may hold them, the translations in the batch, then frees. */
void stage2_flush_commit(struct stage2_flush *f);

/* vmid.c: VMIDs by generation. vmid_init: bits that hgatp implements (0: none, and every change of
 * VM on a hart flushes). vmid_load: hgatp value for running s2 on this hart; does the local flushes
 * that a new generation (or 0 bits) needs: for these it writes hgatp itself first, so it must be
 * called with vsatp = 0. From then on s2 is loaded on this hart until another is. Two vCPUs of one
 * VM share its VMID: changing from one to the other on a hart needs an hfence.vvma, which is the
 * caller's. */
void vmid_init(unsigned bits);
uint64_t vmid_load(struct stage2 *s2);
