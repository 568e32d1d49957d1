// SPDX-License-Identifier: BSD-2-Clause
#include "find.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"

enum { UPWARD = 32 };

/* Takes path over. Symbolic links that lead nowhere count: what they say is useful. */
static void add(struct find *f, char *path, bool anyway)
{
    struct stat st;

    if (f->count < FIND_MAX && (anyway || !lstat(path, &st)))
        f->path[f->count++] = path;
    else
        free(path);
}

static void add_folder(struct find *f, const char *folder)
{
    for (unsigned i = 1; i <= FIND_PORTS; i++)
        add(f, memory_print("%s/control.%u", folder, i), false);
}

static void add_named(struct find *f, const char *name)
{
    struct stat st;

    f->named = true;
    if (!stat(name, &st) && S_ISDIR(st.st_mode))
        add_folder(f, name);
    else
        add(f, memory_copy(name), true);
}

/* build/ of this folder or of one above it. */
static void add_checkout(struct find *f)
{
    char up[3 * UPWARD + 8] = "build";

    for (unsigned i = 0; i < UPWARD && !f->count; i++) {
        add_folder(f, up);
        memmove(up + 3, up, strlen(up) + 1);
        memcpy(up, "../", 3);
    }
}

void find_ports(struct find *f, const char *connect)
{
    const char *env = getenv("TRAPCTL_CONNECT"), *runtime = getenv("XDG_RUNTIME_DIR");

    *f = (struct find){0};
    if (!connect && env && *env)
        connect = env;
    if (connect) {
        add_named(f, connect);
        return;
    }
    add_checkout(f);
    if (runtime && *runtime) {
        char *folder = memory_print("%s/trapline", runtime);

        add_folder(f, folder);
        free(folder);
    }
}

void find_free(struct find *f)
{
    while (f->count)
        free(f->path[--f->count]);
}
