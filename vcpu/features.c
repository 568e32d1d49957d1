// SPDX-License-Identifier: BSD-2-Clause
#include "vcpu/features.h"

#include <string.h>

#include "base/log.h"
#include "boot/options.h"
#include "boot/platform.h"
#include "sched/timer_hart.h"
#include "vcpu/sbi/fwft.h"

struct vcpu_features vcpu_features;
static char isa[512];

/* Unprivileged extensions, and privileged ones that work in VS-mode without our help: passed on
 * when the host has them. */
static const char plain[] =
    "i m a f d c zicsr zifencei zicntr zihpm zicond zihintpause zihintntl zimop zcmop zca zcb zcd "
    "zawrs "
    "zba zbb zbc zbs zbkb zbkc zbkx zknd zkne zknh zksed zksh zkt zaamo zalrsc zabha zacas zama16b "
    "zfa zfh zfhmin ztso svinval svnapot svvptc ssccptr sscounterenw sstvala sstvecd ziccamoa "
    "ziccif "
    "zicclsm ziccrse zic64b zicbop za64rs za128rs";

static void add(const char *name, size_t len)
{
    size_t n = strlen(isa);

    if (n + len + 2 > sizeof(isa))
        return;
    if (n)
        isa[n++] = ' ';
    memcpy(isa + n, name, len);
    isa[n + len] = 0;
}

static void add_plain(const struct platform *p)
{
    char name[24];

    for (const char *s = plain; *s;) {
        size_t len = strchr(s, ' ') ? (size_t)(strchr(s, ' ') - s) : strlen(s);

        memcpy(name, s, len);
        name[len] = 0;
        if (platform_has(p, name))
            add(name, len);
        s += len;
        while (*s == ' ')
            s++;
    }
}

/* Whether a henvcfg bit can be set: the host has the extension and its firmware lets us give it on. */
static bool henvcfg_takes(uint64_t bit)
{
    uint64_t back = 0;

    return arch_csr_probe_write(CSR_HENVCFG, bit, &back) && (back & bit) == bit;
}

void features_probe(const struct platform *p)
{
    struct vcpu_features *f = &vcpu_features;
    uint64_t value;

    timer_sstc = platform_has(p, "sstc") && arch_csr_probe(CSR_STIMECMP, &value);
    f->vstimecmp =
        timer_sstc && henvcfg_takes(HENVCFG_STCE) && arch_csr_probe(CSR_VSTIMECMP, &value);
    f->sstc = f->vstimecmp && !boot_option("nosstc");
    f->stateen = arch_csr_probe(CSR_HSTATEEN0, &value);
    f->zicbom = platform_has(p, "zicbom") && henvcfg_takes(HENVCFG_CBIE_FLUSH | HENVCFG_CBCFE);
    f->zicboz = platform_has(p, "zicboz") && henvcfg_takes(HENVCFG_CBZE);
    f->svpbmt = platform_has(p, "svpbmt") && henvcfg_takes(HENVCFG_PBMTE);
    fwft_probe(platform_has(p, "svadu"));
    f->cbom_block = (uint16_t)p->cbom_block;
    f->cboz_block = (uint16_t)p->cboz_block;
    f->htinst = !boot_option("nohtinst");
    (void)arch_csr_probe_write(CSR_HENVCFG, 0, &value);
    /* The hypervisor zeroes guest memory with it; in HS-mode menvcfg decides, which firmware sets. */
    if (f->zicboz && is_aligned(PAGE_SIZE, max_u64(p->cboz_block, 8)))
        arch_zero_block = p->cboz_block;
    isa[0] = 0;
    add_plain(p);
    if (f->sstc)
        add("sstc", 4);
    if (f->svpbmt)
        add("svpbmt", 6);
    if (f->svadu) /* both: A and D are the guest's until it asks otherwise (FWFT) */
        add("svade svadu", 11);
    else if (platform_has(p, "svade"))
        add("svade", 5);
    if (f->zicbom)
        add("zicbom", 6);
    if (f->zicboz)
        add("zicboz", 6);
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
