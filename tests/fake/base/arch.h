// SPDX-License-Identifier: BSD-2-Clause
// The fake side of the seam hyp/base/arch.h: the same names, for unit tests on the host.
// Instructions become counters, a small log of fences, an array of CSRs, and hooks that a test may
// set.
// fake_arch_reset() puts everything back. Every function is weak: a test may bring its own.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/csr.h"

extern _Thread_local unsigned fake_hart; /* logical index of "this hart" */
extern uint64_t fake_time;
extern uint64_t fake_csr[4096];
extern bool fake_csr_absent[4096]; /* arch_csr_probe of these says false */
extern unsigned fake_hgatp_vmid_bits; /* WARL: VMID bits that hgatp keeps (14 after reset) */

enum fake_fence_kind { FENCE_GVMA_ALL, FENCE_GVMA_VMID, FENCE_GVMA_GPA, FENCE_VVMA, FENCE_I };
struct fake_fence {
    enum fake_fence_kind kind;
    unsigned hart;
    uint64_t gpa; /* or gva */
    uint16_t vmid; /* or ASID */
};
#define FAKE_FENCES 256
extern struct fake_fence fake_fence[FAKE_FENCES];
extern unsigned fake_fences; /* how many were done since the reset; the first 256 are logged */
unsigned fake_fence_count(enum fake_fence_kind kind, unsigned hart);

extern uint64_t fake_zeroed_bytes; /* by arch_zero_page_run */
extern void (*fake_zero_hook)(void); /* called at each zeroing: another hart's turn */
void fake_arch_reset(void);

uint64_t fake_csr_get(unsigned number);
void fake_csr_put(unsigned number, uint64_t value);
void fake_fence_note(enum fake_fence_kind kind, uint64_t addr, uint16_t id);

#define csr_read(number) fake_csr_get(number)
#define csr_write(number, value) fake_csr_put(number, (uint64_t)(value))
#define csr_set(number, bits) fake_csr_put(number, fake_csr_get(number) | (uint64_t)(bits))
#define csr_clear(number, bits) fake_csr_put(number, fake_csr_get(number) & ~(uint64_t)(bits))
#define csr_swap(number, value) \
    ({ \
        uint64_t v_ = fake_csr_get(number); \
        fake_csr_put(number, (uint64_t)(value)); \
        v_; \
    })

static inline unsigned hart_index(void) { return fake_hart; }
extern void *fake_hart_data[64]; /* by fake_hart; a test that links sched/ code fills it in */
static inline void *arch_hart_data(void) { return fake_hart_data[fake_hart]; }
uint32_t arch_fcsr(void); /* the test's */
static inline uint64_t arch_time(void) { return fake_time; }
extern void (*fake_wfi_hook)(void); /* called when a hart goes to sleep */
static inline void arch_wfi(void)
{
    if (fake_wfi_hook)
        fake_wfi_hook();
}
extern void (*fake_pause_hook)(void); /* called while somebody waits: another hart's turn */
static inline void arch_pause(void)
{
    if (fake_pause_hook)
        fake_pause_hook();
}
static inline void arch_fence_rw(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline void arch_fence_io(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline void arch_fence_i(void) { fake_fence_note(FENCE_I, 0, 0); }
static inline void arch_sfence_all(void) {}
static inline void arch_hfence_gvma_all(void) { fake_fence_note(FENCE_GVMA_ALL, 0, 0); }
static inline void arch_hfence_gvma_vmid(uint16_t vmid)
{
    fake_fence_note(FENCE_GVMA_VMID, 0, vmid);
}
static inline void arch_hfence_gvma_gpa(uint64_t gpa, uint16_t vmid)
{
    fake_fence_note(FENCE_GVMA_GPA, gpa, vmid);
}
static inline void arch_hfence_vvma_all(void) { fake_fence_note(FENCE_VVMA, 0, 0); }
static inline void arch_hfence_vvma_asid(uint16_t asid) { fake_fence_note(FENCE_VVMA, 0, asid); }
static inline void arch_hfence_vvma_gva(uint64_t gva) { fake_fence_note(FENCE_VVMA, gva, 0); }
static inline void arch_hfence_vvma_gva_asid(uint64_t gva, uint16_t asid)
{
    fake_fence_note(FENCE_VVMA, gva, asid);
}
/* fake_sched.c: time passes; only arch_begin_anew runs something, and returns, as none of them does on a machine. */
void arch_switch_stack(uint64_t *save_sp, uint64_t load_sp);
void arch_begin_stack(uint64_t *save_sp, uint64_t load_sp, void (*fn)(void));
void arch_begin_anew(uint64_t load_sp, void (*fn)(void *arg), void *arg);
static inline uint64_t arch_hgatp_read(void) { return fake_csr_get(CSR_HGATP); }
uint64_t arch_hgatp_write_read(uint64_t v);

void arch_zero_page_run(void *hva, size_t bytes);
extern uint64_t arch_zero_block;

/* Device registers: plain memory, unless a test sets the hooks. */
extern uint64_t (*fake_mmio_read)(const volatile void *p, unsigned width);
extern void (*fake_mmio_write)(volatile void *p, uint64_t v, unsigned width);
uint8_t mmio_read8(const volatile void *p);
uint32_t mmio_read32(const volatile void *p);
void mmio_write8(volatile void *p, uint8_t v);
void mmio_write32(volatile void *p, uint32_t v);

struct sbi_ret {
    long error;
    long value;
};
extern struct sbi_ret (*fake_sbi)(unsigned long ext, unsigned long fid, const unsigned long a[6]);
struct sbi_ret arch_sbi(unsigned long ext, unsigned long fid, unsigned long a0, unsigned long a1,
                        unsigned long a2, unsigned long a3, unsigned long a4, unsigned long a5);

struct arch_fault {
    uint64_t cause, tval, htval, htinst;
};
extern bool (*fake_guest_load)(uint64_t gva, void *to, unsigned width, struct arch_fault *fault);
bool arch_guest_load(uint64_t gva, void *to, unsigned width, struct arch_fault *fault);
bool arch_guest_fetch(uint64_t pc, uint32_t *to, struct arch_fault *fault);
bool arch_csr_probe(unsigned number, uint64_t *value);
bool arch_csr_probe_write(unsigned number, uint64_t value, uint64_t *read_back);
extern unsigned fake_cboz_block; /* bytes that cbo.zero clears (64 after reset); 0: it traps */
extern bool fake_cbo_flush_traps;
bool arch_cbo_zero_probe(void *at);
bool arch_cbo_flush_probe(void *at);
void arch_breakpoint_probe(void);
