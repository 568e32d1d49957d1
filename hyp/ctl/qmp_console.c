// SPDX-License-Identifier: BSD-2-Clause
// The protocol's commands about consoles.
#include <errno.h>
#include <string.h>

#include "ctl/cmd_kick.h"
#include "ctl/console.h"
#include "ctl/qmp_command.h"
#include "ctl/utf8.h"

enum { CONSOLE_CHUNK = 2048, TYPED = 1024 };

/* NULL with the description set. */
static struct vm *vm_with_console(struct qmp_call *c)
{
    struct vm *vm = qmp_vm(c);

    if (!vm || vm->console)
        return vm;
    qmp_fail(c, -EBUSY, "%s is still being made", vm->config.name);
    return NULL;
}

/* Each reader keeps its own position: where it wants to go on. */
int qmp_console_read(struct qmp_call *c)
{
    struct vm *vm = vm_with_console(c);
    char text[CONSOLE_CHUNK];
    uint64_t at = 0, wanted;
    size_t len;

    if (!vm)
        return -ENOENT;
    qmp_arg_u64(c, "position", &at);
    wanted = at;
    len = utf8_whole(text, console_history(vm->console, &at, text, sizeof(text)));
    json_begin_object(c->out, NULL);
    json_put_bytes(c->out, "data", text, len);
    json_put_u64(c->out, "position", at + len);
    json_put_u64(c->out, "lost", at > wanted ? at - wanted : 0);
    json_end_object(c->out);
    return 0;
}

int qmp_console_write(struct qmp_call *c)
{
    struct vm *vm = vm_with_console(c);
    char text[TYPED + 1];
    size_t taken;

    if (!vm)
        return -ENOENT;
    if (!qmp_arg_string(c, "data", text, sizeof(text)))
        return qmp_fail(c, -EINVAL, "Parameter 'data' is longer than %d bytes, or has a NUL",
                        TYPED);
    taken = console_type(vm->console, text, strlen(text));
    json_begin_object(c->out, NULL);
    json_put_u64(c->out, "written", taken); /* the rest found no room: the guest does not read */
    json_end_object(c->out);
    return 0;
}

int qmp_sysrq(struct qmp_call *c)
{
    struct vm *vm = vm_with_console(c);
    char key[2] = "";

    if (!vm)
        return -ENOENT;
    if (!qmp_arg_string(c, "key", key, sizeof(key)) || !key[0])
        return qmp_fail(c, -EINVAL, "Parameter 'key' is not one character");
    if (!kick_sysrq(vm->console, key[0]))
        return qmp_fail(c, -EAGAIN,
                        "%s does not read its console, so nothing comes through there: inject-nmi",
                        vm->config.name);
    return 0;
}
