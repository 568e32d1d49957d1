// SPDX-License-Identifier: BSD-2-Clause
// Bundles over the wire: base64, sending in order, twice, with gaps, by several clients, cut; taking in good and bad
// ones. Each test ends with all of the machine's memory free.
// units: tests/fake/ctl.units tests/fake/fake_fault.c tests/fake/fake_client.c tests/fake/fake_bundle.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/base64.h"
#include "ctl/console.h"
#include "ctl/upload.h"
#include "fake_bundle.h"
#include "fake_client.h"
#include "fake_shell.h"
#include "fake_vm.h"
#include "mem/frame.h"
#include "vm/hash.h"

static uint64_t free_before;

static int setup(void **state)
{
    (void)state;
    fake_vms_start();
    fake_shell_start();
    free_before = frame_free_count();
    fake_client = 0;
    fake_client_begin(true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_client_end();
    fake_vms_end();
    qmp_send_committed(); /* nobody is there; but it held the bundle */
    assert_int_equal(frame_free_count(), free_before);
    return 0;
}

/* ---- base64 ---- */

static const char *encode(const void *data, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static char text[100000];
    const uint8_t *p = data;
    size_t n = 0;

    for (size_t i = 0; i < len; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0) |
                     (i + 2 < len ? p[i + 2] : 0);

        text[n++] = digits[v >> 18];
        text[n++] = digits[v >> 12 & 63];
        text[n++] = i + 1 < len ? digits[v >> 6 & 63] : '=';
        text[n++] = i + 2 < len ? digits[v & 63] : '=';
    }
    text[n] = '\0';
    return text;
}

static void expect_decoded(const char *text, int64_t result, const char *bytes)
{
    uint8_t got[16] = {0};

    assert_int_equal(base64_decode(text, strlen(text), got, sizeof(got)), result);
    if (result > 0)
        assert_memory_equal(got, bytes, (size_t)result);
}

static void test_base64(void **state)
{
    uint8_t data[300], got[300];

    (void)state;
    /* RFC 4648, section 10 */
    expect_decoded("", 0, "");
    expect_decoded("Zg==", 1, "f");
    expect_decoded("Zm8=", 2, "fo");
    expect_decoded("Zm9v", 3, "foo");
    expect_decoded("Zm9vYg==", 4, "foob");
    expect_decoded("Zm9vYmFy", 6, "foobar");
    expect_decoded("+/+/", 3, "\xfb\xff\xbf");
    for (const char *const *l = (const char *const[]){"Z", "Zg", "Zm8", "Zg=", "=",
                                                      "==", "====", "Z===", "Zg==Zg==", "Zm9v\n",
                                                      "Zm 9", "Zh==", "Zm9=", "Z=9v", "Zm9-",
                                                      "Zm9_", "\x80m9v", "Zm9\xff", NULL};
         *l; l++)
        expect_decoded(*l, -EINVAL, NULL);
    assert_int_equal(base64_decode("Zm9vYmFy", 8, got, 5), -ENOSPC);
    assert_int_equal(base64_decode("Zm9vYmE=", 8, got, 5), 5);
    for (size_t len = 0; len < sizeof(data); len++) {
        data[len] = (uint8_t)(len * 37 ^ len >> 3);
        assert_int_equal(base64_decode(encode(data, len), strlen(encode(data, len)), got, len),
                         len);
        assert_memory_equal(got, data, len);
    }
}

/* ---- sending ---- */

static unsigned open_bundle(uint64_t size, const char *more)
{
    char arguments[200];

    snprintf(arguments, sizeof(arguments), "\"size\": %lu%s", (unsigned long)size, more);
    fake_command("bundle-open", arguments, "{\"return\": {\"bundle\": ");
    assert_non_null(strstr(fake_sent, "\"chunk\": 45056}}"));
    return (unsigned)atoi(strstr(fake_sent, "\"bundle\": ") + strlen("\"bundle\": "));
}

