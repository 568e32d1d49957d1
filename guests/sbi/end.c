// SPDX-License-Identifier: BSD-2-Clause
// Functions whose success no check can see from inside: the test sees the machine go off, or start
// anew. That they return is a failure, and said.
#include "sbi/end.h"

#include "sbi/spec.h"

#define HIGH (1ul << 63 | 1ul << 32) /* reset type and reason are 32 bits wide (10.1) */

static void end_off(void) { sbi_call(SBI_SRST, 0, 0, 0, 0, 0, 0); }
static void end_msb(void) { sbi_call(SBI_SRST, 0, HIGH | 0, HIGH | 1, 0, 0, 0); }
static void end_reboot(void) { sbi_call(SBI_SRST, 0, 1, 0, 0, 0, 0); }
static void end_warm(void) { sbi_call(SBI_SRST, 0, 2, 1, 0, 0, 0); }
static void end_legacy(void) { sbi_call(8, ~0ul, ~0ul, ~0ul, 0, 0, 0); }

static void end_stop(void)
{
    others_stop();
    sbi_call(SBI_HSM, 1, 0, 0, 0, 0, 0);
}

static const struct {
    const char *name;
    void (*run)(void);
} ends[] = {
    {"off", end_off},   {"msb", end_msb},       {"reboot", end_reboot},
    {"warm", end_warm}, {"legacy", end_legacy}, {"stop", end_stop},
};

void end_machine(void)
{
    const char *way = rt_option("end");

    for (unsigned i = 0; i < ARRAY_LEN(ends); i++) {
        if (!memcmp(way ? way : "off", ends[i].name, strlen(ends[i].name))) {
            printf("sbi guest: end by %s\n", ends[i].name);
            ends[i].run();
        }
    }
    printf("FAIL end: it returned, or is none\n");
}
