// SPDX-License-Identifier: BSD-2-Clause
// Where things lie in a guest's physical memory: the devices' fixed addresses, and, computed for
// each start, the places of kernel, initrd and device tree by the RISC-V Linux boot protocol
// (Linux, Documentation/arch/riscv/boot.rst and boot-image-header.rst).
// Pure. Lock rank: none. Callers: hyp/vm.
#pragma once
#include "base/addr.h"

#define GUEST_RTC_BASE 0x00101000ul
#define GUEST_PLIC_BASE 0x0C000000ul
#define GUEST_UART_BASE 0x10000000ul
#define GUEST_WATCHDOG_BASE 0x10000800ul
#define GUEST_VIRTIO_BASE 0x10001000ul /* + 0x1000 * n */
#define GUEST_RAM_BASE 0x80000000ul
enum { GUEST_UART_IRQ = 10, GUEST_RTC_IRQ = 11, GUEST_VIRTIO_IRQ = 1, GUEST_VIRTIO_MAX = 9 };

#define LAYOUT_TEXT_OFFSET 0x200000ul /* of a kernel that does not say */
#define LAYOUT_HEADER_SIZE 64u

struct layout_request {
    gpa_t ram_base;
    uint64_t ram_size;
    const void *kernel; /* its first min(kernel_size, 64) bytes are read */
    uint64_t kernel_size, initrd_size, fdt_size; /* bytes; initrd_size 0: none */
};

struct layout {
    gpa_t kernel; /* where it is copied; also the entry point */
    uint64_t kernel_span; /* bytes it takes in memory, its bss with it */
    bool has_header;
    gpa_t initrd, fdt;
};

/* 0; or -EINVAL, and one line in why (at most why_size bytes) that says what is wrong with the
 * kernel or how much RAM is needed. Kernel, initrd and device tree never overlap and lie within
 * RAM. */
int layout_compute(const struct layout_request *in, struct layout *out, char *why,
                   size_t why_size) MUST_CHECK;
