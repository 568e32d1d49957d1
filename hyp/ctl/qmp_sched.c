// SPDX-License-Identifier: BSD-2-Clause
// The protocol's commands about shares of the harts.
#include <errno.h>
#include <string.h>

#include "ctl/qmp_command.h"
#include "vm/vm.h"

void qmp_put_harts(struct json_out *o, const char *key, uint64_t affinity)
{
    json_begin_array(o, key);
    for (unsigned h = 0; h < hart_count; h++)
        if (!affinity || affinity & BIT(h))
            json_put_u64(o, NULL, h);
    json_end_array(o);
}

static void put_sched(struct json_out *o, const struct vm *vm)
{
    const struct vm_sched *s = &vm->config.sched;

    json_begin_object(o, NULL);
    json_put_string(o, "vm", vm->config.name);
    json_put_u64(o, "weight", s->weight ? s->weight : FAIR_WEIGHT_DEFAULT);
    json_put_u64(o, "cap", s->cap);
    qmp_put_harts(o, "affinity", s->affinity);
    json_put_bool(o, "all-harts", !s->affinity);
    json_end_object(o);
}

int qmp_query_sched(struct qmp_call *c)
{
    struct vm *only;
    int error = qmp_vm_or_all(c, &only);

    if (error)
        return error;
    json_begin_array(c->out, NULL);
    for (unsigned i = 0; i < VM_MAX; i++)
        if (vm_at(i) && (!only || vm_at(i) == only))
            put_sched(c->out, vm_at(i));
    json_end_array(c->out);
    return 0;
}

/* A list of harts, or "all", which is 0. */
static int arg_affinity(struct qmp_call *c, uint64_t *affinity)
{
    int list = qmp_arg(c, "affinity");
    char word[4];

    *affinity = 0;
    if (qmp_arg_string(c, "affinity", word, sizeof(word)) && !strcmp(word, "all"))
        return 0;
    if (c->in->value[list].type == JSON_ARRAY)
        for (unsigned i = 0; i < c->in->count; i++) {
            uint64_t hart;

            if (c->in->value[i].parent != list)
                continue;
            if (json_u64(c->in, (int)i, &hart) || hart >= HART_MAX)
                return qmp_fail(c, -EINVAL, "Parameter 'affinity': harts are 0 to %d",
                                HART_MAX - 1);
            *affinity |= BIT(hart);
        }
    if (*affinity)
        return 0;
    return qmp_fail(c, -EINVAL, "Parameter 'affinity' is neither a list of harts nor \"all\"");
}

/* A number that fits what it is for; more than that is beyond every limit anyway. */
static void arg_unsigned(const struct qmp_call *c, const char *name, unsigned *to)
{
    uint64_t v;

    if (qmp_arg_u64(c, name, &v))
        *to = (unsigned)min_u64(v, UINT32_MAX);
}

int qmp_set_sched(struct qmp_call *c)
{
    struct vm *vm = qmp_vm(c);
    struct vm_sched s;
    const char *why;
    int error = 0;

    if (!vm)
        return -ENOENT;
    s = vm->config.sched;
    arg_unsigned(c, "weight", &s.weight);
    arg_unsigned(c, "cap", &s.cap);
    if (qmp_arg(c, "weight") >= 0 && !s.weight)
        return qmp_fail(c, -EINVAL, "%s: weight is 1 to %d", vm->config.name, FAIR_WEIGHT_MAX);
    if (qmp_arg(c, "affinity") >= 0)
        error = arg_affinity(c, &s.affinity);
    if (error)
        return error;
    error = vm_set_sched(vm, &s, &why);
    return error ? qmp_fail(c, error, "%s: %s", vm->config.name, why) : 0;
}
