// SPDX-License-Identifier: BSD-2-Clause
// For the protocol's commands (qmp_*.c): arguments, which VM is meant, errors, and values on their way out.
// Invariants: arguments have the types of the command's row (ctl/command.h) before it runs; what a command that fails
// has written is not sent. Times are nanoseconds, sizes bytes; addresses and registers, which may be beyond what a JSON
// library keeps exactly, are strings "0x…".
// Lock rank: none held. Callers: qmp.c, through the table.
#pragma once
#include "base/log.h"
#include "ctl/command.h"
#include "ctl/inspect.h"
#include "ctl/json.h"

struct qmp_session;

struct qmp_call {
    struct qmp_session *session;
    const struct json *in;
    int arguments; /* the object's index in it, or negative: none given */
    struct json_out *out; /* of the value that is returned; nothing written: {} */
    char desc[300]; /* of an error */
};

/* Sets the description and returns error. */
int qmp_fail(struct qmp_call *c, int error, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Whether it is given; false too for a string that does not fit, or has a NUL. */
bool qmp_arg_string(const struct qmp_call *c, const char *name, char *to, size_t size);
bool qmp_arg_u64(const struct qmp_call *c, const char *name, uint64_t *v);
bool qmp_arg_bool(const struct qmp_call *c, const char *name, bool *v);
/* Its index in c->in, or -ENOENT. */
int qmp_arg(const struct qmp_call *c, const char *name);
/* An address: a number, or a string "0x…". 0, -EINVAL. */
int qmp_arg_address(struct qmp_call *c, const char *name, uint64_t *v) MUST_CHECK;

/* "VM.N", the switch's name of the card that "vm" and "device": "net-N" name. 0, -EINVAL. (name: PORT_NAME_MAX bytes) */
int qmp_arg_card(struct qmp_call *c, char *name) MUST_CHECK;
/* The VM that "vm" names, or without it the only one there is; NULL with the description set. */
struct vm *qmp_vm(struct qmp_call *c);
/* The same for commands that are about all VMs unless "vm" names one: *only NULL is all. 0, -ENOENT. */
int qmp_vm_or_all(struct qmp_call *c, struct vm **only) MUST_CHECK;
/* The VM, held for a look; with the vCPU that "vcpu" names, 0 without it. memory: only if it has any. */
int qmp_inspect(struct qmp_call *c, bool memory, struct inspect *in) MUST_CHECK;
int qmp_inspect_vcpu(struct qmp_call *c, bool memory, struct inspect *in) MUST_CHECK;

/* {"qemu": {"major": …}, "package": …}, the numbers Trapline's own: of the greeting and query-version. */
void qmp_put_version(struct json_out *o, const char *key);
void qmp_put_address(struct json_out *o, const char *key, uint64_t v);
/* "promised", "room", "overcommitted": the promises made to VMs, into the object that is open. */
void qmp_put_memory(struct json_out *o);
/* "status" and "running", of QEMU's StatusInfo. */
void qmp_put_status(struct json_out *o, struct vm *vm);
/* "/NAME/vcpuN" */
enum { QMP_PATH = 64 };
void qmp_vcpu_path(const struct vm *vm, unsigned index, char path[QMP_PATH]);
/* Harts by number; 0: all that there are. */
void qmp_put_harts(struct json_out *o, const char *key, uint64_t affinity);
/* What a shell's command emits becomes one string, begun and ended by the caller. */
struct command_out qmp_text(struct json_out *o);

#define QMP_FN(name) int qmp_##name(struct qmp_call *c)
QMP_FN(query_commands);
QMP_FN(query_version);
QMP_FN(human_monitor_command);
QMP_FN(shell_command);
QMP_FN(quit);
QMP_FN(query_vms);
QMP_FN(query_status);
QMP_FN(query_cpus_fast);
QMP_FN(create);
QMP_FN(start);
QMP_FN(stop);
QMP_FN(pause);
QMP_FN(resume);
QMP_FN(reset);
QMP_FN(destroy);
QMP_FN(console_read);
QMP_FN(console_write);
QMP_FN(console_attach);
QMP_FN(console_detach);
QMP_FN(bundle_open);
QMP_FN(bundle_write);
QMP_FN(bundle_commit);
QMP_FN(bundle_close);
QMP_FN(query_bundles);
QMP_FN(query_sched);
QMP_FN(set_sched);
QMP_FN(query_stats);
QMP_FN(query_stats_schemas);
QMP_FN(query_exits);
QMP_FN(reset_exits);
QMP_FN(set_exit_costs);
QMP_FN(query_host);
QMP_FN(query_nets);
QMP_FN(set_net);
QMP_FN(set_port);
QMP_FN(set_link);
QMP_FN(net_forward_add);
QMP_FN(net_forward_remove);
QMP_FN(capture_open);
QMP_FN(capture_close);
QMP_FN(query_registers);
QMP_FN(query_walk);
QMP_FN(query_gpa);
QMP_FN(query_log);
QMP_FN(query_fdt);
QMP_FN(query_report);
QMP_FN(query_block);
QMP_FN(block_set_io_throttle);
QMP_FN(block_resize);
QMP_FN(query_images);
QMP_FN(image_create);
QMP_FN(image_clone);
QMP_FN(image_resize);
QMP_FN(image_delete);
QMP_FN(inject_nmi);
QMP_FN(sysrq);
