// SPDX-License-Identifier: BSD-2-Clause
// Device accesses: widths, signs, compressed forms, every register. Devices as on QEMU's virt: the
// 16550's scratch register, virtio-mmio's magic number, the PLIC's enable bits.
#include "unit/unit.h"

#define SCRATCH 0x10000007ul
#define VIRTIO 0x10001000ul
#define VIRTIO_MAGIC 0x74726976u
#define PLIC_PRIORITY 0xc000000ul
#define PLIC_ENABLE 0xc002000ul /* context 0: hart 0's in Trapline, M-mode's natively */

#define LOAD(insn, address) \
    ({ \
        uint64_t v_; \
        __asm__ volatile(insn " %0, 0(%1)" : "=&r"(v_) : "r"(address) : "memory"); \
        v_; \
    })
#define STORE(insn, address, v) \
    __asm__ volatile(insn " %0, 0(%1)" ::"r"((uint64_t)(v)), "r"(address) : "memory")

UNIT_CASE(mmio_byte, 0)
{
    for (unsigned v = 0; v < 256; v += 17) {
        STORE("sb", SCRATCH, 0xabcdef00 | v);
        CHECK_EQ(LOAD("lbu", SCRATCH), v);
        CHECK_EQ(LOAD("lb", SCRATCH), (int64_t)(int8_t)v);
    }
}

UNIT_CASE(mmio_word, 0)
{
    CHECK_EQ(LOAD("lw", VIRTIO), VIRTIO_MAGIC);
    CHECK_EQ(LOAD("lwu", VIRTIO), VIRTIO_MAGIC);
    STORE("sw", PLIC_ENABLE, 0x1234567880000002);
    CHECK_EQ(LOAD("lw", PLIC_ENABLE), 0xffffffff80000002);
    CHECK_EQ(LOAD("lwu", PLIC_ENABLE), 0x80000002);
    STORE("sw", PLIC_ENABLE, 0);
    CHECK_EQ(LOAD("lw", PLIC_ENABLE), 0);
    STORE("sw", PLIC_PRIORITY + 4, 5);
    CHECK_EQ(LOAD("lwu", PLIC_PRIORITY + 4), 5);
    STORE("sw", PLIC_PRIORITY + 4, 0);
}

/* Widths that a register does not have: whatever they give, only that register changes and the VM
 * goes on. */
UNIT_CASE(mmio_other_widths, UNIT_TRAPLINE)
{
    static const uint64_t where[] = {SCRATCH - 7, VIRTIO, VIRTIO + 0x100, PLIC_PRIORITY,
                                     PLIC_ENABLE};

    for (unsigned i = 0; i < ARRAY_LEN(where); i++) {
        uint64_t a = where[i];

        CHECK(LOAD("lhu", a) <= 0xffff, "lhu at %lx", a);
        CHECK((int64_t)LOAD("lh", a) == (int16_t)LOAD("lhu", a), "lh at %lx", a);
        CHECK(LOAD("lbu", a) <= 0xff, "lbu at %lx", a);
        CHECK(LOAD("lwu", a) <= 0xffffffff, "lwu at %lx", a);
        LOAD("ld", a);
    }
    STORE("sb", PLIC_PRIORITY, 1);
    STORE("sh", PLIC_PRIORITY, 1);
    STORE("sd", PLIC_PRIORITY + 8, 0);
    STORE("sd", VIRTIO + 0x50, ~0ul);
    STORE("sh", VIRTIO + 0x52, 1);
    STORE("sb", VIRTIO, 1);
    CHECK_EQ(LOAD("lw", VIRTIO), VIRTIO_MAGIC);
}

/* The compressed forms take x8..x15. */
UNIT_CASE(mmio_compressed, 0)
{
    register uint64_t address __asm__("a4") = VIRTIO;
    register uint64_t value __asm__("a5");

    __asm__ volatile(".option push\n .option rvc\n c.lw %0, 0(%1)\n .option pop"
                     : "=r"(value)
                     : "r"(address)
                     : "memory");
    CHECK_EQ(value, VIRTIO_MAGIC);
    address = PLIC_ENABLE - 4;
    value = 0xc0000000;
    __asm__ volatile(".option push\n .option rvc\n c.sw %0, 4(%1)\n .option pop" ::"r"(value),
                     "r"(address)
                     : "memory");
    CHECK_EQ(LOAD("lwu", PLIC_ENABLE), 0xc0000000);
    __asm__ volatile(".option push\n .option rvc\n c.lw %0, 4(%1)\n .option pop"
                     : "=r"(value)
                     : "r"(address)
                     : "memory");
    CHECK_EQ(value, 0xffffffffc0000000);
    STORE("sw", PLIC_ENABLE, 0);
}

