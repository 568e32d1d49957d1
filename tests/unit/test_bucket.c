// SPDX-License-Identifier: BSD-2-Clause
// The token bucket: rates, bursts, and numbers that are large.
// units: tests/fake/fake_base.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/bucket.h"

uint64_t timer_hz = 1000;

static void buckets(void **state)
{
    struct bucket b;
    uint64_t now = 5000, took = 0;

    (void)state;
    bucket_init(&b, 7, 20, now);
    assert_true(bucket_take(&b, 20, now));
    assert_false(bucket_take(&b, 1, now));
    for (unsigned i = 0; i < 100000; i++) { /* 100 s, in steps that are less than a unit each */
        now++;
        took += bucket_take(&b, 1, now);
    }
    assert_in_range(took, 699, 700);
    assert_false(bucket_take(&b, 21, now + 1000000));
    assert_true(bucket_take(&b, 20, now + 1000000));
    bucket_init(&b, 1ull << 32, 1ull << 40, now); /* nothing overflows */
    assert_true(bucket_take(&b, 1ull << 40, now));
    assert_true(bucket_take(&b, 1ull << 33, now + 2000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
