// SPDX-License-Identifier: BSD-2-Clause
// trapctl's stream: lines however they come in, bounds, ends; two who write at once.
// units: tools/trapctl/stream.c tools/trapctl/memory.c tools/trapctl/say.c tools/trapctl/text.c tools/trapctl/term.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream.h"

static struct stream s;
static int peer;

static int begin(void **state)
{
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    peer = pair[1];
    stream_init(&s, pair[0], true);
    return 0;
}

static int end(void **state)
{
    (void)state;
    stream_close(&s);
    if (peer >= 0)
        close(peer);
    return 0;
}

static void give(const char *data)
{
    assert_int_equal(write(peer, data, strlen(data)), strlen(data));
}

static void expect_line(const char *expected)
{
    char *line;
    size_t len;

    assert_int_equal(stream_read_line(&s, stream_now() + 10000, &line, &len), 0);
    assert_string_equal(line, expected);
    assert_int_equal(len, strlen(expected));
}

static void expect_result(int result)
{
    char *line;
    size_t len;

    assert_int_equal(stream_read_line(&s, stream_now(), &line, &len), result);
}

static void test_lines(void **state)
{
    (void)state;
    give("one\r\ntw");
    expect_line("one");
    expect_result(STREAM_TIMEOUT);
    assert_false(stream_has_line(&s));
    give("o\n\n\r\nlast");
    expect_line("two");
    assert_true(stream_has_line(&s));
    expect_line("");
    expect_line("");
    close(peer);
    peer = -1;
    expect_result(STREAM_ENDED); /* half a line is none */
    expect_result(STREAM_ENDED);
    assert_int_equal(stream_write(&s, "x", 1, stream_now() + 1000), STREAM_ENDED);
}

static void test_deadline(void **state)
{
    int64_t before = stream_now();
    char *line;
    size_t len;

    (void)state;
    assert_int_equal(stream_read_line(&s, before + 50, &line, &len), STREAM_TIMEOUT);
    assert_true(stream_now() >= before + 50);
}

static void test_interrupted(void **state)
{
    (void)state;
    stream_interrupted = 1;
    char *line;
    size_t len;

    assert_int_equal(stream_read_line(&s, stream_now() + 10000, &line, &len), STREAM_INTERRUPTED);
    expect_result(STREAM_TIMEOUT); /* once */
}

static void *write_much(void *much)
{
    /* Blocks until the reader has taken nearly all: it must not wait for the writer. */
    for (size_t at = 0; at < STREAM_LINE + 100000;) {
        ssize_t n = send(peer, (char *)much + at, STREAM_LINE + 100000 - at, MSG_NOSIGNAL);

        if (n <= 0)
            break;
        at += (size_t)n;
    }
    return NULL;
}

static void test_too_long(void **state)
{
    char *much = calloc(1, STREAM_LINE + 100000), *line;
    pthread_t thread;
    size_t len;

    (void)state;
    memset(much, 'x', STREAM_LINE + 100000);
    pthread_create(&thread, NULL, write_much, much);
    assert_int_equal(stream_read_line(&s, stream_now() + 60000, &line, &len), STREAM_TOO_LONG);
    stream_close(&s);
    pthread_join(thread, NULL);
    free(much);
}

/* Both sides have more to say than fits: what comes is taken in while ours goes out. */
static void *talk_back(void *n)
{
    static char in[65536];
    size_t got = 0, *want = n;
    char *out = malloc(*want);

    memset(out, 'y', *want);
    out[*want - 1] = '\n';
    assert_int_equal(send(peer, out, *want, MSG_NOSIGNAL),
                     *want); /* all of it before reading any */
    while (got < *want) {
        ssize_t m = read(peer, in, sizeof(in));

        if (m <= 0)
            break;
        got += (size_t)m;
    }
    free(out);
    return NULL;
}

static void test_both_write(void **state)
{
    size_t n = 4 << 20;
    char *data = calloc(1, n), *line;
    pthread_t thread;
    size_t len;

    (void)state;
    pthread_create(&thread, NULL, talk_back, &n);
    assert_int_equal(stream_write(&s, data, n, stream_now() + 60000), 0);
    assert_int_equal(stream_read_line(&s, stream_now() + 60000, &line, &len), 0);
    assert_int_equal(len, n - 1);
    pthread_join(thread, NULL);
    free(data);
}

static void test_write_times_out(void **state)
{
    char *data = calloc(1, 4 << 20);

    (void)state;
    assert_int_equal(stream_write(&s, data, 4 << 20, stream_now() + 50), STREAM_TIMEOUT);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines, begin, end),
        cmocka_unit_test_setup_teardown(test_deadline, begin, end),
        cmocka_unit_test_setup_teardown(test_interrupted, begin, end),
        cmocka_unit_test_setup_teardown(test_too_long, begin, end),
        cmocka_unit_test_setup_teardown(test_both_write, begin, end),
        cmocka_unit_test_setup_teardown(test_write_times_out, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
