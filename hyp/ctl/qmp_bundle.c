// SPDX-License-Identifier: BSD-2-Clause
// The protocol's commands about bundles: sending one, making its VMs, and what bundles there are.
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "ctl/qmp.h"
#include "ctl/qmp_command.h"
#include "ctl/upload.h"
#include "mem/frame.h"
#include "mem/heap.h"
#include "vm/vm_account.h"
#include "vm/vm_memory.h"

enum { WHY = 160 };

/* The open upload that "bundle" names, if it is this session's; NULL with the description set. */
static struct upload *arg_upload(struct qmp_call *c)
{
    struct upload *u = NULL;
    uint64_t id = 0;

    qmp_arg_u64(c, "bundle", &id);
    if (id <= UINT32_MAX)
        u = upload_find((unsigned)id);
    if (u && u->session == c->session)
        return u;
    qmp_fail(c, -ENOENT,
             u ? "bundle %lu is being sent by another session"
               : "no bundle %lu is being sent: bundle-open begins one",
             (unsigned long)id);
    return NULL;
}

/* ---- the checksum ---- */

static int arg_sha256(struct qmp_call *c, uint8_t digest[HASH_SHA256_SIZE])
{
    char text[2 * HASH_SHA256_SIZE + 1];
    bool good =
        qmp_arg_string(c, "sha256", text, sizeof(text)) && strlen(text) == 2 * HASH_SHA256_SIZE;

    for (unsigned i = 0; i < HASH_SHA256_SIZE && good; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

        good = high >= 0 && low >= 0;
        digest[i] = (uint8_t)(high << 4 | low);
    }
    return good ? 0 : qmp_fail(c, -EINVAL, "Parameter 'sha256' is not 64 hexadecimal digits");
}

static int arg_crc32(struct qmp_call *c, uint8_t digest[HASH_SHA256_SIZE])
{
    uint64_t crc = 0;

    qmp_arg_u64(c, "crc32", &crc);
    if (crc > UINT32_MAX)
        return qmp_fail(c, -EINVAL, "Parameter 'crc32' has more than 32 bits");
    for (unsigned i = 0; i < sizeof(uint32_t); i++)
        digest[i] = (uint8_t)(crc >> (24 - 8 * i));
    return 0;
}

/* Which checksum is given, none or one. */
static int arg_digest(struct qmp_call *c, enum hash_kind *kind, uint8_t *digest, bool *given)
{
    bool sha = qmp_arg(c, "sha256") >= 0, crc = qmp_arg(c, "crc32") >= 0;

    *given = sha || crc;
    *kind = sha ? HASH_SHA256 : HASH_CRC32;
    if (sha && crc)
        return qmp_fail(c, -EINVAL, "either 'sha256' or 'crc32', not both");
    return sha ? arg_sha256(c, digest) : crc ? arg_crc32(c, digest) : 0;
}

/* ---- sending ---- */

static int too_large(struct qmp_call *c, uint64_t size)
{
    struct vm_memory_host h;

    vm_memory_host(&h);
    return qmp_fail(
        c, -ENOMEM,
        "%lu KiB are more than a bundle may take now, %lu KiB: %lu KiB are free, but VMs "
        "were promised %lu KiB that they have not used yet, and %lu KiB are the reserve",
        (unsigned long)(size >> 10), (unsigned long)(vm_memory_spare() >> 10),
        (unsigned long)(h.free >> 10), (unsigned long)(h.owed >> 10),
        (unsigned long)(h.reserve >> 10));
}

int qmp_bundle_open(struct qmp_call *c)
{
    uint8_t digest[HASH_SHA256_SIZE];
    enum hash_kind kind;
    uint64_t size = 0;
    struct upload *u;
    bool given;
    int error = arg_digest(c, &kind, digest, &given);

    if (error)
        return error;
    qmp_arg_u64(c, "size", &size);
    if (size > vm_memory_spare())
        return too_large(c, size);
    error = upload_open(c->session, size, kind, given ? digest : NULL, &u);
    if (error == -ENOSPC)
        return qmp_fail(c, error, "too many bundles: a session sends %d at most, there may be %d",
                        UPLOADS_PER_SESSION, BUNDLE_MAX);
    if (error == -ENOMEM)
        return qmp_fail(c, error, "no %lu KiB of memory in one piece: %lu KiB are free",
                        (unsigned long)(size >> 10), (unsigned long)(frame_free_count() * 4));
    if (error)
        return qmp_fail(c, error, "Parameter 'size' is no size of a bundle");
    json_begin_object(c->out, NULL);
    json_put_u64(c->out, "bundle", u->bundle->id);
    json_put_u64(c->out, "chunk", UPLOAD_CHUNK);
    json_end_object(c->out);
    return 0;
}

