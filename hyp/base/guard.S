// SPDX-License-Identifier: BSD-2-Clause
// Accesses that may trap, in HS-mode. Section .extable holds pairs {address of an instruction that
// may trap, address to go on at}; the HS trap handler looks sepc up between __extable_start and
// __extable_end, sets sepc to the second and returns, with all registers as they were and scause,
// stval, htval and htinst still the trap's own.
#include "base/csr.h"

        .option push
        .option arch, +h

        .macro GUARD pc, fixup
        .pushsection .extable, "a"
        .balign 8
        .dword  \pc, \fixup
        .popsection
        .endm

        .text

// A trap in HS-mode overwrites what the guest's exit left in these, which is still needed.
        .macro  SAVE_EXIT
        csrr    t4, CSR_SEPC
        csrr    t5, CSR_SSTATUS
        csrr    t6, CSR_HSTATUS
        .endm

// void arch_breakpoint_probe(void)
        .globl  arch_breakpoint_probe
        .type   arch_breakpoint_probe, @function
arch_breakpoint_probe:
1:      ebreak
        GUARD   1b, guard_false
        .size   arch_breakpoint_probe, . - arch_breakpoint_probe

// bool arch_guest_load(uint64_t gva, void *to, unsigned width, struct arch_fault *fault)
        .macro  LOAD load, store
2:      \load   t0, (a0)
        GUARD   2b, guard_fault
        \store  t0, 0(a1)
        li      a0, 1
        ret
        .endm

        .globl  arch_guest_load
        .type   arch_guest_load, @function
arch_guest_load:
        SAVE_EXIT
        li      t0, 4
        beq     a2, t0, 4f
        bgtu    a2, t0, 8f
        li      t0, 1
        beq     a2, t0, 1f
        LOAD    hlv.hu, sh
1:      LOAD    hlv.bu, sb
4:      LOAD    hlv.wu, sw
8:      LOAD    hlv.d, sd
        .size   arch_guest_load, . - arch_guest_load

// bool arch_guest_fetch(uint64_t pc, uint32_t *to, struct arch_fault *fault)
        .globl  arch_guest_fetch
        .type   arch_guest_fetch, @function
arch_guest_fetch:
        SAVE_EXIT
        mv      a3, a2
        andi    t0, a0, 3
        bnez    t0, 3f
        LOAD    hlvx.wu, sw             // aligned, it lies in one page; a half that is no part of it does no harm
3:      hlvx.hu t0, (a0)
        GUARD   3b, guard_fault
        andi    t1, t0, 3
        addi    t1, t1, -3
        bnez    t1, 6f                  // 16 bits long
        addi    a0, a0, 2
5:      hlvx.hu t1, (a0)
        GUARD   5b, guard_fault
        slli    t1, t1, 16
        or      t0, t0, t1
6:      sw      t0, 0(a1)
        li      a0, 1
        ret
        .size   arch_guest_fetch, . - arch_guest_fetch

// a3: struct arch_fault *
guard_fault:
        csrr    t0, CSR_SCAUSE
        csrr    t1, CSR_STVAL
        csrr    t2, CSR_HTVAL
        csrr    t3, CSR_HTINST
        sd      t0, 0(a3)
        sd      t1, 8(a3)
        sd      t2, 16(a3)
        sd      t3, 24(a3)
        csrw    CSR_SEPC, t4
        csrw    CSR_SSTATUS, t5
        csrw    CSR_HSTATUS, t6
guard_false:
        li      a0, 0
        ret

// A CSR's number is part of the instruction, and text cannot be written: one stub for each CSR
// that boot asks about. Others are answered with false.

        .macro  READ_STUB csr, swap=0
        li      t1, \csr
        bne     a0, t1, 3f
        .if \swap
2:      csrrw   t0, \csr, zero          // seed may only be read by an instruction that writes it
        .else
2:      csrr    t0, \csr
        .endif
        GUARD   2b, guard_false
        sd      t0, 0(a1)
        li      a0, 1
        ret
3:
        .endm

        .macro  WRITE_STUB csr
        li      t1, \csr
        bne     a0, t1, 3f
1:      csrw    \csr, a1
2:      csrr    t0, \csr
        GUARD   1b, guard_false
        GUARD   2b, guard_false
        sd      t0, 0(a2)
        li      a0, 1
        ret
3:
        .endm

// bool arch_csr_probe(unsigned number, uint64_t *value)
        .globl  arch_csr_probe
        .type   arch_csr_probe, @function
arch_csr_probe:
        READ_STUB CSR_STIMECMP
        READ_STUB CSR_VSTIMECMP
        READ_STUB CSR_VSISELECT
        READ_STUB CSR_HENVCFG
        READ_STUB CSR_HSTATEEN0
        READ_STUB CSR_SSTATEEN0
        READ_STUB CSR_VLENB
        READ_STUB CSR_CYCLE
        READ_STUB CSR_TIME
        READ_STUB CSR_INSTRET
        READ_STUB CSR_SEED, 1
        READ_STUB CSR_SCOUNTOVF
        READ_STUB CSR_JVT
        READ_STUB CSR_SCONTEXT
        .set    counter, CSR_CYCLE + 3 /* hpmcounter3 to 31 */
        .rept   29
        READ_STUB counter
        .set    counter, counter + 1
        .endr
        li      a0, 0
        ret
        .size   arch_csr_probe, . - arch_csr_probe

// bool arch_csr_probe_write(unsigned number, uint64_t value, uint64_t *read_back)
        .globl  arch_csr_probe_write
        .type   arch_csr_probe_write, @function
arch_csr_probe_write:
        WRITE_STUB CSR_STIMECMP
        WRITE_STUB CSR_VSTIMECMP
        WRITE_STUB CSR_HENVCFG
        WRITE_STUB CSR_SENVCFG
        WRITE_STUB CSR_SISELECT
        WRITE_STUB CSR_HSTATEEN0
        WRITE_STUB CSR_HSTATEEN1
        WRITE_STUB CSR_HSTATEEN2
        WRITE_STUB CSR_HSTATEEN3
        WRITE_STUB CSR_SSTATEEN0
        WRITE_STUB CSR_HVIEN
        WRITE_STUB CSR_HVICTL
        WRITE_STUB CSR_HVIPRIO1
        WRITE_STUB CSR_HVIPRIO2
        li      a0, 0
        ret
        .size   arch_csr_probe_write, . - arch_csr_probe_write

// bool arch_cbo_zero_probe(void *at)
        .globl  arch_cbo_zero_probe
        .type   arch_cbo_zero_probe, @function
arch_cbo_zero_probe:
1:      .insn i 0x0F, 2, x0, a0, 4      // cbo.zero (a0)
        GUARD   1b, guard_false
        li      a0, 1
        ret
        .size   arch_cbo_zero_probe, . - arch_cbo_zero_probe

// bool arch_cbo_flush_probe(void *at)
        .globl  arch_cbo_flush_probe
        .type   arch_cbo_flush_probe, @function
arch_cbo_flush_probe:
1:      .insn i 0x0F, 2, x0, a0, 2      // cbo.flush (a0)
2:      .insn i 0x0F, 2, x0, a0, 0      // cbo.inval (a0): nothing is lost that was flushed
        GUARD   1b, guard_false
        GUARD   2b, guard_false
        li      a0, 1
        ret
        .size   arch_cbo_flush_probe, . - arch_cbo_flush_probe

        .option pop
