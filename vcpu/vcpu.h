// SPDX-License-Identifier: BSD-2-Clause
// A vCPU: the register state of one virtual hart and the thread that runs it; and the guest, what
// the vCPUs of one VM share (hyp/vm's struct vm embeds it).
//
// Invariants: while the vCPU is loaded on a hart (hart->vcpu == it), its VS CSRs live in the hart;
// between vcpu_load and vcpu_unload the fields in "loaded" below are stale. General registers are
// in gpr[] whenever C code of the slow path runs. Nothing of it lives on a C stack at an exit
// boundary, so it can be saved, stopped or destroyed there.
// Lock rank: none of its own; atomics say who may touch what from other harts.
// Callers: vcpu/, vdev/irqchip (through vcpu_irq_set), hyp/vm, hyp/ctl.
#pragma once
#include "base/log.h"
#include "sched/thread.h"
#include "sched/timer.h"
#include "stage2/stage2.h"
#include "vcpu/sse_event.h"
#include "vdev/dev.h"

#define GUEST_MAX_VCPUS 32
#define PMU_COUNTERS 48 /* 0 to 31 are named by their CSRs */
#define PMU_HARDWARE_COUNTERS 32
#define PMU_EVENTS 14 /* firmware events that there can be: codes 0 to 13 */
#define EXIT_RING 16 /* exits that a vCPU remembers */
#define EXIT_CAUSES 64 /* scause codes 0..31, interrupts 32..63 */

struct guest;

/* SBI HSM states, by their SBI numbers (SBI 3.0, "Hart State Management"). */
enum hsm_state {
    HSM_STARTED = 0,
    HSM_STOPPED = 1,
    HSM_START_PENDING = 2,
    HSM_STOP_PENDING = 3,
    HSM_SUSPENDED = 4,
    HSM_SUSPEND_PENDING = 5,
    HSM_RESUME_PENDING = 6,
};

/* enum hsm_state, for people. */
static inline const char *vcpu_hsm_name(uint32_t hsm)
{
    static const char *const names[] = {"started",       "stopped",   "start pending",
                                        "stop pending",  "suspended", "suspend pending",
                                        "resume pending"};

    return hsm < ARRAY_LEN(names) ? names[hsm] : "?";
}

enum { /* vcpu->requests: work for the exit boundary */
       VCPU_REQ_IRQ = 1,       /* irq_level or irq_edge changed */
       VCPU_REQ_FENCE = 2,     /* hfence.vvma for all, before it runs on */
       VCPU_REQ_FENCE_I = 4,
       VCPU_REQ_PARK = 8,      /* leave the guest and stay out: see vcpu_park */
       VCPU_REQ_TIMER = 16,    /* wake_at may have come; without Sstc */
       VCPU_REQ_SSE = 32,      /* a software event may be due: vcpu/sse.h */
       VCPU_REQ_KICK = 64,     /* an exception for a kernel that hangs: vcpu/kick.h */
};

/* Beside v0..v31. Offsets: vcpu/offsets.h. */
struct vector_csrs {
    uint64_t vl, vtype, vcsr, vstart;
};

struct vcpu {
    /* Known to assembly: vcpu/offsets.h. */
    uint64_t gpr[32];       /* x0..x31; [0] is unused */
    uint64_t pc;            /* slow path: sepc at the exit, to be returned to */
    uint64_t stack_top;     /* the thread's stack, empty at an exit */
    struct hart *hart;      /* on which it is loaded: becomes tp at an exit */
    uint64_t exits[EXIT_CAUSES];

    /* Of the current exit, read before anything can trap again. */
    struct {
        uint64_t cause, tval, htval, htinst;
    } exit;

    uint16_t index;         /* 0..: position in guest->vcpu */
    uint64_t hartid;        /* what the guest calls it */
    struct guest *guest;
    _Atomic uint64_t requests;
    _Atomic uint64_t irq_level; /* HVIP_VSEIP, and HVIP_VSTIP where the host lacks Sstc */
    _Atomic uint64_t irq_edge; /* HVIP_VSSIP: raised once, the guest clears it itself */
    atomic_int loaded_hart; /* logical hart on which it is loaded, or -1 */
    int last_hart; /* where it was loaded last, or -1 */
    uint32_t code_seen; /* guest->s2.code_written at that time */
    atomic_bool parked;
    bool yielding; /* at the next boundary, once: others first */
    bool in_wfi; /* blocked in WFI or an HSM retentive suspend */
    _Atomic uint32_t hsm; /* enum hsm_state */
    atomic_bool start_ready; /* start_pc and start_arg are set */
    uint8_t exit_length; /* of the instruction that exited, for EXIT_ADVANCE */

