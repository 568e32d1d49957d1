// SPDX-License-Identifier: BSD-2-Clause
// Formatted output over SBI DBCN, or legacy putchar where there is none; and string functions.
#include "rt/rt.h"

void *memset(void *to, int c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((volatile char *)to)[i] = (char)c;
    return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((volatile char *)to)[i] = ((const char *)from)[i];
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;

    for (; n && *x == *y; n--)
        x++, y++;
    return n ? *x - *y : 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (((const volatile char *)s)[n])
        n++;
    return n;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (unsigned char)*a - (unsigned char)*b;
}

char *strstr(const char *s, const char *word)
{
    size_t n = strlen(word);

    for (; *s; s++)
        if (!memcmp(s, word, n))
            return (char *)s;
    return NULL;
}

struct text {
    char *to;
    size_t size, at;
};

static void put(struct text *t, char c)
{
    if (t->at + 1 < t->size)
        t->to[t->at] = c;
    t->at++;
}

static void put_number(struct text *t, uint64_t v, unsigned base, unsigned width, char fill)
{
    char digits[24];
    unsigned n = 0;

    do
        digits[n++] = "0123456789abcdef"[v % base];
    while (v /= base);
    for (; width > n; width--)
        put(t, fill);
    while (n)
        put(t, digits[--n]);
}

static void put_signed(struct text *t, int64_t v, unsigned width, char fill)
{
    if (v < 0)
        put(t, '-');
    put_number(t, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, width, fill);
}

int rt_vsnprintf(char *to, size_t size, const char *fmt, va_list ap)
{
    struct text t = {to, size, 0};

    for (; *fmt; fmt++) {
        unsigned width = 0;
        bool is_long = false;
        char fill = ' ';

        if (*fmt != '%') {
            put(&t, *fmt);
            continue;
        }
        if (*++fmt == '0')
            fill = *fmt++;
        for (; *fmt >= '0' && *fmt <= '9'; fmt++)
            width = width * 10 + (unsigned)(*fmt - '0');
        for (; *fmt == 'l'; fmt++)
            is_long = true;
        switch (*fmt) {
        case 'c':
            put(&t, (char)va_arg(ap, int));
            break;
        case 's':
            for (const char *s = va_arg(ap, const char *); *s; s++)
                put(&t, *s);
            break;
        case 'd':
            put_signed(&t, is_long ? va_arg(ap, int64_t) : va_arg(ap, int), width, fill);
            break;
        case 'u':
            put_number(&t, is_long ? va_arg(ap, uint64_t) : va_arg(ap, unsigned), 10, width, fill);
            break;
        case 'p':
            is_long = true; /* fall through */
        case 'x':
            put_number(&t, is_long ? va_arg(ap, uint64_t) : va_arg(ap, unsigned), 16, width, fill);
            break;
        default:
            put(&t, *fmt);
        }
    }
    if (size)
        to[t.at < size ? t.at : size - 1] = 0;
    return (int)t.at;
}

static void write_all(const char *s, size_t n)
{
    static int dbcn = -1;

    if (dbcn < 0)
        dbcn = sbi_call(SBI_BASE, 3, SBI_DBCN, 0, 0, 0, 0).value != 0;
    if (!dbcn) {
        for (; n; n--)
            sbi_call(1, 0, (uint64_t)(unsigned char)*s++, 0, 0, 0, 0);
        return;
    }
    while (n) {
        struct sbi_ret r = sbi_call(SBI_DBCN, 0, n, (uint64_t)s, 0, 0, 0);

        if (r.error)
            return;
        s += r.value;
        n -= r.value;
    }
}

void printf(const char *fmt, ...)
{
    static volatile int lock;
    static char line[512]; /* not on the stack: it must be identity mapped */
    uint64_t sie = csr_read(sstatus) & SSTATUS_SIE;
    va_list ap;
    int n;

    csr_clear(sstatus, SSTATUS_SIE);
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
        ;
    va_start(ap, fmt);
    n = rt_vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    write_all(line, n < (int)sizeof(line) ? (size_t)n : sizeof(line) - 1);
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
    csr_set(sstatus, sie);
}
