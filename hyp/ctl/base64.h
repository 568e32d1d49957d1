// SPDX-License-Identifier: BSD-2-Clause
// Base64 (RFC 4648, section 4): padded, no line ends, nothing else in between. Pure. Lock rank: none. Callers: uploads, captures.
#pragma once
#include "base/util.h"

/* Bytes written, at most max, or -EINVAL (not base64; what was written then is rubbish), -ENOSPC (more than max:
 * nothing was written). */
int64_t base64_decode(const char *text, size_t len, uint8_t *to, size_t max) MUST_CHECK;
/* Writes (len + 2) / 3 * 4 characters, and no NUL; how many. */
size_t base64_encode(char *to, const uint8_t *data, size_t len);
