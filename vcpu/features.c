// SPDX-License-Identifier: BSD-2-Clause
#include "vcpu/features.h"

#include <string.h>

#include "base/log.h"
#include "base/panic.h"
#include "boot/options.h"
#include "boot/platform.h"
#include "sched/timer_hart.h"
#include "vcpu/hostpmu.h"
#include "vcpu/sbi/fwft.h"

struct vcpu_features vcpu_features;
static char isa[PLATFORM_ISA + 8]; /* any choice of what the platform has, and svade */

/* Unprivileged extensions, and privileged ones that work in VS-mode without our help: passed on
 * when the host has them. */
static const char plain[] =
    "i m a f d c b zicsr zifencei zicntr zihpm zicond zihintpause zihintntl zimop zcmop zca zcb "
    "zcd zmmul zawrs zba zbb zbc zbs zbkb zbkc zbkx zkn zknd zkne zknh zks zksed zksh zkt zaamo "
    "zalrsc zabha zacas zama16b zfa zfh zfhmin zfbfmin ztso svinval svnapot svvptc svrsw60t59b "
    "ssccptr "
    "sscounterenw sstvala sstvecd ssu64xl ziccamoa ziccif zicclsm ziccrse zic64b zicbop za64rs "
    "za128rs";

static void add(const char *name, size_t len)
{
    size_t n = strlen(isa);

    if (n + len + 2 > sizeof(isa))
        panic("the list of guests' extensions is full");
    if (n)
        isa[n++] = ' ';
    memcpy(isa + n, name, len);
    isa[n + len] = 0;
}

/* Next word of a list: its start and length; NULL at the end. */
static const char *next_word(const char **list, size_t *len)
{
    const char *s = *list, *end = strchr(s, ' ');

    *len = end ? (size_t)(end - s) : strlen(s);
    *list = s + *len + (end != 0);
    return *len ? s : 0;
}

static void add_plain(const struct platform *p)
{
    const char *list = plain, *word;
    char name[24];
    size_t len;

    while ((word = next_word(&list, &len))) {
        memcpy(name, word, len);
        name[len] = 0;
        if (platform_has(p, name))
            add(name, len);
    }
}

/* V and all its parts and relatives: zve64d, zvl128b, zvbb, ... They have no other state. */
static void add_vector(const struct platform *p)
{
    const char *list = p->isa, *word;
    size_t len;

    while ((word = next_word(&list, &len)))
        if (*word == 'v' ? len == 1 : len > 2 && word[0] == 'z' && word[1] == 'v')
            add(word, len);
}

static void add_if(bool has, const char *name)
{
    if (has)
        add(name, strlen(name));
}

/* Whether a henvcfg bit can be set: the host has the extension and its firmware lets us give it on. */
static bool henvcfg_takes(uint64_t bit)
{
    uint64_t back = 0;

    return arch_csr_probe_write(CSR_HENVCFG, bit, &back) && (back & bit) == bit;
}

/* The registers can be reached, whatever the tree calls them: bytes of one, or 0. */
static uint32_t probe_vlenb(const struct platform *p)
{
    uint64_t value;

    if (!platform_has(p, "v") && !platform_has(p, "zve32x"))
        return 0;
    csr_set(CSR_SSTATUS, SSTATUS_VS_INITIAL);
    if (!(csr_read(CSR_SSTATUS) & SSTATUS_VS) || !arch_csr_probe(CSR_VLENB, &value))
        return 0;
    return value >= 4 && value <= 8192 && !(value & (value - 1)) ? (uint32_t)value : 0;
}

/* Ssnpm: senvcfg.PMM is the guest's own, which it switches for its user mode; 2: seven bits. */
static bool senvcfg_takes_pmm(void)
{
    uint64_t back = 0;
    bool takes = arch_csr_probe_write(CSR_SENVCFG, SENVCFG_PMM_7, &back) &&
                 (back & SENVCFG_PMM_MASK) == SENVCFG_PMM_7;

    (void)arch_csr_probe_write(CSR_SENVCFG, 0, &back);
    return takes;
}

/* What cbo.zero clears in one go, bytes; 0: it traps, or clears nothing that could be its block. Not by the tree
 * alone: henvcfg's bits for Zicbom and Zicboz can be set in QEMU's harts without either. */
static uint32_t probe_cboz(void)
{
    static uint8_t page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
    uint32_t n = 0;

    memset(page, 0xFF, sizeof(page));
    if (!arch_cbo_zero_probe(page))
        return 0;
    while (n < sizeof(page) && !page[n])
        n++;
    return n;
}

