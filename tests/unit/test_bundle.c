// SPDX-License-Identifier: BSD-2-Clause
// The bundle reader: good files of all three data layouts, every mistake a person can make (each
// must be named), and files cut or altered at every byte, in a buffer of their exact size.
// units: hyp/vm/bundle.c hyp/vm/bundle_net.c hyp/net/net_text.c hyp/vm/fit.c hyp/vm/hash.c tests/fake/fake_base.c
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

#include "mem/heap.h"
#include "base/log.h"
#include "vm/hash.h"
#include "vm/vm.h"

void *heap_alloc(size_t size) { return calloc(1, size); }
void heap_free(void *p) { free(p); }

enum { BUF = 65536, SEEN = 8 };

static char buf[BUF] __attribute__((aligned(8)));
static uint64_t file_size; /* tree and what lies behind it */
static char why[256];
static struct vm_config seen[SEEN];
static unsigned seen_count;
static int each_result;

static char logged[2048];

void log_write(enum log_level level, const char *fmt, ...)
{
    size_t at = strlen(logged);
    va_list ap;

    (void)level;
    va_start(ap, fmt);
    vsnprintf(logged + at, sizeof(logged) - at, fmt, ap);
    va_end(ap);
}

static int each(void *ctx, const struct vm_config *c)
{
    assert_ptr_equal(ctx, &seen_count);
    assert_true(seen_count < SEEN);
    seen[seen_count++] = *c;
    return each_result;
}

static int read_at(void *fit, uint64_t size)
{
    struct bundle b = {.data = fit, .size = size};

    const struct bundle_reader reader = {.each = each, .ctx = &seen_count};

    seen_count = 0;
    logged[0] = 0;
    memset(why, 'x', sizeof(why));
    return bundle_read(&b, &reader, why, sizeof(why));
}

static int read_it(void) { return read_at(buf, file_size); }

static int node(const char *path)
{
    int n = fdt_path_offset(buf, path);
    assert_true(n >= 0);
    return n;
}

static void add_node(const char *parent, const char *name)
{
    assert_true(fdt_add_subnode(buf, node(parent), name) >= 0);
}

static void set(const char *path, const char *name, const void *data, size_t len)
{
    assert_int_equal(fdt_setprop(buf, node(path), name, data, (int)len), 0);
}

static void set_s(const char *path, const char *name, const char *s)
{
    set(path, name, s, strlen(s) + 1);
}

static void set_u32(const char *path, const char *name, uint32_t v)
{
    assert_int_equal(fdt_setprop_u32(buf, node(path), name, v), 0);
}

static void set_u64(const char *path, const char *name, uint64_t v)
{
    assert_int_equal(fdt_setprop_u64(buf, node(path), name, v), 0);
}

static void del(const char *path, const char *name)
{
    assert_int_equal(fdt_delprop(buf, node(path), name), 0);
}

static void add_image(const char *name, const void *data, size_t len)
{
    char path[64], hash[80];
    uint32_t crc;

    snprintf(path, sizeof(path), "/images/%s", name);
    snprintf(hash, sizeof(hash), "%s/hash-1", path);
    add_node("/images", name);
    set(path, "data", data, len);
    set_s(path, "compression", "none");
    add_node(path, "hash-1");
    assert_int_equal(hash_crc32(data, len, &crc), 0);
    set_s(hash, "algo", "crc32");
    set_u32(hash, "value", crc);
}

#define VM "/trapline/vm0"

static void open_tree(void)
{
    memset(buf, 0, sizeof(buf));
    assert_int_equal(fdt_create_empty_tree(buf, sizeof(buf)), 0);
    file_size = sizeof(buf);
    add_node("/", "images");
    add_node("/", "trapline");
    set_s("/trapline", "compatible", "trapline,bundle-1");
    add_image("kernel", "the kernel", 10);
    add_image("initrd", "the initrd!", 11);
    add_node("/trapline", "vm0");
    set_u32(VM, "vcpus", 2);
    set_u64(VM, "memory", MIB(256));
    set_s(VM, "kernel", "kernel");
    set_s(VM, "initrd", "initrd");
    set_s(VM, "bootargs", "console=hvc0");
    set(VM, "disks", "initrd\0host\0host@3:ro", 22);
    set_s(VM, "console", "uart");
    set(VM, "autostart", NULL, 0);
    set(VM, "watchdog", NULL, 0);
}

static void pack_tree(void)
{
    assert_int_equal(fdt_pack(buf), 0);
    file_size = fdt_totalsize(buf);
}

