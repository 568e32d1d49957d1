// SPDX-License-Identifier: BSD-2-Clause
// JSON (RFC 8259) for the machine protocol: reading a message that is whole in memory, by its tokens (the
// library jsmn), and writing one value after another.
//
// Pure and bounded: no allocation, no recursion, at most JSON_TOKENS values in a message, of which none is copied
// before it is asked for. What a client sends is not trusted: every index is of a token, every string ends.
// Lock rank: none. Callers: qmp.c and its commands.
#pragma once
#include "base/util.h"

enum { JSON_TOKENS = 96, JSON_ROOT = 0 };

enum json_type { JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_BOOL, JSON_NULL };

struct json_value {
    enum json_type type;
    uint32_t start, end; /* in the text; of a string, what is between its quotes */
    int parent; /* index of the array, the object, or the key that it belongs to; -1: none */
};

struct json {
    const char *text;
    unsigned count;
    struct json_value value[JSON_TOKENS]; /* in the order of the text; [JSON_ROOT] holds all */
};

/* text must outlive j. 0; -EINVAL: not JSON, or more than one value; -E2BIG: more than JSON_TOKENS. */
int json_parse(struct json *j, const char *text, size_t len) MUST_CHECK;
/* The index of an object's member, or -ENOENT (also when it is no object). Of members with one name, the first. */
int json_member(const struct json *j, int object, const char *key);
/* A string's value, escapes resolved, as UTF-8 with a NUL behind it: its length, or -EINVAL (no string, or one with
 * U+0000), -ENOSPC. */
int json_string(const struct json *j, int index, char *to, size_t size) MUST_CHECK;
/* Whether it is a string with this value, in which nothing needs an escape. */
bool json_is(const struct json *j, int index, const char *text);
/* A number without sign, fraction or exponent. 0, -EINVAL, -ERANGE. */
int json_u64(const struct json *j, int index, uint64_t *v) MUST_CHECK;
int json_bool(const struct json *j, int index, bool *v) MUST_CHECK;

/* How many bytes of text come before the first quote, backslash or control character. */
size_t json_plain_length(const char *text, size_t len);

/* ---- writing ---- */

struct json_out {
    void (*put)(void *ctx, const char *data, size_t len);
    void *ctx;
    bool comma; /* the next value follows another */
};

/* key NULL: a value of an array, or the only one. */
void json_begin_object(struct json_out *o, const char *key);
void json_begin_array(struct json_out *o, const char *key);
void json_end_object(struct json_out *o);
void json_end_array(struct json_out *o);
/* UTF-8; what is not becomes U+FFFD, so that any bytes give valid JSON. */
void json_put_string(struct json_out *o, const char *key, const char *text);
void json_put_bytes(struct json_out *o, const char *key, const char *bytes, size_t len);
/* The same in pieces; a piece ends where a character does. */
void json_begin_string(struct json_out *o, const char *key);
void json_more_string(struct json_out *o, const char *bytes, size_t len);
void json_end_string(struct json_out *o);
void json_put_u64(struct json_out *o, const char *key, uint64_t v);
void json_put_i64(struct json_out *o, const char *key, int64_t v);
void json_put_bool(struct json_out *o, const char *key, bool v);
void json_put_null(struct json_out *o, const char *key);
/* A value of a message that was read, as it stands there but in one line, as answers are. */
void json_put_copy(struct json_out *o, const char *key, const struct json *j, int index);