static void write_text(unsigned bundle, uint64_t offset, const char *text, const char *part)
{
    static char arguments[100000];

    snprintf(arguments, sizeof(arguments), "\"bundle\": %u, \"offset\": %lu, \"data\": \"%s\"",
             bundle, (unsigned long)offset, text);
    fake_command("bundle-write", arguments, part);
}

static void write_data(unsigned bundle, uint64_t offset, const void *data, size_t len,
                       uint64_t received)
{
    char part[60];

    snprintf(part, sizeof(part), "{\"return\": {\"received\": %lu}}", (unsigned long)received);
    write_text(bundle, offset, encode(data, len), part);
}

static void on_bundle(const char *command, unsigned bundle, const char *more, const char *part)
{
    char arguments[100];

    snprintf(arguments, sizeof(arguments), "\"bundle\": %u%s", bundle, more);
    fake_command(command, arguments, part);
}

static void test_in_order(void **state)
{
    static uint8_t data[UPLOAD_CHUNK];
    unsigned b;

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 ^ i >> 8);
    b = open_bundle(100000, "");
    write_data(b, 0, data, sizeof(data), 45056);
    write_data(b, 45056, data, 1, 45057);
    write_data(b, 45057, data, 0, 45057);
    write_text(b, 45060, "AAAA", "there is a gap before offset 45060: go on at 45057");
    write_text(b, 45057, "AAA", "'data' is not base64");
    write_text(b, 45057, "AA\\u0041A", "\"received\": 45060"); /* escapes are JSON's affair */
    write_text(b, 45060, "\\/\\/\\/\\/", "\"received\": 45063");
    write_text(b, 45063, "\\/\\/\\u0000\\/", "'data' is not base64");
    write_text(b, 45063, "\\/\\/\\n\\/", "'data' is not base64");
    on_bundle("bundle-commit", b, "", "45063 of 100000 bytes are there: go on");
    fake_command("query-bundles", "",
                 "\"size\": 100000, \"received\": 45063, \"state\": "
                 "\"receiving\", \"vms\": []}");
    on_bundle("bundle-close", b, "", "{\"return\": {}}");
    on_bundle("bundle-close", b, "", "is being sent: bundle-open begins one");
    fake_command("query-bundles", "", "{\"return\": []}");
}

static void test_twice(void **state)
{
    unsigned b;

    (void)state;
    b = open_bundle(12, "");
    write_data(b, 0, "abcdef", 6, 6);
    write_data(b, 0, "abcdef", 6, 6);
    write_data(b, 3, "de", 2, 6);
    write_data(b, 4, "efgh", 4, 8); /* partly new */
    write_text(b, 2, encode("cdefgX", 6),
               "other bytes were received at offset 2 before: go on at 8");
    write_text(b, 7, encode("hijklm", 6), "beyond the bundle's 12 bytes");
    write_text(b, 8, encode("ijklm", 5), "beyond the bundle's 12 bytes");
    write_text(b, 3, "####", "'data' is not base64");
    write_text(b, 8, "\\/\\/\\/\\/\\/\\/\\/\\/", "beyond the bundle's 12 bytes");
    write_text(b, 8, "\\u0061\\u0057\\u0070\\u0072bA==",
               "\"received\": 12"); /* it fits without its escapes */
    write_data(b, 12, "", 0, 12);
    assert_memory_equal(upload_find(b)->bundle->data, "abcdefghijkl\0\0\0\0", 16);
    on_bundle("bundle-commit", b, "", "12 bytes is no bundle");
    write_data(b, 0, "abcdefghijkl", 12, 12); /* it is still open */
}

