// SPDX-License-Identifier: BSD-2-Clause
// The ChaCha20 block function (RFC 8439, section 2.3). Pure. Callers: entropy.c.
#pragma once
#include <stdint.h>

enum { CHACHA20_KEY = 32, CHACHA20_BLOCK = 64 };
void chacha20_block(const uint8_t key[CHACHA20_KEY], uint32_t counter, const uint8_t nonce[12],
                    uint8_t out[CHACHA20_BLOCK]);
