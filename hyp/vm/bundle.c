// SPDX-License-Identifier: BSD-2-Clause
// Reads a bundle: a FIT image whose /trapline node has a node for each VM (docs/bundle.md). Errors
// are one line that names the VM and the property, and says what to do.
#include <errno.h>
#include <libfdt.h>
#include <string.h>

#include "base/log.h"
#include "mem/heap.h"
#include "vm/bundle.h"
#include "vm/bundle_net.h"
#include "vm/fit.h"

enum { UNKNOWN_LOGGED = 8 };

struct vm_node {
    struct fit *f;
    int images, node;
    const char *name;
    struct vm_config *c;
};

static int take_image(struct vm_node *v, const char *property, const char *name, size_t len,
                      struct vm_image *out)
{
    int node = fdt_subnode_offset_namelen(v->f->tree, v->images, name, (int)len);

    if (node < 0)
        return fit_fail(v->f, "%s: there is no image '%.*s' in /images", property,
                        (int)min_u64(len, 64), name);
    int error = fit_take_image(v->f, node, out);
    if (error)
        return error;
    if (!out->size)
        return fit_fail(v->f, "%s: image '%s' is empty", property, out->name);
    return 0;
}

static int parse_vcpus(struct vm_node *v)
{
    uint64_t n;
    int error = fit_get_number(v->f, v->node, "vcpus", &n);

    if (error == -ENOENT) {
        n = 1;
        error = 0;
    }
    if (error || n < 1 || n > GUEST_MAX_VCPUS)
        return fit_fail(v->f, "vcpus must be one number, 1 to %d", GUEST_MAX_VCPUS);
    v->c->vcpus = (unsigned)n;
    return 0;
}

static int parse_memory(struct vm_node *v)
{
    uint64_t n;
    int error = fit_get_number(v->f, v->node, "memory", &n);

    if (error == -ENOENT)
        return fit_fail(v->f, "memory is missing: say /bits/ 64 <0x10000000> for 256 MiB");
    if (error || !n || !is_aligned(n, PAGE_SIZE) || n > BIT(40))
        return fit_fail(v->f, "memory must be bytes as one 64-bit number, whole 4 KiB "
                              "pages, at most 1 TiB");
    v->c->memory = n;
    return 0;
}

static int parse_kernel(struct vm_node *v)
{
    bool bad;
    const char *s = fit_get_string(v->f, v->node, "kernel", &bad);

    if (!s)
        return fit_fail(v->f, "kernel must name one image");
    return take_image(v, "kernel", s, strlen(s), &v->c->kernel);
}

static int parse_initrd(struct vm_node *v)
{
    bool bad;
    const char *s = fit_get_string(v->f, v->node, "initrd", &bad);

    if (bad)
        return fit_fail(v->f, "initrd must name one image");
    return s ? take_image(v, "initrd", s, strlen(s), &v->c->initrd) : 0;
}

static int parse_bootargs(struct vm_node *v)
{
    bool bad;
    const char *s = fit_get_string(v->f, v->node, "bootargs", &bad);

    if (bad)
        return fit_fail(v->f, "bootargs must be one string");
    if (s && strlen(s) >= sizeof(v->c->bootargs))
        return fit_fail(v->f, "bootargs has %lu characters, the most is %lu",
                        (unsigned long)strlen(s), (unsigned long)sizeof(v->c->bootargs) - 1);
    memcpy(v->c->bootargs, s ? s : "", s ? strlen(s) + 1 : 1);
    return 0;
}

static int parse_console(struct vm_node *v)
{
    bool bad;
    const char *s = fit_get_string(v->f, v->node, "console", &bad);

    if (bad || (s && strcmp(s, "virtio") && strcmp(s, "uart")))
        return fit_fail(v->f, "console must be \"virtio\" or \"uart\"");
    v->c->uart_console = s && !strcmp(s, "uart");
    return 0;
}

/* A number that may be left out, within bounds. */
static int parse_optional(struct vm_node *v, const char *name, unsigned most, unsigned *out)
{
    uint64_t n;
    int error = fit_get_number(v->f, v->node, name, &n);

    if (error == -ENOENT)
        return 0;
    if (error || n < 1 || n > most)
        return fit_fail(v->f, "%s must be one number, 1 to %u", name, most);
    *out = (unsigned)n;
    return 0;
}

