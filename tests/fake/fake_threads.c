// SPDX-License-Identifier: BSD-2-Clause
#include "fake_threads.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arch.h"
#include "base/spinlock.h"
#include "mem/heap.h"

enum { MOST = 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static struct hart hart_of[MOST];
static bool taken[MOST];

/* A thread that was made here. */
struct made {
    struct thread t; /* first */
    pthread_t id;
};

void fake_thread_enter(struct thread *t)
{
    unsigned n = 0;

    pthread_mutex_lock(&lock);
    while (n < MOST && taken[n])
        n++;
    assert_true(n < MOST);
    taken[n] = true;
    hart_of[n] = (struct hart){.current = t};
    fake_hart_data[n] = &hart_of[n];
    fake_hart = n;
    pthread_mutex_unlock(&lock);
}

void fake_thread_leave(void)
{
    pthread_mutex_lock(&lock);
    taken[fake_hart] = false;
    pthread_mutex_unlock(&lock);
}

static void *run(void *arg)
{
    struct thread *t = arg;

    fake_thread_enter(t);
    t->fn(t->arg);
    fake_thread_leave();
    return NULL;
}

struct thread *thread_create(const char *name, void (*fn)(void *arg), void *arg)
{
    struct made *m = heap_alloc(sizeof(*m));

    if (!m)
        return NULL;
    assert_true(strlen(name) < sizeof(m->t.name));
    m->t.fn = fn;
    m->t.arg = arg;
    assert_int_equal(pthread_create(&m->id, NULL, run, &m->t), 0);
    return &m->t;
}

/* It is blocked, and ends there; its memory is the caller's. */
void thread_destroy(struct thread *t)
{
    atomic_store(&t->state, THREAD_DEAD);
    thread_wake(t);
    assert_int_equal(pthread_join(((struct made *)t)->id, NULL), 0);
}

void thread_wake(struct thread *t)
{
    pthread_mutex_lock(&lock);
    atomic_store(&t->wake, true);
    pthread_cond_broadcast(&woken);
    pthread_mutex_unlock(&lock);
}

void thread_block(void)
{
    struct thread *t = thread_current();

    spin_none_held("thread_block");
    pthread_mutex_lock(&lock);
    while (!atomic_load(&t->wake))
        pthread_cond_wait(&woken, &lock);
    atomic_store(&t->wake, false);
    pthread_mutex_unlock(&lock);
    if (atomic_load(&t->state) == THREAD_DEAD) {
        fake_thread_leave();
        pthread_exit(NULL);
    }
}

void thread_yield(void) { sched_yield(); }
