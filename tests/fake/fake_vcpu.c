// SPDX-License-Identifier: BSD-2-Clause
#include "fake_vcpu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "base/log.h"
#include "base/panic.h"
#include "boot/options.h"
#include "boot/platform.h"
#include "ctl/console.h"
#include "drv/drv.h"
#include "fake_mem.h"
#include "mem/frame.h"
#include "mem/heap.h"
#include "vcpu/exit.h"
#include "vcpu/features.h"
#include "vcpu/report.h"
#include "vdev/irqchip/vplic.h"
#include "vdev/virtio/virtio_dev.h"

#define WEAK __attribute__((weak))
unsigned fake_highest_lock(void);

unsigned fake_park_delay, fake_device_busy, fake_host_disks, fake_flushes, fake_timers_set;
bool fake_park_never, fake_reset_while_busy, fake_flush_lost;
void (*fake_step)(void);
uint64_t fake_steps, fake_mem_writes;
int fake_creates_left, fake_parts;
const char *fake_options[4];
char fake_log[16384];

int fake_heap_left;

static bool may_create_heap(void)
{
    if (!fake_heap_left)
        return false;
    if (fake_heap_left > 0)
        fake_heap_left--;
    return true;
}

static bool may_create(void)
{
    if (!fake_creates_left)
        return false;
    if (fake_creates_left > 0)
        fake_creates_left--;
    fake_parts++;
    return true;
}

/* --- heap: the host's, so that ASan watches it --- */

unsigned fake_heap_blocks;

void *heap_alloc(size_t size)
{
    void *p = may_create_heap() ? calloc(1, size) : NULL;
    fake_heap_blocks += p != NULL;
    return p;
}
void heap_free(void *p)
{
    fake_heap_blocks -= p != NULL;
    free(p);
}

/* --- log, options, facts --- */

void log_write(enum log_level level, const char *fmt, ...)
{
    size_t at = strlen(fake_log);
    va_list ap;
    int len;

    (void)level;
    va_start(ap, fmt);
    len = vsnprintf(fake_log + at, sizeof(fake_log) - at, fmt, ap);
    va_end(ap);
    if (len >= 240)
        panic("a line of %d characters is too long for the log", len);
    if (strchr(fake_log + at, '\n'))
        panic("a log line with a newline");
    if (at + (size_t)len + 2 < sizeof(fake_log))
        strcpy(fake_log + at + len, "\n");
    if (getenv("TL_LOG"))
        fprintf(stderr, "%s", fake_log + at);
}

const char *boot_option(const char *name)
{
    for (unsigned i = 0; i < 4; i++)
        if (fake_options[i] && !strcmp(fake_options[i], name))
            return "";
    return NULL;
}

struct platform platform;
struct vcpu_features vcpu_features;
uint64_t timer_hz = 1000000;

const char *vcpu_isa(void) { return "i m a f d c zicsr zifencei"; }
void features_apply(struct guest *g) { g->sstc = vcpu_features.sstc; }
void report_guest_fault(struct vcpu *v, const char *what, char *buf, size_t size)
{
    snprintf(buf, size, "vCPU %u: %s at %#lx", v->index, what, (unsigned long)v->pc);
}

void report_log_vcpus(const struct guest *g) { (void)g; }

const char *exit_cause_name(unsigned index)
{
    static char name[64][24];
    snprintf(name[index], sizeof(name[0]), "a-cause-of-exits-%u", index);
    return name[index];
}

static void fill(void *ctx, void *to, size_t len)
{
    (void)ctx;
    memset(to, 0x5A, len);
}
struct entropy_backend entropy = {.fill = fill};

/* --- threads --- */

static ucontext_t test_context, thread_context;
static struct thread the_thread;
static char *thread_stack;
static bool thread_there, thread_inside;

static void thread_main(void) { the_thread.fn(the_thread.arg); }

struct thread *thread_create(const char *name, void (*fn)(void *arg), void *arg)
{
    (void)name;
    if (thread_there)
        panic("one manager only");
    thread_there = true;
    memset(&the_thread, 0, sizeof(the_thread));
    the_thread.fn = fn;
    the_thread.arg = arg;
    getcontext(&thread_context);
    thread_stack = malloc(1 << 18);
    thread_context.uc_stack.ss_sp = thread_stack;
    thread_context.uc_stack.ss_size = 1 << 18;
    thread_context.uc_link = &test_context;
    makecontext(&thread_context, thread_main, 0);
    return &the_thread;
}

