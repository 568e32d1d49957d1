// SPDX-License-Identifier: BSD-2-Clause
// Offsets into struct interrupted that where.S uses; where.c checks them.
#pragma once
#define WHERE_PC 256
#define WHERE_DONE 264
