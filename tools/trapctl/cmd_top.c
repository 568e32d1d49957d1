// SPDX-License-Identifier: BSD-2-Clause
// top: on a terminal a screen that is drawn anew at each look, and keys; otherwise tables, one after the other.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "exit.h"
#include "term.h"
#include "text.h"
#include "top_view.h"

enum { INTERVAL_MS = 2000, FIRST_MS = 500, HEADER = TOP_MACHINE_LINES + 3 };

struct top {
    struct ctl *c;
    struct top_view view;
    struct sample before, now;
    struct sample_row *rows;
    size_t count, first; /* the first row shown */
    struct sample_host host;
    unsigned interval_ms, terminal_rows;
    bool vcpus, help, done, look;
};

static int look(struct top *t)
{
    struct sample s;
    int code = sample_take(t->c, t->vcpus, &s);

    if (code)
        return code;
    sample_free(&t->before);
    t->before = t->now;
    t->now = s;
    free(t->rows);
    t->count = sample_rows(&t->before, &t->now, &t->rows);
    sample_host(&t->before, &t->now, &t->host);
    return EXIT_OK;
}

static void forget(struct top *t)
{
    sample_free(&t->before);
    sample_free(&t->now);
    free(t->rows);
}

/* ---- the screen ---- */

static void put_title(const struct top *t, FILE *to)
{
    char line[512], up[TEXT_NUMBER];
    unsigned columns = t->view.columns;

    snprintf(line, sizeof(line),
             "trapctl top   %s   %u VM%s, %u running   up %s   by %s%s, every %g s", t->c->where,
             t->host.vms, t->host.vms == 1 ? "" : "s", t->host.running,
             text_duration((uint64_t)t->host.uptime, up), top_column_key(t->view.sort),
             t->view.reversed ? " (reversed)" : "", t->interval_ms / 1000.0);
    fprintf(to, "%.*s", (int)columns, line);
}

static void put_help(const struct top *t, FILE *to)
{
    static const char *const keys[] = {
        "q  end               < >  sort by the column before, behind (arrows too)",
        "N C W M E T          sort by name, CPU, waiting, memory, exits, time",
        "R  turn round        v    vCPUs             + -  look less, more often",
        "space  look now      up, down, page up, page down  scroll         h  back"};
    char line[256];

    for (unsigned i = 0; i < sizeof(keys) / sizeof(*keys) && HEADER + i < t->terminal_rows; i++)
        fprintf(to, "%.*s\033[K\n", (int)t->view.columns, keys[i]);
    for (unsigned i = 0; i < top_column_count && HEADER + 5 + i < t->terminal_rows; i++) {
        snprintf(line, sizeof(line), "%-8s %s", top_column_key(i), top_column_help(i));
        fprintf(to, "%s%.*s\033[K", i ? "\n" : "\033[K\n", (int)t->view.columns, line);
    }
}

static void put_rows(struct top *t, FILE *to)
{
    size_t room = t->terminal_rows > HEADER ? t->terminal_rows - HEADER : 0;

    if (t->first + room > t->count)
        t->first = t->count > room ? t->count - room : 0;
    top_put_headings(&t->view, to);
    for (size_t i = t->first; i < t->count && i < t->first + room; i++) {
        fputs("\033[K\n", to);
        top_put_row(&t->view, &t->rows[i], to);
    }
    if (!t->count)
        fputs("\033[K\n(no VMs: trapctl run BUNDLE)", to);
}

/* As much of the text as has room: more would scroll. */
static size_t clip(const char *text, size_t len, unsigned rows)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\n' && !--rows)
            return i;
    return len;
}

