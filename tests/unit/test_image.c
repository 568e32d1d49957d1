// SPDX-License-Identifier: BSD-2-Clause
// An image as a block backend, with real threads of this machine: several guests that have many requests in flight each, the image's
// worker, and a file that ends its requests in any order, in submit or later, and is sometimes full. qemu-img has the last word.
// units: hyp/blk/image*.c hyp/blk/qcow2*.c hyp/blk/meta_cache.c hyp/blk/blk_io.c tests/fake/fake_threads.c tests/fake/fake_disk.c tests/fake/fake_base.c
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arch.h"
#include "blk/blk_io.h"
#include "blk/image.h"
#include "blk/qcow2_create.h"
#include "fake_disk.h"
#include "fake_threads.h"
#include "mem/frame.h"
#include "mem/heap.h"
#include "sched/thread.h"

/* ---- memory, from any thread ---- */

static atomic_int blocks;

void *heap_alloc(size_t size)
{
    void *p = calloc(1, size);

    atomic_fetch_add(&blocks, p != NULL);
    return p;
}
void heap_free(void *p)
{
    atomic_fetch_sub(&blocks, p != NULL);
    free(p);
}
void *frame_alloc_page(void) { return heap_alloc(PAGE_SIZE); }
void frame_free_page(void *p) { heap_free(p); }

/* ---- files ---- */

enum {
    FILE_SIZE = 24 << 20,
    DISK = 8 << 20,
    GUESTS = 3,
    SLICE = DISK / GUESTS / 65536 * 65536 + 4096,
    FLIGHT = 5
};

/* A fake disk, whose requests wait for another thread. */
struct slow_file {
    struct blk_backend blk;
    struct fake_disk disk;
    pthread_mutex_t lock;
    struct blk_request *waiting[16];
    unsigned count, turn;
    bool never_later;
    unsigned opened;
};
static struct slow_file files[2]; /* "top", "base" */
static atomic_bool device_stops;
static struct thread device_thread, main_thread;

static int slow_submit(void *ctx, struct blk_request *r)
{
    struct slow_file *f = ctx;
    int taken = 0;

    pthread_mutex_lock(&f->lock);
    f->turn++;
    if (f->never_later || f->turn % 3 == 0) {
        assert_int_equal(f->disk.blk.submit(&f->disk, r), 0);
        taken = 1;
    } else if (f->count == ARRAY_LEN(f->waiting) || f->turn % 31 == 0) {
        taken = -EAGAIN;
    } else {
        f->waiting[f->count++] = r;
    }
    pthread_mutex_unlock(&f->lock);
    return taken < 0 ? taken : 0;
}

static int slow_grow(void *ctx, struct blk_growth *g)
{
    struct slow_file *f = ctx;
    int error;

    pthread_mutex_lock(&f->lock);
    error = fake_disk_grow(&f->disk, g);
    f->blk.sectors = f->disk.blk.sectors;
    pthread_mutex_unlock(&f->lock);
    return error;
}

static void slow_close(void *ctx) { ((struct slow_file *)ctx)->opened--; }

static struct blk_request *take_one(struct slow_file *f)
{
    struct blk_request *r = NULL;

    pthread_mutex_lock(&f->lock);
    if (f->count) {
        unsigned i = f->turn++ % f->count;

        r = f->waiting[i];
        f->waiting[i] = f->waiting[--f->count];
    }
    pthread_mutex_unlock(&f->lock);
    return r;
}

static void nothing(struct blk_request *r) { (void)r; }

static void *device_main(void *arg)
{
    (void)arg;
    fake_thread_enter(&device_thread);
    while (!atomic_load(&device_stops)) {
        bool any = false;

        for (unsigned i = 0; i < ARRAY_LEN(files); i++) {
            struct blk_request *r = take_one(&files[i]), copy;

            if (!r)
                continue;
            any = true;
            copy = *r;
            copy.done = nothing;
            pthread_mutex_lock(&files[i].lock);
            files[i].disk.blk.submit(&files[i].disk, &copy);
            pthread_mutex_unlock(&files[i].lock);
            r->result = copy.result;
            r->done(r);
        }
        if (!any)
            sched_yield();
    }
    fake_thread_leave();
    return NULL;
}

static int open_file(void *ctx, const char *name, bool read_only, struct blk_backend **out,
                     char *why, size_t why_size)
{
    unsigned i = !strcmp(name, "top") ? 0 : !strcmp(name, "base") ? 1 : 2;

    (void)ctx;
    if (i == 2 || files[i].opened) {
        snprintf(why, why_size, "no partition is called '%s', or it is in use", name);
        return i == 2 ? -ENOENT : -EBUSY;
    }
    files[i].opened++;
    files[i].blk.read_only = read_only;
    *out = &files[i].blk;
    return 0;
}

