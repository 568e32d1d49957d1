// SPDX-License-Identifier: BSD-2-Clause
#include "fit.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { MAGIC = 0xD00DFEED, HEADER_WORDS = 10, DEPTH = 64 };
enum { BEGIN_NODE = 1, END_NODE = 2, PROP = 3, NOP = 4 };
enum { VM_DEPTH = 3 }; /* the root's is 1 */

struct walk {
    FILE *file;
    unsigned depth;
    bool in_trapline;
    void (*each)(void *ctx, const char *name);
    void *ctx;
};

static bool get(FILE *file, uint32_t *value)
{
    unsigned char b[4];

    if (fread(b, 1, 4, file) != 4)
        return false;
    *value = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    return true;
}

/* A name and what fills it up to whole words. A long one is cut: it is no VM's. */
static bool get_name(FILE *file, char name[FIT_NAME])
{
    size_t len = 0;
    int c;

    while ((c = fgetc(file)) > 0) {
        if (len < FIT_NAME - 1)
            name[len] = (char)c;
        len++;
    }
    name[len < FIT_NAME ? len : FIT_NAME - 1] = '\0';
    return c == 0 && !fseek(file, (long)(3 - len % 4), SEEK_CUR);
}

static bool begin_node(struct walk *w)
{
    char name[FIT_NAME];

    if (w->depth == DEPTH || !get_name(w->file, name))
        return false;
    w->depth++;
    if (w->depth == VM_DEPTH - 1)
        w->in_trapline = !strcmp(name, "trapline");
    else if (w->depth == VM_DEPTH && w->in_trapline)
        w->each(w->ctx, name);
    return true;
}

/* False: the end, or no sense. */
static bool step(struct walk *w)
{
    uint32_t token, len, name;

    if (!get(w->file, &token))
        return false;
    switch (token) {
    case BEGIN_NODE:
        return begin_node(w);
    case END_NODE:
        return w->depth && --w->depth;
    case PROP:
        return get(w->file, &len) && get(w->file, &name) && len <= INT32_MAX - 3 &&
               !fseek(w->file, ((long)len + 3) & ~3L, SEEK_CUR);
    default:
        return token == NOP;
    }
}

void fit_each_vm(FILE *file, void (*each)(void *ctx, const char *name), void *ctx)
{
    struct walk w = {.file = file, .each = each, .ctx = ctx};
    uint32_t header[HEADER_WORDS];

    rewind(file);
    for (unsigned i = 0; i < HEADER_WORDS; i++)
        if (!get(file, &header[i]))
            return;
    if (header[0] != MAGIC || fseek(file, header[2], SEEK_SET))
        return;
    while (step(&w))
        continue;
}
