// SPDX-License-Identifier: BSD-2-Clause
// Makes a VM anew that was destroyed (or never could be made), out of a bundle that is still there.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "vm/vm.h"

struct wanted {
    const char *name;
    struct vm **out;
    const char **why;
    bool found;
    int error;
};

static int each(void *ctx, const struct vm_config *c)
{
    struct wanted *w = ctx;

    if (w->found || strcmp(c->name, w->name) != 0)
        return 0;
    w->found = true;
    w->error = vm_create(c, w->out, w->why);
    return 0;
}

/* It was said when the bundle was taken in. */
static void ignore(void *ctx, const char *why)
{
    (void)ctx;
    (void)why;
}

/* An upload may still be on its way: only one that VMs were made from is whole. */
static bool is_taken_in(const struct bundle *b)
{
    bool used = b->id == BUNDLE_BOOT;

    for (unsigned i = 0; i < VM_MAX && !used; i++)
        used = vm_at(i) && vm_at(i)->config.bundle == b;
    return used;
}

int vm_from_bundle(const char *name, struct vm **out, const char **why)
{
    struct wanted w = {.name = name, .out = out, .why = why};
    const struct bundle_reader reader = {.each = each, .wrong = ignore, .ctx = &w};
    unsigned next = BUNDLE_BOOT;
    struct bundle *b;
    char text[160];

    *out = NULL;
    while (!w.found && (b = bundle_from(next)) != NULL) {
        next = b->id + 1;
        if (is_taken_in(b) && bundle_read(b, &reader, text, sizeof(text)))
            log_error("bundle %u: %s", b->id, text);
        bundle_put(b);
    }
    if (w.found)
        return w.error;
    *why = "no bundle has a VM of this name";
    return -ENOENT;
}
