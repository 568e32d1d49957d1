// SPDX-License-Identifier: BSD-2-Clause
// Reading: jsmn finds the tokens, and what it lets pass is refused here (a comma that lacks, a word that is
// no number).
#include "ctl/json.h"

#include <errno.h>
#include <string.h>

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

#include "ctl/utf8.h"

static bool digits(const char **s, const char *end)
{
    const char *start = *s;

    while (*s < end && **s >= '0' && **s <= '9')
        ++*s;
    return *s > start;
}

/* RFC 8259, section 6. */
static bool is_number(const char *s, const char *end)
{
    bool zero;

    s += s < end && *s == '-';
    zero = s < end && *s == '0';
    if (zero ? (s++, false) : !digits(&s, end))
        return false;
    if (s < end && *s == '.' && (s++, !digits(&s, end)))
        return false;
    if (s < end && (*s == 'e' || *s == 'E')) {
        s++;
        s += s < end && (*s == '+' || *s == '-');
        if (!digits(&s, end))
            return false;
    }
    return s == end;
}

static bool is_word(const char *s, size_t len, const char *word)
{
    return len == strlen(word) && !memcmp(s, word, len);
}

/* Eight bytes at a time: whether any byte of v is 0, less than n (at most 128) or equal to c (the borrow of a byte that is
 * may make the next one look so too, which only ends the fast loop early). */
#define BYTES(c) (0x0101010101010101ul * (c))
#define HAS_LESS(v, n) (((v) - BYTES(n)) & ~(v) & BYTES(0x80ul))
#define HAS_BYTE(v, c) HAS_LESS((v) ^ BYTES((uint64_t)(c)), 1ul)

size_t json_plain_length(const char *text, size_t len)
{
    size_t n = 0;

    for (uint64_t v; n + sizeof(v) <= len; n += sizeof(v)) {
        memcpy(&v, text + n, sizeof(v));
        if (HAS_LESS(v, 0x20ul) | HAS_BYTE(v, '"') | HAS_BYTE(v, '\\'))
            break;
    }
    while (n < len && (unsigned char)text[n] >= 0x20 && text[n] != '"' && text[n] != '\\')
        n++;
    return n;
}

/* Whether a string has a character that must be escaped, and is not. */
static bool has_control(const char *s, size_t len)
{
    for (size_t n = 0; n < len; n++) {
        n += json_plain_length(s + n, len - n);
        if (n < len && (unsigned char)s[n] < 0x20)
            return true;
    }
    return false;
}

/* -EINVAL, or its enum json_type. */
static int type_of(const char *text, const jsmntok_t *t)
{
    const char *s = text + t->start;
    size_t len = (size_t)(t->end - t->start);

    switch (t->type) {
    case JSMN_OBJECT:
        return JSON_OBJECT;
    case JSMN_ARRAY:
        return JSON_ARRAY;
    case JSMN_STRING:
        return has_control(s, len) ? -EINVAL : JSON_STRING;
    default:
        break;
    }
    if (is_word(s, len, "true") || is_word(s, len, "false"))
        return JSON_BOOL;
    if (is_word(s, len, "null"))
        return JSON_NULL;
    return is_number(s, s + len) ? JSON_NUMBER : -EINVAL;
}

/* A member is a string with one value behind it; anything else that jsmn counts as having children is an error. */
static bool in_its_place(const jsmntok_t *tok, int i)
{
    const jsmntok_t *t = &tok[i], *parent = t->parent < 0 ? NULL : &tok[t->parent];

    if (!parent)
        return i == 0 && (t->type == JSMN_OBJECT || t->type == JSMN_ARRAY || t->size == 0);
    if (parent->type == JSMN_OBJECT)
        return t->type == JSMN_STRING && t->size == 1;
    if (parent->type == JSMN_STRING &&
        (parent->parent < 0 || tok[parent->parent].type != JSMN_OBJECT))
        return false;
    return t->type == JSMN_OBJECT || t->type == JSMN_ARRAY || t->size == 0;
}

static int take(struct json *j, const jsmntok_t *tok)
{
    for (unsigned i = 0; i < j->count; i++) {
        int type = type_of(j->text, &tok[i]);

        if (type < 0 || !in_its_place(tok, (int)i))
            return -EINVAL;
        j->value[i] = (struct json_value){(enum json_type)type, (uint32_t)tok[i].start,
                                          (uint32_t)tok[i].end, tok[i].parent};
    }
    return j->count ? 0 : -EINVAL;
}

