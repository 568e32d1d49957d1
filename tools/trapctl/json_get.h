// SPDX-License-Identifier: BSD-2-Clause
// Members of what the machine answers. Whatever is missing or is something else is "", 0, false.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

static inline const char *get_string(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

static inline uint64_t get_number(const json_t *object, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(object, key));

    return n > 0 ? (uint64_t)n : 0;
}

static inline bool get_bool(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}
