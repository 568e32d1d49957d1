// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/dts.h"

#include <errno.h>
#include <libfdt.h>
#include <string.h>

#include "base/log.h"

enum { LINE = 480, WRAP = 96, INDENT = 4, MAX_DEPTH = 24 };

struct printer {
    void (*emit)(void *ctx, const char *line);
    void *ctx;
    char line[LINE];
    size_t len;
    unsigned depth;
};

static void flush(struct printer *p)
{
    p->line[p->len] = '\0';
    p->emit(p->ctx, p->line);
    p->len = 0;
}

static void put(struct printer *p, const char *text)
{
    size_t n = min_u64(strlen(text), LINE - 1 - p->len);

    memcpy(p->line + p->len, text, n);
    p->len += n;
}

static void indent(struct printer *p, unsigned more)
{
    for (unsigned i = 0; i < p->depth * INDENT + more; i++)
        put(p, " ");
}

/* An item of a value: on this line if it fits, else on the next. */
static void put_item(struct printer *p, const char *text)
{
    if (p->len + strlen(text) > WRAP && p->len > (p->depth + 2) * INDENT) {
        while (p->len && p->line[p->len - 1] == ' ')
            p->len--;
        flush(p);
        indent(p, 2 * INDENT);
    }
    put(p, text);
}

static bool is_escaped(char c) { return c == '"' || c == '\\'; }

/* Strings as libfdt's users write them: printable, none empty, terminated, and each fits into a
 * line. */
static bool is_strings(const char *data, int len)
{
    int run = 0;

    if (len == 0 || data[len - 1])
        return false;
    for (int i = 0; i < len; i++, run++) {
        if (!data[i]) {
            if (!run)
                return false;
            run = -1;
        } else if (data[i] < ' ' || data[i] > '~' || run > LINE - WRAP - 64) {
            return false;
        } else {
            run += is_escaped(data[i]);
        }
    }
    return true;
}

/* From its first byte to its terminator, which is_strings has seen to. */
static void put_string(struct printer *p, const char *s, bool last)
{
    char item[LINE];
    size_t n = 0;

    item[n++] = '"';
    for (; *s; s++) {
        if (is_escaped(*s))
            item[n++] = '\\';
        item[n++] = *s;
    }
    memcpy(item + n, last ? "\"" : "\", ", last ? 2 : 4);
    put_item(p, item);
}

static void put_strings(struct printer *p, const char *data, int len)
{
    for (int at = 0; at < len;) {
        int n = (int)strlen(data + at) + 1;

        put_string(p, data + at, at + n == len);
        at += n;
    }
}

static void put_cells(struct printer *p, const uint8_t *data, int len)
{
    char item[16];

    put(p, "<");
    for (int at = 0; at < len; at += 4) {
        uint32_t v = (uint32_t)data[at] << 24 | (uint32_t)data[at + 1] << 16 |
                     (uint32_t)data[at + 2] << 8 | data[at + 3];

        fmt_snprintf(item, sizeof(item), "0x%x%s", v, at + 4 < len ? " " : "");
        put_item(p, item);
    }
    put(p, ">");
}

static void put_bytes(struct printer *p, const uint8_t *data, int len)
{
    char item[4];

    put(p, "[");
    for (int at = 0; at < len; at++) {
        fmt_snprintf(item, sizeof(item), "%02x%s", data[at], at + 1 < len ? " " : "");
        put_item(p, item);
    }
    put(p, "]");
}

static int print_property(struct printer *p, const void *fdt, int offset)
{
    const char *name;
    int len;
    const void *data = fdt_getprop_by_offset(fdt, offset, &name, &len);

    if (!data)
        return -EINVAL;
    indent(p, 0);
    put(p, name);
    if (len) {
        put(p, " = ");
        if (is_strings(data, len))
            put_strings(p, data, len);
        else if (len % 4 == 0)
            put_cells(p, data, len);
        else
            put_bytes(p, data, len);
    }
    put(p, ";");
    flush(p);
    return 0;
}

static int open_node(struct printer *p, const void *fdt, int node)
{
    const char *name = fdt_get_name(fdt, node, NULL);
    int property;

    if (!name)
        return -EINVAL;
    indent(p, 0);
    put(p, *name ? name : "/");
    put(p, " {");
    flush(p);
    p->depth++;
    fdt_for_each_property_offset(property, fdt, node)
    {
        int error = print_property(p, fdt, property);

        if (error)
            return error;
    }
    return property == -FDT_ERR_NOTFOUND ? 0 : -EINVAL;
}

static void close_to(struct printer *p, unsigned depth)
{
    while (p->depth > depth) {
        p->depth--;
        indent(p, 0);
        put(p, "};");
        flush(p);
    }
}

int dts_print(const void *fdt, size_t size, void (*emit)(void *ctx, const char *line), void *ctx)
{
    struct printer p = {.emit = emit, .ctx = ctx};
    int node, depth = -1;

    if (size < sizeof(struct fdt_header) || fdt_check_header(fdt) || fdt_totalsize(fdt) > size)
        return -EINVAL;
    put(&p, "/dts-v1/;");
    flush(&p);
    for (node = fdt_next_node(fdt, -1, &depth); node >= 0 && depth >= 0;
         node = fdt_next_node(fdt, node, &depth)) {
        int error;

        if (depth >= MAX_DEPTH)
            return -EINVAL;
        close_to(&p, (unsigned)depth);
        error = open_node(&p, fdt, node);
        if (error)
            return error;
    }
    close_to(&p, 0);
    return node < 0 && node != -FDT_ERR_NOTFOUND ? -EINVAL : 0;
}