int json_parse(struct json *j, const char *text, size_t len)
{
    jsmntok_t tok[JSON_TOKENS];
    jsmn_parser parser;
    int n;

    if (len > INT32_MAX)
        return -EINVAL;
    jsmn_init(&parser);
    n = jsmn_parse(&parser, text, len, tok, JSON_TOKENS);
    if (n < 0)
        return n == JSMN_ERROR_NOMEM ? -E2BIG : -EINVAL;
    if (parser.pos < len) /* it takes a NUL for the end */
        return -EINVAL;
    j->text = text;
    j->count = (unsigned)n;
    return take(j, tok);
}

static bool is_type(const struct json *j, int index, enum json_type type)
{
    return index >= 0 && (unsigned)index < j->count && j->value[index].type == type;
}

int json_member(const struct json *j, int object, const char *key)
{
    size_t len = strlen(key);

    if (!is_type(j, object, JSON_OBJECT))
        return -ENOENT;
    for (unsigned i = (unsigned)object + 1; i + 1 < j->count; i++)
        if (j->value[i].parent == object && j->value[i].end - j->value[i].start == len &&
            !memcmp(j->text + j->value[i].start, key, len))
            return (int)i + 1;
    return -ENOENT;
}

bool json_is(const struct json *j, int index, const char *text)
{
    size_t len = strlen(text);

    return is_type(j, index, JSON_STRING) && j->value[index].end - j->value[index].start == len &&
           !memcmp(j->text + j->value[index].start, text, len);
}

static unsigned hex4(const char *s)
{
    unsigned v = 0;

    for (int i = 0; i < 4; i++)
        v = v << 4 | (unsigned)hex_digit(s[i]);
    return v;
}

/* The character of an escape, s behind its backslash; *s moves past it. jsmn has seen that it is one. A half of a
 * surrogate pair without the other is U+FFFD. */
static uint32_t unescape(const char **s, const char *end)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *at;
    unsigned c, low;
    char name = *(*s)++;

    if (name != 'u') {
        at = strchr(from, name);
        return (unsigned char)(at ? to[at - from] : name);
    }
    if (end - *s < 4)
        return UTF8_REPLACEMENT;
    c = hex4(*s);
    *s += 4;
    if (c < 0xD800 || c > 0xDFFF)
        return c;
    if (c > 0xDBFF || end - *s < 6 || (*s)[0] != '\\' || (*s)[1] != 'u')
        return UTF8_REPLACEMENT;
    low = hex4(*s + 2);
    if (low < 0xDC00 || low > 0xDFFF)
        return UTF8_REPLACEMENT;
    *s += 6;
    return 0x10000 + ((c - 0xD800) << 10 | (low - 0xDC00));
}

int json_string(const struct json *j, int index, char *to, size_t size)
{
    const char *s, *end;
    size_t n = 0;

    if (!is_type(j, index, JSON_STRING))
        return -EINVAL;
    s = j->text + j->value[index].start;
    end = j->text + j->value[index].end;
    while (s < end) {
        char utf8[UTF8_MAX];
        size_t len = 1;

        utf8[0] = *s++;
        if (utf8[0] == '\\')
            len = utf8_put(utf8, unescape(&s, end));
        if (utf8[0] == '\0')
            return -EINVAL;
        if (n + len >= size)
            return -ENOSPC;
        memcpy(to + n, utf8, len);
        n += len;
    }
    if (!size)
        return -ENOSPC;
    to[n] = '\0';
    return (int)n;
}

int json_u64(const struct json *j, int index, uint64_t *v)
{
    if (!is_type(j, index, JSON_NUMBER))
        return -EINVAL;
    *v = 0;
    for (uint32_t i = j->value[index].start; i < j->value[index].end; i++) {
        unsigned d = (unsigned)(j->text[i] - '0');

        if (d > 9)
            return -EINVAL;
        if (*v > (UINT64_MAX - d) / 10)
            return -ERANGE;
        *v = *v * 10 + d;
    }
    return 0;
}

int json_bool(const struct json *j, int index, bool *v)
{
    if (!is_type(j, index, JSON_BOOL))
        return -EINVAL;
    *v = j->text[j->value[index].start] == 't';
    return 0;
}
