// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/lineedit.h"

#include <string.h>

#include "base/util.h"

enum { KEY_TAB = '\t', KEY_ESC = 0x1B, KEY_DELETE = 0x7F };
#define CTRL(c) ((c) & 0x1F)

void lineedit_init(struct lineedit *e, lineedit_complete_fn complete, void *ctx)
{
    memset(e, 0, sizeof(*e));
    e->complete = complete;
    e->complete_ctx = ctx;
}

static bool insert(struct lineedit *e, const char *what, size_t n)
{
    if (n > LINEEDIT_MAX - 1 - e->len)
        return false;
    memmove(e->text + e->cursor + n, e->text + e->cursor, e->len - e->cursor);
    memcpy(e->text + e->cursor, what, n);
    e->len += n;
    e->cursor += n;
    e->text[e->len] = '\0';
    return true;
}

/* Removes [from, to); the cursor goes to from. */
static enum lineedit_event cut(struct lineedit *e, size_t from, size_t to)
{
    if (from == to)
        return LINEEDIT_BELL;
    memmove(e->text + from, e->text + to, e->len - to);
    e->len -= to - from;
    e->text[e->len] = '\0';
    e->cursor = from;
    return LINEEDIT_CHANGED;
}

static enum lineedit_event move(struct lineedit *e, size_t to)
{
    if (e->cursor == to)
        return LINEEDIT_NONE;
    e->cursor = to;
    return LINEEDIT_CHANGED;
}

static enum lineedit_event left(struct lineedit *e)
{
    return e->cursor ? move(e, e->cursor - 1) : LINEEDIT_BELL;
}

static enum lineedit_event right(struct lineedit *e)
{
    return e->cursor < e->len ? move(e, e->cursor + 1) : LINEEDIT_BELL;
}

static enum lineedit_event delete_here(struct lineedit *e)
{
    return cut(e, e->cursor, e->cursor < e->len ? e->cursor + 1 : e->cursor);
}

static enum lineedit_event delete_word(struct lineedit *e)
{
    size_t from = e->cursor;

    while (from && e->text[from - 1] == ' ')
        from--;
    while (from && e->text[from - 1] != ' ')
        from--;
    return cut(e, from, e->cursor);
}

/* ---- history ---- */

static void set_text(struct lineedit *e, const char *text)
{
    e->len = min_u64(strlen(text), LINEEDIT_MAX - 1);
    memcpy(e->text, text, e->len);
    e->text[e->len] = '\0';
    e->cursor = e->len;
}

static void remember(struct lineedit *e)
{
    size_t need = e->len + 1, last = e->history_len;

    if (last) {
        for (last--; last && e->history[last - 1]; last--)
            ;
        if (!strcmp(e->history + last, e->text))
            return;
    }
    while (e->history_len + need > LINEEDIT_HISTORY) {
        size_t first = strlen(e->history) + 1;

        memmove(e->history, e->history + first, e->history_len - first);
        e->history_len -= first;
    }
    memcpy(e->history + e->history_len, e->text, need);
    e->history_len += need;
}

void lineedit_clear(struct lineedit *e, bool keep)
{
    if (keep && e->len)
        remember(e);
    e->len = e->cursor = 0;
    e->text[0] = '\0';
    e->browsing = e->history_len;
}

static enum lineedit_event older(struct lineedit *e)
{
    if (!e->browsing)
        return LINEEDIT_BELL;
    if (e->browsing == e->history_len)
        memcpy(e->kept, e->text, e->len + 1);
    for (e->browsing--; e->browsing && e->history[e->browsing - 1]; e->browsing--)
        ;
    set_text(e, e->history + e->browsing);
    return LINEEDIT_CHANGED;
}

static enum lineedit_event newer(struct lineedit *e)
{
    if (e->browsing == e->history_len)
        return LINEEDIT_BELL;
    e->browsing += strlen(e->history + e->browsing) + 1;
    set_text(e, e->browsing == e->history_len ? e->kept : e->history + e->browsing);
    return LINEEDIT_CHANGED;
}

/* ---- completion ---- */

size_t lineedit_word(const struct lineedit *e)
{
    size_t from = e->cursor;

    while (from && e->text[from - 1] != ' ')
        from--;
    return from;
}

/* What all completions begin with; how many there are. */
static unsigned common_prefix(struct lineedit *e, size_t word, char *common)
{
    char line[LINEEDIT_MAX], next[LINEEDIT_MAX];
    unsigned n = 0;

    memcpy(line, e->text, e->cursor);
    line[e->cursor] = '\0';
    for (; e->complete(e->complete_ctx, line, word, n, next, sizeof(next)); n++) {
        size_t same = 0;

        if (!n)
            memcpy(common, next, sizeof(next));
        while (common[same] && common[same] == next[same])
            same++;
        common[same] = '\0';
    }
    return n;
}