static pthread_t device_id;
static char dir[64], why[200];

static void file_path(char *to, size_t size, const char *name)
{
    snprintf(to, size, "%s/%s", dir, name);
}

static int setup(void **state)
{
    char path[80];

    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/trapline-image-XXXXXX");
    assert_non_null(mkdtemp(dir));
    atomic_store(&device_stops, false);
    for (unsigned i = 0; i < ARRAY_LEN(files); i++) {
        struct slow_file *f = &files[i];

        memset(f, 0, sizeof(*f));
        fake_disk_init(&f->disk, FILE_SIZE);
        memset(f->disk.data, 0xaa, FILE_SIZE);
        pthread_mutex_init(&f->lock, NULL);
        f->blk = f->disk.blk;
        f->blk.submit = slow_submit;
        f->blk.close = slow_close;
        f->blk.grow = slow_grow;
        f->blk.ctx = f;
    }
    fake_thread_enter(&main_thread);
    assert_int_equal(
        fake_disk_run("cd %s && qemu-img create -q -f qcow2 base %d && qemu-io -f qcow2 "
                      "-c 'write -q -P 0x77 0 3M' -c 'write -q -P 0x78 5M 1M' base >log && "
                      "qemu-img convert -c -f qcow2 -O qcow2 base packed && mv packed base",
                      dir, DISK),
        0);
    file_path(path, sizeof(path), "base");
    fake_disk_load(&files[1].disk, path);
    assert_int_equal(pthread_create(&device_id, NULL, device_main, NULL), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    atomic_store(&device_stops, true);
    pthread_join(device_id, NULL);
    fake_thread_leave();
    for (unsigned i = 0; i < ARRAY_LEN(files); i++) {
        assert_int_equal(files[i].opened, 0);
        fake_disk_free(&files[i].disk);
    }
    fake_disk_run("rm -rf %s", dir);
    assert_int_equal(atomic_load(&blocks), 0);
    return 0;
}

/* ---- guests ---- */

struct guest;
struct in_flight {
    struct blk_request r;
    struct blk_segment seg[4];
    struct guest *guest;
    uint8_t data[40 * 512];
    atomic_bool busy;
};
struct guest {
    struct blk_backend *disk;
    pthread_t id;
    uint64_t start;
    uint8_t *model; /* SLICE bytes */
    uint32_t seed;
    struct in_flight flight[FLIGHT];
};
static struct guest guests[GUESTS];

static uint32_t roll(struct guest *g, uint32_t n)
{
    g->seed = g->seed * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)(g->seed >> 8) * n) >> 24);
}

static void done(struct blk_request *r)
{
    struct in_flight *f = r->owner;

    if (r->result)
        abort();
    if (r->op == BLK_READ &&
        memcmp(f->data, f->guest->model + (r->sector * 512 - f->guest->start), r->sectors * 512))
        abort(); /* not what was written last */
    atomic_store(&f->busy, false);
}

static bool overlaps(const struct guest *g, uint64_t at, uint64_t len)
{
    for (unsigned i = 0; i < FLIGHT; i++) {
        const struct blk_request *r = &g->flight[i].r;

        if (atomic_load(&g->flight[i].busy) && at < (r->sector + r->sectors) * 512 &&
            r->sector * 512 < at + len)
            return true;
    }
    return false;
}

static void cut_into_segments(struct guest *g, struct in_flight *f, uint64_t len)
{
    uint64_t at = 0;

    f->r.seg = f->seg;
    for (f->r.seg_count = 0; at < len; f->r.seg_count++) {
        uint64_t n = f->r.seg_count == 3 ? len - at : min_u64(len - at, 100 + roll(g, 9000));

        f->seg[f->r.seg_count] = (struct blk_segment){f->data + at, (uint32_t)n};
        at += n;
    }
}

