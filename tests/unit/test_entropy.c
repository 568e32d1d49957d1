// SPDX-License-Identifier: BSD-2-Clause
// units: hyp/drv/chacha20.c hyp/drv/entropy.c hyp/base/fmt.c tests/fake/fake_base.c
// ChaCha20 against RFC 8439; the generator: what seeds it, what it gives out, and that it forgets.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "drv/chacha20.h"
#include "drv/drv.h"
#include "drv/virtio_host.h"
#include "sched/timer.h"

uint64_t timer_hz = 1000;

/* The host's sources, as the test wants them. */
static size_t rng_bytes;
static uint64_t seed_csr;
static bool seed_present;
static unsigned seed_reads, seed_ready_from;
static void (*asked)(const void *data, size_t len);
static unsigned asks;

size_t virtio_rng_host_read(void *to, size_t len)
{
    size_t n = rng_bytes < len ? rng_bytes : len;
    memset(to, 0x5A, n);
    return n;
}
void virtio_rng_host_request(void (*fn)(const void *data, size_t len))
{
    asked = fn;
    asks++;
}
bool arch_csr_probe(unsigned number, uint64_t *value)
{
    if (number != CSR_SEED)
        return false;
    *value = seed_reads++ >= seed_ready_from ? seed_csr : 1ull << 30; /* WAIT */
    return seed_present;
}

static void test_block(void **state)
{
    (void)state;
    uint8_t key[32], out[64];
    const uint8_t nonce1[12] = {0, 0, 0, 9, 0, 0, 0, 0x4a}, zero[32] = {0};
    for (unsigned i = 0; i < 32; i++)
        key[i] = (uint8_t)i;
    /* RFC 8439, 2.3.2 */
    static const uint8_t want1[64] = {
        0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3,
        0x20, 0x71, 0xc4, 0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22,
        0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e, 0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa,
        0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2, 0xb5, 0x12, 0x9c, 0xd1,
        0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e};
    chacha20_block(key, 1, nonce1, out);
    assert_memory_equal(out, want1, 64);
    /* A.1, test vectors 1 and 2 */
    static const uint8_t want2[64] = {
        0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53,
        0x86, 0xbd, 0x28, 0xbd, 0xd2, 0x19, 0xb8, 0xa0, 0x8d, 0xed, 0x1a, 0xa8, 0x36,
        0xef, 0xcc, 0x8b, 0x77, 0x0d, 0xc7, 0xda, 0x41, 0x59, 0x7c, 0x51, 0x57, 0x48,
        0x8d, 0x77, 0x24, 0xe0, 0x3f, 0xb8, 0xd8, 0x4a, 0x37, 0x6a, 0x43, 0xb8, 0xf4,
        0x15, 0x18, 0xa1, 0x1c, 0xc3, 0x87, 0xb6, 0x69, 0xb2, 0xee, 0x65, 0x86};
    chacha20_block(zero, 0, zero, out);
    assert_memory_equal(out, want2, 64);
    static const uint8_t want3[16] = {0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a,
                                      0x98, 0xba, 0x97, 0x7c, 0x73, 0x2d, 0x08, 0x0d};
    chacha20_block(zero, 1, zero, out);
    assert_memory_equal(out, want3, 16);
}

static void test_no_source(void **state)
{
    (void)state;
    struct platform p = {0};
    entropy_init(&p);
    assert_string_equal(entropy_source(), "none");
}

static void test_sources(void **state)
{
    (void)state;
    static struct platform p;
    p.rng_seed_len = 32;
    rng_bytes = 64;
    seed_present = true;
    seed_csr = 2ull << 30 | 0xBEEF;
    seed_ready_from = seed_reads + 20;
    entropy_init(&p);
    assert_non_null(strstr(entropy_source(), "virtio-rng + Zkr + boot seed"));
}

/* A dead source, and one that never gets ready, do not hang and are not named. */
static void test_bad_zkr(void **state)
{
    (void)state;
    static struct platform p;
    seed_present = true;
    seed_csr = 3ull << 30;
    rng_bytes = 0;
    seed_reads = seed_ready_from = 0;
    size_t before = strlen(entropy_source());
    entropy_init(&p);
    assert_int_equal(seed_reads, 1);
    seed_ready_from = UINT32_MAX;
    entropy_init(&p);
    assert_int_equal(strlen(entropy_source()), before);
}

static void fill(uint8_t *to, size_t len) { entropy.fill(entropy.ctx, to, len); }

static void test_fill_all_lengths(void **state)
{
    (void)state;
    static uint8_t b[10000];
    static const size_t lengths[] = {0, 1, 31, 32, 63, 64, 65, 4095, 4096, 4097, 9999};
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        size_t n = lengths[i];
        memset(b, 0, sizeof(b));
        fill(b, n);
        assert_int_equal(b[n], 0); /* not one more */
        size_t set = 0;
        for (size_t j = 0; j < n; j++)
            set += b[j] != 0;
        assert_true(set >= n * 9 / 10);
    }
}

static void test_never_the_same(void **state)
{
    (void)state;
    static uint8_t seen[200][32];
    for (unsigned i = 0; i < 200; i++) {
        fill(seen[i], 32);
        for (unsigned j = 0; j < i; j++)
            assert_memory_not_equal(seen[i], seen[j], 32);
    }
    unsigned ones = 0; /* of 51,200 bits */
    for (unsigned i = 0; i < sizeof(seen); i++)
        ones += (unsigned)__builtin_popcount(((uint8_t *)seen)[i]);
    assert_true(ones > 25000 && ones < 26200);
}

static void test_reseed(void **state)
{
    (void)state;
    uint8_t b[8];
    asks = 0;
    fake_time += 61 * timer_hz;
    fill(b, 8);
    fill(b, 8);
    assert_int_equal(asks, 1); /* once a minute */
    asked("0123456789abcdef0123456789abcdef0123456789abcdef", 48);
    fake_time += 59 * timer_hz;
    fill(b, 8);
    assert_int_equal(asks, 1);
    fake_time += 2 * timer_hz;
    fill(b, 8);
    assert_int_equal(asks, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block),
        cmocka_unit_test(test_no_source),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_bad_zkr),
        cmocka_unit_test(test_fill_all_lengths),
        cmocka_unit_test(test_never_the_same),
        cmocka_unit_test(test_reseed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