static enum lineedit_event complete(struct lineedit *e)
{
    size_t word = lineedit_word(e), have = e->cursor - word;
    char common[LINEEDIT_MAX];
    unsigned n = e->complete ? common_prefix(e, word, common) : 0;

    if (!n || strlen(common) < have)
        return LINEEDIT_BELL;
    if (n > 1 && strlen(common) == have)
        return LINEEDIT_LIST;
    if (!insert(e, common + have, strlen(common) - have))
        return LINEEDIT_BELL;
    if (n == 1)
        insert(e, " ", 1);
    return LINEEDIT_CHANGED;
}

/* ---- keys ---- */

/* A complete sequence, without its ESC: as terminals of the xterm, VT and rxvt families send them. */
static enum lineedit_event sequence_key(struct lineedit *e, const char *s)
{
    static const struct {
        const char *sequence;
        char key;
    } keys[] = {
        {"[A", CTRL('P')},  {"[B", CTRL('N')},  {"[C", CTRL('F')},  {"[D", CTRL('B')},
        {"[H", CTRL('A')},  {"[F", CTRL('E')},  {"[1~", CTRL('A')}, {"[4~", CTRL('E')},
        {"[7~", CTRL('A')}, {"[8~", CTRL('E')}, {"OA", CTRL('P')},  {"OB", CTRL('N')},
        {"OC", CTRL('F')},  {"OD", CTRL('B')},  {"OH", CTRL('A')},  {"OF", CTRL('E')},
    };

    if (!strcmp(s, "[3~")) /* Ctrl-D would end an empty line */
        return delete_here(e);
    for (unsigned i = 0; i < ARRAY_LEN(keys); i++)
        if (!strcmp(s, keys[i].sequence))
            return lineedit_key(e, keys[i].key);
    return LINEEDIT_BELL;
}

/* ECMA-48: a control sequence ends with a byte from @ to ~; one that is too long is dropped whole. */
static enum lineedit_event sequence_byte(struct lineedit *e, char key)
{
    bool begins = e->sequence_len == 1, ends;
    char s[LINEEDIT_SEQUENCE];

    if (key == KEY_ESC) {
        e->sequence_len = 1;
        return LINEEDIT_NONE;
    }
    if (begins && key != '[' && key != 'O') {
        e->sequence_len = 0;
        return LINEEDIT_BELL; /* Alt and a key */
    }
    if (e->sequence_len < LINEEDIT_SEQUENCE)
        e->sequence[e->sequence_len++] = key;
    ends = !begins && key >= '@' && key <= '~';
    if (!ends && key >= ' ')
        return LINEEDIT_NONE;
    size_t len = e->sequence_len - 1u;
    bool whole = ends && e->sequence_len < LINEEDIT_SEQUENCE;
    memcpy(s, e->sequence + 1, len);
    s[len] = '\0';
    e->sequence_len = 0;
    return whole ? sequence_key(e, s) : LINEEDIT_BELL;
}

static enum lineedit_event control(struct lineedit *e, char key)
{
    switch (key) {
    case '\r':
    case '\n':
        return LINEEDIT_ENTER;
    case KEY_TAB:
        return complete(e);
    case KEY_ESC:
        e->sequence_len = 1;
        return LINEEDIT_NONE;
    case KEY_DELETE:
    case CTRL('H'):
        return cut(e, e->cursor ? e->cursor - 1 : 0, e->cursor);
    case CTRL('A'):
        return move(e, 0);
    case CTRL('B'):
        return left(e);
    case CTRL('C'):
        return LINEEDIT_CANCEL;
    case CTRL('D'):
        return e->len ? delete_here(e) : LINEEDIT_END;
    case CTRL('E'):
        return move(e, e->len);
    case CTRL('F'):
        return right(e);
    case CTRL('K'):
        return cut(e, e->cursor, e->len);
    case CTRL('L'):
        return LINEEDIT_REDRAW;
    case CTRL('N'):
        return newer(e);
    case CTRL('P'):
        return older(e);
    case CTRL('U'):
        return cut(e, 0, e->cursor);
    case CTRL('W'):
        return delete_word(e);
    default:
        return LINEEDIT_BELL;
    }
}

enum lineedit_event lineedit_key(struct lineedit *e, char key)
{
    bool second = e->after_cr && key == '\n';

    e->after_cr = key == '\r';
    if (second)
        return LINEEDIT_NONE;
    if (e->sequence_len)
        return sequence_byte(e, key);
    if ((unsigned char)key < ' ' || (unsigned char)key >= KEY_DELETE)
        return control(e, key);
    return insert(e, &key, 1) ? LINEEDIT_CHANGED : LINEEDIT_BELL;
}
