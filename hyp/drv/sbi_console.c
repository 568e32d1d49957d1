// SPDX-License-Identifier: BSD-2-Clause
// The firmware's console: the debug console extension (SBI 3.0 chapter 12), else the legacy calls. Also what
// a panic before any driver writes to.
#include <string.h>

#include "base/arch.h"
#include "drv/host_console.h"
#include "mem/frame.h"

enum {
    EXT_PUTCHAR = 0x01,
    EXT_GETCHAR = 0x02,
    EXT_BASE = 0x10,
    BASE_PROBE = 3,
    DBCN_WRITE = 0,
    DBCN_READ = 1,
    DBCN_WRITE_BYTE = 2,
    HALF = 2048,
    IDLE_TRIES = 100000,
};
#define EXT_DBCN 0x4442434Eul

/* The firmware takes physical addresses, and callers' data may lie anywhere, such as on a stack: so
 * it goes through a page of the direct map, one half for each direction. */
static char *page;

static void write_byte(char c)
{
    if (arch_sbi(EXT_DBCN, DBCN_WRITE_BYTE, (uint8_t)c, 0, 0, 0, 0, 0).error)
        (void)arch_sbi(EXT_PUTCHAR, 0, (uint8_t)c, 0, 0, 0, 0, 0);
}

/* DBCN may take a part, or nothing when its buffer is full. */
static void write_block(size_t len)
{
    unsigned long at = hva_to_pa(page).v;
    for (unsigned idle = 0; len > 0 && idle < IDLE_TRIES; idle++) {
        struct sbi_ret r = arch_sbi(EXT_DBCN, DBCN_WRITE, len, at, 0, 0, 0, 0);
        if (r.error || r.value < 0 || (size_t)r.value > len)
            return;
        if (r.value > 0)
            idle = 0;
        at += (unsigned long)r.value;
        len -= (size_t)r.value;
    }
}

static void sbi_write(const char *data, size_t len)
{
    while (len > 0) {
        size_t n = page ? min_u64(len, HALF) : 1;
        if (page) {
            memcpy(page, data, n);
            write_block(n);
        } else {
            write_byte(*data);
        }
        data += n;
        len -= n;
    }
}

static size_t sbi_read(char *to, size_t max)
{
    size_t n = 0;
    if (page) {
        struct sbi_ret r =
            arch_sbi(EXT_DBCN, DBCN_READ, min_u64(max, HALF), hva_to_pa(page + HALF).v, 0, 0, 0, 0);
        if (r.error || r.value <= 0 || (size_t)r.value > min_u64(max, HALF))
            return 0;
        memcpy(to, page + HALF, (size_t)r.value);
        return (size_t)r.value;
    }
    while (n < max) {
        long c = arch_sbi(EXT_GETCHAR, 0, 0, 0, 0, 0, 0, 0).error; /* legacy: the character in a0 */
        if (c < 0 || c > 255)
            break;
        to[n++] = (char)c;
    }
    return n;
}

const struct host_console_ops sbi_console = {
    .name = "SBI",
    .write = sbi_write,
    .read = sbi_read,
};

void sbi_console_init(void)
{
    struct sbi_ret r = arch_sbi(EXT_BASE, BASE_PROBE, EXT_DBCN, 0, 0, 0, 0, 0);
    if (!page && r.error == 0 && r.value != 0)
        page = frame_alloc_page(); /* without one: byte by byte */
}
