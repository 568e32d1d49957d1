// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/terminal.h"

#include <string.h>

#include "base/log.h"

void terminal_write(struct terminal *t, const char *data, size_t len)
{
    if (!len)
        return;
    t->mid_line = data[len - 1] != '\n';
    if (t->write)
        t->write(data, len);
}

static void write_text(struct terminal *t, const char *text)
{
    terminal_write(t, text, strlen(text));
}

static void fresh_line(struct terminal *t)
{
    if (t->mid_line)
        write_text(t, "\r\n");
}

void terminal_line(struct terminal *t, const char *prefix, const char *line, size_t len)
{
    bool redraw = t->is_drawn;

    while (len && (line[len - 1] == '\n' || line[len - 1] == '\r'))
        len--;
    terminal_erase_edit(t);
    fresh_line(t);
    write_text(t, prefix);
    terminal_write(t, line, len);
    write_text(t, "\r\n");
    if (redraw)
        terminal_draw_edit(t);
}

void terminal_set_edit(struct terminal *t, const char *prompt, const char *text, size_t len,
                       size_t cursor)
{
    t->editing = text != NULL;
    if (!text)
        return;
    fmt_snprintf(t->prompt, sizeof(t->prompt), "%s", prompt);
    t->len = min_u64(len, sizeof(t->text));
    t->cursor = min_u64(cursor, t->len);
    memcpy(t->text, text, t->len);
}

/* The part of the line that fits into one row of the terminal, with the cursor in it: a row that
 * wraps cannot be drawn again without knowing the terminal better than we do. */
static size_t window(const struct terminal *t, char *to, size_t *cursor)
{
    size_t prompt = strlen(t->prompt), from = 0;
    size_t room = t->columns > prompt + 8 ? t->columns - prompt - 1 : 8;
    size_t shown;

    if (t->cursor >= room)
        from = t->cursor - room + 1;
    shown = min_u64(t->len - from, room);
    memcpy(to, t->prompt, prompt);
    memcpy(to + prompt, t->text + from, shown);
    *cursor = prompt + t->cursor - from;
    return prompt + shown;
}

/* Without knowing escape sequences, only at the end of what is there: typed and rubbed out
 * characters. */
static bool draw_at_end(struct terminal *t, const char *now, size_t len, size_t cursor)
{
    if (!t->is_drawn || cursor != len || t->drawn_cursor != t->drawn_len)
        return false;
    if (len >= t->drawn_len && !memcmp(now, t->drawn, t->drawn_len)) {
        terminal_write(t, now + t->drawn_len, len - t->drawn_len);
        return true;
    }
    if (len + 1 == t->drawn_len && !memcmp(now, t->drawn, len)) {
        write_text(t, "\b \b");
        return true;
    }
    return false;
}

void terminal_draw_edit(struct terminal *t)
{
    char now[sizeof(t->drawn)], back[16];
    size_t cursor, len;

    if (!t->editing)
        return;
    len = window(t, now, &cursor);
    if (!draw_at_end(t, now, len, cursor)) {
        if (t->is_drawn)
            write_text(t, "\r");
        else
            fresh_line(t);
        terminal_write(t, now, len);
        if (t->interactive) {
            write_text(t, "\x1b[K");
            if (cursor < len) {
                fmt_snprintf(back, sizeof(back), "\x1b[%uD", (unsigned)(len - cursor));
                write_text(t, back);
            }
        }
    }
    memcpy(t->drawn, now, len);
    t->drawn_len = len;
    t->drawn_cursor = cursor;
    t->is_drawn = true;
}

void terminal_erase_edit(struct terminal *t)
{
    if (!t->is_drawn)
        return;
    t->is_drawn = false;
    if (t->interactive) {
        write_text(t, "\r\x1b[K");
        t->mid_line = false;
    }
}

void terminal_commit_edit(struct terminal *t)
{
    if (t->is_drawn)
        write_text(t, "\r\n");
    t->is_drawn = false;
    t->editing = false;
}
