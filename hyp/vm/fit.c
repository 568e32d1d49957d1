// SPDX-License-Identifier: BSD-2-Clause
#include "vm/fit.h"

#include <errno.h>
#include <libfdt.h>
#include <string.h>

#include "base/log.h"
#include "base/tree.h"
#include "vm/hash.h"

int fit_fail(struct fit *f, const char *fmt, ...)
{
    va_list ap;
    size_t at = (size_t)(f->vm ? fmt_snprintf(f->why, f->why_size, "bundle: vm '%.40s': ", f->vm)
                               : fmt_snprintf(f->why, f->why_size, "bundle: "));

    va_start(ap, fmt);
    if (at < f->why_size)
        fmt_vsnprintf(f->why + at, f->why_size - at, fmt, ap);
    va_end(ap);
    /* Names in the file may hold anything, and this is one line on a terminal. */
    for (char *c = f->why; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7F)
            *c = '?';
    return -EINVAL;
}

const char *fit_node_name(struct fit *f, int node)
{
    const char *name = fdt_get_name(f->tree, node, NULL);
    return name ? name : "?";
}

const char *fit_get_string(struct fit *f, int node, const char *name, bool *bad)
{
    int len;
    const char *s = fdt_getprop(f->tree, node, name, &len);

    *bad = s && (len < 1 || strnlen(s, (size_t)len) != (size_t)len - 1);
    return *bad ? NULL : s;
}

int fit_get_number(struct fit *f, int node, const char *name, uint64_t *value)
{
    int len;
    const uint8_t *p = fdt_getprop(f->tree, node, name, &len);

    if (!p)
        return -ENOENT;
    if (len != 4 && len != 8)
        return -EINVAL;
    *value = 0;
    for (int i = 0; i < len; i++)
        *value = *value << 8 | p[i];
    return 0;
}

int fit_check_file(struct fit *f)
{
    fdt32_t head[2];

    if (f->size < sizeof(struct fdt_header))
        return fit_fail(f, "%lu bytes is no bundle: make one with 'make bundle'",
                        (unsigned long)f->size);
    memcpy(head, f->tree, sizeof(head));
    if (fdt32_to_cpu(head[0]) != FDT_MAGIC)
        return fit_fail(f, "the initrd is not a FIT image: make one with 'make bundle'");
    if (fdt32_to_cpu(head[1]) > f->size)
        return fit_fail(f, "truncated: its tree has %u bytes, the file %lu: copy or make it again",
                        fdt32_to_cpu(head[1]), (unsigned long)f->size);
    if ((uintptr_t)f->tree & 7)
        return fit_fail(f, "loaded at an address that is not a multiple of 8");
    int error = tree_check(f->tree, fdt32_to_cpu(head[1]));
    if (error)
        return fit_fail(f, "its tree is damaged (%s): copy or make it again", fdt_strerror(error));
    return 0;
}

/* Where an image's bytes are: in the tree, or outside (FIT specification, "External data"). */
static int find_data(struct fit *f, int node, struct vm_image *image)
{
    uint64_t offset, base = 0;
    const char *where = "data-position";
    int len, error;
    const void *data = fdt_getprop(f->tree, node, "data", &len);

    image->name = fit_node_name(f, node);
    if (data) {
        image->data = data;
        image->size = (uint64_t)len;
        return 0;
    }
    error = fit_get_number(f, node, where, &offset);
    if (error == -ENOENT) {
        where = "data-offset";
        base = align_up(fdt_totalsize(f->tree), 4);
        error = fit_get_number(f, node, where, &offset);
    }
    if (error == -ENOENT)
        return fit_fail(f, "image '%s': no data, data-offset or data-position: make it again",
                        image->name);
    if (error)
        return fit_fail(f, "image '%s': %s is not a number", image->name, where);
    error = fit_get_number(f, node, "data-size", &image->size);
    if (error)
        return fit_fail(f, "image '%s': data-size is %s", image->name,
                        error == -ENOENT ? "missing" : "not a number");
    if (!range_ok(base, 0, f->size) || !range_ok(offset, image->size, f->size - base))
        return fit_fail(f,
                        "image '%s': its data ends beyond the file's %lu bytes "
                        "(truncated? copy or make it again)",
                        image->name, (unsigned long)f->size);
    image->data = (const uint8_t *)f->tree + base + offset;
    return 0;
}

