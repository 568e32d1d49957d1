// SPDX-License-Identifier: BSD-2-Clause
// The hypervisor from its first C code to its first VM: an ordered list. A newcomer starts here.
#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/panic.h"
#include "boot/banner.h"
#include "boot/delegation.h"
#include "boot/options.h"
#include "boot/platform.h"
#include "boot/start_harts.h"
#include "boot/watchdog.h"
#include "boot/where.h"
#include "ctl/console.h"
#include "ctl/control.h"
#include "ctl/ctl.h"
#include "drv/drv.h"
#include "mem/frame.h"
#include "mem/hostmap_init.h"
#include "sched/irq.h"
#include "sched/stack.h"
#include "sched/timer_hart.h"
#include "vcpu/features.h"
#include "vcpu/sbi/extensions.h"
#include "vm/vm.h"

#define DIRECT_MAP 0xffffffc000000000ul /* entry.S maps it from the same address */
#define DIRECT_MAP_SIZE GIB(192)

enum { WATCHDOG_SECONDS = 10, WATCHDOG_MOST = 3600 };

extern char _start[], _end[], boot_stack_guard[];
NORETURN void boot_main(uint64_t hartid, uint64_t fdt_pa, uint64_t image, uint64_t direct_base);

struct platform platform;
uint64_t image_pa;
static char boot_fault_page[PAGE_SIZE] __attribute__((aligned(16)));
static struct thread boot_idle; /* the boot stack becomes the boot hart's idle thread */

static void warn(const char *line) { log_warn("device tree: %s", line); }

/* Two ends of RAM that the direct map can't reach are left out, and said. */
static struct hostmap_bank reachable(struct platform_range r, uint64_t direct_base)
{
    uint64_t first = max_u64(r.base, direct_base);
    uint64_t end = min_u64(r.base + r.size, direct_base + DIRECT_MAP_SIZE);

    if (first > r.base || end < r.base + r.size)
        log_warn("RAM at %lx, %lu MiB: not all within reach", r.base, r.size >> 20);
    return (struct hostmap_bank){first, end > first ? end - first : 0};
}

static void init_memory(uint64_t fdt_pa, uint64_t direct_base)
{
    struct hostmap_bank bank[PLATFORM_BANKS];

    for (unsigned i = 0; i < platform.bank_count; i++) {
        bank[i] = reachable(platform.bank[i], direct_base);
        if (bank[i].size && frame_add_bank(pa(bank[i].base), bank[i].size))
            panic("no memory for the frame database");
    }
    for (unsigned i = 0; i < platform.reserved_count; i++)
        frame_reserve(pa(platform.reserved[i].base), platform.reserved[i].size);
    frame_reserve(pa(image_pa), (uint64_t)(_end - _start));
    frame_reserve(pa(fdt_pa), fdt_totalsize(platform.fdt));
    if (platform.initrd.size)
        frame_reserve(pa(platform.initrd.base), platform.initrd.size);
    if (frame_init_done() || hostmap_init(bank, platform.bank_count, image_pa))
        panic("no memory for the hypervisor's page tables");
}

/* hgatp is WARL: what it holds after a write is what the hart can do. */
static void probe_stage2(void)
{
    static const uint8_t mode[] = {STAGE2_SV39X4, STAGE2_SV48X4, STAGE2_SV57X4};
    uint64_t back = 0;
    unsigned bits;

    for (unsigned i = 0; i < ARRAY_LEN(mode); i++) {
        uint64_t value = (uint64_t)mode[i] << HGATP_MODE_SHIFT;

        if (arch_hgatp_write_read(value) >> HGATP_MODE_SHIFT == mode[i])
            stage2_modes |= 1u << mode[i];
    }
    if (!stage2_modes)
        panic("hgatp takes no translation mode: this hart has no usable H extension");
    back = arch_hgatp_write_read(((uint64_t)__builtin_ctz(stage2_modes) << HGATP_MODE_SHIFT) |
                                 HGATP_VMID_MASK << HGATP_VMID_SHIFT);
    bits = (unsigned)__builtin_popcountl(back >> HGATP_VMID_SHIFT & HGATP_VMID_MASK);
    (void)arch_hgatp_write_read(0);
    vmid_init(boot_option("vmid0") ? 0 : bits);
    banner_facts.vmid_bits = bits;
}

