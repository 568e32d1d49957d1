// SPDX-License-Identifier: BSD-2-Clause
// The bundle reader: every mistake a person can make (each must be named), and files cut or altered at every byte, in a buffer of
// their exact size. Images: test_bundle_image.c; networks: test_bundle_net.c.
// units: tests/fake/bundle.units
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "fake_tree.h"
#include "vm/hash.h"

static void test_good(void **state)
{
    (void)state;
    tree_pack();
    assert_int_equal(tree_read(), 0);
    assert_int_equal(tree_vms, 1);
    assert_string_equal(tree_vm[0].name, "vm0");
    assert_int_equal(tree_vm[0].vcpus, 2);
    assert_int_equal(tree_vm[0].memory, MIB(256));
    assert_string_equal(tree_vm[0].kernel.name, "kernel");
    assert_int_equal(tree_vm[0].kernel.size, 10);
    assert_memory_equal(tree_vm[0].kernel.data, "the kernel", 10);
    assert_memory_equal(tree_vm[0].initrd.data, "the initrd!", 11);
    assert_string_equal(tree_vm[0].bootargs, "console=hvc0");
    assert_true(tree_vm[0].uart_console);
    assert_true(tree_vm[0].autostart);
    assert_true(tree_vm[0].watchdog);
    assert_int_equal(tree_vm[0].disk_count, 3);
    assert_int_equal(tree_vm[0].disk[0].kind, VM_DISK_RAM);
    assert_memory_equal(tree_vm[0].disk[0].image.data, "the initrd!", 11);
    assert_false(tree_vm[0].disk[0].read_only);
    assert_int_equal(tree_vm[0].disk[1].kind, VM_DISK_HOST);
    assert_int_equal(tree_vm[0].disk[1].host_index, 0);
    assert_int_equal(tree_vm[0].disk[2].host_index, 3);
    assert_true(tree_vm[0].disk[2].read_only);
}

static void test_partitions(void **state)
{
    (void)state;
    tree_set(VM, "disks", "part:web\0qcow2:a:b:ro\0part:123456789012345678901234567890123456:ro",
             67);
    tree_pack();
    assert_int_equal(tree_read(), 0);
    assert_int_equal(tree_vm[0].disk_count, 3);
    assert_int_equal(tree_vm[0].disk[0].kind, VM_DISK_PART);
    assert_string_equal(tree_vm[0].disk[0].part, "web");
    assert_false(tree_vm[0].disk[0].read_only || tree_vm[0].disk[0].qcow2);
    assert_true(tree_vm[0].disk[1].qcow2);
    assert_string_equal(tree_vm[0].disk[1].part, "a:b");
    assert_true(tree_vm[0].disk[1].read_only);
    assert_string_equal(tree_vm[0].disk[2].part, "123456789012345678901234567890123456");
    tree_open();
    tree_set_s(VM, "disks", "part:");
    tree_refused("part:", "1 to 36");
    tree_set_s(VM, "disks", "part::ro");
    tree_refused("part:", "1 to 36");
    tree_set_s(VM, "disks", "part:1234567890123456789012345678901234567");
    tree_refused("part:", "1 to 36");
}

static void test_disk_options(void **state)
{
    static const char *const wrong[][2] = {
        {"host:iops=0", "iops="},
        {"host:iops=", "iops="},
        {"host:iops=1x", "iops="},
        {"host:iops=99G", "iops="},
        {"host:bytes=63K", "bytes="},
        {"host:bytes=9G", "bytes="},
        {"host:bytes=-1", "bytes="},
        {"host:serial=", "serial"},
        {"host:serial=a b", "serial"},
        {"host:serial=123456789012345678901", "serial"},
        {"host:bytes=99999999999999999999G", "bytes="},
        {"host:fast=1", "no image"},
    };

    static const char good[] =
        "initrd:ro:iops=2K\0qcow2:web:serial=S/N-1:bytes=10M:iops=5\0host@1:bytes=7G";

    (void)state;
    tree_set(VM, "disks", good, sizeof(good));
    tree_pack();
    assert_int_equal(tree_read(), 0);
    assert_int_equal(tree_vm[0].disk_count, 3);
    assert_int_equal(tree_vm[0].disk[0].kind, VM_DISK_RAM);
    assert_true(tree_vm[0].disk[0].read_only);
    assert_int_equal(tree_vm[0].disk[0].limit.iops, 2048);
    assert_int_equal(tree_vm[0].disk[0].limit.bytes, 0);
    assert_string_equal(tree_vm[0].disk[1].part, "web");
    assert_string_equal(tree_vm[0].disk[1].serial, "S/N-1");
    assert_int_equal(tree_vm[0].disk[1].limit.bytes, 10 << 20);
    assert_int_equal(tree_vm[0].disk[1].limit.iops, 5);
    assert_int_equal(tree_vm[0].disk[2].host_index, 1);
    assert_int_equal(tree_vm[0].disk[2].limit.bytes, 7ul << 30);
    tree_open();
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
        tree_set_s(VM, "disks", wrong[i][0]);
        tree_refused("disks", wrong[i][1]);
    }
}

