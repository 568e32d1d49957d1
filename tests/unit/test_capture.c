// SPDX-License-Identifier: BSD-2-Clause
// Captures: what is read is a pcapng file, whatever the sizes of frames and of what is read at a time; what finds no room is
// counted, in the file too. tests/system/test_net.py has tcpdump read one.
// units: hyp/net/capture.c hyp/net/pcapng.c hyp/net/offload.c hyp/net/packet.c tests/fake/fake_heap.c tests/fake/fake_base.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "fake_heap.h"
#include "net/capture.h"

uint64_t timer_hz = 1000;
static unsigned wakes;
static void ready(void) { wakes++; }

/* ---- a reader of its own ---- */

static uint8_t file[4 << 20];
static uint32_t file_len;
static struct {
    unsigned frames, sent;
    uint64_t lost, time;
    uint32_t last_captured, last_length;
    uint64_t stat_received, stat_dropped;
    bool ended;
    char name[64];
    uint32_t snaplen;
} seen;

static uint32_t at32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static uint64_t at64(const uint8_t *p) { return at32(p) | (uint64_t)at32(p + 4) << 32; }

/* The value of an option; NULL: it is not there. The list ends with code 0 exactly at end. */
static const uint8_t *option(const uint8_t *at, const uint8_t *end, unsigned code, uint32_t *len)
{
    const uint8_t *found = NULL;

    for (;;) {
        unsigned this = at32(at) & 0xffff, size = at32(at) >> 16;

        if (!this) {
            assert_int_equal(size, 0);
            assert_ptr_equal(at + 4, end);
            return found;
        }
        if (this == code) {
            found = at + 4;
            *len = size;
        }
        at += 4 + (size + 3) / 4 * 4;
        assert_true(at < end);
    }
}

static uint8_t byte_of(uint32_t i, uint32_t seed) { return (uint8_t)(i * 7 + seed); }

static void read_packet(const uint8_t *b, uint32_t size)
{
    uint32_t captured = at32(b + 20), len;
    const uint8_t *options = b + 28 + (captured + 3) / 4 * 4, *o;

    assert_int_equal(at32(b + 8), 0);
    seen.time = (uint64_t)at32(b + 12) << 32 | at32(b + 16);
    seen.last_captured = captured;
    seen.last_length = at32(b + 24);
    assert_true(captured <= seen.last_length);
    for (uint32_t i = 0; i < captured; i++)
        assert_int_equal(b[28 + i], byte_of(i, seen.last_length));
    o = option(options, b + size - 4, 2, &len);
    assert_non_null(o);
    seen.sent += at32(o) == 2;
    o = option(options, b + size - 4, 4, &len);
    if (o)
        seen.lost += at64(o);
    seen.frames++;
}

static void read_block(const uint8_t *b, uint32_t size, unsigned n)
{
    uint32_t len = 0;
    const uint8_t *o;

    assert_int_equal(at32(b + 4), size);
    assert_int_equal(at32(b + size - 4), size);
    assert_false(seen.ended);
    if (n == 0) {
        assert_int_equal(at32(b), 0x0a0d0d0a);
        assert_int_equal(at32(b + 8), 0x1a2b3c4d);
        assert_int_equal(at32(b + 12), 1);
        assert_true(at64(b + 16) == ~0ull);
        assert_non_null(option(b + 24, b + size - 4, 4, &len));
    } else if (n == 1) {
        assert_int_equal(at32(b), 1);
        assert_int_equal(at32(b + 8), 1);
        seen.snaplen = at32(b + 12);
        o = option(b + 16, b + size - 4, 9, &len);
        assert_true(o && len == 1 && *o == 9);
        o = option(b + 16, b + size - 4, 2, &len);
        memcpy(seen.name, o, len);
    } else if (at32(b) == 6) {
        read_packet(b, size);
    } else {
        assert_int_equal(at32(b), 5);
        seen.stat_received = at64(option(b + 20, b + size - 4, 4, &len));
        seen.stat_dropped = at64(option(b + 20, b + size - 4, 5, &len));
        seen.ended = true;
    }
}

static void read_file(void)
{
    unsigned n = 0;

    memset(&seen, 0, sizeof(seen));
    for (uint32_t at = 0; at < file_len; n++) {
        uint32_t size = at32(file + at + 4);

        assert_true(file_len - at >= size && size >= 12 && !(size & 3));
        read_block(file + at, size, n);
        at += size;
    }
}

/* ---- frames ---- */

static bool unreadable;

static int read_rest(const struct net_data *d, uint32_t offset, void *to, uint32_t len)
{
    return unreadable ? -EFAULT : net_read_host(d, offset, to, len);
}

static int owner, stranger;

static void frame(struct capture *c, const void *of, uint32_t len, bool sent)
{
    static uint8_t bytes[NET_FRAME_MAX];
    struct net_piece rest = {.hva = bytes + NET_HEAD};
    struct net_data data = {.piece = &rest, .pieces = 1, .read = read_rest};
    struct net_frame f = {
        .head = bytes, .head_len = (uint32_t)min_u64(len, NET_HEAD), .len = len, .data = &data};

    rest.len = len - f.head_len;
    for (uint32_t i = 0; i < len; i++)
        bytes[i] = byte_of(i, len);
    capture_frame(c, of, &f, sent);
}