/* cbo.flush and cbo.inval, in HS-mode: menvcfg, which firmware sets, decides for all modes below. */
static bool probe_cbom(void)
{
    static uint8_t page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

    return arch_cbo_flush_probe(page);
}

static uint8_t probe_unswitched(void)
{
    uint64_t value;

    return (uint8_t)((arch_csr_probe(CSR_VSISELECT, &value) ? UNSWITCHED_VSISELECT : 0) |
                     (arch_csr_probe(CSR_JVT, &value) ? UNSWITCHED_JVT : 0) |
                     (arch_csr_probe(CSR_SCONTEXT, &value) ? UNSWITCHED_SCONTEXT : 0));
}

void features_probe(const struct platform *p)
{
    struct vcpu_features *f = &vcpu_features;
    uint64_t value;

    if (!platform_has(p, "d"))
        panic("a hart that is enabled has no D extension: vCPUs have the FP registers of RV64GC");
    timer_sstc = platform_has(p, "sstc") && arch_csr_probe(CSR_STIMECMP, &value);
    f->vstimecmp =
        timer_sstc && henvcfg_takes(HENVCFG_STCE) && arch_csr_probe(CSR_VSTIMECMP, &value);
    f->sstc = f->vstimecmp && !boot_option("nosstc");
    f->stateen = arch_csr_probe(CSR_HSTATEEN0, &value);
    f->unswitched = f->stateen ? 0 : probe_unswitched();
    f->zicbom = p->cbom_block && platform_has(p, "zicbom") &&
                henvcfg_takes(HENVCFG_CBIE_FLUSH | HENVCFG_CBCFE) && probe_cbom();
    f->zicboz = p->cboz_block && platform_has(p, "zicboz") && henvcfg_takes(HENVCFG_CBZE) &&
                probe_cboz() == p->cboz_block;
    f->svpbmt = platform_has(p, "svpbmt") && henvcfg_takes(HENVCFG_PBMTE);
    fwft_probe(platform_has(p, "svadu"));
    f->seed = platform_has(p, "zkr") && arch_csr_probe(CSR_SEED, &value);
    f->ssnpm = platform_has(p, "ssnpm") && senvcfg_takes_pmm();
    f->vlenb = probe_vlenb(p);
    f->svrsw60t59b = platform_has(p, "svrsw60t59b");
    f->cycle = arch_csr_probe(CSR_CYCLE, &value);
    f->instret = arch_csr_probe(CSR_INSTRET, &value);
    f->sscofpmf = hostpmu_probe(platform_has(p, "sscofpmf"));
    f->cbom_block = (uint16_t)p->cbom_block;
    f->cboz_block = (uint16_t)p->cboz_block;
    f->htval = !boot_option("nohtval");
    f->htinst = f->htval && !boot_option("nohtinst");
    (void)arch_csr_probe_write(CSR_HENVCFG, 0, &value);
    /* The hypervisor zeroes guest memory with it; in HS-mode menvcfg decides, which firmware sets. */
    if (f->zicboz && is_aligned(PAGE_SIZE, max_u64(p->cboz_block, 8)))
        arch_zero_block = p->cboz_block;
    isa[0] = 0;
    add_plain(p);
    if (f->vlenb)
        add_vector(p);
    add_if(f->sstc, "sstc");
    add_if(f->svpbmt, "svpbmt");
    add_if(f->zicbom, "zicbom");
    add_if(f->zicboz, "zicboz");
    /* Both: A and D are the guest's until it asks otherwise (FWFT). */
    add_if(f->svadu || platform_has(p, "svade"), "svade");
    add_if(f->svadu, "svadu");
    add_if(f->sscofpmf, "sscofpmf");
    add_if(f->seed, "zkr");
    add_if(f->seed && platform_has(p, "zk"), "zk");
    add_if(f->stateen && platform_has(p, "ssstateen"), "ssstateen");
    add_if(f->ssnpm, "ssnpm");
    add_if(f->ssnpm && platform_has(p, "supm"), "supm");
}

const char *vcpu_isa(void) { return isa; }

void features_apply(struct guest *g)
{
    const struct vcpu_features *f = &vcpu_features;

    g->sstc = f->sstc;
    g->htinst_mask = f->htinst ? UINT64_MAX : 0;
    g->henvcfg = (f->sstc ? HENVCFG_STCE : 0) | (f->svpbmt ? HENVCFG_PBMTE : 0) |
                 (f->zicbom ? HENVCFG_CBIE_FLUSH | HENVCFG_CBCFE : 0) |
                 (f->zicboz ? HENVCFG_CBZE : 0);
    g->hstateen0 = f->stateen ? HSTATEEN0_ENVCFG | HSTATEEN0_SE0 : 0;
}
