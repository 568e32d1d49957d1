// SPDX-License-Identifier: BSD-2-Clause
// A client of the machine protocol that sends anything, in pieces of any size, and reads when it likes: each line it
// gets is one JSON object of the protocol's, and when it goes nothing is left.
// units: tests/fake/ctl.units tests/fake/fake_fault.c
#include <errno.h>

#include "ctl/command.h"
#include "ctl/qmp.h"
#include "fake_heap.h"
#include "fake_shell.h"
#include "fake_vm.h"
#include "fuzz.h"

const unsigned fuzz_runs = 4000;
const size_t fuzz_max = 1024;

static struct fuzz_in input;
static size_t may_read, may_write, sent_len;
static char sent[1 << 20];
static struct json answer;

static size_t port_read(void *port, char *to, size_t max)
{
    size_t n = max < may_read ? max : may_read;

    (void)port;
    memcpy(to, input.at, n);
    input.at += n;
    input.left -= n;
    may_read -= n;
    return n;
}

static size_t port_write(void *port, const char *data, size_t len)
{
    size_t n = len < may_write ? len : may_write;

    (void)port;
    assert_true(sent_len + n < sizeof(sent));
    memcpy(sent + sent_len, data, n);
    sent_len += n;
    may_write -= n;
    return n;
}

static bool has(const char *key) { return json_member(&answer, JSON_ROOT, key) >= 0; }

/* Long lists have more values than are taken here of a message: they end as an object does, at least. */
static void check_lines(void)
{
    for (char *at = sent, *end; at < sent + sent_len; at = end + 2) {
        int error;

        end = memchr(at, '\r', (size_t)(sent + sent_len - at)); /* in strings it is escaped */
        assert_non_null(end);
        assert_true(end + 1 < sent + sent_len && end[1] == '\n');
        error = json_parse(&answer, at, (size_t)(end - at));
        assert_true(error == 0 || error == -E2BIG);
        if (error)
            assert_true(at[0] == '{' && end[-1] == '}');
        else
            assert_int_equal(has("QMP") + has("return") + has("error") + has("event"), 1);
    }
}

static void start(uint8_t flags)
{
    fake_vms_start();
    fake_vm_add("on", 2, VM_RUNNING);
    fake_vm_add("off", 1, VM_OFF);
    fake_vm_add("dead", 3, VM_CRASHED);
    fake_shell_start();
    fake_vm_busy = flags & 1;
    fake_vm_why = flags & 2 ? "a \"reason\"" : NULL;
    fake_vcpu_stuck = flags & 4;
    sent_len = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qmp_session s = {.read = port_read, .write = port_write};
    int before;
    uint8_t flags;

    input = (struct fuzz_in){data, size};
    flags = fuzz_u8(&input);
    start(flags);
    before = fake_heap_blocks;
    assert_int_equal(qmp_open(&s), 0);
    s.negotiated = flags & 8;
    for (unsigned step = 0; input.left; step++) {
        may_read = min_u64(input.left, 1 + (flags >> 4) * 7u);
        may_write = flags & 0x80 ? step % 50 : SIZE_MAX;
        qmp_step(&s);
        if (step % 8 == 7)
            qmp_send_event(&s, "STOP", step, "{\"vm\": \"on\"}", 12);
        if (may_read && flags & 0x80 && step > 5000)
            break;
    }
    may_read = 0;
    may_write = SIZE_MAX;
    qmp_step(&s);
    check_lines();
    qmp_close(&s);
    fake_vm_busy = false;
    fake_vms_end();
    assert_true(fake_heap_blocks <= before);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *to, size_t max)
{
    static const char *const arguments[] = {
        "{}", "{\"vm\": \"on\"}", "{\"vm\": \"off\", \"data\": \"\\u00e9\\n\"}",
        "{\"command-line\": \"list\"}", "{\"vm\": \"dead\", \"position\": 0}"};
    struct fuzz_out o = {to, 0, max};
    char text[200];

    if (n >= command_count)
        return 0;
    if (!commands[n].qmp_name)
        return fuzz_seed(n + 1, to, max);
    fuzz_put_u(&o, 8 | (n % 3) << 4 | (n & 1) << 7, 1);
    for (unsigned i = 0; i < ARRAY_LEN(arguments); i++) {
        snprintf(text, sizeof(text),
                 "{\"execute\": \"%s\", \"arguments\": %s, \"id\": [%u, null]}\n",
                 commands[n].qmp_name, arguments[i], n);
        fuzz_put(&o, text, strlen(text));
    }
    return o.len;
}
