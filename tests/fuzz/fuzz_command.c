// SPDX-License-Identifier: BSD-2-Clause
// Keys into the shell, as a terminal (or a pasted file) sends them: every command line with any words,
// on VMs in every state, with consoles attached and left. What comes out is for a terminal: no state of
// the parser survives its line.
// units: tests/fake/ctl.units tests/fake/fake_fault.c
#include "boot/platform.h"
#include "ctl/command.h"
#include "ctl/console.h"
#include "ctl/ctl.h"
#include "ctl/shell.h"
#include "fake_vm.h"
#include "fuzz.h"

const unsigned fuzz_runs = 1200;
const size_t fuzz_max = 512;

static struct hart hart0;
static struct thread shell;
static size_t written;

static void host_write(const char *data, size_t len)
{
    volatile char sum = 0;

    for (size_t i = 0; i < len; i++)
        sum = (char)(sum + data[i]);
    written += len;
    assert_true(written < 4000000);
}

static void wake(void) {}

static void start(void)
{
    static bool started;
    struct vm *on, *off, *held, *dead;

    written = 0;
    fake_vms_start();
    fake_vms_states(&on, &off, &held, &dead);
    console_set_host(host_write);
    if (!started)
        assert_int_equal(shell_init(wake), 0);
    started = true;
    memset(&hart0, 0, sizeof(hart0));
    spin_init(&hart0.runq_lock, LOCK_RUNQUEUE);
    list_init(&hart0.runq.ready);
    strcpy(shell.name, "shell");
    hart0.current = &shell;
    atomic_store(&hart0.online, true);
    harts[0] = &hart0;
    hart_count = 1;
    platform.hart_count = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = {data, size};
    uint8_t first = fuzz_u8(&in);

    start();
    console_set_focus(NULL);
    console_host_input("\x03", 1); /* whatever an earlier input had begun */
    shell_step();
    fake_vm_busy = first & 1;
    fake_vm_why = first & 2 ? "a reason" : NULL;
    fake_vcpu_stuck = first & 4;
    while (in.left) {
        size_t n = 1 + (first >> 3) % 8;

        n = n < in.left ? n : in.left;
        console_host_input((const char *)in.at, n);
        in.at += n;
        in.left -= n;
        shell_step();
    }
    fake_vm_busy = false;
    console_set_focus(NULL);
    fake_vms_end();
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *to, size_t max)
{
    static const char *const words[] = {"on", "off", "held", "dead", "", "0", "0x80000000", "now"};
    char line[160];
    struct fuzz_out o = {to, 0, max};

    if (n >= command_count)
        return 0;
    if (!commands[n].name)
        return fuzz_seed(n + 1, to, max);
    fuzz_put_u(&o, (n & 7) * 8, 1);
    for (unsigned i = 0; i < 4; i++) {
        snprintf(line, sizeof(line), "%s %s %s\r", commands[n].name, words[(n + i) % 4],
                 words[4 + (n + i) % 4]);
        fuzz_put(&o, line, strlen(line));
    }
    fuzz_put(&o, "sta\t \t\x1b[A\r\x1d\x1d?\"on\" \"\r", 21);
    return o.len;
}
