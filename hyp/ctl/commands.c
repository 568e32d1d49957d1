// SPDX-License-Identifier: BSD-2-Clause
// The table of all commands. docs/shell.md and docs/control.md describe them in this order.
#include "ctl/qmp_command.h"

#define SHELL(n, usage_, help_, ...) \
    .name = #n, .usage = usage_, .help = help_, .word = {__VA_ARGS__}, .run = cmd_##n
#define QMP(n, fn, ...) .qmp_name = n, .qmp_run = qmp_##fn, .arg = {__VA_ARGS__}
#define MUST(n, type) {n, ARG_##type, false}
#define MAY(n, type) {n, ARG_##type, true}
#define VM MAY("vm", STRING)
#define VCPU MAY("vcpu", INT)

const struct command commands[] = {
    {SHELL(help, "[COMMAND]", "this list, or the usage of one command", WORD_COMMAND),
     QMP("query-commands", query_commands)},
    {.qmp_name = "qmp_capabilities"},
    {QMP("query-version", query_version)},
    {QMP("human-monitor-command", human_monitor_command, MUST("command-line", STRING),
         MAY("cpu-index", INT))},
    {QMP("shell-command", shell_command, MUST("line", STRING))},
    {SHELL(qmp, "JSON", "one message of the machine protocol (docs/control.md), and its answer",
           WORD_REST)},

    /* VMs */
    {SHELL(list, "", "VMs: state, vCPUs, memory, uptime", WORD_NONE), QMP("query-vms", query_vms)},
    {QMP("query-status", query_status, VM)},
    {QMP("query-cpus-fast", query_cpus_fast, VM)},
    {SHELL(create, "VM", "make a VM of a bundle anew that was destroyed", WORD_NONE),
     QMP("vm-create", create, MUST("vm", STRING))},
    {SHELL(start, "VM", "start a VM that is off", WORD_VM), QMP("vm-start", start, VM)},
    {SHELL(stop, "VM", "stop a VM at once, as by its power switch", WORD_VM),
     QMP("vm-stop", stop, VM)},
    {SHELL(pause, "VM", "hold a running VM; its time stands still", WORD_VM),
     QMP("stop", pause, VM)},
    {SHELL(resume, "VM", "let a paused VM go on", WORD_VM), QMP("cont", resume, VM)},
    {SHELL(reset, "VM", "stop a VM and start it again", WORD_VM), QMP("system_reset", reset, VM)},
    {SHELL(destroy, "VM", "remove a VM that is off or has crashed", WORD_VM),
     QMP("vm-destroy", destroy, VM)},

    /* bundles */
    {QMP("bundle-open", bundle_open, MUST("size", INT), MAY("sha256", STRING), MAY("crc32", INT))},
    {QMP("bundle-write", bundle_write, MUST("bundle", INT), MUST("offset", INT),
         MUST("data", STRING))},
    {QMP("bundle-commit", bundle_commit, MUST("bundle", INT), MAY("start", BOOL))},
    {QMP("bundle-close", bundle_close, MUST("bundle", INT))},
    {QMP("query-bundles", query_bundles)},

    /* shares and accounts */
    {SHELL(set, "VM [weight=N] [cap=PERCENT|off] [affinity=HARTS|all]",
           "a VM's share of the harts, at once; alone: shows it", WORD_VM),
     QMP("set-sched", set_sched, VM, MAY("weight", INT), MAY("cap", INT), MAY("affinity", ANY))},
    {QMP("query-sched", query_sched, VM)},
    {SHELL(top, "[VM]",
           "what VMs, or one's vCPUs, had of the harts; HART: percent since the last `top`",
           WORD_VM),
     QMP("query-stats", query_stats, MUST("target", STRING), VM, MAY("vcpus", ARRAY),
         MAY("providers", ARRAY))},
    {QMP("query-stats-schemas", query_stats_schemas, MAY("provider", STRING))},
    {SHELL(devices, "VM", "a VM's devices, and how often they were accessed", WORD_VM)},
    {SHELL(exits, "VM [reset]", "exits by cause and vCPU; their cost, when counted", WORD_VM,
           WORD_RESET),
     QMP("query-exits", query_exits, VM, VCPU)},
    {QMP("reset-exits", reset_exits, VM)},
    {SHELL(costs, "[on|off]", "count the instructions that exits cost", WORD_ON_OFF),
     QMP("set-exit-costs", set_exit_costs, MUST("enable", BOOL))},

    /* consoles */
    {SHELL(console, "VM", "give the terminal to a VM's console (Ctrl-] comes back)", WORD_VM)},
    {SHELL(send, "VM TEXT", "type TEXT into a VM's console (\\r \\n \\t \\e \\\\ \\xHH)", WORD_VM),
     QMP("console-write", console_write, VM, MUST("data", STRING))},
    {QMP("console-read", console_read, VM, MAY("position", INT))},
    {QMP("console-attach", console_attach, VM, MAY("position", INT))},
    {QMP("console-detach", console_detach, VM)},
    {SHELL(sysrq, "VM KEY", "Linux's magic SysRq key on a VM's console", WORD_VM),
     QMP("sysrq", sysrq, VM, MUST("key", STRING))},
    {SHELL(kick, "VM [VCPU] [now]", "make a kernel that hangs say where (an NMI)", WORD_VM),
     QMP("inject-nmi", inject_nmi, VM, VCPU, MAY("force", BOOL))},

    /* looking into a VM */
    {SHELL(regs, "VM [VCPU]", "registers of a vCPU", WORD_VM),
     QMP("query-registers", query_registers, VM, VCPU)},
    {SHELL(walk, "VM GVA [VCPU]", "translate a guest virtual address, step by step", WORD_VM),
     QMP("query-walk", query_walk, VM, MUST("gva", ANY), VCPU)},
    {SHELL(gpa, "VM GPA", "translate a guest physical address, step by step", WORD_VM),
     QMP("query-gpa", query_gpa, VM, MUST("gpa", ANY))},
    {SHELL(disk,
           "[create NAME SIZE [raw] | clone TEMPLATE NAME [SIZE] | resize NAME|VM/disk-N SIZE | "
           "delete NAME [force] | limit VM/disk-N [iops=N|off] [bytes=SIZE|off]] [room=SIZE] "
           "[on=DISK]",
           "partitions of the host's disks, and images in them; make, grow, delete them; a limit "
           "for a VM's disk",
           WORD_NONE),
     QMP("query-images", query_images, MAY("count", BOOL))},
    {QMP("image-create", image_create, MUST("image", STRING), MUST("size", INT),
         MAY("format", STRING), MAY("backing", STRING), MAY("room", INT), MAY("disk", INT))},
    {QMP("image-clone", image_clone, MUST("image", STRING), MUST("from", STRING), MAY("size", INT),
         MAY("room", INT), MAY("disk", INT))},
    {QMP("image-resize", image_resize, MUST("image", STRING), MUST("size", INT))},
    {QMP("image-delete", image_delete, MUST("image", STRING), MAY("force", BOOL))},
    {QMP("query-block", query_block, VM)},
    {QMP("block_resize", block_resize, MAY("device", STRING), MAY("node-name", STRING),
         MUST("size", INT))},
    {QMP("block_set_io_throttle", block_set_io_throttle, MUST("device", STRING), MAY("bps", INT),
         MAY("bps_rd", INT), MAY("bps_wr", INT), MAY("iops", INT), MAY("iops_rd", INT),
         MAY("iops_wr", INT))},
    {SHELL(net,
           "[link VM.N up|down | set SWITCH mode=MODE|subnet=|address=|router=|dns=... | port VM.N "
           "[rate=RATE|off] "
           "[isolated=on|off] | forward add SWITCH tcp:2222:VM:22 | forward rm SWITCH tcp:2222]",
           "switches, their ports, what these carried and dropped; pull a cable, change settings",
           WORD_NONE),
     QMP("query-nets", query_nets, MAY("net", STRING))},
    {QMP("set-net", set_net, MUST("net", STRING), MAY("mode", STRING), MAY("subnet", STRING),
         MAY("address", STRING), MAY("router", STRING), MAY("dns", STRING))},
    {QMP("set-port", set_port, MUST("vm", STRING), MUST("device", STRING), MAY("rate", INT),
         MAY("isolated", BOOL))},
    {QMP("set_link", set_link, MUST("name", STRING), MUST("up", BOOL))},
    {QMP("net-forward-add", net_forward_add, MUST("net", STRING), MAY("protocol", STRING),
         MUST("host-port", INT), MAY("vm", STRING), MAY("address", STRING), MUST("port", INT))},
    {QMP("net-forward-remove", net_forward_remove, MUST("net", STRING), MAY("protocol", STRING),
         MUST("host-port", INT))},
    {QMP("capture-open", capture_open, MAY("vm", STRING), MAY("device", STRING), MAY("net", STRING),
         MAY("port", STRING), MAY("snaplen", INT))},
    {QMP("capture-close", capture_close, MUST("capture", INT))},
    {SHELL(fdt, "VM", "the device tree that a VM was given, as source", WORD_VM),
     QMP("query-fdt", query_fdt, VM)},
    {SHELL(report, "VM", "the report of a VM's crash: vCPUs, their last exits", WORD_VM),
     QMP("query-report", query_report, VM)},
    {SHELL(dump, "VM [GPA LEN]", "a VM's memory, in hexadecimal; all that was touched", WORD_VM)},

    /* the machine */
    {SHELL(frames, "", "host memory by state and owner, in KiB", WORD_NONE)},
    {SHELL(harts, "", "harts, and what runs on them", WORD_NONE), QMP("query-host", query_host)},
    {SHELL(threads, "", "threads: vCPUs and the hypervisor's own", WORD_NONE)},
    {SHELL(stacks, "", "how deep the threads' stacks were ever used", WORD_NONE)},
    {SHELL(log, "", "the log", WORD_NONE), QMP("query-log", query_log, MAY("lines", INT))},
    {SHELL(info, "", "what was found at boot", WORD_NONE)},
    {SHELL(size, "[COLUMNS ROWS]", "the size of this terminal, as guests are told", WORD_NONE)},
    {SHELL(clear, "", "clear the screen", WORD_NONE)},
    {SHELL(fault, "KIND", "drill: break the hypervisor itself; the machine stops", WORD_FAULT)},
    {SHELL(poweroff, "[now]", "power off the machine; now: even if VMs run", WORD_NOW),
     QMP("quit", quit)},
};
const unsigned command_count = ARRAY_LEN(commands);
