// SPDX-License-Identifier: BSD-2-Clause
#include "fake_uplink.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "net/offload.h"

struct fake_uplink fake_uplink = {.mtu = 1500};
const uint8_t fake_uplink_mac[NET_MAC] = {0x52, 0x54, 0, 0, 0, 1};

bool uplink_get(uint8_t mac[NET_MAC], uint16_t *mtu)
{
    memcpy(mac, fake_uplink_mac, NET_MAC);
    *mtu = fake_uplink.mtu;
    return !fake_uplink.absent;
}

bool uplink_send(const void *ctx, const struct net_frame *f)
{
    assert_true(ctx && (ctx == fake_uplink.ctx || ctx == fake_uplink.older_ctx));
    assert_true(offload_fits(&f->offload, 0));
    if (fake_uplink.full)
        return false;
    fake_uplink.sent++;
    if (fake_uplink.on_send)
        fake_uplink.on_send(f);
    return true;
}

int uplink_open(void (*fn)(void *ctx, struct net_frame *f), void *ctx)
{
    if (fake_uplink.fn && (!fake_uplink.spare || fake_uplink.older_fn))
        return -ENOSPC;
    fake_uplink.older_fn = fake_uplink.fn;
    fake_uplink.older_ctx = fake_uplink.ctx;
    fake_uplink.fn = fn;
    fake_uplink.ctx = ctx;
    return 0;
}

void uplink_tap(void (*fn)(const struct net_frame *f, bool sent)) { fake_uplink.tap = fn; }

void uplink_close(void *ctx)
{
    if (!fake_uplink.older_fn || ctx != fake_uplink.older_ctx) {
        assert_ptr_equal(ctx, fake_uplink.ctx);
        fake_uplink.fn = fake_uplink.older_fn;
        fake_uplink.ctx = fake_uplink.older_ctx;
    }
    fake_uplink.older_fn = NULL;
    fake_uplink.older_ctx = NULL;
    if (fake_uplink.fn)
        return;
    fake_uplink.sent = 0;
    fake_uplink.full = false;
}
