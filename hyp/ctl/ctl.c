// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/ctl.h"

#include <errno.h>

#include "base/log.h"
#include "ctl/console.h"
#include "ctl/control.h"
#include "ctl/shell.h"
#include "drv/drv.h"
#include "vm/vm.h"

static struct thread *thread;

void (*ctl_banner)(const struct platform *p, void (*emit)(void *ctx, const char *line), void *ctx);

bool ctl_has_terminal = true;

static void wake(void) { thread_wake(thread); }

/* The shell and all sessions of the machine protocol are run by one thread: no two commands at a time. */
static void control_main(void *arg)
{
    (void)arg;
    for (;;) {
        shell_step();
        if (!control_step())
            thread_block();
    }
}

static void give_first_focus(void)
{
    for (unsigned i = 0; i < VM_MAX; i++) {
        struct vm *vm = vm_at(i);

        if (vm && vm->config.autostart && vm->console) {
            console_set_focus(vm->console);
            return;
        }
    }
}

int ctl_start(void)
{
    int error;

    thread = thread_create("control", control_main, NULL);
    if (!thread)
        return -ENOMEM;
    if (ctl_has_terminal)
        console_set_host(host_console_write);
    log_set_sink(ctl_has_terminal ? console_log : NULL);
    give_first_focus(); /* before the shell draws its prompt */
    error = shell_init(wake);
    if (error)
        return error;
    control_start(wake);
    wake();
    return 0;
}