static int parse_weight(struct vm_node *v)
{
    return parse_optional(v, "weight", FAIR_WEIGHT_MAX, &v->c->sched.weight);
}

static int parse_cap(struct vm_node *v)
{
    return parse_optional(v, "cap", 100 * v->c->vcpus, &v->c->sched.cap);
}

static int parse_affinity(struct vm_node *v)
{
    int len;
    const fdt32_t *harts_in = fdt_getprop(v->f->tree, v->node, "affinity", &len);

    if (!harts_in)
        return 0;
    if (!len || len % 4)
        return fit_fail(v->f, "affinity must be a list of harts: <0 1>");
    for (int i = 0; i < len / 4; i++) {
        if (fdt32_ld(&harts_in[i]) >= HART_MAX)
            return fit_fail(v->f, "affinity: harts are 0 to %d", HART_MAX - 1);
        v->c->sched.affinity |= BIT(fdt32_ld(&harts_in[i]));
    }
    return 0;
}

/* A property that is there or not. */
static int parse_flag(struct vm_node *v, const char *name, bool *flag)
{
    int len;

    *flag = fdt_getprop(v->f->tree, v->node, name, &len) != NULL;
    if (*flag && len)
        return fit_fail(v->f, "%s takes no value: say it, or leave it out", name);
    return 0;
}

static int parse_autostart(struct vm_node *v)
{
    return parse_flag(v, "autostart", &v->c->autostart);
}

static int parse_watchdog(struct vm_node *v) { return parse_flag(v, "watchdog", &v->c->watchdog); }

/* "host" or "host@N" (N decimal, at most three digits). */
static bool is_host_disk(const char *s, size_t len, unsigned *index)
{
    *index = 0;
    if (len < 4 || memcmp(s, "host", 4))
        return false;
    if (len == 4)
        return true;
    if (s[4] != '@' || len == 5 || len > 8)
        return false;
    for (size_t i = 5; i < len; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        *index = *index * 10 + (unsigned)(s[i] - '0');
    }
    return true;
}

/* "part:NAME" or "qcow2:NAME". 1; 0: it is something else; -EINVAL. */
static int take_part(struct vm_node *v, const char *s, size_t len, struct vm_disk *d)
{
    const char *colon = memchr(s, ':', len);
    size_t prefix = colon ? (size_t)(colon - s) + 1 : 0;

    d->qcow2 = prefix == 6 && !memcmp(s, "qcow2", 5);
    if (!d->qcow2 && !(prefix == 5 && !memcmp(s, "part", 4)))
        return 0;
    len -= prefix;
    if (!len || len >= VM_PART_NAME)
        return fit_fail(v->f, "disks: %.48s: a partition's name has 1 to %d characters", s,
                        VM_PART_NAME - 1);
    d->kind = VM_DISK_PART;
    memcpy(d->part, s + prefix, len);
    return 1;
}

/* A number with K, M or G behind it, len characters; false: it is none, or 0, or more than most. */
static bool read_amount(const char *s, size_t len, uint64_t most, uint64_t *value)
{
    static const char units[] = "KMG";
    const char *unit = len ? memchr(units, s[len - 1], sizeof(units) - 1) : NULL;

    *value = 0;
    len -= unit != NULL;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9' || *value > most)
            return false;
        *value = *value * 10 + (unsigned)(s[i] - '0');
    }
    if (unit && *value <= most)
        *value <<= 10 * (unit - units + 1);
    return len && *value && *value <= most;
}

static bool is_word(const char *s, size_t len, const char *word)
{
    return len == strlen(word) && !memcmp(s, word, len);
}

static bool take_serial(const char *s, size_t len, struct vm_disk *d)
{
    if (!len || len >= sizeof(d->serial))
        return false;
    for (size_t i = 0; i < len; i++)
        if (s[i] <= ' ' || s[i] > '~')
            return false;
    memcpy(d->serial, s, len);
    return true;
}