static void begin(struct guest *g, struct in_flight *f)
{
    static const enum blk_op ops[] = {BLK_READ,    BLK_READ,        BLK_READ,  BLK_WRITE,
                                      BLK_WRITE,   BLK_WRITE,       BLK_WRITE, BLK_FLUSH,
                                      BLK_DISCARD, BLK_WRITE_ZEROES};
    enum blk_op op = ops[roll(g, ARRAY_LEN(ops))];
    uint64_t len = (1 + roll(g, roll(g, 2) ? 40 : 8)) * 512ul,
             at = roll(g, (SLICE - (uint32_t)len) / 512) * 512ul;

    if (op == BLK_DISCARD) { /* a hint: only whole clusters are sure to read as zeros */
        at = align_up(g->start + at, 65536) - g->start;
        len = 65536;
        if (at + len > SLICE)
            return;
    }
    if (op != BLK_FLUSH && overlaps(g, g->start + at, len))
        return;
    f->r = (struct blk_request){.op = op,
                                .sector = (g->start + at) / 512,
                                .sectors = len / 512,
                                .done = done,
                                .owner = f,
                                .unmap = roll(g, 2)};
    if (op == BLK_READ || op == BLK_WRITE)
        cut_into_segments(g, f, len);
    if (op == BLK_FLUSH)
        f->r.sectors = f->r.sector = 0;
    for (uint64_t i = 0; op == BLK_WRITE && i < len; i++)
        f->data[i] = (uint8_t)(g->seed >> (i % 24));
    if (op == BLK_WRITE)
        memcpy(g->model + at, f->data, len);
    else if (op == BLK_DISCARD || op == BLK_WRITE_ZEROES)
        memset(g->model + at, 0, len);
    atomic_store(&f->busy, true);
    while (g->disk->submit(g->disk->ctx, &f->r) == -EAGAIN)
        sched_yield();
}

static void *guest_main(void *arg)
{
    struct guest *g = arg;
    struct thread t = {.fn = NULL};

    fake_thread_enter(&t);
    for (unsigned n = 0; n < 1200; n++) {
        struct in_flight *f = &g->flight[roll(g, FLIGHT)];

        while (atomic_load(&f->busy))
            sched_yield();
        begin(g, f);
    }
    for (unsigned i = 0; i < FLIGHT; i++)
        while (atomic_load(&g->flight[i].busy))
            sched_yield();
    fake_thread_leave();
    return NULL;
}

static void check_with_qemu(const uint8_t *model)
{
    char path[80];
    uint8_t *got = malloc(DISK);
    FILE *f;

    file_path(path, sizeof(path), "top");
    fake_disk_save(&files[0].disk, path);
    assert_int_equal(fake_disk_run("cd %s && qemu-img check -q top >log 2>&1 && "
                                   "qemu-img convert -f qcow2 -O raw top raw >log 2>&1",
                                   dir),
                     0);
    file_path(path, sizeof(path), "raw");
    f = fopen(path, "rb");
    assert_int_equal(fread(got, 1, DISK, f), DISK);
    fclose(f);
    for (unsigned i = 0; i < DISK; i += 512)
        if (memcmp(got + i, model + i, 512))
            fail_msg("sector %u is not what was written", i / 512);
    free(got);
}

static struct blk_backend *open_top(void)
{
    struct blk_backend *b = NULL;

    if (image_open("top", false, open_file, NULL, &b, why, sizeof(why)))
        fail_msg("%s", why);
    return b;
}

static void make_top(const char *backing, const char *format)
{
    struct qcow2_new n = {DISK, backing, format};

    files[0].never_later = true;
    assert_int_equal(qcow2_create(&files[0].blk, &n), 0);
    files[0].never_later = false;
}

static void start_guest(struct guest *g, struct blk_backend *disk, unsigned seed, uint8_t *model)
{
    memset(g, 0, sizeof(*g));
    g->disk = disk;
    g->seed = 17 * seed;
    g->start = (g - guests) * SLICE;
    g->model = model + g->start;
    for (unsigned k = 0; k < FLIGHT; k++)
        g->flight[k].guest = g;
    assert_int_equal(pthread_create(&g->id, NULL, guest_main, g), 0);
}

static void guests_at_work(void **state)
{
    uint8_t *model = calloc(1, DISK);

    (void)state;
    memset(model, 0x77, 3 << 20);
    memset(model + (5 << 20), 0x78, 1 << 20);
    make_top("base", "qcow2");
    for (unsigned round = 0; round < 2; round++) {
        struct blk_backend *disk = open_top();

        assert_int_equal(disk->sectors, DISK / 512);
        assert_string_equal(disk->serial, "top");
        for (unsigned i = 0; i < GUESTS; i++)
            start_guest(&guests[i], disk, i + GUESTS * round, model);
        for (unsigned i = 0; i < GUESTS; i++)
            pthread_join(guests[i].id, NULL);
        disk->close(disk->ctx);
        check_with_qemu(model);
    }
    free(model);
}

static void wait_for(struct blk_backend *disk, struct in_flight *f)
{
    atomic_store(&f->busy, true);
    f->r.owner = f;
    assert_int_equal(disk->submit(disk->ctx, &f->r), 0);
    while (atomic_load(&f->busy))
        sched_yield();
}

static void note_end(struct blk_request *r)
{
    struct in_flight *f = r->owner;

    atomic_store(&f->busy, false);
}

static int one(struct blk_backend *disk, enum blk_op op, uint64_t sector, uint64_t sectors)
{
    static struct in_flight f;

    f.seg[0] = (struct blk_segment){f.data, (uint32_t)(sectors * 512)};
    f.r = (struct blk_request){.op = op,
                               .sector = sector,
                               .sectors = sectors,
                               .seg = f.seg,
                               .seg_count = 1,
                               .done = note_end};
    wait_for(disk, &f);
    return f.r.result;
}

