// SPDX-License-Identifier: BSD-2-Clause
#include "stage2/image.h"

#include <errno.h>
#include <string.h>

#include "base/arch.h"
#include "mem/frame.h"

static uint64_t end_of(const struct stage2_image *i) { return i->base.v + i->size; }

int stage2_add_image(struct stage2 *s2, gpa_t g, const void *from, uint64_t size)
{
    const struct stage2_ram *ram = stage2_find_ram(s2, g);
    struct stage2_image new = {.base = g, .size = size, .from = from};
    unsigned at = s2->image_count;

    if (!size || !ram || size > ram->size - (g.v - ram->base.v))
        return -EINVAL;
    if (at == STAGE2_MAX_IMAGES)
        return -ENOSPC;
    for (unsigned i = 0; i < at; i++)
        if (g.v < end_of(&s2->image[i]) && s2->image[i].base.v < g.v + size)
            return -EINVAL;
    new.shared = ((uintptr_t)from - g.v) % PAGE_SIZE == 0 &&
                 frame_query(hva_to_pa(from)).state == FRAME_IMAGE;
    for (; at && s2->image[at - 1].base.v > g.v; at--)
        s2->image[at] = s2->image[at - 1];
    s2->image[at] = new;
    s2->image_count++;
    return 0;
}

bool stage2_has_image(const struct stage2 *s2, gpa_t g, uint64_t size)
{
    for (unsigned i = 0; i < s2->image_count; i++)
        if (g.v < end_of(&s2->image[i]) && s2->image[i].base.v < g.v + size)
            return true;
    return false;
}

/* Whole pages by the quick way. */
static void zero(char *to, uint64_t len)
{
    uint64_t head = min_u64(len, -(uintptr_t)to & PAGE_MASK), pages;

    if (is_aligned((uintptr_t)to | len, PAGE_SIZE)) {
        if (len)
            arch_zero_page_run(to, len);
        return;
    }
    memset(to, 0, head);
    pages = align_down(len - head, PAGE_SIZE);
    if (pages)
        arch_zero_page_run(to + head, pages);
    memset(to + head + pages, 0, len - head - pages);
}

void image_fill(const struct stage2 *s2, void *to, uint64_t g, uint64_t size)
{
    uint64_t at = g, end = g + size;
    char *p = to;

    for (unsigned i = 0; i < s2->image_count; i++) {
        const struct stage2_image *image = &s2->image[i];
        uint64_t from = max_u64(at, image->base.v), stop = min_u64(end, end_of(image));

        if (from >= stop)
            continue;
        zero(p + (at - g), from - at);
        memcpy(p + (from - g), image->from + (from - image->base.v), stop - from);
        at = stop;
    }
    zero(p + (at - g), end - at);
}

pa_t image_share(const struct stage2 *s2, uint64_t g, uint64_t size)
{
    for (unsigned i = 0; i < s2->image_count; i++) {
        const struct stage2_image *image = &s2->image[i];

        if (image->shared && g >= image->base.v && g + size <= end_of(image))
            return hva_to_pa(image->from + (g - image->base.v));
    }
    return pa(0);
}
