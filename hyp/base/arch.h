// SPDX-License-Identifier: BSD-2-Clause
// The seam to the machine: everything that is an instruction of RISC-V and not C. Host tests put
// tests/fake/base/arch.h in its place, so nothing else in the tree holds inline assembly but
// boot/, sched/ and vcpu/'s world switch.
// Lock rank: none. Callers: everyone.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/csr.h"

#define csr_read(number) \
    ({ \
        uint64_t v_; \
        __asm__ volatile("csrr %0, %1" : "=r"(v_) : "i"(number) : "memory"); \
        v_; \
    })
#define csr_write(number, value) \
    __asm__ volatile("csrw %0, %1" : : "i"(number), "rK"((uint64_t)(value)) : "memory")
#define csr_set(number, bits) \
    __asm__ volatile("csrs %0, %1" : : "i"(number), "rK"((uint64_t)(bits)) : "memory")
#define csr_clear(number, bits) \
    __asm__ volatile("csrc %0, %1" : : "i"(number), "rK"((uint64_t)(bits)) : "memory")
#define csr_swap(number, value) \
    ({ \
        uint64_t v_; \
        __asm__ volatile("csrrw %0, %1, %2" \
                         : "=r"(v_) \
                         : "i"(number), "rK"((uint64_t)(value)) \
                         : "memory"); \
        v_; \
    })

/* Logical index of this hart (0 ..): struct hart begins with it, tp points at struct hart. */
static inline unsigned hart_index(void)
{
    unsigned index;
    __asm__ volatile("lw %0, 0(tp)" : "=r"(index));
    return index;
}

/* This hart's struct hart. volatile: a thread that was switched away may go on on another hart. */
static inline void *arch_hart_data(void)
{
    void *data;
    __asm__ volatile("mv %0, tp" : "=r"(data));
    return data;
}

/* The hypervisor itself has no FP: sstatus.FS lets it when a guest has been there. */
static inline uint32_t arch_fcsr(void) { return (uint32_t)csr_read(CSR_FCSR); }
static inline uint64_t arch_time(void) { return csr_read(CSR_TIME); }
static inline void arch_wfi(void) { __asm__ volatile("wfi" : : : "memory"); }
static inline void arch_pause(void) { __asm__ volatile(".insn i 0x0F, 0, x0, x0, 0x010"); }
static inline void arch_fence_rw(void) { __asm__ volatile("fence rw, rw" : : : "memory"); }
static inline void arch_fence_io(void) { __asm__ volatile("fence iorw, iorw" : : : "memory"); }
static inline void arch_fence_i(void) { __asm__ volatile("fence.i" : : : "memory"); }
static inline void arch_sfence_all(void) { __asm__ volatile("sfence.vma" : : : "memory"); }

/* G-stage fences; privileged architecture, "HFENCE.GVMA": rs1 holds the address >> 2. */
static inline void arch_hfence_gvma_all(void)
{
    __asm__ volatile(".option push\n.option arch, +h\nhfence.gvma\n.option pop" : : : "memory");
}
static inline void arch_hfence_gvma_vmid(uint16_t vmid)
{
    __asm__ volatile(".option push\n.option arch, +h\nhfence.gvma zero, %0\n.option pop"
                     :
                     : "r"((uint64_t)vmid)
                     : "memory");
}
static inline void arch_hfence_gvma_gpa(uint64_t gpa, uint16_t vmid)
{
    __asm__ volatile(".option push\n.option arch, +h\nhfence.gvma %0, %1\n.option pop"
                     :
                     : "r"(gpa >> 2), "r"((uint64_t)vmid)
                     : "memory");
}
/* VS-stage fences for the VMID in hgatp. */
static inline void arch_hfence_vvma_all(void)
{
    __asm__ volatile(".option push\n.option arch, +h\nhfence.vvma\n.option pop" : : : "memory");
}
static inline void arch_hfence_vvma_asid(uint16_t asid)
{
    __asm__ volatile(".option push\n.option arch, +h\nhfence.vvma zero, %0\n.option pop"
                     :
                     : "r"((uint64_t)asid)
                     : "memory");
}
static inline void arch_hfence_vvma_gva(uint64_t gva)
{
    __asm__ volatile(".option push\n.option arch, +h\nhfence.vvma %0\n.option pop"
                     :
                     : "r"(gva)
                     : "memory");
}
static inline void arch_hfence_vvma_gva_asid(uint64_t gva, uint16_t asid)
{
    __asm__ volatile(".option push\n.option arch, +h\nhfence.vvma %0, %1\n.option pop"
                     :
                     : "r"(gva), "r"((uint64_t)asid)
                     : "memory");
}

