// SPDX-License-Identifier: BSD-2-Clause
#include "base/symbol.h"

#include "base/log.h"

extern const uint32_t symbol_offsets[]; /* from _start, ascending, ended by the highest number */
extern const char symbol_names[];
extern char _start[], _text_end[];

bool symbol_is_text(uint64_t address)
{
    return address >= (uint64_t)_start && address < (uint64_t)_text_end;
}

const char *symbol_at(uint64_t address, char *buf, unsigned size)
{
    uint64_t offset = address - (uint64_t)_start;
    const char *name = symbol_names;
    unsigned i;

    if (!symbol_is_text(address))
        return "?";
    for (i = 0; symbol_offsets[i + 1] <= offset; i++)
        while (*name++)
            ;
    fmt_snprintf(buf, size, "%s+0x%lx", name, offset - symbol_offsets[i]);
    return buf;
}
