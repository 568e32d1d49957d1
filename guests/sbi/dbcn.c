// SPDX-License-Identifier: BSD-2-Clause
// DBCN (chapter 12). The errors of its memory are INVALID_PARAM.
#include "sbi/spec.h"

enum { WRITE, READ, WRITE_BYTE };

static uint64_t fid;

static struct sbi_ret move8(uint64_t low, uint64_t high)
{
    return CALL(SBI_DBCN, fid, 8, low, high);
}

static void check_memory(uint64_t function)
{
    static const struct shmem s = {move8, 8, 1, SBI_INVALID_PARAM, 0};

    fid = function;
    if (rt_trapline) /* OpenSBI lets a supervisor name all that is not firmware's */
        check_shmem(&s);
}

static void check_lengths(uint64_t function)
{
    static const uint64_t too_long[] = {~0ul, ~0ul - 1, 1ul << 63, 1ul << 62, 1ul << 56};
    uint64_t ours = (uint64_t)spec_pages;

    check_value(CALL(SBI_DBCN, function, 0, ours, 0), 0, "no bytes");
    for (unsigned i = 0; i < ARRAY_LEN(too_long) && rt_trapline; i++)
        check_error(CALL(SBI_DBCN, function, too_long[i], ours, 0), SBI_INVALID_PARAM, "%lx bytes",
                    too_long[i]);
    if (!rt_trapline)
        return;
    check_error(CALL(SBI_DBCN, function, rt_ram_size + 1, rt_ram_base, 0), SBI_INVALID_PARAM,
                "one byte more than RAM");
    check_error(CALL(SBI_DBCN, function, -rt_ram_base, rt_ram_base, 0), SBI_INVALID_PARAM,
                "up to the end of all addresses");
    check_error(CALL(SBI_DBCN, function, -rt_ram_base + 8, rt_ram_base, 0), SBI_INVALID_PARAM,
                "past the end of all addresses");
}

/* All of it, though a call may take less than it was given. */
static void write_all(const char *at, uint64_t n)
{
    uint64_t end = rt_patience();

    while (n && rdtime() < end) {
        struct sbi_ret r = CALL(SBI_DBCN, WRITE, n, (uint64_t)at, 0);

        check(r.error == SBI_OK && r.value <= n, "%lu bytes: error %ld, %lu written", n, r.error,
              r.value);
        if (r.error || r.value > n)
            return;
        at += r.value;
        n -= r.value;
    }
    check(!n, "%lu bytes never written", n);
}

static const char text[] = "sbi guest: this line lies over the end of a page\n";

SPEC_CHECK(SBI_DBCN, WRITE, dbcn_write)
{
    char *at = (char *)spec_pages + 4096 - 20;

    memset(spec_pages, '.', sizeof(spec_pages));
    memset((void *)(ram_end() - 8), '.', 8);
    check_memory(WRITE);
    check_lengths(WRITE);
    sbi_call(SBI_DBCN, 2, '\n', 0, 0, 0, 0);
    memcpy(at, text, sizeof(text) - 1);
    write_all(at, sizeof(text) - 1); /* the test looks for it */
    check(!memcmp(at, text, sizeof(text) - 1), "what was written has changed");
}

/* Nobody types: no byte comes, and memory stays as it was. */
SPEC_CHECK(SBI_DBCN, READ, dbcn_read)
{
    bool kept = true;

    memset(spec_pages, '!', sizeof(spec_pages));
    check_memory(READ);
    check_lengths(READ);
    check_value(CALL(SBI_DBCN, READ, sizeof(spec_pages), (uint64_t)spec_pages, 0), 0,
                "three pages");
    if (rt_trapline)
        check_value(CALL(SBI_DBCN, READ, rt_ram_size, rt_ram_base, 0), 0, "all of RAM");
    for (unsigned i = 0; i < sizeof(spec_pages); i++)
        kept &= spec_pages[i] == '!';
    check(kept, "memory changed, and nothing was read");
}

/* With type=WORD in the command line, the test types the word when it is asked to: each byte comes once, over
 * the end of a page, and nothing beside them is written. */
static void check_typed(const char *word, uint64_t n)
{
    char *at = (char *)spec_pages + 4096 - n / 2;
    uint64_t end = rt_patience(), got = 0;

    memset(spec_pages, '!', sizeof(spec_pages));
    printf("sbi guest: type now\n");
    while (got < n && rdtime() < end) {
        struct sbi_ret r = CALL(SBI_DBCN, READ, n + 8 - got, (uint64_t)at + got, 0);

        check(r.error == SBI_OK && r.value <= n - got, "error %ld, %lu bytes", r.error, r.value);
        got += r.value;
    }
    check(got == n && !memcmp(at, word, n), "%lu bytes of %lu were read, or others", got, n);
    check(at[-1] == '!' && at[n] == '!', "bytes beside those read have changed");
}

SPEC_CHECK(SBI_DBCN, READ, dbcn_read_typed)
{
    const char *word = rt_option("type");
    uint64_t n = 0, end;
    long byte;

    if (!word)
        return;
    while (word[n] && word[n] != ' ')
        n++;
    check_typed(word, n);
    printf("sbi guest: type one more\n");
    end = rt_patience();
    while ((byte = sbi_call(2, 0, 0, 0, 0, 0, 0).error) < 0 && rdtime() < end)
        ;
    check(byte == 'x', "legacy getchar: %ld", byte);
}

/* "The sbiret.uvalue is set to zero"; the byte is 8 bits wide. */
SPEC_CHECK(SBI_DBCN, WRITE_BYTE, dbcn_write_byte)
{
    check_value(CALL(SBI_DBCN, WRITE_BYTE, '.'), 0, "a byte");
    check_value(CALL(SBI_DBCN, WRITE_BYTE, 0xFFFFFFFFFFFFFF00ul | '.'), 0, "upper bits set");
    check_value(CALL(SBI_DBCN, WRITE_BYTE, 1ul << 63 | '\n'), 0, "most significant bit set");
}
