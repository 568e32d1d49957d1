// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "base/log.h"
#include "ctl/json.h"
#include "ctl/utf8.h"

static void put(struct json_out *o, const char *text) { o->put(o->ctx, text, strlen(text)); }

static void put_escaped(struct json_out *o, const char *s, size_t len)
{
    static const char names[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    size_t plain = 0; /* bytes before s that are still to be written, as they are */

    for (size_t n; len > 0; s += n, len -= n) {
        const char *name = *s ? strchr(names, *s) : NULL;
        char escape[8];

        n = utf8_length(s, len);
        if (n && !name && (unsigned char)*s >= ' ' && *s != 0x7F) {
            plain += n;
            continue;
        }
        o->put(o->ctx, s - plain, plain);
        plain = 0;
        if (name)
            fmt_snprintf(escape, sizeof(escape), "\\%c", letters[name - names]);
        else
            fmt_snprintf(escape, sizeof(escape), "\\u%04x", n ? (unsigned)*s : UTF8_REPLACEMENT);
        put(o, escape);
        n = max_u64(n, 1);
    }
    o->put(o->ctx, s - plain, plain);
}

/* What comes before a value. */
static void lead(struct json_out *o, const char *key)
{
    if (o->comma)
        put(o, ", ");
    o->comma = true;
    if (!key)
        return;
    put(o, "\"");
    put_escaped(o, key, strlen(key));
    put(o, "\": ");
}

static void begin(struct json_out *o, const char *key, const char *bracket)
{
    lead(o, key);
    put(o, bracket);
    o->comma = false;
}

static void end(struct json_out *o, const char *bracket)
{
    put(o, bracket);
    o->comma = true;
}

void json_begin_object(struct json_out *o, const char *key) { begin(o, key, "{"); }

void json_begin_array(struct json_out *o, const char *key) { begin(o, key, "["); }

void json_end_object(struct json_out *o) { end(o, "}"); }

void json_end_array(struct json_out *o) { end(o, "]"); }

void json_begin_string(struct json_out *o, const char *key)
{
    lead(o, key);
    put(o, "\"");
}

void json_more_string(struct json_out *o, const char *bytes, size_t len)
{
    put_escaped(o, bytes, len);
}

void json_end_string(struct json_out *o) { put(o, "\""); }

void json_put_bytes(struct json_out *o, const char *key, const char *bytes, size_t len)
{
    json_begin_string(o, key);
    json_more_string(o, bytes, len);
    json_end_string(o);
}

void json_put_string(struct json_out *o, const char *key, const char *text)
{
    json_put_bytes(o, key, text, strlen(text));
}

void json_put_u64(struct json_out *o, const char *key, uint64_t v)
{
    char text[24];

    lead(o, key);
    fmt_snprintf(text, sizeof(text), "%lu", (unsigned long)v);
    put(o, text);
}

void json_put_i64(struct json_out *o, const char *key, int64_t v)
{
    char text[24];

    lead(o, key);
    fmt_snprintf(text, sizeof(text), "%ld", (long)v);
    put(o, text);
}

void json_put_bool(struct json_out *o, const char *key, bool v)
{
    lead(o, key);
    put(o, v ? "true" : "false");
}

void json_put_null(struct json_out *o, const char *key)
{
    lead(o, key);
    put(o, "null");
}

void json_put_copy(struct json_out *o, const char *key, const struct json *j, int index)
{
    const struct json_value *v = &j->value[index];
    bool quoted = v->type == JSON_STRING;
    const char *at = j->text + v->start - quoted, *end = j->text + v->end + quoted, *p;

    lead(o, key);
    for (; at < end; at = p + 1) {
        for (p = at; p < end && *p != '\r' && *p != '\n';)
            p++;
        o->put(o->ctx, at, (size_t)(p - at));
        if (p < end)
            o->put(o->ctx, " ", 1);
    }
}
