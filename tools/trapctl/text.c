// SPDX-License-Identifier: BSD-2-Clause
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *text_bytes(uint64_t bytes, char to[TEXT_NUMBER])
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double n = (double)bytes;
    unsigned u = 0;

    while (n >= 1024 && u + 1 < sizeof(unit) / sizeof(*unit)) {
        n /= 1024;
        u++;
    }
    if (!bytes)
        snprintf(to, TEXT_NUMBER, "0");
    else
        snprintf(to, TEXT_NUMBER, u && n < 99.95 ? "%.1f %s" : "%.0f %s", n, unit[u]);
    return to;
}

const char *text_count(double n, char to[TEXT_NUMBER])
{
    static const char unit[] = "kMGTPE";
    const char *u = unit;

    if (n < 9999.5) {
        snprintf(to, TEXT_NUMBER, "%.0f", n < 0 ? 0 : n);
        return to;
    }
    for (n /= 1000; n >= 999.5 && u[1]; u++)
        n /= 1000;
    snprintf(to, TEXT_NUMBER, "%.*f%c", n < 9.995 ? 2 : n < 99.95 ? 1 : 0, n, *u);
    return to;
}

const char *text_duration(uint64_t seconds, char to[TEXT_NUMBER])
{
    uint64_t days = seconds / 86400, h = seconds / 3600 % 24, m = seconds / 60 % 60;

    if (days)
        snprintf(to, TEXT_NUMBER, "%" PRIu64 "d %02u:%02u:%02u", days, (unsigned)h, (unsigned)m,
                 (unsigned)(seconds % 60));
    else
        snprintf(to, TEXT_NUMBER, "%u:%02u:%02u", (unsigned)h, (unsigned)m,
                 (unsigned)(seconds % 60));
    return to;
}

const char *text_cpu_time(uint64_t ns, char to[TEXT_NUMBER])
{
    uint64_t hundredths = ns / 10000000;

    snprintf(to, TEXT_NUMBER, "%" PRIu64 ":%02u.%02u", hundredths / 6000,
             (unsigned)(hundredths / 100 % 60), (unsigned)(hundredths % 100));
    return to;
}

/* ---- UTF-8 ---- */

/* The length of the character that begins here; 0: none does; -1: it is cut off. */
static int utf8_length(const unsigned char *s, size_t len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int n = *s < 0x80 ? 1 : *s >= 0xF0 && *s < 0xF5 ? 4 : *s >= 0xE0 ? 3 : *s >= 0xC2 ? 2 : 0;
    uint32_t c;

    if (n <= 1)
        return n;
    if (*s >= 0xF5)
        return 0;
    c = *s & (0x7Fu >> n);
    for (int i = 1; i < n; i++) {
        if ((size_t)i == len)
            return -1;
        if ((s[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3F);
    }
    return c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000) ? 0 : n;
}

size_t text_whole_utf8(char *data, size_t len)
{
    size_t at = 0;

    while (at < len) {
        int n = utf8_length((unsigned char *)data + at, len - at);

        if (n < 0)
            return at;
        if (n == 0)
            data[at] = '?';
        at += n ? (size_t)n : 1;
    }
    return at;
}

void text_put_safe(FILE *to, const char *text)
{
    size_t len = strlen(text);

    for (size_t at = 0; at < len;) {
        const unsigned char *s = (const unsigned char *)text + at;
        int n = utf8_length(s, len - at);
        /* C1 controls, U+0080 to U+009F, are sequences' beginnings to some terminals. */
        bool control = (n == 1 && (*s < 32 || *s == 127) && *s != '\n' && *s != '\t') ||
                       (n == 2 && s[0] == 0xC2 && s[1] < 0xA0);

        if (n <= 0 || control)
            fputc('?', to);
        else
            fwrite(s, 1, (size_t)n, to);
        at += n > 0 ? (size_t)n : 1;
    }
}

/* ---- words ---- */

bool text_u64(const char *word, uint64_t *value)
{
    bool hex = word[0] == '0' && (word[1] == 'x' || word[1] == 'X');
    const char *digits = hex ? word + 2 : word;
    char *end;

    if (!isxdigit((unsigned char)*digits))
        return false;
    errno = 0;
    *value = strtoull(digits, &end, hex ? 16 : 10);
    return !errno && !*end && end != digits;
}

bool text_size(const char *word, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    size_t digits = strspn(word, "0123456789");
    const char *unit = word[digits] ? strchr(units, toupper((unsigned char)word[digits])) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;

    if (!digits || (word[digits] && (!unit || word[digits + 1])))
        return false;
    errno = 0;
    *bytes = strtoull(word, NULL, 10);
    if (errno || *bytes > (UINT64_C(1) << 62) >> shift)
        return false;
    *bytes <<= shift;
    return true;
}

bool text_interval(const char *word, unsigned *ms)
{
    char *end;
    double s;

    if (!isdigit((unsigned char)*word) && *word != '.')
        return false;
    s = strtod(word, &end);
    if (*end || !(s >= 0.001 && s <= 3600))
        return false;
    *ms = (unsigned)(s * 1000 + 0.5);
    return true;
}

/* A hart's number at *s, which goes on behind it. */
static bool hart_number(const char **s, unsigned max, unsigned *value)
{
    unsigned v = 0;

    if (!isdigit((unsigned char)**s))
        return false;
    for (; isdigit((unsigned char)**s); (*s)++) {
        v = v * 10 + (unsigned)(**s - '0');
        if (v >= max)
            return false;
    }
    *value = v;
    return true;
}

int text_harts(const char *word, unsigned harts[], unsigned max)
{
    bool *has = calloc(max, sizeof(*has));
    const char *s = word;
    int count = 0;

    if (!has)
        return -1;
    for (;;) {
        unsigned first, last;

        if (!hart_number(&s, max, &first))
            break;
        last = first;
        if (*s == '-') {
            s++;
            if (!hart_number(&s, max, &last) || last < first)
                break;
        }
        while (first <= last)
            has[first++] = true;
        if (!*s) {
            for (unsigned h = 0; h < max; h++)
                if (has[h])
                    harts[count++] = h;
            free(has);
            return count;
        }
        if (*s++ != ',')
            break;
    }
    free(has);
    return -1;
}

const char *text_hart_list(const bool *has, unsigned count, char *to, size_t size)
{
    size_t at = 0;

    to[0] = '\0';
    for (unsigned h = 0; h < count && at < size; h++) {
        unsigned last = h;

        if (!has[h])
            continue;
        while (last + 1 < count && has[last + 1])
            last++;
        at += (size_t)(last > h ? snprintf(to + at, size - at, "%s%u-%u", at ? "," : "", h, last)
                                : snprintf(to + at, size - at, "%s%u", at ? "," : "", h));
        h = last;
    }
    return to;
}

int text_split(char *line, char *word[], int max)
{
    char *from = line, *to = line;
    int count = 0;

    for (;;) {
        char quote = 0;

        while (isspace((unsigned char)*from))
            from++;
        if (!*from)
            return count;
        if (count == max)
            return -1;
        word[count++] = to;
        for (; *from && (quote || !isspace((unsigned char)*from)); from++) {
            if (*from == quote)
                quote = 0;
            else if (!quote && (*from == '"' || *from == '\''))
                quote = *from;
            else if (*from == '\\' && quote != '\'' && from[1])
                *to++ = *++from;
            else
                *to++ = *from;
        }
        if (quote)
            return -1;
        if (*from)
            from++;
        *to++ = '\0';
    }
}