static void test_limits(void **state)
{
    unsigned b[UPLOADS_PER_SESSION];

    (void)state;
    fake_command("bundle-open", "\"size\": 0", "'size' is no size of a bundle");
    fake_command("bundle-open", "\"size\": 1000000000",
                 "976562 KiB are more than a bundle may take now, ");
    fake_command("bundle-open", "\"size\": 18446744073709551615", "more than a bundle may take");
    fake_command("bundle-open", "\"size\": 9, \"crc32\": 4294967296", "more than 32 bits");
    fake_command("bundle-open", "\"size\": 9, \"sha256\": \"00\"", "not 64 hexadecimal digits");
    fake_command("bundle-open", "\"size\": 9, \"crc32\": 1, \"sha256\": \"\"", "not both");
    assert_int_equal(frame_free_count(), free_before);
    for (unsigned i = 0; i < UPLOADS_PER_SESSION; i++)
        b[i] = open_bundle(1, i ? ", \"crc32\": 7" : "");
    fake_command("bundle-open", "\"size\": 9", "a session sends 4 at most");
    fake_client = 1;
    fake_client_begin(true);
    on_bundle("bundle-close", b[1], "", "is being sent by another session");
    on_bundle("bundle-commit", b[1], "", "is being sent by another session");
    write_text(b[1], 0, "AA==", "is being sent by another session");
    open_bundle(MIB(2) + 1, "");
    fake_client_end(); /* with its upload */
    fake_client = 0;
    on_bundle("bundle-close", b[2], "", "{\"return\": {}}");
    fake_command("bundle-open", "\"size\": 200000000", "more than a bundle may take");
    open_bundle(1, "");
}

/* ---- taking in ---- */

static char file[8192];

static unsigned send_file(size_t len, const char *more)
{
    unsigned b = open_bundle(len, more);

    for (size_t at = 0; at < len; at += 100) {
        size_t n = len - at < 100 ? len - at : 100;

        write_data(b, at, file + at, n, at + n);
    }
    return b;
}

static void test_commit(void **state)
{
    size_t len = fake_bundle(file, sizeof(file), (const char *const[]){"red", "+blue", NULL});
    unsigned b;

    (void)state;
    b = send_file(len, "");
    on_bundle("bundle-commit", b, "",
              "{\"return\": {\"refused\": [], \"vms\": [{\"name\": \"red\", \"started\": false}, "
              "{\"name\": \"blue\", \"started\": true}]}}");
    assert_int_equal(vm_find("blue")->state, VM_RUNNING);
    fake_sent_len = 0;
    qmp_send_committed();
    fake_step(1000);
    assert_non_null(strstr(fake_sent, "\"event\": \"BUNDLE_COMMITTED\", \"data\": {\"bundle\": "));
    assert_non_null(strstr(fake_sent, "\"vms\": [\"red\", \"blue\"]}}\r\n"));
    fake_command("query-bundles", "", "\"state\": \"taken-in\", \"vms\": [\"red\", \"blue\"]}]}");
    on_bundle("bundle-close", b, "", "is being sent: bundle-open");
    /* The session ends: the bundle is its VMs'. */
    fake_client_end();
    fake_client_begin(true);
    assert_memory_equal(vm_find("red")->config.kernel.data, "the kernel", 10);
    fake_command("vm-destroy", "\"vm\": \"red\"", "{}");
    fake_command("vm-stop", "\"vm\": \"blue\"", "{}");
    assert_true(frame_free_count() < free_before);
    fake_command("vm-destroy", "\"vm\": \"blue\"", "{}");
    assert_int_equal(frame_free_count(), free_before);
    fake_command("query-bundles", "", "{\"return\": []}");
}

static void test_commit_start(void **state)
{
    size_t len = fake_bundle(file, sizeof(file), (const char *const[]){"+red", "blue", NULL});

    (void)state;
    on_bundle(
        "bundle-commit", send_file(len, ""), ", \"start\": false",
        "\"vms\": [{\"name\": \"red\", \"started\": false}, {\"name\": \"blue\", \"started\": "
        "false}]}}");
    fake_command("vm-destroy", "\"vm\": \"red\"", "{}");
    fake_command("vm-destroy", "\"vm\": \"blue\"", "{}");
    fake_vm_why = "no memory";
    on_bundle("bundle-commit", send_file(len, ""), ", \"start\": true",
              "\"vms\": [{\"name\": \"red\", \"started\": false, \"reason\": \"no memory\"}, ");
    fake_vm_why = NULL;
}

