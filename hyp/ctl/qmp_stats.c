// SPDX-License-Identifier: BSD-2-Clause
// query-stats and query-stats-schemas, in QEMU's shapes (its qapi/stats.json). One table says what there is, for both;
// what depends on causes of exits and on devices is a family, named with a * in the schema.
#include <errno.h>
#include <string.h>

#include "ctl/console.h"
#include "ctl/qmp_command.h"
#include "vcpu/exit.h"
#include "vm/vm_account.h"

#define PROVIDER "trapline"

/* Whose numbers are wanted. */
struct source {
    struct vm *vm;
    struct vcpu *v; /* NULL: the VM */
    uint64_t time[THREAD_TIMES]; /* ticks */
    struct vm_account_memory memory;
    struct qmp_call *call;
    int names; /* the list of those that are wanted; negative: all */
};

/* ---- what there is ---- */

enum unit { UNIT_NONE, UNIT_NS, UNIT_BYTES };
enum { FOR_VM = 1, FOR_VCPU = 2, FOR_BOTH = 3, INSTANT = 4 };

struct stat {
    const char *name;
    uint8_t unit, flags;
    uint64_t (*get)(const struct source *s); /* NULL: a family's, of put_families */
};

#define TIME(fn, expression) \
    static uint64_t fn(const struct source *s) { return vm_account_ns(expression); }
TIME(ran, s->time[THREAD_RAN])
TIME(waited, s->time[THREAD_WAITED])
TIME(capped, s->time[THREAD_CAPPED])
TIME(stolen, s->time[THREAD_WAITED] + s->time[THREAD_CAPPED])
TIME(idle, s->time[THREAD_IDLED])
TIME(uptime, vm_account_uptime(s->vm))

#define VALUE(fn, expression) \
    static uint64_t fn(const struct source *s) { return expression; }
VALUE(hart, s->v->thread.hart)
VALUE(weight, s->vm->config.sched.weight ? s->vm->config.sched.weight : FAIR_WEIGHT_DEFAULT)
VALUE(cap, s->vm->config.sched.cap)
VALUE(boots, s->vm->boots)
VALUE(promised, s->memory.promised)
VALUE(mapped, s->memory.mapped)
VALUE(shared, s->memory.shared)
VALUE(tables, s->memory.tables)
VALUE(disks, s->memory.disks)
VALUE(hypervisor, s->memory.hypervisor)
VALUE(console_read_bytes, s->vm->console ? console_taken(s->vm->console) : 0)
VALUE(console_write_bytes, s->vm->console ? console_written(s->vm->console) : 0)

static const struct stat stats[] = {
    {"ran-ns", UNIT_NS, FOR_BOTH, ran},
    {"waited-ns", UNIT_NS, FOR_BOTH, waited},
    {"capped-ns", UNIT_NS, FOR_BOTH, capped},
    {"stolen-ns", UNIT_NS, FOR_BOTH, stolen},
    {"idle-ns", UNIT_NS, FOR_BOTH, idle},
    {"hart", UNIT_NONE, FOR_VCPU | INSTANT, hart},
    {"weight", UNIT_NONE, FOR_VM | INSTANT, weight},
    {"cap", UNIT_NONE, FOR_VM | INSTANT, cap},
    {"affinity", UNIT_NONE, FOR_VM | INSTANT, NULL},
    {"boots", UNIT_NONE, FOR_VM, boots},
    {"uptime-ns", UNIT_NS, FOR_VM | INSTANT, uptime},
    {"memory.promised", UNIT_BYTES, FOR_VM | INSTANT, promised},
    {"memory.mapped", UNIT_BYTES, FOR_VM | INSTANT, mapped},
    {"memory.shared", UNIT_BYTES, FOR_VM | INSTANT, shared},
    {"memory.tables", UNIT_BYTES, FOR_VM | INSTANT, tables},
    {"memory.disks", UNIT_BYTES, FOR_VM | INSTANT, disks},
    {"memory.hypervisor", UNIT_BYTES, FOR_VM | INSTANT, hypervisor},
    {"console.read-bytes", UNIT_BYTES, FOR_VM, console_read_bytes},
    {"console.write-bytes", UNIT_BYTES, FOR_VM, console_write_bytes},
    {"exits.total", UNIT_NONE, FOR_BOTH, NULL},
    {"exits.*", UNIT_NONE, FOR_BOTH, NULL},
    {"exit-instructions.*", UNIT_NONE, FOR_BOTH, NULL},
    {"*.accesses", UNIT_NONE, FOR_VM, NULL},
    {"*.read-ops", UNIT_NONE, FOR_VM, NULL},
    {"*.write-ops", UNIT_NONE, FOR_VM, NULL},
    {"*.flush-ops", UNIT_NONE, FOR_VM, NULL},
    {"*.read-bytes", UNIT_BYTES, FOR_VM, NULL},
    {"*.write-bytes", UNIT_BYTES, FOR_VM, NULL},
};

