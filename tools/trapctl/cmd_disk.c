// SPDX-License-Identifier: BSD-2-Clause
// disk: the images in partitions of the host's disks, and the disks that VMs have.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "exit.h"
#include "json_get.h"
#include "table_list.h"
#include "text.h"
#include "verbs.h"

/* ---- looking ---- */

/* A size, or "-" where the machine does not know it. */
static void add_size(struct table *t, const json_t *o, const char *key)
{
    char text[TEXT_NUMBER];

    table_add(t, "%s", json_object_get(o, key) ? text_bytes(get_number(o, key), text) : "-");
}

/* What an image uses; at least, where counting it would have taken too long. */
static void add_used(struct table *t, const json_t *image)
{
    char text[TEXT_NUMBER];

    if (get_bool(image, "actual-size-incomplete"))
        table_add(t, ">%s", text_bytes(get_number(image, "actual-size"), text));
    else
        add_size(t, image, "actual-size");
}

static void add_users(struct table *t, const json_t *users)
{
    char text[256] = "";
    const json_t *each;
    size_t i, at = 0;

    json_array_foreach(users, i, each) if (json_is_string(each) && at < sizeof(text)) at +=
        (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", at ? " " : "",
                         json_string_value(each));
    table_add(t, "%s", text);
}

static void add_image(struct table *t, const json_t *image)
{
    table_add(t, "%s", get_string(image, "image"));
    table_add(t, "%s", get_string(image, "format"));
    add_size(t, image, "virtual-size");
    add_used(t, image);
    add_size(t, image, "partition");
    table_add(t, "%s", get_string(image, "backing"));
    add_users(t, json_object_get(image, "used-by"));
}

static void show_images(const json_t *images)
{
    static const char *const heads[] = {"IMAGE",      "FORMAT",    ">SIZE",   ">USED",
                                        ">PARTITION", "BEHIND IT", "USED BY", NULL};

    table_list(images, heads, add_image, stdout);
}

static void add_limit(struct table *t, const json_t *inserted, const char *key)
{
    uint64_t n = get_number(inserted, key);
    char text[TEXT_NUMBER];

    if (!n)
        table_add(t, "off");
    else if (!strcmp(key, "bps"))
        table_add(t, "%s/s", text_bytes(n, text));
    else
        table_add(t, "%" PRIu64, n);
}

static void add_disk(struct table *t, const json_t *disk)
{
    const json_t *in = json_object_get(disk, "inserted"), *image = json_object_get(in, "image");

    table_add(t, "%s", get_string(disk, "device"));
    table_add(t, "%s", get_string(in, "drv"));
    add_size(t, image, "virtual-size");
    table_add(t, "%s", get_bool(in, "ro") ? "read-only" : "");
    add_limit(t, in, "iops");
    add_limit(t, in, "bps");
    table_add(t, "%s", get_string(in, "file"));
    table_add(t, "%s", get_string(image, "backing-filename"));
}

static void show_disks(const json_t *disks)
{
    static const char *const heads[] = {"DISK",  "FORMAT", ">SIZE",     "MODE", ">IOPS",
                                        ">RATE", "IMAGE",  "BEHIND IT", NULL};

    table_list(disks, heads, add_disk, stdout);
}

/* The machine's images, or with a VM's name its disks. */
static int ls(struct ctl *c, const struct args *a)
{
    json_t *value;
    int code = ctl_ask(c, a->words ? "query-block" : "query-images",
                       a->words ? ctl_vm(a->word[0]) : NULL, &value);

    if (code)
        return code;
    if (c->json)
        ctl_print_json(value);
    else if (a->words)
        show_disks(value);
    else
        show_images(value);
    json_decref(value);
    return EXIT_OK;
}

/* ---- changing ---- */

/* Takes the arguments' reference. */
static int change(struct ctl *c, const char *command, json_t *arguments, const char *name,
                  const char *done)
{
    json_t *value;
    int code = ctl_ask(c, command, arguments, &value);

    if (!code && c->json)
        ctl_print_json(value);
    else if (!code && !c->quiet)
        printf("%s: %s\n", name, done);
    json_decref(value);
    return code;
}

static bool add_parsed(json_t *arguments, const char *key, const char *word)
{
    uint64_t size;

    return text_size(word, &size) && size &&
           !json_object_set_new(arguments, key, json_integer((json_int_t)size));
}

/* "room=8G", "on=1": where a new image goes. */
static bool parse_place(json_t *arguments, const char *word)
{
    uint64_t disk;

    if (!strncmp(word, "room=", 5))
        return add_parsed(arguments, "room", word + 5);
    return !strncmp(word, "on=", 3) && text_u64(word + 3, &disk) && disk < 100 &&
           !json_object_set_new(arguments, "disk", json_integer((json_int_t)disk));
}

static bool parse_create_word(json_t *arguments, const char *word)
{
    if (!strcmp(word, "raw") || !strcmp(word, "qcow2"))
        return !json_object_set_new(arguments, "format", json_string(word));
    if (!strncmp(word, "backing=", 8) && word[8])
        return !json_object_set_new(arguments, "backing", json_string(word + 8));
    return parse_place(arguments, word);
}

static bool parse_clone_word(json_t *arguments, const char *word)
{
    return add_parsed(arguments, "size", word) || parse_place(arguments, word);
}

