// SPDX-License-Identifier: BSD-2-Clause
#include "fake_guest_mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PAGES = GM_SIZE / PAGE_SIZE };

struct stage2 fake_gm_s2;
int fake_gm_error;
unsigned fake_gm_errors_at;
unsigned fake_gm_pins;
uint64_t fake_gm_copied;
void (*fake_gm_read_hook)(gpa_t from, size_t len);
static uint8_t *ram;
static unsigned slot[PAGES];
static unsigned pins[PAGES];

void fake_gm_start(bool scatter)
{
    ram = aligned_alloc(PAGE_SIZE, GM_SIZE);
    fake_gm_clear(scatter);
}

void fake_gm_clear(bool scatter)
{
    memset(ram, 0, GM_SIZE);
    for (unsigned i = 0; i < PAGES; i++)
        slot[i] = scatter ? PAGES - 1 - i : i;
    memset(pins, 0, sizeof(pins));
    fake_gm_error = 0;
    fake_gm_errors_at = fake_gm_pins = 0;
    fake_gm_copied = 0;
    fake_gm_read_hook = NULL;
}

void fake_gm_stop(void)
{
    free(ram);
    ram = NULL;
    assert_int_equal(fake_gm_pins, 0);
}

static bool in_ram(gpa_t g, uint64_t len)
{
    return g.v >= GM_BASE && range_ok(g.v - GM_BASE, len, GM_SIZE);
}

void *fake_gm_ptr(uint64_t g)
{
    g -= GM_BASE;
    return ram + slot[g / PAGE_SIZE] * PAGE_SIZE + g % PAGE_SIZE;
}

static void copy(uint64_t g, void *host, size_t len, bool write)
{
    char *p = host;

    while (len) {
        size_t n = min_u64(len, PAGE_SIZE - g % PAGE_SIZE);

        if (write)
            memcpy(fake_gm_ptr(g), p, n);
        else
            memcpy(p, fake_gm_ptr(g), n);
        p += n;
        g += n;
        len -= n;
    }
}

void fake_gm_put(uint64_t g, const void *from, size_t len)
{
    copy(g, (void *)(uintptr_t)from, len, true);
}

void fake_gm_get(uint64_t g, void *to, size_t len) { copy(g, to, len, false); }

int guest_mem_read(struct stage2 *s2, gpa_t from, void *to, size_t len)
{
    assert_ptr_equal(s2, &fake_gm_s2);
    if (fake_gm_read_hook)
        fake_gm_read_hook(from, len);
    if (!in_ram(from, len))
        return -EFAULT;
    fake_gm_copied += len;
    copy(from.v, to, len, false);
    return 0;
}

int guest_mem_write(struct stage2 *s2, gpa_t to, const void *from, size_t len)
{
    assert_ptr_equal(s2, &fake_gm_s2);
    if (!in_ram(to, len))
        return -EFAULT;
    fake_gm_copied += len;
    fake_gm_put(to.v, from, len);
    return 0;
}

int guest_mem_copy(struct stage2 *to_s2, gpa_t to, struct stage2 *from_s2, gpa_t from, size_t len)
{
    static uint8_t bounce[1 << 17];

    assert_ptr_equal(to_s2, &fake_gm_s2);
    assert_ptr_equal(from_s2, &fake_gm_s2);
    assert_true(len <= sizeof(bounce));
    if (!in_ram(to, len) || !in_ram(from, len))
        return -EFAULT;
    fake_gm_copied += len;
    copy(from.v, bounce, len, false);
    copy(to.v, bounce, len, true);
    return 0;
}

int guest_mem_pin(struct stage2 *s2, gpa_t g, uint64_t len, bool write, struct guest_iov *iov,
                  unsigned max)
{
    unsigned n = 0;

    (void)write;
    assert_ptr_equal(s2, &fake_gm_s2);
    assert_true(len > 0 && max > 0);
    if (!in_ram(g, len))
        return -EFAULT;
    if (fake_gm_error) {
        if (!fake_gm_errors_at)
            return fake_gm_error;
        fake_gm_errors_at--;
    }
    for (uint64_t at = g.v; at < g.v + len;) {
        uint64_t take = min_u64(g.v + len - at, PAGE_SIZE - at % PAGE_SIZE);
        char *hva = fake_gm_ptr(at);

        if (n && (char *)iov[n - 1].hva + iov[n - 1].len == hva) {
            iov[n - 1].len += (uint32_t)take;
        } else {
            if (n == max)
                return -E2BIG;
            iov[n++] = (struct guest_iov){hva, (uint32_t)take, (uint32_t)(at >> PAGE_SHIFT)};
        }
        at += take;
    }
    for (uint64_t at = align_down(g.v, PAGE_SIZE); at < g.v + len; at += PAGE_SIZE) {
        pins[slot[(at - GM_BASE) / PAGE_SIZE]]++;
        fake_gm_pins++;
    }
    return (int)n;
}

void guest_mem_unpin(struct stage2 *s2, const struct guest_iov *iov, unsigned n, bool written)
{
    (void)written;
    assert_ptr_equal(s2, &fake_gm_s2);
    for (unsigned i = 0; i < n; i++) {
        uint64_t at = (uint64_t)((uint8_t *)iov[i].hva - ram), end = at + iov[i].len;

        assert_true(range_ok(at, iov[i].len, GM_SIZE));
        assert_ptr_equal(fake_gm_ptr(((uint64_t)iov[i].gfn << PAGE_SHIFT) + at % PAGE_SIZE),
                         iov[i].hva);
        for (at = align_down(at, PAGE_SIZE); at < end; at += PAGE_SIZE) {
            assert_true(pins[at / PAGE_SIZE] > 0);
            pins[at / PAGE_SIZE]--;
            fake_gm_pins--;
        }
    }
}

int guest_mem_zero(struct stage2 *s2, gpa_t to, size_t len)
{
    (void)s2;
    if (!in_ram(to, len))
        return -EFAULT;
    for (; len; len--, to.v++)
        *(uint8_t *)fake_gm_ptr(to.v) = 0;
    return 0;
}

bool guest_mem_is_ram(struct stage2 *s2, gpa_t g, uint64_t len)
{
    (void)s2;
    return in_ram(g, len);
}
