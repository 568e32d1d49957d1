// SPDX-License-Identifier: BSD-2-Clause
// Images of a bundle: inside the tree and behind it (mkimage -E, -p), numbers that lead anywhere, hashes.
// units: tests/fake/bundle.units
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "fake_tree.h"
#include "vm/hash.h"

/* As mkimage -E makes it (offsets from the end of the tree), and mkimage -E -p (from the start). */
static void test_external(void **state)
{
    static const char data[] = "outside";
    uint32_t crc;

    (void)state;
    assert_int_equal(hash_crc32(data, sizeof(data), &crc), 0);
    for (unsigned position = 0; position < 2; position++) {
        tree_open();
        tree_del("/images/kernel", "data");
        tree_set_u32("/images/kernel", position ? "data-position" : "data-offset", 0x1000);
        tree_set_u32("/images/kernel", "data-size", sizeof(data));
        tree_set_u32("/images/kernel/hash-1", "value", crc);
        fdt_pack(tree_buf);
        tree_size =
            (position ? 0x1000 : (fdt_totalsize(tree_buf) + 3) / 4 * 4 + 0x1000) + sizeof(data);
        memcpy(tree_buf + tree_size - sizeof(data), data, sizeof(data));
        assert_int_equal(tree_read(), 0);
        assert_ptr_equal(tree_vm[0].kernel.data, tree_buf + tree_size - sizeof(data));
        tree_size--;
        tree_refused("kernel", "beyond");
    }
}

static void test_external_hostile(void **state)
{
    static const uint64_t numbers[] = {TREE_BUF,  TREE_BUF + 1, UINT32_MAX,     1ull << 32,
                                       INT64_MAX, UINT64_MAX,   UINT64_MAX - 3, 0x10000000000000};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(numbers); i++) {
        tree_del("/images/kernel", "data");
        tree_set_u64("/images/kernel", "data-offset", numbers[i]);
        tree_set_u32("/images/kernel", "data-size", 1);
        tree_refused("kernel", "beyond");
        tree_del("/images/kernel", "data");
        tree_set_u64("/images/kernel", "data-position", numbers[i]);
        tree_set_u64("/images/kernel", "data-size", 2);
        tree_refused("kernel", "beyond");
        tree_del("/images/kernel", "data");
        tree_set_u32("/images/kernel", "data-offset", 8);
        tree_set_u64("/images/kernel", "data-size", numbers[i]);
        tree_refused("kernel", "beyond");
    }
    tree_del("/images/kernel", "data");
    tree_refused("kernel", "no data");
    tree_del("/images/kernel", "data");
    tree_set_u32("/images/kernel", "data-offset", 8);
    tree_refused("kernel", "data-size is missing");
    tree_del("/images/kernel", "data");
    tree_set("/images/kernel", "data-offset", "abc", 3);
    tree_refused("kernel", "data-offset");
}

static void test_hashes(void **state)
{
    uint8_t digest[HASH_SHA256_SIZE];

    (void)state;
    tree_set_u32("/images/kernel/hash-1", "value", 1);
    tree_refused("'kernel'", "crc32 does not match");
    tree_set("/images/kernel", "data", "the Kernel", 10);
    tree_refused("'kernel'", "does not match");
    hash_sha256("the kernel", 10, digest);
    tree_set_s("/images/kernel/hash-1", "algo", "sha256");
    tree_set("/images/kernel/hash-1", "value", digest, sizeof(digest));
    assert_int_equal(tree_read(), 0);
    digest[31] ^= 1;
    tree_set("/images/kernel/hash-1", "value", digest, sizeof(digest));
    tree_refused("'kernel'", "sha256 does not match");
    tree_set_s("/images/kernel/hash-1", "algo", "md5");
    tree_refused("md5", "crc32 or sha256");
    tree_del("/images/kernel/hash-1", "algo");
    tree_refused("'kernel'", "no algo");
    tree_del("/images/kernel/hash-1", "value");
    tree_refused("'kernel'", "value");
    tree_set("/images/kernel/hash-1", "value", "ab", 2);
    tree_refused("'kernel'", "4 bytes");
    /* A second hash that is wrong; no hash at all. */
    tree_add("/images/kernel", "hash@2");
    tree_set_s("/images/kernel/hash@2", "algo", "crc32");
    tree_set_u32("/images/kernel/hash@2", "value", 7);
    tree_refused("'kernel'", "does not match");
    assert_int_equal(fdt_del_node(tree_buf, tree_node("/images/kernel/hash-1")), 0);
    tree_refused("'kernel'", "no hash");
    /* Only images that VMs use are checked. */
    tree_add_image("spare", "spare", 5);
    tree_set("/images/spare", "data", "spore", 5);
    assert_int_equal(tree_read(), 0);
    tree_set_s(VM, "disks", "spare");
    tree_refused("'vm0': image 'spare'", "does not match");
    tree_set_s("/images/kernel", "compression", "gzip");
    tree_refused("'kernel'", "gzip");
}

static void test_hashed_once(void **state)
{
    struct bundle b = {.data = tree_buf, .size = tree_size};
    uint8_t *data;

    (void)state;
    tree_add_image("spoilt", "spoilt", 6);
    tree_add("/trapline", "vm1");
    tree_set_u32("/trapline/vm1", "vcpus", 1);
    tree_set_u64("/trapline/vm1", "memory", MIB(16));
    tree_set_s("/trapline/vm1", "kernel", "spoilt");
    data = fdt_getprop_w(tree_buf, tree_node("/images/spoilt"), "data", NULL);
    data[0] = 'S';
    tree_vms = 0;
    assert_int_equal(bundle_read(&b, &tree_reader, tree_why, sizeof(tree_why)), 0);
    assert_int_equal(tree_vms, 1);
    assert_non_null(strstr(tree_logged, "image 'spoilt': its crc32 does not match"));
    data[0] = 's';
    data = fdt_getprop_w(tree_buf, tree_node("/images/kernel"), "data", NULL);
    data[0] = 'T';
    tree_logged[0] = 0;
    tree_vms = 0;
    assert_int_equal(bundle_read(&b, &tree_reader, tree_why, sizeof(tree_why)), 0);
    assert_int_equal(tree_vms, 1);
    assert_string_equal(tree_vm[0].name, "vm0");
    assert_non_null(strstr(tree_logged, "image 'spoilt': its hash did not match"));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_external, tree_setup),
        cmocka_unit_test_setup(test_external_hostile, tree_setup),
        cmocka_unit_test_setup(test_hashes, tree_setup),
        cmocka_unit_test_setup(test_hashed_once, tree_setup),
        cmocka_unit_test_setup(test_hash_vectors, tree_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
