// SPDX-License-Identifier: BSD-2-Clause
// The hostile guest: attacks on its hypervisor, each a function that does w->ops actions. What must not
// happen happens elsewhere (a panic, a hang, a neighbour that suffers), so nothing is checked here.
// An attack may do to this VM what it likes, but end it: accesses where nothing is stop a VM by design,
// and so have attacks of their own that come last (final.c).
#pragma once
#include "rt/rt.h"

struct worker {
    uint64_t state; /* of its random numbers */
    uint64_t ops; /* actions to do */
    uint64_t done; /* ever */
    unsigned index; /* of harts[] */
};
extern struct worker workers[RT_HARTS];
extern uint64_t seed; /* of the command line */
extern unsigned disks,
    nets; /* virtio disks that this VM has, behind console and entropy; network cards behind these */
/* Whether to try what M-mode's firmware sees before the hypervisor: OpenSBI writes a line on the machine's console for
   each illegal instruction of opcode SYSTEM that accesses no CSR. */
extern bool to_firmware;

/* RAM that attacks may let devices and page tables write to: 2 MiB-aligned, full of text lines. */
extern uint64_t arena, arena_size;
bool is_ram(uint64_t address);

static inline uint64_t random_next(struct worker *w) /* xorshift64* */
{
    w->state ^= w->state >> 12;
    w->state ^= w->state << 25;
    w->state ^= w->state >> 27;
    return w->state * 0x2545F4914F6CDD1D;
}
static inline uint64_t random_below(struct worker *w, uint64_t n)
{
    return (random_next(w) >> 16) % n;
}
static inline bool one_in(struct worker *w, uint64_t n) { return !random_below(w, n); }
/* What code that takes a number gets wrong: edges, sign bits, all ones, small, anything. */
uint64_t nasty(struct worker *w);
/* The same, for memory: where it hits RAM, it is in the arena. */
uint64_t nasty_address(struct worker *w);
uint64_t arena_address(struct worker *w);

/* Wakes this hart from WFI after that many microseconds, if nothing else does. */
void alarm_in(uint64_t microseconds);
void fill_arena(void);
/* One instruction (or two: second 0 for none) and a return, run in S-mode or user mode with a0 = a, a1 = b. */
void run_code(struct worker *w, uint32_t first, uint32_t second, uint64_t a, uint64_t b, bool user);

void attack_sbi(struct worker *w);
void attack_mmio(struct worker *w);
void attack_virtio(struct worker *w);
void attack_virtio_scribble(struct worker *w);
void attack_paging(struct worker *w);
void attack_paging_scribble(struct worker *w);
void attack_csr(struct worker *w);
void attack_system(struct worker *w);
void attack_storm(struct worker *w);
void storm_fence(struct worker *w);
void storm_ipi(struct worker *w);
void storm_timer(struct worker *w);
void storm_wfi(struct worker *w);
void storm_irq(struct worker *w);
void storm_nap(struct worker *w);
void storm_hog(struct worker *w);
void attack_hsm(struct worker *w);
void attack_console(struct worker *w);
/* These end the VM or never return. */
void final_hole(struct worker *w);
void final_lost(struct worker *w);
void final_reboot(struct worker *w);
void final_crowd(struct worker *w);

enum { FINAL_HOLE_KINDS = 9 };

#define PLIC 0x0c000000ul
#define UART 0x10000000ul
#define VIRTIO 0x10001000ul
