// SPDX-License-Identifier: BSD-2-Clause
// A hart's whole life: SBI HSM hart_stop.
    .globl hsm_stop_at_once
hsm_stop_at_once:
    li a7, 0x48534d
    li a6, 1
    ecall
    j hsm_stop_at_once
// A whole handler of a software event: SBI SSE complete. It runs in place of whatever was interrupted.
    .globl sse_complete_at_once
sse_complete_at_once:
    li a7, 0x535345
    li a6, 6
    ecall
    j sse_complete_at_once
