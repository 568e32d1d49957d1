// SPDX-License-Identifier: BSD-2-Clause
#include "fake_tree.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "vm/bundle.h"
#include "vm/hash.h"

char tree_buf[TREE_BUF] __attribute__((aligned(8)));
uint64_t tree_size;
struct vm_config tree_vm[TREE_VMS];
unsigned tree_vms;
int tree_each_result;
char tree_why[256], tree_logged[2048];

void log_write(enum log_level level, const char *fmt, ...)
{
    size_t at = strlen(tree_logged);
    va_list ap;

    (void)level;
    va_start(ap, fmt);
    vsnprintf(tree_logged + at, sizeof(tree_logged) - at, fmt, ap);
    va_end(ap);
}

static int each(void *ctx, const struct vm_config *c)
{
    assert_ptr_equal(ctx, &tree_vms);
    assert_true(tree_vms < TREE_VMS);
    tree_vm[tree_vms++] = *c;
    return tree_each_result;
}

const struct bundle_reader tree_reader = {.each = each, .ctx = &tree_vms};

int tree_read_at(void *fit, uint64_t size)
{
    struct bundle b = {.data = fit, .size = size};

    tree_vms = 0;
    tree_logged[0] = 0;
    memset(tree_why, 'x', sizeof(tree_why));
    return bundle_read(&b, &tree_reader, tree_why, sizeof(tree_why));
}

int tree_read(void) { return tree_read_at(tree_buf, tree_size); }

int tree_node(const char *path)
{
    int n = fdt_path_offset(tree_buf, path);
    assert_true(n >= 0);
    return n;
}

void tree_add(const char *parent, const char *name)
{
    assert_true(fdt_add_subnode(tree_buf, tree_node(parent), name) >= 0);
}

void tree_set(const char *path, const char *name, const void *data, size_t len)
{
    assert_int_equal(fdt_setprop(tree_buf, tree_node(path), name, data, (int)len), 0);
}

void tree_set_s(const char *path, const char *name, const char *s)
{
    tree_set(path, name, s, strlen(s) + 1);
}

void tree_set_u32(const char *path, const char *name, uint32_t v)
{
    assert_int_equal(fdt_setprop_u32(tree_buf, tree_node(path), name, v), 0);
}

void tree_set_u64(const char *path, const char *name, uint64_t v)
{
    assert_int_equal(fdt_setprop_u64(tree_buf, tree_node(path), name, v), 0);
}

void tree_del(const char *path, const char *name)
{
    assert_int_equal(fdt_delprop(tree_buf, tree_node(path), name), 0);
}

void tree_add_image(const char *name, const void *data, size_t len)
{
    char path[64], hash[80];
    uint32_t crc;

    snprintf(path, sizeof(path), "/images/%s", name);
    snprintf(hash, sizeof(hash), "%s/hash-1", path);
    tree_add("/images", name);
    tree_set(path, "data", data, len);
    tree_set_s(path, "compression", "none");
    tree_add(path, "hash-1");
    assert_int_equal(hash_crc32(data, len, &crc), 0);
    tree_set_s(hash, "algo", "crc32");
    tree_set_u32(hash, "value", crc);
}

void tree_open(void)
{
    memset(tree_buf, 0, sizeof(tree_buf));
    assert_int_equal(fdt_create_empty_tree(tree_buf, sizeof(tree_buf)), 0);
    tree_size = sizeof(tree_buf);
    tree_add("/", "images");
    tree_add("/", "trapline");
    tree_set_s("/trapline", "compatible", "trapline,bundle-1");
    tree_add_image("kernel", "the kernel", 10);
    tree_add_image("initrd", "the initrd!", 11);
    tree_add("/trapline", "vm0");
    tree_set_u32(VM, "vcpus", 2);
    tree_set_u64(VM, "memory", MIB(256));
    tree_set_s(VM, "kernel", "kernel");
    tree_set_s(VM, "initrd", "initrd");
    tree_set_s(VM, "bootargs", "console=hvc0");
    tree_set(VM, "disks", "initrd\0host\0host@3:ro", 22);
    tree_set_s(VM, "console", "uart");
    tree_set(VM, "autostart", NULL, 0);
    tree_set(VM, "watchdog", NULL, 0);
}

void tree_pack(void)
{
    assert_int_equal(fdt_pack(tree_buf), 0);
    tree_size = fdt_totalsize(tree_buf);
}

void tree_refused(const char *a, const char *b)
{
    assert_int_equal(tree_read(), -EINVAL);
    assert_int_equal(tree_vms, 0);
    assert_string_equal(tree_logged, ""); /* the caller shows it */
    if (!strstr(tree_why, a) || !strstr(tree_why, b) || strchr(tree_why, '\n'))
        fail_msg("'%s' does not say '%s' and '%s'", tree_why, a, b);
    tree_open();
}

int tree_setup(void **state)
{
    (void)state;
    tree_each_result = 0;
    tree_open();
    return 0;
}