/* The words from the given one on. EXIT_USAGE: said, and the arguments are given up. */
static int parse_rest(json_t *arguments, const struct args *a, int from,
                      bool (*parse)(json_t *arguments, const char *word), const char *wanted)
{
    for (int i = from; i < a->words; i++)
        if (!parse(arguments, a->word[i])) {
            json_decref(arguments);
            return say_error(EXIT_USAGE, "disk: '%s' is none of %s", a->word[i], wanted);
        }
    return EXIT_OK;
}

static int bad_size(json_t *arguments, const char *word)
{
    json_decref(arguments);
    return say_error(EXIT_USAGE, "disk: '%s' is not a size: 512M, 10G", word);
}

static int create(struct ctl *c, const struct args *a)
{
    json_t *arguments = json_pack("{s:s}", "image", a->word[0]);
    int code;

    if (!add_parsed(arguments, "size", a->word[1]))
        return bad_size(arguments, a->word[1]);
    code = parse_rest(arguments, a, 2, parse_create_word,
                      "raw, qcow2, backing=IMAGE, room=SIZE, on=DISK");
    return code ? code : change(c, "image-create", arguments, a->word[0], "made");
}

static int clone(struct ctl *c, const struct args *a)
{
    json_t *arguments = json_pack("{s:s, s:s}", "from", a->word[0], "image", a->word[1]);
    int code = parse_rest(arguments, a, 2, parse_clone_word, "a size, room=SIZE, on=DISK");

    return code ? code : change(c, "image-clone", arguments, a->word[1], "made");
}

/* An image, or by VM/disk-N the disk that a VM has. */
static int resize(struct ctl *c, const struct args *a)
{
    bool device = strchr(a->word[0], '/');
    json_t *arguments = json_pack("{s:s}", device ? "device" : "image", a->word[0]);

    if (!add_parsed(arguments, "size", a->word[1]))
        return bad_size(arguments, a->word[1]);
    return change(c, device ? "block_resize" : "image-resize", arguments, a->word[0], "resized");
}

static int rm(struct ctl *c, const struct args *a)
{
    int result = EXIT_OK;

    for (int i = 0; i < a->words; i++) {
        json_t *arguments = json_pack("{s:s}", "image", a->word[i]);
        int code;

        if (a->value[DISK_FORCE])
            json_object_set_new(arguments, "force", json_true());
        code = change(c, "image-delete", arguments, a->word[i], "deleted");
        if (code && !result)
            result = code;
        if (code > EXIT_USAGE)
            break; /* the machine is gone */
    }
    return result;
}

/* ---- limits ---- */

static bool parse_limit(json_t *arguments, const char *word)
{
    const char *key = !strncmp(word, "iops=", 5)    ? "iops"
                      : !strncmp(word, "bytes=", 6) ? "bps"
                                                    : NULL;
    const char *value = key ? strchr(word, '=') + 1 : NULL;

    if (!key)
        return false;
    if (!strcmp(value, "off"))
        return !json_object_set_new(arguments, key, json_integer(0));
    return add_parsed(arguments, key, value);
}

static int show_limit(struct ctl *c, const char *device)
{
    json_t *disks, *each;
    size_t i;
    int code = ctl_ask(c, "query-block", NULL, &disks);

    if (code)
        return code;
    code = EXIT_REFUSED;
    json_array_foreach(disks, i, each)
    {
        const json_t *in = json_object_get(each, "inserted");
        uint64_t iops = get_number(in, "iops"), bytes = get_number(in, "bps");

        if (strcmp(get_string(each, "device"), device))
            continue;
        code = EXIT_OK;
        if (c->json)
            ctl_print_json(each);
        else
            printf("%s: iops=%" PRIu64 "%s bytes=%" PRIu64 "%s\n", device, iops,
                   iops ? "" : " (off)", bytes, bytes ? "" : " (off)");
    }
    json_decref(disks);
    return code ? say_error(code, "no VM has a disk %s: `trapctl disk ls VM` lists a VM's", device)
                : EXIT_OK;
}

static int limit(struct ctl *c, const struct args *a)
{
    json_t *arguments = json_pack("{s:s}", "device", a->word[0]);
    int code = parse_rest(arguments, a, 1, parse_limit, "iops=N|off, bytes=SIZE|off (a second)");

    if (code)
        return code;
    if (a->words > 1)
        code = ctl_ask(c, "block_set_io_throttle", arguments, NULL);
    else
        json_decref(arguments);
    return code || (c->quiet && a->words > 1) ? code : show_limit(c, a->word[0]);
}

static const struct verb verbs[] = {
    {"ls", "[VM]", 0, 1, ls},
    {"create", "IMAGE SIZE [raw|qcow2] [backing=IMAGE] [room=SIZE] [on=DISK]", 2, 6, create},
    {"clone", "TEMPLATE IMAGE [SIZE] [room=SIZE] [on=DISK]", 2, 5, clone},
    {"resize", "IMAGE|VM/disk-N SIZE", 2, 2, resize},
    {"rm", "IMAGE...", 1, ARGS_WORDS - 1, rm},
    {"limit", "VM/disk-N [iops=N|off] [bytes=SIZE|off]", 1, 3, limit},
    {NULL, NULL, 0, 0, NULL},
};

int cmd_disk(struct ctl *c, const struct args *a)
{
    const struct verb *verb = verbs_find(verbs, a);

    if (verb)
        return verbs_run(c, "disk", verb, a);
    if (a->words)
        return say_error(EXIT_USAGE,
                         "disk: '%s' is none of ls, create, clone, resize, rm, limit (trapctl disk "
                         "--help)",
                         a->word[0]);
    return ls(c, a);
}
