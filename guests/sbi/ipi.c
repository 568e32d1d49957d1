// SPDX-License-Identifier: BSD-2-Clause
// IPI (chapter 7), and its legacy forms (5.4, 5.5): who gets one, and nobody else.
#include "sbi/ipi.h"

#include "sbi/spec.h"

static volatile uint64_t got[RT_HARTS], stop;

static bool take(void)
{
    if (!(csr_read(sip) & SIE_SSIE))
        return false;
    csr_clear(sip, SIE_SSIE);
    return true;
}

static void watch(void *arg)
{
    volatile uint64_t *count = &got[(uint64_t)arg];

    take();
    *count = 1; /* from here on */
    while (!stop)
        *count += take();
}

static bool watch_all(void)
{
    stop = 0;
    for (unsigned i = 1; i < rt_hart_count; i++) {
        got[i] = 0;
        if (!hart_run(i, watch, (void *)(uint64_t)i) || !rt_wait(&got[i], 1))
            return false;
    }
    take();
    got[0] = 1;
    return true;
}

static bool watch_end(void)
{
    stop = 1;
    for (unsigned i = 1; i < rt_hart_count; i++)
        if (!hart_wait(i))
            return false;
    return true;
}

static bool self_gets(void)
{
    uint64_t end = rt_patience();

    while (!take())
        if (rdtime() > end)
            return false;
    got[0]++;
    return true;
}

/* Sends, and waits until those named have it: so none merges with the next. */
static void send(const struct sender *s, uint64_t mask, uint64_t base, uint64_t *want)
{
    bool came = true;

    s->send(mask, base);
    for (unsigned i = 0; i < rt_hart_count && came; i++) {
        if (!mask_names(mask, base, harts[i].id))
            continue;
        want[i]++;
        came = i ? rt_wait(&got[i], want[i]) : self_gets();
    }
    check(came, "mask %lx, base %lx: one of them got none", mask, base);
}

void check_senders(const struct sender *s)
{
    uint64_t want[RT_HARTS], subsets = 1ul << rt_hart_count;

    for (unsigned i = 0; i < RT_HARTS; i++)
        want[i] = 1;
    if (!watch_all()) {
        check(false, "harts do not start");
        return;
    }
    for (uint64_t set = 0; set < subsets; set++) {
        uint64_t mask = 0;

        for (unsigned i = 0; i < rt_hart_count; i++)
            mask |= (set >> i & 1) << (harts[i].id & 63);
        send(s, mask, 0, want);
        for (uint64_t base = 1; s->bases && mask && !(mask & ((1ul << base) - 1)); base++)
            send(s, mask >> base, base, want);
    }
    for (uint64_t any = 0; any < 4 && s->bases; any++)
        send(s, any ? ~0ul << (any * 16) : 0, ~0ul, want); /* base -1: the mask is ignored */
    want[0] += take();
    check(watch_end(), "harts do not end");
    for (unsigned i = 0; i < rt_hart_count; i++)
        check(got[i] == want[i], "hart %lx got %lu, not %lu", harts[i].id, got[i] - 1, want[i] - 1);
}

static struct sbi_ret call(uint64_t mask, uint64_t base) { return CALL(SBI_IPI, 0, mask, base); }
static void send_ipi(uint64_t mask, uint64_t base)
{
    check_error(call(mask, base), SBI_OK, "mask %lx, base %lx", mask, base);
}

/* Good masks that name us leave one; it is taken away before the next call. */
static struct sbi_ret call_clear(uint64_t mask, uint64_t base)
{
    struct sbi_ret r;

    csr_clear(sip, SIE_SSIE);
    r = call(mask, base);
    if (r.error == SBI_OK)
        csr_clear(sip, SIE_SSIE);
    return r;
}

static bool got_none(void) { return !(csr_read(sip) & SIE_SSIE); }

SPEC_CHECK(SBI_IPI, 0, ipi_masks) { check_masks(call_clear, got_none); }

SPEC_CHECK(SBI_IPI, 0, ipi_who)
{
    static const struct sender s = {send_ipi, true};

    check_senders(&s);
}

/* To a hart that is stopped: it is one of the supervisor's, so the call is good, and it sleeps on. */
SPEC_CHECK(SBI_IPI, 0, ipi_to_stopped)
{
    if (rt_hart_count < 2)
        return;
    check(hart_stopped(1), "hart 1 does not stop");
    check_error(call(1, harts[1].id), SBI_OK, "a stopped hart");
    check(hart_status(1) == 1, "status %lu after an IPI", hart_status(1));
}
