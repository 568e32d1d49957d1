// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/console.h"

#include <errno.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/spinlock.h"
#include "ctl/terminal.h"
#include "mem/heap.h"
#include "sched/thread.h"
#include "sched/timer.h"

enum { SCROLLBACK = 16384, INPUT = 1024, REPLAY_LINES = 20, NAME = 32 };
enum { END_VIRTIO, END_UART, END_DEVICES, END_SBI = END_DEVICES, END_NONE };
enum { PIECE = 16, WRITE_US = 500 }; /* characters at once; time of one call */
enum { KEY_ESCAPE = 0x1D /* Ctrl-] */, KEY_SYSRQ = 0x0F /* Ctrl-O */ };

struct console_end {
    struct chr_backend chr;
    struct console *console;
    uint8_t number;
};

struct console {
    struct list node;
    char name[NAME];
    char *ring;             /* SCROLLBACK bytes; byte n of all output is at n % SCROLLBACK */
    uint64_t written, taken; /* bytes of output ever; of input that was read */
    uint64_t id;
    unsigned watchers;
    bool announced; /* watchers have been woken for what was written */
    char input[INPUT];
    uint32_t head, count;   /* of input */
    uint8_t active;         /* the end that wrote last, and gets the input */
    bool deliver;           /* input waits for a device that does not know yet */
    unsigned calls;         /* ready() calls under way */
    struct console_end end[END_DEVICES];
};

static struct spinlock lock = SPINLOCK_INIT(LOCK_TERMINAL);
static struct list consoles = LIST_INIT(consoles); /* of VMs, in order of creation */
static struct console *focus;                      /* NULL: the shell */
static struct console *shell;
static void (*shell_wake)(void);
static struct terminal terminal = {.columns = TERMINAL_COLUMNS, .rows = TERMINAL_ROWS};

/* ---- output, with the lock held ---- */

static void ring_append(struct console *c, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        c->ring[c->written++ % SCROLLBACK] = data[i];
}

static bool is_shown(const struct console *c) { return c == (focus ? focus : shell); }

static void emit(struct console *c, const char *data, size_t len)
{
    ring_append(c, data, len);
    if (!is_shown(c))
        return;
    if (c == shell)
        terminal_erase_edit(&terminal);
    terminal_write(&terminal, data, len);
}

enum { ESC = 0x1B, ENQ = 0x05 };

/* The byte that is n after from, or 0 at the end. */
static char ring_at(const struct console *c, uint64_t from, uint64_t n)
{
    return from + n < c->written ? c->ring[(from + n) % SCROLLBACK] : '\0';
}

/* Bytes of a control sequence at from that asks the terminal for an answer (cursor position, what it
 * is), else 0: asked again, the answers would be typed into whatever has the focus. */
static uint64_t question_length(const struct console *c, uint64_t from)
{
    uint64_t n = 2;
    char last;

    if (ring_at(c, from, 0) == ENQ)
        return 1;
    if (ring_at(c, from, 0) != ESC)
        return 0;
    if (ring_at(c, from, 1) == 'Z')
        return 2;
    if (ring_at(c, from, 1) != '[')
        return 0;
    while ((last = ring_at(c, from, n)) >= ' ' && last < '@')
        n++;
    return last == 'n' || last == 'c' || last == 't' ? n + 1 : 0;
}

static void replay_bytes(struct console *c, uint64_t from)
{
    while (from < c->written) {
        uint64_t question = question_length(c, from), at = from % SCROLLBACK, n = 0;
        uint64_t room = min_u64(c->written - from, SCROLLBACK - at);

        if (question) {
            from += question;
            continue;
        }
        while (n < room && !question_length(c, from + n))
            n++;
        terminal_write(&terminal, c->ring + at, n);
        from += n;
    }
}

/* Whole lines, as many as are wanted and there. A start in the middle of an escape sequence would
 * show rubbish. */
static void replay(struct console *c)
{
    uint64_t oldest = c->written > SCROLLBACK ? c->written - SCROLLBACK : 0, from = c->written;
    unsigned lines = 0;

    while (from > oldest) {
        if (c->ring[(from - 1) % SCROLLBACK] == '\n' && from != c->written &&
            ++lines == REPLAY_LINES)
            break;
        from--;
    }
    if (from == oldest && oldest > 0) /* the first line is not whole */
        while (from < c->written && c->ring[from++ % SCROLLBACK] != '\n')
            ;
    replay_bytes(c, from);
}

