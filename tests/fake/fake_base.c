// SPDX-License-Identifier: BSD-2-Clause
// The fake machine's base: locks that check their rank, a panic that cmocka can expect, the log,
// and the functions of tests/fake/base/arch.h. All weak: a test that links the real file gets that.
#include "base/arch.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/log.h"
#include "base/panic.h"
#include "base/spinlock.h"
#include "sched/stack.h"
#include "sched/thread.h"
#include "sched/thread_list.h"

#define WEAK __attribute__((weak))

_Thread_local unsigned fake_hart;
void *fake_hart_data[64];
void (*fake_pause_hook)(void);
void (*fake_wfi_hook)(void);
uint64_t fake_time;
uint64_t fake_csr[4096];
bool fake_csr_absent[4096];
unsigned fake_hgatp_vmid_bits = 14;
unsigned fake_cboz_block = 64;
bool fake_cbo_flush_traps;
struct fake_fence fake_fence[FAKE_FENCES];
unsigned fake_fences;
uint64_t fake_zeroed_bytes;
void (*fake_zero_hook)(void);
uint64_t (*fake_mmio_read)(const volatile void *p, unsigned width);
void (*fake_mmio_write)(volatile void *p, uint64_t v, unsigned width);
struct sbi_ret (*fake_sbi)(unsigned long ext, unsigned long fid, const unsigned long a[6]);
bool (*fake_guest_load)(uint64_t gva, void *to, unsigned width, struct arch_fault *fault);
WEAK uint64_t arch_zero_block;
WEAK uint64_t direct_offset;

static _Thread_local struct spinlock *held[16];
static _Thread_local unsigned held_count;

void fake_arch_reset(void)
{
    fake_hart = 0;
    fake_time = 0;
    memset(fake_csr, 0, sizeof(fake_csr));
    memset(fake_csr_absent, 0, sizeof(fake_csr_absent));
    fake_hgatp_vmid_bits = 14;
    fake_cboz_block = 64;
    fake_cbo_flush_traps = false;
    fake_fences = 0;
    fake_zeroed_bytes = 0;
    fake_zero_hook = NULL;
    fake_wfi_hook = NULL;
    fake_pause_hook = NULL;
    fake_mmio_read = NULL;
    fake_mmio_write = NULL;
    fake_sbi = NULL;
    fake_guest_load = NULL;
    held_count = 0;
}

/* When a test expects a panic it goes on afterwards, and nothing is left locked. */
static void release_all(void)
{
    while (held_count)
        atomic_fetch_add(&held[--held_count]->serving, 1);
}

