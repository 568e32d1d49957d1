// SPDX-License-Identifier: BSD-2-Clause
#include "top_view.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "text.h"

enum kind { NAME, STATE, HARTS, COUNT, SHARE, RATE, BYTES, BYTE_RATE, CAP, CPU_TIME, UPTIME };

static const struct column {
    const char *key, *head;
    unsigned char width, rank; /* the higher the rank, the sooner it goes when room is short */
    enum kind kind;
    enum sample_value value;
    const char *help;
} column[] = {
    {"name", "NAME", 16, 0, NAME, 0, "the VM, or its vCPU"},
    {"state", "STATE", 7, 1, STATE, 0, "off, running, paused, crashed"},
    {"vcpus", "VCPU", 4, 5, COUNT, SAMPLE_VCPUS, "vCPUs"},
    {"cpu", "%CPU", 5, 0, SHARE, SAMPLE_CPU, "time on harts, percent of one hart"},
    {"wait", "%WAIT", 5, 2, SHARE, SAMPLE_WAIT, "ready, but others had the hart"},
    {"capped", "%CAPD", 5, 3, SHARE, SAMPLE_CAPPED, "ready, but the VM's cap was used up"},
    {"exits", "EXIT/S", 6, 2, RATE, SAMPLE_EXITS, "exits to the hypervisor, a second"},
    {"memory", "RAM", 8, 1, BYTES, SAMPLE_MEMORY, "memory that the guest was told of"},
    {"mapped", "MAPPED", 8, 3, BYTES, SAMPLE_MAPPED, "of it, what the guest has touched"},
    {"shared", "SHARED", 8, 8, BYTES, SAMPLE_SHARED,
     "of that, pages of images, one copy for all VMs"},
    {"read", "READ/S", 8, 6, BYTE_RATE, SAMPLE_READ, "read from its disks, a second"},
    {"write", "WRITE/S", 8, 6, BYTE_RATE, SAMPLE_WRITE, "written to its disks, a second"},
    {"rx", "RX/S", 8, 7, BYTE_RATE, SAMPLE_RECEIVED, "received from networks, a second"},
    {"tx", "TX/S", 8, 7, BYTE_RATE, SAMPLE_SENT, "sent to networks, a second"},
    {"weight", "WGT", 5, 4, COUNT, SAMPLE_WEIGHT, "weight against other VMs"},
    {"cap", "CAP", 5, 4, CAP, SAMPLE_CAP, "the most it may use, percent of one hart"},
    {"harts", "HARTS", 8, 8, HARTS, 0, "harts it may run on; of a vCPU, the last one"},
    {"uptime", "UPTIME", 8, 9, UPTIME, SAMPLE_UPTIME, "since its start"},
    {"time", "TIME", 9, 2, CPU_TIME, SAMPLE_TIME, "time on harts in all, minutes:seconds"},
};
const unsigned top_column_count = sizeof(column) / sizeof(*column);

const char *top_column_key(unsigned i) { return column[i].key; }

const char *top_column_help(unsigned i) { return column[i].help; }

int top_column_find(const char *word)
{
    for (unsigned i = 0; i < top_column_count; i++)
        if (!strcasecmp(word, column[i].key) || !strcasecmp(word, column[i].head) ||
            (*column[i].head == '%' && !strcasecmp(word, column[i].head + 1)))
            return (int)i;
    return -1;
}

/* The highest rank for which there is room. The column that is sorted by is always shown. */
static unsigned rank_shown(const struct top_view *v)
{
    unsigned rank = 0;

    for (unsigned r = 0; r < 10; r++) {
        unsigned width = 0;

        for (unsigned i = 0; i < top_column_count; i++)
            if (column[i].rank <= r || i == v->sort)
                width += column[i].width + 1u;
        if (v->columns && width - 1 > v->columns)
            return rank;
        rank = r;
    }
    return rank;
}

bool top_column_shown(const struct top_view *v, unsigned i)
{
    return i == v->sort || column[i].rank <= rank_shown(v);
}

