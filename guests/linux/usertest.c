// SPDX-License-Identifier: BSD-2-Clause
// A program for the Debian guest, without a C library: executes one instruction in user mode.
//   usertest cycle|instret|time   reads the counter twice; fails unless it went forward
//   usertest illegal              an illegal instruction: SIGILL is expected
#include <stdint.h>

static long syscall3(long number, long a, long b, long c)
{
    register long a0 __asm__("a0") = a;
    register long a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = c;
    register long a7 __asm__("a7") = number;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
    return a0;
}

#define COUNTER_ADVANCES(csr) \
    ({ \
        uint64_t before_, after_; \
        unsigned tries_ = 1000000; \
        __asm__ volatile("csrr %0, " #csr : "=r"(before_)); \
        do { \
            __asm__ volatile("csrr %0, " #csr : "=r"(after_)); \
        } while (after_ == before_ && --tries_); \
        after_ > before_; \
    })

static int run(char which)
{
    switch (which) {
    case 'c':
        return !COUNTER_ADVANCES(cycle);
    case 'i':
        return !COUNTER_ADVANCES(instret);
    case 't':
        return !COUNTER_ADVANCES(time);
    default:
        __asm__ volatile(".word 0x0000700b"); /* custom-0, which no one implements here */
        return 1;
    }
}

__attribute__((used)) void usertest_start(long *stack)
{
    const char *word = stack[0] > 1 ? (const char *)stack[2] : "";
    char which = word[0] == 'i' && word[1] == 'l' ? 'x' : word[0];
    int status = run(which);
    if (status)
        syscall3(64, 2, (long)"usertest: failed\n", 17);
    syscall3(93, status, 0, 0);
    __builtin_unreachable();
}

__asm__(".globl _start\n_start:\n mv a0, sp\n andi sp, sp, -16\n tail usertest_start\n");
