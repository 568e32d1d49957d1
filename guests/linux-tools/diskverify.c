// SPDX-License-Identifier: BSD-2-Clause
// Does to a disk what comes to its mind, by four processes at once, and knows at every moment what each sector must hold; as fio does
// with verification, in a small static program. No C library.
//
//   diskverify write DEVICE SEED OPERATIONS [counted]   writes, reads and verifies, zeros, discards, flushes; then reads all
//   diskverify check DEVICE SEED OPERATIONS [counted]   reads all, and verifies what `write` with the same words left; writes nothing
//
// Each process has a quarter of the disk. A written sector holds words that follow from its number, the seed, which
// operation wrote it, and their place: any sector that is old, another's, or torn is found. What was never written must read as zeros,
// or (counted: what is behind the disk) as 64-bit words that count from its beginning. What was discarded may be anything until it is written or
// zeroed, which it is in the end. All goes past the guest's page cache (O_DIRECT).
#include "sys.h"

enum {
    SYS_ioctl = 29,
    SYS_fallocate = 47,
    SYS_openat = 56,
    SYS_write = 64,
    SYS_pread = 67,
    SYS_pwrite = 68
};
enum { SYS_fsync = 82, SYS_exit = 93, SYS_clone = 220, SYS_wait4 = 260 };
enum { O_RDWR = 2, O_DIRECT = 040000, AT_FDCWD = -100, SIGCHLD = 17, PUNCH_HOLE = 3 };
enum { BLKDISCARD = 0x1277, BLKZEROOUT = 0x127f };
#define BLKGETSIZE64 0x80081272l

enum {
    JOBS = 4,
    SECTOR = 512,
    WORDS = SECTOR / 8,
    MOST = 128 /* sectors in an operation */,
    SLICE_MAX = 65536
};
enum { NEVER = 0, ZEROS = 0xffff, UNKNOWN = 0xfffe }; /* else the operation that wrote it */

static uint16_t state[SLICE_MAX];
static uint64_t buffer[MOST * WORDS] __attribute__((aligned(4096)));
static uint64_t first, count, seed, roll_state; /* of this process: its sectors */
static bool counted;
static long disk;

static long call(long number, long a, long b, long c, long d)
{
    return syscall6(number, a, b, c, d, 0, 0);
}

static void say(const char *what, const char *more, uint64_t n)
{
    char line[160], *at = put(put(put(line, "diskverify: "), what), more);

    at = put(put_number(at, n), "\n");
    call(SYS_write, 1, (long)line, at - line, 0);
}

static void leave(int code)
{
    call(SYS_exit, code, 0, 0, 0);
    __builtin_unreachable();
}

static void fail(const char *what, uint64_t sector)
{
    say("FAIL ", what, sector);
    leave(1);
}

static uint32_t roll(uint32_t n)
{
    roll_state = roll_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((roll_state >> 33) * n >> 31);
}

/* ---- what sectors hold ---- */

static uint64_t word(uint64_t sector, uint16_t s, unsigned i)
{
    uint64_t v = (sector * WORDS + i) * 0x9e3779b97f4a7c15u ^ seed << 48 ^ s;

    if (s == ZEROS || (s == NEVER && !counted))
        return 0;
    if (s == NEVER)
        return sector * WORDS + i;
    v ^= v >> 29;
    return v * 0xbf58476d1ce4e5b9u;
}

static void verify(uint64_t at, uint64_t n, const char *when)
{
    if (call(SYS_pread, disk, (long)buffer, (long)(n * SECTOR), (long)((first + at) * SECTOR)) !=
        (long)(n * SECTOR))
        fail("it cannot be read: sector ", first + at);
    for (uint64_t k = 0; k < n; k++)
        for (unsigned i = 0; i < WORDS && state[at + k] != UNKNOWN; i++)
            if (buffer[k * WORDS + i] != word(first + at + k, state[at + k], i))
                fail(when, first + at + k);
}

static void verify_all(const char *when)
{
    for (uint64_t at = 0; at < count; at += MOST)
        verify(at, count - at < MOST ? count - at : MOST, when);
}

/* ---- operations ---- */

static void mark(uint64_t at, uint64_t n, uint16_t s)
{
    while (n--)
        state[at++] = s;
}

