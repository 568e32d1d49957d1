// SPDX-License-Identifier: BSD-2-Clause
// The table of addresses: shares of ports; any sequence of operations, against a model.
// units: hyp/net/mactable.c tests/fake/fake_base.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/mactable.h"

static struct mactable table;

static void shares_of_the_table(void **state)
{
    unsigned learnt = 0;

    (void)state;
    mactable_init(&table, 12345);
    for (uint64_t i = 1; i < 100000; i++)
        learnt += mactable_learn(&table, i << 1, 1, 10);
    assert_int_equal(table.learnt[1], MACTABLE_PORT);
    assert_true(learnt > MACTABLE_PORT); /* it has the newest of its own in some places */
    for (unsigned port = 2; port < 10; port++)
        for (uint64_t i = 0; i < 4; i++)
            assert_true(mactable_learn(&table, 0x0a0000000000ull + (port << 8) + i, port, 10));
    for (unsigned port = 2; port < 10; port++)
        for (uint64_t i = 0; i < 4; i++)
            assert_int_equal(mactable_find(&table, 0x0a0000000000ull + (port << 8) + i, 10), port);
    mactable_forget(&table, 1);
    assert_int_equal(table.learnt[1], 0);
    assert_int_equal(mactable_find(&table, 0x0a0000000200ull, 10), 2);
    assert_int_equal(mactable_find(&table, 0x0a0000000200ull, 10 + MACTABLE_AGE), 2);
    assert_int_equal(mactable_find(&table, 0x0a0000000200ull, 11 + MACTABLE_AGE), MACTABLE_NONE);
    /* It moves. */
    assert_true(mactable_learn(&table, 0x0a0000000200ull, 3, 20));
    assert_int_equal(mactable_find(&table, 0x0a0000000200ull, 20), 3);
    assert_int_equal(table.learnt[2], 3);
    assert_int_equal(table.learnt[3], 5);
}

/* Any sequence of operations: counts are what is there, fixed addresses stay, found is what was learnt last. */
static void against_a_model(void **state)
{
    enum { MACS = 300 };
    int fixed[MACS + 1];
    uint64_t random = 1;

    (void)state;
    mactable_init(&table, 99);
    memset(fixed, -1, sizeof(fixed));
    for (unsigned step = 0; step < 200000; step++) {
        unsigned port, count[8] = {0};
        uint64_t mac;
        int found;

        random = random * 6364136223846793005ull + 1442695040888963407ull;
        port = random >> 33 & 7;
        mac = 1 + (random >> 40) % MACS;
        if (random >> 60 == 0 && mactable_fix(&table, mac, port)) {
            fixed[mac] = (int)port;
        } else if (random >> 60 == 1) {
            mactable_unfix(&table, mac, port);
            if (fixed[mac] == (int)port)
                fixed[mac] = -1;
        } else if (random >> 52 == 0x200) {
            mactable_forget(&table, port);
            for (unsigned i = 1; i <= MACS; i++)
                if (fixed[i] == (int)port)
                    fixed[i] = -1;
        } else {
            bool learnt = mactable_learn(&table, mac, port, step / 100);

            found = mactable_find(&table, mac, step / 100);
            assert_true(!learnt || found == (int)port);
        }
        for (uint64_t i = 1; i <= MACS; i++)
            if (fixed[i] >= 0)
                assert_int_equal(mactable_find(&table, i, step / 100), fixed[i]);
        if (step % 64)
            continue;
        for (unsigned s = 0; s < MACTABLE_SETS; s++)
            for (unsigned w = 0; w < MACTABLE_WAYS; w++)
                if (table.entry[s][w].mac && !table.entry[s][w].fixed)
                    count[table.entry[s][w].port]++;
        for (unsigned p = 0; p < 8; p++) {
            assert_int_equal(count[p], table.learnt[p]);
            assert_true(count[p] <= MACTABLE_PORT);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_of_the_table),
        cmocka_unit_test(against_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
