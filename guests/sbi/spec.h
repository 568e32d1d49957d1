// SPDX-License-Identifier: BSD-2-Clause
// The SBI guest: every function of the SBI specification 3.0 by its letter, one line for each:
//
//   sbi-spec TIME.set_timer: 31 checks, 0 failed
//   sbi-spec CPPC.cppc_read: not offered, 12 checks, 0 failed
//
// functions.c lists the functions, as the specification's "Function Listing" tables do. A check is a
// function SPEC_CHECK(extension, function id, name) { … } in any file of this folder; a listed
// function without a check is a failure. Where the probe of an extension says 0, its own checks are
// left out, and all its functions must say NOT_SUPPORTED (main.c).
//
// What the specification leaves open is asked for in Trapline's own way, docs/sbi.md, under
// rt_trapline alone: the same guest runs on OpenSBI too.
// Checks run on the boot hart; other harts report through memory.
#pragma once
#include "rt/rt.h"

enum {
    SBI_NO_SHMEM = -9,
    SBI_INVALID_STATE = -10,
    SBI_BAD_RANGE = -11,
    SBI_TIMEOUT = -12,
    SBI_IO = -13,
    SBI_DENIED_LOCKED = -14,
};
#define EXT_PMU 0x504D55u
#define EXT_SUSP 0x53555350u
#define EXT_CPPC 0x43505043u
#define EXT_NACL 0x4E41434Cu
#define EXT_STA 0x535441u
#define EXT_SSE 0x535345u
#define EXT_FWFT 0x46574654u
#define EXT_DBTR 0x44425452u
#define EXT_MPXY 0x4D505859u
/* Rules of chapter 3 that are no function's own have this extension id. */
#define EXT_RULE 0xFFFFFFFFFFFFFFFFul
enum { RULE_UNKNOWN_EXTENSION, RULE_UNKNOWN_FUNCTION, RULE_REGISTERS };

struct spec_function {
    uint64_t ext, fid;
    const char *chapter, *name; /* "TIME", "set_timer" */
    const char *section;
};
extern const struct spec_function spec_functions[];
extern const unsigned spec_function_count;

struct spec_check {
    uint64_t ext, fid;
    void (*run)(void);
};
#define SPEC_CHECK(e, f, id) \
    static void check_##id(void); \
    static const struct spec_check spec_##id \
        __attribute__((used, section(".unit_cases." #id), aligned(8))) = {e, f, check_##id}; \
    static void check_##id(void)

/* ---- calls (call.c) ---- */

/* All registers hold known values at the ecall: the arguments, garbage in the other argument
 * registers ("Registers that are not defined in the SBI function call are not reserved"). That the
 * call keeps what it must keep is a check of its own, counted with each call. */
struct sbi_ret spec_call(uint64_t ext, uint64_t fid, unsigned n, const uint64_t *args);
#define SPEC_ARGS(...) ((const uint64_t[]){0, ##__VA_ARGS__})
#define CALL(ext, fid, ...) \
    spec_call(ext, fid, sizeof(SPEC_ARGS(__VA_ARGS__)) / 8 - 1, SPEC_ARGS(__VA_ARGS__) + 1)
unsigned long spec_probe(uint64_t ext);

/* ---- verdicts (main.c) ---- */

/* Counts a check of the running function; when it does not hold, a FAIL line with the text. */
void check(bool holds, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The error, and in errors Trapline's a1 = 0. */
void check_error(struct sbi_ret r, long error, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Success with this value. */
void check_value(struct sbi_ret r, uint64_t value, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* One of several errors that the specification allows: bits are ERR(…). */
#define ERR(error) (1u << -(error))
void check_errors(struct sbi_ret r, unsigned allowed, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Errors (or SBI_OK) that OpenSBI gives in one of its deviations, which docs/sbi.md lists. */
static inline unsigned natively(unsigned errors) { return rt_trapline ? 0 : errors; }
/* The running function is an optional one that is not there, or cannot be run here. */
void spec_not_offered(void);
void spec_skip(const char *why);

/* ---- parameters that many functions have (masks.c, memory.c) ---- */

/* Hart lists, section 3.1: whether (mask, base) names only harts that are there. */
bool mask_is_valid(uint64_t mask, uint64_t base);
bool mask_names(uint64_t mask, uint64_t base, uint64_t id);
/* Calls with many masks; after each that must fail, nothing() is asked. */
void check_masks(struct sbi_ret (*call)(uint64_t mask, uint64_t base), bool (*nothing)(void));

/* Shared memory, section 3.2: size and alignment of what is at (low, high). */
struct shmem {
    struct sbi_ret (*call)(uint64_t low, uint64_t high);
    uint64_t size, align; /* align 1: no rule of its own */
    long inaccessible; /* the error: SBI_INVALID_ADDRESS but for DBCN */
    unsigned misaligned; /* errors allowed for it beside INVALID_PARAM, where none is named */
};
void check_shmem(const struct shmem *s);
/* Three pages; the middle of two page ends. */
extern uint8_t spec_pages[3 * 4096];
/* Physical addresses where a hart cannot go on: nothing, devices, odd ones. */
extern const uint64_t spec_no_code[];
extern const unsigned spec_no_code_count;
/* Beside those: the first address after RAM. */
static inline uint64_t ram_end(void) { return rt_ram_base + rt_ram_size; }

/* ---- a hart's whole state (state.c, entry.S) ---- */

/* What a hart found at its start or resume at spec_started or spec_resumed. */
struct arrival {
    uint64_t a0, a1, satp, sstatus, there;
};
extern volatile struct arrival arrival;
/* Records the arrival and stops the hart. */
void spec_started(void);
/* A suspend of the boot hart that goes on at spec_resumed: 1, or the call's error. */
long spec_suspend(uint64_t ext, uint64_t fid, uint64_t type, uint64_t opaque);
/* Section 9.1's table, which 9.4 and 13.1 repeat. */
void check_arrival(uint64_t id, uint64_t opaque);
/* Has hart n stopped; false when it does not. With its SIE and satp set before, as far as it goes. */
bool hart_stopped(unsigned n);
uint64_t hart_status(unsigned n);
bool hart_status_becomes(unsigned n, uint64_t status);
void others_stop(void);
