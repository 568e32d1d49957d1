// SPDX-License-Identifier: BSD-2-Clause
// The protocol's commands about itself, and the bridge to the shell's.
#include <errno.h>
#include <string.h>

#include "ctl/qmp_command.h"
#include "vm/vm.h"

enum { VERSION_MAJOR = 0, VERSION_MINOR = 1, VERSION_MICRO = 0 };

void qmp_put_version(struct json_out *o, const char *key)
{
    json_begin_object(o, key);
    json_begin_object(o, "qemu");
    json_put_u64(o, "major", VERSION_MAJOR);
    json_put_u64(o, "minor", VERSION_MINOR);
    json_put_u64(o, "micro", VERSION_MICRO);
    json_end_object(o);
    json_put_string(o, "package", "Trapline");
    json_end_object(o);
}

int qmp_query_version(struct qmp_call *c)
{
    qmp_put_version(c->out, NULL);
    return 0;
}

int qmp_query_commands(struct qmp_call *c)
{
    json_begin_array(c->out, NULL);
    for (unsigned i = 0; i < command_count; i++) {
        if (!commands[i].qmp_name)
            continue;
        json_begin_object(c->out, NULL);
        json_put_string(c->out, "name", commands[i].qmp_name);
        json_end_object(c->out);
    }
    json_end_array(c->out);
    return 0;
}

/* Runs the line that an argument is: what it prints, its complaints too, is one string. */
static int run_line(struct qmp_call *c, const char *argument, const char *key, bool *failed)
{
    struct command_out out = qmp_text(c->out);
    char line[COMMAND_LINE];

    if (!qmp_arg_string(c, argument, line, sizeof(line)))
        return qmp_fail(c, -EINVAL, "Parameter '%s' is not a line of at most %d bytes", argument,
                        COMMAND_LINE - 1);
    if (key)
        json_begin_object(c->out, NULL);
    json_begin_string(c->out, key);
    *failed = command_run(&out, line) != 0;
    json_end_string(c->out);
    return 0;
}

/* As in QEMU: the string is the value, and nothing says whether the command failed. */
int qmp_human_monitor_command(struct qmp_call *c)
{
    bool failed;

    return run_line(c, "command-line", NULL, &failed);
}

/* For who wants to know that. */
int qmp_shell_command(struct qmp_call *c)
{
    bool failed;
    int error = run_line(c, "line", "output", &failed);

    if (error)
        return error;
    json_put_bool(c->out, "failed", failed);
    json_end_object(c->out);
    return 0;
}

int qmp_quit(struct qmp_call *c)
{
    vm_machine_off(false);
    return qmp_fail(c, -EIO, "the firmware cannot power this machine off");
}