/* JSON writers may escape the slash, which base64 has: then the text is copied once. */
static int write_data(struct qmp_call *c, struct upload *u, uint64_t offset)
{
    const struct json_value *v = &c->in->value[qmp_arg(c, "data")];
    const char *raw = c->in->text + v->start;
    size_t len = v->end - v->start;
    int error = upload_write(u, offset, raw, len), n;
    char *text;

    if ((error != -EINVAL && error != -ERANGE) || json_plain_length(raw, len) == len)
        return error;
    text = heap_alloc(len + 1);
    if (!text)
        return -ENOMEM;
    n = json_string(c->in, qmp_arg(c, "data"), text, len + 1);
    error = n < 0 ? -EINVAL : upload_write(u, offset, text, (size_t)n);
    heap_free(text);
    return error;
}

int qmp_bundle_write(struct qmp_call *c)
{
    struct upload *u = arg_upload(c);
    unsigned long received;
    uint64_t offset = 0;
    int error;

    if (!u)
        return -ENOENT;
    qmp_arg_u64(c, "offset", &offset);
    error = write_data(c, u, offset);
    received = u->received;
    switch (error) {
    case 0:
        json_begin_object(c->out, NULL);
        json_put_u64(c->out, "received", received);
        json_end_object(c->out);
        return 0;
    case -ENODATA:
        return qmp_fail(c, error, "there is a gap before offset %lu: go on at %lu",
                        (unsigned long)offset, received);
    case -ERANGE:
        return qmp_fail(c, error, "the data end beyond the bundle's %lu bytes",
                        (unsigned long)u->bundle->size);
    case -EEXIST:
        return qmp_fail(c, error,
                        "other bytes were received at offset %lu before: go on at %lu, or close it",
                        (unsigned long)offset, received);
    case -EINVAL:
        return qmp_fail(c, error, "Parameter 'data' is not base64");
    default:
        return qmp_fail(c, error, "out of memory");
    }
}

int qmp_bundle_close(struct qmp_call *c)
{
    struct upload *u = arg_upload(c);

    if (!u)
        return -ENOENT;
    upload_close(u);
    return 0;
}

/* ---- taking it in ---- */

struct commit {
    struct qmp_call *call;
    char why[WHY]; /* of what ends it, or else of the first VM that is left out */
};

static void put_refused(struct commit *m, const char *name, const char *why)
{
    struct json_out *o = m->call->out;

    json_begin_object(o, NULL);
    if (name)
        json_put_string(o, "name", name);
    json_put_string(o, "reason", why);
    json_end_object(o);
    if (!m->why[0])
        fmt_snprintf(m->why, sizeof(m->why), "%s%s%s", name ? name : "", name ? ": " : "", why);
}

/* A VM whose description is wrong. The reason names it. */
static void refuse(void *ctx, const char *why)
{
    struct commit *m = ctx;
    const char *name = strchr(why, '\''), *end = name ? strchr(name + 1, '\'') : NULL;
    char text[VM_NAME_MAX] = "";

    if (end && (size_t)(end - name) <= sizeof(text))
        memcpy(text, name + 1, (size_t)(end - name) - 1);
    put_refused(m, text[0] ? text : NULL, why);
}

/* A name that there is already spoils it all; a VM that cannot be made for want of something is left out. */
static int make(void *ctx, const struct vm_config *config)
{
    struct commit *m = ctx;
    const char *why = "";
    struct vm *vm;
    int error = vm_create(config, &vm, &why);

    if (error == -EEXIST || error == -ENOSPC)
        fmt_snprintf(m->why, sizeof(m->why), "%s: %s", config->name, why);
    else if (error)
        put_refused(m, config->name, why);
    return error == -EEXIST || error == -ENOSPC ? error : 0;
}

/* The nth VM of a bundle. */
static struct vm *vm_of(const struct bundle *b, unsigned n)
{
    for (unsigned i = 0; i < VM_MAX; i++)
        if (vm_at(i) && vm_at(i)->config.bundle == b && n-- == 0)
            return vm_at(i);
    return NULL;
}

/* They were never started. */
static void destroy_all(const struct bundle *b)
{
    const char *why;
    struct vm *vm;

    while ((vm = vm_of(b, 0)))
        if (vm_destroy(vm, &why)) {
            log_error("%s: cannot be removed: %s", vm->config.name, why);
            return;
        }
}