static void notice(const char *text) { terminal_line(&terminal, "", text, strlen(text)); }

static void give_focus(struct console *c)
{
    char text[NAME + 64];

    if (focus == c)
        return;
    terminal_erase_edit(&terminal);
    focus = c;
    if (terminal.interactive)
        terminal_write(&terminal, "\x1b[0m", 4);
    if (c)
        fmt_snprintf(text, sizeof(text), "[trapline: console of %s%s; Ctrl-] for the next]",
                     c->name, c->written ? "" : " (no output yet)");
    else
        fmt_snprintf(text, sizeof(text),
                     "[trapline: shell (help lists commands); Ctrl-] for the next]");
    notice(text);
    if (c || shell)
        replay(c ? c : shell);
    if (!c)
        terminal_draw_edit(&terminal);
}

static struct console *list_console(struct list *l)
{
    return CONTAINER_OF(l, struct console, node);
}

static void focus_next(void)
{
    struct list *next = focus ? focus->node.next : consoles.next;

    give_focus(next == &consoles ? NULL : list_console(next));
}

/* ---- input ---- */

static size_t push(struct console *c, const char *data, size_t len)
{
    size_t n = min_u64(len, INPUT - c->count);

    for (size_t i = 0; i < n; i++)
        c->input[(c->head + c->count++) % INPUT] = data[i];
    return n;
}

static size_t take(struct console *c, char *to, size_t max)
{
    size_t n = min_u64(max, c->count);

    for (size_t i = 0; i < n; i++) {
        to[i] = c->input[c->head];
        c->head = (c->head + 1) % INPUT;
    }
    c->count -= (uint32_t)n;
    c->taken += n;
    return n;
}

/* Tells the device that input waits. The lock is given up meanwhile; calls keeps console and
 * device. */
static void notify_locked(struct console *c)
{
    struct chr_backend *chr;

    c->deliver = false;
    if (c->active >= END_DEVICES || !c->count)
        return;
    chr = &c->end[c->active].chr;
    void (*ready)(void *device) = chr->ready;
    void *device = chr->device;
    if (!ready)
        return;
    c->calls++;
    spin_unlock(&lock);
    ready(device);
    spin_lock(&lock);
    c->calls--;
}

static void wake_shell(void)
{
    if (shell_wake)
        shell_wake();
}

void console_host_input(const char *data, size_t len)
{
    bool for_shell = false;

    spin_lock(&lock);
    terminal.interactive = true;
    while (len) {
        const char *escape = memchr(data, KEY_ESCAPE, len);
        size_t n = escape ? (size_t)(escape - data) : len;

        if (n && focus) {
            push(focus, data, n);
            notify_locked(focus);
        } else if (n && shell) {
            push(shell, data, n);
            for_shell = true;
        }
        if (escape) {
            focus_next();
            n++;
        }
        data += n;
        len -= n;
    }
    spin_unlock(&lock);
    if (for_shell)
        wake_shell();
}

size_t console_type(struct console *c, const char *data, size_t len)
{
    size_t n;

    spin_lock(&lock);
    n = push(c, data, len);
    notify_locked(c);
    spin_unlock(&lock);
    return n;
}

/* The lock is given up meanwhile, as in notify_locked. False: the device has no such thing, or no room. */
static bool line_break_locked(struct console *c)
{
    struct chr_backend *chr = &c->end[c->active].chr;
    bool (*line_break)(void *device) = chr->line_break;
    void *device = chr->device;
    bool done;

    c->calls++;
    spin_unlock(&lock);
    done = line_break(device);
    spin_lock(&lock);
    c->calls--;
    return done;
}

bool console_sysrq(struct console *c, char key)
{
    const char keys[] = {KEY_SYSRQ, key};
    bool done = false;

    spin_lock(&lock);
    if (c->count == 0) {
        if (c->active < END_DEVICES && c->end[c->active].chr.line_break)
            done = line_break_locked(c) && push(c, &key, 1) == 1;
        else
            done = push(c, keys, 2) == 2;
        notify_locked(c);
    }
    spin_unlock(&lock);
    return done;
}

