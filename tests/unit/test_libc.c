// SPDX-License-Identifier: BSD-2-Clause
// units: tests/fake/fake_base.c
// hyp/libc against the host's C library: every alignment, length and overlap that its loops tell apart.
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define memchr tl_memchr
#define memcmp tl_memcmp
#define memcpy tl_memcpy
#define memmove tl_memmove
#define memset tl_memset
#define strchr tl_strchr
#define strrchr tl_strrchr
#define strlen tl_strlen
#define strnlen tl_strnlen
#define strcmp tl_strcmp
#define strncmp tl_strncmp
#define strstr tl_strstr
#define strtoul tl_strtoul
#include "hyp/libc/stdlib.c"
#include "hyp/libc/string.c"
#undef memchr
#undef memcmp
#undef memcpy
#undef memmove
#undef memset
#undef strchr
#undef strrchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strstr
#undef strtoul

enum { SPAN = 320 };

static void pattern(unsigned char *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)(i * 7 + seed * 31 + 1);
}

/* The source ends where its allocation does: ASan sees a read past it (but for whole aligned words). */
static void test_memcpy(void **state)
{
    (void)state;
    static const size_t lengths[] = {0,  1,  7,  8,  15,  16,  17,  31,
                                     63, 64, 65, 71, 127, 128, 129, 200};
    for (size_t from_off = 0; from_off < 8; from_off++) {
        for (size_t to_off = 0; to_off < 8; to_off++) {
            for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
                size_t n = lengths[l];
                unsigned char *src = malloc(from_off + n + !n), dst[SPAN], want[SPAN];
                pattern(src, from_off + n, (unsigned)n);
                pattern(dst, SPAN, 99);
                memcpy(want, dst, SPAN);
                memcpy(want + 8 + to_off, src + from_off, n);
                assert_ptr_equal(tl_memcpy(dst + 8 + to_off, src + from_off, n), dst + 8 + to_off);
                assert_memory_equal(dst, want, SPAN);
                free(src);
            }
        }
    }
}

static void test_memmove_overlap(void **state)
{
    (void)state;
    for (int distance = -80; distance <= 80; distance++) {
        for (size_t off = 96; off < 104; off++) {
            for (size_t n = 0; n < 130; n += 1 + n / 20) {
                unsigned char got[SPAN], want[SPAN];
                pattern(got, SPAN, 5);
                memcpy(want, got, SPAN);
                memmove(want + (int)off + distance, want + off, n);
                tl_memmove(got + (int)off + distance, got + off, n);
                assert_memory_equal(got, want, SPAN);
            }
        }
    }
}

static void test_memset(void **state)
{
    (void)state;
    for (size_t off = 0; off < 8; off++) {
        for (size_t n = 0; n < 200; n++) {
            unsigned char got[SPAN], want[SPAN];
            pattern(got, SPAN, 3);
            memcpy(want, got, SPAN);
            memset(want + off + 8, 0x1A5, n);
            tl_memset(got + off + 8, 0x1A5, n);
            assert_memory_equal(got, want, SPAN);
        }
    }
}

static int sign(int v) { return (v > 0) - (v < 0); }

static void test_compare(void **state)
{
    (void)state;
    unsigned char a[64], b[64];
    for (size_t off = 0; off < 8; off++) {
        for (size_t at = 0; at < 40; at++) {
            pattern(a, 64, 1);
            pattern(b, 64, 1);
            assert_int_equal(tl_memcmp(a + off, b + off, 40), 0);
            b[off + at] ^= 0x80;
            assert_int_equal(sign(tl_memcmp(a + off, b + off, 40)),
                             sign(memcmp(a + off, b + off, 40)));
            assert_int_equal(tl_memcmp(a + off, b + off, at), 0);
        }
    }
    static const char *const s[] = {"", "a", "b", "ab", "abc", "ab\xff", "ab\x01", "abcd"};
    for (size_t i = 0; i < 8; i++) {
        for (size_t j = 0; j < 8; j++) {
            assert_int_equal(sign(tl_strcmp(s[i], s[j])), sign(strcmp(s[i], s[j])));
            for (size_t n = 0; n < 5; n++)
                assert_int_equal(sign(tl_strncmp(s[i], s[j], n)), sign(strncmp(s[i], s[j], n)));
        }
    }
}

static void test_search(void **state)
{
    (void)state;
    const char *s = "hello, world";
    assert_ptr_equal(tl_strchr(s, 'o'), s + 4);
    assert_ptr_equal(tl_strchr(s, '\0'), s + 12);
    assert_null(tl_strchr(s, 'z'));
    assert_ptr_equal(tl_strrchr(s, 'o'), s + 8);
    assert_ptr_equal(tl_strrchr(s, '\0'), s + 12);
    assert_null(tl_strrchr(s, 'z'));
    assert_ptr_equal(tl_memchr(s, 'w', 8), s + 7);
    assert_null(tl_memchr(s, 'w', 7));
    assert_ptr_equal(tl_strstr(s, "o, w"), s + 4);
    assert_ptr_equal(tl_strstr(s, ""), s);
    assert_null(tl_strstr(s, "worlds"));
    assert_int_equal(tl_strlen(s), 12);
    assert_int_equal(tl_strnlen(s, 5), 5);
    assert_int_equal(tl_strnlen(s, 50), 12);
}

static void test_strtoul(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        int base;
    } in[] = {
        {"0", 0},
        {"10", 0},
        {"0x10", 0},
        {"0x10", 16},
        {"010", 0},
        {"  42z", 10},
        {"-1", 10},
        {"+7", 0},
        {"0x", 0},
        {"0xg", 16},
        {"", 10},
        {"x", 16},
        {"ffFF", 16},
        {"18446744073709551615", 10},
        {"18446744073709551616", 10},
        {"99999999999999999999999", 10},
        {"\t\n 5", 0},
        {"08", 0},
        {"z", 36},
    };
    for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
        char *got_end, *want_end;
        unsigned long want = strtoul(in[i].s, &want_end, in[i].base);
        assert_int_equal(tl_strtoul(in[i].s, &got_end, in[i].base), want);
        assert_ptr_equal(got_end, want_end);
    }
    assert_int_equal(tl_strtoul("12", NULL, 10), 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memcpy), cmocka_unit_test(test_memmove_overlap),
        cmocka_unit_test(test_memset), cmocka_unit_test(test_compare),
        cmocka_unit_test(test_search), cmocka_unit_test(test_strtoul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