    uint64_t sstatus, hstatus; /* what sret needs: SPP, SPV, SPVP; valid when not loaded */
    /* VS CSRs: valid when not loaded. */
    struct vcpu_csrs {
        uint64_t vsstatus, vsie, vstvec, vsscratch, vsepc, vscause, vstval, vsatp, hvip;
        uint64_t vstimecmp, scounteren, senvcfg, sstateen0;
    } csr;
    /* What FWFT has set (vcpu/sbi/fwft.h); of it, henvcfg is or'ed to the guest's. */
    struct vcpu_fwft {
        uint64_t henvcfg;
        uint32_t locked; /* a bit for each feature */
        bool misaligned; /* misaligned accesses trap to the guest */
    } fwft;
    uint64_t start_pc, start_arg; /* of HSM start or non-retentive resume: a0 = hartid, a1 = arg */
    struct timer timer; /* wakes it for vstimecmp, or is its timer without Sstc */
    uint64_t wake_at; /* guest time of its next timer event without Sstc */
    /* Steal time (vcpu/sta.h): where it is told, or 0; nanoseconds told; ticks that are in these; the area's
     * sequence and preempted flag. */
    struct vcpu_sta {
        uint64_t area, steal, counted;
        uint32_t sequence;
        bool preempted;
    } sta;
    struct thread thread;
    uint64_t fpr[32];
    uint32_t fcsr;
    bool fp_used; /* fpr and fcsr may not be all zero */
    int fp_hart; /* whose FP registers may still be its own; see hart->fp_owner */
    bool vector_used; /* vector_regs and vector hold something; else: as after a reset */
    int vector_hart; /* as fp_hart */
    void *vector_regs; /* v0..v31, 32 * vcpu_features.vlenb bytes; NULL: the host has none */
    struct vector_csrs vector;

    /* The last exits while costs were switched on, for reports: number n is at n % EXIT_RING, the next
     * one is last_exit. */
    struct exit_record {
        uint64_t pc, tval, htval;
        uint8_t row; /* of exits[] */
    } last_exits[EXIT_RING];
    unsigned last_exit;
    uint64_t exits_cost[EXIT_CAUSES]; /* host instret, while costs are switched on */
    uint64_t entered; /* host time of the last switch in */
    const char *stop_reason; /* for people: why it was stopped, or NULL */
    /* Long, and needed by no fast exit: last, so that others are near. */
    struct vcpu_sse sse; /* software events, under guest->sse_lock */
    /* Its counters: vcpu/sbi/counters.h. */
    struct vcpu_pmu {
        uint64_t value[PMU_COUNTERS];
        uint64_t data[PMU_HARDWARE_COUNTERS]; /* with the event */
        uint32_t event[PMU_COUNTERS]; /* 0: none */
        uint8_t filter[PMU_HARDWARE_COUNTERS];
        uint64_t used, running; /* bits: has an event; counts */
        uint64_t overflowed; /* bits: see vcpu/hostpmu.h */
        uint64_t shmem; /* where snapshots go, or 0 */
        _Atomic uint64_t events[PMU_EVENTS]; /* firmware events so far, by code; by any hart */
        uint16_t hart; /* index + 1 of where its counters are set up; 0: nowhere */
    } pmu;
};

/* What the guest asks of its VM, handled above: declared here, filled in by hyp/vm. */
enum guest_event {
    GUEST_SHUTDOWN,
    GUEST_REBOOT_COLD,
    GUEST_REBOOT_WARM,
    GUEST_CRASHED,
    GUEST_WATCHDOG, /* nobody fed it in time */
};
struct guest_ops {
    /* The VM is to end or start again; asynchronous: the caller's vCPU must then stop running
     * (EXIT_STOP). reason: SBI SRST reason, or 0. Safe from any vCPU thread, no locks held. */
    void (*event)(struct guest *g, enum guest_event event, uint32_t reason);
    /* The VM's SBI debug console: bytes taken / read now (may be 0). data is hypervisor memory. */
    size_t (*console_write)(struct guest *g, const char *data, size_t len);
    size_t (*console_read)(struct guest *g, char *to, size_t max);
    /* A vCPU found no memory for its guest's RAM: whether it is to try again after others, since some is on the
     * way (or its VM is about to be stopped); else the VM crashes. Safe from any vCPU thread, no locks held. */
    bool (*no_memory)(struct guest *g);
};

struct guest {
    struct stage2 s2;
    struct bus bus;
    struct vcpu *vcpu[GUEST_MAX_VCPUS];
    unsigned vcpu_count;
    uint16_t id; /* 1..: also the owner of its frames */
    uint64_t time_delta; /* guest time = host time + this */
    uint64_t henvcfg, hstateen0;
    /* Accesses below are devices', by htval; 0 (a test): none is taken the fast way. */
    uint64_t fast_mmio_end;
    _Atomic uint64_t pmu_users; /* a bit for each vCPU that has given events to counters */
    _Atomic uint64_t pmu_counting; /* a bit for each vCPU that counts firmware events */
    bool sstc; /* the guest has Sstc (host has it, and it is not switched off) */
    /* All ones; 0 (a test): every faulting instruction is fetched and decoded. */
    uint64_t htinst_mask;
    uint16_t last_vcpu[HART_MAX]; /* hart n ran vCPU last_vcpu[n] - 1 of this guest last; 0: none */
    struct spinlock sse_lock; /* of all vCPUs' software events */
    struct log_limit log; /* of all lines that the guest can provoke */
    atomic_uint crashed; /* since the start: a vCPU that could not go on has been reported */
    struct fair_group sched; /* its vCPUs' share: weight, cap, affinity */
    const char *name;
    const struct guest_ops *ops;
};