/* ---- values ---- */

static bool is_wanted(const struct source *s, const char *name)
{
    const struct json *j = s->call->in;

    if (s->names < 0)
        return true;
    for (unsigned i = 0; i < j->count; i++)
        if (j->value[i].parent == s->names && json_is(j, (int)i, name))
            return true;
    return false;
}

static void put(const struct source *s, const char *name, uint64_t value)
{
    if (!is_wanted(s, name))
        return;
    json_begin_object(s->call->out, NULL);
    json_put_string(s->call->out, "name", name);
    json_put_u64(s->call->out, "value", value);
    json_end_object(s->call->out);
}

static void PRINTF_LIKE(3, 4)
    put_named(const struct source *s, uint64_t value, const char *fmt, ...)
{
    char name[64];
    va_list ap;

    va_start(ap, fmt);
    fmt_vsnprintf(name, sizeof(name), fmt, ap);
    va_end(ap);
    put(s, name, value);
}

static void put_affinity(const struct source *s)
{
    if (s->v || !is_wanted(s, "affinity"))
        return;
    json_begin_object(s->call->out, NULL);
    json_put_string(s->call->out, "name", "affinity");
    qmp_put_harts(s->call->out, "value", s->vm->config.sched.affinity);
    json_end_object(s->call->out);
}

static void put_exits(const struct source *s)
{
    uint64_t total = 0;

    for (unsigned c = 0; c < EXIT_CAUSES; c++) {
        struct vm_account_exits sum = vm_account_exits(s->vm, c);

        if (s->v)
            sum = (struct vm_account_exits){s->v->exits[c], s->v->exits_cost[c]};
        total += sum.count;
        if (!sum.count)
            continue;
        put_named(s, sum.count, "exits.%s", exit_cause_name(c));
        if (vm_account_has_costs())
            put_named(s, sum.instructions, "exit-instructions.%s", exit_cause_name(c));
    }
    put(s, "exits.total", total);
}

static void put_device(const struct source *s, const struct vdev *dev)
{
    const struct vdev_account *a = &dev->account;

    put_named(s, dev->reads + dev->writes, "%s.accesses", dev->role);
    if (!dev->irq.set) /* the interrupt controller, the watchdog: they carry nothing */
        return;
    put_named(s, a->operations[VDEV_READ], "%s.read-ops", dev->role);
    put_named(s, a->operations[VDEV_WRITE], "%s.write-ops", dev->role);
    if (a->flushes)
        put_named(s, a->flushes, "%s.flush-ops", dev->role);
    put_named(s, a->bytes[VDEV_READ], "%s.read-bytes", dev->role);
    put_named(s, a->bytes[VDEV_WRITE], "%s.write-bytes", dev->role);
}

static void put_source(struct source *s)
{
    unsigned target = s->v ? FOR_VCPU : FOR_VM;
    char path[QMP_PATH];

    if (s->v)
        thread_times(&s->v->thread, s->time);
    else
        vm_account_times(s->vm, s->time);
    vm_account_memory(s->vm, &s->memory);
    json_begin_object(s->call->out, NULL);
    json_put_string(s->call->out, "provider", PROVIDER);
    json_put_string(s->call->out, "vm", s->vm->config.name);
    if (s->v) {
        qmp_vcpu_path(s->vm, s->v->index, path);
        json_put_string(s->call->out, "qom-path", path);
    }
    json_begin_array(s->call->out, "stats");
    for (unsigned i = 0; i < ARRAY_LEN(stats); i++)
        if (stats[i].get && stats[i].flags & target)
            put(s, stats[i].name, stats[i].get(s));
    put_affinity(s);
    put_exits(s);
    for (unsigned i = 0; !s->v && i < s->vm->guest.bus.count; i++)
        put_device(s, s->vm->guest.bus.dev[i]);
    json_end_array(s->call->out);
    json_end_object(s->call->out);
}