/* The file is refused, with a line that has all of these words. */
static void refused(const char *a, const char *b)
{
    assert_int_equal(read_it(), -EINVAL);
    assert_int_equal(seen_count, 0);
    assert_string_equal(logged, ""); /* the caller shows it */
    if (!strstr(why, a) || !strstr(why, b) || strchr(why, '\n'))
        fail_msg("'%s' does not say '%s' and '%s'", why, a, b);
    open_tree();
}

static int setup(void **state)
{
    (void)state;
    each_result = 0;
    open_tree();
    return 0;
}

static void test_good(void **state)
{
    (void)state;
    pack_tree();
    assert_int_equal(read_it(), 0);
    assert_int_equal(seen_count, 1);
    assert_string_equal(seen[0].name, "vm0");
    assert_int_equal(seen[0].vcpus, 2);
    assert_int_equal(seen[0].memory, MIB(256));
    assert_string_equal(seen[0].kernel.name, "kernel");
    assert_int_equal(seen[0].kernel.size, 10);
    assert_memory_equal(seen[0].kernel.data, "the kernel", 10);
    assert_memory_equal(seen[0].initrd.data, "the initrd!", 11);
    assert_string_equal(seen[0].bootargs, "console=hvc0");
    assert_true(seen[0].uart_console);
    assert_true(seen[0].autostart);
    assert_true(seen[0].watchdog);
    assert_int_equal(seen[0].disk_count, 3);
    assert_int_equal(seen[0].disk[0].kind, VM_DISK_RAM);
    assert_memory_equal(seen[0].disk[0].image.data, "the initrd!", 11);
    assert_false(seen[0].disk[0].read_only);
    assert_int_equal(seen[0].disk[1].kind, VM_DISK_HOST);
    assert_int_equal(seen[0].disk[1].host_index, 0);
    assert_int_equal(seen[0].disk[2].host_index, 3);
    assert_true(seen[0].disk[2].read_only);
}

static void test_partitions(void **state)
{
    (void)state;
    set(VM, "disks", "part:web\0qcow2:a:b:ro\0part:123456789012345678901234567890123456:ro", 67);
    pack_tree();
    assert_int_equal(read_it(), 0);
    assert_int_equal(seen[0].disk_count, 3);
    assert_int_equal(seen[0].disk[0].kind, VM_DISK_PART);
    assert_string_equal(seen[0].disk[0].part, "web");
    assert_false(seen[0].disk[0].read_only || seen[0].disk[0].qcow2);
    assert_true(seen[0].disk[1].qcow2);
    assert_string_equal(seen[0].disk[1].part, "a:b");
    assert_true(seen[0].disk[1].read_only);
    assert_string_equal(seen[0].disk[2].part, "123456789012345678901234567890123456");
    open_tree();
    set_s(VM, "disks", "part:");
    refused("part:", "1 to 36");
    set_s(VM, "disks", "part::ro");
    refused("part:", "1 to 36");
    set_s(VM, "disks", "part:1234567890123456789012345678901234567");
    refused("part:", "1 to 36");
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
    set(VM, "disks", good, sizeof(good));
    pack_tree();
    assert_int_equal(read_it(), 0);
    assert_int_equal(seen[0].disk_count, 3);
    assert_int_equal(seen[0].disk[0].kind, VM_DISK_RAM);
    assert_true(seen[0].disk[0].read_only);
    assert_int_equal(seen[0].disk[0].limit.iops, 2048);
    assert_int_equal(seen[0].disk[0].limit.bytes, 0);
    assert_string_equal(seen[0].disk[1].part, "web");
    assert_string_equal(seen[0].disk[1].serial, "S/N-1");
    assert_int_equal(seen[0].disk[1].limit.bytes, 10 << 20);
    assert_int_equal(seen[0].disk[1].limit.iops, 5);
    assert_int_equal(seen[0].disk[2].host_index, 1);
    assert_int_equal(seen[0].disk[2].limit.bytes, 7ul << 30);
    open_tree();
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
        set_s(VM, "disks", wrong[i][0]);
        refused("disks", wrong[i][1]);
    }
}

static void test_least(void **state)
{
    (void)state;
    del(VM, "vcpus");
    del(VM, "initrd");
    del(VM, "bootargs");
    del(VM, "disks");
    del(VM, "console");
    del(VM, "autostart");
    del(VM, "watchdog");
    set_u32(VM, "memory", MIB(16)); /* one cell will do */
    add_node("/trapline", "vm-1.b_C");
    set_u32("/trapline/vm-1.b_C", "vcpus", 1);
    set_u64("/trapline/vm-1.b_C", "memory", GIB(5));
    set_s("/trapline/vm-1.b_C", "kernel", "kernel");
    assert_int_equal(read_it(), 0);
    assert_int_equal(seen_count, 2);
    const struct vm_config *c = strcmp(seen[0].name, "vm0") ? &seen[1] : &seen[0];
    assert_int_equal(c->memory, MIB(16));
    assert_int_equal(c->vcpus, 1);
    assert_int_equal(c->initrd.size, 0);
    assert_string_equal(c->bootargs, "");
    assert_false(c->uart_console || c->autostart || c->watchdog || c->disk_count);
}

