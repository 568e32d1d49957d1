// SPDX-License-Identifier: BSD-2-Clause
// How fast bytes go through a TCP connection, for the Debian guest; no C library.
//
//   tcpbench serve PORT               takes connections, one after the other: reads all, then answers one byte
//   tcpbench send ADDRESS PORT MIB    sends so much, waits for the answer; prints "tcp BYTES NANOSECONDS"
//
// ADDRESS: of IPv4, in figures. The time is from after the connection to the answer, so all has been read then.
#include "inet.h"

enum { SYS_clock_gettime = 113, CLOCK_MONOTONIC = 1 };
enum { CHUNK = 128 * 1024 };

static char buffer[CHUNK];

/* In network order, on a little-endian machine. */
static uint32_t ip_of(const char *s)
{
    uint32_t ip = 0;

    for (unsigned i = 0; i < 4; i++) {
        ip |= (uint32_t)number(&s) << 8 * i;
        s += *s == '.';
    }
    return ip;
}

static uint64_t now(void)
{
    uint64_t t[2];

    call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)t, 0);
    return t[0] * 1000000000 + t[1];
}

static void serve(const char *port)
{
    struct address a = {AF_INET, port_of(port), 0, 0};
    long listener = call(SYS_socket, AF_INET, SOCK_STREAM, 0);

    if (call(SYS_bind, listener, (long)&a, sizeof(a)) || call(SYS_listen, listener, 4, 0))
        die("the port is in use");
    for (;;) {
        long s = call(SYS_accept, listener, 0, 0), n;

        while ((n = call(SYS_read, s, (long)buffer, CHUNK)) > 0)
            ;
        if (!n)
            call(SYS_write, s, (long)buffer, 1);
        call(SYS_close, s, 0, 0);
    }
}

static void send(const char *ip, const char *port, const char *mib)
{
    struct address a = {AF_INET, port_of(port), ip_of(ip), 0};
    long s = call(SYS_socket, AF_INET, SOCK_STREAM, 0);
    uint64_t bytes = number(&mib) << 20, start;
    char line[80], *at;

    if (call(SYS_connect, s, (long)&a, sizeof(a)))
        die("nobody answers");
    start = now();
    for (uint64_t left = bytes; left;) {
        long n = call(SYS_write, s, (long)buffer, (long)(left < CHUNK ? left : CHUNK));

        if (n <= 0)
            die("the connection broke");
        left -= (uint64_t)n;
    }
    call(SYS_shutdown, s, SHUT_WR, 0);
    if (call(SYS_read, s, (long)buffer, 1) != 1)
        die("no answer");
    start = now() - start;
    at = put_number(put(line, "tcp "), bytes);
    at = put(put_number(put(at, " "), start), "\n");
    call(SYS_write, 1, (long)line, at - line);
}

__attribute__((used)) void tcp_main(long *stack)
{
    char **argv = (char **)(stack + 1);

    if (stack[0] == 3 && argv[1][1] == 'e' && argv[1][2] == 'r')
        serve(argv[2]);
    else if (stack[0] == 5)
        send(argv[2], argv[3], argv[4]);
    else
        die("usage");
    call(SYS_exit, 0, 0, 0);
    __builtin_unreachable();
}

__asm__(".globl _start\n _start:\n mv a0, sp\n andi sp, sp, -16\n tail tcp_main\n");
