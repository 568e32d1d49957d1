// SPDX-License-Identifier: BSD-2-Clause
// panic says that an invariant of the hypervisor itself is broken: message, registers, backtrace,
// the machine stopped. Nothing that a guest can do reaches one.
// From anywhere, with any lock held.
#pragma once
#include "base/util.h"

NORETURN void panic(const char *fmt, ...) PRINTF_LIKE(1, 2);

#define ASSERT(x) \
    do { \
        if (!(x)) \
            panic("assertion failed: %s (%s:%d)", #x, __FILE__, __LINE__); \
    } while (0)
