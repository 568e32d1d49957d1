// SPDX-License-Identifier: BSD-2-Clause
// Exit costs in instructions, for one hart under -icount shift=0,sleep=off: the same image natively in
// S-mode on OpenSBI and as a guest. Prints "bench <row> <instructions>", the mean of many rounds.
//
// What is counted is everything from before the instruction of interest to after it, at whatever
// privilege: instret counts all of the machine. What the loop itself needs (its counter; registers set
// anew each round because the call returns in them; the guest's own handler is not among it) is measured
// by the same loop without the instruction, and subtracted. "count=time" in the command line counts by
// time instead, which under icount is the same but for rounding; "clock" is another measurement, clock.c's.
#include "bench/clock.h"
#include "rt/rt.h"

enum { ROUNDS = 1000, REGION = 64 << 20, WAKES = 50, WAKE_USEC = 2000 };

/* Shortest handlers: skip four bytes; or acknowledge a software interrupt and say so in t3. */
void skip_vector(void);
void soft_vector(void);
__asm__(".text\n .option push\n .option norvc\n .align 2\n .globl skip_vector\n skip_vector:\n"
        "csrr t5, sepc\n addi t5, t5, 4\n csrw sepc, t5\n sret\n"
        ".align 2\n .globl soft_vector\n soft_vector:\n"
        "csrci sip, 2\n li t3, 1\n sret\n .option pop\n");

static bool by_time; /* instret cannot be read: count by time, one instruction a nanosecond */

static uint64_t now(void)
{
    return by_time ? rdtime() * (1000000000 / rt_timebase) : csr_read(instret);
}

/* Runs text ROUNDS times with a2..a7, t0, t4 set; text may change a0, a1, t0..t5 and use labels 2. */
struct inputs {
    uint64_t a2, a3, a6, a7, t4;
};

#define LOOP(text, in) \
    ({ \
        register uint64_t a2_ __asm__("a2") = (in).a2; \
        register uint64_t a3_ __asm__("a3") = (in).a3; \
        register uint64_t a6_ __asm__("a6") = (in).a6; \
        register uint64_t a7_ __asm__("a7") = (in).a7; \
        register uint64_t t4_ __asm__("t4") = (in).t4; \
        register uint64_t n_ __asm__("s2") = ROUNDS; \
        uint64_t start_ = now(); \
        __asm__ volatile(".option push\n .option norvc\n 1:\n" text \
                         "\n addi %0, %0, -1\n bnez %0, 1b\n .option pop" \
                         : "+r"(n_) \
                         : "r"(a2_), "r"(a3_), "r"(a6_), "r"(a7_), "r"(t4_) \
                         : "a0", "a1", "t0", "t1", "t2", "t3", "t5", "memory"); \
        now() - start_; \
    })

static void report(const char *row, uint64_t with, uint64_t without, uint64_t rounds)
{
    uint64_t d = with > without ? with - without : 0;

    printf("bench %s %lu\n", row, (d + rounds / 2) / rounds);
}

/* One row: setup is done each round, and subtracted; a first loop warms up what is lazy. */
#define ROW(name, setup, text, ...) \
    do { \
        struct inputs in_ = {__VA_ARGS__}; \
        LOOP(setup "\n" text, in_); \
        uint64_t with_ = LOOP(setup "\n" text, in_); \
        report(name, with_, LOOP(setup, in_), ROUNDS); \
    } while (0)

static void measure_sbi(void)
{
    uint64_t id = harts[0].id;

    ROW("SBI base get_spec_version", "", "ecall", .a7 = SBI_BASE);
    ROW("SBI unknown extension", "", "ecall", .a7 = 0x0fffffff);
    ROW("SBI set_timer", "li a0, -1", "ecall", .a7 = SBI_TIME);
    csr_write(stvec, soft_vector);
    csr_set(sie, SIE_SSIE);
    csr_set(sstatus, SSTATUS_SIE);
    ROW("SBI send_ipi to self, taken", "li t3, 0\n li a0, 1\n mv a1, t4", "ecall\n 2: beqz t3, 2b",
        .a7 = SBI_IPI, .t4 = id);
    csr_clear(sstatus, SSTATUS_SIE);
    ROW("SBI remote_sfence_vma, self", "li a0, 1\n mv a1, t4", "ecall", .a7 = SBI_RFENCE, .a6 = 1,
        .t4 = id);
}

