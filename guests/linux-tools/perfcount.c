// SPDX-License-Identifier: BSD-2-Clause
// What `perf stat` and `perf record` ask of a kernel, by perf_event_open alone; Debian's linux-perf needs Perl and
// Python. No C library. Each line is "perf NAME VALUE"; a value below 0 is the error of perf_event_open.
//   perfcount stat      events of this process, over a loop of LOOP iterations in user mode
//   perfcount ipi       SBI firmware event ipi_sent of CPU 0, while this process moves MOVES times
//   perfcount record    samples each PERIOD cycles, over the same loop
#include "sys.h"

enum { SYS_ioctl = 29, SYS_read = 63, SYS_write = 64, SYS_exit = 93, SYS_sched_setaffinity = 122 };
enum { SYS_mmap = 222, SYS_perf_event_open = 241 };
enum { TYPE_HARDWARE, TYPE_SOFTWARE, TYPE_TRACEPOINT, TYPE_CACHE, TYPE_RAW };
enum { CPU_CYCLES, INSTRUCTIONS, PAGE_FAULTS = 2, DTLB_LOAD_MISSES = 3 | 1 << 16 };
#define FIRMWARE(code) (1ul << 63 | (code))
enum { IPI_SENT = 6 };
enum { LOOP = 10000000, MOVES = 200, PERIOD = 1000000, PAGES = 64 };
enum { DISABLED = 1, EXCLUDE_USER = 16, EXCLUDE_KERNEL = 32 }; /* bits of flags */
enum { SAMPLE_IP = 1, ENABLE = 0x2400, DISABLE = 0x2401 };

/* struct perf_event_attr, its first version: 64 bytes. */
struct attr {
    uint32_t type, size;
    uint64_t config, period, sample_type, read_format, flags;
    uint32_t wakeup_events, bp_type;
    uint64_t config1;
};

static void print(const char *name, long value)
{
    char line[80], *at = put(put(put(line, "perf "), name), value < 0 ? " -" : " ");

    at = put(put_number(at, (uint64_t)(value < 0 ? -value : value)), "\n");
    syscall6(SYS_write, 1, (long)line, at - line, 0, 0, 0);
}

static long event_open(uint32_t type, uint64_t config, uint64_t flags, uint64_t period, bool cpu0)
{
    struct attr attr = {type, sizeof(attr),     config, period, period ? SAMPLE_IP : 0,
                        0,    DISABLED | flags, 0,      0,      0};

    return syscall6(SYS_perf_event_open, (long)&attr, cpu0 ? -1 : 0, cpu0 ? 0 : -1, -1, 0, 0);
}

static void control(long fd, long what) { syscall6(SYS_ioctl, fd, what, 0, 0, 0, 0); }

static long value_of(long fd)
{
    uint64_t value = 0;

    return syscall6(SYS_read, fd, (long)&value, sizeof(value), 0, 0, 0) == sizeof(value)
               ? (long)value
               : -1;
}

/* Two instructions an iteration. */
static void loop(void)
{
    long n = LOOP;

    __asm__ volatile("1: addi %0, %0, -1\n bnez %0, 1b" : "+r"(n));
}

static volatile char memory[PAGES * 4096];

static void stat(void)
{
    static const struct {
        const char *name;
        uint32_t type;
        uint64_t config, flags;
    } events[] = {
        {"page-faults", TYPE_SOFTWARE, PAGE_FAULTS, 0}, /* the first to touch memory */
        {"cycles", TYPE_HARDWARE, CPU_CYCLES, 0},
        {"instructions", TYPE_HARDWARE, INSTRUCTIONS, 0},
        {"cycles-user", TYPE_HARDWARE, CPU_CYCLES, EXCLUDE_KERNEL},
        {"instructions-user", TYPE_HARDWARE, INSTRUCTIONS, EXCLUDE_KERNEL},
        {"instructions-kernel", TYPE_HARDWARE, INSTRUCTIONS, EXCLUDE_USER},
        {"dtlb-load-misses", TYPE_CACHE, DTLB_LOAD_MISSES, 0},
    };

    for (unsigned i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        long fd = event_open(events[i].type, events[i].config, events[i].flags, 0, false);

        if (fd >= 0) {
            control(fd, ENABLE);
            for (unsigned page = 0; page < PAGES; page++)
                (void)memory[page * 4096];
            loop();
            control(fd, DISABLE);
        }
        print(events[i].name, fd < 0 ? fd : value_of(fd));
    }
}

static void go_to(unsigned long cpus)
{
    syscall6(SYS_sched_setaffinity, 0, sizeof(cpus), (long)&cpus, 0, 0, 0);
}

static void ipi(void)
{
    long fd = event_open(TYPE_RAW, FIRMWARE(IPI_SENT), 0, 0, true);

    if (fd >= 0)
        control(fd, ENABLE);
    for (unsigned i = 0; i < MOVES; i++) {
        go_to(1);
        go_to(2);
    }
    print("ipi-sent", fd < 0 ? fd : value_of(fd));
}

/* A sample is a header of 8 bytes and the instruction's address; data_head counts the bytes of all. */
static void record(void)
{
    enum { READ_WRITE = 3, SHARED = 1, DATA_HEAD = 1024 / 8, SAMPLE = 16, BUFFER = 4096 * 65 };
    long fd = event_open(TYPE_HARDWARE, CPU_CYCLES, EXCLUDE_KERNEL, PERIOD, false);
    volatile uint64_t *ring = (void *)syscall6(SYS_mmap, 0, BUFFER, READ_WRITE, SHARED, fd, 0);

    if (fd < 0 || (long)ring < 0) {
        print("samples", fd < 0 ? fd : (long)ring);
        return;
    }
    control(fd, ENABLE);
    loop();
    control(fd, DISABLE);
    print("sampled-cycles", value_of(fd));
    print("samples", (long)(ring[DATA_HEAD] / SAMPLE));
}

__attribute__((used)) void perf_main(long *stack)
{
    const char *word = stack[0] > 1 ? (const char *)stack[2] : "";

    if (word[0] == 's')
        stat();
    else if (word[0] == 'i')
        ipi();
    else
        record();
    syscall6(SYS_exit, 0, 0, 0, 0, 0, 0);
    __builtin_unreachable();
}

__asm__(".globl _start\n _start:\n mv a0, sp\n andi sp, sp, -16\n tail perf_main\n");
