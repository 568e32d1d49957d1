// SPDX-License-Identifier: BSD-2-Clause
#include "sched/stack.h"

#include <string.h>

#include "base/log.h"
#include "base/panic.h"
#include "mem/hostmap.h"
#include "sched/thread_list.h"

static struct spinlock lock = SPINLOCK_INIT(LOCK_RUNQUEUE);
static struct stack_kind ended[STACK_KINDS]; /* threads that are gone; threads is 0 */
static unsigned ended_count;

unsigned stack_deepest(const void *stack)
{
    const uint64_t *word = stack;
    unsigned unused = 0; /* words */

    while (unused < THREAD_STACK_SIZE / sizeof(*word) && word[unused] == STACK_PAINT)
        unused++;
    return THREAD_STACK_SIZE - unused * (unsigned)sizeof(*word);
}

void stack_check(const struct thread *t)
{
    /* All of it: a frame does not write every word of its own. */
    if (t->stack && THREAD_STACK_SIZE - stack_deepest(t->stack) < STACK_MARGIN)
        panic("stack of %s: %u of %u bytes were used, less than the margin of %u is left", t->name,
              stack_deepest(t->stack), THREAD_STACK_SIZE, STACK_MARGIN);
}

void __attribute__((noinline)) stack_paint_rest(void *stack)
{
    /* What lies below this frame is nobody's. */
    for (volatile uint64_t *word = stack; word < (uint64_t *)__builtin_frame_address(0) - 64;
         word++)
        *word = STACK_PAINT;
}

/* The place of a kind among count ones, a new one if there is room; NULL: there is none. */
static struct stack_kind *find_kind(struct stack_kind *kinds, unsigned *count, const char *name)
{
    for (unsigned i = 0; i < *count; i++)
        if (!strcmp(kinds[i].name, name))
            return &kinds[i];
    if (*count == STACK_KINDS)
        return NULL;
    kinds[*count] = (struct stack_kind){0};
    fmt_snprintf(kinds[*count].name, sizeof(kinds->name), "%s", name);
    return &kinds[(*count)++];
}

static const char *kind_name(const struct thread *t)
{
    if (t->switch_in)
        return "vCPUs";
    return t->fn ? t->name : "idle";
}

static void count_thread(struct stack_kind *kinds, unsigned *count, const char *name,
                         unsigned deepest, unsigned threads)
{
    struct stack_kind *kind = find_kind(kinds, count, name);

    if (!kind)
        return;
    kind->threads += threads;
    if (deepest > kind->deepest)
        kind->deepest = deepest;
}

void stack_note_end(const struct thread *t)
{
    unsigned deepest = stack_deepest(t->stack);

    spin_lock(&lock);
    count_thread(ended, &ended_count, kind_name(t), deepest, 0);
    spin_unlock(&lock);
}

struct counts {
    struct stack_kind *kinds;
    unsigned count;
};

static void count_one(void *ctx, const struct thread *t)
{
    struct counts *c = ctx;

    if (t->stack)
        count_thread(c->kinds, &c->count, kind_name(t), stack_deepest(t->stack), 1);
}

unsigned stack_kinds(struct stack_kind kinds[STACK_KINDS])
{
    struct counts c = {kinds, 0};

    thread_list_each(count_one, &c);
    spin_lock(&lock);
    for (unsigned i = 0; i < ended_count; i++)
        count_thread(kinds, &c.count, ended[i].name, ended[i].deepest, 0);
    spin_unlock(&lock);
    return c.count;
}