/* All of it in one write: nothing flickers. */
static void draw(struct top *t)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    if (!to)
        return;
    term_size(&t->view.columns, &t->terminal_rows);
    top_sort(&t->view, t->rows, t->count);
    fputs("\033[H", to);
    put_title(t, to);
    for (unsigned i = 0; i < TOP_MACHINE_LINES; i++) {
        fputs("\033[K\n", to);
        top_put_machine(&t->view, &t->host, i, to);
    }
    fputs("\033[K\n\033[K\n", to);
    if (t->help)
        put_help(t, to);
    else
        put_rows(t, to);
    fputs("\033[K\033[J", to);
    fclose(to);
    fwrite(text, 1, clip(text, len, t->terminal_rows), stdout);
    fflush(stdout);
    free(text);
}

/* ---- keys ---- */

/* To the next column that is shown. */
static void move_sort(struct top *t, int step)
{
    int i = (int)t->view.sort;

    do {
        i = (i + step + (int)top_column_count) % (int)top_column_count;
    } while (
        !top_column_shown(&(struct top_view){.sort = 0, .columns = t->view.columns}, (unsigned)i));
    t->view.sort = (unsigned)i;
}

static void scroll(struct top *t, long by)
{
    size_t back = (size_t)-by;

    if (by < 0)
        t->first -= t->first < back ? t->first : back;
    else
        t->first += (size_t)by; /* drawing keeps it within the rows */
}

/* What arrows and the like send, behind the escape. */
static void sequence(struct top *t, const char *s)
{
    long page = t->terminal_rows > HEADER ? (long)t->terminal_rows - HEADER : 1;

    if (!strcmp(s, "[A") || !strcmp(s, "OA"))
        scroll(t, -1);
    else if (!strcmp(s, "[B") || !strcmp(s, "OB"))
        scroll(t, 1);
    else if (!strcmp(s, "[5~"))
        scroll(t, -page);
    else if (!strcmp(s, "[6~"))
        scroll(t, page);
    else if (!strcmp(s, "[C") || !strcmp(s, "OC"))
        move_sort(t, 1);
    else if (!strcmp(s, "[D") || !strcmp(s, "OD"))
        move_sort(t, -1);
    else if (!*s)
        t->done = !t->help, t->help = false;
}

static void change_interval(struct top *t, bool longer)
{
    unsigned ms = longer ? t->interval_ms * 2 : t->interval_ms / 2;

    t->interval_ms = ms < 125 ? 125 : ms > 64000 ? 64000 : ms;
}

static void key(struct top *t, char k)
{
    static const char keys[] = "NCWMET";
    static const char *const sorts[] = {"name", "cpu", "wait", "mapped", "exits", "time"};
    const char *at = strchr(keys, k);

    if (k && at)
        t->view.sort = (unsigned)top_column_find(sorts[at - keys]);
    else if (k == 'q' || k == 3 || k == 4)
        t->done = true;
    else if (k == '<' || k == '>')
        move_sort(t, k == '<' ? -1 : 1);
    else if (k == 'R')
        t->view.reversed = !t->view.reversed;
    else if (k == 'v')
        t->vcpus = !t->vcpus, t->look = true;
    else if (k == '+' || k == '-')
        change_interval(t, k == '+');
    else if (k == ' ')
        t->look = true;
    else if (k == 'h' || k == '?')
        t->help = !t->help;
    else if (k == 12)
        fputs("\033[2J", stdout);
}

/* What was typed: keys, and sequences, which come in one piece. False: there is no more input. */
static bool typed(struct top *t)
{
    char in[64];
    ssize_t n = read(STDIN_FILENO, in, sizeof(in) - 1);

    if (n <= 0)
        return n < 0 && (errno == EINTR || errno == EAGAIN);
    in[n] = '\0';
    if (in[0] == '\033')
        sequence(t, in + 1);
    else
        for (ssize_t i = 0; i < n; i++)
            key(t, in[i]);
    return true;
}

