// SPDX-License-Identifier: BSD-2-Clause
// What a debug build (make DEBUG=1, -fsanitize=undefined) calls when C's rules were broken: a panic that says what,
// with which values, and where in the source. The other build does not reference it, and the linker leaves it out.
// The names and shapes are the compiler's own (GCC's libsanitizer, ubsan_handlers.h); with -fno-sanitize-recover
// each name ends in _abort and none returns.
// Lock rank: none. Callers: the compiler.
#include "base/log.h"
#include "base/panic.h"

struct source {
    const char *file;
    uint32_t line, column;
};

struct type {
    uint16_t kind; /* 0: an integer */
    uint16_t info; /* of an integer: 2 * log2 of its bits, + 1 when it is signed */
    char name[]; /* with quotes */
};

enum { TYPE_INTEGER = 0, VALUE_TEXT = 32 };

/* A value is passed in the word itself when it fits, else by address. */
static const char *value_text(char to[VALUE_TEXT], const struct type *t, uint64_t value)
{
    unsigned bits = 1u << (t->info >> 1);

    if (t->kind != TYPE_INTEGER || bits > 64)
        fmt_snprintf(to, VALUE_TEXT, "(a value)");
    else if (t->info & 1)
        fmt_snprintf(to, VALUE_TEXT, "%ld", (long)(value << (64 - bits)) >> (64 - bits));
    else
        fmt_snprintf(to, VALUE_TEXT, "%lu", (unsigned long)value);
    return to;
}

static NORETURN void broken(const struct source *at, const char *fmt, ...) PRINTF_LIKE(2, 3);
static NORETURN void broken(const struct source *at, const char *fmt, ...)
{
    char what[160];
    va_list ap;

    va_start(ap, fmt);
    fmt_vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    panic("undefined behaviour at %s:%u:%u: %s", at->file, at->line, at->column, what);
}

/* A handler's prototype and the beginning of its definition. The compiler's name is given to the assembler only: to
 * the compiler itself all parameters of a function of that name are pointers to nothing in particular. */
#define HANDLER_NAMED(fn, symbol, ...) \
    NORETURN void ubsan_##fn(__VA_ARGS__) __asm__("__ubsan_handle_" symbol); \
    NORETURN void ubsan_##fn(__VA_ARGS__)
#define HANDLER(fn, ...) HANDLER_NAMED(fn, #fn "_abort", __VA_ARGS__)

struct with_type {
    struct source at;
    const struct type *type;
};

#define ARITHMETIC(fn, sign) \
    HANDLER(fn, const struct with_type *d, uint64_t left, uint64_t right) \
    { \
        char a[VALUE_TEXT], b[VALUE_TEXT]; \
\
        broken(&d->at, "%s " sign " %s overflows %s", value_text(a, d->type, left), \
               value_text(b, d->type, right), d->type->name); \
    }

ARITHMETIC(add_overflow, "+")
ARITHMETIC(sub_overflow, "-")
ARITHMETIC(mul_overflow, "*")
ARITHMETIC(divrem_overflow, "/")

HANDLER(negate_overflow, const struct with_type *d, uint64_t value)
{
    char a[VALUE_TEXT];

    broken(&d->at, "-(%s) overflows %s", value_text(a, d->type, value), d->type->name);
}

struct with_two_types {
    struct source at;
    const struct type *left, *right;
};

HANDLER(shift_out_of_bounds, const struct with_two_types *d, uint64_t left, uint64_t right)
{
    char a[VALUE_TEXT], b[VALUE_TEXT];

    broken(&d->at, "%s of type %s shifted by %s", value_text(a, d->left, left), d->left->name,
           value_text(b, d->right, right));
}

HANDLER(out_of_bounds, const struct with_two_types *d, uint64_t index)
{
    char a[VALUE_TEXT];

    broken(&d->at, "index %s is out of bounds of %s", value_text(a, d->right, index),
           d->left->name);
}

struct type_mismatch {
    struct source at;
    const struct type *type;
    uint8_t log_alignment, access;
};

HANDLER(type_mismatch_v1, const struct type_mismatch *d, uint64_t address)
{
    static const char *const access[] = {"load of",     "store to",       "reference to",
                                         "member of",   "member call on", "constructor call on",
                                         "downcast of", "downcast of",    "upcast of"};
    const char *how = d->access < ARRAY_LEN(access) ? access[d->access] : "access to";
    uint64_t alignment = 1ul << d->log_alignment;

    if (!address)
        broken(&d->at, "%s a null pointer of type %s", how, d->type->name);
    if (address & (alignment - 1))
        broken(&d->at, "%s %#lx, misaligned for %s (%lu bytes)", how, (unsigned long)address,
               d->type->name, (unsigned long)alignment);
    broken(&d->at, "%s %#lx, where no whole %s is", how, (unsigned long)address, d->type->name);
}

HANDLER(load_invalid_value, const struct with_type *d, uint64_t value)
{
    broken(&d->at, "%lu is no value of %s", (unsigned long)value, d->type->name);
}

HANDLER(pointer_overflow, const struct source *at, uint64_t base, uint64_t result)
{
    broken(at, "pointer %#lx moved to %#lx", (unsigned long)base, (unsigned long)result);
}

HANDLER(vla_bound_not_positive, const struct with_type *d, uint64_t bound)
{
    broken(&d->at, "an array of %ld elements", (long)bound);
}

HANDLER(nonnull_arg, const struct source *at) { broken(at, "a null argument where none may be"); }

HANDLER(nonnull_return_v1, const void *unused, const struct source *at)
{
    (void)unused;
    broken(at, "null returned where none may be");
}

HANDLER(invalid_builtin, const struct source *at) { broken(at, "0 given to ctz or clz"); }

/* These two never return in any mode, and have no other name. */
HANDLER_NAMED(builtin_unreachable, "builtin_unreachable", const struct source *at)
{
    broken(at, "a place that is never to be reached");
}

HANDLER_NAMED(missing_return, "missing_return", const struct source *at)
{
    broken(at, "the end of a function that returns a value");
}
