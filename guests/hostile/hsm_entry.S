// SPDX-License-Identifier: BSD-2-Clause
// A hart's whole life: SBI HSM hart_stop.
    .globl hsm_stop_at_once
hsm_stop_at_once:
    li a7, 0x48534d
    li a6, 1
    ecall
    j hsm_stop_at_once
