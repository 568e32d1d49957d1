// SPDX-License-Identifier: BSD-2-Clause
// Commands about disks on the host's disks.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "blk/disks_edit.h"
#include "ctl/command.h"
#include "vm/vm.h"

/* Bytes, with K, M, G or T behind them; the whole word. */
static bool parse_size(const char *word, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    char number[24];
    size_t len = strlen(word);
    const char *unit = len ? memchr(units, word[len - 1], sizeof(units) - 1) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;

    len -= unit != NULL;
    if (len >= sizeof(number))
        return false;
    memcpy(number, word, len);
    number[len] = 0;
    if (!command_number(number, bytes) || !*bytes || *bytes > BIT(50) >> shift)
        return false;
    *bytes <<= shift;
    return true;
}

/* ---- the list ---- */

static void print_disk(void *ctx, const struct disks_info *i)
{
    static const char *const uses[] = {"free", "read", "in use"};
    char size[24] = "?";

    if (i->size)
        fmt_snprintf(size, sizeof(size), "%lu", (unsigned long)(i->size >> 20));
    command_print(ctx, "%4u %-20s %9lu %-6s %9s %-6s  %s", i->place.disk, i->place.part.name,
                  (unsigned long)(i->place.part.sectors >> 11), i->image ? "qcow2" : "raw", size,
                  uses[i->use], i->behind);
}

static int list(const struct command_out *out)
{
    command_print(out, "%4s %-20s %9s %-6s %9s %-6s  %s", "DISK", "NAME", "MIB", "FORMAT",
                  "GUEST'S", "USE", "BEHIND IT");
    if (disks_list(false, print_disk, (void *)(uintptr_t)out))
        return command_fail(out, -ENOMEM, "out of memory");
    return 0;
}

/* ---- what changes them ---- */

/* "raw", "room=SIZE", "on=DISK". */
static bool parse_option(const char *word, struct disks_new *n)
{
    uint64_t disk;

    if (!strcmp(word, "raw")) {
        n->raw = true;
        return !n->template;
    }
    if (!strncmp(word, "room=", 5))
        return parse_size(word + 5, &n->room);
    if (strncmp(word, "on=", 3) || !command_number(word + 3, &disk) || disk > 99)
        return false;
    n->disk = (int)disk;
    return true;
}

static int create(const struct command_out *out, struct disks_new *n, int argc, char *const argv[])
{
    char why[192];
    int error;

    for (int i = 0; i < argc; i++)
        if (!parse_option(argv[i], n))
            return COMMAND_USAGE;
    error = disks_create(n, why, sizeof(why));
    if (error)
        return command_fail(out, error, "cannot create %.40s: %s", n->name, why);
    return 0;
}

/* disk create NAME SIZE [OPTION...] */
static int disk_create(const struct command_out *out, int argc, char *const argv[])
{
    struct disks_new n = {.disk = -1};

    if (argc < 4 || !parse_size(argv[3], &n.size))
        return COMMAND_USAGE;
    n.name = argv[2];
    return create(out, &n, argc - 4, argv + 4);
}

/* disk clone TEMPLATE NAME [SIZE] [OPTION...] */
static int cmd_clone(const struct command_out *out, int argc, char *const argv[])
{
    struct disks_new n = {.disk = -1};
    int options;

    if (argc < 4)
        return COMMAND_USAGE;
    n.template = argv[2];
    n.name = argv[3];
    options = argc > 4 && parse_size(argv[4], &n.size) ? 5 : 4;
    return create(out, &n, argc - options, argv + options);
}

static int no_disk(const struct command_out *out, const char *device)
{
    return command_fail(out, -ENOENT, "no VM has a disk %.40s: see `devices VM`", device);
}

/* disk resize NAME|VM/disk-N SIZE */
static int cmd_resize(const struct command_out *out, int argc, char *const argv[])
{
    uint64_t size;
    char why[192];
    struct vm *vm;
    unsigned disk;
    int error;

    if (argc != 4 || !parse_size(argv[3], &size))
        return COMMAND_USAGE;
    if (!strchr(argv[2], '/'))
        error = vm_resize_image(argv[2], size, why, sizeof(why));
    else if (vm_find_disk(argv[2], &vm, &disk))
        return no_disk(out, argv[2]);
    else
        error = vm_resize_disk(vm, disk, size, why, sizeof(why));
    return error ? command_fail(out, error, "cannot resize %.40s: %s", argv[2], why) : 0;
}

/* disk delete NAME [force] */
static int cmd_delete(const struct command_out *out, int argc, char *const argv[])
{
    bool force = argc == 4 && !strcmp(argv[3], "force");
    char why[192];
    int error;

    if (argc != 3 + force)
        return COMMAND_USAGE;
    error = disks_delete(argv[2], force, why, sizeof(why));
    return error ? command_fail(out, error, "cannot delete %.40s: %s", argv[2], why) : 0;
}

/* "iops=N" or "bytes=SIZE"; "off" is none. */
static bool parse_limit(const char *word, struct blk_limit *limit)
{
    const char *equals = strchr(word, '=');
    uint64_t n = 0;

    if (!equals || (strcmp(equals + 1, "off") && !parse_size(equals + 1, &n)))
        return false;
    if (!strncmp(word, "iops=", 5))
        limit->iops = (uint32_t)min_u64(n, UINT32_MAX); /* beyond every limit */
    else if (!strncmp(word, "bytes=", 6))
        limit->bytes = n;
    else
        return false;
    return true;
}

/* disk limit VM/disk-N [iops=N|off] [bytes=SIZE|off] */
static int cmd_limit(const struct command_out *out, int argc, char *const argv[])
{
    struct blk_limit limit;
    const char *why;
    struct vm *vm;
    unsigned disk;
    int error;

    if (argc < 4)
        return COMMAND_USAGE;
    if (vm_find_disk(argv[2], &vm, &disk))
        return no_disk(out, argv[2]);
    limit = vm->config.disk[disk].limit;
    for (int i = 3; i < argc; i++)
        if (!parse_limit(argv[i], &limit))
            return COMMAND_USAGE;
    error = vm_set_disk_limit(vm, disk, &limit, &why);
    return error ? command_fail(out, error, "cannot limit %.40s: %s", argv[2], why) : 0;
}

int cmd_disk(const struct command_out *out, int argc, char *const argv[])
{
    static const struct {
        const char *name;
        int (*run)(const struct command_out *out, int argc, char *const argv[]);
    } verbs[] = {
        {"create", disk_create}, {"clone", cmd_clone}, {"resize", cmd_resize},
        {"delete", cmd_delete},  {"limit", cmd_limit},
    };

    if (argc == 1)
        return list(out);
    for (unsigned i = 0; i < ARRAY_LEN(verbs); i++)
        if (!strcmp(argv[1], verbs[i].name))
            return verbs[i].run(out, argc, argv);
    return COMMAND_USAGE;
}
