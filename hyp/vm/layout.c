// SPDX-License-Identifier: BSD-2-Clause
#include "vm/layout.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

/* Linux, boot-image-header.rst */
struct image_header {
    uint32_t code0, code1;
    uint64_t text_offset, image_size, flags;
    uint32_t version, res1;
    uint64_t res2;
    uint8_t magic[8]; /* "RISCV", deprecated */
    uint32_t magic2;  /* "RSC\x05" */
    uint32_t res3;
};
_Static_assert(sizeof(struct image_header) == LAYOUT_HEADER_SIZE, "boot-image-header.rst");
#define IMAGE_FLAG_BIG_ENDIAN 1

/* What a person gave by mistake instead of a flat image, or NULL. */
static const char *wrong_kind(const uint8_t *k, uint64_t size)
{
    static const struct {
        uint8_t offset, len;
        char bytes[5];
        const char *what;
    } kinds[] = {
        {0, 4, "\177ELF", "an ELF file: give the flat Image (objcopy -O binary)"},
        {0, 2, "\037\213", "gzip data: decompress it first"},
        {0, 4,
         "\375"
         "7zX",
         "xz data: decompress it first"},
        {0, 4, "\050\265\057\375", "zstd data: decompress it first"},
        {4, 4, "zimg", "an EFI zboot image: take the Image out of it first"},
        {0, 4, "\047\005\031\126", "a legacy U-Boot uImage: give the Image in it"},
        {0, 4, "\320\015\376\355", "a device tree or FIT: give the Image in it"},
        {56, 4, "ARMd", "an arm64 kernel"},
    };

    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
        if (range_ok(kinds[i].offset, kinds[i].len, size) &&
            !memcmp(k + kinds[i].offset, kinds[i].bytes, kinds[i].len))
            return kinds[i].what;
    return NULL;
}

/* Fills what the kernel itself decides: its offset from the RAM base, its span. */
static int kernel_facts(const struct layout_request *in, uint64_t *offset, struct layout *out,
                        char *why, size_t why_size)
{
    struct image_header h;
    const char *wrong;

    if (!in->kernel_size) {
        fmt_snprintf(why, why_size, "kernel: the image is empty");
        return -EINVAL;
    }
    wrong = wrong_kind(in->kernel, in->kernel_size);
    if (wrong) {
        fmt_snprintf(why, why_size, "kernel: not a flat RISC-V image but %s", wrong);
        return -EINVAL;
    }
    *offset = LAYOUT_TEXT_OFFSET;
    out->kernel_span = in->kernel_size;
    if (in->kernel_size < sizeof(h))
        return 0;
    memcpy(&h, in->kernel, sizeof(h));
    if (memcmp(&h.magic2, "RSC\x05", 4))
        return 0;
    out->has_header = true;
    if (h.flags & IMAGE_FLAG_BIG_ENDIAN) {
        fmt_snprintf(why, why_size,
                     "kernel: built big endian; Trapline's guests are little endian");
        return -EINVAL;
    }
    if (h.text_offset & 3) {
        fmt_snprintf(why, why_size, "kernel: text_offset %#lx in its Image header is not aligned",
                     (unsigned long)h.text_offset);
        return -EINVAL;
    }
    *offset = h.text_offset;
    out->kernel_span = max_u64(h.image_size, in->kernel_size);
    return 0;
}

/* The highest place for size bytes in [low, high) with this alignment; false: there is none. */
static bool place_high(uint64_t low, uint64_t high, uint64_t size, uint64_t align, uint64_t *at)
{
    if (size > high || high - size < low)
        return false;
    *at = align_down(high - size, align);
    return *at >= low;
}

/* RAM that would do for all, rounded up for people; 0: no amount would. */
static uint64_t needed_mib(const struct layout_request *in, const struct layout *out,
                           uint64_t offset)
{
    uint64_t parts[] = {offset, out->kernel_span, in->initrd_size, in->fdt_size, 2 * PAGE_SIZE};
    uint64_t sum = MIB(1) - 1;

    for (unsigned i = 0; i < ARRAY_LEN(parts); i++)
        if (__builtin_add_overflow(sum, parts[i], &sum))
            return 0;
    return sum >> 20;
}

int layout_compute(const struct layout_request *in, struct layout *out, char *why, size_t why_size)
{
    uint64_t low = in->ram_base.v, high, offset, initrd_align = MIB(2), initrd, fdt = 0;
    int error;

    *out = (struct layout){0};
    error = kernel_facts(in, &offset, out, why, why_size);
    if (error)
        return error;
    if (__builtin_add_overflow(low, in->ram_size, &high))
        goto too_small;
    if (!range_ok(offset, out->kernel_span, in->ram_size))
        goto too_small;
    out->kernel = gpa(low + offset);
    low = out->kernel.v + out->kernel_span;

    /* All that is loaded besides the kernel goes to the top: a raw binary's bss and stacks, and the
     * memory that a kernel takes before it knows its tree, lie right above it. */
    for (;; initrd_align = PAGE_SIZE) {
        initrd = align_down(high, 8);
        if ((!in->initrd_size || place_high(low, high, in->initrd_size, initrd_align, &initrd)) &&
            place_high(low, initrd, in->fdt_size, 8, &fdt))
            break;
        if (initrd_align == PAGE_SIZE)
            goto too_small;
    }
    out->initrd = gpa(in->initrd_size ? initrd : 0);
    out->fdt = gpa(fdt);
    return 0;

too_small:;
    uint64_t need = needed_mib(in, out, offset);
    if (need)
        fmt_snprintf(
            why, why_size,
            "memory: %lu KiB of RAM cannot hold kernel (%lu KiB with its bss, at offset %#lx) "
            "and initrd (%lu KiB): give at least %lu MiB",
            (unsigned long)(in->ram_size >> 10), (unsigned long)(out->kernel_span >> 10),
            (unsigned long)offset, (unsigned long)(in->initrd_size >> 10), (unsigned long)need);
    else
        fmt_snprintf(why, why_size,
                     "kernel: its Image header makes no sense (text_offset %#lx, image_size %#lx)",
                     (unsigned long)offset, (unsigned long)out->kernel_span);
    return -EINVAL;
}
