// SPDX-License-Identifier: BSD-2-Clause
// The fast half of decode_vs_objdump.py, so that 10^8 encodings are a matter of minutes. Host only.
//
//   decode_compare words SEED COUNT               32-bit words to standard output, little endian
//   decode_compare compare OURS VECTOR TOO_NEW    reads objdump's lines, those of the 4096 words of csr_key first
//
// OURS, VECTOR: extended regular expressions of the mnemonics that the decoder names, and of vector loads and
// stores. TOO_NEW: extensions that this objdump lacks, among zcb, zacas, zabha. Prints differences, then counts.
#include <inttypes.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vcpu/insn.h"

enum { CSRS = 4096, NAME = 48, TEXT = 96, MNEMONICS = 16384, SHOWN = 20 };

static bool is_compressed(uint32_t raw) { return (raw & 3) != 3; }
static uint32_t csr_key(unsigned csr) { return csr << 20 | 0x2073; } /* csrrs zero, csr, zero */

/* ---- words ---- */

static uint64_t state;

static uint32_t random_word(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)(state * 0x2545F4914F6CDD1Du >> 32);
}

/* Random ones of the majors that are decoded, some with most fields zero (privileged instructions are points in a
 * large space), and some of any opcode. */
static uint32_t interesting(uint64_t n)
{
    static const uint8_t majors[] = {0x03, 0x07, 0x0f, 0x23, 0x27, 0x2f, 0x73};
    uint32_t w = random_word(), how = n % 16, pick = random_word();

    w = how ? (w & ~0x7fu) | majors[n % sizeof(majors)] : w | 3;
    if (how == 1 || how == 2 || how == 3)
        w &= ~0xf80u; /* rd = 0 */
    if (how == 2 || how == 3)
        w &= ~0x01f00000u | (pick & 3) << 20;
    if (how >= 3 && how <= 5)
        w &= ~0x7000u | (pick >> 2 & 4) << 12 | (pick >> 3 & 2) << 12;
    if (how == 3)
        w &= ~0x000f8000u;
    return w;
}

static int write_words(uint64_t seed, uint64_t count)
{
    state = seed * 0x9E3779B97F4A7C15u | 1;
    for (uint64_t n = 0; n < count;) {
        uint32_t w = interesting(random_word());

        if ((w & 0x1f) == 0x1f) /* longer than 32 bits: not objdump's business here */
            continue;
        fwrite(&w, sizeof(w), 1, stdout);
        n++;
    }
    return fflush(stdout) ? 1 : 0;
}

/* ---- objdump's text ---- */

static char csr_name[CSRS][NAME];

enum meaning { MEANS_OTHER, MEANS_OURS, MEANS_VECTOR };
static struct {
    char name[NAME];
    enum meaning meaning;
} mnemonics[MNEMONICS]; /* by hash: each distinct one is matched once */
static regex_t ours, vector;

static void compile(regex_t *re, const char *text)
{
    if (regcomp(re, text, REG_EXTENDED | REG_NOSUB)) {
        fprintf(stderr, "not a regular expression: %s\n", text);
        exit(2);
    }
}

static enum meaning classify(const char *mnemonic)
{
    uint32_t h = 2166136261u;

    for (const char *s = mnemonic; *s; s++)
        h = (h ^ (uint8_t)*s) * 16777619u;
    for (;; h++) {
        unsigned at = h % MNEMONICS;

        if (!strcmp(mnemonics[at].name, mnemonic))
            return mnemonics[at].meaning;
        if (mnemonics[at].name[0])
            continue;
        snprintf(mnemonics[at].name, NAME, "%s", mnemonic);
        mnemonics[at].meaning = !regexec(&vector, mnemonic, 0, NULL, 0) ? MEANS_VECTOR
                                : !strcmp(mnemonic, "sfence.vm") ? MEANS_OTHER /* gone since 1.10 */
                                : !regexec(&ours, mnemonic, 0, NULL, 0) ? MEANS_OURS
                                                                        : MEANS_OTHER;
        return mnemonics[at].meaning;
    }
}

static int csr_number(const char *name)
{
    for (int n = 0; n < CSRS; n++)
        if (!strcmp(csr_name[n], name))
            return n;
    return -1;
}

/* "op rd,name,src" to "op rd,0xnnn,src". The word says the number too; the name has to lead to it by itself. */
static void csr_to_number(char *text, uint32_t raw)
{
    char *name = strchr(text, ','), *end = name ? strchr(name + 1, ',') : NULL, out[TEXT];
    unsigned csr = raw >> 20;

    if (!end)
        return;
    *end = '\0';
    if (strcmp(csr_name[csr], name + 1))
        csr = (unsigned)csr_number(name + 1);
    snprintf(out, sizeof(out), "%.*s0x%x,%s", (int)(name + 1 - text), text, csr, end + 1);
    strcpy(text, out);
}

/* Into the decoder's form; what it is. */
static enum meaning normalise(char *text, uint32_t raw)
{
    char mnemonic[NAME], *zero;
    enum meaning meaning;

