// SPDX-License-Identifier: BSD-2-Clause
// What the files that read the host's device tree share: cells, reg, address translation, status.
// Invariant: the tree has passed tree_check, but its values are not to be trusted.
// Lock rank: none, pure. Callers: hyp/boot/platform*.c only.
#pragma once
#include <libfdt.h>

#include "boot/platform.h"

struct platform_reader {
    const void *fdt;
    struct platform *out;
    void (*warn)(const char *line);
};

void platform_warn(const struct platform_reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* status absent, "okay" or "ok". */
bool platform_enabled(const void *fdt, int node);
/* A property of one (or, for u64, two) cells; fallback when it is absent or has another size. */
uint32_t platform_u32(const void *fdt, int node, const char *name, uint32_t fallback);
uint64_t platform_number(const void *fdt, int node, const char *name, uint64_t fallback);
/* A NUL-terminated string, or NULL. */
const char *platform_string(const void *fdt, int node, const char *name);
/* Whether compatible holds one of the names (list ended by NULL). */
bool platform_compatible(const void *fdt, int node, const char *const *names);
/* The nth reg entry, as the processors see it: through the ranges of all buses above. -ENOENT: there is
 * none; -EINVAL: cannot be read, or wraps around the address space. */
int platform_reg(const void *fdt, int node, unsigned n, struct platform_range *out) MUST_CHECK;
/* The node's first interrupt when the controller is the node `controller`; else 0. */
uint32_t platform_irq(const void *fdt, int node, int controller);

/* platform_cpu.c: harts, ISA, time base. 0, or -EINVAL with *problem. */
int platform_read_cpus(struct platform_reader *r, const char **problem) MUST_CHECK;
/* platform_dev.c: PLIC, UART, virtio windows, clock. What is absent stays zero. */
void platform_read_devices(struct platform_reader *r);
