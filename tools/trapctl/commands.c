// SPDX-License-Identifier: BSD-2-Clause
// The table of commands and its options, in the order of the help.
#include "command.h"

const struct args_option command_globals[] = {
    {'c', "connect", "WHERE", "a socket, a serial device, or a folder with control.1 to .4"},
    {0, "speed", "N", "of a serial device, in bits a second (115200)"},
    {'j', "json", NULL, "print what the machine answers as JSON"},
    {'q', "quiet", NULL, "no notes, no progress"},
    {0, "timeout", "SECONDS", "how long to wait for an answer (30)"},
    {'h', "help", NULL, "this text; behind a command: its own"},
    {'V', "version", NULL, "trapctl's version"},
    {0},
};

static const struct args_option run_options[] = {
    {0, "start", NULL, "start all VMs, also those that the bundle does not start itself"},
    {0, "no-start", NULL, "start none"},
    {0},
};
static const struct args_option top_options[] = {
    {'1', "once", NULL, "one table, then end; so it is without a terminal"},
    {'d', "interval", "SECONDS", "time between two looks (2)"},
    {'s', "sort", "COLUMN", "sort by this column (CPU)"},
    {'v', "vcpus", NULL, "a line for each vCPU, too"},
    {'n', "count", "N", "end after N tables"},
    {0},
};
static const struct args_option rm_options[] = {
    {'f', "force", NULL, "power it off first"},
    {0},
};
static const struct args_option stats_options[] = {
    {'v', "vcpus", NULL, "of each vCPU instead of the VM"},
    {0, "schema", NULL, "what the numbers mean"},
    {0},
};
static const struct args_option exits_options[] = {
    {'r', "reset", NULL, "begin the counts anew"},
    {0, "costs", "on|off",
     "count what exits cost, in instructions (for all VMs, whose counts begin anew)"},
    {0},
};
static const struct args_option log_options[] = {
    {'n', "lines", "N", "the last N lines only"},
    {0},
};
static const struct args_option events_options[] = {
    {'n', "count", "N", "end after N events"},
    {0, "vm", "NAME", "of this VM only"},
    {0},
};
static const struct args_option kick_options[] = {
    {0, "now", NULL, "even into code that has interrupts off (the kernel may not survive)"},
    {0},
};

static const struct args_option capture_options[] = {
    {'d', "duration", "SECONDS", "end after this time"},
    {'s', "snaplen", "BYTES", "of each frame so much at most"},
    {0},
};
static const struct args_option disk_options[] = {
    {'f', "force", NULL, "rm: also an image that is behind others, which lose it"},
    {0},
};