/* ---- order ---- */

static bool is_text(enum kind k) { return k == NAME || k == STATE || k == HARTS; }

static const char *text_of(const struct sample_row *r, enum kind k)
{
    return k == STATE ? r->state : k == HARTS ? r->harts : r->vm;
}

static int compare_vms(const struct top_view *v, const struct sample_row *a,
                       const struct sample_row *b)
{
    const struct column *c = &column[v->sort];
    double x = a->value[c->value], y = b->value[c->value];
    /* Texts begin with the first letter, numbers with the most. */
    int order =
        is_text(c->kind) ? strcmp(text_of(a, c->kind), text_of(b, c->kind)) : (x < y) - (x > y);

    if (v->reversed)
        order = -order;
    return order ? order : strcmp(a->vm, b->vm);
}

/* A VM and where its vCPUs are. */
struct group {
    const struct top_view *view;
    const struct sample_row *first;
    size_t count;
};

static int compare_groups(const void *a, const void *b)
{
    const struct group *x = a, *y = b;

    return compare_vms(x->view, x->first, y->first);
}

void top_sort(const struct top_view *v, struct sample_row *rows, size_t count)
{
    struct sample_row *copy = malloc((count + 1) * sizeof(*copy));
    struct group *group = malloc((count + 1) * sizeof(*group));
    size_t groups = 0, at = 0;

    if (copy && group) {
        memcpy(copy, rows, count * sizeof(*rows));
        for (size_t i = 0; i < count; i++) {
            if (copy[i].vcpu < 0 || !groups)
                group[groups++] = (struct group){v, &copy[i], 0};
            group[groups - 1].count++;
        }
        qsort(group, groups, sizeof(*group), compare_groups);
        for (size_t g = 0; g < groups; g++) {
            memcpy(rows + at, group[g].first, group[g].count * sizeof(*rows));
            at += group[g].count;
        }
    }
    free(group);
    free(copy);
}

/* ---- cells ---- */

/* Whether a vCPU has this of its own. */
static bool of_vcpus(const struct column *c)
{
    return c->kind == NAME || c->kind == HARTS || c->kind == SHARE || c->kind == CPU_TIME ||
           c->kind == RATE;
}

static bool is_rate(const struct column *c) { return c->kind == SHARE || c->kind == RATE; }

static void cell(const struct column *c, const struct sample_row *r, char *to, size_t size)
{
    double v = r->value[c->value];
    char n[TEXT_NUMBER];

    to[0] = '\0';
    if (r->vcpu >= 0 && !of_vcpus(c))
        return;
    if (r->unrated && is_rate(c)) {
        snprintf(to, size, "-");
        return;
    }
    switch (c->kind) {
    case NAME:
        if (r->vcpu < 0)
            snprintf(to, size, "%s", r->vm);
        else
            snprintf(to, size, "  vcpu%d", r->vcpu);
        break;
    case STATE:
    case HARTS:
        snprintf(to, size, "%s", text_of(r, c->kind));
        break;
    case COUNT:
        snprintf(to, size, "%.0f", v);
        break;
    case SHARE:
        snprintf(to, size, "%.1f", v);
        break;
    case RATE:
        snprintf(to, size, "%s", text_count(v, n));
        break;
    case BYTES:
    case BYTE_RATE:
        snprintf(to, size, "%s", v > 0 ? text_bytes((uint64_t)v, n) : "-");
        break;
    case CAP:
        snprintf(to, size, v > 0 ? "%.0f%%" : "-", v);
        break;
    case CPU_TIME:
        text_cpu_time(v > 0 ? (uint64_t)v : 0, n);
        if (strlen(n) > c->width)
            snprintf(to, size, "%.0fh", v / 3600e9);
        else
            snprintf(to, size, "%s", n);
        break;
    case UPTIME: /* of days, no seconds */
        snprintf(to, size, "%.*s", c->width, v > 0 ? text_duration((uint64_t)v, n) : "-");
        break;
    }
}