/* "ro", "iops=N", "bytes=N", "serial=TEXT". 1; 0: it is no option; -EINVAL: a bad one. */
static int take_disk_option(struct vm_node *v, const char *s, size_t len, struct vm_disk *d)
{
    const char *equals = memchr(s, '=', len);
    size_t name = equals ? (size_t)(equals - s) : len, rest = equals ? len - name - 1 : 0;
    uint64_t n;

    if (is_word(s, len, "ro")) {
        d->read_only = true;
        return 1;
    }
    if (!equals)
        return 0;
    if (is_word(s, name, "serial"))
        return take_serial(equals + 1, rest, d)
                   ? 1
                   : fit_fail(v->f, "disks: a serial number has 1 to 20 characters, no blanks");
    if (is_word(s, name, "iops")) {
        if (!read_amount(equals + 1, rest, BLK_LIMIT_IOPS_MAX, &n))
            return fit_fail(v->f, "disks: iops=N: 1 to 10000000 requests a second");
        d->limit.iops = (uint32_t)n;
        return 1;
    }
    if (!is_word(s, name, "bytes"))
        return 0;
    if (!read_amount(equals + 1, rest, BIT(33) - 1, &d->limit.bytes) ||
        d->limit.bytes < BLK_LIMIT_BYTES_MIN)
        return fit_fail(v->f, "disks: bytes=N: 64K to 7G a second");
    return 1;
}

/* Takes the options off the end of an entry: *len is what is left. */
static int take_disk_options(struct vm_node *v, const char *s, size_t *len, struct vm_disk *d)
{
    for (;;) {
        size_t colon = *len;
        int taken;

        while (colon && s[colon - 1] != ':')
            colon--;
        taken = colon ? take_disk_option(v, s + colon, *len - colon, d) : 0;
        if (taken <= 0)
            return taken;
        *len = colon - 1;
    }
}

/* One entry of disks: an image's name, "host", "host@N", "part:NAME" or "qcow2:NAME"; options behind it, each after a colon. */
static int parse_disk(struct vm_node *v, const char *s)
{
    struct vm_disk *d;
    size_t len = strlen(s);
    int part;

    if (v->c->disk_count == VM_MAX_DISKS)
        return fit_fail(v->f, "disks: more than %d", VM_MAX_DISKS);
    d = &v->c->disk[v->c->disk_count++];
    part = take_disk_options(v, s, &len, d);
    if (part)
        return part;
    if (is_host_disk(s, len, &d->host_index)) {
        d->kind = VM_DISK_HOST;
        return 0;
    }
    part = take_part(v, s, len, d);
    if (part)
        return part < 0 ? part : 0;
    d->kind = VM_DISK_RAM;
    return take_image(v, "disks", s, len, &d->image);
}

static int parse_disks(struct vm_node *v)
{
    int len, error;
    const char *s = fdt_getprop(v->f->tree, v->node, "disks", &len);

    if (!s || !len)
        return 0;
    if (s[len - 1])
        return fit_fail(v->f, "disks must be a list of strings");
    for (const char *end = s + len; s < end; s += strlen(s) + 1) {
        error = parse_disk(v, s);
        if (error)
            return error;
    }
    return 0;
}

static int parse_nets(struct vm_node *v) { return bundle_take_nets(v->f, v->node, v->c); }

static const struct {
    const char *name;
    int (*parse)(struct vm_node *v);
} vm_properties[] = {
    {"vcpus", parse_vcpus},       {"memory", parse_memory},
    {"kernel", parse_kernel},     {"initrd", parse_initrd},
    {"bootargs", parse_bootargs}, {"disks", parse_disks},
    {"console", parse_console},   {"autostart", parse_autostart},
    {"watchdog", parse_watchdog}, {"weight", parse_weight},
    {"cap", parse_cap},           {"affinity", parse_affinity},
    {"nets", parse_nets},
};

static bool is_known_property(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(vm_properties); i++)
        if (!strcmp(name, vm_properties[i].name))
            return true;
    return !strcmp(name, "description") || !strcmp(name, "phandle");
}

/* Later versions may add properties, so unknown ones are no error; but one may be misspelt. A few lines do: whoever
 * may send bundles must not fill the log, and a slow console, with them. */
static void warn_of_unknown(struct vm_node *v)
{
    int property;

    fdt_for_each_property_offset(property, v->f->tree, v->node)
    {
        const char *name = NULL;
        if (fdt_getprop_by_offset(v->f->tree, property, &name, NULL) && name &&
            !is_known_property(name) && v->f->unknown++ < UNKNOWN_LOGGED)
            log_warn("bundle: vm '%s': property '%.40s' is not known: ignored", v->name, name);
    }
}