/* As mkimage -E makes it (offsets from the end of the tree), and mkimage -E -p (from the start). */
static void test_external(void **state)
{
    static const char data[] = "outside";
    uint32_t crc;

    (void)state;
    assert_int_equal(hash_crc32(data, sizeof(data), &crc), 0);
    for (unsigned position = 0; position < 2; position++) {
        open_tree();
        del("/images/kernel", "data");
        set_u32("/images/kernel", position ? "data-position" : "data-offset", 0x1000);
        set_u32("/images/kernel", "data-size", sizeof(data));
        set_u32("/images/kernel/hash-1", "value", crc);
        fdt_pack(buf);
        file_size = (position ? 0x1000 : (fdt_totalsize(buf) + 3) / 4 * 4 + 0x1000) + sizeof(data);
        memcpy(buf + file_size - sizeof(data), data, sizeof(data));
        assert_int_equal(read_it(), 0);
        assert_ptr_equal(seen[0].kernel.data, buf + file_size - sizeof(data));
        file_size--;
        refused("kernel", "beyond");
    }
}

static void test_external_hostile(void **state)
{
    static const uint64_t numbers[] = {BUF,       BUF + 1,    UINT32_MAX,     1ull << 32,
                                       INT64_MAX, UINT64_MAX, UINT64_MAX - 3, 0x10000000000000};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(numbers); i++) {
        del("/images/kernel", "data");
        set_u64("/images/kernel", "data-offset", numbers[i]);
        set_u32("/images/kernel", "data-size", 1);
        refused("kernel", "beyond");
        del("/images/kernel", "data");
        set_u64("/images/kernel", "data-position", numbers[i]);
        set_u64("/images/kernel", "data-size", 2);
        refused("kernel", "beyond");
        del("/images/kernel", "data");
        set_u32("/images/kernel", "data-offset", 8);
        set_u64("/images/kernel", "data-size", numbers[i]);
        refused("kernel", "beyond");
    }
    del("/images/kernel", "data");
    refused("kernel", "no data");
    del("/images/kernel", "data");
    set_u32("/images/kernel", "data-offset", 8);
    refused("kernel", "data-size is missing");
    del("/images/kernel", "data");
    set("/images/kernel", "data-offset", "abc", 3);
    refused("kernel", "data-offset");
}

static void test_hashes(void **state)
{
    uint8_t digest[HASH_SHA256_SIZE];

    (void)state;
    set_u32("/images/kernel/hash-1", "value", 1);
    refused("'kernel'", "crc32 does not match");
    set("/images/kernel", "data", "the Kernel", 10);
    refused("'kernel'", "does not match");
    hash_sha256("the kernel", 10, digest);
    set_s("/images/kernel/hash-1", "algo", "sha256");
    set("/images/kernel/hash-1", "value", digest, sizeof(digest));
    assert_int_equal(read_it(), 0);
    digest[31] ^= 1;
    set("/images/kernel/hash-1", "value", digest, sizeof(digest));
    refused("'kernel'", "sha256 does not match");
    set_s("/images/kernel/hash-1", "algo", "md5");
    refused("md5", "crc32 or sha256");
    del("/images/kernel/hash-1", "algo");
    refused("'kernel'", "no algo");
    del("/images/kernel/hash-1", "value");
    refused("'kernel'", "value");
    set("/images/kernel/hash-1", "value", "ab", 2);
    refused("'kernel'", "4 bytes");
    /* A second hash that is wrong; no hash at all. */
    add_node("/images/kernel", "hash@2");
    set_s("/images/kernel/hash@2", "algo", "crc32");
    set_u32("/images/kernel/hash@2", "value", 7);
    refused("'kernel'", "does not match");
    assert_int_equal(fdt_del_node(buf, node("/images/kernel/hash-1")), 0);
    refused("'kernel'", "no hash");
    /* Only images that VMs use are checked. */
    add_image("spare", "spare", 5);
    set("/images/spare", "data", "spore", 5);
    assert_int_equal(read_it(), 0);
    set_s(VM, "disks", "spare");
    refused("'vm0': image 'spare'", "does not match");
    set_s("/images/kernel", "compression", "gzip");
    refused("'kernel'", "gzip");
}

