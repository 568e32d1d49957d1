// SPDX-License-Identifier: BSD-2-Clause
#include "vm/hash.h"

#include <errno.h>
#include <string.h>

#include "mem/heap.h"

enum { CRC_LANES = 8 };
#define CRC_POLYNOMIAL 0xEDB88320u

/* table[0] steps the CRC by one byte; table[n] by that byte followed by n zero bytes. So eight
 * bytes take eight independent look-ups instead of a chain: a kernel of 31 MB is checked at every
 * boot. */
static void crc_fill(uint32_t table[CRC_LANES][256])
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) ? CRC_POLYNOMIAL : 0);
        table[0][i] = crc;
    }
    for (unsigned lane = 1; lane < CRC_LANES; lane++)
        for (uint32_t i = 0; i < 256; i++)
            table[lane][i] = (table[lane - 1][i] >> 8) ^ table[0][table[lane - 1][i] & 0xFF];
}

static uint32_t crc_more(const uint32_t table[CRC_LANES][256], uint32_t c, const uint8_t *p,
                         size_t len)
{
    while (len && ((uintptr_t)p & 7)) {
        c = (c >> 8) ^ table[0][(c ^ *p++) & 0xFF];
        len--;
    }
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t v;
        memcpy(&v, __builtin_assume_aligned(p, 8), 8);
        v ^= c;
        c = table[7][v & 0xFF] ^ table[6][(v >> 8) & 0xFF] ^ table[5][(v >> 16) & 0xFF] ^
            table[4][(v >> 24) & 0xFF] ^ table[3][(v >> 32) & 0xFF] ^ table[2][(v >> 40) & 0xFF] ^
            table[1][(v >> 48) & 0xFF] ^ table[0][v >> 56];
    }
    while (len--)
        c = (c >> 8) ^ table[0][(c ^ *p++) & 0xFF];
    return c;
}

static const uint32_t sha_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t sha_rotr(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }

/* One round. The eight words change places after it: eight rounds in a row name them by where they are, and none moves. */
static inline __attribute__((always_inline)) void sha_round(uint32_t a, uint32_t b, uint32_t c,
                                                            uint32_t *d, uint32_t e, uint32_t f,
                                                            uint32_t g, uint32_t *h, uint32_t kw)
{
    uint32_t t1 =
        *h + (sha_rotr(e, 6) ^ sha_rotr(e, 11) ^ sha_rotr(e, 25)) + ((e & (f ^ g)) ^ g) + kw;
    uint32_t t2 = (sha_rotr(a, 2) ^ sha_rotr(a, 13) ^ sha_rotr(a, 22)) + ((a & b) | (c & (a | b)));

    *d += t1;
    *h = t1 + t2;
}

static void sha_block(uint32_t state[8], const uint8_t *p)
{
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7], w[64];

    for (unsigned i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
               (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (unsigned i = 16; i < 64; i++) {
        uint32_t x = w[i - 15], y = w[i - 2];
        w[i] = w[i - 16] + (sha_rotr(x, 7) ^ sha_rotr(x, 18) ^ x >> 3) + w[i - 7] +
               (sha_rotr(y, 17) ^ sha_rotr(y, 19) ^ y >> 10);
    }
    for (unsigned i = 0; i < 64; i += 8) {
        sha_round(a, b, c, &d, e, f, g, &h, sha_k[i] + w[i]);
        sha_round(h, a, b, &c, d, e, f, &g, sha_k[i + 1] + w[i + 1]);
        sha_round(g, h, a, &b, c, d, e, &f, sha_k[i + 2] + w[i + 2]);
        sha_round(f, g, h, &a, b, c, d, &e, sha_k[i + 3] + w[i + 3]);
        sha_round(e, f, g, &h, a, b, c, &d, sha_k[i + 4] + w[i + 4]);
        sha_round(d, e, f, &g, h, a, b, &c, sha_k[i + 5] + w[i + 5]);
        sha_round(c, d, e, &f, g, h, a, &b, sha_k[i + 6] + w[i + 6]);
        sha_round(b, c, d, &e, f, g, h, &a, sha_k[i + 7] + w[i + 7]);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

static void sha_more(struct hash *h, const uint8_t *p, size_t len)
{
    size_t have = h->len % sizeof(h->part);

    h->len += len;
    if (have) {
        size_t n = min_u64(len, sizeof(h->part) - have);

        memcpy(h->part + have, p, n);
        if (have + n < sizeof(h->part))
            return;
        sha_block(h->h, h->part);
        p += n;
        len -= n;
    }
    for (; len >= sizeof(h->part); len -= sizeof(h->part), p += sizeof(h->part))
        sha_block(h->h, p);
    memcpy(h->part, p, len);
}

static void sha_end(struct hash *h, uint8_t digest[HASH_SHA256_SIZE])
{
    static const uint8_t padding[64] = {0x80};
    uint64_t bits = h->len * 8;
    uint8_t length[8];

    for (unsigned i = 0; i < sizeof(length); i++)
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    sha_more(h, padding, (h->len % 64 < 56 ? 56 : 120) - h->len % 64);
    sha_more(h, length, sizeof(length));
    for (unsigned i = 0; i < HASH_SHA256_SIZE; i++)
        digest[i] = (uint8_t)(h->h[i / 4] >> (24 - 8 * (i % 4)));
}

/* ---- either ---- */

int hash_begin(struct hash *h, enum hash_kind kind)
{
    static const uint32_t sha_h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

    h->kind = kind;
    h->table = NULL;
    h->len = 0;
    h->crc = ~0u;
    memcpy(h->h, sha_h, sizeof(sha_h));
    if (kind == HASH_SHA256)
        return 0;
    h->table = heap_alloc(CRC_LANES * sizeof(*h->table));
    if (!h->table)
        return -ENOMEM;
    crc_fill(h->table);
    return 0;
}

void hash_more(struct hash *h, const void *data, size_t len)
{
    if (h->kind == HASH_SHA256)
        sha_more(h, data, len);
    else
        h->crc = crc_more(h->table, h->crc, data, len);
}

size_t hash_end(struct hash *h, uint8_t digest[HASH_SHA256_SIZE])
{
    uint32_t crc = ~h->crc;

    heap_free(h->table);
    h->table = NULL;
    if (digest && h->kind == HASH_SHA256)
        sha_end(h, digest);
    for (unsigned i = 0; i < sizeof(crc) && digest && h->kind == HASH_CRC32; i++)
        digest[i] = (uint8_t)(crc >> (24 - 8 * i));
    return h->kind == HASH_SHA256 ? HASH_SHA256_SIZE : sizeof(crc);
}

int hash_crc32(const void *data, size_t len, uint32_t *crc)
{
    struct hash h;
    int error = hash_begin(&h, HASH_CRC32);

    if (error)
        return error;
    hash_more(&h, data, len);
    *crc = ~h.crc;
    (void)hash_end(&h, NULL);
    return 0;
}

void hash_sha256(const void *data, size_t len, uint8_t digest[HASH_SHA256_SIZE])
{
    struct hash h;

    if (hash_begin(&h, HASH_SHA256))
        return; /* which takes no memory */
    hash_more(&h, data, len);
    (void)hash_end(&h, digest);
}
