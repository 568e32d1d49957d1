// SPDX-License-Identifier: BSD-2-Clause
// jansson's loops and its format for numbers, for cppcheck, which reads no system header (ci/static).
#define JSON_INTEGER_FORMAT "lld"
#define json_array_foreach(a, i, v) \
    for (i = 0; i < json_array_size(a) && (v = json_array_get(a, i)); i++)
#define json_object_foreach(o, k, v) \
    for (k = json_first(o); k && (v = json_object_get(o, k)); k = json_next(o, k))
