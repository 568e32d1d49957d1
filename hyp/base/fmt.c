// SPDX-License-Identifier: BSD-2-Clause
// snprintf for the hypervisor: see base/log.h for what it understands. An unknown conversion is
// shown as it stands, so that a mistake is seen and no argument is guessed at.
#include <string.h>

#include "base/log.h"

struct out {
    char *to;
    size_t size, len;
};

struct spec {
    bool left, zero, alternate, plus, space;
    int width, precision; /* precision -1: none */
    int size;             /* bytes of the integer argument */
    char conversion;
};

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->size)
        o->to[o->len] = c;
    o->len++;
}

static void pad(struct out *o, char c, int n)
{
    while (n-- > 0)
        put(o, c);
}

static void put_text(struct out *o, const struct spec *s, const char *text, size_t len)
{
    int fill = s->width - (int)len;
    if (!s->left)
        pad(o, ' ', fill);
    for (size_t i = 0; i < len; i++)
        put(o, text[i]);
    if (s->left)
        pad(o, ' ', fill);
}

static void put_number(struct out *o, const struct spec *s, uint64_t v, const char *prefix)
{
    char digits[24];
    const char *set = s->conversion == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    unsigned base = s->conversion == 'd' || s->conversion == 'u' ? 10 : 16;
    int n = 0;

    for (uint64_t rest = v; rest != 0; rest /= base)
        digits[n++] = set[rest % base];
    if (n == 0 && s->precision != 0)
        digits[n++] = '0';

    int zeros = s->precision > n ? s->precision - n : 0;
    int fill = s->width - n - zeros - (int)strlen(prefix);
    if (s->zero && !s->left && s->precision < 0 && fill > 0) {
        zeros = fill;
        fill = 0;
    }
    if (!s->left)
        pad(o, ' ', fill);
    while (*prefix)
        put(o, *prefix++);
    pad(o, '0', zeros);
    while (n > 0)
        put(o, digits[--n]);
    if (s->left)
        pad(o, ' ', fill);
}

static const char *read_flags(struct spec *s, const char *p)
{
    for (;; p++) {
        if (*p == '-')
            s->left = true;
        else if (*p == '0')
            s->zero = true;
        else if (*p == '#')
            s->alternate = true;
        else if (*p == '+')
            s->plus = true;
        else if (*p == ' ')
            s->space = true;
        else
            return p;
    }
}

static const char *read_int(int *v, const char *p)
{
    *v = 0;
    for (; *p >= '0' && *p <= '9'; p++)
        if (*v < 10000)
            *v = *v * 10 + (*p - '0');
    return p;
}

static const char *read_size(struct spec *s, const char *p)
{
    s->size = sizeof(int);
    if (*p == 'h') {
        s->size = p[1] == 'h' ? 1 : 2;
        return p + (p[1] == 'h' ? 2 : 1);
    }
    while (*p == 'l' || *p == 'z' || *p == 'j' || *p == 't') {
        s->size = 8;
        p++;
    }
    return p;
}

/* By pointer: va_list may be an array type, which cannot be passed on and come back changed. */
struct args {
    va_list ap;
};

static uint64_t next_unsigned(const struct spec *s, struct args *a)
{
    if (s->size == 8)
        return va_arg(a->ap, unsigned long);
    unsigned v = va_arg(a->ap, unsigned);
    return s->size == 1 ? (uint8_t)v : s->size == 2 ? (uint16_t)v : v;
}

static void put_signed(struct out *o, struct spec *s, struct args *a)
{
    int64_t v;
    if (s->size == 8) {
        v = va_arg(a->ap, long);
    } else {
        int i = va_arg(a->ap, int);
        v = s->size == 1 ? (int8_t)i : s->size == 2 ? (int16_t)i : i;
    }
    s->conversion = 'd';
    put_number(o, s, v < 0 ? -(uint64_t)v : (uint64_t)v,
               v < 0      ? "-"
               : s->plus  ? "+"
               : s->space ? " "
                          : "");
}

static void put_hex(struct out *o, struct spec *s, struct args *a)
{
    uint64_t v = next_unsigned(s, a);
    put_number(o, s, v, s->alternate && v ? (s->conversion == 'X' ? "0X" : "0x") : "");
}

static void put_string(struct out *o, const struct spec *s, const char *text)
{
    if (!text)
        text = "(null)";
    put_text(o, s, text, s->precision >= 0 ? strnlen(text, (size_t)s->precision) : strlen(text));
}

/* One conversion, at the character after '%'; returns what follows it. */
static const char *convert(struct out *o, const char *start, struct args *a)
{
    struct spec s = {.precision = -1};
    const char *p = read_flags(&s, start);
    if (*p == '*') {
        s.width = va_arg(a->ap, int);
        if (s.width < 0) {
            s.left = true;
            s.width = -s.width;
        }
        p++;
    } else {
        p = read_int(&s.width, p);
    }
    if (*p == '.') {
        if (p[1] == '*') {
            s.precision = va_arg(a->ap, int);
            p += 2;
        } else {
            p = read_int(&s.precision, p + 1);
        }
    }
    p = read_size(&s, p);
    s.conversion = *p;

    char c;
    switch (*p) {
    case 'd':
    case 'i':
        put_signed(o, &s, a);
        break;
    case 'u':
        put_number(o, &s, next_unsigned(&s, a), "");
        break;
    case 'x':
    case 'X':
        put_hex(o, &s, a);
        break;
    case 'p':
        put_number(o, &s, (uint64_t)(uintptr_t)va_arg(a->ap, void *), "0x");
        break;
    case 's':
        put_string(o, &s, va_arg(a->ap, const char *));
        break;
    case 'c':
        c = (char)va_arg(a->ap, int);
        put_text(o, &s, &c, 1);
        break;
    case '%':
        put(o, '%');
        break;
    default:
        put(o, '%');
        return start;
    }
    return p + 1;
}

int fmt_vsnprintf(char *to, size_t size, const char *fmt, va_list ap)
{
    struct out o = {.to = to, .size = size};
    struct args a;
    va_copy(a.ap, ap);
    while (*fmt) {
        char c = *fmt++;
        if (c == '%')
            fmt = convert(&o, fmt, &a);
        else
            put(&o, c);
    }
    va_end(a.ap);
    if (size > 0)
        to[o.len < size ? o.len : size - 1] = '\0';
    return (int)o.len;
}

int fmt_snprintf(char *to, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = fmt_vsnprintf(to, size, fmt, ap);
    va_end(ap);
    return n;
}
