// SPDX-License-Identifier: BSD-2-Clause
// The console multiplexer: every VM has a console (a scroll-back ring and an input queue); one
// of them, or the hypervisor's shell, has the host's terminal (the focus). The escape key Ctrl-]
// gives it to the next one, then to the shell, then to the first again: a line says whose it is
// now, and the tail of its scroll-back is shown again.
//
// A VM's console has three ends that share it: the virtio console, the UART, and SBI calls. All
// write to it; what is typed goes to the end that wrote last, so that a UART that nobody opened
// takes no input from hvc0, and firmware, boot loader and kernel may each use their own. A
// literal Ctrl-] is typed by the shell's `send`.
// Invariants: guests' output reaches the terminal as it is; ours is CRLF and starts on a line of
// its own. Escape sequences are written only once somebody has typed something: output into a
// file or a pipe stays plain.
// Lock rank: LOCK_TERMINAL (inside; so output may be written with any other lock held). ready()
// of devices is called with no lock held. Callers: vm (attaches devices), ctl, the host's UART
// driver (input).
#pragma once
#include "base/log.h"
#include "vdev/backend.h"

struct console;
/* name is shown to people. NULL: out of memory. The first VM's console made takes no focus by
 * itself. */
struct console *console_create(const char *name);
/* Devices must be gone or detached. The focus moves on. */
void console_destroy(struct console *c);
uint64_t console_memory(void); /* bytes that one console takes */
/* The backend for the VM's console device number n (0: virtio, 1: UART); both share one console. */
struct chr_backend *console_backend(struct console *c, unsigned n);
/* For SBI DBCN, and the shell: raw bytes. How many were taken: the shell's all; of others at least some, fewer
 * than all when the terminal is slow. */
size_t console_write(struct console *c, const char *data, size_t len);
size_t console_read(struct console *c, char *to, size_t max);
/* Output that is remembered, from byte *at on (counted since the console was made; older than what is remembered:
 * the oldest there is): how many bytes, *at moved to the first of them. */
size_t console_history(struct console *c, uint64_t *at, char *to, size_t max);
/* A number that no other console has or had: whoever comes back later knows whether it is the same one. */
uint64_t console_id(const struct console *c);
/* As many times watched as not: while it is, the shell's wake is called when there is output that console_history has
 * not been asked for since. */
void console_watch(struct console *c, bool watch);
/* Bytes of output, and of input that was read, since the console was made. */
uint64_t console_written(const struct console *c);
uint64_t console_taken(const struct console *c);
/* Before its devices are destroyed: no ready() is under way, nor will be. The scroll-back stays.
 * May yield: from threads only, no lock held. */
void console_detach(struct console *c);
/* Bytes from the host's terminal. From the interrupt path or a thread, no lock held. */
void console_host_input(const char *data, size_t len);
/* The host's terminal: set by the UART driver or the SBI console. Must not block for long, take
 * locks or log. */
void console_set_host(void (*write)(const char *data, size_t len));

/* NULL: the shell. */
void console_set_focus(struct console *c);
bool console_has_focus(const struct console *c);
/* Puts bytes into the console's input as if typed; how many found room. */
size_t console_type(struct console *c, const char *data, size_t len);
/* Linux's magic SysRq with this key, as the end that gets the input has it: a break on the UART's line, Ctrl-O on
 * hvc; then the key. False, and nothing is typed, when what was typed before has not been read. */
bool console_sysrq(struct console *c, char key);
/* The log's sink: see base/log.h. All lines while the shell has the focus, or a VM that has written
 * nothing yet; else notices, warnings and errors. */
void console_log(enum log_level level, const char *line, size_t len);
/* What guests are told of the terminal: columns and rows, 1 .. 999. */
void console_set_size(uint16_t columns, uint16_t rows);
void console_get_size(uint16_t *columns, uint16_t *rows);

/* For the shell only. Its own console, once console_shell_start was called: -ENOMEM; wake is called
 * when it has input or console_deliver has work, any lock below LOCK_RUNQUEUE held. */
int console_shell_start(void (*wake)(void)) MUST_CHECK;
struct console *console_shell(void);
/* Input that waits for a device that has just become the one to get it. */
void console_deliver(void);
/* Clears the terminal, if the shell has it and somebody is there. */
void console_clear_screen(void);
/* The line being edited: prompt and text of it, and the cursor's place in text; shown if the shell
 * has the focus and drawn again after a log line. text NULL: none any more (its last state becomes
 * scroll-back). */
void console_edit(const char *prompt, const char *text, size_t len, size_t cursor);
