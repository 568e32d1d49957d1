// SPDX-License-Identifier: BSD-2-Clause
// A DHCP client among servers that answer anything, at any time. It has an address exactly while it is bound, one of a host
// with its router in the same subnet and apart from what it must avoid; and it never asks without end at one moment.
// units: hyp/net/dhcp_client.c hyp/net/dhcp.c
#include "fuzz.h"
#include "net/dhcp_client.h"

const unsigned fuzz_runs = 20000;
const size_t fuzz_max = 600;

#define AVOID 0x0a4d0001u
static const uint8_t mac[NET_MAC] = {2, 0, 0, 0, 0, 9};

static void check(const struct dhcp_client *c)
{
    const struct dhcp_lease *l = &c->lease;
    uint32_t mask = ~0u << (32 - (l->prefix ? l->prefix : 1));

    assert_int_equal(l->address != 0, c->state >= DHCP_BOUND);
    if (!l->address)
        return;
    assert_in_range(l->prefix, 8, 30);
    assert_true((l->address & ~mask) && (l->address | mask) != 0xffffffff);
    assert_true((l->router & ~mask) && !((l->router ^ l->address) & mask));
    assert_true(l->router != l->address && l->address >> 28 < 14 && l->address >> 24 != 127);
    assert_true((l->address ^ AVOID) & mask & 0xffffff00);
    assert_true(l->seconds >= 60 && l->t1 < l->t2 && l->t2 < l->seconds);
}

/* What is due is sent, and that is all for this second. */
static void step(struct dhcp_client *c, uint32_t now)
{
    uint8_t m[DHCP_MOST];
    uint32_t size, to;

    for (unsigned i = 0; i < 3; i++) {
        (void)dhcp_client_step(c, now, m, &size, &to);
        assert_true(size <= sizeof(m));
        check(c);
        if (!size)
            continue;
        assert_true(i < 2 && !memcmp(m + DHCP_MAC, mac, NET_MAC));
        assert_non_null(dhcp_find(m, size, DHCP_OPTION_TYPE, 1));
    }
}

/* A message that gets far, and some bytes of which the input changes. */
static uint32_t compose(struct fuzz_in *in, const struct dhcp_client *c, uint8_t *m)
{
    static const uint32_t addresses[] = {0x0a00020f, 0x0a000202, 0x0a4d0005, 0};
    static const uint32_t masks[] = {0xffffff00, 0xff000000, 0xffffff0f, 0xfffffffc};
    static const uint32_t leases[] = {86400, 60, 0xffffffff, 1};
    uint8_t how = fuzz_u8(in), more = fuzz_u8(in), *to = m + DHCP_OPTIONS;

    memset(m, 0, DHCP_MOST);
    m[DHCP_OP] = DHCP_ANSWERS;
    put32(m + DHCP_XID, c->xid);
    put32(m + DHCP_YOURS, addresses[how >> 2 & 3]);
    memcpy(m + DHCP_MAC, mac, NET_MAC);
    put32(m + DHCP_MAGIC, DHCP_COOKIE);
    to = dhcp_put(to, DHCP_OPTION_TYPE, 1, (uint8_t[]){2, 5, 5, 6}[how & 3]);
    to = dhcp_put(to, DHCP_OPTION_MASK, 4, masks[how >> 4 & 3]);
    to = dhcp_put(to, DHCP_OPTION_ROUTER, 4, addresses[(how >> 6) ^ 1]);
    to = dhcp_put(to, DHCP_OPTION_SERVER, 4, 0x0a000202 + (more >> 7));
    to = dhcp_put(to, DHCP_OPTION_LEASE, 4, leases[more & 3]);
    to = dhcp_put(to, DHCP_OPTION_T1, 4, fuzz_u16(in));
    for (unsigned k = more >> 2 & 3; k; k--)
        m[fuzz_u16(in) % (unsigned)(to - m)] = fuzz_u8(in);
    *to++ = DHCP_OPTION_END;
    return more & 0x40 ? fuzz_u16(in) % DHCP_MOST : (uint32_t)(to - m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = {data, size};
    uint32_t now = fuzz_u32(&in);
    struct dhcp_client c;

    dhcp_client_begin(&c, mac, "a name that is longer than an identifier has room for", now, now);
    c.avoid = AVOID;
    c.avoid_mask = 0xffffff00;
    while (in.left) {
        uint8_t m[DHCP_MOST], op = fuzz_u8(&in);

        if (op & 1) {
            now += op & 2 ? fuzz_u16(&in) : op >> 4;
            step(&c, now);
        } else {
            uint32_t len = compose(&in, &c, m);

            (void)dhcp_client_take(&c, now, m, len);
            check(&c);
            step(&c, now);
        }
    }
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *to, size_t max)
{
    static const uint8_t seeds[][24] = {
        {1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0xa8, 0, 1, 0, 0, 0},
        {9, 9, 9, 0xff, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0xff, 0xff, 3, 0xff, 0xff},
    };

    if (n >= ARRAY_LEN(seeds) || max < sizeof(seeds[0]))
        return 0;
    memcpy(to, seeds[n], sizeof(seeds[0]));
    return sizeof(seeds[0]);
}
