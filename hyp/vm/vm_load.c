// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "boot/platform.h"
#include "drv/drv.h"
#include "mem/frame.h"
#include "mem/heap.h"
#include "vcpu/features.h"
#include "vm/layout.h"
#include "vm/vm_ops.h"

/* The guest's memory is the image there, without a copy until it writes (stage2/image.h). */
static int show(struct vm *vm, gpa_t at, const struct vm_image *image, const char *what,
                const char **why)
{
    int error = image->size ? stage2_add_image(&vm->guest.s2, at, image->data, image->size) : 0;

    return error ? vm_fail(vm, why, error, "its %s could not be placed (error %d)", what, -error)
                 : 0;
}

static int copy_fdt(struct vm *vm, gpa_t to, size_t size, const char **why)
{
    int error = guest_mem_write(&vm->guest.s2, to, vm->fdt, size);

    if (!error)
        return 0;
    return vm_fail(
        vm, why, error, "%s while its device tree was copied (%lu MiB of memory are free)",
        error == -ENOMEM ? "out of memory" : "an error", (unsigned long)(frame_free_count() >> 8));
}

static int build_fdt(struct vm *vm, uint64_t initrd)
{
    char mmu[sizeof("riscv,") + sizeof(platform.mmu_type)];
    struct guest_fdt_facts facts = {
        .config = &vm->config,
        .isa_extensions = vcpu_isa(),
        .timebase_hz = platform.timebase_hz,
        .ram_base = GUEST_RAM_BASE,
        .initrd_base = initrd,
        .plic_base = GUEST_PLIC_BASE,
        .uart_base = GUEST_UART_BASE,
        .rtc_base = host_rtc() ? GUEST_RTC_BASE : 0,
        .watchdog_base = vm->config.watchdog ? GUEST_WATCHDOG_BASE : 0,
        .virtio_base = GUEST_VIRTIO_BASE,
        .uart_irq = GUEST_UART_IRQ,
        .rtc_irq = GUEST_RTC_IRQ,
        .virtio_irq = GUEST_VIRTIO_IRQ,
        .virtio_count = vm_virtio_count(vm),
        .cbom_block = vcpu_features.zicbom ? vcpu_features.cbom_block : 0,
        .cboz_block = vcpu_features.zicboz ? vcpu_features.cboz_block : 0,
        .mmu_type = platform.mmu_type[0] ? mmu : NULL,
    };

    fmt_snprintf(mmu, sizeof(mmu), "riscv,%s", platform.mmu_type);
    entropy.fill(entropy.ctx, facts.rng_seed, sizeof(facts.rng_seed));
    heap_free(vm->fdt);
    vm->fdt = NULL;
    return guest_fdt_build(&facts, &vm->fdt, &vm->fdt_size);
}

/* The tree names the place of the initrd, which depends on the size of the tree, which does not
 * depend on the place: so it is built twice. */
static int place(struct vm *vm, struct layout *at, const char **why)
{
    const struct vm_config *c = &vm->config;
    struct layout_request request = {
        .ram_base = gpa(GUEST_RAM_BASE),
        .ram_size = c->memory,
        .kernel = c->kernel.data,
        .kernel_size = c->kernel.size,
        .initrd_size = c->initrd.size,
    };
    int error;

    error = build_fdt(vm, 0);
    if (error)
        return vm_fail(vm, why, error, "its device tree could not be built (out of memory?)");
    request.fdt_size = vm->fdt_size;
    error = layout_compute(&request, at, vm->why, sizeof(vm->why));
    if (error) {
        *why = vm->why;
        return error;
    }
    error = build_fdt(vm, at->initrd.v);
    if (error || vm->fdt_size != request.fdt_size)
        return vm_fail(vm, why, error ? error : -EINVAL, "its device tree could not be built");
    return 0;
}

int vm_load(struct vm *vm, gpa_t *entry, gpa_t *fdt, const char **why)
{
    const struct vm_config *c = &vm->config;
    struct layout at;
    int error = place(vm, &at, why);

    if (!error)
        error = show(vm, at.kernel, &c->kernel, "kernel", why);
    if (!error)
        error = show(vm, at.initrd, &c->initrd, "initrd", why);
    if (!error)
        error = copy_fdt(vm, at.fdt, vm->fdt_size, why);
    *entry = at.kernel;
    *fdt = at.fdt;
    return error;
}