/* Reads what there is; and each time only whole blocks come. */
static void drain(struct capture *c)
{
    bool ended;

    while (capture_waits(c, &ended)) {
        uint32_t n = capture_take(c, file + file_len, CAPTURE_BLOCK);

        assert_true(n && n <= CAPTURE_BLOCK);
        file_len += n;
        assert_true(file_len < sizeof(file) - CAPTURE_BLOCK);
    }
}

static struct capture *make(uint32_t snaplen)
{
    const char *why;
    struct capture *c = capture_make("vm0.0", snaplen, ready, &why);

    assert_non_null(c);
    capture_watch(c, &owner);
    file_len = 0;
    return c;
}

static int end(void **state)
{
    (void)state;
    assert_int_equal(fake_heap_blocks, 0);
    return 0;
}

static void a_file(void **state)
{
    struct capture *c = make(NET_FRAME_MAX);
    bool ended;

    (void)state;
    fake_time = 5000000001500;
    for (uint32_t len = NET_ETHERNET; len < 200; len++)
        frame(c, &owner, len, len & 1);
    frame(c, &owner, NET_FRAME_MAX, true);
    frame(c, &stranger, 60, true);
    frame(c, NULL, 60, true);
    assert_int_equal(capture_counts(c).frames, 187);
    capture_end(c, &stranger); /* not its own */
    capture_end(c, NULL);
    capture_end(c, NULL);
    frame(c, &owner, 60, true);
    drain(c);
    assert_false(capture_waits(c, &ended));
    assert_true(ended);
    read_file();
    assert_string_equal(seen.name, "vm0.0");
    assert_int_equal(seen.snaplen, NET_FRAME_MAX);
    assert_int_equal(seen.frames, 187);
    assert_int_equal(seen.sent, 94);
    assert_int_equal(seen.last_captured, NET_FRAME_MAX);
    assert_true(seen.time == 5000000001500000000ull); /* more than 32 bits, either half */
    assert_true(seen.ended);
    assert_int_equal(seen.stat_received, 187);
    capture_free(c);
}

static void only_the_beginning(void **state)
{
    struct capture *c = make(100);

    (void)state;
    frame(c, &owner, 1500, true);
    drain(c);
    read_file();
    assert_int_equal(seen.last_captured, 100);
    assert_int_equal(seen.last_length, 1500);
    capture_free(c);
}

static void what_is_lost_is_counted(void **state)
{
    struct capture *c = make(NET_FRAME_MAX);

    (void)state;
    unreadable = true;
    frame(c, &owner, 1000, false);
    unreadable = false;
    drain(c);
    wakes = 0;
    for (unsigned i = 0; i < 1000; i++)
        frame(c, &owner, 1514, false);
    assert_int_equal(wakes, 1); /* the reader is told once */
    assert_int_equal(capture_counts(c).frames, CAPTURE_RING / (1516 + 28 + 16));
    assert_int_equal(capture_counts(c).frames + capture_counts(c).lost, 1001);
    drain(c);
    frame(c, &owner, 60, false);
    capture_end(c, NULL);
    drain(c);
    read_file();
    assert_true(seen.ended);
    assert_int_equal(seen.lost, capture_counts(c).lost);
    assert_int_equal(seen.stat_dropped, seen.lost);
    assert_int_equal(seen.frames, seen.stat_received - seen.lost);
    /* A ring without room for one more frame has some for the end. */
    capture_free(c);
    c = make(NET_FRAME_MAX);
    for (uint32_t len = NET_FRAME_MAX; len >= NET_ETHERNET; len = len * 3 / 4)
        for (unsigned i = 0; i < 20; i++)
            frame(c, &owner, len, false);
    capture_end(c, NULL);
    drain(c);
    read_file();
    assert_true(seen.ended);
    capture_free(c);
}

/* Round and round, by frames of many sizes. */
static void the_ring_wraps(void **state)
{
    struct capture *c = make(NET_FRAME_MAX);
    unsigned frames = 0;

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        frame(c, &owner, NET_ETHERNET + i * 997, i & 1);
        frames++;
        if (i % 7 == 0)
            drain(c);
    }
    drain(c);
    read_file();
    assert_int_equal(seen.frames, frames);
    assert_int_equal(seen.lost, 0);
    capture_free(c);
}

static void as_many_as_can_be(void **state)
{
    struct capture *c[CAPTURES];
    const char *why = NULL;

    (void)state;
    fake_heap_left = 0;
    assert_null(capture_make("x", 100, ready, &why));
    assert_non_null(why);
    fake_heap_left = -1;
    for (unsigned i = 0; i < CAPTURES; i++)
        c[i] = make(100);
    assert_null(capture_make("x", 100, ready, &why));
    /* What is freed is used anew, and knows nothing of before. */
    frame(c[3], &owner, 60, true);
    capture_free(c[3]);
    frame(c[3], &owner, 60, true);
    c[3] = capture_make("a name that is far too long for it to be one that any port could have",
                        100, ready, &why);
    frame(c[3], &owner, 60, true);
    drain(c[3]);
    read_file();
    assert_int_equal(seen.frames, 0);
    assert_int_equal(strlen(seen.name), 48);
    for (unsigned i = 0; i < CAPTURES; i++)
        capture_free(c[i]);
}

#define TEST(f) cmocka_unit_test_teardown(f, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file),         TEST(only_the_beginning), TEST(what_is_lost_is_counted),
        TEST(the_ring_wraps), TEST(as_many_as_can_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