/* Until it is time for the next look. The connection is watched too: its end is seen at once. */
static void wait_for_keys(struct top *t, int64_t until)
{
    while (!t->done && !t->look) {
        struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                              {.fd = t->c->qmp.stream.fd, .events = POLLIN}};
        int64_t left = until - stream_now();

        if (left <= 0)
            return;
        poll(p, 2, (int)left);
        if (stream_interrupted)
            t->done = true;
        if (p[0].revents && !typed(t))
            t->done = true;
        if (p[1].revents) {
            stream_fill(&t->c->qmp.stream);
            if (t->c->qmp.stream.ended)
                return;
        }
        if (p[0].revents || term_changed())
            draw(t);
    }
}

static int run_screen(struct top *t)
{
    bool soon = true; /* first rates are since the machine's start, and of vCPUs there are none */
    int code = look(t);

    if (!code)
        code = term_raw(TERM_RAW | TERM_SIGNALS | TERM_SCREEN);
    while (!code && !t->done) {
        draw(t);
        wait_for_keys(t, stream_now() + (soon ? FIRST_MS : (int)t->interval_ms));
        soon = t->vcpus && !t->now.vcpus;
        t->look = false;
        if (t->done)
            break;
        code = look(t);
    }
    term_restore();
    return code;
}

/* ---- tables ---- */

static void print_json(struct top *t)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < t->count; i++)
        json_array_append_new(rows, top_row_json(&t->rows[i]));
    ctl_print_json(rows);
    json_decref(rows);
}

static void print_table(struct top *t)
{
    if (isatty(STDOUT_FILENO))
        term_size(&t->view.columns, &t->terminal_rows);
    for (unsigned i = 0; i < TOP_MACHINE_LINES; i++) {
        top_put_machine(&t->view, &t->host, i, stdout);
        putchar('\n');
    }
    putchar('\n');
    top_put_headings(&t->view, stdout);
    putchar('\n');
    for (size_t i = 0; i < t->count; i++) {
        top_put_row(&t->view, &t->rows[i], stdout);
        putchar('\n');
    }
}

static int run_tables(struct top *t, uint64_t count)
{
    int code = look(t);

    for (uint64_t i = 0; !code && (!count || i < count); i++) {
        int64_t until = stream_now() + t->interval_ms;

        while (!stream_interrupted && stream_now() < until)
            poll(NULL, 0, (int)(until - stream_now()));
        code = look(t);
        if (code)
            break;
        if (i && !t->c->json)
            putchar('\n');
        top_sort(&t->view, t->rows, t->count);
        t->c->json ? print_json(t) : print_table(t);
        fflush(stdout);
        if (ferror(stdout))
            return EXIT_LOCAL;
    }
    return code;
}

int cmd_top(struct ctl *c, const struct args *a)
{
    struct top t = {.c = c, .interval_ms = INTERVAL_MS, .vcpus = a->value[TOP_VCPUS] != NULL};
    bool screen = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !a->value[TOP_ONCE] &&
                  !a->value[TOP_COUNT] && !c->json;
    int sort = top_column_find(a->value[TOP_SORT] ? a->value[TOP_SORT] : "cpu"), code;
    const char *term = getenv("TERM");
    uint64_t count = 1;

    if (sort < 0)
        return say_error(EXIT_USAGE, "top: --sort=%s: no such column (h in top explains them)",
                         a->value[TOP_SORT]);
    if (a->value[TOP_INTERVAL] && !text_interval(a->value[TOP_INTERVAL], &t.interval_ms))
        return say_error(EXIT_USAGE, "top: --interval=%s: not a number of seconds",
                         a->value[TOP_INTERVAL]);
    if (a->value[TOP_COUNT] && (!text_u64(a->value[TOP_COUNT], &count) || !count))
        return say_error(EXIT_USAGE, "top: --count=%s: not a number", a->value[TOP_COUNT]);
    if (screen && (!term || !*term || !strcmp(term, "dumb")))
        screen = false;
    t.view = (struct top_view){.sort = (unsigned)sort, .colors = screen};
    code = screen ? run_screen(&t) : run_tables(&t, count);
    forget(&t);
    return code;
}
