// SPDX-License-Identifier: BSD-2-Clause
// The few facts that the guests need of a flattened device tree (Devicetree Specification 0.4,
// chapter 5): RAM, harts, timebase, ISA, clock of the day, command line. One pass; cells are 2 and 2 at the root, 1 for
// cpus, as on every machine that these guests run on.
#include "rt/rt.h"

unsigned rt_hart_count;
uint64_t rt_fdt, rt_fdt_size, rt_ram_base, rt_ram_size, rt_timebase, rt_rtc;
char rt_isa[2048], rt_bootargs[256];

enum { BEGIN_NODE = 1, END_NODE = 2, PROP = 3, END = 9, DEPTH = 8 };

static uint32_t be32(const void *p)
{
    const uint8_t *b = p;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static uint64_t be64(const void *p) { return (uint64_t)be32(p) << 32 | be32((const char *)p + 4); }

static bool starts(const char *s, const char *with) { return !memcmp(s, with, strlen(with)); }

static void copy_text(char *to, size_t size, const char *from, uint32_t len)
{
    size_t n = len < size ? len : size;

    memcpy(to, from, n);
    to[n ? n - 1 : 0] = 0;
}

static void take_property(const char *const *path, unsigned depth, const char *name,
                          const char *data, uint32_t len)
{
    const char *node = path[depth - 1];
    bool cpu = depth == 3 && !strcmp(path[1], "cpus") && starts(node, "cpu@");

    if (depth == 2 && starts(node, "memory@") && !strcmp(name, "reg") && !rt_ram_size) {
        rt_ram_base = be64(data);
        rt_ram_size = be64(data + 8);
    } else if (depth == 2 && !strcmp(node, "cpus") && !strcmp(name, "timebase-frequency")) {
        rt_timebase = be32(data);
    } else if (depth == 2 && !strcmp(node, "chosen") && !strcmp(name, "bootargs")) {
        copy_text(rt_bootargs, sizeof(rt_bootargs), data, len);
    } else if (cpu && !strcmp(name, "reg") && rt_hart_count < RT_HARTS) {
        harts[rt_hart_count++].id = len == 8 ? be64(data) : be32(data);
    } else if (depth == 3 && starts(node, "rtc@") && !strcmp(name, "reg")) {
        rt_rtc = be64(data);
    } else if (cpu && !strcmp(name, "riscv,isa") && !rt_isa[0]) {
        copy_text(rt_isa, sizeof(rt_isa), data, len);
    }
}

bool fdt_read(uint64_t fdt)
{
    const char *base = (const char *)fdt, *p, *strings, *path[DEPTH];
    unsigned depth = 0;

    if (be32(base) != 0xd00dfeed)
        return false;
    rt_fdt = fdt;
    rt_fdt_size = be32(base + 4);
    p = base + be32(base + 8);
    strings = base + be32(base + 12);
    for (;;) {
        uint32_t token = be32(p), len;

        p += 4;
        switch (token) {
        case BEGIN_NODE:
            if (depth < DEPTH)
                path[depth] = p;
            depth++;
            p += (strlen(p) + 4) & ~3ul;
            break;
        case END_NODE:
            depth--;
            break;
        case PROP:
            len = be32(p);
            if (depth && depth <= DEPTH)
                take_property(path, depth, strings + be32(p + 4), p + 8, len);
            p += 8 + ((len + 3) & ~3u);
            break;
        case END:
            return rt_hart_count && rt_timebase && rt_ram_size;
        default: /* NOP */
            if (token != 4)
                return false;
        }
    }
}

/* "sstc" in "rv64imafdc_zicsr_sstc" */
bool rt_has(const char *extension)
{
    size_t n = strlen(extension);

    for (const char *s = rt_isa; (s = strstr(s, extension)); s++)
        if (s[-1] == '_' && (s[n] == '_' || !s[n]))
            return true;
    return false;
}

/* The value of "name=" in the command line, which ends at a blank; NULL when it is not there. */
const char *rt_option(const char *name)
{
    size_t n = strlen(name);

    for (const char *s = rt_bootargs; (s = strstr(s, name)); s++)
        if ((s == rt_bootargs || s[-1] == ' ') && s[n] == '=')
            return s + n + 1;
    return NULL;
}

uint64_t rt_number(const char *name, uint64_t otherwise)
{
    const char *s = rt_option(name);
    uint64_t v = 0;

    if (!s)
        return otherwise;
    for (; *s >= '0' && *s <= '9'; s++)
        v = v * 10 + (uint64_t)(*s - '0');
    return v;
}