void thread_wake(struct thread *t)
{
    if (fake_highest_lock() >= LOCK_RUNQUEUE)
        panic("woken with the run queue locked");
    atomic_store(&t->wake, true);
}

void thread_block(void)
{
    if (!thread_inside)
        panic("the test itself blocks");
    if (fake_highest_lock())
        panic("blocks with a lock held");
    if (atomic_exchange(&the_thread.wake, false))
        return;
    swapcontext(&thread_context, &test_context);
}

/* The one that was set last: the manager's, a watchdog's. */
static struct timer *the_timer;

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
    *t = (struct timer){.fn = fn};
    the_timer = NULL;
}

void timer_set(struct timer *t, uint64_t when)
{
    t->when = when;
    the_timer = t;
}

void timer_cancel(struct timer *t)
{
    if (the_timer == t)
        the_timer = NULL;
}

void timer_cancel_wait(struct timer *t) { timer_cancel(t); }

bool fake_timer_run(void)
{
    struct timer *t = the_timer;

    if (!t)
        return false;
    the_timer = NULL;
    if (fake_time < t->when)
        fake_time = t->when;
    t->fn(t);
    return true;
}

bool fake_manager_run(void)
{
    if (!thread_there || !atomic_exchange(&the_thread.wake, false))
        return false;
    thread_inside = true;
    swapcontext(&test_context, &thread_context);
    thread_inside = false;
    return true;
}

void thread_times(const struct thread *t, uint64_t times[THREAD_TIMES])
{
    (void)t;
    memset(times, 0, THREAD_TIMES * sizeof(times[0]));
}

void exit_set_costs(bool on) { (void)on; }

/* --- vCPUs --- */

struct fake_cpu {
    struct vcpu v;
    unsigned asked; /* steps since it was asked to park */
    bool park;
};
static struct fake_cpu *cpus[VM_MAX * GUEST_MAX_VCPUS];

void thread_yield(void)
{
    if (fake_highest_lock())
        panic("yields with a lock held");
    fake_steps++;
    fake_time += 1000;
    for (unsigned i = 0; i < VM_MAX * GUEST_MAX_VCPUS; i++)
        if (cpus[i] && cpus[i]->park && !fake_park_never && cpus[i]->asked++ >= fake_park_delay)
            atomic_store(&cpus[i]->v.parked, true);
    if (fake_device_busy)
        fake_device_busy--;
    if (fake_step)
        fake_step();
}

unsigned hart_count = 2;
void thread_group_changed(void) {}
void sched_point(void)
{
    if (fake_highest_lock())
        panic("sched_point with a lock held");
}

struct vcpu *vcpu_create(struct guest *g, unsigned index)
{
    struct fake_cpu *c;
    unsigned i = 0;

    if (!may_create())
        return NULL;
    c = calloc(1, sizeof(*c));
    while (cpus[i])
        i++;
    cpus[i] = c;
    c->v.guest = g;
    c->v.index = (uint16_t)index;
    c->park = true;
    atomic_store(&c->v.parked, true);
    atomic_store(&c->v.hsm, HSM_STOPPED);
    return &c->v;
}

static struct fake_cpu *cpu_of(struct vcpu *v) { return CONTAINER_OF(v, struct fake_cpu, v); }

static void must_be_parked(struct vcpu *v)
{
    if (!atomic_load(&v->parked))
        panic("vCPU %u is not parked", v->index);
}

uint64_t vcpu_memory(void) { return heap_takes(sizeof(struct fake_cpu)); }

void vcpu_destroy(struct vcpu *v)
{
    must_be_parked(v);
    for (unsigned i = 0; i < VM_MAX * GUEST_MAX_VCPUS; i++)
        if (cpus[i] == cpu_of(v))
            cpus[i] = NULL;
    fake_parts--;
    free(cpu_of(v));
}

void vcpu_reset(struct vcpu *v)
{
    must_be_parked(v);
    memset(v->gpr, 0, sizeof(v->gpr));
    v->stop_reason = NULL;
    v->wake_at = UINT64_MAX;
    atomic_store(&v->hsm, HSM_STOPPED);
}

int vcpu_start(struct vcpu *v, uint64_t pc, uint64_t arg)
{
    if (atomic_load(&v->hsm) != HSM_STOPPED)
        return -EALREADY;
    if (!v->guest->s2.ram_count)
        panic("started without memory");
    v->pc = pc;
    v->gpr[11] = arg;
    atomic_store(&v->hsm, HSM_STARTED);
    return 0;
}

