// SPDX-License-Identifier: BSD-2-Clause
// Runs attacks as its command line says:
//   seed=N        of all random numbers
//   ops=N         actions of each attack, on each hart (2000)
//   rounds=N      all attacks, so many times; 0: for ever (1)
//   attack=a,b    only these
//   disks=N       virtio disks that the VM has (0)
//   nets=N        network cards (0)
//   firmware=1    also instructions that make firmware write to the machine's console (0)
//   then=WORD     what ends it: off, or a final attack by name
#include "hostile/hostile.h"

struct worker workers[RT_HARTS];
uint64_t seed;
unsigned disks, nets;
bool to_firmware;
uint64_t arena, arena_size;

static const struct attack {
    const char *name;
    void (*run)(struct worker *w);
    void (*beside)(struct worker *w); /* what the other harts do meanwhile; NULL: the same */
    bool alone;
    bool if_named; /* not among "all" */
} attacks[] = {
    {"sbi", attack_sbi, NULL, false, false},
    {"mmio", attack_mmio, NULL, false, false},
    {"virtio", attack_virtio, attack_virtio_scribble, false, false},
    {"paging", attack_paging, attack_paging_scribble, false, false},
    {"csr", attack_csr, NULL, false, false},
    {"system", attack_system, NULL, false, false},
    {"storm", attack_storm, NULL, false, false},
    {"hsm", attack_hsm, NULL, true, false}, /* it starts and stops the others itself */
    {"console", attack_console, NULL, false, false},
    /* Parts of "storm", alone; and what is no attack but a load to compare them with. */
    {"fence", storm_fence, NULL, false, true},
    {"ipi", storm_ipi, NULL, false, true},
    {"timer", storm_timer, NULL, false, true},
    {"wfi", storm_wfi, NULL, false, true},
    {"irq", storm_irq, NULL, false, true},
    {"nap", storm_nap, NULL, false, true},
    {"hog", storm_hog, NULL, false, true},
};
static const struct attack finals[] = {
    {"hole", final_hole, NULL, true, false},
    {"lost", final_lost, NULL, false, false},
    {"reboot", final_reboot, NULL, true, false},
    {"crowd", final_crowd, NULL, false, false},
};

static const struct attack *running;

/* Whether word is in the list that the option gives; true for all when it is not given. */
static bool chosen(const char *name, const char *word)
{
    const char *s = rt_option(name);
    size_t n = strlen(word);

    if (!s)
        return true;
    while (*s && *s != ' ') {
        if (!memcmp(s, word, n) && (!s[n] || s[n] == ' ' || s[n] == ','))
            return true;
        while (*s && *s != ' ' && *s++ != ',')
            ;
    }
    return false;
}

static void work(void *arg)
{
    struct worker *w = arg;

    trap_begin();
    (w->index && running->beside ? running->beside : running->run)(w);
    trap_end();
    csr_write(sie, 0);
    csr_clear(sstatus, SSTATUS_SIE);
    csr_set(sstatus, SSTATUS_FS);
}

static void run(const struct attack *a, uint64_t ops)
{
    uint64_t before = 0, after = 0;

    running = a;
    for (unsigned i = 0; i < rt_hart_count; i++) {
        workers[i].ops = ops;
        before += workers[i].done;
    }
    for (unsigned i = 1; i < rt_hart_count && !a->alone; i++)
        if (!hart_run(i, work, &workers[i]))
            printf("hostile: hart %u does not start\n", i);
    work(&workers[0]);
    for (unsigned i = 1; i < rt_hart_count && !a->alone; i++)
        while (!hart_wait(i))
            printf("hostile: hart %u is slow\n", i);
    for (unsigned i = 0; i < rt_hart_count; i++)
        after += workers[i].done;
    fill_arena();
    printf("\nhostile: %s: %lu actions\n", a->name, after - before);
}

static void set_up(void)
{
    for (unsigned i = 0; i < RT_HARTS; i++) {
        workers[i] = (struct worker){.state = (seed + 1) * 0x9E3779B97F4A7C15 + i, .index = i};
        random_next(&workers[i]);
    }
    arena = (rt_ram_base + rt_ram_size / 2) & ~0x1ffffful;
    arena_size = rt_ram_size / 4;
    fill_arena();
}

void guest_main(void)
{
    uint64_t ops = rt_number("ops", 2000), rounds = rt_number("rounds", 1);
    uint64_t total = 0;

    seed = rt_number("seed", 1);
    disks = (unsigned)rt_number("disks", 0);
    nets = (unsigned)rt_number("nets", 0);
    to_firmware = rt_number("firmware", 0);
    set_up();
    printf("hostile: seed %lu, %u harts, %lu MiB\n", seed, rt_hart_count, rt_ram_size >> 20);
    for (uint64_t i = 0; !rounds || i < rounds; i++)
        for (unsigned a = 0; a < ARRAY_LEN(attacks); a++)
            if (chosen("attack", attacks[a].name) && (!attacks[a].if_named || rt_option("attack")))
                run(&attacks[a], ops);
    for (unsigned i = 0; i < RT_HARTS; i++)
        total += workers[i].done;
    printf("hostile: done, %lu actions\n", total);
    for (unsigned a = 0; a < ARRAY_LEN(finals); a++)
        if (rt_option("then") && chosen("then", finals[a].name))
            run(&finals[a], ops);
}