static void probe_delegation(void)
{
    struct delegation d;

    if (delegation_measure(&d))
        delegation_tell(&d);
}

static void init_boot_hart(uint64_t hartid)
{
    struct hart *h = &boot_hart_data;

    /* From the first line on a fault is to be loud. */
    start_hart_faults(h, boot_fault_page);
    boot_idle.stack = boot_stack_guard + PAGE_SIZE;
    stack_paint_rest(boot_idle.stack);
    h->hartid = hartid;
    harts[0] = h;
    hart_count = 1;
    fmt_snprintf(boot_idle.name, sizeof(boot_idle.name), "idle/0");
    sched_hart_init(h, &boot_idle);
}

static int create_vm(void *count, const struct vm_config *config)
{
    struct vm *vm;
    const char *why = "";
    int error = vm_create(config, &vm, &why);

    if (error)
        log_error("VM %s: %s", config->name, why);
    else
        ++*(unsigned *)count;
    return 0; /* the others may still work */
}

static void read_bundle(void)
{
    char why[160];
    unsigned count = 0;
    const struct bundle_reader reader = {.each = create_vm, .ctx = &count};
    struct bundle *b;

    if (!platform.initrd.size) {
        log_error("no bundle: start Trapline with one as its initrd (make bundle makes one)");
        return;
    }
    b = bundle_adopt_boot(pa(platform.initrd.base), platform.initrd.size);
    if (!b)
        panic("no memory for the bundle");
    if (bundle_read(b, &reader, why, sizeof(why)))
        log_error("bundle: %s", why);
}

/* The first thread: VMs are made and started where sleeping is allowed. */
static void start_vms(void *arg)
{
    (void)arg;
    read_bundle();
    ctl_banner = banner_lines;
    if (ctl_start())
        panic("no memory for the shell");
    watchdog_look(true);
    if (vm_manager_start(!boot_option("keep")))
        panic("no memory for the VM manager");
}

/* watchdog=SECONDS; 0: none. */
static unsigned watchdog_seconds(void)
{
    const char *word = boot_option("watchdog");
    unsigned long seconds = word ? strtoul(word, NULL, 10) : WATCHDOG_SECONDS;

    return (unsigned)min_u64(seconds, WATCHDOG_MOST);
}

void boot_main(uint64_t hartid, uint64_t fdt_pa, uint64_t image, uint64_t direct_base)
{
    const char *problem = "";
    struct thread *first;

    direct_offset = DIRECT_MAP - direct_base;
    image_pa = image;
    init_boot_hart(hartid);
    if (platform_read(pa_to_hva(pa(fdt_pa)), &platform, &problem, warn))
        panic("device tree at %lx: %s", fdt_pa, problem);
    boot_options_set(platform.bootargs);
    timer_hz = platform.timebase_hz;
    log_set_timebase(timer_hz);
    init_memory(fdt_pa, direct_base);
    host_console_init(&platform);
    log_set_sink(banner_log_sink);
    features_probe(&platform);
    probe_stage2();
    probe_delegation();
    sbi_base_init();
    if (host_irq_init(&platform))
        log_warn("no interrupt controller that works: devices of the host are not used");
    irq_external = host_irq_handle;
    start_hart_local();
    virtio_host_init(&platform);
    host_rtc_init(&platform);
    ctl_has_terminal = !control_init_line(&platform);
    entropy_init(&platform);
    watchdog_init(watchdog_seconds(), !boot_option("nosse"));
    vm_before_off = where_end;
    start_other_harts(&platform);
    banner_print(&platform);
    first = thread_create("start", start_vms, 0);
    if (!first)
        panic("no memory for the first thread");
    thread_wake(first);
    if (ctl_has_terminal)
        host_console_start(console_host_input);
    watchdog_hart_start();
    sched_idle();
}