/* Goes on on another stack, where this was called last; *save_sp finds the way back. sched/swtch.S. The compiler
 * saves what is live. */
static inline void arch_switch_stack(uint64_t *save_sp, uint64_t load_sp)
{
    register uint64_t *save __asm__("a0") = save_sp;
    register uint64_t load __asm__("a1") = load_sp;

    __asm__ volatile("call swtch"
                     : "+r"(save), "+r"(load)
                     :
                     : "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "a2", "a3", "a4", "a5", "a6",
                       "a7", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10",
                       "s11", "memory");
}

/* The same to a stack on which nothing is yet: fn runs there. */
static inline void arch_begin_stack(uint64_t *save_sp, uint64_t load_sp, void (*fn)(void))
{
    register uint64_t *save __asm__("a0") = save_sp;
    register uint64_t load __asm__("a1") = load_sp;
    register void (*begin)(void) __asm__("a2") = fn;

    __asm__ volatile("call swtch_begin"
                     : "+r"(save), "+r"(load), "+r"(begin)
                     :
                     : "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "a3", "a4", "a5", "a6", "a7",
                       "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",
                       "memory");
}
/* Runs fn there, and leaves this stack for ever. */
static inline void arch_begin_anew(uint64_t load_sp, void (*fn)(void *arg), void *arg)
{
    register void *a0 __asm__("a0") = arg;

    __asm__ volatile("mv sp, %0\njr %1" : : "r"(load_sp), "r"(fn), "r"(a0) : "memory");
    __builtin_unreachable();
}

static inline uint64_t arch_hgatp_read(void) { return csr_read(CSR_HGATP); }
static inline uint64_t arch_hgatp_write_read(uint64_t v)
{
    csr_write(CSR_HGATP, v);
    return csr_read(CSR_HGATP);
}

/* Zeroes whole pages, by cache blocks where the host has Zicboz. hyp/base/zero.S */
void arch_zero_page_run(void *hva, size_t bytes);
/* Bytes that cbo.zero clears; 0: no Zicboz. Set once at boot. */
extern uint64_t arch_zero_block;

/* Device registers, in address order. */
static inline uint8_t mmio_read8(const volatile void *p)
{
    uint8_t v;
    __asm__ volatile("lbu %0, 0(%1)\nfence i, ir" : "=r"(v) : "r"(p) : "memory");
    return v;
}
static inline uint32_t mmio_read32(const volatile void *p)
{
    uint32_t v;
    __asm__ volatile("lw %0, 0(%1)\nfence i, ir" : "=r"(v) : "r"(p) : "memory");
    return v;
}
static inline void mmio_write8(volatile void *p, uint8_t v)
{
    __asm__ volatile("fence w, o\nsb %0, 0(%1)" : : "r"(v), "r"(p) : "memory");
}
static inline void mmio_write32(volatile void *p, uint32_t v)
{
    __asm__ volatile("fence w, o\nsw %0, 0(%1)" : : "r"(v), "r"(p) : "memory");
}

struct sbi_ret {
    long error;
    long value;
};
/* A call to the firmware below us (SBI 3.0 section 3, "Binary Encoding"). */
struct sbi_ret arch_sbi(unsigned long ext, unsigned long fid, unsigned long a0, unsigned long a1,
                        unsigned long a2, unsigned long a3, unsigned long a4, unsigned long a5);

/* Guarded accesses (hyp/base/guard.S): a trap in them is an error value, not a panic. sepc, sstatus and hstatus
 * are as before; scause, stval, htval and htinst are the trap's then: an exit reads these first. */
struct arch_fault {
    uint64_t cause, tval, htval, htinst;
};
/* Loads as the guest would, through both stages (hlv / hlvx); false and *fault when it traps. */
bool arch_guest_load(uint64_t gva, void *to, unsigned width, struct arch_fault *fault);
/* The instruction at pc; of a 16-bit one the low half counts. */
bool arch_guest_fetch(uint64_t pc, uint32_t *to, struct arch_fault *fault);
/* Reads a CSR that may not exist: false when it traps. number: any of 0..0xfff. */
bool arch_csr_probe(unsigned number, uint64_t *value);
/* Writes then reads back: false when it traps. */
bool arch_csr_probe_write(unsigned number, uint64_t value, uint64_t *read_back);
/* Whether Zicboz, Zicbom work in HS-mode: zeroes the block at this address; writes it back and drops it. */
bool arch_cbo_zero_probe(void *at);
bool arch_cbo_flush_probe(void *at);
void arch_breakpoint_probe(void); /* one that is taken, and does nothing */