/* A client that has VMs made anew, again and again, has nothing hashed again, also when a VM is wrong: what would come
 * of it is seen by changing the file behind its back. */
static void test_hashed_once(void **state)
{
    const struct bundle_reader reader = {.each = each, .ctx = &seen_count};
    struct bundle b = {.data = buf, .size = file_size};
    uint8_t *data;

    (void)state;
    add_image("spoilt", "spoilt", 6);
    add_node("/trapline", "vm1");
    set_u32("/trapline/vm1", "vcpus", 1);
    set_u64("/trapline/vm1", "memory", MIB(16));
    set_s("/trapline/vm1", "kernel", "spoilt");
    data = fdt_getprop_w(buf, node("/images/spoilt"), "data", NULL);
    data[0] = 'S';
    seen_count = 0;
    assert_int_equal(bundle_read(&b, &reader, why, sizeof(why)), 0);
    assert_int_equal(seen_count, 1);
    assert_non_null(strstr(logged, "image 'spoilt': its crc32 does not match"));
    data[0] = 's';
    data = fdt_getprop_w(buf, node("/images/kernel"), "data", NULL);
    data[0] = 'T';
    logged[0] = 0;
    seen_count = 0;
    assert_int_equal(bundle_read(&b, &reader, why, sizeof(why)), 0);
    assert_int_equal(seen_count, 1);
    assert_string_equal(seen[0].name, "vm0");
    assert_non_null(strstr(logged, "image 'spoilt': its hash did not match"));
}

static void test_hash_vectors(void **state)
{
    static const uint8_t abc[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                  0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                  0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    static const uint8_t a56[] = {0x24, 0x8d, 0x6a, 0x61, 0xd2, 0x06, 0x38, 0xb8, 0xe5, 0xc0, 0x26,
                                  0x93, 0x0c, 0x3e, 0x60, 0x39, 0xa3, 0x3c, 0xe4, 0x59, 0x64, 0xff,
                                  0x21, 0x67, 0xf6, 0xec, 0xed, 0xd4, 0x19, 0xdb, 0x06, 0xc1};
    uint8_t digest[HASH_SHA256_SIZE];
    char text[100];
    uint32_t crc, slow, part;

    (void)state;
    hash_sha256("abc", 3, digest);
    assert_memory_equal(digest, abc, 32);
    hash_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, digest);
    assert_memory_equal(digest, a56, 32);
    assert_int_equal(hash_crc32("123456789", 9, &crc), 0);
    assert_int_equal(crc, 0xCBF43926);
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 37);
    for (unsigned from = 0; from < 9; from++)
        for (unsigned len = 0; len + from < sizeof(text); len++) {
            slow = ~0u;
            for (unsigned i = 0; i < len; i++) {
                part = (slow ^ (uint8_t)text[from + i]) & 0xFF;
                for (unsigned b = 0; b < 8; b++)
                    part = (part >> 1) ^ ((part & 1) ? 0xEDB88320u : 0);
                slow = (slow >> 8) ^ part;
            }
            assert_int_equal(hash_crc32(text + from, len, &crc), 0);
            assert_int_equal(crc, ~slow);
        }
}