/* CSRs that guests reach, though they have not been given the extensions (AIA, Zcmt, Sdtrig), on hosts without Smstateen,
 * which would keep them away: cleared between guests. */
enum { UNSWITCHED_VSISELECT = 1, UNSWITCHED_JVT = 2, UNSWITCHED_SCONTEXT = 4 };

/* Hosts' features that decide what guests get; probed at boot (vcpu/features.c). */
struct vcpu_features {
    bool vstimecmp; /* the host has it, whether guests get it (sstc) or not */
    bool misaligned_deleg, pmlen7, pmlen16; /* what guests may switch through FWFT, like svadu */
    bool sstc, stateen, zicboz, zicbom, svpbmt, svadu, seed, ssnpm, htinst, htval;
    uint8_t unswitched; /* UNSWITCHED_ bits */
    bool cycle, instret; /* the CSRs can be read */
    bool sscofpmf;
    bool svrsw60t59b; /* bits 60 and 59 of page-table entries are software's */
    uint16_t cbom_block, cboz_block;
    uint32_t vlenb; /* bytes of a vector register; 0: guests have none */
};
extern struct vcpu_features vcpu_features;

/* Makes a vCPU (its thread not started, HSM_STOPPED). NULL when out of memory. */
struct vcpu *vcpu_create(struct guest *g, unsigned index) MUST_CHECK;
void vcpu_destroy(struct vcpu *v); /* parked or never started */
uint64_t vcpu_memory(void); /* bytes that one takes, with its stack */
/* Registers as after a hart's reset; stopped; no interrupts. Parked only. */
void vcpu_reset(struct vcpu *v);
/* Puts the vCPU at pc in VS-mode with a0 = hartid, a1 = arg and makes it runnable: the boot vCPU at
 * VM start, HSM start for others. -EALREADY unless HSM_STOPPED. Any hart. */
int vcpu_start(struct vcpu *v, uint64_t pc, uint64_t arg) MUST_CHECK;
/* Ask it to leave the guest and stay out / let it go on. vcpu_park does not wait: poll vcpu_is_parked, which helps it to
 * its turn on a hart. */
void vcpu_park(struct vcpu *v);
void vcpu_unpark(struct vcpu *v);
bool vcpu_is_parked(struct vcpu *v);

/* An interrupt line of the vCPU: bit is HVIP_VSEIP, HVIP_VSTIP (levels). Any hart. */
void vcpu_irq_set(struct vcpu *v, uint64_t bit, bool level);
void vcpu_irq_raise_ssip(struct vcpu *v); /* an IPI */
/* Sets request bits and makes the vCPU notice: IPI when it runs elsewhere, nothing when it is not
 * running (it looks before it runs), wake-up when it waits in WFI and the request is an IRQ. */
void vcpu_request(struct vcpu *v, uint64_t bits);
/* Guest's timer: next event at guest time t (SBI TIME). Only by the vCPU itself. */
void vcpu_set_timer(struct vcpu *v, uint64_t t);
/* Guest time t in host time; now when it is past, UINT64_MAX when it is too far away to be told. */
uint64_t vcpu_host_time(const struct vcpu *v, uint64_t t);
/* A guest fault or trap for it: set by handlers that return EXIT_INJECT. */
void vcpu_inject(struct vcpu *v, uint64_t cause, uint64_t tval);

/* The register table (vcpu/regs.c): names every register of a vCPU; for the shell, gdb, snapshots, tests. */
struct vcpu_reg {
    const char *name;
    uint16_t offset;
    uint8_t size;
    uint16_t csr;
};
extern const struct vcpu_reg vcpu_regs[];
extern const unsigned vcpu_reg_count;
/* Reads/writes one register of a vCPU that is parked (or not loaded). */
uint64_t vcpu_reg_get(const struct vcpu *v, const struct vcpu_reg *r);
void vcpu_reg_set(struct vcpu *v, const struct vcpu_reg *r, uint64_t value);
void vcpu_save(struct vcpu *v, struct state_writer *w);
int vcpu_load_state(struct vcpu *v, struct state_reader *r) MUST_CHECK;

/* vcpu/walk_vs.c: the VS-stage walk in software, for reports, the shell and gdb: pure but for
 * guest_mem reads. Fills steps (root first), returns their number; *result: 0 and *out, or -EFAULT. */
struct vs_step {
    unsigned level;
    gpa_t table;
    unsigned index;
    uint64_t pte;
};
unsigned vcpu_walk_vs(struct stage2 *s2, uint64_t vsatp, gva_t va, struct vs_step steps[5],
                      gpa_t *out, int *result);
/* The instruction at pc by that walk, not HLVX: whether or not the vCPU is loaded. Of one of 16 bits the upper half is 0.
 * false: it cannot be read. */
bool vcpu_walk_fetch(struct stage2 *s2, uint64_t vsatp, gva_t pc, uint32_t *raw);