static void test_least(void **state)
{
    (void)state;
    tree_del(VM, "vcpus");
    tree_del(VM, "initrd");
    tree_del(VM, "bootargs");
    tree_del(VM, "disks");
    tree_del(VM, "console");
    tree_del(VM, "autostart");
    tree_del(VM, "watchdog");
    tree_set_u32(VM, "memory", MIB(16)); /* one cell will do */
    tree_add("/trapline", "vm-1.b_C");
    tree_set_u32("/trapline/vm-1.b_C", "vcpus", 1);
    tree_set_u64("/trapline/vm-1.b_C", "memory", GIB(5));
    tree_set_s("/trapline/vm-1.b_C", "kernel", "kernel");
    assert_int_equal(tree_read(), 0);
    assert_int_equal(tree_vms, 2);
    const struct vm_config *c = strcmp(tree_vm[0].name, "vm0") ? &tree_vm[1] : &tree_vm[0];
    assert_int_equal(c->memory, MIB(16));
    assert_int_equal(c->vcpus, 1);
    assert_int_equal(c->initrd.size, 0);
    assert_string_equal(c->bootargs, "");
    assert_false(c->uart_console || c->autostart || c->watchdog || c->disk_count);
}

static void test_vm_mistakes(void **state)
{
    static char long_args[600];
    static const char *const wrong_disks[] = {"host@",      "host@x", "host@-1",
                                              "host@12345", "hosts",  ""};

    (void)state;
    tree_set_u32(VM, "vcpus", 0);
    tree_refused("'vm0'", "vcpus");
    tree_set_u32(VM, "vcpus", 33);
    tree_refused("'vm0'", "vcpus");
    tree_set_u64(VM, "vcpus", 1ull << 32);
    tree_refused("'vm0'", "vcpus");
    tree_set(VM, "vcpus", NULL, 0);
    tree_refused("'vm0'", "vcpus");
    tree_del(VM, "memory");
    tree_refused("'vm0'", "memory");
    tree_set_u64(VM, "memory", 0);
    tree_refused("'vm0'", "memory");
    tree_set_u64(VM, "memory", MIB(1) + 1);
    tree_refused("'vm0'", "memory");
    tree_set_u64(VM, "memory", UINT64_MAX - 4095);
    tree_refused("'vm0'", "memory");
    tree_set_s(VM, "memory", "256M");
    tree_refused("'vm0'", "memory");
    tree_del(VM, "kernel");
    tree_refused("'vm0'", "kernel");
    tree_set_s(VM, "kernel", "kernal");
    tree_refused("'vm0'", "no image 'kernal'");
    tree_set(VM, "kernel", "kernel", 6);
    tree_refused("'vm0'", "kernel");
    tree_set(VM, "kernel", "kernel\0kernel", 14);
    tree_refused("'vm0'", "kernel must name one");
    tree_set_s(VM, "kernel", "kernel/hash-1");
    tree_refused("'vm0'", "no image");
    tree_set(VM, "initrd", NULL, 0);
    tree_refused("'vm0'", "initrd");
    tree_set_s(VM, "initrd", "nope");
    tree_refused("'vm0'", "initrd: there is no image 'nope'");
    memset(long_args, 'a', sizeof(long_args) - 1);
    tree_set_s(VM, "bootargs", long_args);
    tree_refused("'vm0'", "bootargs has 599");
    tree_set(VM, "bootargs", "abc", 3);
    tree_refused("'vm0'", "bootargs");
    tree_set_s(VM, "console", "vga");
    tree_refused("'vm0'", "console must be");
    tree_set_u32(VM, "autostart", 0);
    tree_refused("'vm0'", "autostart");
    tree_set(VM, "disks", "host", 4);
    tree_refused("'vm0'", "disks");
    tree_set(VM, "disks", "host\0host\0host\0host\0host", 25);
    tree_refused("'vm0'", "disks: more than 4");
    for (unsigned i = 0; i < ARRAY_LEN(wrong_disks); i++) {
        tree_set_s(VM, "disks", wrong_disks[i]);
        tree_refused("'vm0'", "disks: there is no image");
    }
    tree_set_u32(VM, "memroy", 1);
    assert_int_equal(tree_read(), 0);
    assert_non_null(strstr(tree_logged, "'vm0': property 'memroy' is not known"));
    assert_int_equal(fdt_delprop(tree_buf, tree_node(VM), "memroy"), 0);
    for (unsigned i = 0; i < 50; i++) {
        char name[] = {'x', (char)('a' + i % 26), (char)('a' + i / 26), '\0'};

        tree_set_u32(VM, name, 1);
    }
    assert_int_equal(tree_read(), 0);
    assert_null(strstr(tree_logged, "xpb"));
    assert_non_null(strstr(tree_logged, "bundle: 42 more properties are not known: ignored"));
    for (unsigned i = 0; i < 50; i++) {
        char name[] = {'x', (char)('a' + i % 26), (char)('a' + i / 26), '\0'};

        assert_int_equal(fdt_delprop(tree_buf, tree_node(VM), name), 0);
    }
    tree_set("/images/initrd", "data", "", 0);
    tree_set_u32("/images/initrd/hash-1", "value", 0);
    tree_refused("'vm0'", "image 'initrd' is empty");
}