static void test_vm_mistakes(void **state)
{
    static char long_args[600];
    static const char *const wrong_disks[] = {"host@",      "host@x", "host@-1",
                                              "host@12345", "hosts",  ""};

    (void)state;
    set_u32(VM, "vcpus", 0);
    refused("'vm0'", "vcpus");
    set_u32(VM, "vcpus", 33);
    refused("'vm0'", "vcpus");
    set_u64(VM, "vcpus", 1ull << 32);
    refused("'vm0'", "vcpus");
    set(VM, "vcpus", NULL, 0);
    refused("'vm0'", "vcpus");
    del(VM, "memory");
    refused("'vm0'", "memory");
    set_u64(VM, "memory", 0);
    refused("'vm0'", "memory");
    set_u64(VM, "memory", MIB(1) + 1);
    refused("'vm0'", "memory");
    set_u64(VM, "memory", UINT64_MAX - 4095);
    refused("'vm0'", "memory");
    set_s(VM, "memory", "256M");
    refused("'vm0'", "memory");
    del(VM, "kernel");
    refused("'vm0'", "kernel");
    set_s(VM, "kernel", "kernal");
    refused("'vm0'", "no image 'kernal'");
    set(VM, "kernel", "kernel", 6);
    refused("'vm0'", "kernel");
    set(VM, "kernel", "kernel\0kernel", 14);
    refused("'vm0'", "kernel must name one");
    set_s(VM, "kernel", "kernel/hash-1");
    refused("'vm0'", "no image");
    set(VM, "initrd", NULL, 0);
    refused("'vm0'", "initrd");
    set_s(VM, "initrd", "nope");
    refused("'vm0'", "initrd: there is no image 'nope'");
    memset(long_args, 'a', sizeof(long_args) - 1);
    set_s(VM, "bootargs", long_args);
    refused("'vm0'", "bootargs has 599");
    set(VM, "bootargs", "abc", 3);
    refused("'vm0'", "bootargs");
    set_s(VM, "console", "vga");
    refused("'vm0'", "console must be");
    set_u32(VM, "autostart", 0);
    refused("'vm0'", "autostart");
    set(VM, "disks", "host", 4);
    refused("'vm0'", "disks");
    set(VM, "disks", "host\0host\0host\0host\0host", 25);
    refused("'vm0'", "disks: more than 4");
    for (unsigned i = 0; i < ARRAY_LEN(wrong_disks); i++) {
        set_s(VM, "disks", wrong_disks[i]);
        refused("'vm0'", "disks: there is no image");
    }
    set_u32(VM, "memroy", 1);
    assert_int_equal(read_it(), 0);
    assert_non_null(strstr(logged, "'vm0': property 'memroy' is not known"));
    assert_int_equal(fdt_delprop(buf, node(VM), "memroy"), 0);
    for (unsigned i = 0; i < 50; i++) {
        char name[] = {'x', (char)('a' + i % 26), (char)('a' + i / 26), '\0'};

        set_u32(VM, name, 1);
    }
    assert_int_equal(read_it(), 0);
    assert_null(strstr(logged, "xpb"));
    assert_non_null(strstr(logged, "bundle: 42 more properties are not known: ignored"));
    for (unsigned i = 0; i < 50; i++) {
        char name[] = {'x', (char)('a' + i % 26), (char)('a' + i / 26), '\0'};

        assert_int_equal(fdt_delprop(buf, node(VM), name), 0);
    }
    set("/images/initrd", "data", "", 0);
    set_u32("/images/initrd/hash-1", "value", 0);
    refused("'vm0'", "image 'initrd' is empty");
}

static void test_names_and_nodes(void **state)
{
    char name[48];

    (void)state;
    memset(name, 'v', sizeof(name));
    name[32] = 0;
    assert_int_equal(fdt_set_name(buf, node(VM), name), 0);
    refused("vvv", "31 characters");
    assert_int_equal(fdt_set_name(buf, node(VM), "vm@0"), 0);
    refused("'vm@0'", "letters");
    assert_int_equal(fdt_set_name(buf, node(VM), "0vm"), 0);
    refused("'0vm'", "letter");
    assert_int_equal(fdt_del_node(buf, node(VM)), 0);
    refused("/trapline", "no VMs");
    set_s("/trapline", "compatible", "trapline,bundle-2");
    refused("/trapline", "compatible");
    assert_int_equal(fdt_del_node(buf, node("/trapline")), 0);
    refused("/trapline", "make bundle");
    assert_int_equal(fdt_del_node(buf, node("/images")), 0);
    refused("/images", "make bundle");
    for (unsigned i = 0; i < 65; i++) {
        snprintf(name, sizeof(name), "v%u", i);
        add_node("/trapline", name);
        snprintf(name, sizeof(name), "/trapline/v%u", i);
        set_u32(name, "vcpus", 1);
        set_u64(name, "memory", MIB(1));
        set_s(name, "kernel", "kernel");
    }
    refused("66 VMs", "64");
}

static void add_vm(const char *name)
{
    char path[48];

    add_node("/trapline", name); /* libfdt puts it before the others */
    snprintf(path, sizeof(path), "/trapline/%s", name);
    set_u64(path, "memory", MIB(1));
    set_s(path, "kernel", "kernel");
}

/* What is wrong with one VM does not touch the others. */
static void test_some_wrong(void **state)
{
    (void)state;
    add_vm("vm1");
    memcpy((char *)(uintptr_t)fdt_get_name(buf, node("/trapline/vm1"), NULL), "vm0", 3);
    assert_int_equal(read_it(), 0);
    assert_int_equal(seen_count, 1);
    assert_string_equal(logged, "bundle: vm 'vm0': there are two of this name: rename one");

    open_tree();
    add_vm("a");
    add_vm("b");
    add_vm("c");
    set_s("/trapline/a", "kernel", "none");
    set_s("/trapline/c", "kernel", "nix");
    assert_int_equal(read_it(), 0);
    assert_int_equal(seen_count, 2);
    assert_string_equal(seen[0].name, "b");
    assert_string_equal(seen[1].name, "vm0");
    assert_string_equal(logged, "bundle: vm 'c': kernel: there is no image 'nix' in /images"
                                "bundle: vm 'a': kernel: there is no image 'none' in /images");
    del(VM, "memory");
    del("/trapline/b", "memory");
    assert_int_equal(read_it(), -EINVAL);
    assert_int_equal(seen_count, 0);
    assert_non_null(strstr(why, "'vm0': memory"));
}

