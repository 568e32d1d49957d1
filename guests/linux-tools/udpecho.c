// SPDX-License-Identifier: BSD-2-Clause
// Sends each UDP packet back to whom it is from, for the Debian guest; no C library.
//
//   udpecho PORT
#include "inet.h"

static char buffer[65536];

__attribute__((used)) void udp_main(long *stack)
{
    char **argv = (char **)(stack + 1);
    struct address own = {.family = AF_INET}, from;
    long s = call(SYS_socket, AF_INET, SOCK_DGRAM, 0);

    if (stack[0] != 2)
        die("usage: udpecho PORT");
    own.port = port_of(argv[1]);
    if (call(SYS_bind, s, (long)&own, sizeof(own)))
        die("the port is in use");
    for (;;) {
        uint32_t size = sizeof(from);
        long n =
            syscall6(SYS_recvfrom, s, (long)buffer, sizeof(buffer), 0, (long)&from, (long)&size);

        if (n >= 0)
            syscall6(SYS_sendto, s, (long)buffer, n, 0, (long)&from, size);
    }
}

__asm__(".globl _start\n _start:\n mv a0, sp\n andi sp, sp, -16\n tail udp_main\n");
