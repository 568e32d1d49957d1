// SPDX-License-Identifier: BSD-2-Clause
// Whether a device tree from outside (firmware's, a bundle's) may be read with libfdt at all.
// Lock rank: none. Callers: boot/platform.c, vm/fit.c, before they read anything else of it.
#pragma once
#include <libfdt.h>

/* size: bytes that are there, a header at least. 0, or libfdt's error. Beside what fdt_check_full
 * sees to:
 * - before version 16 nodes had paths for names, and fdt_get_name may find none (in 1.6 even the
 *   check itself stumbles over that);
 * - blocks that are not aligned as the specification wants them are read word by word all the same.
 */
static inline int tree_check(const void *fdt, size_t size)
{
    int error = fdt_check_header(fdt);

    if (error)
        return error;
    if (fdt_version(fdt) < 16)
        return -FDT_ERR_BADVERSION;
    if (fdt_off_mem_rsvmap(fdt) % 8 || fdt_off_dt_struct(fdt) % 4)
        return -FDT_ERR_ALIGNMENT;
    return fdt_check_full(fdt, size);
}