static void test_names_and_nodes(void **state)
{
    char name[48];

    (void)state;
    memset(name, 'v', sizeof(name));
    name[32] = 0;
    assert_int_equal(fdt_set_name(tree_buf, tree_node(VM), name), 0);
    tree_refused("vvv", "31 characters");
    assert_int_equal(fdt_set_name(tree_buf, tree_node(VM), "vm@0"), 0);
    tree_refused("'vm@0'", "letters");
    assert_int_equal(fdt_set_name(tree_buf, tree_node(VM), "0vm"), 0);
    tree_refused("'0vm'", "letter");
    assert_int_equal(fdt_del_node(tree_buf, tree_node(VM)), 0);
    tree_refused("/trapline", "no VMs");
    tree_set_s("/trapline", "compatible", "trapline,bundle-2");
    tree_refused("/trapline", "compatible");
    assert_int_equal(fdt_del_node(tree_buf, tree_node("/trapline")), 0);
    tree_refused("/trapline", "make bundle");
    assert_int_equal(fdt_del_node(tree_buf, tree_node("/images")), 0);
    tree_refused("/images", "make bundle");
    for (unsigned i = 0; i < 65; i++) {
        snprintf(name, sizeof(name), "v%u", i);
        tree_add("/trapline", name);
        snprintf(name, sizeof(name), "/trapline/v%u", i);
        tree_set_u32(name, "vcpus", 1);
        tree_set_u64(name, "memory", MIB(1));
        tree_set_s(name, "kernel", "kernel");
    }
    tree_refused("66 VMs", "64");
}

static void add_vm(const char *name)
{
    char path[48];

    tree_add("/trapline", name); /* libfdt puts it before the others */
    snprintf(path, sizeof(path), "/trapline/%s", name);
    tree_set_u64(path, "memory", MIB(1));
    tree_set_s(path, "kernel", "kernel");
}

/* What is wrong with one VM does not touch the others. */
static void test_some_wrong(void **state)
{
    (void)state;
    add_vm("vm1");
    memcpy((char *)(uintptr_t)fdt_get_name(tree_buf, tree_node("/trapline/vm1"), NULL), "vm0", 3);
    assert_int_equal(tree_read(), 0);
    assert_int_equal(tree_vms, 1);
    assert_string_equal(tree_logged, "bundle: vm 'vm0': there are two of this name: rename one");

    tree_open();
    add_vm("a");
    add_vm("b");
    add_vm("c");
    tree_set_s("/trapline/a", "kernel", "none");
    tree_set_s("/trapline/c", "kernel", "nix");
    assert_int_equal(tree_read(), 0);
    assert_int_equal(tree_vms, 2);
    assert_string_equal(tree_vm[0].name, "b");
    assert_string_equal(tree_vm[1].name, "vm0");
    assert_string_equal(tree_logged, "bundle: vm 'c': kernel: there is no image 'nix' in /images"
                                     "bundle: vm 'a': kernel: there is no image 'none' in /images");
    tree_del(VM, "memory");
    tree_del("/trapline/b", "memory");
    assert_int_equal(tree_read(), -EINVAL);
    assert_int_equal(tree_vms, 0);
    assert_non_null(strstr(tree_why, "'vm0': memory"));
}

static void test_each_fails(void **state)
{
    (void)state;
    tree_each_result = -ENOSPC;
    assert_int_equal(tree_read(), -ENOSPC);
    assert_non_null(strstr(tree_why, "'vm0'"));
}

