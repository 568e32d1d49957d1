// SPDX-License-Identifier: BSD-2-Clause
// The legacy extensions (chapter 5): function ids are ignored, a1 is kept (call.c looks), hart masks
// are in virtual memory. set_timer is in time.c.
#include "rt/paging.h"
#include "sbi/ipi.h"
#include "sbi/rfence.h"
#include "sbi/spec.h"

enum { PUTCHAR = 1, GETCHAR, CLEAR_IPI, SEND_IPI, FENCE_I, SFENCE, SFENCE_ASID, SHUTDOWN };
#define ANY_FID 0xFFFFFFFF00000007ul

static uint64_t mask_word;

/* ---- console, clear_ipi, shutdown ---- */

SPEC_CHECK(PUTCHAR, 0, legacy_putchar)
{
    check(CALL(PUTCHAR, ANY_FID, '.').error == 0, "putchar fails");
    check(CALL(PUTCHAR, 0, 0xFFFFFFFFFFFFFF00ul | '.').error == 0, "putchar, upper bits set");
    check(CALL(PUTCHAR, 5, '\n').error == 0, "putchar of a line's end");
}

SPEC_CHECK(GETCHAR, 0, legacy_getchar)
{
    check(CALL(GETCHAR, 0).error == -1, "a byte where nobody types");
    check(CALL(GETCHAR, ANY_FID).error == -1, "a byte where nobody types, any function id");
}

SPEC_CHECK(CLEAR_IPI, 0, legacy_clear_ipi)
{
    csr_clear(sip, SIE_SSIE);
    check(CALL(CLEAR_IPI, 0).error == 0, "one pending, and none was sent");
    for (unsigned i = 0; i < 3; i++) {
        uint64_t end = rt_patience();

        sbi_call(SBI_IPI, 0, 1, harts[0].id, 0, 0, 0);
        while (!(csr_read(sip) & SIE_SSIE) && rdtime() < end)
            ;
        /* "an implementation specific positive value": OpenSBI does not look, and says 0 */
        long was = CALL(CLEAR_IPI, ANY_FID).error;
        check(rt_trapline ? was > 0 : was >= 0, "%ld with one pending", was);
        check(!(csr_read(sip) & SIE_SSIE), "still pending");
        check(CALL(CLEAR_IPI, 0).error == 0, "pending after it was cleared");
    }
}

/* That it ends the machine is seen with end=legacy. */
SPEC_CHECK(SHUTDOWN, 0, legacy_shutdown)
{
    check(spec_probe(SHUTDOWN) != 0, "it is offered, and the probe says no");
}

/* ---- masks in memory ---- */

static struct sbi_ret legacy(uint64_t id, uint64_t address)
{
    return CALL(id, ANY_FID, address, 0, 0, 0);
}

/* A bad mask is an error, and nothing is done. OpenSBI leaves harts out that are not there. */
static void check_words(uint64_t id)
{
    const uint64_t words[] = {0,         ~0ul,     1ul << 63, 1ul << rt_hart_count, 1ul << 62 | 1,
                              1ul << 31, 1ul << 32};

    for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
        bool valid = mask_is_valid(words[i], 0);
        long error;

        csr_clear(sip, SIE_SSIE);
        mask_word = words[i];
        error = legacy(id, (uint64_t)&mask_word).error;
        check(valid         ? error == 0
              : rt_trapline ? error < 0
                            : error <= 0,
              "mask %lx: %ld", words[i], error);
        check(valid || !rt_trapline || !(csr_read(sip) & SIE_SSIE), "mask %lx: done all the same",
              words[i]);
    }
}

/* The mask may lie anywhere, over the end of a page too; its pages need not follow each other. */
static void check_over_page_end(uint64_t id)
{
    uint64_t mask = 1ul << harts[0].id;

    window_map(0, (uint64_t)spec_pages + 8192, PTE_RWX);
    window_map(1, (uint64_t)spec_pages, PTE_RWX);
    paging_on();
    for (unsigned off = 1; off < 8; off++) {
        uint64_t at = window_va(1) - off;

        memcpy((void *)at, &mask, 8);
        check(legacy(id, at).error == 0, "mask %u bytes before a page's end", off);
    }
    paging_off();
    csr_clear(sip, SIE_SSIE);
}

