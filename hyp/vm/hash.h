// SPDX-License-Identifier: BSD-2-Clause
// The two checksums of FIT images and uploads: crc32 (IEEE 802.3, as zlib's) and SHA-256 (FIPS 180-4); of data that
// come in pieces, or of one piece.
// Pure but for the heap. Lock rank: none. Callers: fit.c, uploads, GPT.
#pragma once
#include "base/util.h"

#define HASH_SHA256_SIZE 32

enum hash_kind { HASH_CRC32, HASH_SHA256 };

struct hash {
    enum hash_kind kind;
    uint32_t crc, (*table)[256]; /* CRC-32's: 8 KiB on the heap between begin and end */
    uint32_t h[8];
    uint64_t len; /* SHA-256's, so far; len % 64 bytes of it are in part */
    uint8_t part[64];
};

/* 0 or -ENOMEM (CRC-32 only). hash_end is due after 0. */
int hash_begin(struct hash *h, enum hash_kind kind) MUST_CHECK;
void hash_more(struct hash *h, const void *data, size_t len);
/* The digest as files have it, CRC-32 big-endian: its length. digest NULL: given up. */
size_t hash_end(struct hash *h, uint8_t digest[HASH_SHA256_SIZE]);

/* 0 and *crc, or -ENOMEM. */
int hash_crc32(const void *data, size_t len, uint32_t *crc) MUST_CHECK;
void hash_sha256(const void *data, size_t len, uint8_t digest[HASH_SHA256_SIZE]);
