// SPDX-License-Identifier: BSD-2-Clause
// run: sends a bundle. The file is read twice: once for its checksum, which the machine wants to know first.
// Some writes are under way at any time, so that the line is never idle while an answer travels.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base64.h"
#include "command.h"
#include "exit.h"
#include "fit.h"
#include "memory.h"
#include "progress.h"
#include "text.h"

enum { WINDOW = 8, CHUNK_MOST = 1 << 20, COMMIT_MS = 300000 };

struct upload {
    struct ctl *c;
    const char *path;
    FILE *file;
    uint64_t size, sent, received;
    uint32_t crc;
    json_int_t id, waiting[WINDOW]; /* the bundle's number; answers that are due, a ring */
    unsigned first, due;
    size_t chunk;
    struct progress progress;
};

static int read_error(const struct upload *u)
{
    return say_error(EXIT_LOCAL, "%s: %s", u->path,
                     ferror(u->file) ? strerror(errno) : "it became shorter while it was read");
}

/* ---- the file ---- */

static int file_open(struct upload *u)
{
    static const unsigned char fdt[4] = {0xD0, 0x0D, 0xFE, 0xED};
    unsigned char magic[4];
    struct stat st;

    u->file = fopen(u->path, "rb");
    if (!u->file || fstat(fileno(u->file), &st))
        return say_error(EXIT_LOCAL, "%s: %s", u->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return say_error(EXIT_LOCAL, "%s: not a file", u->path);
    if (fread(magic, 1, 4, u->file) != 4 || memcmp(magic, fdt, 4))
        return say_error(EXIT_LOCAL,
                         "%s: not a bundle (not a FIT image): `tools/mkbundle` or `make bundle` "
                         "makes one",
                         u->path);
    u->size = (uint64_t)st.st_size;
    rewind(u->file);
    return EXIT_OK;
}

static int file_checksum(struct upload *u)
{
    static unsigned char data[1 << 16];
    uint64_t left = u->size;

    u->crc = (uint32_t)crc32(0, NULL, 0);
    while (left) {
        size_t n = fread(data, 1, left < sizeof(data) ? (size_t)left : sizeof(data), u->file);

        if (!n)
            return read_error(u);
        u->crc = (uint32_t)crc32(u->crc, data, (unsigned)n);
        left -= n;
    }
    rewind(u->file);
    return EXIT_OK;
}

/* ---- names ---- */

struct taken {
    const json_t *vms;
    const char *path;
    bool any;
};

static void check_name(void *ctx, const char *name)
{
    struct taken *t = ctx;
    const json_t *vm;
    size_t i;

    json_array_foreach(t->vms, i, vm)
    {
        const char *there = json_string_value(json_object_get(vm, "name"));

        if (!there || strcmp(there, name))
            continue;
        t->any = true;
        say_error(EXIT_REFUSED, "%s: there is a VM %s already: `trapctl rm -f %s` removes it",
                  t->path, name, name);
    }
}

/* Names that there are already would be refused after all of the file was sent. */
static int refuse_taken(struct upload *u)
{
    struct taken t = {.path = u->path};
    json_t *vms;
    int code = ctl_ask(u->c, "query-vms", NULL, &vms);

    if (code)
        return code;
    t.vms = vms;
    fit_each_vm(u->file, check_name, &t);
    rewind(u->file);
    json_decref(vms);
    return t.any ? EXIT_REFUSED : EXIT_OK;
}

/* ---- the wire ---- */

static int bundle_open(struct upload *u)
{
    json_t *value;
    int code = ctl_ask(
        u->c, "bundle-open",
        json_pack("{s:I, s:I}", "size", (json_int_t)u->size, "crc32", (json_int_t)u->crc), &value);

    if (code)
        return code;
    u->id = json_integer_value(json_object_get(value, "bundle"));
    u->chunk = (size_t)json_integer_value(json_object_get(value, "chunk"));
    json_decref(value);
    if (!u->chunk || u->chunk > CHUNK_MOST)
        u->chunk = 4096;
    return EXIT_OK;
}

static int send_chunk(struct upload *u)
{
    size_t n = u->size - u->sent < u->chunk ? (size_t)(u->size - u->sent) : u->chunk;
    unsigned char *data = memory_grow(NULL, n);
    char *text = memory_grow(NULL, base64_length(n) + 1);
    int code = EXIT_OK;

    if (fread(data, 1, n, u->file) != n) {
        code = read_error(u);
    } else {
        base64_encode(data, n, text);
        code = qmp_send(&u->c->qmp, "bundle-write",
                        json_pack("{s:I, s:I, s:s}", "bundle", u->id, "offset", (json_int_t)u->sent,
                                  "data", text),
                        u->c->timeout_ms, &u->waiting[(u->first + u->due) % WINDOW]);
        if (code)
            ctl_failed(u->c, code);
        u->due++;
        u->sent += n;
    }
    free(text);
    free(data);
    return code;
}

static int take_answer(struct upload *u)
{
    json_t *value;
    int code = qmp_wait(&u->c->qmp, u->waiting[u->first], u->c->timeout_ms, &value);

    u->first = (u->first + 1) % WINDOW;
    u->due--;
    if (code)
        return ctl_failed(u->c, code);
    u->received = (uint64_t)json_integer_value(json_object_get(value, "received"));
    json_decref(value);
    return EXIT_OK;
}

static int bundle_write(struct upload *u)
{
    const char *slash = strrchr(u->path, '/');
    int code = EXIT_OK;

    progress_begin(&u->progress, slash ? slash + 1 : u->path, u->size, u->c->quiet || u->c->json);
    while (!code && (u->sent < u->size || u->due)) {
        if (u->sent < u->size && u->due < WINDOW) {
            code = send_chunk(u);
            continue;
        }
        code = take_answer(u);
        progress_at(&u->progress, u->received);
    }
    progress_end(&u->progress);
    return code;
}

/* ---- what became of it ---- */

static int report(struct ctl *c, const json_t *value)
{
    const json_t *vms = json_object_get(value, "vms"), *refused = json_object_get(value, "refused");
    const json_t *each;
    size_t i;

    if (c->json) {
        ctl_print_json(value);
        return json_array_size(refused) ? EXIT_REFUSED : EXIT_OK;
    }
    json_array_foreach(vms, i, each)
    {
        const char *name = json_string_value(json_object_get(each, "name"));

        text_put_safe(stdout, name ? name : "?");
        putchar('\n');
    }
    json_array_foreach(refused, i, each)
    {
        const char *name = json_string_value(json_object_get(each, "name"));
        const char *reason = json_string_value(json_object_get(each, "reason"));

        say_error(EXIT_REFUSED, "%s: %s", name ? name : "?", reason ? reason : "refused");
    }
    return json_array_size(refused) ? EXIT_REFUSED : EXIT_OK;
}

static int bundle_commit(struct upload *u, const struct args *a)
{
    json_t *arguments = json_pack("{s:I}", "bundle", u->id), *value;
    int code;

    if (a->value[RUN_START] || a->value[RUN_NO_START])
        json_object_set_new(arguments, "start", json_boolean(a->value[RUN_START] != NULL));
    /* The machine reads all of it again for its checksums: that may take longer than other commands do. */
    code = ctl_ask_for(u->c, u->c->timeout_ms > COMMIT_MS ? u->c->timeout_ms : COMMIT_MS,
                       "bundle-commit", arguments, &value);
    if (!code)
        code = report(u->c, value);
    json_decref(value);
    return code;
}

int cmd_run(struct ctl *c, const struct args *a)
{
    struct upload u = {.c = c, .path = a->word[0]};
    bool opened = false;
    int code;

    if (a->value[RUN_START] && a->value[RUN_NO_START])
        return say_error(EXIT_USAGE, "run: --start and --no-start do not go together");
    code = file_open(&u);
    if (!code)
        code = refuse_taken(&u);
    if (!code)
        code = file_checksum(&u);
    if (!code) {
        code = bundle_open(&u);
        opened = !code;
    }
    if (!code)
        code = bundle_write(&u);
    if (!code)
        code = bundle_commit(&u, a);
    /* The session of one command ends with it, and its upload too; a shell's goes on. */
    if (code && opened && c->in_shell && c->connected)
        qmp_ask(&c->qmp, "bundle-close", json_pack("{s:I}", "bundle", u.id), c->timeout_ms, NULL);
    if (u.file)
        fclose(u.file);
    return code;
}