static void test_checksum(void **state)
{
    size_t len = fake_bundle(file, sizeof(file), (const char *const[]){"red", NULL});
    uint8_t digest[HASH_SHA256_SIZE];
    char more[100] = ", \"sha256\": \"", wrong[60];
    uint32_t crc;
    unsigned b;

    (void)state;
    hash_sha256(file, len, digest);
    for (unsigned i = 0; i < sizeof(digest); i++)
        sprintf(more + strlen(more), i % 2 ? "%02x" : "%02X", digest[i]);
    strcat(more, "\"");
    on_bundle("bundle-commit", send_file(len, more), "", "\"name\": \"red\"");
    fake_command("vm-destroy", "\"vm\": \"red\"", "{}");
    assert_int_equal(hash_crc32(file, len, &crc), 0);
    snprintf(more, sizeof(more), ", \"crc32\": %u", crc);
    on_bundle("bundle-commit", send_file(len, more), "", "\"name\": \"red\"");
    fake_command("vm-destroy", "\"vm\": \"red\"", "{}");
    qmp_send_committed(); /* which held the bundles */
    fake_ask("");
    snprintf(wrong, sizeof(wrong), ", \"crc32\": %u", crc ^ 1);
    b = send_file(len, wrong);
    on_bundle("bundle-commit", b, "", "its checksum does not match: it is closed; send it again");
    on_bundle("bundle-commit", b, "", "is being sent: bundle-open");
    assert_null(vm_find("red"));
    assert_int_equal(frame_free_count(), free_before);
}

/* What cannot be taken in leaves no VM of it behind, and can be tried again. */
static void test_refused(void **state)
{
    size_t len = fake_bundle(file, sizeof(file), (const char *const[]){"red", "blue", NULL});
    struct vm *blue = fake_vm_add("blue", 1, VM_OFF);
    uint32_t crc;
    char more[40];
    unsigned b;

    (void)state;
    assert_int_equal(hash_crc32(file, len, &crc), 0);
    snprintf(more, sizeof(more), ", \"crc32\": %u", crc);
    b = send_file(len, more);
    on_bundle("bundle-commit", b, "", "\"desc\": \"blue: there is a VM of this name\"");
    assert_null(vm_find("red"));
    assert_ptr_equal(vm_find("blue"), blue);
    fake_command("vm-destroy", "\"vm\": \"blue\"", "{}");
    fake_vm_refused = "red";
    on_bundle("bundle-commit", b, "",
              "{\"return\": {\"refused\": [{\"name\": \"red\", \"reason\": \"this machine lacks "
              "something\"}], \"vms\": [{\"name\": \"blue\"");
    fake_command("vm-destroy", "\"vm\": \"blue\"", "{}");
    len = fake_bundle(file, sizeof(file), (const char *const[]){"!odd", "good", "!bad", NULL});
    on_bundle(
        "bundle-commit", send_file(len, ""), "",
        "{\"return\": {\"refused\": [{\"name\": \"odd\", \"reason\": \"bundle: vm 'odd': memory "
        "is missing");
    assert_non_null(strstr(fake_sent, "{\"name\": \"bad\", \"reason\": "));
    assert_non_null(strstr(fake_sent, "], \"vms\": [{\"name\": \"good\", \"started\": false}]}}"));
    len = fake_bundle(file, sizeof(file), (const char *const[]){"!odd", NULL});
    on_bundle("bundle-commit", send_file(len, ""), "", "vm 'odd': memory is missing");
    len = fake_bundle(file, sizeof(file), (const char *const[]){"red", NULL});
    on_bundle("bundle-commit", send_file(len, ""), "",
              "none of its VMs could be made: red: this machine lacks something");
    fake_vm_refused = NULL;
    file[len / 2] ^= 1;
    file[len / 2 + 8] ^= 1;
    on_bundle("bundle-commit", send_file(len, ""), "", "\"error\"");
    assert_null(vm_find("red"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(base64), TEST(in_order),     TEST(twice),    TEST(limits),
        TEST(commit), TEST(commit_start), TEST(checksum), TEST(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
