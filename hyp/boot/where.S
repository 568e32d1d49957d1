// SPDX-License-Identifier: BSD-2-Clause
// The handler of the firmware's software event: notes where this hart was, and goes back there. It may come at any
// instruction, so all registers but a6 and a7 are the interrupted code's, the stack may be anybody's, and no
// trap may be taken. The firmware keeps sepc, the bits of sstatus and hstatus that it changed, a6 and a7.
#include "base/csr.h"
#include "boot/where_offsets.h"

#define SBI_EXT_SSE_ 0x535345
#define SSE_COMPLETE 6

        .globl where_event
        .balign 4
where_event:                           /* a6: hart id, a7: struct interrupted */
        sd ra, 8(a7)
        sd sp, 16(a7)
        sd gp, 24(a7)
        sd tp, 32(a7)
        sd t0, 40(a7)
        sd t1, 48(a7)
        csrr t0, sepc
        sd t0, WHERE_PC(a7)
        /* OpenSBI (1.5, 1.6) leaves SPV as it was when no guest was interrupted, and then goes back to where SPV
         * says. While the hypervisor runs, sscratch is 0, and going back is to the hypervisor. In the few
         * instructions where it is neither it may be either; a guest must never be taken for the hypervisor. */
        csrr t0, sscratch
        bnez t0, 1f
        li t1, HSTATUS_SPV
        csrc CSR_HSTATUS, t1
1:      li t0, 1
        fence w, w
        sw t0, WHERE_DONE(a7)
        ld t0, 40(a7)
        ld t1, 48(a7)
        li a7, SBI_EXT_SSE_
        li a6, SSE_COMPLETE
        ecall                          /* does not come back here */
        j .
