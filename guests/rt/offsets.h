// SPDX-License-Identifier: BSD-2-Clause
// Offsets into struct hart for start.S; rt.c asserts them.
#pragma once
#define HART_STACK 0
#define HART_USER_SP 8
#define HART_SCRATCH 16
#define FRAME_SIZE 256