static void test_each_fails(void **state)
{
    (void)state;
    each_result = -ENOSPC;
    assert_int_equal(read_it(), -ENOSPC);
    assert_non_null(strstr(why, "'vm0'"));
}

static void test_no_fit(void **state)
{
    (void)state;
    memset(buf, 0, 64);
    refused("not a FIT", "make bundle");
    file_size = 7;
    refused("7 bytes", "make bundle");
    file_size = 0;
    refused("0 bytes", "make bundle");
    file_size = fdt_totalsize(buf) - 1;
    refused("truncated", "again");
    fdt_set_off_dt_struct(buf, 0xFFFFFFF0);
    refused("damaged", "again");
    set_s(VM, "kernel", "ker\n\x1b[2Jnel");
    refused("'ker??[2Jnel'", "");
    fdt_set_version(buf, 3);
    refused("damaged", "again");
    fdt_set_version(buf, 15); /* nodes without names */
    fdt_set_last_comp_version(buf, 15);
    refused("damaged", "again");
    fdt_set_off_mem_rsvmap(buf, fdt_off_mem_rsvmap(buf) - 4);
    refused("damaged", "again");
    memmove(buf + 4, buf, BUF - 4);
    assert_int_equal(read_at(buf + 4, BUF - 4), -EINVAL);
}

/* Every cut and many changes of every byte, in exactly sized memory: ASan sees one byte too far. */
static void test_cut_and_altered(void **state)
{
    static const uint8_t changes[] = {0x01, 0x80, 0xFF, 0x7F};
    unsigned good = 0;

    (void)state;
    del("/images/initrd", "data");
    set_u32("/images/initrd", "data-offset", 4);
    set_u32("/images/initrd", "data-size", 11);
    fdt_pack(buf);
    file_size = (fdt_totalsize(buf) + 3) / 4 * 4 + 15;
    memcpy(buf + file_size - 11, "the initrd!", 11);
    assert_int_equal(read_it(), 0);
    for (uint64_t size = 0; size < file_size; size++) {
        char *copy = malloc(size);
        memcpy(copy, buf, size);
        assert_int_equal(read_at(copy, size), -EINVAL);
        free(copy);
    }
    for (uint64_t at = 0; at < file_size; at++)
        for (unsigned i = 0; i < ARRAY_LEN(changes); i++) {
            char *copy = malloc(file_size);
            memcpy(copy, buf, file_size);
            copy[at] = (char)(copy[at] ^ changes[i]);
            good += read_at(copy, file_size) == 0;
            assert_non_null(memchr(why, 0, sizeof(why)));
            free(copy);
        }
    /* Nothing guards names, padding, numbers: some changes make another good bundle, most do not.
     * */
    assert_true(good < file_size * 2);
}

static void test_share(void **state)
{
    const uint32_t harts_in[] = {cpu_to_fdt32(0), cpu_to_fdt32(63)};

    (void)state;
    set_u32(VM, "vcpus", 2);
    set_u32(VM, "weight", 10000);
    set_u32(VM, "cap", 200);
    set(VM, "affinity", harts_in, sizeof(harts_in));
    seen_count = 0;
    assert_int_equal(read_it(), 0);
    assert_int_equal(seen[0].sched.weight, 10000);
    assert_int_equal(seen[0].sched.cap, 200);
    assert_int_equal(seen[0].sched.affinity, 1ul << 63 | 1);
    set_u32(VM, "weight", 10001);
    refused("'vm0'", "weight must be one number, 1 to 10000");
    set_u32(VM, "weight", 0);
    refused("'vm0'", "weight");
    set_u32(VM, "cap", 201);
    refused("'vm0'", "cap must be one number, 1 to 200");
    set_u32(VM, "affinity", 64);
    refused("'vm0'", "affinity: harts are 0 to 63");
    set(VM, "affinity", NULL, 0);
    refused("'vm0'", "affinity must be a list of harts");
    seen_count = 0;
    assert_int_equal(read_it(), 0);
    assert_int_equal(seen[0].sched.weight + seen[0].sched.cap, 0);
}