static int check_name(struct vm_node *v)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-";
    enum { LETTERS = 2 * 26 }; /* they come first */
    size_t len = strlen(v->name);
    int node;

    if (!len || len >= VM_NAME_MAX)
        return fit_fail(v->f, "a name has 1 to %d characters", VM_NAME_MAX - 1);
    for (const char *p = v->name; *p; p++)
        if (!memchr(allowed, *p, p == v->name ? LETTERS : sizeof(allowed) - 1))
            return fit_fail(v->f, "a name is a letter, then letters, digits and . _ + -");
    node = fdt_subnode_offset(v->f->tree, fdt_parent_offset(v->f->tree, v->node), v->name);
    if (node != v->node)
        return fit_fail(v->f, "there are two of this name: rename one");
    return 0;
}

static int parse_vm(struct fit *f, int images, int node, struct vm_config *c)
{
    struct vm_node v = {
        .f = f, .images = images, .node = node, .name = fit_node_name(f, node), .c = c};
    int error;

    memset(c, 0, sizeof(*c));
    f->vm = v.name;
    error = check_name(&v);
    for (unsigned i = 0; !error && i < ARRAY_LEN(vm_properties); i++)
        error = vm_properties[i].parse(&v);
    f->vm = NULL;
    if (error)
        return error;
    warn_of_unknown(&v);
    memcpy(c->name, v.name, strlen(v.name) + 1);
    return 0;
}

static int find_nodes(struct fit *f, int *images, int *vms)
{
    *images = fdt_path_offset(f->tree, "/images");
    if (*images < 0)
        return fit_fail(f, "no /images node: this is not a FIT image; make one with 'make bundle'");
    *vms = fdt_path_offset(f->tree, "/trapline");
    if (*vms < 0)
        return fit_fail(f, "a FIT image without a /trapline node: make it with 'make bundle'");
    if (fdt_node_check_compatible(f->tree, *vms, "trapline,bundle-1"))
        return fit_fail(f, "/trapline: compatible is not \"trapline,bundle-1\": made for another "
                           "version of Trapline?");
    return 0;
}

static int count_vms(struct fit *f, int vms)
{
    int node, count = 0;

    fdt_for_each_subnode(node, f->tree, vms) count++;
    if (!count)
        return fit_fail(f, "/trapline has no VMs: add a node for each");
    if (count > VM_MAX)
        return fit_fail(f, "%d VMs, the most is %d", count, VM_MAX);
    return 0;
}

static void leave_out(const struct bundle_reader *r, const char *why)
{
    if (r->wrong)
        r->wrong(r->ctx, why);
    else
        log_error("%s", why);
}

/* A VM that is wrong is left out, and the others are made. But when no VM is good, the last line is the caller's to
 * show. */
static int read_vms(struct fit *f, struct bundle *b, int images, int vms, struct vm_config *c,
                    const struct bundle_reader *r)
{
    int node, error;
    bool any_good = false, any_wrong = false, wrong = false;

    fdt_for_each_subnode(node, f->tree, vms)
    {
        if (wrong)
            leave_out(r, f->why);
        error = parse_vm(f, images, node, c);
        wrong = error == -EINVAL;
        any_wrong |= wrong;
        if (wrong)
            continue;
        if (!error) {
            any_good = true;
            c->bundle = b;
            error = r->each(r->ctx, c);
            if (error)
                fit_fail(f, "vm '%s' could not be made (error %d)", c->name, -error);
        }
        if (error)
            return error;
    }
    if (f->unknown > UNKNOWN_LOGGED)
        log_warn("bundle: %u more properties are not known: ignored", f->unknown - UNKNOWN_LOGGED);
    if (!any_good)
        return -EINVAL;
    if (wrong)
        leave_out(r, f->why);
    b->hashes.all_good = !any_wrong;
    return 0;
}

int bundle_read(struct bundle *b, const struct bundle_reader *r, char *why, size_t why_size)
{
    struct fit f = {
        .tree = b->data, .size = b->size, .hashes = &b->hashes, .why = why, .why_size = why_size};
    struct vm_config *c;
    int images = -1, vms = -1, error;

    if (why_size)
        why[0] = 0;
    error = fit_check_file(&f);
    if (!error)
        error = find_nodes(&f, &images, &vms);
    if (!error)
        error = count_vms(&f, vms);
    if (error)
        return error;
    c = heap_alloc(sizeof(*c)); /* too large for a thread's stack */
    if (!c) {
        fit_fail(&f, "out of memory");
        return -ENOMEM;
    }
    error = read_vms(&f, b, images, vms, c, r);
    heap_free(c);
    return error;
}
