// SPDX-License-Identifier: BSD-2-Clause
#include "mem/hostmap.h"

#include <errno.h>

#include "base/arch.h"
#include "base/log.h"
#include "base/spinlock.h"
#include "mem/frame.h"
#include "mem/hostmap_init.h"

#define DEVICE_BASE 0xfffffff000000000ul
#define STACK_BASE 0xfffffff800000000ul

enum { MAP_R = 1 << 1, MAP_W = 1 << 2, MAP_X = 1 << 3 };
#define HOST_PTE_V 0x01
#define HOST_PTE_AD 0xc0

extern char _start[], _text_end[], _rodata_end[], _end[], boot_stack_guard[];

uint64_t direct_offset;
static uint64_t *root;
static uint64_t device_next = DEVICE_BASE, stack_next = STACK_BASE;
static struct spinlock lock = SPINLOCK_INIT(LOCK_STAGE2); /* takes LOCK_FRAME below it */
static void *free_stacks; /* all of one size: kept mapped, chained through their first word */

/* The PTE for va at a level (2: 1 GiB, 1: 2 MiB, 0: 4 KiB), tables made on the way; NULL: no memory. */
static uint64_t *descend(uint64_t va, int level)
{
    uint64_t *table = root;

    for (int l = 2; l > level; l--) {
        uint64_t *pte = &table[(va >> (PAGE_SHIFT + 9 * l)) & 511];

        if (!(*pte & HOST_PTE_V)) {
            void *page = frame_alloc_page();

            if (!page)
                return 0;
            *pte = (hva_to_pa(page).v >> PAGE_SHIFT << 10) | HOST_PTE_V;
        }
        table = pa_to_hva(pa((*pte >> 10) << PAGE_SHIFT));
    }
    return &table[(va >> (PAGE_SHIFT + 9 * level)) & 511];
}

static int map(uint64_t va, uint64_t phys, uint64_t size, uint64_t flags)
{
    while (size) {
        int level = 2;
        uint64_t step, *pte;

        for (; level; level--) {
            step = PAGE_SIZE << (9 * level);
            if (is_aligned(va | phys, step) && size >= step)
                break;
        }
        step = PAGE_SIZE << (9 * level);
        pte = descend(va, level);
        if (!pte)
            return -ENOMEM;
        *pte = (phys >> PAGE_SHIFT << 10) | flags | HOST_PTE_AD | HOST_PTE_V;
        va += step;
        phys += step;
        size -= step;
    }
    return 0;
}

/* The direct map of a bank, without the image: that is only mapped where it is linked, W^X. */
static int map_bank(uint64_t base, uint64_t end, uint64_t image)
{
    uint64_t image_end = image + (uint64_t)(_end - _start);
    int error = 0;

    if (base < image && image < end) {
        error = map(base + direct_offset, base, image - base, MAP_R | MAP_W);
        base = image;
    }
    if (base >= image && base < image_end)
        base = image_end;
    if (!error && base < end)
        error = map(base + direct_offset, base, end - base, MAP_R | MAP_W);
    return error;
}

static int map_image(uint64_t image)
{
    const struct {
        const char *from, *to;
        uint64_t flags;
    } part[] = {
        {_start, (char *)align_up((uint64_t)_text_end, PAGE_SIZE), MAP_R | MAP_X},
        {(char *)align_up((uint64_t)_text_end, PAGE_SIZE), _rodata_end, MAP_R},
        {_rodata_end, boot_stack_guard, MAP_R | MAP_W},
        {boot_stack_guard + PAGE_SIZE, _end, MAP_R | MAP_W},
    };

    for (unsigned i = 0; i < ARRAY_LEN(part); i++) {
        int error = map((uint64_t)part[i].from, image + (uint64_t)(part[i].from - _start),
                        (uint64_t)(part[i].to - part[i].from), part[i].flags);

        if (error)
            return error;
    }
    return 0;
}

int hostmap_init(const struct hostmap_bank *bank, unsigned banks, uint64_t image)
{
    root = frame_alloc_page();
    if (!root)
        return -ENOMEM;
    for (unsigned i = 0; i < banks; i++) {
        int error = map_bank(bank[i].base & ~PAGE_MASK,
                             align_up(bank[i].base + bank[i].size, PAGE_SIZE), image);

        if (error)
            return error;
    }
    if (map_image(image))
        return -ENOMEM;
    csr_write(CSR_SATP, hostmap_satp());
    arch_sfence_all();
    return 0;
}

uint64_t hostmap_satp(void) { return SATP_SV39 | hva_to_pa(root).v >> PAGE_SHIFT; }

void *hostmap_device(pa_t base, uint64_t size)
{
    uint64_t first = base.v & ~PAGE_MASK, end = align_up(base.v + size, PAGE_SIZE);
    uint64_t va;
    int error;

    spin_lock(&lock);
    va = device_next;
    device_next += end - first;
    error = map(va, first, end - first, MAP_R | MAP_W);
    spin_unlock(&lock);
    arch_sfence_all();
    return error ? 0 : (void *)(va + (base.v - first));
}

/* Nothing is lost when memory runs out between two of them: the next stack finds them mapped. */
static int map_page(uint64_t va)
{
    uint64_t *pte = descend(va, 0);
    void *page;

    if (pte && *pte & HOST_PTE_V)
        return 0;
    page = pte ? frame_alloc_page() : 0;
    return page ? map(va, hva_to_pa(page).v, PAGE_SIZE, MAP_R | MAP_W) : -ENOMEM;
}

static void paint(uint64_t *stack, uint64_t size)
{
    for (uint64_t i = 0; i < size / sizeof(*stack); i++)
        stack[i] = STACK_PAINT;
}

void *hostmap_stack(uint64_t size)
{
    uint64_t va;
    void *stack;
    int error = 0;

    spin_lock(&lock);
    stack = free_stacks;
    if (stack) {
        free_stacks = *(void **)stack;
        spin_unlock(&lock);
        paint(stack, size);
        return stack;
    }
    va = stack_next + PAGE_SIZE; /* the guard page */
    for (uint64_t off = 0; off < size && !error; off += PAGE_SIZE)
        error = map_page(va + off);
    if (!error)
        stack_next = va + size;
    spin_unlock(&lock);
    arch_sfence_all();
    if (error)
        return 0;
    paint((void *)va, size);
    return (void *)va;
}

void hostmap_stack_free(void *lowest, uint64_t size)
{
    (void)size;
    spin_lock(&lock);
    *(void **)lowest = free_stacks;
    free_stacks = lowest;
    spin_unlock(&lock);
}