/* ---- lines ---- */

static void put_cell(const struct column *c, const char *text, bool last, FILE *to)
{
    char cut[64];

    snprintf(cut, sizeof(cut), "%.*s", is_text(c->kind) ? c->width : (int)sizeof(cut) - 1, text);
    if (!is_text(c->kind))
        fprintf(to, "%*s", c->width - (int)strlen(cut) > 0 ? c->width - (int)strlen(cut) : 0, "");
    text_put_safe(to, cut);
    if (is_text(c->kind) && !last)
        fprintf(to, "%*s", c->width - (int)strlen(cut), "");
    if (!last)
        fputc(' ', to);
}

static unsigned last_shown(const struct top_view *v)
{
    unsigned last = 0;

    for (unsigned i = 0; i < top_column_count; i++)
        if (top_column_shown(v, i))
            last = i;
    return last;
}

void top_put_headings(const struct top_view *v, FILE *to)
{
    unsigned last = last_shown(v);

    if (v->colors)
        fputs("\033[7m", to);
    for (unsigned i = 0; i < top_column_count; i++) {
        if (!top_column_shown(v, i))
            continue;
        if (v->colors && i == v->sort)
            fputs("\033[1m", to);
        put_cell(&column[i], column[i].head, i == last, to);
        if (v->colors && i == v->sort)
            fputs("\033[22m", to);
    }
    if (v->colors)
        fputs("\033[0m", to);
}

void top_put_row(const struct top_view *v, const struct sample_row *row, FILE *to)
{
    unsigned last = last_shown(v);
    char text[64];

    for (unsigned i = 0; i < top_column_count; i++) {
        if (!top_column_shown(v, i))
            continue;
        cell(&column[i], row, text, sizeof(text));
        put_cell(&column[i], text, i == last, to);
    }
}

/* A line that a narrow terminal cuts. */
static void put_cut(const struct top_view *v, const char *line, FILE *to)
{
    int most = v->columns ? (int)v->columns : (int)strlen(line);

    fprintf(to, "%.*s", most, line);
}

void top_put_machine(const struct top_view *v, const struct sample_host *h, unsigned line, FILE *to)
{
    char text[1024], a[TEXT_NUMBER], b[TEXT_NUMBER], c[TEXT_NUMBER], d[TEXT_NUMBER];
    double sum = 0;
    int n;

    if (line) {
        n = snprintf(text, sizeof(text), "memory  %s, %s free; %s promised to %u VM%s",
                     text_bytes((uint64_t)h->total, a), text_bytes((uint64_t)h->free, b),
                     text_bytes((uint64_t)h->promised, c), h->vms, h->vms == 1 ? "" : "s");
        if (h->overcommitted > 0)
            snprintf(text + n, sizeof(text) - (size_t)n, ", %s of it overcommitted",
                     text_bytes((uint64_t)h->overcommitted, d));
        put_cut(v, text, to);
        return;
    }
    for (unsigned i = 0; i < h->harts; i++)
        sum += h->busy[i];
    n = snprintf(text, sizeof(text), "harts   %u, %.0f %% busy:", h->harts,
                 h->harts ? sum / h->harts : 0);
    for (unsigned i = 0; i < h->harts && n < (int)sizeof(text) - 8; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, " %.0f", h->busy[i]);
    put_cut(v, text, to);
}

json_t *top_row_json(const struct sample_row *row)
{
    json_t *j = json_pack("{s:s}", "vm", row->vm);

    if (row->vcpu >= 0)
        json_object_set_new(j, "vcpu", json_integer(row->vcpu));
    for (unsigned i = 0; i < top_column_count; i++) {
        if (column[i].kind == NAME || (row->vcpu >= 0 && !of_vcpus(&column[i])) ||
            (row->unrated && is_rate(&column[i])))
            continue;
        json_object_set_new(j, column[i].key,
                            is_text(column[i].kind) ? json_string(text_of(row, column[i].kind))
                                                    : json_real(row->value[column[i].value]));
    }
    return j;
}
