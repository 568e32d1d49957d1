// SPDX-License-Identifier: BSD-2-Clause
// The protocol's commands about the machine: harts, memory, the log.
#include <errno.h>

#include "base/log.h"
#include "ctl/qmp_command.h"
#include "mem/frame.h"
#include "vm/vm_account.h"
#include "vm/vm_memory.h"

/* An idle thread is ready whenever its hart does something else. */
static void put_hart(struct json_out *o, unsigned index)
{
    const struct hart *h = harts[index];
    uint64_t time[THREAD_TIMES] = {0};

    if (h->idle)
        thread_times(h->idle, time);
    json_begin_object(o, NULL);
    json_put_u64(o, "id", index);
    json_put_u64(o, "hart-id", h->hartid);
    json_put_bool(o, "online", atomic_load(&h->online));
    json_put_u64(o, "ran-ns", vm_account_ns(time[THREAD_WAITED]));
    json_put_u64(o, "idle-ns", vm_account_ns(time[THREAD_RAN]));
    json_put_u64(o, "queued", atomic_load(&h->runq.length));
    json_put_string(o, "runs", h->current ? h->current->name : "");
    json_end_object(o);
}

void qmp_put_memory(struct json_out *o)
{
    struct vm_memory_host h;

    vm_memory_host(&h);
    json_put_u64(o, "promised", h.promised);
    json_put_u64(o, "room", h.room);
    json_put_u64(o, "overcommitted", h.overcommitted);
}

static void put_memory(struct json_out *o)
{
    static const char *const state[FRAME_STATES] = {
        [FRAME_FREE] = "free",         [FRAME_HYP] = "hypervisor",
        [FRAME_TABLE] = "tables",      [FRAME_VM] = "vm",
        [FRAME_SHARED] = "shared",     [FRAME_LENT] = "lent",
        [FRAME_RESERVED] = "reserved", [FRAME_IMAGE] = "image",
    };
    uint64_t n[FRAME_STATES], total = 0;

    frame_count(-1, n);
    json_begin_object(o, "memory");
    for (unsigned i = 0; i < FRAME_STATES; i++) {
        total += n[i];
        json_put_u64(o, state[i], n[i] * PAGE_SIZE);
    }
    json_put_u64(o, "free-2m", frame_free_blocks());
    json_put_u64(o, "total", total * PAGE_SIZE);
    json_put_u64(o, "reserve", frame_reserve_size() * PAGE_SIZE);
    qmp_put_memory(o);
    json_end_object(o);
}

int qmp_query_host(struct qmp_call *c)
{
    json_begin_object(c->out, NULL);
    json_put_u64(c->out, "uptime-ns", vm_account_ns(arch_time()));
    json_begin_array(c->out, "harts");
    for (unsigned i = 0; i < hart_count; i++)
        put_hart(c->out, i);
    json_end_array(c->out);
    put_memory(c->out);
    json_end_object(c->out);
    return 0;
}

/* ---- the log ---- */

struct lines {
    struct json_out *out;
    uint64_t skip;
};

static void count_line(void *ctx, const char *line)
{
    (void)line;
    ++*(uint64_t *)ctx;
}

static void put_line(void *ctx, const char *line)
{
    struct lines *l = ctx;

    if (l->skip)
        l->skip--;
    else
        json_put_string(l->out, NULL, line);
}

int qmp_query_log(struct qmp_call *c)
{
    struct lines l = {.out = c->out};
    uint64_t count = 0, most;

    log_dump(count_line, &count);
    if (qmp_arg_u64(c, "lines", &most) && most < count)
        l.skip = count - most;
    json_begin_object(c->out, NULL);
    json_begin_array(c->out, "lines");
    log_dump(put_line, &l);
    json_end_array(c->out);
    json_end_object(c->out);
    return 0;
}