static void put_names(struct json_out *o, const struct bundle *b)
{
    struct vm *vm;

    json_begin_array(o, "vms");
    for (unsigned i = 0; (vm = vm_of(b, i)); i++)
        json_put_string(o, NULL, vm->config.name);
    json_end_array(o);
}

/* Those that were taken in, for the event: the answer under way comes first. */
static struct bundle *announced[8];

static void announce(struct bundle *b)
{
    for (unsigned i = 0; i < ARRAY_LEN(announced); i++)
        if (!announced[i]) {
            bundle_get(b);
            announced[i] = b;
            return;
        }
}

static void tell(struct qmp_session *s, const struct bundle *b)
{
    struct json_out o = qmp_begin_event(s, "BUNDLE_COMMITTED", vm_account_ns(arch_time()) / 1000);

    json_begin_object(&o, NULL);
    json_put_u64(&o, "bundle", b->id);
    put_names(&o, b);
    json_end_object(&o);
    qmp_end_event(s, &o);
}

void qmp_send_committed(void)
{
    for (unsigned i = 0; i < ARRAY_LEN(announced); i++) {
        struct bundle *b = announced[i];

        announced[i] = NULL;
        for (struct qmp_session *s = qmp_first(); b && s; s = s->next)
            if (qmp_gets_events(s))
                tell(s, b);
        bundle_put(b);
    }
}

static void start_and_put(struct qmp_call *c, struct vm *vm, bool start)
{
    const char *why = "";
    int error = start ? vm_start(vm, &why) : 0;

    json_begin_object(c->out, NULL);
    json_put_string(c->out, "name", vm->config.name);
    json_put_bool(c->out, "started", start && !error);
    if (error)
        json_put_string(c->out, "reason", why);
    json_end_object(c->out);
}

/* With the checksum found good. Each VM starts as its description says, unless "start" says otherwise. */
static int take_in(struct qmp_call *c, struct bundle *b)
{
    struct commit m = {.call = c};
    const struct bundle_reader reader = {.each = make, .wrong = refuse, .ctx = &m};
    char why[WHY];
    struct vm *vm;
    int error;

    json_begin_object(c->out, NULL);
    json_begin_array(c->out, "refused");
    error = bundle_read(b, &reader, why, sizeof(why));
    json_end_array(c->out);
    if (error) {
        destroy_all(b);
        return qmp_fail(c, error, "%s", error == -EEXIST || error == -ENOSPC ? m.why : why);
    }
    if (!vm_of(b, 0))
        return qmp_fail(c, -EINVAL, "none of its VMs could be made: %s", m.why);
    json_begin_array(c->out, "vms");
    for (unsigned i = 0; (vm = vm_of(b, i)); i++) {
        bool start = vm->config.autostart;

        qmp_arg_bool(c, "start", &start);
        start_and_put(c, vm, start);
    }
    json_end_array(c->out);
    json_end_object(c->out);
    return 0;
}

int qmp_bundle_commit(struct qmp_call *c)
{
    struct upload *u = arg_upload(c);
    struct bundle *b;
    int error;

    if (!u)
        return -ENOENT;
    b = u->bundle;
    error = upload_check(u);
    if (error == -ENODATA)
        return qmp_fail(c, error, "%lu of %lu bytes are there: go on", (unsigned long)u->received,
                        (unsigned long)b->size);
    if (error) {
        upload_close(u);
        return qmp_fail(c, error, "its checksum does not match: it is closed; send it again");
    }
    error = take_in(c, b);
    if (error)
        return error;
    announce(b);
    upload_close(u); /* its VMs keep it */
    return 0;
}

int qmp_query_bundles(struct qmp_call *c)
{
    unsigned next = BUNDLE_BOOT;
    struct bundle *b;

    json_begin_array(c->out, NULL);
    while ((b = bundle_from(next))) {
        const struct upload *u = upload_find(b->id);

        next = b->id + 1;
        json_begin_object(c->out, NULL);
        json_put_u64(c->out, "bundle", b->id);
        json_put_u64(c->out, "size", b->size);
        json_put_u64(c->out, "received", u ? u->received : b->size);
        json_put_string(c->out, "state", u ? "receiving" : "taken-in");
        put_names(c->out, b);
        json_end_object(c->out);
        bundle_put(b);
    }
    json_end_array(c->out);
    return 0;
}
