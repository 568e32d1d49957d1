// SPDX-License-Identifier: BSD-2-Clause
// A small coverage-guided fuzzer for any gcc (-fsanitize-coverage=trace-pc,trace-cmp): the main of every
// fuzz target. Without options it is a test: it runs the corpus, then fuzz_runs mutations, always the
// same ones, and prints TAP.
//
//   fuzz_X [-t SECONDS] [-s SEED] [-n RUNS] [-k DIR] [-w DIR] [-m DIR] [FILE...]
//
//   -t  mutate for so long         -k  start from the inputs in DIR too, and keep new ones there
//   -s  another sequence           -w  only write the starting inputs to DIR (for libFuzzer)
//   -m  at the end, write the few inputs that reach most to DIR, as text for tests/fuzz/corpus/X
//   FILE: run these inputs only, say, one that failed
//
// An input that fails, or takes ten seconds, is written to build/fuzz/crash-X. Starting inputs: those of
// fuzz_seed, and tests/fuzz/corpus/X/*.hex (text: what failed once; reach-N: what -m chose after a long run).
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

enum { HITS = 1 << 16, CORPUS = 4096, WORDS = 256, TICK = 5 };

__attribute__((weak)) size_t fuzz_seed(unsigned n, uint8_t *to, size_t max)
{
    (void)n;
    (void)to;
    (void)max;
    return 0;
}

static const char *target; /* "virtio" of fuzz_virtio */
static uint8_t *input; /* what runs now */
static size_t input_len;
static bool running;
static uint64_t runs;
static const char *keep;

/* ---- coverage: edges, each with a coarse count ---- */

extern const char __executable_start;
static uint8_t hits[HITS], seen[HITS];
static uintptr_t last_pc;

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
    uintptr_t pc = (uintptr_t)__builtin_return_address(0) - (uintptr_t)&__executable_start;
    uintptr_t at = (pc * 0x9E3779B97F4A7C15u >> 40 ^ last_pc) & (HITS - 1);

    last_pc = pc * 0x9E3779B97F4A7C15u >> 41;
    if (hits[at] != 255)
        hits[at]++;
}

/* A bit for each of 1, 2, 3, 4-7, 8-15, 16-31, 32-127, more. */
static uint8_t bucket(uint8_t n)
{
    return n < 4     ? (uint8_t)(1u << n >> 1)
           : n < 8   ? 8
           : n < 16  ? 16
           : n < 32  ? 32
           : n < 128 ? 64
                     : 128;
}

static unsigned new_coverage(void)
{
    unsigned found = 0;

    for (unsigned i = 0; i < HITS; i += 8) {
        uint64_t any;

        memcpy(&any, hits + i, 8);
        if (!any)
            continue;
        for (unsigned k = i; k < i + 8; k++) {
            uint8_t b = bucket(hits[k]);

            found += (b & ~seen[k]) != 0;
            seen[k] |= b;
        }
    }
    return found;
}

/* ---- operands of comparisons, to be tried as input ---- */

static struct {
    uint64_t v;
    uint8_t len;
} words[WORDS];
static unsigned word_count;

static void note(uint64_t v, uint8_t len)
{
    if (v > 1 && v != ~0ull) {
        words[word_count % WORDS].v = v;
        words[word_count++ % WORDS].len = len;
    }
}

#define TRACE(bytes, type) \
    void __sanitizer_cov_trace_cmp##bytes(type a, type b); \
    void __sanitizer_cov_trace_cmp##bytes(type a, type b) \
    { \
        if (a != b && (runs & 15) == 0) { \
            note(a, bytes); \
            note(b, bytes); \
        } \
    } \
    void __sanitizer_cov_trace_const_cmp##bytes(type a, type b); \
    void __sanitizer_cov_trace_const_cmp##bytes(type a, type b) \
    { \
        if (a != b) \
            note(a, bytes); \
    }
TRACE(1, uint8_t)
TRACE(2, uint16_t)
TRACE(4, uint32_t)
TRACE(8, uint64_t)
void __sanitizer_cov_trace_switch(uint64_t v, const uint64_t *cases);
void __sanitizer_cov_trace_switch(uint64_t v, const uint64_t *cases)
{
    if (cases[0])
        note(cases[2 + runs % cases[0]], (uint8_t)(cases[1] / 8));
    (void)v;
}

