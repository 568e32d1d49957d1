// SPDX-License-Identifier: BSD-2-Clause
#include "fake_bundle.h"

#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/hash.h"

static const char kernel[] = "the kernel of these VMs";

static void must(int error)
{
    if (error < 0)
        abort();
}

static void put_string(void *fdt, int node, const char *name, const char *text)
{
    must(fdt_setprop_string(fdt, node, name, text));
}

static void put_image(void *fdt)
{
    int images = fdt_add_subnode(fdt, 0, "images"), image, hash;
    uint32_t crc;

    must(images);
    must(hash_crc32(kernel, sizeof(kernel), &crc));
    image = fdt_add_subnode(fdt, images, "kernel");
    must(image);
    must(fdt_setprop(fdt, image, "data", kernel, sizeof(kernel)));
    put_string(fdt, image, "compression", "none");
    hash = fdt_add_subnode(fdt, image, "hash-1");
    must(hash);
    put_string(fdt, hash, "algo", "crc32");
    must(fdt_setprop_u32(fdt, hash, "value", crc));
}

/* A new node comes before those that are there: the last VM is put first. */
static void put_vm(void *fdt, int vms, const char *name)
{
    const char *plain = name + strspn(name, "!+");
    int node = fdt_add_subnode(fdt, vms, plain);

    must(node);
    put_string(fdt, node, "kernel", "kernel");
    if (*name == '+')
        must(fdt_setprop(fdt, node, "autostart", NULL, 0));
    if (*name != '!')
        must(fdt_setprop_u64(fdt, node, "memory", 16 << 20));
}

size_t fake_bundle(void *to, size_t size, const char *const vms[])
{
    int node, count = 0;

    must(fdt_create_empty_tree(to, (int)size));
    put_image(to);
    node = fdt_add_subnode(to, 0, "trapline");
    must(node);
    put_string(to, node, "compatible", "trapline,bundle-1");
    while (vms[count])
        count++;
    while (count--)
        put_vm(to, node, vms[count]);
    must(fdt_pack(to));
    return fdt_totalsize(to);
}