void console_deliver(void)
{
    bool again;

    do {
        again = false;
        spin_lock(&lock);
        LIST_FOR_EACH(l, &consoles)
        {
            struct console *c = list_console(l);

            if (!c->deliver)
                continue;
            notify_locked(c); /* the list may have changed meanwhile */
            again = true;
            break;
        }
        spin_unlock(&lock);
    } while (again);
}

/* ---- a VM's ends ---- */

static void write_piece(struct console *c, unsigned number, const char *data, size_t len)
{
    bool wake = false;

    spin_lock(&lock);
    if (c->active != number) {
        c->active = (uint8_t)number;
        /* The device holds its own lock now, so somebody else must tell it. */
        c->deliver = wake = c->count && number < END_DEVICES;
    }
    emit(c, data, len);
    if (c->watchers && !c->announced)
        c->announced = wake = true;
    spin_unlock(&lock);
    if (wake)
        wake_shell();
}

/* A serial line is slow, and its driver waits: so a guest that has the terminal gives the lock back to other
 * writers now and then, and its hart to the scheduler (the rest is tried again). */
static size_t end_write(struct console *c, unsigned number, const char *data, size_t len)
{
    uint64_t end = arch_time() + timer_us(WRITE_US);
    size_t done = 0;

    do {
        size_t n = min_u64(len - done, PIECE);

        write_piece(c, number, data + done, n);
        done += n;
    } while (done < len && (c == shell || arch_time() < end));
    return done;
}

static size_t device_write(void *ctx, const char *data, size_t len)
{
    struct console_end *e = ctx;

    return end_write(e->console, e->number, data, len);
}

static size_t device_read(void *ctx, char *to, size_t max)
{
    struct console_end *e = ctx;
    size_t n = 0;

    spin_lock(&lock);
    if (e->console->active == e->number)
        n = take(e->console, to, max);
    spin_unlock(&lock);
    return n;
}

static void device_size(void *ctx, uint16_t *columns, uint16_t *rows)
{
    (void)ctx;
    console_get_size(columns, rows);
}

size_t console_write(struct console *c, const char *data, size_t len)
{
    return end_write(c, END_SBI, data, len);
}

size_t console_history(struct console *c, uint64_t *at, char *to, size_t max)
{
    size_t n = 0;

    spin_lock(&lock);
    if (*at > c->written)
        *at = c->written;
    if (c->written - *at > SCROLLBACK)
        *at = c->written - SCROLLBACK;
    c->announced = false;
    while (n < max && *at + n < c->written) {
        to[n] = c->ring[(*at + n) % SCROLLBACK];
        n++;
    }
    spin_unlock(&lock);
    return n;
}

uint64_t console_id(const struct console *c) { return c->id; }

void console_watch(struct console *c, bool watch)
{
    spin_lock(&lock);
    c->watchers += watch ? 1u : -1u;
    spin_unlock(&lock);
}

uint64_t console_written(const struct console *c) { return c->written; }

uint64_t console_taken(const struct console *c) { return c->taken; }

/* A guest that polls by SBI wants input even if it has written nothing: END_NONE is its too. */
size_t console_read(struct console *c, char *to, size_t max)
{
    size_t n = 0;

    spin_lock(&lock);
    if (c->active >= END_DEVICES)
        n = take(c, to, max);
    spin_unlock(&lock);
    return n;
}

struct chr_backend *console_backend(struct console *c, unsigned n)
{
    return n < END_DEVICES ? &c->end[n].chr : NULL;
}

/* ---- life ---- */

static struct console *make(const char *name)
{
    static atomic_uint made;
    struct console *c = heap_alloc(sizeof(*c));

    if (!c)
        return NULL;
    c->ring = heap_alloc(SCROLLBACK);
    if (!c->ring) {
        heap_free(c);
        return NULL;
    }
    fmt_snprintf(c->name, sizeof(c->name), "%s", name);
    c->active = END_NONE;
    c->id = atomic_fetch_add(&made, 1) + 1u;
    list_init(&c->node);
    for (unsigned i = 0; i < END_DEVICES; i++) {
        struct console_end *e = &c->end[i];

        e->console = c;
        e->number = (uint8_t)i;
        e->chr.write = device_write;
        e->chr.read = device_read;
        e->chr.size = device_size;
        e->chr.ctx = e;
    }
    return c;
}

