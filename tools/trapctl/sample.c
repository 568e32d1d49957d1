// SPDX-License-Identifier: BSD-2-Clause
#include "sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit.h"
#include "json_get.h"
#include "memory.h"
#include "text.h"

/* ---- taking ---- */

struct question {
    const char *command, *target;
    json_t **to;
    json_int_t id;
};

int sample_take(struct ctl *c, bool with_vcpus, struct sample *s)
{
    struct question q[] = {{"query-host", NULL, &s->host, 0},
                           {"query-vms", NULL, &s->vms, 0},
                           {"query-stats", "vm", &s->stats, 0},
                           {"query-stats", "vcpu", &s->vcpus, 0}};
    unsigned count = with_vcpus ? 4 : 3;
    int code = ctl_connect(c);

    *s = (struct sample){0};
    if (code)
        return code;
    for (unsigned i = 0; i < count && !code; i++)
        code = qmp_send(&c->qmp, q[i].command,
                        q[i].target ? json_pack("{s:s}", "target", q[i].target) : NULL,
                        c->timeout_ms, &q[i].id);
    for (unsigned i = 0; i < count && !code; i++)
        code = qmp_wait(&c->qmp, q[i].id, c->timeout_ms, q[i].to);
    if (!code)
        return EXIT_OK;
    sample_free(s);
    return ctl_failed(c, code);
}

void sample_free(struct sample *s)
{
    json_decref(s->vms);
    json_decref(s->stats);
    json_decref(s->vcpus);
    json_decref(s->host);
    *s = (struct sample){0};
}

/* ---- reading ---- */

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

const char *sample_state(const char *status)
{
    static const char *const name[][2] = {
        {"prelaunch", "off"}, {"shutdown", "off"}, {"guest-panicked", "crashed"}};

    for (unsigned i = 0; i < sizeof(name) / sizeof(*name); i++)
        if (!strcmp(status, name[i][0]))
            return name[i][1];
    return status;
}

/* The "stats" of a VM, or of the vCPU with that path. */
static const json_t *find_stats(const json_t *list, const char *vm, const char *path)
{
    const json_t *each;
    size_t i;

    json_array_foreach(list, i, each) if (!strcmp(get_string(each, "vm"), vm) &&
                                          (!path || !strcmp(get_string(each, "qom-path"),
                                                            path))) return json_object_get(each,
                                                                                           "stats");
    return NULL;
}

static const json_t *find_stat(const json_t *stats, const char *name)
{
    const json_t *each;
    size_t i;

    json_array_foreach(stats, i, each) if (!strcmp(get_string(each, "name"),
                                                   name)) return json_object_get(each, "value");
    return NULL;
}

static double stat_of(const json_t *stats, const char *name)
{
    return json_number_value(find_stat(stats, name));
}

/* The sum of disk-0.NAME, disk-1.NAME, …; of "disk-" or "net-". */
static double sum_of(const json_t *stats, const char *kind, const char *name)
{
    const json_t *each;
    double sum = 0;
    size_t i;

    json_array_foreach(stats, i, each)
    {
        const char *s = get_string(each, "name"), *dot = strchr(s, '.');

        if (!strncmp(s, kind, strlen(kind)) && dot && !strcmp(dot + 1, name))
            sum += number(each, "value");
    }
    return sum;
}

/* ---- rows ---- */

/* A counter that has gone down began anew (a reset, or another VM of that name). */
static double rate(double before, double now, double seconds)
{
    return seconds > 0 ? (now < before ? now : now - before) / seconds : 0;
}

static void fill_shares(struct sample_row *r, const json_t *b, const json_t *n, double seconds)
{
    static const struct {
        enum sample_value value;
        const char *name;
    } share[] = {{SAMPLE_CPU, "ran-ns"}, {SAMPLE_WAIT, "waited-ns"}, {SAMPLE_CAPPED, "capped-ns"}};

    for (unsigned i = 0; i < sizeof(share) / sizeof(*share); i++)
        r->value[share[i].value] =
            rate(stat_of(b, share[i].name), stat_of(n, share[i].name), seconds) / 1e7;
    r->value[SAMPLE_EXITS] = rate(stat_of(b, "exits.total"), stat_of(n, "exits.total"), seconds);
    r->value[SAMPLE_TIME] = stat_of(n, "ran-ns");
}

/* What its disks and cards carried. "read" is what the guest got. */
static void fill_devices(struct sample_row *r, const json_t *b, const json_t *n, double seconds)
{
    static const struct {
        enum sample_value value;
        const char *kind, *name;
    } of[] = {{SAMPLE_READ, "disk-", "read-bytes"},
              {SAMPLE_WRITE, "disk-", "write-bytes"},
              {SAMPLE_RECEIVED, "net-", "read-bytes"},
              {SAMPLE_SENT, "net-", "write-bytes"}};

    for (unsigned i = 0; i < sizeof(of) / sizeof(*of); i++)
        r->value[of[i].value] =
            rate(sum_of(b, of[i].kind, of[i].name), sum_of(n, of[i].kind, of[i].name), seconds);
}

