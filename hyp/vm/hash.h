// SPDX-License-Identifier: BSD-2-Clause
// The two checksums of FIT images: crc32 (IEEE 802.3, as zlib's) and SHA-256 (FIPS 180-4).
// Pure. Lock rank: none. Callers: bundle.c.
#pragma once
#include "base/util.h"

#define HASH_SHA256_SIZE 32

/* 0 and *crc, or -ENOMEM: its tables (8 KiB) live on the heap during the call only. */
int hash_crc32(const void *data, size_t len, uint32_t *crc) MUST_CHECK;
void hash_sha256(const void *data, size_t len, uint8_t digest[HASH_SHA256_SIZE]);