    if (!strcmp(text, "unimp")) /* an alias that no-aliases leaves */
        strcpy(text, "csrrw zero,0xc00,zero");
    snprintf(mnemonic, sizeof(mnemonic), "%.*s", (int)strcspn(text, " "), text);
    meaning = classify(mnemonic);
    if (!strncmp(text, "csrr", 4) && !strstr(text, ",0x"))
        csr_to_number(text, raw);
    zero = strstr(text, ",0(");
    if (zero && (!strncmp(text, "lr.", 3) || !strncmp(text, "sc.", 3) || !strncmp(text, "amo", 3)))
        memmove(zero + 1, zero + 2, strlen(zero + 1));
    return meaning;
}

/* "  address:\tword\ttext"; false: another line. */
static bool parse(const char *line, uint64_t *at, uint32_t *raw, char *text)
{
    char *end;
    const char *s;
    size_t n = 0;

    *at = strtoull(line, &end, 16);
    if (end == line || *end != ':')
        return false;
    *raw = (uint32_t)strtoul(end + 1, &end, 16);
    s = strchr(end, '\t');
    for (s = s ? s + 1 : ""; *s && *s != '\n' && *s != '#' && *s != '<' && n < TEXT - 1; s++)
        text[n++] = *s == '\t' ? ' ' : *s;
    while (n && text[n - 1] == ' ')
        n--;
    text[n] = '\0';
    return true;
}

static void learn_csr(unsigned n, uint32_t raw, const char *text)
{
    char name[NAME];

    if (raw != csr_key(n) || sscanf(text, "csrrs zero,%47[^,],zero", name) != 1 ||
        csr_number(name) >= 0) {
        fprintf(stderr, "CSR %#x: %08x %s\n", n, raw, text);
        exit(2);
    }
    strcpy(csr_name[n], name);
}

/* ---- the comparison ---- */

static struct {
    uint64_t words, named, skipped, different, hash;
} sum = {.hash = 0xcbf29ce484222325u};

static bool is_zcb(uint32_t raw) { return is_compressed(raw) && (raw & 0xe003) == 0x8000; }

static bool is_too_new(uint32_t raw, const char *lack)
{
    if (is_compressed(raw))
        return strstr(lack, "zcb") && is_zcb(raw);
    if ((raw & 0x7f) != 0x2f)
        return false;
    return (strstr(lack, "zacas") && raw >> 27 == 5) ||
           (strstr(lack, "zabha") && (raw >> 12 & 7) < 2);
}

/* 64-bit FNV-1a of "xxxx text\n" of each 16-bit word that is named: tests/unit/test_insn.c expects it. */
static void add_to_hash(uint32_t raw, const char *text)
{
    char line[TEXT + 8];

    snprintf(line, sizeof(line), "%04x %s\n", raw, text);
    for (const char *s = line; *s; s++)
        sum.hash = (sum.hash ^ (uint8_t)*s) * 0x100000001b3u;
}

static void differ(uint32_t raw, const char *our, const struct insn *in, const char *their)
{
    if (sum.different++ < SHOWN)
        printf("%08x: '%s' (%s, %d bytes), objdump '%s'\n", raw, our, insn_name(in->kind),
               in->length, their);
}

static void compare_one(uint32_t raw, char *their, const char *lack)
{
    struct insn in;
    int error = insn_decode(raw, &in);
    const char *kind = insn_name(error < 0 ? INSN_ILLEGAL : in.kind);
    enum meaning meaning = normalise(their, raw);
    char our[64];
    bool named = meaning != MEANS_OTHER, known = strcmp(kind, "unknown") && strcmp(kind, "other");

    sum.words++;
    insn_describe(raw, our, sizeof(our));
    if (in.length != (is_compressed(raw) ? 2 : 4))
        differ(raw, our, &in, their);
    if (is_compressed(raw) && named && !is_zcb(raw))
        add_to_hash(raw, their);
    if (is_too_new(raw, lack)) {
        sum.skipped++;
    } else if (!strncmp(kind, "vector", 6)) {
        /* Which mops and fields are reserved is not decided by the decoder. */
        if (meaning == MEANS_OURS)
            differ(raw, our, &in, their);
    } else {
        sum.named += named;
        if (known != named || (known && strcmp(our, meaning == MEANS_VECTOR ? "vector" : their)))
            differ(raw, our, &in, their);
    }
}

static int compare(const char *lack)
{
    char line[512], text[TEXT];
    uint64_t at, expected = 0;
    uint32_t raw;

    while (fgets(line, sizeof(line), stdin)) {
        if (!parse(line, &at, &raw, text) || at % 4) /* a 16-bit word is followed by a c.nop */
            continue;
        if (at != expected) {
            fprintf(stderr, "objdump went from %#" PRIx64 " to %#" PRIx64 "\n", expected, at);
            return 2;
        }
        if (at / 4 < CSRS)
            learn_csr((unsigned)(at / 4), raw, text);
        else
            compare_one(raw, text, lack);
        expected += 4;
    }
    printf("words %" PRIu64 " named %" PRIu64 " skipped %" PRIu64 " different %" PRIu64
           " hash %#" PRIx64 "\n",
           sum.words, sum.named, sum.skipped, sum.different, sum.hash);
    return 0;
}

int main(int argc, char *argv[])
{
    if (argc == 4 && !strcmp(argv[1], "words"))
        return write_words(strtoull(argv[2], NULL, 0), strtoull(argv[3], NULL, 0));
    if (argc != 5 || strcmp(argv[1], "compare"))
        return 2;
    compile(&ours, argv[2]);
    compile(&vector, argv[3]);
    return compare(argv[4]);
}
