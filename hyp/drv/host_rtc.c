// SPDX-License-Identifier: BSD-2-Clause
// The host's clock of the day: Goldfish's, as on QEMU's machine "virt". It is read once, at boot; from then on the time
// base tells how much later it is, so that who asks needs no lock and no access to the device.
#include "base/arch.h"
#include "drv/drv.h"
#include "mem/hostmap.h"
#include "sched/timer.h"

enum { TIME_LOW = 0, TIME_HIGH = 4 }; /* ns since 1970; the low half is read first */
#define SECOND 1000000000ul /* ns */

static uint64_t read_ns, read_at; /* what it said, and the time base's value then */

static uint64_t now(void *ctx)
{
    uint64_t ticks = arch_time() - read_at;

    (void)ctx;
    return read_ns + ticks / timer_hz * SECOND + ticks % timer_hz * SECOND / timer_hz;
}

static const struct clock_backend rtc = {.now = now};
static bool present;

const struct clock_backend *host_rtc(void) { return present ? &rtc : NULL; }

void host_rtc_init(const struct platform *p)
{
    char *regs = p->rtc.size ? hostmap_device(pa(p->rtc.base), p->rtc.size) : NULL;
    uint64_t low;

    present = regs;
    if (!present)
        return;
    low = mmio_read32(regs + TIME_LOW);
    read_ns = (uint64_t)mmio_read32(regs + TIME_HIGH) << 32 | low;
    read_at = arch_time();
}
