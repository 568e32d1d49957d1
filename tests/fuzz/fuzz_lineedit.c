// SPDX-License-Identifier: BSD-2-Clause
// The line editor under any keys: its invariants hold after each, and a line that is entered is the one
// that is shown.
// units: hyp/ctl/lineedit.c tests/fake/fake_base.c
#include "ctl/lineedit.h"
#include "fuzz.h"

const unsigned fuzz_runs = 6000;
const size_t fuzz_max = 2048;

static bool complete(void *ctx, const char *line, size_t word, unsigned n, char *to, size_t size)
{
    static const char *const words[] = {"start", "stop", "status", "a-name-that-is-rather-long",
                                        "sta",   ""};
    size_t len = strlen(line) - word;

    (void)ctx;
    assert_true(word <= strlen(line));
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (!strncmp(words[i], line + word, len) && !n--)
            return snprintf(to, size, "%s", words[i]) < (int)size;
    return false;
}

static void check(const struct lineedit *e)
{
    assert_true(e->len < LINEEDIT_MAX && e->cursor <= e->len);
    assert_int_equal(strlen(e->text), e->len);
    for (size_t i = 0; i < e->len; i++)
        assert_true(e->text[i] >= ' ' && e->text[i] <= '~');
    assert_true(e->history_len <= LINEEDIT_HISTORY && e->browsing <= e->history_len);
    assert_true(!e->history_len || !e->history[e->history_len - 1]);
    assert_true(e->sequence_len <= LINEEDIT_SEQUENCE);
    assert_true(lineedit_word(e) <= e->cursor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lineedit e;

    lineedit_init(&e, size && data[0] & 1 ? complete : NULL, NULL);
    for (size_t i = 0; i < size; i++) {
        enum lineedit_event event = lineedit_key(&e, (char)data[i]);

        check(&e);
        assert_true(event <= LINEEDIT_LIST);
        if (event == LINEEDIT_ENTER || event == LINEEDIT_CANCEL)
            lineedit_clear(&e, event == LINEEDIT_ENTER);
        check(&e);
    }
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *to, size_t max)
{
    static const char *const some[] = {"start vm0\rstop vm0\r\x1b[A\x1b[A\x1b[B\r",
                                       "sta\tx\x01\x1b[3~\x05\x08\x08\x17\x15",
                                       "abc\x1b[D\x1b[D\x0b\x10\x10\x0e\x03\x04\x0c",
                                       "\x1b[1;5D\x1b[H\x1b[F\x1bOH\x1bOF\x1b[999999~",
                                       "one\r\ntwo\r\nthree\n\x1b[Axy\x1b[B\x7f\x7f",
                                       "st\t\t\tart\t \t"};
    struct fuzz_out o = {to, 0, max};

    if (n >= sizeof(some) / sizeof(some[0]))
        return 0;
    fuzz_put(&o, some[n], strlen(some[n]));
    return o.len;
}
