// SPDX-License-Identifier: BSD-2-Clause
#include "boot/options.h"

#include <string.h>

static char words[256]; /* zero-terminated words, ended by an empty one */

void boot_options_set(const char *line)
{
    size_t n = 0;

    for (; *line && n < sizeof(words) - 2; line++) {
        if (*line != ' ')
            words[n++] = *line;
        else if (n && words[n - 1])
            words[n++] = 0;
    }
    words[n] = words[n + 1] = 0;
}

const char *boot_option(const char *name)
{
    size_t len = strlen(name);

    for (const char *w = words; *w; w += strlen(w) + 1) {
        if (strncmp(w, name, len) != 0)
            continue;
        if (w[len] == 0)
            return w + len;
        if (w[len] == '=')
            return w + len + 1;
    }
    return 0;
}