static void set_switches(void)
{
    add_node("/", "switches");
    add_node("/switches", "lan0");
    set_s("/switches/lan0", "mode", "internal");
    add_node("/switches", "jumbo");
    set_s("/switches/jumbo", "mode", "internal");
    set_u32("/switches/jumbo", "mtu", 9000);
}

static void test_networks(void **state)
{
    static const char *const wrong[] = {
        "lan0,",
        "lan0,mac",
        "lan0,mac=",
        "lan0,mac=02:00:00:00:00",
        "lan0,rate",
        "lan0,rate=",
        "lan0,rate=4095",
        "lan0,rate=4G",
        "lan0,rate=10X",
        "lan0,rate=10MM",
        "lan0,rate=-1",
        "lan0,isolated=1",
        "lan0,any-mac=",
        "lan0,mac=03:00:00:00:00:00",
        "lan0,mac=00:00:00:00:00:00",
        "lan0,mac=02:00:00:00:00:0g",
        "lan0,mac=02-00:00:00:00:00",
        "lan0,other=1",
    };
    static const char *const addresses[] = {"",
                                            "10",
                                            "10.0.0",
                                            "10.0.0.0",
                                            "10.0.0.0/",
                                            "10.0.0.0/7",
                                            "10.0.0.0/31",
                                            "10.0.0.256/24",
                                            "10.0.0.0.0/24",
                                            "10.0.0.0/24x",
                                            "10.0.0.0001/24",
                                            "a.b.c.d/24",
                                            "10..0.0/24",
                                            "-1.0.0.0/8",
                                            "10.0.0.0/99999999999999999999"};
    static const char *const forwards[] = {"",
                                           "tcp",
                                           "tcp:",
                                           "tcp:22",
                                           "tcp:22:vm0",
                                           "tcp:22:vm0:",
                                           "tcp:0:vm0:22",
                                           "tcp:20000:vm0:22",
                                           "tcp:22::22",
                                           "icmp:1:vm0:1",
                                           "tcp:22:vm0:65536",
                                           "tcp:22:vm0:22x",
                                           "tcp:22:a-name-that-no-machine-could-ever-have-had:22",
                                           "tcp:-1:vm0:1"};
    static const char nine[] = "tcp:1:v:1\0tcp:2:v:1\0tcp:3:v:1\0tcp:4:v:1\0tcp:5:v:1\0tcp:6:v:"
                               "1\0tcp:7:v:1\0tcp:8:v:1\0tcp:9:v:1";
    const struct vm_net *n = seen[0].net;
    const struct switch_config *s = &n[0].network;

    (void)state;
    set_switches();
    set(VM, "nets", "lan0\0jumbo,mac=02:ab:CD:00:11:ff,isolated,any-mac,rate=10M\0lan0,rate=4096",
        74);
    assert_int_equal(read_it(), 0);
    assert_string_equal(logged, "");
    assert_int_equal(seen[0].net_count, 3);
    assert_string_equal(n[0].network.name, "lan0");
    assert_int_equal(n[0].network.mtu, 1500);
    assert_false(n[0].port.isolated || n[0].port.any_mac || n[0].port.rate || n[0].port.mac[0]);
    assert_string_equal(n[1].network.name, "jumbo");
    assert_int_equal(n[1].network.mtu, 9000);
    assert_memory_equal(n[1].port.mac, "\x02\xab\xcd\x00\x11\xff", 6);
    assert_true(n[1].port.isolated && n[1].port.any_mac);
    assert_int_equal(n[1].port.rate, 10 << 20);
    assert_int_equal(n[2].port.rate, 4096);
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
        open_tree();
        set_switches();
        set_s(VM, "nets", wrong[i]);
        refused("'vm0'", "is none of mac=");
    }
