// SPDX-License-Identifier: BSD-2-Clause
// The random generator: ChaCha20 with fast key erasure. Each use replaces the key by the first half of
// block 0 and gives out blocks 1 and up, so what was given out cannot be worked out from what is left.
// Seeds are taken in 32 bytes at a time: key = first half of block 0 of (key xor seed): without the old
// key the new one cannot be known, and a source that is bad takes nothing away from one that is good.
#include <string.h>

#include "base/arch.h"
#include "base/log.h"
#include "base/spinlock.h"
#include "drv/chacha20.h"
#include "drv/drv.h"
#include "drv/virtio_host.h"
#include "sched/timer.h"

enum { CHUNK = 4096, RESEED_SECONDS = 60, ZKR_SAMPLES = 32, ZKR_TRIES = 100000 };
/* Zkr: the seed CSR (cryptography extensions, 4.1): state in bits 31:30, 16 bits of entropy below. */
enum { OPST_SHIFT = 30, OPST_ES16 = 2, OPST_DEAD = 3 };

static struct spinlock lock = SPINLOCK_INIT(LOCK_BACKEND);
static uint8_t key[CHACHA20_KEY];
static uint64_t reseed_at;
static char source[40];

/* memset of what is never read again may be left out; this may not. */
static void forget(void *p, size_t len)
{
    volatile uint8_t *byte = p;
    while (len-- > 0)
        *byte++ = 0;
}

static void block(uint32_t counter, uint8_t out[CHACHA20_BLOCK])
{
    static const uint8_t nonce[12];
    chacha20_block(key, counter, nonce, out);
}

static void mix_locked(const uint8_t *data, size_t len)
{
    uint8_t out[CHACHA20_BLOCK];
    for (size_t at = 0; at < len; at += CHACHA20_KEY) {
        for (size_t i = 0; i < CHACHA20_KEY && at + i < len; i++)
            key[i] ^= data[at + i];
        block(0, out);
        memcpy(key, out, CHACHA20_KEY);
    }
    forget(out, sizeof(out));
}

static void mix(const void *data, size_t len)
{
    spin_lock(&lock);
    mix_locked(data, len);
    spin_unlock(&lock);
}

/* As many samples as Zkr gives now; 0: the hart has none, or it may not be read. */
static size_t zkr_read(uint16_t *to, size_t want)
{
    uint64_t v;
    size_t n = 0;
    for (unsigned i = 0; i < ZKR_TRIES && n < want; i++) {
        if (!arch_csr_probe(CSR_SEED, &v))
            break;
        unsigned state = (uint32_t)v >> OPST_SHIFT;
        if (state == OPST_DEAD)
            break;
        if (state == OPST_ES16)
            to[n++] = (uint16_t)v;
    }
    return n;
}

static void fill_locked(uint8_t *to, size_t len)
{
    uint8_t next[CHACHA20_BLOCK], out[CHACHA20_BLOCK];
    block(0, next);
    for (uint32_t i = 1; len > 0; i++) {
        size_t n = min_u64(len, sizeof(out));
        block(i, out);
        memcpy(to, out, n);
        to += n;
        len -= n;
    }
    memcpy(key, next, CHACHA20_KEY);
    forget(next, sizeof(next));
    forget(out, sizeof(out));
}

/* In pieces, so that another hart never waits long for the lock. */
static void entropy_fill(void *ctx, void *to, size_t len)
{
    uint8_t *p = to;
    (void)ctx;
    while (len > 0) {
        size_t n = min_u64(len, CHUNK);
        spin_lock(&lock);
        fill_locked(p, n);
        uint64_t now = arch_time();
        bool reseed = now >= reseed_at;
        if (reseed)
            reseed_at = now + RESEED_SECONDS * timer_hz;
        spin_unlock(&lock);
        if (reseed)
            virtio_rng_host_request(mix);
        p += n;
        len -= n;
    }
}

struct entropy_backend entropy = {.fill = entropy_fill};

static void add_source(const char *name)
{
    size_t n = strlen(source);
    fmt_snprintf(source + n, sizeof(source) - n, "%s%s", n ? " + " : "", name);
}

void entropy_init(const struct platform *p)
{
    uint8_t seed[64];
    uint16_t samples[ZKR_SAMPLES];
    uint64_t now[2] = {arch_time(), 0};

    (void)arch_csr_probe(CSR_CYCLE, &now[1]);
    mix(now, sizeof(now)); /* worth little, and so not named */
    size_t n = virtio_rng_host_read(seed, sizeof(seed));
    mix(seed, n);
    if (n >= CHACHA20_KEY)
        add_source("virtio-rng");
    n = zkr_read(samples, ZKR_SAMPLES);
    mix(samples, n * sizeof(samples[0]));
    if (n == ZKR_SAMPLES)
        add_source("Zkr");
    mix(p->rng_seed, p->rng_seed_len);
    if (p->rng_seed_len >= 16)
        add_source("boot seed");
    forget(seed, sizeof(seed));
    forget(samples, sizeof(samples));

    reseed_at = arch_time() + RESEED_SECONDS * timer_hz;
    if (!source[0]) {
        fmt_snprintf(source, sizeof(source), "none");
        log_warn(
            "no source of entropy: what guests get as random can be guessed. Give the machine a "
            "virtio-rng device, or firmware that sets /chosen/rng-seed");
    }
}

const char *entropy_source(void) { return source; }