const struct command commands[] = {
    {"run", "BUNDLE", "send a bundle (.itb) to the machine, and start its VMs",
     "Sends the file, checksummed, and has its VMs made; those that the bundle marks autostart "
     "are\n"
     "started. When a VM of it cannot be made, or its name exists, none is. `tools/mkbundle` "
     "makes\n"
     "bundles.\n",
     run_options, 1, 1, WORD_FILE, WORD_NONE, cmd_run},
    {"ps", "", "list VMs: state, vCPUs, memory, uptime, why they ended", NULL, NULL, 0, 0,
     WORD_NONE, WORD_NONE, cmd_ps},
    {"top", "", "who uses the harts, live",
     "Keys: q ends; < and > choose the column that is sorted by, N C W M E T name, CPU, waiting, "
     "memory,\n"
     "exits, time; R turns the order round; v shows vCPUs; + and - change the interval; space "
     "looks at\n"
     "once; h explains the columns.\n",
     top_options, 0, 0, WORD_NONE, WORD_NONE, cmd_top},
    {"console", "NAME", "a VM's console: what it has written, then live",
     "Ctrl-] leaves; so does ~. at the beginning of a line (~~ types a ~). A console takes a port: "
     "up to\n"
     "three more clients can be connected meanwhile. Without a terminal, standard input is typed "
     "into the\n"
     "VM, and output goes on until trapctl is ended or the VM is removed.\n",
     NULL, 1, 1, WORD_VM, WORD_NONE, cmd_console},
    {"start", "NAME...", "power on", NULL, NULL, 1, ARGS_WORDS, WORD_VM, WORD_VM, cmd_start},
    {"stop", "NAME...", "power off, at once", NULL, NULL, 1, ARGS_WORDS, WORD_VM, WORD_VM,
     cmd_stop},
    {"pause", "NAME...", "hold; the VM's time stands still", NULL, NULL, 1, ARGS_WORDS, WORD_VM,
     WORD_VM, cmd_pause},
    {"resume", "NAME...", "let it go on", NULL, NULL, 1, ARGS_WORDS, WORD_VM, WORD_VM, cmd_resume},
    {"reset", "NAME...", "power off and on", NULL, NULL, 1, ARGS_WORDS, WORD_VM, WORD_VM,
     cmd_reset},
    {"rm", "NAME...", "remove VMs that are off, and free what they used", NULL, rm_options, 1,
     ARGS_WORDS, WORD_VM, WORD_VM, cmd_rm},
    {"create", "NAME...", "make VMs anew that were removed, from the bundle that has them",
     "While another VM of the bundle is there, or when it is the one of the boot. They are off "
     "then:\n"
     "`trapctl start`.\n",
     NULL, 1, ARGS_WORDS, WORD_NONE, WORD_NONE, cmd_create},
    {"set", "NAME [weight=N] [cap=PERCENT|off] [affinity=HARTS|all]",
     "a VM's share of the harts, at once",
     "weight: 1 to 10000, against other VMs (100 at first). cap: the most it may use, in percent "
     "of one\n"
     "hart. affinity: harts that it may run on, as 0,2-3. Without any, shows them.\n",
     NULL, 1, 4, WORD_VM, WORD_SETTING, cmd_set},
    {"stats", "[NAME]", "all numbers kept of a VM, or of all", NULL, stats_options, 0, 1, WORD_VM,
     WORD_NONE, cmd_stats},
    {"exits", "NAME", "a VM's exits by cause", NULL, exits_options, 1, 1, WORD_VM, WORD_NONE,
     cmd_exits},
    {"walk", "NAME ADDRESS [VCPU]", "both stages of a translation, step by step",
     "ADDRESS is the guest's virtual one, 0x… or decimal.\n", NULL, 2, 3, WORD_VM, WORD_NONE,
     cmd_walk},
    {"regs", "NAME [VCPU]", "a vCPU's registers", NULL, NULL, 1, 2, WORD_VM, WORD_NONE, cmd_regs},
    {"fdt", "NAME", "the device tree that a VM was given, as source", NULL, NULL, 1, 1, WORD_VM,
     WORD_NONE, cmd_fdt},
    {"report", "NAME", "the report of a VM's last crash", NULL, NULL, 1, 1, WORD_VM, WORD_NONE,
     cmd_report},
    {"log", "", "the hypervisor's log", NULL, log_options, 0, 0, WORD_NONE, WORD_NONE, cmd_log},
    {"info", "", "the machine: version, harts, memory, what was found at boot", NULL, NULL, 0, 0,
     WORD_NONE, WORD_NONE, cmd_info},
    {"events", "", "what happens to VMs, as it happens",
     "A line for each event: time since the machine's reset, VM, what, details. Ends by Ctrl-C.\n",
     events_options, 0, 0, WORD_NONE, WORD_NONE, cmd_events},
    {"kick", "NAME [VCPU]", "make a kernel that hangs say where, by an NMI", NULL, kick_options, 1,
     2, WORD_VM, WORD_NONE, cmd_kick},
    {"sysrq", "NAME KEY", "Linux's magic SysRq key on a VM's console", NULL, NULL, 2, 2, WORD_VM,
     WORD_NONE, cmd_sysrq},
    {"net", "[NET | set|link|port|forward ...]", "networks, their ports, leases and forwards",
     "Without words all networks; with a name that one, and where it has learnt addresses. RX is "
     "what\n"
     "the guest got, TX what it sent.\n"
     "  net set NET mode=bridge|nat|internal           what it is, at once\n"
     "  net set NET subnet=A/N address=A/N|dhcp router=A dns=A|dhcp\n"
     "                                                 a NAT's addresses, inside and on the "
     "uplink\n"
     "  net link VM/net-N up|down                      plug a cable in, or out; NET: its uplink's\n"
     "  net port VM/net-N rate=SIZE|off isolated=on|off\n"
     "                                                 what it may send a second (10M), and "
     "whether\n"
     "                                                 other isolated ports see it\n"
     "  net forward add NET [tcp:|udp:]PORT VM:PORT    what comes to PORT of a NAT network's "
     "outer\n"
     "                                                 address goes to a VM's, or to ADDRESS:PORT\n"
     "  net forward rm NET [tcp:|udp:]PORT             no more\n",
     NULL, 0, 7, WORD_NET, WORD_NET, cmd_net},
    {"capture", "VM/net-N|NET/uplink [FILE|-]", "the frames of a port as pcapng, for Wireshark",
     "Into a file, or to standard output, until Ctrl-C; says then how many frames there were, and "
     "how\n"
     "many were lost. Meanwhile it keeps one of the machine's four control ports.\n"
     "  trapctl capture web/net-0 - | wireshark -k -i -\n",
     capture_options, 1, 2, WORD_PORT, WORD_FILE, cmd_capture},
    {"disk", "[ls|create|clone|resize|rm|limit ...]", "images on the host's disks, and VMs' disks",
     "  disk ls [VM]                    all images; or the disks that a VM has\n"
     "  disk create IMAGE SIZE [raw|qcow2] [backing=IMAGE] [room=SIZE] [on=DISK]\n"
     "                                  an image, in a partition of this name: room is the\n"
     "                                  partition's size, on the disk that it is put on\n"
     "  disk clone TEMPLATE IMAGE [SIZE] [room=SIZE] [on=DISK]\n"
     "                                  one that has TEMPLATE behind it, and keeps what is "
     "written\n"
     "  disk resize IMAGE|VM/disk-N SIZE  make it larger, also while a VM uses it\n"
     "  disk rm IMAGE...                delete it, while no VM has it\n"
     "  disk limit VM/disk-N [iops=N|off] [bytes=SIZE|off]\n"
     "                                  what its guest may ask for in a second; alone: shows it\n"
     "Sizes: 512M, 10G.\n",
     disk_options, 0, ARGS_WORDS, WORD_DISK, WORD_DISK, cmd_disk},
    {"exec", "COMMAND [JSON]", "a command of the machine protocol, and its answer",
     "JSON is an object of arguments: trapctl exec query-status '{\"vm\": \"vm0\"}'. Or all in one "
     "word:\n"
     "trapctl exec '{\"execute\": \"query-status\", \"arguments\": {\"vm\": \"vm0\"}}'. The "
     "commands "
     "are\n"
     "in docs/control.md; `trapctl exec query-commands` lists them.\n",
     NULL, 1, 2, WORD_EXECUTE, WORD_NONE, cmd_exec},
    {"monitor", "LINE...", "a line for the hypervisor's own shell, and what it prints",
     "docs/shell.md has its commands; `trapctl monitor help` lists them.\n", NULL, 1, ARGS_WORDS,
     WORD_MONITOR, WORD_VM, cmd_monitor},
    {"shell", "", "a prompt for all these commands, with history and completion",
     "Commands as here, without `trapctl`. A line that begins with ! goes to the hypervisor's own "
     "shell\n"
     "(as `monitor` does). Without a terminal, lines are read from standard input, up to the first "
     "that\n"
     "fails. History is kept in $XDG_STATE_HOME/trapctl/history.\n",
     NULL, 0, 0, WORD_NONE, WORD_NONE, cmd_shell},
    {"help", "[COMMAND]", "this text, or a command's own", NULL, NULL, 0, 1, WORD_COMMAND,
     WORD_NONE, cmd_help},
    {"__complete", "", NULL, NULL, NULL, 0, ARGS_WORDS, WORD_NONE, WORD_NONE, cmd_complete},
};
const unsigned command_count = sizeof(commands) / sizeof(*commands);