#define WRONG(change, text) \
    open_tree(); \
    set_switches(); \
    set_s(VM, "nets", "lan0"); \
    change; \
    refused("'vm0'", text)
    WRONG(set_s(VM, "nets", "lan1"), "no switch 'lan1' in /switches");
    WRONG(set_s(VM, "nets", ""), "a switch's name has 1 to 15 characters");
    WRONG(set_s(VM, "nets", "sixteencharacter"), "a switch's name has 1 to 15 characters");
    WRONG(set(VM, "nets", "lan0", 4), "nets must be a list of strings");
    WRONG(set(VM, "nets", "lan0\0lan0\0lan0\0lan0", 20), "nets: more than 3");
    open_tree();
    set_switches();
    set_s(VM, "nets", "lan0");
    set_s("/switches/lan0", "mode", "bridge");
    assert_int_equal(read_it(), 0);
    assert_int_equal(seen[0].net[0].network.mode, SWITCH_BRIDGE);
    open_tree();
    set_switches();
    set_s(VM, "nets", "lan0");
    set_s("/switches/lan0", "mode", "nat");
    assert_int_equal(read_it(), 0);
    assert_int_equal(s->mode, SWITCH_NAT);
    assert_int_equal(s->subnet, 0x0a4d0000);
    assert_int_equal(s->prefix, 24);
    assert_int_equal(s->address, 0); /* by DHCP */
    assert_int_equal(s->forwards, 0);
    set_s("/switches/lan0", "subnet", "192.168.0.0/16");
    set_s("/switches/lan0", "address", "172.16.0.9/12");
    set_s("/switches/lan0", "router", "172.16.0.1");
    set_s("/switches/lan0", "dns", "8.8.4.4");
    set("/switches/lan0", "forward", "tcp:2222:vm0:22\0udp:53:vm1.2:5353", 34);
    assert_int_equal(read_it(), 0);
    assert_int_equal(s->subnet, 0xc0a80000);
    assert_int_equal(s->prefix, 16);
    assert_int_equal(s->address, 0xac100009);
    assert_int_equal(s->outer_prefix, 12);
    assert_int_equal(s->router, 0xac100001);
    assert_int_equal(s->dns, 0x08080404);
    assert_int_equal(s->forwards, 2);
    assert_int_equal(s->forward[0].protocol, 6);
    assert_int_equal(s->forward[0].port, 2222);
    assert_int_equal(s->forward[0].to_port, 22);
    assert_string_equal(s->forward[0].to, "vm0.0");
    assert_string_equal(s->forward[1].to, "vm1.2");
#define NAT_WRONG(property, value, text) \
    WRONG(set_s("/switches/lan0", "mode", "nat"); set_s("/switches/lan0", property, value), text)
    for (unsigned i = 0; i < ARRAY_LEN(addresses); i++) {
        NAT_WRONG("subnet", addresses[i], "subnet must be an address");
    }
    for (unsigned i = 0; i < ARRAY_LEN(forwards); i++) {
        NAT_WRONG("forward", forwards[i], "is not like");
    }
    NAT_WRONG("subnet", "10.0.0.0/26", "a prefix of 25 bits or fewer");
    NAT_WRONG("router", "10.0.2.2", "address and router come together");
    NAT_WRONG("address", "10.0.2.15/24", "address and router come together");
    WRONG(set_s("/switches/lan0", "mode", "nat");
          set_s("/switches/lan0", "address", "10.0.2.15/24");
          set_s("/switches/lan0", "router", "10.0.3.2"), "router is not in the network of address");
    NAT_WRONG("dns", "10.0.2.3/24", "dns must be an address");
    WRONG(set_s("/switches/lan0", "mode", "nat");
          set("/switches/lan0", "forward", "tcp:1:v:1", 9), "forward must be a list of strings");
    WRONG(set_s("/switches/lan0", "mode", "nat");
          set("/switches/lan0", "forward", nine, sizeof(nine)), "forward: more than 8");
    WRONG(set_s("/switches/lan0", "mode", "hub"), "switch 'lan0': mode must be");
    WRONG(del("/switches/lan0", "mode"), "switch 'lan0': mode must be");
    WRONG(set_u32("/switches/lan0", "mtu", 575),
          "switch 'lan0': mtu must be one number, 576 to 65521");
    WRONG(set_u32("/switches/lan0", "mtu", 65522), "mtu");
    WRONG(set_s("/switches/lan0", "mtu", "1500"), "mtu");
    WRONG(fdt_del_node(buf, node("/switches")), "no switch 'lan0'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_good, setup),
        cmocka_unit_test_setup(test_partitions, setup),
        cmocka_unit_test_setup(test_disk_options, setup),
        cmocka_unit_test_setup(test_least, setup),
        cmocka_unit_test_setup(test_share, setup),
        cmocka_unit_test_setup(test_networks, setup),
        cmocka_unit_test_setup(test_external, setup),
        cmocka_unit_test_setup(test_external_hostile, setup),
        cmocka_unit_test_setup(test_hashes, setup),
        cmocka_unit_test_setup(test_hashed_once, setup),
        cmocka_unit_test_setup(test_hash_vectors, setup),
        cmocka_unit_test_setup(test_vm_mistakes, setup),
        cmocka_unit_test_setup(test_names_and_nodes, setup),
        cmocka_unit_test_setup(test_some_wrong, setup),
        cmocka_unit_test_setup(test_each_fails, setup),
        cmocka_unit_test_setup(test_no_fit, setup),
        cmocka_unit_test_setup(test_cut_and_altered, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