/* ---- the corpus ---- */

static struct item {
    uint8_t *data;
    size_t len;
} corpus[CORPUS];
static unsigned corpus_count;

static void write_file(const char *dir, const char *name, const uint8_t *data, size_t len)
{
    char path[512];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, data, len) != (ssize_t)len)
        perror(path);
    if (fd >= 0)
        close(fd);
}

static void corpus_add(const uint8_t *data, size_t len)
{
    struct item *it;
    char name[32];
    uint64_t h = 0xcbf29ce484222325u;

    if (corpus_count == CORPUS)
        return;
    it = &corpus[corpus_count++];
    it->data = malloc(len + 1);
    memcpy(it->data, data, len);
    it->len = len;
    for (size_t i = 0; i < len; i++)
        h = (h ^ data[i]) * 0x100000001b3u;
    snprintf(name, sizeof(name), "%016lx", (unsigned long)h);
    if (keep)
        write_file(keep, name, data, len);
}

/* ---- failures ---- */

static void save_failure(void)
{
    char name[64];

    if (!running)
        return;
    running = false;
    snprintf(name, sizeof(name), "crash-%s", target);
    mkdir("build/fuzz", 0755);
    write_file("build/fuzz", name, input, input_len);
    fprintf(stderr, "fuzz_%s: run %lu failed; its input: build/fuzz/%s\n", target,
            (unsigned long)runs, name);
}

/* Blocks come and go by the million here. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "quarantine_size_mb=16:malloc_context_size=8"; }
/* It has a runtime of its own, whose death calls nobody back. */
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void) { return "abort_on_error=1:print_stacktrace=1"; }
void __sanitizer_set_death_callback(void (*call)(void)) __attribute__((weak));

static void on_signal(int number)
{
    static uint64_t at;
    static bool once;

    if (number == SIGALRM && (runs != at || !running || !once)) {
        once = runs == at; /* twice TICK seconds in the same run */
        at = runs;
        return;
    }
    if (number == SIGALRM)
        fprintf(stderr, "fuzz_%s: one run takes more than %d seconds\n", target, TICK);
    save_failure();
    signal(SIGABRT, SIG_DFL);
    abort();
}

/* ---- running ---- */

/* Runs a copy of its exact size, so that ASan sees a read past its end. */
static unsigned run(const uint8_t *data, size_t len)
{
    input = malloc(len + !len);
    memcpy(input, data, len);
    input_len = len;
    memset(hits, 0, sizeof(hits));
    last_pc = 0;
    running = true;
    LLVMFuzzerTestOneInput(input, len);
    running = false;
    runs++;
    free(input);
    return new_coverage();
}

static uint8_t *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(fuzz_max + 1);

    if (!f) {
        perror(path);
        exit(2);
    }
    *len = fread(data, 1, fuzz_max, f);
    fclose(f);
    return data;
}

/* Text: hexadecimal digits, blanks, and comments from # to the end of the line. */
static size_t from_hex(uint8_t *data, size_t len)
{
    size_t n = 0;
    unsigned digits = 0, v = 0;

    for (size_t i = 0; i < len; i++) {
        int c = data[i];

        if (c == '#')
            while (i < len && data[i] != '\n')
                i++;
        else if (c > ' ') {
            v = v << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
            if (++digits % 2 == 0)
                data[n++] = (uint8_t)v;
        }
    }
    return n;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_dir(const char *dir, bool hex)
{
    struct dirent **list;
    int n = scandir(dir, &list, NULL, by_name);

    for (int i = 0; i < n; i++) {
        char path[512];
        size_t len;
        uint8_t *data;

        if (list[i]->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
            data = read_file(path, &len);
            corpus_add(data, hex ? from_hex(data, len) : len);
            free(data);
        }
        free(list[i]);
    }
    if (n >= 0)
        free(list);
}

static void read_corpus(void)
{
    uint8_t *seed = malloc(fuzz_max);
    char dir[128];
    size_t len;

    corpus_add((const uint8_t *)"", 0);
    for (unsigned n = 0; (len = fuzz_seed(n, seed, fuzz_max)) > 0; n++)
        corpus_add(seed, len);
    free(seed);
    snprintf(dir, sizeof(dir), "tests/fuzz/corpus/%s", target);
    read_dir(dir, true);
}

/* ---- mutation ---- */

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545F4914F6CDD1Du >> 8;
}
static size_t below(size_t n) { return n ? next_random() % n : 0; }