void vcpu_park(struct vcpu *v)
{
    if (!cpu_of(v)->park)
        cpu_of(v)->asked = 0;
    cpu_of(v)->park = true;
}
void vcpu_unpark(struct vcpu *v)
{
    cpu_of(v)->park = false;
    atomic_store(&v->parked, false);
}
bool vcpu_is_parked(struct vcpu *v) { return atomic_load(&v->parked); }
void vcpu_irq_set(struct vcpu *v, uint64_t bit, bool level)
{
    (void)v;
    (void)bit;
    (void)level;
}
void vcpu_set_timer(struct vcpu *v, uint64_t t)
{
    must_be_parked(v);
    v->wake_at = t;
    fake_timers_set++;
}

/* --- stage 2: RAM in 2 MiB (else 4 KiB) frames, found by a table outside the fake machine --- */

enum { RAM_BLOCKS = 512 };
static struct {
    struct stage2 *s2;
    uint64_t pa[RAM_BLOCKS];
} maps[VM_MAX];

static uint64_t *map_of(struct stage2 *s2)
{
    for (unsigned i = 0; i < VM_MAX; i++)
        if (maps[i].s2 == s2)
            return maps[i].pa;
    panic("no such stage 2");
}

WEAK uint32_t stage2_modes;

WEAK int stage2_create(struct stage2 *s2, uint16_t owner, uint64_t gpa_end)
{
    unsigned i = 0;

    while (maps[i].s2)
        i++;
    if (!stage2_modes || gpa_end > 1ull << 41)
        return -EINVAL;
    memset(s2, 0, sizeof(*s2));
    if (frame_alloc(FRAME_ORDER_16K, FRAME_TABLE, owner, &s2->root))
        return -ENOMEM;
    memset(&maps[i], 0, sizeof(maps[i]));
    maps[i].s2 = s2;
    s2->owner = owner;
    return 0;
}

WEAK void stage2_destroy(struct stage2 *s2)
{
    uint64_t *map = map_of(s2);
    struct guest *g = CONTAINER_OF(s2, struct guest, s2);

    for (unsigned i = 0; i < g->vcpu_count; i++)
        must_be_parked(g->vcpu[i]);
    if (fake_device_busy)
        panic("guest memory is freed while a device uses it");
    for (unsigned i = 0; i < RAM_BLOCKS; i++)
        if (map[i])
            frame_put(pa(map[i]));
    for (unsigned i = 0; i < 4; i++)
        frame_put(pa_add(s2->root, i * PAGE_SIZE));
    for (unsigned i = 0; i < VM_MAX; i++)
        if (maps[i].s2 == s2)
            maps[i].s2 = NULL;
    s2->ram_count = s2->image_count = 0;
}

WEAK int stage2_map(struct stage2 *s2, gpa_t g, pa_t p, uint64_t size, unsigned prot,
                    uint64_t pte_soft)
{
    (void)s2;
    (void)g;
    (void)p;
    (void)pte_soft;
    if (size != PAGE_SIZE || prot != PROT_R)
        return -EINVAL;
    return 0;
}

WEAK int stage2_add_ram(struct stage2 *s2, gpa_t base, uint64_t size)
{
    s2->ram[s2->ram_count++] = (struct stage2_ram){base, size};
    return 0;
}

/* What the images have of a fresh block. */
static void show_images(const struct stage2 *s2, uint8_t *to, uint64_t g)
{
    for (unsigned i = 0; i < s2->image_count; i++) {
        const struct stage2_image *image = &s2->image[i];
        uint64_t from = max_u64(g, image->base.v);
        uint64_t end = min_u64(g + MIB(2), image->base.v + image->size);

        if (from < end)
            memcpy(to + (from - g), image->from + (from - image->base.v), end - from);
    }
}

static uint8_t *at(struct stage2 *s2, uint64_t g, bool fill_in)
{
    uint64_t block = (g - s2->ram[0].base.v) >> 21, *map = map_of(s2);

    if (g < s2->ram[0].base.v || g - s2->ram[0].base.v >= s2->ram[0].size || block >= RAM_BLOCKS)
        return NULL;
    if (!map[block] && fill_in) {
        pa_t p;
        if (frame_alloc(FRAME_ORDER_2M, FRAME_VM, s2->owner, &p))
            return NULL;
        memset(pa_to_hva(p), 0, MIB(2));
        show_images(s2, pa_to_hva(p), align_down(g, MIB(2)));
        map[block] = p.v;
    }
    return map[block] ? (uint8_t *)pa_to_hva(pa(map[block])) + (g & (MIB(2) - 1)) : NULL;
}