/* "redirected back to the supervisor with sepc CSR pointing to the faulting ECALL instruction" */
static void check_fault(uint64_t id, uint64_t address, uint64_t cause, const char *what)
{
    struct trap_record t;

    trap_begin();
    legacy(id, address);
    t = trap_end();
    check(t.count == 1 && t.cause == cause, "%s: %u traps, cause %lu", what, t.count, t.cause);
    check(t.count && t.tval - address < 8, "%s: stval %lx, not %lx", what, t.tval, address);
    check(t.count && *(uint32_t *)t.epc == 0x73, "%s: sepc %lx is not at the ecall", what, t.epc);
    check(!(csr_read(sip) & SIE_SSIE), "%s: done all the same", what);
}

static void check_faults(uint64_t id)
{
    uint64_t ours = (uint64_t)spec_pages;

    csr_clear(sip, SIE_SSIE);
    if (rt_trapline) {
        check_fault(id, 0x10000000, CAUSE_LOAD_ACCESS, "a device");
        check_fault(id, ram_end(), CAUSE_LOAD_ACCESS, "RAM's end");
        check_fault(id, ram_end() - 4, CAUSE_LOAD_ACCESS, "over RAM's end");
        check_fault(id, 1ul << 60, CAUSE_LOAD_ACCESS, "no physical address");
    }
    paging_on();
    window_map(0, ours, PTE_RWX);
    window_map(1, 0, 0);
    window_map(2, ours, PTE_RWX | PTE_U);
    window_map(3, ours, PTE_V | PTE_X | PTE_A);
    __asm__ volatile("sfence.vma" ::: "memory");
    check_fault(id, window_va(1), CAUSE_LOAD_PAGE, "no page");
    check_fault(id, window_va(1) - 4, CAUSE_LOAD_PAGE, "over a page's end to none");
    check_fault(id, window_va(2), CAUSE_LOAD_PAGE, "a user's page");
    check_fault(id, window_va(3), CAUSE_LOAD_PAGE, "a page for execution only");
    check_fault(id, 1ul << 62, CAUSE_LOAD_PAGE, "no virtual address");
    csr_set(sstatus, SSTATUS_SUM);
    *(uint64_t *)window_va(2) = 0;
    check(legacy(id, window_va(2)).error == 0, "a user's page with SUM");
    csr_clear(sstatus, SSTATUS_SUM);
    paging_off();
}

static void check_pointers(uint64_t id)
{
    check_words(id);
    check_over_page_end(id);
    check_faults(id);
}

/* ---- what they do ---- */

static void send_ipi(uint64_t mask, uint64_t base)
{
    (void)base;
    mask_word = mask;
    check(legacy(SEND_IPI, (uint64_t)&mask_word).error == 0, "mask %lx", mask);
}

SPEC_CHECK(SEND_IPI, 0, legacy_send_ipi)
{
    static const struct sender s = {send_ipi, false};

    check_senders(&s);
    check_pointers(SEND_IPI);
}

static uint64_t fence_id;

static void fence(uint64_t hart, uint64_t start, uint64_t size)
{
    mask_word = 1ul << hart;
    check(CALL(fence_id, ANY_FID, (uint64_t)&mask_word, start, size, 0).error == 0,
          "hart %lx, %lx, %lx", hart, start, size);
}

static void check_fence(uint64_t id)
{
    static struct fencer f = {false, fence};

    fence_id = id;
    f.code = id == FENCE_I;
    check_fencer(&f);
    check_pointers(id);
}

SPEC_CHECK(FENCE_I, 0, legacy_fence_i) { check_fence(FENCE_I); }
SPEC_CHECK(SFENCE, 0, legacy_sfence) { check_fence(SFENCE); }

SPEC_CHECK(SFENCE_ASID, 0, legacy_sfence_asid)
{
    check_fence(SFENCE_ASID);
    mask_word = 1ul << harts[0].id;
    check(CALL(SFENCE_ASID, 0, (uint64_t)&mask_word, 0, 0, 0xFFFF).error == 0, "the last ASID");
    long error = CALL(SFENCE_ASID, 0, (uint64_t)&mask_word, 0, 0, 0x10000).error;
    check(rt_trapline ? error < 0 : error <= 0, "no ASID: %ld", error);
}
