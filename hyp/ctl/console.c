// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/console.h"

#include <errno.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/spinlock.h"
#include "ctl/scrollback.h"
#include "ctl/terminal.h"
#include "mem/heap.h"
#include "sched/thread.h"
#include "sched/timer.h"

enum { INPUT = 1024, NAME = 32 };
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
    struct scrollback out;
    uint64_t taken; /* bytes of input that was read */
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

static bool is_shown(const struct console *c) { return c == (focus ? focus : shell); }

static void emit(struct console *c, const char *data, size_t len)
{
    scrollback_append(&c->out, data, len);
    if (!is_shown(c))
        return;
    if (c == shell)
        terminal_erase_edit(&terminal);
    terminal_write(&terminal, data, len);
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
                     c->name, c->out.written ? "" : " (no output yet)");
    else
        fmt_snprintf(text, sizeof(text),
                     "[trapline: shell (help lists commands); Ctrl-] for the next]");
    notice(text);
    if (c || shell)
        scrollback_replay(c ? &c->out : &shell->out, &terminal);
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

/* Tells the device at an end, if there is one, to look. The lock is given up meanwhile; calls keeps console and device. */
static void tell_locked(struct console *c, unsigned end)
{
    void (*ready)(void *device) = c->end[end].chr.ready;
    void *device = c->end[end].chr.device;

    if (!ready)
        return;
    c->calls++;
    spin_unlock(&lock);
    ready(device);
    spin_lock(&lock);
    c->calls--;
}

/* Input waits: whose it is looks. The lock as above. */
static void notify_locked(struct console *c)
{
    c->deliver = false;
    if (c->active < END_DEVICES && c->count)
        tell_locked(c, c->active);
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
    size_t n;

    spin_lock(&lock);
    c->announced = false;
    n = scrollback_read(&c->out, at, to, max);
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

uint64_t console_written(const struct console *c) { return c->out.written; }

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
    c->out.bytes = heap_alloc(SCROLLBACK);
    if (!c->out.bytes) {
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
    heap_free(c->out.bytes);
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
    if (!focus || !focus->out.written)
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
        for (unsigned i = 0; i < END_DEVICES; i++)
            tell_locked(c, i);
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
    scrollback_append(&shell->out, terminal.prompt, strlen(terminal.prompt));
    scrollback_append(&shell->out, terminal.text, terminal.len);
    scrollback_append(&shell->out, "\r\n", 2);
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
