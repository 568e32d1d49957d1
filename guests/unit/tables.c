// SPDX-License-Identifier: BSD-2-Clause
// Page tables where a guest should not have them: in devices, where nothing is, in RAM that was never touched;
// and the hart that writes to tables by itself.
#include "unit/unit.h"

#define SBI_FWFT 0x46574654u
#define FWFT_AD 4
#define TABLE_VA (WINDOW_VA + (1ul << 30)) /* the root's next entry: nobody else's */

/* The tables below TABLE_VA begin at this address. Translation must be on. */
static void point_at(uint64_t table)
{
    uint64_t root = (csr_read(satp) & ((1ul << 44) - 1)) << 12;

    ((volatile uint64_t *)root)[TABLE_VA >> 30] = table ? table >> 12 << 10 | PTE_V : 0;
    __asm__ volatile("sfence.vma" ::: "memory");
}

static struct trap_record load_from(uint64_t va)
{
    uint64_t v;

    trap_begin();
    __asm__ volatile(".option push\n .option norvc\n ld %0, 0(%1)\n .option pop"
                     : "=r"(v)
                     : "r"(va)
                     : "memory");
    return trap_end();
}

static struct trap_record store_to(uint64_t va)
{
    trap_begin();
    __asm__ volatile(".option push\n .option norvc\n sd zero, 0(%0)\n .option pop" ::"r"(va)
                     : "memory");
    return trap_end();
}

static struct trap_record jump_to(uint64_t va)
{
    uint64_t back;

    trap_begin();
    __asm__ volatile("la %0, 1f\n sd %0, %1\n jr %2\n 1:"
                     : "=&r"(back), "=m"(hart_self()->resume)
                     : "r"(va)
                     : "memory");
    return trap_end();
}

UNIT_CASE(tables_no_ram, UNIT_TRAPLINE)
{
    static const uint64_t where[] = {0x10000000, 0xc200000, 0xc000000, 0x40000000, 0x800000000};

    for (unsigned i = 0; i < ARRAY_LEN(where); i++) {
        paging_on();
        point_at(where[i]);
        struct trap_record load = load_from(TABLE_VA + 8), store = store_to(TABLE_VA + 16),
                           fetch = jump_to(TABLE_VA + 0x100);
        point_at(0);
        paging_off();
        CHECK(load.count == 1 && load.cause == CAUSE_LOAD_ACCESS, "at %lx: %u, %lu", where[i],
              load.count, load.cause);
        CHECK_EQ(load.tval, TABLE_VA + 8);
        CHECK(store.count == 1 && store.cause == CAUSE_STORE_ACCESS, "at %lx: %u, %lu", where[i],
              store.count, store.cause);
        CHECK_EQ(store.tval, TABLE_VA + 16);
        CHECK(fetch.count == 1 && fetch.cause == CAUSE_FETCH_ACCESS, "at %lx: %u, %lu", where[i],
              fetch.count, fetch.cause);
        CHECK_EQ(fetch.tval, TABLE_VA + 0x100);
    }
}

/* Registers that the guest has as memory, read only: a fault of its own, whatever the entries look like. */
UNIT_CASE(tables_registers, UNIT_TRAPLINE)
{
    paging_on();
    point_at(0x10001000);
    struct trap_record load = load_from(TABLE_VA + 8), store = store_to(TABLE_VA + 16),
                       fetch = jump_to(TABLE_VA + 0x100);
    point_at(0);
    paging_off();
    CHECK(load.count == 1 && store.count == 1 && fetch.count == 1, "%u, %u, %u", load.count,
          store.count, fetch.count);
}

/* RAM that nobody touched, a table of zeroes for the walk that comes first: no page there. */
UNIT_CASE(tables_untouched, UNIT_TRAPLINE)
{
    uint64_t ram = rt_ram_base + rt_ram_size / 2;

    paging_on();
    point_at(ram);
    struct trap_record load = load_from(TABLE_VA), store = store_to(TABLE_VA);
    point_at(0);
    paging_off();
    CHECK(load.count == 1 && load.cause == CAUSE_LOAD_PAGE, "%u, %lu", load.count, load.cause);
    CHECK(store.count == 1 && store.cause == CAUSE_STORE_PAGE, "%u, %lu", store.count, store.cause);
}

/* The hart sets A and D in an entry, and the page that it points to is touched first by the same access. */
UNIT_CASE(tables_updated_by_hart, UNIT_TRAPLINE)
{
    uint64_t ram = rt_ram_base + rt_ram_size / 2 + (8ul << 20), table = ram + (4ul << 20), entry;

    if (sbi_call(SBI_FWFT, 0, FWFT_AD, 1, 0, 0, 0).error)
        return;
    /* Two levels: the upper one's page is touched by this store, the lower one is the hart's leaf. */
    *(volatile uint64_t *)table = (table + 4096) >> 12 << 10 | PTE_V;
    *(volatile uint64_t *)(table + 4096) = ram >> 12 << 10 | PTE_V | PTE_R | PTE_W;
    paging_on();
    point_at(table);
    struct trap_record store = store_to(TABLE_VA);
    entry = *(volatile uint64_t *)(table + 4096);
    point_at(0);
    paging_off();
    sbi_call(SBI_FWFT, 0, FWFT_AD, 0, 0, 0, 0);
    CHECK_EQ(store.count, 0);
    CHECK_EQ(entry & (PTE_A | PTE_D), PTE_A | PTE_D);
}
