// SPDX-License-Identifier: BSD-2-Clause
// The host's AIA (RISC-V Advanced Interrupt Architecture 1.0): the supervisor's APLIC, chapter 4, either with wires to the
// harts (direct mode) or with messages to the boot hart's IMSIC file, chapter 3. Where messages go and which sources are
// the supervisor's, the firmware has decided: a source that it kept reads back as 0.
#include <errno.h>

#include "base/arch.h"
#include "drv/irqchip.h"
#include "mem/hostmap.h"

enum {
    DOMAINCFG = 0,
    DOMAINCFG_DM = 1 << 2, /* messages */
    DOMAINCFG_IE = 1 << 8,
    SOURCECFG = 4, /* of source 1 */
    CLRIE = 0x1F00,
    SETIENUM = 0x1EDC,
    SETIPNUM_LE = 0x2000,
    TARGET = 0x3004, /* of source 1 */
    TARGET_HART_SHIFT = 18,
    IDC = 0x4000,
    IDC_SIZE = 32,
    IDC_IDELIVERY = 0,
    IDC_ITHRESHOLD = 8,
    IDC_CLAIMI = 0x1C,
    SOURCES_MAX = 1023,
};
enum { SM_EDGE_RISING = 4, SM_EDGE_FALLING, SM_LEVEL_HIGH, SM_LEVEL_LOW };
enum { EIDELIVERY = 0x70, EITHRESHOLD = 0x72, EIE0 = 0xC0 };

static volatile char *regs, *idc;
static bool msi;
static uint32_t sources, index_of_hart;
static bool level[SOURCES_MAX + 1];

static uint32_t source_mode(uint32_t irq)
{
    switch (irq >> PLATFORM_IRQ_TYPE) {
    case 1:
        return SM_EDGE_RISING;
    case 2:
        return SM_EDGE_FALLING;
    case 8:
        return SM_LEVEL_LOW;
    default:
        return SM_LEVEL_HIGH;
    }
}

/* A source's message has the source's own number. */
static int aplic_enable(uint32_t irq)
{
    uint32_t number = irq & PLATFORM_IRQ_NUMBER, mode = source_mode(irq);

    if (number == 0 || number > sources)
        return -EINVAL;
    volatile char *config = regs + SOURCECFG + 4 * (number - 1);
    mmio_write32(config, mode);
    if (mmio_read32(config) != mode)
        return -EINVAL;
    level[number] = mode >= SM_LEVEL_HIGH;
    mmio_write32(regs + TARGET + 4 * (number - 1),
                 index_of_hart << TARGET_HART_SHIFT | (msi ? number : 1));
    mmio_write32(regs + SETIENUM, number);
    return 0;
}

static uint32_t aplic_claim(void)
{
    uint64_t top = msi ? csr_swap(CSR_STOPEI, 0) : mmio_read32(idc + IDC_CLAIMI);

    return (uint32_t)(top >> 16 & 0x7FF);
}

/* A message goes out when the line rises. One that still asks must ask again: the write pends it only then. */
static void aplic_complete(uint32_t number)
{
    if (msi && number <= sources && level[number])
        mmio_write32(regs + SETIPNUM_LE, number);
}

static const struct irqchip direct = {"APLIC", aplic_enable, aplic_claim, aplic_complete};
static const struct irqchip messages = {"IMSIC", aplic_enable, aplic_claim, aplic_complete};

static void imsic_write(uint64_t reg, uint64_t value)
{
    csr_write(CSR_SISELECT, reg);
    csr_write(CSR_SIREG, value);
}

/* All identities that sources may have are taken; the APLIC decides which come. Here, since only this hart can. */
static bool start_imsic(void)
{
    uint64_t back;

    if (!arch_csr_probe_write(CSR_SISELECT, EIDELIVERY, &back) || back != EIDELIVERY)
        return false;
    imsic_write(EITHRESHOLD, 0);
    for (uint32_t i = 0; i <= sources / 64; i++)
        imsic_write(EIE0 + 2ul * i, UINT64_MAX);
    imsic_write(EIDELIVERY, 1);
    return true;
}

static bool map_registers(const struct platform *p)
{
    uint64_t base = p->aplic.regs.base, at = IDC + (msi ? 0 : IDC_SIZE * (uint64_t)index_of_hart);

    if (!range_ok(at, msi ? 0 : IDC_SIZE, p->aplic.regs.size))
        return false;
    regs = hostmap_device(pa(base), IDC);
    idc = msi ? regs : hostmap_device(pa(base + at), IDC_SIZE);
    return regs && idc;
}

const struct irqchip *aplic_probe(const struct platform *p)
{
    uint32_t wanted;

    index_of_hart = host_irq_boot_context(p);
    msi = p->aplic.msi;
    sources = (uint32_t)min_u64(p->aplic.sources, SOURCES_MAX);
    if (msi)
        sources = (uint32_t)min_u64(sources, p->aplic.imsic_ids);
    if (p->aplic.regs.size == 0 || index_of_hart == UINT32_MAX || !map_registers(p))
        return NULL;
    wanted = DOMAINCFG_IE | (msi ? DOMAINCFG_DM : 0);
    mmio_write32(regs + DOMAINCFG, 0);
    for (uint32_t i = 0; i <= p->aplic.sources / 32 && i < 32; i++)
        mmio_write32(regs + CLRIE + 4 * i, UINT32_MAX);
    if (msi && !start_imsic())
        return NULL;
    if (!msi) {
        mmio_write32(idc + IDC_ITHRESHOLD, 0);
        mmio_write32(idc + IDC_IDELIVERY, 1);
    }
    mmio_write32(regs + DOMAINCFG, wanted);
    if ((mmio_read32(regs + DOMAINCFG) & (DOMAINCFG_IE | DOMAINCFG_DM)) != wanted)
        return NULL; /* it cannot do what the tree says */
    return msi ? &messages : &direct;
}
