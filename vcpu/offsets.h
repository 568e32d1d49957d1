// SPDX-License-Identifier: BSD-2-Clause
// Offsets into struct vcpu that switch.S uses; vcpu/vcpu.c checks them.
#pragma once
#define VCPU_GPR 0
#define VCPU_PC 256
#define VCPU_STACK_TOP 264
#define VCPU_HART 272
#define VCPU_EXITS 280
// Into struct vector_csrs; vector.S uses them.
#define VECTOR_VL 0
#define VECTOR_VTYPE 8
#define VECTOR_VCSR 16
#define VECTOR_VSTART 24
