// SPDX-License-Identifier: BSD-2-Clause
// The first program of a benchmarked Linux boot (rdinit=/bench_init): prints what the counters say at
// the moment that user space is reached, then powers the machine off. No C library. It prints through
// /dev/kmsg, since console=hvc0 has no driver yet when no module is loaded.
//
// instret is readable in user mode only while the kernel's PMU driver is kept away
// (initcall_blacklist=pmu_sbi_devinit): 0 is printed otherwise. time counts idling too.
#include "sys.h"

/* SIGILL: go on after the instruction. pc is the first word of uc_mcontext, 176 bytes into it. */
void skip_instruction(int signal, void *info, uint64_t *context);
void skip_instruction(int signal, void *info, uint64_t *context)
{
    (void)signal;
    (void)info;
    context[176 / 8] += 4;
}

void bench_main(void);
__attribute__((used)) void bench_main(void)
{
    enum { SYS_mknodat = 33, SYS_openat = 56, SYS_write = 64, SYS_rt_sigaction = 134 };
    enum { SYS_reboot = 142, SIGILL = 4, SA_SIGINFO = 4, AT_FDCWD = -100, O_WRONLY = 1 };
    enum { CHARACTER_DEVICE = 0020600, KMSG = 1 << 8 | 11 };
    struct {
        void *handler;
        unsigned long flags, mask;
    } action = {skip_instruction, SA_SIGINFO, 0};
    uint64_t instret = 0, time;
    char line[128], *at = line;
    long fd;

    syscall6(SYS_rt_sigaction, SIGILL, (long)&action, 0, 8, 0, 0);
    __asm__ volatile("rdtime %0" : "=r"(time));
    __asm__ volatile("li %0, 0\n .option push\n .option norvc\n rdinstret %0\n .option pop"
                     : "=&r"(instret));
    at = put(put_number(put(at, "<1>bench userspace instret="), instret), " time=");
    at = put(put_number(at, time), " end\n");
    syscall6(SYS_mknodat, AT_FDCWD, (long)"/bench_kmsg", CHARACTER_DEVICE, KMSG, 0, 0);
    fd = syscall6(SYS_openat, AT_FDCWD, (long)"/bench_kmsg", O_WRONLY, 0, 0, 0);
    syscall6(SYS_write, fd, (long)line, at - line, 0, 0, 0);
    syscall6(SYS_reboot, (long)0xfee1dead, 0x28121969, 0x4321fedc, 0, 0, 0); /* power off */
    for (;;)
        ;
}

__asm__(".globl _start\n _start:\n andi sp, sp, -16\n tail bench_main\n");