static void test_no_fit(void **state)
{
    (void)state;
    memset(tree_buf, 0, 64);
    tree_refused("not a FIT", "make bundle");
    tree_size = 7;
    tree_refused("7 bytes", "make bundle");
    tree_size = 0;
    tree_refused("0 bytes", "make bundle");
    tree_size = fdt_totalsize(tree_buf) - 1;
    tree_refused("truncated", "again");
    fdt_set_off_dt_struct(tree_buf, 0xFFFFFFF0);
    tree_refused("damaged", "again");
    tree_set_s(VM, "kernel", "ker\n\x1b[2Jnel");
    tree_refused("'ker??[2Jnel'", "");
    fdt_set_version(tree_buf, 3);
    tree_refused("damaged", "again");
    fdt_set_version(tree_buf, 15); /* nodes without names */
    fdt_set_last_comp_version(tree_buf, 15);
    tree_refused("damaged", "again");
    fdt_set_off_mem_rsvmap(tree_buf, fdt_off_mem_rsvmap(tree_buf) - 4);
    tree_refused("damaged", "again");
    memmove(tree_buf + 4, tree_buf, TREE_BUF - 4);
    assert_int_equal(tree_read_at(tree_buf + 4, TREE_BUF - 4), -EINVAL);
}

/* Every cut and many changes of every byte, in exactly sized memory: ASan sees one byte too far. */
static void test_cut_and_altered(void **state)
{
    static const uint8_t changes[] = {0x01, 0x80, 0xFF, 0x7F};
    unsigned good = 0;

    (void)state;
    tree_del("/images/initrd", "data");
    tree_set_u32("/images/initrd", "data-offset", 4);
    tree_set_u32("/images/initrd", "data-size", 11);
    fdt_pack(tree_buf);
    tree_size = (fdt_totalsize(tree_buf) + 3) / 4 * 4 + 15;
    memcpy(tree_buf + tree_size - 11, "the initrd!", 11);
    assert_int_equal(tree_read(), 0);
    for (uint64_t size = 0; size < tree_size; size++) {
        char *copy = malloc(size);
        memcpy(copy, tree_buf, size);
        assert_int_equal(tree_read_at(copy, size), -EINVAL);
        free(copy);
    }
    for (uint64_t at = 0; at < tree_size; at++)
        for (unsigned i = 0; i < ARRAY_LEN(changes); i++) {
            char *copy = malloc(tree_size);
            memcpy(copy, tree_buf, tree_size);
            copy[at] = (char)(copy[at] ^ changes[i]);
            good += tree_read_at(copy, tree_size) == 0;
            assert_non_null(memchr(tree_why, 0, sizeof(tree_why)));
            free(copy);
        }
    /* Nothing guards names, padding, numbers: some changes make another good bundle, most do not. */
    assert_true(good < tree_size * 2);
}

static void test_share(void **state)
{
    const uint32_t harts_in[] = {cpu_to_fdt32(0), cpu_to_fdt32(63)};

    (void)state;
    tree_set_u32(VM, "vcpus", 2);
    tree_set_u32(VM, "weight", 10000);
    tree_set_u32(VM, "cap", 200);
    tree_set(VM, "affinity", harts_in, sizeof(harts_in));
    tree_vms = 0;
    assert_int_equal(tree_read(), 0);
    assert_int_equal(tree_vm[0].sched.weight, 10000);
    assert_int_equal(tree_vm[0].sched.cap, 200);
    assert_int_equal(tree_vm[0].sched.affinity, 1ul << 63 | 1);
    tree_set_u32(VM, "weight", 10001);
    tree_refused("'vm0'", "weight must be one number, 1 to 10000");
    tree_set_u32(VM, "weight", 0);
    tree_refused("'vm0'", "weight");
    tree_set_u32(VM, "cap", 201);
    tree_refused("'vm0'", "cap must be one number, 1 to 200");
    tree_set_u32(VM, "affinity", 64);
    tree_refused("'vm0'", "affinity: harts are 0 to 63");
    tree_set(VM, "affinity", NULL, 0);
    tree_refused("'vm0'", "affinity must be a list of harts");
    tree_vms = 0;
    assert_int_equal(tree_read(), 0);
    assert_int_equal(tree_vm[0].sched.weight + tree_vm[0].sched.cap, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_good, tree_setup),
        cmocka_unit_test_setup(test_partitions, tree_setup),
        cmocka_unit_test_setup(test_disk_options, tree_setup),
        cmocka_unit_test_setup(test_least, tree_setup),
        cmocka_unit_test_setup(test_share, tree_setup),
        cmocka_unit_test_setup(test_vm_mistakes, tree_setup),
        cmocka_unit_test_setup(test_names_and_nodes, tree_setup),
        cmocka_unit_test_setup(test_some_wrong, tree_setup),
        cmocka_unit_test_setup(test_each_fails, tree_setup),
        cmocka_unit_test_setup(test_no_fit, tree_setup),
        cmocka_unit_test_setup(test_cut_and_altered, tree_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