/* Made larger many times, its file too, while three guests use what there was: they notice nothing, and all of it can be used. */
static void grows_while_used(void **state)
{
    uint8_t *model = calloc(1, DISK);
    struct blk_backend *disk;
    struct blk_growth g;
    enum { STEPS = 16, ROOM = (12 << 20) / 512 };

    (void)state;
    memset(model, 0x77, 3 << 20);
    memset(model + (5 << 20), 0x78, 1 << 20);
    files[0].blk.sectors = files[0].disk.blk.sectors = ROOM;
    make_top("base", "qcow2");
    disk = open_top();
    for (unsigned i = 0; i < GUESTS; i++)
        start_guest(&guests[i], disk, i, model);
    for (unsigned step = 1; step <= STEPS; step++) {
        bool check = step == 7;

        g.sectors = disk->sectors * 2;
        g.room = ROOM + step * ((FILE_SIZE / 512 - ROOM) / STEPS);
        g.only_check = check;
        assert_int_equal(disk->grow(disk->ctx, &g), 0);
        assert_int_equal(disk->sectors, check ? g.sectors / 2 : g.sectors);
    }
    assert_int_equal(disk->sectors, (DISK / 512ul) << (STEPS - 1));
    g.sectors--;
    assert_int_equal(disk->grow(disk->ctx, &g), -EINVAL);
    assert_non_null(strstr(g.why, "only be made larger"));
    for (unsigned i = 0; i < GUESTS; i++)
        pthread_join(guests[i].id, NULL);
    for (uint64_t at = 0; at < disk->sectors;
         at += disk->sectors / 1500) /* each in another table */
        assert_int_equal(one(disk, BLK_READ, at, 8), 0);
    assert_in_range(disk->memory(disk->ctx), 128 << 10, 2 << 20);
    assert_int_equal(one(disk, BLK_WRITE, disk->sectors - 8, 8), 0);
    assert_int_equal(one(disk, BLK_READ, disk->sectors - 8, 8), 0);
    assert_int_equal(one(disk, BLK_READ, disk->sectors - 8, 9), -EIO);
    disk->close(disk->ctx);
    check_with_qemu(model);
    free(model);
}

static void errors(void **state)
{
    struct blk_backend *disk;

    (void)state;
    make_top("", "");
    disk = open_top();
    assert_int_equal(one(disk, BLK_WRITE, 0, 8), 0);
    assert_int_equal(one(disk, BLK_READ, DISK / 512 - 1, 2), -EIO);
    assert_int_equal(one(disk, BLK_WRITE, UINT64_MAX, 2), -EIO);
    assert_int_equal(one(disk, BLK_READ, 0, 0), -EIO);
    files[0].disk.failing = true;
    assert_int_equal(one(disk, BLK_READ, 0, 8), -EIO);
    assert_int_equal(one(disk, BLK_WRITE, 8000, 8), -EIO);
    assert_int_equal(one(disk, BLK_FLUSH, 0, 0), -EIO);
    files[0].disk.failing = false;
    assert_int_equal(one(disk, BLK_FLUSH, 0, 0), 0);
    disk->close(disk->ctx);
    assert_int_equal(image_open("top", true, open_file, NULL, &disk, why, sizeof(why)), 0);
    assert_true(disk->read_only && !disk->can_discard);
    assert_int_equal(one(disk, BLK_WRITE, 0, 8), -EACCES);
    assert_int_equal(one(disk, BLK_READ, 0, 8), 0);
    disk->close(disk->ctx);
    /* What is behind it is missing, not known, or it itself. */
    make_top("nothing", "raw");
    assert_int_equal(image_open("top", false, open_file, NULL, &disk, why, sizeof(why)), -ENOENT);
    assert_non_null(strstr(why, "'nothing'"));
    make_top("base", "vmdk");
    assert_int_equal(image_open("top", false, open_file, NULL, &disk, why, sizeof(why)), -EINVAL);
    assert_non_null(strstr(why, "vmdk"));
    make_top("top", "qcow2");
    assert_int_equal(image_open("top", false, open_file, NULL, &disk, why, sizeof(why)), -EBUSY);
    memset(files[0].disk.data, 0, 512);
    assert_int_equal(image_open("top", false, open_file, NULL, &disk, why, sizeof(why)), -EINVAL);
    assert_non_null(strstr(why, "no qcow2 image"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(guests_at_work, setup, teardown),
        cmocka_unit_test_setup_teardown(grows_while_used, setup, teardown),
        cmocka_unit_test_setup_teardown(errors, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
