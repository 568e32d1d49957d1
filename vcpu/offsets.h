// SPDX-License-Identifier: BSD-2-Clause
// Offsets into struct vcpu that switch.S uses; vcpu/vcpu.c checks them.
#pragma once
#define VCPU_GPR 0
#define VCPU_PC 256
#define VCPU_STACK_TOP 264
#define VCPU_HART 272
#define VCPU_EXITS 280
