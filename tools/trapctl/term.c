// SPDX-License-Identifier: BSD-2-Clause
#include "term.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "exit.h"
#include "stream.h"

/* The alternate screen, no cursor, and lines that are too long are cut rather than wrapped. */
#define SCREEN_ON "\033[?1049h\033[?25l\033[?7l"
#define SCREEN_OFF "\033[?7h\033[?25h\033[?1049l"

static struct termios before, during;
static volatile sig_atomic_t active, flags_now, changed;
static bool registered, catching;
static const int deadly[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT, SIGPIPE};

void term_size(unsigned *columns, unsigned *rows)
{
    struct winsize w;

    *columns = 80;
    *rows = 24;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w))
        return;
    if (w.ws_col)
        *columns = w.ws_col;
    if (w.ws_row)
        *rows = w.ws_row;
}

/* Called by handlers, too. */
static void put(const char *s)
{
    ssize_t ignored = write(STDOUT_FILENO, s, strlen(s));

    (void)ignored;
}

static void take(void)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &during);
    if (flags_now & TERM_SCREEN)
        put(SCREEN_ON);
}

static void give_back(void)
{
    if (flags_now & TERM_SCREEN)
        put(SCREEN_OFF);
    tcsetattr(STDIN_FILENO, TCSANOW, &before); /* which cannot wait */
}

static void raise_default(int sig)
{
    sigset_t set;

    signal(sig, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, sig);
    raise(sig);
    sigprocmask(SIG_UNBLOCK, &set, NULL); /* here it acts */
}

static void on_deadly(int sig)
{
    if (active) {
        active = 0;
        give_back();
    }
    raise_default(sig);
}

static void set_handler(int sig, void (*handler)(int))
{
    struct sigaction a = {.sa_handler = handler}; /* without SA_RESTART: waits end */

    sigaction(sig, &a, NULL);
}

static void on_stop(int sig)
{
    int saved = errno;

    give_back();
    raise_default(sig);
    set_handler(sig, on_stop); /* goes on here after SIGCONT */
    take();
    changed = 1;
    errno = saved;
}

static void on_change(int sig)
{
    (void)sig;
    changed = 1;
}

int term_guard(void)
{
    if (tcgetattr(STDIN_FILENO, &before))
        return say_error(EXIT_LOCAL, "standard input is no terminal: %s", strerror(errno));
    flags_now = 0;
    for (unsigned i = 0; i < sizeof(deadly) / sizeof(*deadly); i++)
        if (deadly[i] != SIGINT || !catching)
            set_handler(deadly[i], on_deadly);
    active = 1;
    if (!registered)
        registered = !atexit(term_restore);
    return EXIT_OK;
}

int term_raw(int flags)
{
    int code = term_guard();

    if (code)
        return code;
    during = before;
    cfmakeraw(&during);
    if (flags & TERM_SIGNALS)
        during.c_lflag |= ISIG;
    if (flags & TERM_SCREEN)
        during.c_oflag |= OPOST;
    flags_now = flags;
    set_handler(SIGTSTP, on_stop);
    set_handler(SIGWINCH, on_change);
    take();
    return EXIT_OK;
}

void term_restore(void)
{
    if (!active)
        return;
    active = 0;
    give_back();
    for (unsigned i = 0; i < sizeof(deadly) / sizeof(*deadly); i++)
        if (deadly[i] != SIGINT || !catching)
            signal(deadly[i], SIG_DFL);
    signal(SIGTSTP, SIG_DFL);
    signal(SIGWINCH, SIG_DFL);
}

bool term_changed(void)
{
    bool was = changed;

    changed = 0;
    return was;
}

static void on_interrupt(int sig)
{
    (void)sig;
    stream_interrupted = 1;
}

void term_catch_interrupt(bool on)
{
    catching = on;
    set_handler(SIGINT, on ? on_interrupt : SIG_DFL);
}