static void write_sectors(uint64_t at, uint64_t n, uint16_t s)
{
    for (uint64_t k = 0; k < n; k++)
        for (unsigned i = 0; i < WORDS; i++)
            buffer[k * WORDS + i] = word(first + at + k, s, i);
    if (call(SYS_pwrite, disk, (long)buffer, (long)(n * SECTOR), (long)((first + at) * SECTOR)) !=
        (long)(n * SECTOR))
        fail("it cannot be written: sector ", first + at);
}

/* BLKDISCARD, BLKZEROOUT, or a hole: zeros that need no place. */
static void range(long how, uint64_t at, uint64_t n)
{
    uint64_t bytes[2] = {(first + at) * SECTOR, n * SECTOR};
    long error = how == PUNCH_HOLE
                     ? call(SYS_fallocate, disk, PUNCH_HOLE, (long)bytes[0], (long)bytes[1])
                     : call(SYS_ioctl, disk, how, (long)bytes, 0);

    if (error)
        fail("it cannot be zeroed or discarded: sector ", first + at);
}

static void flush(void)
{
    if (call(SYS_fsync, disk, 0, 0, 0))
        fail("it cannot be flushed: ", 0);
}

/* The nth operation; act: it is done, and not only remembered. */
static void operate(uint16_t n, bool act)
{
    uint32_t what = roll(16), most = roll(3) ? 16 : MOST;
    uint64_t at = roll((uint32_t)count), len = 1 + roll(most);
    static const long ranges[] = {BLKDISCARD, BLKZEROOUT, PUNCH_HOLE};

    if (what < 3 && roll(2)) { /* whole clusters, too */
        at -= at % MOST;
        len = MOST;
    }
    if (len > count - at)
        len = count - at;
    if (what < 3) {
        mark(at, len, what ? ZEROS : UNKNOWN);
        if (act)
            range(ranges[what], at, len);
    } else if (what == 3) {
        if (act)
            flush();
    } else if (what < 7) {
        if (act)
            verify(at, len, "not what was written last: sector ");
    } else {
        mark(at, len, n);
        if (act)
            write_sectors(at, len, n);
    }
}

/* Nothing is left that may be anything. */
static void settle(bool act)
{
    for (uint64_t at = 0, end; at < count; at = end) {
        for (end = at; end < count && state[end] == UNKNOWN; end++)
            ;
        if (end > at && act)
            range(BLKZEROOUT, at, end - at);
        mark(at, end - at, ZEROS);
        end += end == at;
    }
}

static void job(unsigned which, uint64_t sectors, uint64_t operations, bool act)
{
    count = sectors / JOBS;
    first = which * count;
    roll_state = seed * JOBS + which;
    for (uint64_t n = 1; n <= operations; n++)
        operate((uint16_t)n, act);
    settle(act);
    if (act)
        flush();
    verify_all("not what it must hold: sector ");
    leave(0);
}

/* ---- the program ---- */

static uint64_t number(const char *s)
{
    uint64_t n = 0;

    while (*s >= '0' && *s <= '9')
        n = n * 10 + (uint64_t)(*s++ - '0');
    return n;
}

__attribute__((used)) void verify_main(long *stack)
{
    char **argv = (char **)(stack + 1);
    uint64_t bytes = 0, operations;
    int failed = 0, status;

    if (stack[0] < 5)
        fail("usage: write|check DEVICE SEED OPERATIONS [counted], not ", (uint64_t)stack[0] - 1);
    seed = number(argv[3]);
    operations = number(argv[4]);
    counted = stack[0] == 6;
    disk =
        call(SYS_openat, AT_FDCWD, (long)argv[2], (argv[1][0] == 'w' ? O_RDWR : 0) | O_DIRECT, 0);
    if (disk < 0 || call(SYS_ioctl, disk, BLKGETSIZE64, (long)&bytes, 0))
        fail("no such disk: ", (uint64_t)-disk);
    if (bytes / SECTOR / JOBS > SLICE_MAX || operations >= UNKNOWN)
        fail("too large: ", bytes);
    for (unsigned i = 0; i < JOBS; i++)
        if (!call(SYS_clone, SIGCHLD, 0, 0, 0))
            job(i, bytes / SECTOR, operations, argv[1][0] == 'w');
    while (call(SYS_wait4, -1, (long)&status, 0, 0) > 0)
        failed |= status;
    if (!failed)
        say("all as it must be: ", "sectors ", bytes / SECTOR);
    leave(failed ? 1 : 0);
}

__asm__(".globl _start\n _start:\n mv a0, sp\n andi sp, sp, -16\n tail verify_main\n");
