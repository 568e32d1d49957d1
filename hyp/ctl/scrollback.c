// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/scrollback.h"

enum { REPLAY_LINES = 20 };
enum { ESC = 0x1B, ENQ = 0x05 };

void scrollback_append(struct scrollback *s, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        s->bytes[s->written++ % SCROLLBACK] = data[i];
}

/* The byte that is n after from, or 0 at the end. */
static char byte_at(const struct scrollback *s, uint64_t from, uint64_t n)
{
    return from + n < s->written ? s->bytes[(from + n) % SCROLLBACK] : '\0';
}

/* Bytes of a control sequence at from that asks the terminal for an answer (cursor position, what it
 * is), else 0: asked again, the answers would be typed into whatever has the focus. */
static uint64_t question_length(const struct scrollback *s, uint64_t from)
{
    uint64_t n = 2;
    char last;

    if (byte_at(s, from, 0) == ENQ)
        return 1;
    if (byte_at(s, from, 0) != ESC)
        return 0;
    if (byte_at(s, from, 1) == 'Z')
        return 2;
    if (byte_at(s, from, 1) != '[')
        return 0;
    while ((last = byte_at(s, from, n)) >= ' ' && last < '@')
        n++;
    return last == 'n' || last == 'c' || last == 't' ? n + 1 : 0;
}

static void replay_bytes(const struct scrollback *s, struct terminal *t, uint64_t from)
{
    while (from < s->written) {
        uint64_t question = question_length(s, from), at = from % SCROLLBACK, n = 0;
        uint64_t room = min_u64(s->written - from, SCROLLBACK - at);

        if (question) {
            from += question;
            continue;
        }
        while (n < room && !question_length(s, from + n))
            n++;
        terminal_write(t, s->bytes + at, n);
        from += n;
    }
}

void scrollback_replay(const struct scrollback *s, struct terminal *t)
{
    uint64_t oldest = s->written > SCROLLBACK ? s->written - SCROLLBACK : 0, from = s->written;
    unsigned lines = 0;

    while (from > oldest) {
        if (s->bytes[(from - 1) % SCROLLBACK] == '\n' && from != s->written &&
            ++lines == REPLAY_LINES)
            break;
        from--;
    }
    if (from == oldest && oldest > 0) /* the first line is not whole */
        while (from < s->written && s->bytes[from++ % SCROLLBACK] != '\n')
            ;
    replay_bytes(s, t, from);
}

size_t scrollback_read(const struct scrollback *s, uint64_t *at, char *to, size_t max)
{
    size_t n = 0;

    if (*at > s->written)
        *at = s->written;
    if (s->written - *at > SCROLLBACK)
        *at = s->written - SCROLLBACK;
    while (n < max && *at + n < s->written) {
        to[n] = s->bytes[(*at + n) % SCROLLBACK];
        n++;
    }
    return n;
}
