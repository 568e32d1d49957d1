// SPDX-License-Identifier: BSD-2-Clause
// Runtime of the bare-metal guests: what a program in S-mode (native or in a VM) needs, and no more.
// Booted by the RISC-V Linux boot protocol at any 2 MiB-aligned address; runs with translation off
// until a program turns it on. A program defines guest_main, which the boot hart runs; when it returns,
// the machine is shut down through SBI SRST.
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define csr_read(csr) \
    ({ \
        uint64_t v_; \
        __asm__ volatile("csrr %0, " #csr : "=r"(v_)::"memory"); \
        v_; \
    })
#define csr_write(csr, v) __asm__ volatile("csrw " #csr ", %0" ::"rK"((uint64_t)(v)) : "memory")
#define csr_set(csr, v) __asm__ volatile("csrs " #csr ", %0" ::"rK"((uint64_t)(v)) : "memory")
#define csr_clear(csr, v) __asm__ volatile("csrc " #csr ", %0" ::"rK"((uint64_t)(v)) : "memory")

#define SSTATUS_SIE 2u
#define SSTATUS_SPP 0x100u
#define SSTATUS_FS 0x6000u
#define SSTATUS_VS 0x600u
#define SSTATUS_SUM 0x40000u
#define SIE_SSIE 2u
#define SIE_STIE 0x20u
#define SIE_SEIE 0x200u

enum {
    CAUSE_FETCH_MISALIGNED = 0,
    CAUSE_FETCH_ACCESS = 1,
    CAUSE_ILLEGAL = 2,
    CAUSE_BREAKPOINT = 3,
    CAUSE_LOAD_MISALIGNED = 4,
    CAUSE_LOAD_ACCESS = 5,
    CAUSE_STORE_MISALIGNED = 6,
    CAUSE_STORE_ACCESS = 7,
    CAUSE_ECALL_U = 8,
    CAUSE_FETCH_PAGE = 12,
    CAUSE_LOAD_PAGE = 13,
    CAUSE_STORE_PAGE = 15,
};
enum { IRQ_SOFT = 1, IRQ_TIMER = 5, IRQ_EXTERNAL = 9 };

/* ---- harts and traps ---- */

#define RT_HARTS 8
#define RT_STACK 16384

/* What was caught between trap_begin and trap_end. */
struct trap_record {
    unsigned count;
    uint64_t cause, tval, epc; /* of the last one */
    bool from_user;
};

struct hart {
    uint64_t stack, user_sp, scratch[2]; /* rt/offsets.h */
    uint64_t id;
    bool catching;
    uint64_t resume; /* where to go on after a caught trap; 0: the next instruction */
    struct trap_record trap;
    volatile uint64_t irqs[16]; /* interrupts taken, by cause */
    volatile uint64_t
        timer_every; /* time units: the timer interrupt sets the next; 0: masks itself */
    void (*volatile run)(void *arg);
    void *arg;
    volatile uint64_t done; /* runs completed */
};
extern struct hart harts[RT_HARTS]; /* [0] is the boot hart */
static inline struct hart *hart_self(void)
{
    struct hart *h;

    __asm__ volatile("mv %0, tp" : "=r"(h));
    return h;
}

/* Exceptions from here to trap_end are recorded and skipped (or go on at hart->resume, once). */
void trap_begin(void);
struct trap_record trap_end(void);
/* Runs code at pc in user mode with a0 = arg until it does an ecall; its a0. Traps of it are
 * recorded, and skipped, when trap_begin was called. */
uint64_t rt_run_user(uint64_t pc, uint64_t arg);

/* Starts harts[n] (1..rt_hart_count-1) through HSM if need be and has it run function(arg).
 * hart_wait waits for its return; false after 5 seconds. */
bool hart_run(unsigned n, void (*function)(void *arg), void *arg);
bool hart_wait(unsigned n);

/* ---- SBI ---- */

struct sbi_ret {
    long error;
    uint64_t value;
};
struct sbi_ret sbi_call(uint64_t ext, uint64_t fid, uint64_t a0, uint64_t a1, uint64_t a2,
                        uint64_t a3, uint64_t a4);
enum {
    SBI_OK = 0,
    SBI_FAILED = -1,
    SBI_NOT_SUPPORTED = -2,
    SBI_INVALID_PARAM = -3,
    SBI_DENIED = -4,
    SBI_INVALID_ADDRESS = -5,
    SBI_ALREADY_AVAILABLE = -6,
    SBI_ALREADY_STARTED = -7,
    SBI_ALREADY_STOPPED = -8,
};
#define SBI_BASE 0x10u
#define SBI_TIME 0x54494D45u
#define SBI_IPI 0x735049u
#define SBI_RFENCE 0x52464E43u
#define SBI_HSM 0x48534Du
#define SBI_SRST 0x53525354u
#define SBI_DBCN 0x4442434Eu
#define TRAPLINE_IMPL_ID 0x54524150u
void __attribute__((noreturn)) rt_shutdown(void);

/* ---- the machine ---- */

extern unsigned rt_hart_count; /* in harts[], at most RT_HARTS */
extern uint64_t rt_fdt; /* address of the tree; its size follows from it */
extern uint64_t rt_fdt_size;
extern uint64_t rt_ram_base, rt_ram_size; /* the first memory node */
extern uint64_t rt_timebase; /* Hz */
extern uint64_t rt_rtc; /* registers of Goldfish's clock; 0: none */
extern char rt_isa[2048]; /* riscv,isa of the first cpu */
extern char rt_bootargs[256];
extern bool rt_trapline; /* we are a guest of Trapline */
extern char _end[], image_start[];
bool rt_has(const char *isa_extension);
const char *rt_option(const char *name);
uint64_t rt_number(const char *name,
                   uint64_t otherwise); /* decimal; as given when it is not there */
/* Reads the device tree: see fdt.c. False when it is none. */
bool fdt_read(uint64_t fdt);

static inline uint64_t rdtime(void) { return csr_read(time); }
static inline uint64_t usec(uint64_t n) { return n * rt_timebase / 1000000; }
/* When to give up waiting for what must come: a bound, not a measure. A host that is busy with other
 * things may keep a hart waiting for seconds while time goes on. */
static inline uint64_t rt_patience(void) { return rdtime() + usec(30000000); }
/* Waits until *what is at least value; false when patience is over. */
bool rt_wait(const volatile uint64_t *what, uint64_t value);
/* After a case, on the boot hart: interrupts, their timer and translation are off, FP is on, traps are nobody's. */
void rt_tidy(void);

/* ---- text ---- */

/* %c %s %d %u %x %p with l, 0 and width; one call's output is not mixed with other harts'. */
void printf(const char *fmt, ...) PRINTF_LIKE(1, 2);
int rt_vsnprintf(char *to, size_t size, const char *fmt, va_list ap);

void *memset(void *to, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
char *strstr(const char *s, const char *word);

void guest_main(void);