WEAK int guest_mem_write(struct stage2 *s2, gpa_t to, const void *from, size_t len)
{
    fake_mem_writes++;
    if (to.v + len > s2->ram[0].base.v + s2->ram[0].size)
        return -EFAULT;
    while (len) {
        size_t n = min_u64(len, MIB(2) - (to.v & (MIB(2) - 1)));
        uint8_t *p = at(s2, to.v, true);

        if (!p)
            return -ENOMEM;
        memcpy(p, from, n);
        from = (const uint8_t *)from + n;
        to = gpa_add(to, n);
        len -= n;
    }
    return 0;
}

WEAK int stage2_add_image(struct stage2 *s2, gpa_t g, const void *from, uint64_t size)
{
    s2->image[s2->image_count++] = (struct stage2_image){.base = g, .size = size, .from = from};
    return 0;
}

WEAK int guest_mem_read(struct stage2 *s2, gpa_t from, void *to, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t *p = at(s2, from.v + i, s2->image_count);
        ((uint8_t *)to)[i] = p ? *p : 0;
    }
    return 0;
}

void fake_guest_read(struct vm *vm, uint64_t g, void *to, size_t len)
{
    if (guest_mem_read(&vm->guest.s2, gpa(g), to, len))
        panic("guest memory cannot be read");
}

/* --- devices, disks, consoles --- */

struct fake_dev {
    struct vdev vdev;
    struct blk_backend *blk;
    struct net_backend *net;
};

static struct fake_dev *dev_of(struct vdev *d) { return CONTAINER_OF(d, struct fake_dev, vdev); }
static bool dev_busy(struct vdev *d) { return dev_of(d)->blk && fake_device_busy; }
static void dev_reset(struct vdev *d) { fake_reset_while_busy |= dev_busy(d); }
static void dev_destroy(struct vdev *d)
{
    fake_reset_while_busy |= dev_busy(d);
    if (dev_of(d)->blk)
        dev_of(d)->blk->close(dev_of(d)->blk->ctx);
    if (dev_of(d)->net)
        dev_of(d)->net->close(dev_of(d)->net->ctx);
    fake_parts--;
    free(dev_of(d));
}
static uint64_t dev_memory(struct vdev *d)
{
    (void)d;
    return heap_takes(sizeof(struct fake_dev));
}
static const struct vdev_ops dev_ops = {.type = "fake",
                                        .reset = dev_reset,
                                        .destroy = dev_destroy,
                                        .memory = dev_memory,
                                        .busy = dev_busy};

static struct vdev *dev_create(uint64_t size, struct blk_backend *blk)
{
    struct fake_dev *d;

    if (!may_create())
        return NULL;
    d = calloc(1, sizeof(*d));
    d->vdev.ops = &dev_ops;
    d->vdev.size = size;
    d->blk = blk;
    return &d->vdev;
}

WEAK struct vdev *vplic_create(unsigned contexts, void (*set)(void *, unsigned, bool), void *owner)
{
    if (contexts) {
        set(owner, 0, true);
        set(owner, contexts, true); /* one too far: must be harmless */
    }
    return dev_create(VPLIC_SIZE, NULL);
}
WEAK struct irq_line vplic_line(struct vdev *plic, uint32_t source)
{
    return (struct irq_line){.chip = plic, .source = source};
}
WEAK struct vdev *ns16550_create(struct chr_backend *chr)
{
    return chr ? dev_create(0x100, NULL) : NULL;
}
WEAK struct vdev *virtio_console_create(struct stage2 *mem, struct chr_backend *chr)
{
    return mem && chr ? dev_create(VIRTIO_MMIO_SIZE, NULL) : NULL;
}
WEAK struct vdev *virtio_net_create(struct stage2 *mem, struct net_backend *net)
{
    struct vdev *d = mem && net ? dev_create(VIRTIO_MMIO_SIZE, NULL) : NULL;

    if (d)
        dev_of(d)->net = net;
    return d;
}

struct port_config fake_last_port;
static void port_close(void *ctx)
{
    (void)ctx;
    fake_parts--;
}
WEAK int switch_open(const struct switch_config *config, const struct port_config *port,
                     struct net_backend **out, const char **why)
{
    static struct net_backend net = {.close = port_close};

    *why = "no port";
    if (!config->name[0] || !may_create())
        return -ENOSPC;
    fake_last_port = *port;
    *out = &net;
    return 0;
}
WEAK struct vdev *virtio_rng_create(struct stage2 *mem, struct entropy_backend *rng)
{
    return mem && rng ? dev_create(VIRTIO_MMIO_SIZE, NULL) : NULL;
}
WEAK struct vdev *virtio_blk_create(struct stage2 *mem, struct blk_backend *blk)
{
    return mem && blk ? dev_create(VIRTIO_MMIO_SIZE, blk) : NULL;
}