/* ---- what is asked for ---- */

/* Whether a list of strings, which may be left out, has this one. */
static bool list_has(const struct qmp_call *c, int list, const char *text)
{
    for (unsigned i = 0; list >= 0 && i < c->in->count; i++)
        if (c->in->value[i].parent == list && json_is(c->in, (int)i, text))
            return true;
    return list < 0;
}

/* [{"provider": …, "names": [...]}]: whether we are meant, and which names (negative: all). */
static bool choose_names(const struct qmp_call *c, int *names)
{
    int list = qmp_arg(c, "providers");

    *names = -ENOENT;
    for (unsigned i = 0; list >= 0 && i < c->in->count; i++) {
        int provider = json_member(c->in, (int)i, "provider");

        if (c->in->value[i].parent != list || provider < 0 || !json_is(c->in, provider, PROVIDER))
            continue;
        *names = json_member(c->in, (int)i, "names");
        return true;
    }
    return list < 0;
}

static void put_vm(struct source *s, bool vcpus)
{
    int list = qmp_arg(s->call, "vcpus");
    char path[QMP_PATH];

    s->v = NULL;
    if (!vcpus) {
        put_source(s);
        return;
    }
    for (unsigned i = 0; i < s->vm->guest.vcpu_count; i++) {
        s->v = s->vm->guest.vcpu[i];
        qmp_vcpu_path(s->vm, i, path);
        if (s->v && list_has(s->call, list, path))
            put_source(s);
    }
}

int qmp_query_stats(struct qmp_call *c)
{
    struct source s = {.call = c};
    bool vcpus, ours;
    char target[8] = "";
    struct vm *only;
    int error;

    qmp_arg_string(c, "target", target, sizeof(target));
    vcpus = !strcmp(target, "vcpu");
    if (!vcpus && strcmp(target, "vm"))
        return qmp_fail(c, -EINVAL, "Parameter 'target' is neither \"vm\" nor \"vcpu\"");
    error = qmp_vm_or_all(c, &only);
    if (error)
        return error;
    ours = choose_names(c, &s.names);
    json_begin_array(c->out, NULL);
    for (unsigned i = 0; ours && i < VM_MAX; i++) {
        s.vm = vm_at(i);
        if (s.vm && (!only || s.vm == only))
            put_vm(&s, vcpus);
    }
    json_end_array(c->out);
    return 0;
}

/* ---- schemas ---- */

static void put_schema(struct json_out *o, const struct stat *stat)
{
    json_begin_object(o, NULL);
    json_put_string(o, "name", stat->name);
    json_put_string(o, "type", stat->flags & INSTANT ? "instant" : "cumulative");
    if (stat->unit != UNIT_NONE)
        json_put_string(o, "unit", stat->unit == UNIT_NS ? "seconds" : "bytes");
    if (stat->unit == UNIT_NS)
        json_put_u64(o, "base", 10);
    json_put_i64(o, "exponent", stat->unit == UNIT_NS ? -9 : 0);
    json_end_object(o);
}

static void put_schemas(struct json_out *o, const char *name, unsigned target)
{
    json_begin_object(o, NULL);
    json_put_string(o, "provider", PROVIDER);
    json_put_string(o, "target", name);
    json_begin_array(o, "stats");
    for (unsigned i = 0; i < ARRAY_LEN(stats); i++)
        if (stats[i].flags & target)
            put_schema(o, &stats[i]);
    json_end_array(o);
    json_end_object(o);
}

int qmp_query_stats_schemas(struct qmp_call *c)
{
    bool ours = qmp_arg(c, "provider") < 0 || json_is(c->in, qmp_arg(c, "provider"), PROVIDER);

    json_begin_array(c->out, NULL);
    if (ours) {
        put_schemas(c->out, "vm", FOR_VM);
        put_schemas(c->out, "vcpu", FOR_VCPU);
    }
    json_end_array(c->out);
    return 0;
}
