// SPDX-License-Identifier: BSD-2-Clause
// The protocol's commands about consoles.
#include <errno.h>
#include <string.h>

#include "ctl/cmd_kick.h"
#include "ctl/console.h"
#include "ctl/qmp.h"
#include "ctl/qmp_command.h"
#include "ctl/utf8.h"
#include "mem/heap.h"
#include "vm/vm_account.h"

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

/* ---- attached consoles ---- */

/* A console is known by its VM's name and its own number, as either may be gone when one comes back to it. */
struct qmp_attachment {
    struct qmp_attachment *next;
    char vm[VM_NAME_MAX];
    uint64_t console;
    uint64_t position; /* what is sent next */
};

/* NULL: it is gone. */
static struct console *attached_console(const struct qmp_attachment *a)
{
    struct vm *vm = vm_find(a->vm);

    return vm && vm->console && console_id(vm->console) == a->console ? vm->console : NULL;
}

static void drop(struct qmp_attachment **place)
{
    struct qmp_attachment *a = *place;
    struct console *console = attached_console(a);

    if (console)
        console_watch(console, false);
    *place = a->next;
    heap_free(a);
}

/* Where the session's attachment to this VM is, or where a new one goes. */
static struct qmp_attachment **find_attachment(struct qmp_session *s, const struct vm *vm)
{
    struct qmp_attachment **place = &s->attached;

    while (*place && strcmp((*place)->vm, vm->config.name))
        place = &(*place)->next;
    return place;
}

int qmp_console_attach(struct qmp_call *c)
{
    struct vm *vm = vm_with_console(c);
    struct qmp_attachment **place, *a;
    uint64_t at = 0;

    if (!vm)
        return -ENOENT;
    if (c->session->quiet)
        return qmp_fail(c, -EINVAL, "this session gets no events: `console %s`", vm->config.name);
    place = find_attachment(c->session, vm);
    if (*place && attached_console(*place))
        return qmp_fail(c, -EEXIST, "this session is attached to %s already", vm->config.name);
    if (*place)
        drop(place); /* to another VM of that name, which is gone */
    a = heap_alloc(sizeof(*a));
    if (!a)
        return qmp_fail(c, -ENOMEM, "out of memory");
    qmp_arg_u64(c, "position", &at);
    (void)console_history(vm->console, &at, NULL, 0);
    memcpy(a->vm, vm->config.name, sizeof(a->vm));
    a->console = console_id(vm->console);
    a->position = at;
    a->next = c->session->attached;
    c->session->attached = a;
    console_watch(vm->console, true);
    json_begin_object(c->out, NULL);
    json_put_u64(c->out, "position", at);
    json_end_object(c->out);
    return 0;
}

int qmp_console_detach(struct qmp_call *c)
{
    struct vm *vm = qmp_vm(c);
    struct qmp_attachment **place;

    if (!vm)
        return -ENOENT;
    place = find_attachment(c->session, vm);
    if (!*place)
        return qmp_fail(c, -ENOENT, "this session is not attached to %s", vm->config.name);
    drop(place);
    return 0;
}

void qmp_detach_all(struct qmp_session *s)
{
    while (s->attached)
        drop(&s->attached);
}

uint64_t qmp_output_waits(struct qmp_session *s)
{
    uint64_t most = 0;

    for (struct qmp_attachment **place = &s->attached; *place;) {
        struct console *console = attached_console(*place);

        if (!console) {
            drop(place);
            continue;
        }
        most = max_u64(most, console_written(console) - (*place)->position);
        place = &(*place)->next;
    }
    return s->out.len ? 0 : most;
}

/* One event; false: there is nothing that could be sent. */
static bool send_piece(struct qmp_session *s, struct qmp_attachment *a, struct console *console)
{
    char text[CONSOLE_CHUNK];
    size_t len = utf8_whole(text, console_history(console, &a->position, text, sizeof(text)));
    struct json_out o;

    if (!len)
        return false;
    o = qmp_begin_event(s, "CONSOLE_OUTPUT", vm_account_ns(arch_time()) / 1000);
    json_begin_object(&o, NULL);
    json_put_string(&o, "vm", a->vm);
    json_put_u64(&o, "position", a->position);
    json_put_bytes(&o, "data", text, len);
    a->position += len;
    json_put_u64(&o, "next", a->position);
    json_end_object(&o);
    qmp_end_event(s, &o);
    return true;
}

void qmp_send_output(struct qmp_session *s)
{
    if (s->out.len)
        return;
    for (struct qmp_attachment *a = s->attached; a; a = a->next) {
        struct console *console = attached_console(a);

        while (console && s->out.len < QMP_OUTPUT / 2 && send_piece(s, a, console))
            ;
    }
}

/* ---- keys ---- */

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
