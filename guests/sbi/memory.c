// SPDX-License-Identifier: BSD-2-Clause
// Shared memory (SBI 3.0 section 3.2), and addresses that are none.
#include "sbi/spec.h"

uint8_t spec_pages[3 * 4096] __attribute__((aligned(4096)));

#define UART 0x10000000ul
#define VIRTIO 0x10001000ul
#define PLIC 0xc000000ul
#define ALL (~0ul)

/* Nothing, devices, addresses no hart has so many bits for, RAM's own with high bits set. */
static const uint64_t nowhere[] = {
    0,         0x1000,    UART,      VIRTIO,    PLIC,      1ul << 40,          1ul << 46,
    1ul << 50, 1ul << 55, 1ul << 56, 1ul << 62, 1ul << 63, 0x7ffffffffffff000, 0xfffffffffffff000,
};
const uint64_t spec_no_code[] = {
    0,
    2,
    UART,
    VIRTIO,
    PLIC,
    1ul << 40,
    1ul << 50,
    1ul << 56,
    1ul << 63,
    ALL - 1,
    0x7ffffffffffff000,
};
const unsigned spec_no_code_count = ARRAY_LEN(spec_no_code);

static void bad(const struct shmem *s, uint64_t low, uint64_t high)
{
    check_error(s->call(low, high), s->inaccessible, "%lx bytes at %lx, high half %lx", s->size,
                low, high);
}

static void check_ends(const struct shmem *s)
{
    uint64_t end = ram_end();

    check_error(s->call(end - s->size, 0), SBI_OK, "the last %lx bytes of RAM", s->size);
    bad(s, end - s->size + s->align, 0);
    if (s->size > s->align)
        bad(s, end - s->align, 0);
    bad(s, end, 0);
    if (rt_trapline) /* elsewhere, firmware is at RAM's beginning */
        bad(s, rt_ram_base - s->align, 0);
}

/* With the end of a page inside where alignment lets it be. */
static void check_page_end(const struct shmem *s)
{
    uint64_t page = (uint64_t)spec_pages + 4096;

    check_error(s->call((uint64_t)spec_pages, 0), SBI_OK, "a page of ours");
    check_error(s->call(page - s->align, 0), SBI_OK, "%lx bytes over a page's end", s->size);
}

void check_shmem(const struct shmem *s)
{
    uint64_t ours = (uint64_t)spec_pages;

    for (unsigned i = 0; i < ARRAY_LEN(nowhere); i++)
        bad(s, nowhere[i], 0);
    for (unsigned bit = 56; bit < 64; bit++)
        bad(s, ours | 1ul << bit, 0);
    bad(s, ours, 1);
    bad(s, ours, 1ul << 63);
    bad(s, ours, ALL);
    bad(s, 0, 1);
    check_ends(s);
    check_page_end(s);
    for (uint64_t off = 1; off < s->align; off = off * 2) {
        unsigned allowed = ERR(SBI_INVALID_PARAM) | s->misaligned;

        check_errors(s->call(ours + off, 0), allowed, "not aligned: + %lx", off);
        check_errors(s->call(ours + s->align - off, 0), allowed, "not aligned: - %lx", off);
    }
}