WEAK void panic(const char *fmt, ...)
{
    static char line[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    release_all();
    mock_assert(0, line, "panic", 0);
    abort();
}

WEAK void spin_lock(struct spinlock *l)
{
    unsigned ticket;

    if (!l->rank)
        panic("lock without a rank");
    if (held_count && held[held_count - 1]->rank >= l->rank)
        panic("lock of rank %u taken while holding rank %u", l->rank, held[held_count - 1]->rank);
    if (held_count == sizeof(held) / sizeof(held[0]))
        panic("too many locks held");
    ticket = atomic_fetch_add(&l->next, 1);
    for (unsigned tries = 0; atomic_load(&l->serving) != ticket; tries++) {
        if (tries > 10000000)
            panic("lock of rank %u never comes free", l->rank);
        sched_yield();
    }
    held[held_count++] = l;
}

WEAK void spin_unlock(struct spinlock *l)
{
    unsigned i = held_count;

    while (i && held[i - 1] != l)
        i--;
    if (!i)
        panic("lock of rank %u is not held", l->rank);
    for (; i < held_count; i++)
        held[i - 1] = held[i];
    held_count--;
    atomic_fetch_add(&l->serving, 1);
}

WEAK bool spin_held(const struct spinlock *l)
{
    return atomic_load(&l->next) != atomic_load(&l->serving);
}

WEAK void thread_list_add(struct thread *t) { (void)t; }
WEAK void thread_list_remove(struct thread *t) { (void)t; }
WEAK void stack_note_end(const struct thread *t) { (void)t; }

WEAK const char *spin_rank_name(unsigned rank)
{
    (void)rank;
    return "some";
}

WEAK void spin_none_held(const char *what)
{
    if (held_count)
        panic("%s with a lock of rank %u held", what, held[held_count - 1]->rank);
}

/* For fakes of what must not be called with locks held. */
unsigned fake_highest_lock(void);
unsigned fake_highest_lock(void) { return held_count ? held[held_count - 1]->rank : 0; }

WEAK bool log_ratelimit(struct log_limit *l) { return !l || ++l->count <= LOG_BURST; }
WEAK void log_limit_renew(struct log_limit *l) { l->count = 0; }

WEAK void log_write(enum log_level level, const char *fmt, ...)
{
    va_list ap;

    if (!getenv("TL_LOG"))
        return;
    fprintf(stderr, "[%d] ", (int)level);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}
WEAK void log_set_sink(void (*sink)(enum log_level level, const char *line, size_t len))
{
    (void)sink;
}
WEAK void log_dump(void (*emit)(void *ctx, const char *line), void *ctx)
{
    (void)emit;
    (void)ctx;
}

WEAK int fmt_vsnprintf(char *to, size_t size, const char *fmt, va_list ap)
{
    return vsnprintf(to, size, fmt, ap);
}
WEAK int fmt_snprintf(char *to, size_t size, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(to, size, fmt, ap);
    va_end(ap);
    return n;
}

uint64_t fake_csr_get(unsigned number) { return fake_csr[number & 4095]; }
void fake_csr_put(unsigned number, uint64_t value) { fake_csr[number & 4095] = value; }

void fake_fence_note(enum fake_fence_kind kind, uint64_t addr, uint16_t id)
{
    if (fake_fences < FAKE_FENCES)
        fake_fence[fake_fences] = (struct fake_fence){kind, fake_hart, addr, id};
    fake_fences++;
}
unsigned fake_fence_count(enum fake_fence_kind kind, unsigned hart)
{
    unsigned n = 0;

    for (unsigned i = 0; i < fake_fences && i < FAKE_FENCES; i++)
        n += fake_fence[i].kind == kind && fake_fence[i].hart == hart;
    return n;
}

WEAK uint64_t arch_hgatp_write_read(uint64_t v)
{
    uint64_t vmid_mask = (((uint64_t)1 << fake_hgatp_vmid_bits) - 1) << HGATP_VMID_SHIFT;

    return fake_csr[CSR_HGATP] = v & (~(HGATP_VMID_MASK << HGATP_VMID_SHIFT) | vmid_mask);
}

WEAK void arch_zero_page_run(void *hva, size_t bytes)
{
    if (((uintptr_t)hva | bytes) & PAGE_MASK)
        panic("arch_zero_page_run of what is not whole pages");
    memset(hva, 0, bytes);
    fake_zeroed_bytes += bytes;
    if (fake_zero_hook)
        fake_zero_hook();
}

WEAK uint8_t mmio_read8(const volatile void *p)
{
    return fake_mmio_read ? (uint8_t)fake_mmio_read(p, 1) : *(const volatile uint8_t *)p;
}
WEAK uint32_t mmio_read32(const volatile void *p)
{
    return fake_mmio_read ? (uint32_t)fake_mmio_read(p, 4) : *(const volatile uint32_t *)p;
}
WEAK void mmio_write8(volatile void *p, uint8_t v)
{
    if (fake_mmio_write)
        fake_mmio_write(p, v, 1);
    else
        *(volatile uint8_t *)p = v;
}
WEAK void mmio_write32(volatile void *p, uint32_t v)
{
    if (fake_mmio_write)
        fake_mmio_write(p, v, 4);
    else
        *(volatile uint32_t *)p = v;
}

WEAK struct sbi_ret arch_sbi(unsigned long ext, unsigned long fid, unsigned long a0,
                             unsigned long a1, unsigned long a2, unsigned long a3, unsigned long a4,
                             unsigned long a5)
{
    unsigned long a[6] = {a0, a1, a2, a3, a4, a5};

    return fake_sbi ? fake_sbi(ext, fid, a) : (struct sbi_ret){-2, 0};
}

WEAK bool arch_guest_load(uint64_t gva, void *to, unsigned width, struct arch_fault *fault)
{
    if (fake_guest_load)
        return fake_guest_load(gva, to, width, fault);
    *fault = (struct arch_fault){.cause = CAUSE_LOAD_PAGE_FAULT, .tval = gva};
    return false;
}
WEAK bool arch_guest_fetch(uint64_t pc, uint32_t *to, struct arch_fault *fault)
{
    return arch_guest_load(pc, to, 4, fault);
}
WEAK bool arch_csr_probe(unsigned number, uint64_t *value)
{
    if (fake_csr_absent[number & 4095])
        return false;
    *value = fake_csr_get(number);
    return true;
}
WEAK bool arch_csr_probe_write(unsigned number, uint64_t value, uint64_t *read_back)
{
    if (fake_csr_absent[number & 4095])
        return false;
    fake_csr_put(number, value);
    *read_back = fake_csr_get(number);
    return true;
}
WEAK bool arch_cbo_zero_probe(void *at)
{
    if (fake_cboz_block)
        memset((void *)((uintptr_t)at & ~((uintptr_t)fake_cboz_block - 1)), 0, fake_cboz_block);
    return fake_cboz_block != 0;
}
WEAK void arch_breakpoint_probe(void) {}
WEAK bool arch_cbo_flush_probe(void *at)
{
    (void)at;
    return !fake_cbo_flush_traps;
}

/* Other threads are the tests' own. */
WEAK void sched_point(void) {}