/* In pieces, between which others may run: sha256 takes seconds for a large kernel. */
static int hash_image(const struct vm_image *image, enum hash_kind kind,
                      uint8_t digest[HASH_SHA256_SIZE])
{
    enum { PIECE = 256 * 1024 };
    struct hash h;
    int error = hash_begin(&h, kind);

    if (error)
        return error;
    for (uint64_t at = 0; at < image->size; at += PIECE) {
        hash_more(&h, (const uint8_t *)image->data + at, min_u64(image->size - at, PIECE));
        sched_point();
    }
    (void)hash_end(&h, digest);
    return 0;
}

static int check_hash(struct fit *f, const struct vm_image *image, int node)
{
    uint8_t is[HASH_SHA256_SIZE];
    bool bad;
    int len, want, error;
    const char *algo = fit_get_string(f, node, "algo", &bad);
    const void *value = fdt_getprop(f->tree, node, "value", &len);

    if (!algo)
        return fit_fail(f, "image '%s': %s has no algo: use crc32 or sha256", image->name,
                        fit_node_name(f, node));
    if (!strcmp(algo, "crc32"))
        want = sizeof(uint32_t);
    else if (!strcmp(algo, "sha256"))
        want = HASH_SHA256_SIZE;
    else
        return fit_fail(f, "image '%s': hash algo '%.32s' is not known: use crc32 or sha256",
                        image->name, algo);
    if (!value || len != want)
        return fit_fail(f, "image '%s': %s has no %s value of %d bytes: make it with mkimage",
                        image->name, fit_node_name(f, node), algo, want);
    error = hash_image(image, want == HASH_SHA256_SIZE ? HASH_SHA256 : HASH_CRC32, is);
    if (error) {
        fit_fail(f, "out of memory");
        return error;
    }
    if (memcmp(is, value, (size_t)want))
        return fit_fail(f,
                        "image '%s': its %s does not match: the file is damaged, copy or make "
                        "it again",
                        image->name, algo);
    return 0;
}

static int check_hashes(struct fit *f, const struct vm_image *image, int node)
{
    bool hashed = false;
    int sub, error;

    fdt_for_each_subnode(sub, f->tree, node)
    {
        if (strncmp(fit_node_name(f, sub), "hash", 4))
            continue;
        error = check_hash(f, image, sub);
        if (error)
            return error;
        hashed = true;
    }
    if (!hashed)
        return fit_fail(f,
                        "image '%s': no hash: add hash-1 { algo = \"crc32\"; } and mkimage again",
                        image->name);
    return 0;
}

static int check_once(struct fit *f, const struct vm_image *image, int node)
{
    struct bundle_hashes *h = f->hashes;
    int error;

    for (unsigned i = 0; i < h->count; i++)
        if (h->image[i].node == node)
            return h->image[i].damaged
                       ? fit_fail(f, "image '%s': its hash did not match: the file is damaged",
                                  image->name)
                       : 0;
    error = check_hashes(f, image, node);
    if (error != -ENOMEM && h->count < ARRAY_LEN(h->image)) {
        h->image[h->count].node = node;
        h->image[h->count++].damaged = error;
    }
    return error;
}

int fit_take_image(struct fit *f, int node, struct vm_image *image)
{
    bool bad;
    int error = find_data(f, node, image);
    const char *packed;

    if (error)
        return error;
    packed = fit_get_string(f, node, "compression", &bad);
    if (bad || (packed && strcmp(packed, "none")))
        return fit_fail(f,
                        "image '%s': compression '%.16s': only \"none\" is understood: "
                        "decompress it first",
                        image->name, packed ? packed : "?");
    return f->hashes->all_good ? 0 : check_once(f, image, node);
}
