// SPDX-License-Identifier: BSD-2-Clause
// Base64 of RFC 4648, section 4: padded, without line ends. Pure.
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Bytes of text for len bytes of data, without the NUL. */
static inline size_t base64_length(size_t len) { return (len + 2) / 3 * 4; }

/* to has room for base64_length(len) + 1; a NUL ends it. */
void base64_encode(const void *data, size_t len, char *to);
/* to has room for len bytes; *out is how many came of it. False: it is not base64. */
bool base64_decode(const char *text, size_t len, unsigned char *to, size_t *out);