static void put_word(uint8_t *to, uint64_t v, size_t len, bool big)
{
    for (size_t i = 0; i < len; i++)
        to[big ? len - 1 - i : i] = (uint8_t)(v >> 8 * i);
}

static size_t insert(uint8_t *d, size_t len, size_t at, const uint8_t *what, size_t n)
{
    if (n > fuzz_max - len)
        n = fuzz_max - len;
    memmove(d + at + n, d + at, len - at);
    if (what)
        memmove(d + at, what, n);
    else
        for (size_t i = 0; i < n; i++)
            d[at + i] = (uint8_t)next_random();
    return len + n;
}

static size_t mutate(uint8_t *d, size_t len)
{
    static const uint64_t odd[] = {
        0,          1,           2,         4,          7,          8,
        15,         16,          32,        64,         127,        128,
        255,        256,         511,       512,        4095,       4096,
        0x7fff,     0x8000,      0xffff,    0x200000,   0x7fffffff, 0x80000000,
        0xffffffff, 0x100000000, INT64_MAX, 1ull << 63, UINT64_MAX, UINT64_MAX - 4095};
    size_t at = below(len + 1), room = len - at, n = 1ull << below(4);
    const struct item *other = &corpus[below(corpus_count)];
    uint8_t piece[64];
    uint64_t v;

    switch (below(12)) {
    case 0:
        if (room)
            d[at] ^= (uint8_t)(1u << below(8));
        break;
    case 1:
        if (room)
            d[at] = (uint8_t)next_random();
        break;
    case 2:
        if (n <= room)
            put_word(d + at, odd[below(sizeof(odd) / sizeof(odd[0]))], n, below(2));
        break;
    case 3:
        if (n <= room) {
            bool big = below(2);

            v = 0;
            for (size_t i = 0; i < n; i++)
                v |= (uint64_t)d[at + (big ? n - 1 - i : i)] << 8 * i;
            put_word(d + at, v + below(65) - 32, n, big);
        }
        break;
    case 4: /* take out */
        n = below(room < 32 ? room + 1 : 32);
        memmove(d + at, d + at + n, room - n);
        return len - n;
    case 5:
        return insert(d, len, at, NULL, 1 + below(16));
    case 6: /* repeat */
        n = 1 + below(sizeof(piece) - 1);
        n = n < room ? n : room;
        memcpy(piece, d + at, n);
        return insert(d, len, below(len + 1), piece, n);
    case 7: /* a piece of another, over or between */
        n = below(other->len + 1);
        v = below(other->len - n + 1);
        if (below(2))
            return insert(d, len, at, other->data + v, n);
        n = n < room ? n : room;
        memcpy(d + at, other->data + v, n);
        break;
    case 8:
    case 9:
    case 10: /* what the code compared with */
        if (word_count) {
            size_t w = below(word_count < WORDS ? word_count : WORDS);

            put_word(piece, words[w].v + below(3) - 1, words[w].len, below(2));
            if (below(4) == 0)
                return insert(d, len, at, piece, words[w].len);
            if (words[w].len <= room)
                memcpy(d + at, piece, words[w].len);
        }
        break;
    case 11: /* end with another's end */
        n = below(other->len + 1);
        n = n < fuzz_max - at ? n : fuzz_max - at;
        memcpy(d + at, other->data + other->len - n, n);
        return at + n;
    }
    return len;
}

static void fuzz_one(uint8_t *d)
{
    /* Half of the time one of the newest. */
    unsigned pick = (unsigned)below(corpus_count);
    size_t len;

    if (below(2) && corpus_count > 16)
        pick = corpus_count - 1 - (unsigned)below(16);
    len = corpus[pick].len;
    memcpy(d, corpus[pick].data, len);
    for (size_t n = 1ull << below(5); n; n--)
        len = mutate(d, len);
    if (run(d, len))
        corpus_add(d, len);
}

static unsigned features(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < HITS; i++)
        n += (unsigned)__builtin_popcount(seen[i]);
    return n;
}