static void fill_affinity(struct sample_row *r, const json_t *harts, unsigned all)
{
    bool has[SAMPLE_HARTS] = {false};
    unsigned count = 0;
    const json_t *each;
    size_t i;

    json_array_foreach(harts, i, each) if (json_is_integer(each) && json_integer_value(each) >= 0 &&
                                           json_integer_value(each) < SAMPLE_HARTS)
        has[json_integer_value(each)] = true;
    for (unsigned h = 0; h < SAMPLE_HARTS; h++)
        count += has[h];
    if (!count || count == all)
        strcpy(r->harts, "all");
    else
        text_hart_list(has, SAMPLE_HARTS, r->harts, sizeof(r->harts));
}

static void fill_vm(struct sample_row *r, const json_t *vm, const json_t *b, const json_t *n,
                    const struct sample_host *h)
{
    *r = (struct sample_row){.vcpu = -1};
    snprintf(r->vm, sizeof(r->vm), "%s", get_string(vm, "name"));
    snprintf(r->state, sizeof(r->state), "%s", sample_state(get_string(vm, "status")));
    fill_shares(r, b, n, h->seconds);
    fill_affinity(r, find_stat(n, "affinity"), h->harts);
    r->value[SAMPLE_VCPUS] = number(vm, "vcpus");
    r->value[SAMPLE_MEMORY] = number(vm, "memory");
    r->value[SAMPLE_MAPPED] = number(vm, "mapped"); /* with what is shared, as in `ps` */
    r->value[SAMPLE_SHARED] = stat_of(n, "memory.shared");
    fill_devices(r, b, n, h->seconds);
    r->value[SAMPLE_WEIGHT] = stat_of(n, "weight");
    r->value[SAMPLE_CAP] = stat_of(n, "cap");
    r->value[SAMPLE_UPTIME] = number(vm, "uptime");
}

static void fill_vcpu(struct sample_row *r, const char *vm, int index, const json_t *b,
                      const json_t *n, double seconds)
{
    *r = (struct sample_row){.vcpu = index};
    snprintf(r->vm, sizeof(r->vm), "%s", vm);
    fill_shares(r, b, n, seconds);
    if (find_stat(n, "hart"))
        snprintf(r->harts, sizeof(r->harts), "%.0f", stat_of(n, "hart"));
}

/* The vCPUs of a VM, from row on; how many. */
static size_t fill_vcpus(struct sample_row *r, const char *vm, const struct sample *before,
                         const struct sample *now, double seconds)
{
    size_t count = 0, i;
    const json_t *each;

    json_array_foreach(now->vcpus, i, each)
    {
        const char *path = get_string(each, "qom-path"), *number_at = strrchr(path, 'u');

        if (strcmp(get_string(each, "vm"), vm))
            continue;
        fill_vcpu(&r[count], vm, number_at ? atoi(number_at + 1) : 0,
                  find_stats(before->vcpus, vm, path), json_object_get(each, "stats"), seconds);
        r[count++].unrated = before->host && !before->vcpus;
    }
    return count;
}

size_t sample_rows(const struct sample *before, const struct sample *now, struct sample_row **rows)
{
    size_t count = 0, i;
    struct sample_host h;
    const json_t *vm;

    sample_host(before, now, &h);
    *rows = memory_grow(NULL, (json_array_size(now->vms) + json_array_size(now->vcpus) + 1) *
                                  sizeof(**rows));
    json_array_foreach(now->vms, i, vm)
    {
        const char *name = get_string(vm, "name");

        fill_vm(*rows + count++, vm, find_stats(before->stats, name, NULL),
                find_stats(now->stats, name, NULL), &h);
        count += fill_vcpus(*rows + count, name, before, now, h.seconds);
    }
    return count;
}

/* ---- the machine ---- */

static const json_t *find_hart(const json_t *host, json_int_t id)
{
    const json_t *each;
    size_t i;

    json_array_foreach(json_object_get(host, "harts"), i,
                       each) if (json_integer_value(json_object_get(each, "id")) == id) return each;
    return NULL;
}

void sample_host(const struct sample *before, const struct sample *now, struct sample_host *h)
{
    const json_t *memory = json_object_get(now->host, "memory"), *each;
    size_t i;

    *h = (struct sample_host){.uptime = number(now->host, "uptime-ns") / 1e9};
    h->seconds = h->uptime - number(before->host, "uptime-ns") / 1e9;
    json_array_foreach(json_object_get(now->host, "harts"), i, each)
    {
        const json_t *was =
            find_hart(before->host, json_integer_value(json_object_get(each, "id")));
        double ran = number(each, "ran-ns") - number(was, "ran-ns");
        double idle = number(each, "idle-ns") - number(was, "idle-ns");

        if (h->harts < SAMPLE_HARTS)
            h->busy[h->harts++] = ran > 0 && ran + idle > 0 ? 100 * ran / (ran + idle) : 0;
    }
    h->total = number(memory, "total");
    h->free = number(memory, "free");
    h->promised = number(memory, "promised");
    h->overcommitted = number(memory, "overcommitted");
    json_array_foreach(now->vms, i, each)
    {
        h->vms++;
        h->running += !strcmp(get_string(each, "status"), "running");
    }
}
