// SPDX-License-Identifier: BSD-2-Clause
// The bundle reader over damaged files: refused with one line that says why, or configurations that
// point into the file and are within the limits.
// units: hyp/vm/bundle.c hyp/vm/bundle_net.c hyp/net/net_text.c hyp/net/switch_config.c hyp/vm/fit.c hyp/vm/hash.c tests/fake/fake_base.c tests/fake/fake_heap.c
#include <errno.h>
#include <libfdt.h>

#include "fake_heap.h"
#include "fuzz.h"
#include "vm/hash.h"
#include "vm/vm.h"

const unsigned fuzz_runs = 40000;
const size_t fuzz_max = 4096;

struct file {
    const char *start;
    size_t size;
    unsigned vms;
};

static void check_inside(const struct file *f, const void *p, uint64_t size)
{
    const char *at = p;

    assert_true(at >= f->start && range_ok((uint64_t)(at - f->start), size, f->size));
}

static void check_image(const struct file *f, const struct vm_image *i)
{
    check_inside(f, i->name, 1);
    assert_non_null(memchr(i->name, 0, f->size - (size_t)(i->name - f->start)));
    check_inside(f, i->data, i->size);
    if (i->size) { /* all of it can be read */
        volatile char sum = 0;

        for (uint64_t k = 0; k < i->size; k++)
            sum = (char)(sum + ((const char *)i->data)[k]);
    }
}

static int each(void *ctx, const struct vm_config *c)
{
    struct file *f = ctx;

    f->vms++;
    assert_true(memchr(c->name, 0, sizeof(c->name)) && c->name[0]);
    assert_non_null(memchr(c->bootargs, 0, sizeof(c->bootargs)));
    assert_true(c->vcpus >= 1 && c->vcpus <= GUEST_MAX_VCPUS);
    assert_true(c->memory && is_aligned(c->memory, PAGE_SIZE));
    check_image(f, &c->kernel);
    assert_true(c->kernel.size > 0);
    if (c->initrd.size)
        check_image(f, &c->initrd);
    assert_true(c->disk_count <= VM_MAX_DISKS);
    for (unsigned i = 0; i < c->disk_count; i++)
        if (c->disk[i].kind == VM_DISK_RAM)
            check_image(f, &c->disk[i].image);
    return f->vms == 5 ? -ENOSPC : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct file f = {.size = size};
    char why[128], *copy = malloc(size + !size);
    struct bundle b;
    int r;

    memcpy(copy, data, size);
    if (size >= sizeof(struct fdt_header) && fdt_totalsize(copy) > size)
        fdt_set_totalsize(copy, (uint32_t)size);
    f.start = copy;
    memset(why, 'x', sizeof(why));
    b = (struct bundle){.data = copy, .size = size};
    r = bundle_read(&b, &(struct bundle_reader){.each = each, .ctx = &f}, why, sizeof(why));
    assert_true(r == 0 || r == -EINVAL || (r == -ENOSPC && f.vms == 5));
    if (r == -EINVAL)
        assert_true(memchr(why, 0, sizeof(why)) && strlen(why) > 10 && !strchr(why, '\n'));
    else
        assert_true(f.vms > 0);
    assert_int_equal(fake_heap_blocks, 0);
    free(copy);
    return 0;
}

/* ---- good bundles ---- */

static char tree[4096] __attribute__((aligned(8)));

static int node(const char *path) { return fdt_path_offset(tree, path); }

static void set(const char *path, const char *name, const void *v, size_t len)
{
    assert_int_equal(fdt_setprop(tree, node(path), name, v, (int)len), 0);
}

static void add_image(const char *name, const char *text, bool sha, bool outside)
{
    char path[64];
    uint8_t digest[HASH_SHA256_SIZE];
    uint32_t crc;

    assert_int_equal(hash_crc32(text, strlen(text), &crc), 0);
    hash_sha256(text, strlen(text), digest);
    assert_true(fdt_add_subnode(tree, node("/images"), name) >= 0);
    snprintf(path, sizeof(path), "/images/%s", name);
    if (outside) {
        assert_int_equal(fdt_setprop_u32(tree, node(path), "data-offset", 0), 0);
        assert_int_equal(fdt_setprop_u32(tree, node(path), "data-size", (uint32_t)strlen(text)), 0);
    } else {
        set(path, "data", text, strlen(text));
    }
    set(path, "compression", "none", 5);
    assert_true(fdt_add_subnode(tree, node(path), "hash-1") >= 0);
    strcat(path, "/hash-1");
    set(path, "algo", sha ? "sha256" : "crc32", sha ? 7 : 6);
    if (sha)
        set(path, "value", digest, sizeof(digest));
    else
        assert_int_equal(fdt_setprop_u32(tree, node(path), "value", crc), 0);
}

static void add_vm(const char *name)
{
    char path[64];

    assert_true(fdt_add_subnode(tree, node("/trapline"), name) >= 0);
    snprintf(path, sizeof(path), "/trapline/%s", name);
    assert_int_equal(fdt_setprop_u32(tree, node(path), "vcpus", 2), 0);
    assert_int_equal(fdt_setprop_u64(tree, node(path), "memory", MIB(64)), 0);
    set(path, "kernel", "kernel", 7);
    set(path, "initrd", "initrd", 7);
    set(path, "bootargs", "console=hvc0", 13);
    set(path, "disks", "initrd\0host@1:ro", 17);
    set(path, "console", "uart", 5);
    set(path, "autostart", NULL, 0);
}

size_t fuzz_seed(unsigned n, uint8_t *to, size_t max)
{
    struct fuzz_out o = {to, 0, max};

    if (n >= 4)
        return 0;
    memset(tree, 0, sizeof(tree));
    assert_int_equal(fdt_create_empty_tree(tree, 2048), 0);
    assert_true(fdt_add_subnode(tree, 0, "images") >= 0);
    assert_true(fdt_add_subnode(tree, 0, "trapline") >= 0);
    set("/trapline", "compatible", "trapline,bundle-1", 18);
    add_image("kernel", "kernel", n & 1, n & 2);
    add_image("initrd", "initrd!", !(n & 1), false);
    add_vm("vm0");
    if (n & 1)
        add_vm("vm1");
    fdt_pack(tree);
    fuzz_put(&o, tree, fdt_totalsize(tree));
    while (o.len % 4)
        fuzz_put_u(&o, 0, 1);
    fuzz_put(&o, "kernel", 6);
    return o.len;
}
