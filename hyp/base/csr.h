// SPDX-License-Identifier: BSD-2-Clause
// CSR numbers and fields of the privileged architecture and its ratified extensions, by their
// specification names. Usable from assembly.
#pragma once

#define CSR_SSTATUS 0x100
#define CSR_SIE 0x104
#define CSR_STVEC 0x105
#define CSR_SCOUNTEREN 0x106
#define CSR_SENVCFG 0x10A
#define CSR_SSTATEEN0 0x10C
#define CSR_SSCRATCH 0x140
#define CSR_SEPC 0x141
#define CSR_SCAUSE 0x142
#define CSR_STVAL 0x143
#define CSR_SIP 0x144
#define CSR_STIMECMP 0x14D
#define CSR_SISELECT 0x150
#define CSR_SIREG 0x151
#define CSR_STOPEI 0x15C
#define CSR_SATP 0x180
#define CSR_VSSTATUS 0x200
#define CSR_VSIE 0x204
#define CSR_VSTVEC 0x205
#define CSR_VSSCRATCH 0x240
#define CSR_VSEPC 0x241
#define CSR_VSCAUSE 0x242
#define CSR_VSTVAL 0x243
#define CSR_VSIP 0x244
#define CSR_VSTIMECMP 0x24D
#define CSR_VSISELECT 0x250
#define CSR_VSATP 0x280
#define CSR_HSTATUS 0x600
#define CSR_HEDELEG 0x602
#define CSR_HIDELEG 0x603
#define CSR_HIE 0x604
#define CSR_HTIMEDELTA 0x605
#define CSR_HCOUNTEREN 0x606
#define CSR_HGEIE 0x607
#define CSR_HENVCFG 0x60A
#define CSR_HSTATEEN0 0x60C
#define CSR_HVIEN 0x608
#define CSR_HVICTL 0x609
#define CSR_HVIPRIO1 0x646
#define CSR_HVIPRIO2 0x647
#define CSR_HSTATEEN1 0x60D
#define CSR_HSTATEEN2 0x60E
#define CSR_HSTATEEN3 0x60F
#define CSR_HTVAL 0x643
#define CSR_HIP 0x644
#define CSR_HVIP 0x645
#define CSR_HTINST 0x64A
#define CSR_HGATP 0x680
#define CSR_FCSR 0x003
#define CSR_VSTART 0x008
#define CSR_VCSR 0x00F
#define CSR_VL 0xC20
#define CSR_VTYPE 0xC21
#define CSR_VLENB 0xC22
#define CSR_CYCLE 0xC00
#define CSR_TIME 0xC01
#define CSR_INSTRET 0xC02
#define CSR_HPMCOUNTER31 0xC1F
#define CSR_SCOUNTOVF 0xDA0
#define CSR_SEED 0x015
#define CSR_JVT 0x017
#define CSR_SCONTEXT 0x5A8

#define SSTATUS_SIE (1 << 1)
#define SSTATUS_SPIE (1 << 5)
#define SSTATUS_UBE (1 << 6)
#define SSTATUS_SPP (1 << 8)
#define SSTATUS_VS (3 << 9)
#define SSTATUS_VS_INITIAL (1 << 9)
#define SSTATUS_VS_CLEAN (2 << 9)
#define SSTATUS_VS_DIRTY (3 << 9)
#define SSTATUS_FS_SHIFT 13
#define SSTATUS_FS (3 << 13)
#define SSTATUS_FS_INITIAL (1 << 13)
#define SSTATUS_FS_CLEAN (2 << 13)
#define SSTATUS_FS_DIRTY (3 << 13)
#define SSTATUS_SUM (1 << 18)
#define SSTATUS_MXR (1 << 19)
#define SSTATUS_SD (1ul << 63)

#define HSTATUS_GVA (1 << 6)
#define HSTATUS_SPV (1 << 7)
#define HSTATUS_SPVP (1 << 8)
#define HSTATUS_HU (1 << 9)
#define HSTATUS_VTVM (1 << 20)
#define HSTATUS_VTW (1 << 21)
#define HSTATUS_VTSR (1 << 22)
#define HSTATUS_VSXL_64 (2ul << 32)

#define IRQ_SSI 1
#define IRQ_VSSI 2
#define IRQ_STI 5
#define IRQ_VSTI 6
#define IRQ_SEI 9
#define IRQ_VSEI 10
#define IRQ_SGEI 12
#define IRQ_LCOFI 13

#define HVIP_VSSIP (1 << 2)
#define HVIP_VSTIP (1 << 6)
#define HVIP_VSEIP (1 << 10)
#define HVIP_LCOFIP (1 << 13)

#define HENVCFG_FIOM (1ul << 0)
#define HENVCFG_CBIE_FLUSH (1ul << 4)
#define HENVCFG_CBCFE (1ul << 6)
#define HENVCFG_CBZE (1ul << 7)
#define HENVCFG_PMM_SHIFT 32
#define HENVCFG_PMM (3ul << HENVCFG_PMM_SHIFT)
#define HENVCFG_ADUE (1ul << 61)
#define HENVCFG_PBMTE (1ul << 62)
#define HENVCFG_STCE (1ul << 63)

#define SENVCFG_PMM_MASK (3ul << 32)
#define SENVCFG_PMM_7 (2ul << 32)

#define COUNTEREN_CY (1 << 0)
#define COUNTEREN_TM (1 << 1)
#define COUNTEREN_IR (1 << 2)
#define COUNTEREN_OPEN (COUNTEREN_CY | COUNTEREN_TM | COUNTEREN_IR)

#define HSTATEEN0_CONTEXT (1ul << 57)
#define HSTATEEN0_IMSIC (1ul << 58)
#define HSTATEEN0_AIA (1ul << 59)
#define HSTATEEN0_CSRIND (1ul << 60)
#define HSTATEEN0_ENVCFG (1ul << 62)
#define HSTATEEN0_SE0 (1ul << 63)

#define CAUSE_FETCH_MISALIGNED 0
#define CAUSE_FETCH_ACCESS 1
#define CAUSE_ILLEGAL 2
#define CAUSE_BREAKPOINT 3
#define CAUSE_LOAD_MISALIGNED 4
#define CAUSE_LOAD_ACCESS 5
#define CAUSE_STORE_MISALIGNED 6
#define CAUSE_STORE_ACCESS 7
#define CAUSE_ECALL_U 8
#define CAUSE_ECALL_HS 9
#define CAUSE_ECALL_VS 10
#define CAUSE_FETCH_PAGE_FAULT 12
#define CAUSE_LOAD_PAGE_FAULT 13
#define CAUSE_STORE_PAGE_FAULT 15
#define CAUSE_SOFTWARE_CHECK 18
#define CAUSE_HARDWARE_ERROR 19
#define CAUSE_FETCH_GUEST_PAGE_FAULT 20
#define CAUSE_LOAD_GUEST_PAGE_FAULT 21
#define CAUSE_VIRTUAL_INSTRUCTION 22
#define CAUSE_STORE_GUEST_PAGE_FAULT 23

#define VTYPE_VILL (1ul << 63)

#define SATP_SV39 (8ul << 60)
#define HGATP_MODE_SHIFT 60
#define HGATP_VMID_SHIFT 44
#define HGATP_VMID_MASK 0x3FFFul
#define HGATP_PPN_MASK ((1ul << 44) - 1)