static bool disk_taken;
static unsigned flush_tries;
static struct blk_request *lost;
void fake_flush_ends(void) { lost->done(lost); }
static int disk_submit(void *ctx, struct blk_request *r)
{
    (void)ctx;
    if (r->op != BLK_FLUSH)
        panic("only flushes are expected");
    if (flush_tries++ == 0)
        return -EAGAIN;
    fake_flushes++;
    if (fake_flush_lost)
        lost = r;
    else
        r->done(r);
    return 0;
}
static void disk_close(void *ctx)
{
    (void)ctx;
    disk_taken = false;
    fake_parts--;
}
static struct blk_backend host_disk = {
    .submit = disk_submit, .close = disk_close, .can_flush = true, .serial = "host0"};

static uint64_t day_now(void *ctx)
{
    (void)ctx;
    return fake_time * 1000; /* timer_hz is 1 MHz */
}
bool fake_host_rtc;
const struct clock_backend *host_rtc(void)
{
    static const struct clock_backend day = {.now = day_now};

    return fake_host_rtc ? &day : NULL;
}

unsigned host_disk_count(void) { return fake_host_disks; }
struct blk_backend *host_disk_open(unsigned n, bool read_only)
{
    if (n >= fake_host_disks || disk_taken || !may_create())
        return NULL;
    disk_taken = true;
    host_disk.read_only = read_only;
    return &host_disk;
}

WEAK int disks_open(const char *name, bool read_only, struct blk_backend **out, char *why,
                    size_t why_size)
{
    *out = strcmp(name, "root") ? NULL : host_disk_open(0, read_only);
    if (!*out)
        fmt_snprintf(why, why_size, "no partition is called '%s'", name);
    return *out ? 0 : -ENOENT;
}

WEAK int disks_open_image(const char *name, bool read_only, struct blk_backend **out, char *why,
                          size_t why_size)
{
    return disks_open(name, read_only, out, why, why_size);
}

WEAK struct blk_backend *blk_limit_create(struct blk_backend *below, const struct blk_limit *limit)
{
    (void)limit;
    if (!may_create())
        return NULL;
    fake_parts--; /* it goes with the one below */
    return below;
}

struct console {
    struct chr_backend chr[2];
};
struct console *console_create(const char *name)
{
    (void)name;
    return may_create() ? calloc(1, sizeof(struct console)) : NULL;
}
uint64_t console_memory(void) { return heap_takes(sizeof(struct console)); }
void console_detach(struct console *c) { memset(c, 0, sizeof(*c)); }
void console_destroy(struct console *c)
{
    fake_parts--;
    free(c);
}
struct console *fake_focus;
void console_set_focus(struct console *c) { fake_focus = c; }
bool console_has_focus(const struct console *c) { return fake_focus == c; }
struct chr_backend *console_backend(struct console *c, unsigned n) { return &c->chr[n]; }
size_t console_write(struct console *c, const char *data, size_t len)
{
    (void)data;
    return c ? len : 0;
}
size_t console_read(struct console *c, char *to, size_t max)
{
    memset(to, 'c', c ? max : 0);
    return max;
}

/* --- the whole --- */

void fake_vm_start(uint64_t host_ram)
{
    fake_mem_start(host_ram);
    fake_park_delay = 3;
    fake_host_rtc = false;
    fake_device_busy = fake_host_disks = fake_flushes = fake_timers_set = flush_tries = 0;
    fake_park_never = fake_reset_while_busy = fake_flush_lost = disk_taken = false;
    fake_step = NULL;
    fake_steps = fake_mem_writes = 0;
    fake_creates_left = fake_heap_left = -1;
    fake_heap_blocks = 0;
    fake_parts = 0;
    fake_time = 5000000;
    stage2_modes = 1u << STAGE2_SV39X4;
    memset(fake_options, 0, sizeof(fake_options));
    memset(fake_log, 0, sizeof(fake_log));
    memset(&vcpu_features, 0, sizeof(vcpu_features));
    memset(maps, 0, sizeof(maps));
    memset(&platform, 0, sizeof(platform));
    platform.timebase_hz = timer_hz;
    strcpy(platform.mmu_type, "sv48");
}

void fake_vm_end(void)
{
    free(thread_stack);
    thread_stack = NULL;
    thread_there = false;
    fake_mem_release();
}
