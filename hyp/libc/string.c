// SPDX-License-Identifier: BSD-2-Clause
// Memory and string functions: by aligned 8-byte words, unrolled, since kernels are copied with them.
// Where source and destination differ in alignment, words are put together by shifts: a misaligned
// access may trap to the firmware and cost thousands of instructions.
#include <stdint.h>
#include <string.h>

/* Else the compiler would turn the loop of memcpy into a call of memcpy. */
#pragma GCC optimize("no-tree-loop-distribute-patterns")

typedef uint64_t __attribute__((may_alias)) word;
enum { WORD = sizeof(word), UNROLL = 8 };

/* An aligned word never crosses a page, so the bytes beside the string that it brings are harmless. */
#define READS_WHOLE_WORDS __attribute__((no_sanitize("address")))

static int aligned(const void *p) { return ((uintptr_t)p & (WORD - 1)) == 0; }

static inline size_t copy_aligned(word *to, const word *from, size_t words)
{
    const word *whole = from + words / UNROLL * UNROLL, *end = from + words;
    for (; from != whole; from += UNROLL, to += UNROLL) {
        word a = from[0], b = from[1], c = from[2], d = from[3];
        word e = from[4], f = from[5], g = from[6], h = from[7];
        to[0] = a;
        to[1] = b;
        to[2] = c;
        to[3] = d;
        to[4] = e;
        to[5] = f;
        to[6] = g;
        to[7] = h;
    }
    while (from != end)
        *to++ = *from++;
    return words * WORD;
}

READS_WHOLE_WORDS static inline size_t copy_shifted(word *to, const unsigned char *from,
                                                    size_t words)
{
    unsigned shift = 8 * ((uintptr_t)from & (WORD - 1));
    const word *s = (const word *)((uintptr_t)from & ~(uintptr_t)(WORD - 1));
    word low = s[0];
    for (size_t i = 0; i < words; i++) {
        word high = s[i + 1];
        to[i] = low >> shift | high << (64 - shift);
        low = high;
    }
    return words * WORD;
}

/* Reads at most 64 bytes ahead of what it writes. Returns to. */
static void *copy_forwards(void *to, const void *from, size_t n)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    if (n >= 2 * WORD) {
        for (; !aligned(t); n--)
            *t++ = *f++;
        size_t done = aligned(f) ? copy_aligned((word *)t, (const word *)f, n / WORD)
                                 : copy_shifted((word *)t, f, n / WORD);
        t += done;
        f += done;
        n -= done;
    }
    while (n-- > 0)
        *t++ = *f++;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    return copy_forwards(to, from, n);
}

static void copy_backwards(unsigned char *to, const unsigned char *from, size_t n)
{
    unsigned char *t = to + n;
    const unsigned char *f = from + n;
    if ((((uintptr_t)t ^ (uintptr_t)f) & (WORD - 1)) == 0) {
        for (; n > 0 && !aligned(t); n--)
            *--t = *--f;
        for (; n >= WORD; n -= WORD) {
            t -= WORD;
            f -= WORD;
            *(word *)t = *(const word *)f;
        }
    }
    while (n-- > 0)
        *--t = *--f;
}

void *memmove(void *to, const void *from, size_t n)
{
    uintptr_t t = (uintptr_t)to, f = (uintptr_t)from;
    if (t >= f && t - f < n) {
        copy_backwards(to, from, n);
    } else if (f - t >= WORD * UNROLL || f - t >= n) {
        copy_forwards(to, from, n);
    } else {
        unsigned char *d = to;
        const unsigned char *s = from;
        while (n-- > 0)
            *d++ = *s++;
    }
    return to;
}

void *memset(void *s, int c, size_t n)
{
    unsigned char *p = s;
    if (n >= 2 * WORD) {
        word v = 0x0101010101010101ul * (unsigned char)c;
        for (; !aligned(p); n--)
            *p++ = (unsigned char)c;
        for (; n >= WORD * UNROLL; n -= WORD * UNROLL, p += WORD * UNROLL) {
            word *w = (word *)p;
            w[0] = v;
            w[1] = v;
            w[2] = v;
            w[3] = v;
            w[4] = v;
            w[5] = v;
            w[6] = v;
            w[7] = v;
        }
        for (; n >= WORD; n -= WORD, p += WORD)
            *(word *)p = v;
    }
    while (n-- > 0)
        *p++ = (unsigned char)c;
    return s;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;
    if (aligned(x) && aligned(y))
        for (; n >= WORD && *(const word *)x == *(const word *)y; n -= WORD, x += WORD, y += WORD)
            ;
    for (; n > 0; n--, x++, y++)
        if (*x != *y)
            return *x < *y ? -1 : 1;
    return 0;
}

void *memchr(const void *s, int c, size_t n)
{
    for (const unsigned char *p = s; n > 0; n--, p++)
        if (*p == (unsigned char)c)
            return (void *)p;
    return NULL;
}

size_t strlen(const char *s)
{
    const char *p = s;
    while (*p)
        p++;
    return (size_t)(p - s);
}

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;
    while (n < max && s[n])
        n++;
    return n;
}

int strcmp(const char *a, const char *b)
{
    for (; *a && *a == *b; a++, b++)
        ;
    return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n > 0; n--, a++, b++) {
        if (*a != *b || !*a)
            return (unsigned char)*a - (unsigned char)*b;
    }
    return 0;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c)
            return (char *)s;
        if (!*s)
            return NULL;
    }
}

char *strrchr(const char *s, int c)
{
    const char *found = NULL;
    for (;; s++) {
        if (*s == (char)c)
            found = s;
        if (!*s)
            return (char *)found;
    }
}

char *strstr(const char *s, const char *what)
{
    size_t n = strlen(what);
    for (;; s++) {
        if (strncmp(s, what, n) == 0)
            return (char *)s;
        if (!*s)
            return NULL;
    }
}