uint64_t console_memory(void)
{
    return heap_takes(sizeof(struct console)) + heap_takes(SCROLLBACK);
}

struct console *console_create(const char *name)
{
    struct console *c = make(name);

    if (!c)
        return NULL;
    spin_lock(&lock);
    list_push_back(&consoles, &c->node);
    spin_unlock(&lock);
    return c;
}

void console_detach(struct console *c)
{
    spin_lock(&lock);
    for (unsigned i = 0; i < END_DEVICES; i++) {
        c->end[i].chr.ready = NULL;
        c->end[i].chr.line_break = NULL;
        c->end[i].chr.device = NULL;
    }
    c->active = END_NONE;
    c->head = c->count = 0;
    while (c->calls) {
        spin_unlock(&lock);
        thread_yield();
        spin_lock(&lock);
    }
    spin_unlock(&lock);
}

void console_destroy(struct console *c)
{
    console_detach(c);
    spin_lock(&lock);
    if (focus == c)
        focus_next();
    list_remove(&c->node);
    spin_unlock(&lock);
    heap_free(c->ring);
    heap_free(c);
}

void console_set_focus(struct console *c)
{
    spin_lock(&lock);
    give_focus(c == shell ? NULL : c);
    spin_unlock(&lock);
}

bool console_has_focus(const struct console *c)
{
    bool yes;

    spin_lock(&lock);
    yes = c == shell || !c ? !focus : focus == c;
    spin_unlock(&lock);
    return yes;
}

/* ---- the terminal ---- */

void console_set_host(void (*write)(const char *data, size_t len))
{
    spin_lock(&lock);
    terminal.write = write;
    spin_unlock(&lock);
}

void console_log(enum log_level level, const char *line, size_t len)
{
    spin_lock(&lock);
    if (!focus || !focus->written)
        terminal_line(&terminal, "", line, len);
    else if (level <= LOG_NOTICE)
        terminal_line(&terminal, "[trapline] ", line, len);
    spin_unlock(&lock);
}

void console_set_size(uint16_t columns, uint16_t rows)
{
    unsigned passed = 0;

    spin_lock(&lock);
    terminal.columns = columns;
    terminal.rows = rows;
    /* Each device is told once, even if consoles come and go meanwhile. */
    for (;;) {
        struct list *l = consoles.next;
        struct console *c;

        for (unsigned i = 0; i < passed && l != &consoles; i++)
            l = l->next;
        if (l == &consoles)
            break;
        c = list_console(l);
        passed++;
        for (unsigned i = 0; i < END_DEVICES; i++) {
            void (*ready)(void *device) = c->end[i].chr.ready;
            void *device = c->end[i].chr.device;

            if (!ready)
                continue;
            c->calls++;
            spin_unlock(&lock);
            ready(device);
            spin_lock(&lock);
            c->calls--;
        }
    }
    spin_unlock(&lock);
}

void console_get_size(uint16_t *columns, uint16_t *rows)
{
    *columns = terminal.columns;
    *rows = terminal.rows;
}

/* ---- the shell's side ---- */

int console_shell_start(void (*wake)(void))
{
    struct console *c = make("shell");

    if (!c)
        return -ENOMEM;
    spin_lock(&lock);
    c->active = END_SBI;
    shell = c;
    shell_wake = wake;
    spin_unlock(&lock);
    return 0;
}

struct console *console_shell(void) { return shell; }

static void scroll_edit(void)
{
    ring_append(shell, terminal.prompt, strlen(terminal.prompt));
    ring_append(shell, terminal.text, terminal.len);
    ring_append(shell, "\r\n", 2);
}

void console_edit(const char *prompt, const char *text, size_t len, size_t cursor)
{
    spin_lock(&lock);
    if (text) {
        terminal_set_edit(&terminal, prompt, text, len, cursor);
        if (!focus)
            terminal_draw_edit(&terminal);
    } else if (terminal.editing) {
        scroll_edit();
        terminal_commit_edit(&terminal);
    }
    spin_unlock(&lock);
}

void console_clear_screen(void)
{
    spin_lock(&lock);
    if (!focus && terminal.interactive) {
        terminal_erase_edit(&terminal);
        terminal_write(&terminal, "\x1b[H\x1b[2J", 7);
        terminal.mid_line = false;
    }
    spin_unlock(&lock);
}
