// SPDX-License-Identifier: BSD-2-Clause
// Sockets of IPv4 for the Linux guest's small static programs.
#pragma once
#include "sys.h"

enum { SYS_close = 57, SYS_read = 63, SYS_write = 64, SYS_exit = 93 };
enum { SYS_socket = 198, SYS_bind = 200, SYS_listen = 201, SYS_accept = 202, SYS_connect = 203 };
enum { SYS_sendto = 206, SYS_recvfrom = 207, SYS_shutdown = 210 };
enum { AF_INET = 2, SOCK_STREAM = 1, SOCK_DGRAM = 2, SHUT_WR = 1 };

struct address {
    uint16_t family, port; /* the port in network order, on a little-endian machine */
    uint32_t ip; /* in network order too; 0: any */
    uint64_t zero;
};

static inline long call(long number, long a, long b, long c)
{
    return syscall6(number, a, b, c, 0, 0, 0);
}

static inline void die(const char *what)
{
    char line[80], *at = put(put(put(line, "FAIL "), what), "\n");

    call(SYS_write, 1, (long)line, at - line);
    call(SYS_exit, 1, 0, 0);
    __builtin_unreachable();
}

static inline uint64_t number(const char **at)
{
    uint64_t n = 0;

    for (; **at >= '0' && **at <= '9'; ++*at)
        n = n * 10 + (uint64_t)(**at - '0');
    return n;
}

static inline uint16_t port_of(const char *s)
{
    uint64_t n = number(&s);

    return (uint16_t)(n << 8 | (n >> 8 & 0xff));
}