static void measure_mmio(void)
{
    ROW("virtio-mmio register read", "", "lw t0, 0(t4)", .t4 = 0x10001000);
    ROW("16550 LSR read", "", "lbu t0, 5(t4)", .t4 = 0x10000000);
    ROW("irqchip read", "", "lw t0, 0(t4)", .t4 = 0xc000028);
}

static bool hstatus_traps(void)
{
    trap_begin();
    __asm__ volatile(".option push\n .option norvc\n .word 0x600022f3\n .option pop" ::: "t0");
    return trap_end().count != 0;
}

static void measure_traps(void)
{
    bool traps = hstatus_traps();

    csr_write(stvec, skip_vector);
    if (traps)
        ROW("CSR access reflected as an exception", "", ".word 0x600022f3 # csrr t0, hstatus", 0);
    else /* HS-mode has it: one that nobody has */
        ROW("CSR access reflected as an exception", "", ".word 0x5c0022f3 # csrr t0, 0x5c0", 0);
    ROW("illegal instruction", "", ".word 0x0000700b", 0);
    csr_set(sie, SIE_SSIE);
    csr_set(sip, SIE_SSIE);
    ROW("WFI, interrupt pending", "", "wfi", 0);
    csr_clear(sip, SIE_SSIE);
}

static void set_timer(uint64_t when)
{
    if (rt_has("sstc"))
        __asm__ volatile("csrw 0x14d, %0" ::"r"(when)); /* stimecmp */
    else
        sbi_call(SBI_TIME, 0, when, 0, 0, 0, 0);
}

/* How late a hart goes on that sleeps until its timer: by time, so to within one of its units. The sleep is longer than
 * a hypervisor would poll for. */
static void measure_wake(void)
{
    uint64_t late = 0;

    csr_set(sie, SIE_STIE);
    for (unsigned i = 0; i < WAKES; i++) {
        uint64_t when = rdtime() + usec(WAKE_USEC);

        set_timer(when);
        while (rdtime() < when)
            __asm__ volatile("wfi");
        late += rdtime() - when;
    }
    set_timer(~0ul);
    csr_clear(sie, SIE_STIE);
    report("wake-up from WFI by the timer", late * (1000000000 / rt_timebase), 0, WAKES);
}

/* One store a page into memory that nobody has touched: above the image, clear of the device tree. */
static void measure_first_touch(void)
{
    uint64_t a = ((uint64_t)_end + (4ul << 20) - 1) & ~((2ul << 20) - 1), end = a + REGION, i;
    uint64_t with, without;

    if (end > rt_ram_base + rt_ram_size || (rt_fdt < end && rt_fdt + rt_fdt_size > a)) {
        printf("bench: no room for the first touch of RAM\n");
        return;
    }
    with = now();
    for (i = a; i < end; i += 4096)
        __asm__ volatile("sd zero, 0(%0)" ::"r"(i) : "memory");
    with = now() - with;
    without = now();
    for (i = a; i < end; i += 4096)
        __asm__ volatile("" ::"r"(i) : "memory");
    without = now() - without;
    report("first touch of RAM", with, without, REGION / 4096);
}

static bool instret_works(void)
{
    uint64_t a, b;

    trap_begin();
    a = csr_read(instret);
    b = csr_read(instret);
    return trap_end().count == 0 && b > a;
}

void guest_main(void)
{
    uint64_t vector = csr_read(stvec), start = now();

    by_time = strstr(rt_bootargs, "count=time") || !instret_works();
    printf("bench guest: %s, counted by %s, started at %lu\n", rt_trapline ? "Trapline" : "native",
           by_time ? "time" : "instret", start);
    if (strstr(rt_bootargs, "clock")) {
        measure_clock();
        printf("bench guest: end\n");
        return;
    }
    measure_first_touch();
    measure_sbi();
    csr_write(stvec, vector);
    measure_mmio();
    measure_traps();
    csr_write(stvec, vector);
    measure_wake();
    printf("bench guest: end\n");
}