/* ---- a small corpus that reaches most of what a large one does ---- */

enum { KEPT = 12, KEPT_BYTES = 1024 };

static void write_hex(const char *dir, unsigned n, const struct item *it)
{
    char *text = malloc(it->len * 3 + 64), name[32];
    size_t len = (size_t)sprintf(text, "# one of a few inputs that reach most (-m)\n");

    for (size_t i = 0; i < it->len; i++)
        len += (size_t)sprintf(text + len, i % 40 == 39 ? "%02x\n" : "%02x", it->data[i]);
    text[len++] = '\n';
    snprintf(name, sizeof(name), "reach-%u.hex", n);
    write_file(dir, name, (const uint8_t *)text, len);
    free(text);
}

/* What item n adds to what has been seen, which is then as before. */
static unsigned adds(unsigned n)
{
    static uint8_t before[HITS];
    unsigned found;

    memcpy(before, seen, HITS);
    found = run(corpus[n].data, corpus[n].len);
    memcpy(seen, before, HITS);
    return found;
}

/* Always the one that adds most, beyond what the seeds of the code reach. */
static void minimise(const char *dir, unsigned starting)
{
    memset(seen, 0, HITS);
    for (unsigned i = 0; i < starting; i++)
        run(corpus[i].data, corpus[i].len);
    for (unsigned kept = 1; kept <= KEPT; kept++) {
        unsigned best = 0, most = 0;

        for (unsigned i = starting; i < corpus_count; i++) {
            unsigned found = corpus[i].len <= KEPT_BYTES ? adds(i) : 0;

            if (found > most) {
                most = found;
                best = i;
            }
        }
        if (!most)
            return;
        run(corpus[best].data, corpus[best].len);
        write_hex(dir, kept, &corpus[best]);
    }
}

static void start(const char *program)
{
    struct itimerval tick = {{TICK, 0}, {TICK, 0}};
    const char *slash = strrchr(program, '/');

    target = slash ? slash + 1 : program;
    if (!strncmp(target, "fuzz_", 5))
        target += 5;
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    signal(SIGABRT, on_signal);
    signal(SIGALRM, on_signal);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(save_failure);
    setitimer(ITIMER_REAL, &tick, NULL);
}

int main(int argc, char *argv[])
{
    const char *write_to = NULL, *minimise_to = NULL;
    uint64_t limit = fuzz_runs;
    time_t end = 0;
    unsigned starting;
    uint8_t *d;
    int option;

    start(argv[0]);
    while ((option = getopt(argc, argv, "t:s:n:k:w:m:")) != -1) {
        if (option == 't') {
            end = time(NULL) + atoi(optarg);
            limit = UINT64_MAX;
        } else if (option == 's') {
            random_state ^= strtoull(optarg, NULL, 0) * 0x9E3779B97F4A7C15u;
        } else if (option == 'n') {
            limit = strtoull(optarg, NULL, 0);
        } else if (option == 'k') {
            keep = optarg;
        } else if (option == 'w') {
            write_to = optarg;
        } else if (option == 'm') {
            minimise_to = optarg;
        } else {
            return 2;
        }
    }
    for (int i = optind; i < argc; i++) {
        size_t len;
        uint8_t *data = read_file(argv[i], &len);

        run(data, len);
        printf("%s: good\n", argv[i]);
        free(data);
    }
    if (optind < argc)
        return 0;
    if (write_to)
        keep = write_to;
    read_corpus();
    if (write_to)
        return 0;
    if (keep)
        read_dir(keep, false);
    starting = corpus_count;
    for (unsigned i = 0; i < starting; i++)
        run(corpus[i].data, corpus[i].len);
    printf("ok 1 - fuzz_%s: %u starting inputs, %u features\n", target, starting, features());
    d = malloc(fuzz_max + 64);
    for (uint64_t n = 0; n < limit && (!end || (n & 63) || time(NULL) < end); n++)
        fuzz_one(d);
    printf("ok 2 - fuzz_%s: %lu runs, %u features, %u inputs\n1..2\n", target, (unsigned long)runs,
           features(), corpus_count);
    free(d);
    if (minimise_to)
        minimise(minimise_to, starting);
    return 0;
}