/* Relative to sp: c.lwsp and c.swsp with sp at the device. No interrupt may come meanwhile. */
UNIT_CASE(mmio_compressed_sp, 0)
{
    uint64_t got;

    __asm__ volatile(".option push\n .option rvc\n mv t0, sp\n mv sp, %1\n c.lwsp %0, 0(sp)\n"
                     "mv sp, t0\n .option pop"
                     : "=&r"(got)
                     : "r"(VIRTIO)
                     : "t0", "memory");
    CHECK_EQ(got, VIRTIO_MAGIC);
    __asm__ volatile(".option push\n .option rvc\n mv t0, sp\n mv sp, %1\n c.swsp %0, 4(sp)\n"
                     "mv sp, t0\n .option pop" ::"r"(6ul),
                     "r"(PLIC_ENABLE - 4)
                     : "t0", "memory");
    CHECK_EQ(LOAD("lwu", PLIC_ENABLE), 6);
    STORE("sw", PLIC_ENABLE, 0);
}

/* Loads to, and stores from, each register: kept is a register that is not the one tried. */
#define TRY(reg, keep, ar, vr) \
    do { \
        register uint64_t a_ __asm__(ar) = SCRATCH; \
        register uint64_t v_ __asm__(vr) = 0x5a; \
        __asm__ volatile("mv " keep ", " reg "\n mv " reg ", %0\n sb " reg ", 0(%1)\n li " reg \
                         ", -1\n lbu " reg ", 0(%1)\n mv %0, " reg "\n mv " reg ", " keep \
                         : "+r"(v_) \
                         : "r"(a_) \
                         : keep, "memory"); \
        CHECK(v_ == 0x5a, "%s: %lx", reg, v_); \
        STORE("sb", SCRATCH, 0); \
    } while (0)
#define TRY1(reg) TRY(reg, "t0", "a0", "a1")
#define TRY2(reg) TRY(reg, "t1", "a2", "a3")

UNIT_CASE(mmio_every_register, 0)
{
    TRY1("ra");
    TRY1("sp");
    TRY1("gp");
    TRY1("tp");
    TRY1("t1");
    TRY1("t2");
    TRY1("s0");
    TRY1("s1");
    TRY1("a2");
    TRY1("a3");
    TRY1("a4");
    TRY1("a5");
    TRY1("a6");
    TRY1("a7");
    TRY1("s2");
    TRY1("s3");
    TRY1("s4");
    TRY1("s5");
    TRY1("s6");
    TRY1("s7");
    TRY1("s8");
    TRY1("s9");
    TRY1("s10");
    TRY1("s11");
    TRY1("t3");
    TRY1("t4");
    TRY1("t5");
    TRY1("t6");
    TRY2("t0");
    TRY2("a0");
    TRY2("a1");
}

UNIT_CASE(mmio_zero_register, 0)
{
    STORE("sb", SCRATCH, 0x77);
    __asm__ volatile("lbu zero, 0(%0)" ::"r"(SCRATCH) : "memory");
    uint64_t zero;

    __asm__ volatile("mv %0, zero" : "=r"(zero));
    CHECK_EQ(zero, 0);
    __asm__ volatile("sb zero, 0(%0)" ::"r"(SCRATCH) : "memory");
    CHECK_EQ(LOAD("lbu", SCRATCH), 0);
}

/* Behind the guest's own translation, and across a user page. */
UNIT_CASE(mmio_translated, 0)
{
    paging_on();
    window_map(0, SCRATCH & ~4095ul, PTE_RWX);
    __asm__ volatile("sfence.vma" ::: "memory");
    STORE("sb", window_va(0) + 7, 0x99);
    CHECK_EQ(LOAD("lbu", window_va(0) + 7), 0x99);
    CHECK_EQ(LOAD("lb", SCRATCH), 0xffffffffffffff99);
}

/* The 16550's "transmitter empty" interrupt through the PLIC to this hart. */
UNIT_CASE(plic_interrupt, 0)
{
    enum { UART_IRQ = 10, IER_THRE = 2 };
    uint64_t context = rt_trapline ? harts[0].id : harts[0].id * 2 + 1;
    uint64_t enable = PLIC_ENABLE + 0x80 * context, claim = 0xc200004 + 0x1000 * context;
    uint64_t end = rt_patience();

    STORE("sw", PLIC_PRIORITY + 4 * UART_IRQ, 1);
    STORE("sw", enable, 1u << UART_IRQ);
    STORE("sw", claim - 4, 0);
    STORE("sb", SCRATCH - 6, IER_THRE);
    while (!(csr_read(sip) & SIE_SEIE))
        CHECK(rdtime() < end, "no external interrupt pending");
    CHECK_EQ(LOAD("lw", claim), UART_IRQ);
    CHECK_EQ(csr_read(sip) & SIE_SEIE, 0);
    CHECK_EQ(LOAD("lw", claim), 0);
    LOAD("lbu", SCRATCH - 5); /* IIR: acknowledges it in the device */
    STORE("sb", SCRATCH - 6, 0);
    STORE("sw", claim, UART_IRQ);
    CHECK_EQ(csr_read(sip) & SIE_SEIE, 0);
    STORE("sw", enable, 0);
}
