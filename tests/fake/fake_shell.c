// SPDX-License-Identifier: BSD-2-Clause
#include "fake_shell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "boot/platform.h"
#include "ctl/console.h"
#include "ctl/ctl.h"

void (*ctl_banner)(const struct platform *p, void (*emit)(void *ctx, const char *line), void *ctx);
unsigned fake_shell_wakes;

static void wake(void) { fake_shell_wakes++; }

static void write_nowhere(const char *data, size_t len)
{
    (void)data;
    (void)len;
}

void fake_shell_start(void)
{
    console_set_host(write_nowhere);
    if (!console_shell())
        assert_int_equal(console_shell_start(wake), 0);
}
