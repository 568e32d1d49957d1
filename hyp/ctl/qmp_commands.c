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

/* As in QEMU: what the command prints is the value, its complaints too. */
int qmp_human_monitor_command(struct qmp_call *c)
{
    struct command_out out = qmp_text(c->out);
    char line[COMMAND_LINE];

    if (!qmp_arg_string(c, "command-line", line, sizeof(line)))
        return qmp_fail(c, -EINVAL, "Parameter 'command-line' is not a line of at most %d bytes",
                        COMMAND_LINE - 1);
    json_begin_string(c->out, NULL);
    (void)command_run(&out, line);
    json_end_string(c->out);
    return 0;
}

int qmp_quit(struct qmp_call *c)
{
    vm_machine_off(false);
    return qmp_fail(c, -EIO, "the firmware cannot power this machine off");
}
