// SPDX-License-Identifier: BSD-2-Clause
// Disks made larger while VMs have them: by the protocol and by the shell, by the VM's name for them and by the image's.
// units: tests/fake/ctl.units tests/fake/fake_fault.c tests/fake/fake_client.c hyp/base/log.c hyp/base/fmt.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/console.h"
#include "fake_client.h"
#include "fake_disks.h"
#include "fake_vm.h"
#include "net/capture.h"

static struct vm *web;
static const struct vdev_ops disk_ops = {.type = "virtio-blk"};
static struct vdev device[4];
static struct blk_backend image, raw, ram, reader;

static void wake(void) {}
static void host_write(const char *data, size_t len)
{
    (void)data;
    (void)len;
}

static void give(unsigned n, struct blk_backend *b, struct vm_disk d)
{
    b->sectors = 32768;
    b->read_only = d.read_only;
    web->config.disk[n] = d;
    web->disk[n] = b;
    web->config.disk_count = n + 1;
    device[n] =
        (struct vdev){.ops = &disk_ops, .size = 0x1000, .base = gpa(0x10002000 + 0x1000 * n)};
    snprintf(device[n].role, sizeof(device[n].role), "disk-%u", n);
    assert_int_equal(bus_add(&web->guest.bus, &device[n]), 0);
}

static int setup(void **state)
{
    (void)state;
    fake_vms_start();
    console_set_host(host_write);
    if (!console_shell())
        assert_int_equal(console_shell_start(wake), 0);
    fake_vm_add("other", 1, VM_OFF);
    web = fake_vm_add("web", 1, VM_RUNNING);
    give(0, &image, (struct vm_disk){.kind = VM_DISK_PART, .part = "image", .qcow2 = true});
    give(1, &raw, (struct vm_disk){.kind = VM_DISK_PART, .part = "raw"});
    give(2, &ram, (struct vm_disk){.image.name = "root"});
    give(3, &reader, (struct vm_disk){.kind = VM_DISK_PART, .part = "shared", .read_only = true});
    fake_disk_told = NULL;
    fake_disk_deed[0] = '\0';
    fake_client_begin(true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_client_end();
    fake_vms_end();
    return 0;
}

/* The command does this to that disk, and its guest is told. */
static void check(const char *command, const char *arguments, const char *deed, unsigned n)
{
    fake_command(command, arguments, "{\"return\": {");
    assert_null(strstr(fake_sent, "\"failed\": true"));
    assert_string_equal(fake_disk_deed, deed);
    assert_ptr_equal(fake_disk_told, &device[n]);
    fake_disk_told = NULL;
}

static void grows(void **state)
{
    (void)state;
    check("block_resize", "\"device\": \"web/disk-0\", \"size\": 33554432",
          "grow image qcow2 33554432", 0);
    fake_command("query-block", "\"vm\": \"web\"", "\"virtual-size\": 33554432");
    check("block_resize", "\"node-name\": \"raw\", \"size\": 41943040", "grow raw 41943040", 1);
    check("block_resize", "\"node-name\": \"image\", \"size\": 41943040",
          "grow image qcow2 41943040", 0);
    check("image-resize", "\"image\": \"image\", \"size\": 67108864", "grow image qcow2 67108864",
          0);
    check("shell-command", "\"line\": \"disk resize web/disk-1 64M\"", "grow raw 67108864", 1);
    check("shell-command", "\"line\": \"disk resize raw 1G\"", "grow raw 1073741824", 1);
}

/* What nobody writes is changed as it lies there; and its name is no name of a VM's disk. */
static void without_a_vm(void **state)
{
    (void)state;
    fake_command("image-resize", "\"image\": \"shared\", \"size\": 8192", "{\"return\": {}}");
    assert_string_equal(fake_disk_deed, "resize shared 8192");
    fake_command("shell-command", "\"line\": \"disk resize alone 8K\"", "\"failed\": false");
    assert_string_equal(fake_disk_deed, "resize alone 8192");
    assert_null(fake_disk_told);
}

static void refuses(void **state)
{
    static const char *const wrong[][2] = {
        {"\"size\": 1024", "Need exactly one of 'device' and 'node-name'"},
        {"\"device\": \"web/disk-0\", \"node-name\": \"image\", \"size\": 1024",
         "Need exactly one"},
        {"\"device\": \"web/disk-0\"", "Parameter 'size' is missing"},
        {"\"device\": \"web/disk-0\", \"size\": -1", "size"},
        {"\"device\": \"web/disk-4\", \"size\": 1024", "there is no such disk"},
        {"\"device\": \"web/disk-2\", \"size\": 67108864", "a RAM disk is as large as its image"},
        {"\"device\": \"web/disk-3\", \"size\": 67108864", "it is read only"},
        {"\"node-name\": \"shared\", \"size\": 1024", "no VM has shared to write to it"},
        {"\"node-name\": \"0123456789012345678901234567890123456789\", \"size\": 1024",
         "a name that long"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
        fake_command("block_resize", wrong[i][0], wrong[i][1]);
        assert_non_null(strstr(fake_sent, "\"error\""));
    }
    web->config.disk[1].kind = VM_DISK_HOST;
    fake_command("block_resize", "\"device\": \"web/disk-1\", \"size\": 67108864",
                 "a whole disk of the host is as large");
    fake_command("shell-command", "\"line\": \"disk resize web/disk-9 1G\"",
                 "no VM has a disk web/disk-9");
    assert_string_equal(fake_disk_deed, "");
    /* What the disk itself refuses: the guest hears of nothing. */
    web->config.disk[0] = (struct vm_disk){.kind = VM_DISK_PART, .part = "busy", .qcow2 = true};
    fake_command("block_resize", "\"device\": \"web/disk-0\", \"size\": 67108864",
                 "cannot resize web/disk-0: 'busy' is in use");
    fake_command("shell-command", "\"line\": \"disk resize web/disk-0 1G\"",
                 "cannot resize web/disk-0: 'busy'");
    assert_null(fake_disk_told);
    assert_int_equal(image.sectors, 32768);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {TEST(grows), TEST(without_a_vm), TEST(refuses)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
