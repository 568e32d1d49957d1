// SPDX-License-Identifier: BSD-2-Clause
// Runs the checks, function by function, and says what came of each. Command line:
//   only=WORD     functions whose name ("TIME.set_timer") holds the word
//   end=WAY       how it ends: see end.c; by SRST otherwise
#include "sbi/spec.h"
#include "sbi/end.h"

extern const struct spec_check __unit_cases[], __unit_cases_end[];

enum { FAIL_LINES = 6 }; /* of one function */

static const struct spec_function *running;
static unsigned checks, failed; /* of the running function */
static bool offered;
static const char *skipped;
static struct {
    unsigned functions, not_offered, skipped, checks, failed;
} total;

/* ---- verdicts ---- */

static void fail(const char *fmt, va_list ap, const char *why)
{
    char text[160];

    if (failed++ >= FAIL_LINES)
        return;
    rt_vsnprintf(text, sizeof(text), fmt, ap);
    printf("FAIL %s.%s (%s): %s%s\n", running->chapter, running->name, running->section, text, why);
}

static void formatted(char *to, size_t size, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    rt_vsnprintf(to, size, fmt, ap);
    va_end(ap);
}

void check(bool holds, const char *fmt, ...)
{
    va_list ap;

    checks++;
    if (holds)
        return;
    va_start(ap, fmt);
    fail(fmt, ap, "");
    va_end(ap);
}

void check_error(struct sbi_ret r, long error, const char *fmt, ...)
{
    bool value_ok = !rt_trapline || error == SBI_OK || r.value == 0;
    char why[96];
    va_list ap;

    checks++;
    if (r.error == error && value_ok)
        return;
    formatted(why, sizeof(why), ": error %ld, value %lx; not error %ld", r.error, r.value, error);
    va_start(ap, fmt);
    fail(fmt, ap, why);
    va_end(ap);
}

void check_value(struct sbi_ret r, uint64_t value, const char *fmt, ...)
{
    char why[96];
    va_list ap;

    checks++;
    if (r.error == SBI_OK && r.value == value)
        return;
    formatted(why, sizeof(why), ": error %ld, value %lx; not value %lx", r.error, r.value, value);
    va_start(ap, fmt);
    fail(fmt, ap, why);
    va_end(ap);
}

void check_errors(struct sbi_ret r, unsigned allowed, const char *fmt, ...)
{
    bool value_ok = !rt_trapline || r.error == SBI_OK || r.value == 0;
    char why[96];
    va_list ap;

    checks++;
    if (r.error <= 0 && r.error > -32 && allowed >> -r.error & 1 && value_ok)
        return;
    formatted(why, sizeof(why), ": error %ld, value %lx; not one of %x", r.error, r.value, allowed);
    va_start(ap, fmt);
    fail(fmt, ap, why);
    va_end(ap);
}

void spec_not_offered(void) { offered = false; }
void spec_skip(const char *why) { skipped = why; }

/* ---- the run ---- */

/* "All functions of an extension that is not there say so" (chapter 3), whatever the arguments. */
static void check_absent(const struct spec_function *f)
{
    static const uint64_t args[] = {0, 1, 0x80000000, ~0ul, 1ul << 63, 0x100000000};

    for (unsigned i = 0; i < ARRAY_LEN(args); i++)
        check_error(CALL(f->ext, f->fid, args[i], args[i], args[i], args[i], args[i]),
                    SBI_NOT_SUPPORTED, "not offered, all arguments %lx", args[i]);
}

static bool run_checks(const struct spec_function *f)
{
    bool any = false;

    for (const struct spec_check *c = __unit_cases; c < __unit_cases_end; c++) {
        if (c->ext != f->ext || c->fid != f->fid)
            continue;
        any = true;
        if (!offered)
            break;
        c->run();
        rt_tidy();
    }
    return any;
}

static void count(void)
{
    total.functions++;
    total.not_offered += !offered && !skipped;
    total.skipped += skipped != NULL;
    total.checks += checks;
    total.failed += failed;
}

static void run(const struct spec_function *f)
{
    running = f;
    checks = failed = 0;
    skipped = NULL;
    offered = f->ext == EXT_RULE || spec_probe(f->ext);
    if (!run_checks(f)) {
        failed = 1;
        printf("sbi-spec %s.%s: no check\n", f->chapter, f->name);
    } else {
        if (!offered && !checks)
            check_absent(f);
        failed += !checks && !skipped;
        if (skipped)
            printf("sbi-spec %s.%s: skipped (%s)\n", f->chapter, f->name, skipped);
        else
            printf("sbi-spec %s.%s: %s%u checks, %u failed\n", f->chapter, f->name,
                   offered ? "" : "not offered, ", checks, failed);
    }
    count();
}

static bool selected(const struct spec_function *f)
{
    const char *only = rt_option("only");
    char name[64];
    size_t n = 0;

    if (!only)
        return true;
    while (only[n] && only[n] != ' ')
        n++;
    formatted(name, sizeof(name), "%s.%s", f->chapter, f->name);
    for (const char *s = name; *s; s++)
        if (!memcmp(s, only, n))
            return true;
    return false;
}

void guest_main(void)
{
    printf("sbi guest: %u harts, %lu MiB at %lx, %s, %s\n", rt_hart_count, rt_ram_size >> 20,
           rt_ram_base, rt_has("sstc") ? "Sstc" : "no Sstc", rt_trapline ? "Trapline" : "native");
    for (unsigned i = 0; i < spec_function_count; i++)
        if (selected(&spec_functions[i]))
            run(&spec_functions[i]);
    printf("sbi guest: %u functions, %u not offered, %u skipped, %u checks, %u failed\n",
           total.functions, total.not_offered, total.skipped, total.checks, total.failed);
    end_machine();
}
