// SPDX-License-Identifier: BSD-2-Clause
// VMs: configuration, lifecycle, the list of all.
//
// States, and what changes them (everything else is refused with -EBUSY and a reason):
//   start     OFF                        -> RUNNING
//   pause     RUNNING                    -> PAUSED
//   resume    PAUSED                     -> RUNNING
//   stop      RUNNING, PAUSED, CRASHED   -> OFF
//   reset     the same, then start       -> RUNNING
//   destroy   OFF, CRASHED               -> gone
// A guest's own shutdown, reboot or crash is carried out by the VM manager's thread, since a vCPU cannot wait for
// itself. CRASHED keeps its memory for inspection.
// Invariants: OFF holds no guest frames. All operations may sleep (they wait for vCPUs to park):
// call them from threads only, no locks held.
// Lock rank: LOCK_VM for the list. Callers: ctl, boot, the manager itself.
#pragma once
#include "blk/limit.h"
#include "net/switch.h"
#include "vcpu/vcpu.h"
#include "vdev/watchdog.h"
#include "vm/bundle.h"

#define VM_NAME_MAX 32
#define VM_MAX 64
#define VM_MAX_DISKS 4
#define VM_MAX_NETS VM_CARDS

enum vm_state { VM_OFF, VM_RUNNING, VM_PAUSED, VM_CRASHED };

/* A piece of the bundle: stays in the bundle's memory. */
struct vm_image {
    const char *name;
    const void *data;
    uint64_t size;
};

#define VM_PART_NAME 37 /* a GPT's name has at most 36 characters */

struct vm_disk {
    enum { VM_DISK_RAM, VM_DISK_HOST, VM_DISK_PART } kind;
    struct vm_image image; /* RAM */
    unsigned host_index; /* HOST: which of the host's disks */
    char part[VM_PART_NAME]; /* PART: the name of a partition on any of the host's disks */
    bool qcow2; /* PART: it holds an image, else it is the disk itself */
    bool read_only;
    struct blk_limit limit;
    char serial[21]; /* "": one that the disk has of itself */
};

/* A network card; port.mac all zero: by the VM's name. */
struct vm_net {
    struct switch_config network;
    struct port_config port;
};

/* A VM's share of the harts; all zero: the default. */
struct vm_sched {
    unsigned weight; /* 1..FAIR_WEIGHT_MAX; 0: FAIR_WEIGHT_DEFAULT */
    unsigned cap; /* percent of one hart, at most 100 for each vCPU; 0: none */
    uint64_t affinity; /* bit n: may run on hart n of `harts`; 0: on all */
};

struct vm_config {
    char name[VM_NAME_MAX];
    unsigned vcpus;
    uint64_t memory; /* bytes, a multiple of 4 KiB */
    /* That all images lie in, and that the VM keeps; NULL: they stay by themselves. */
    struct bundle *bundle;
    struct vm_image kernel, initrd; /* initrd.size 0: none */
    char bootargs[512];
    struct vm_disk disk[VM_MAX_DISKS];
    unsigned disk_count;
    struct vm_net net[VM_MAX_NETS];
    unsigned net_count;
    struct vm_sched sched;
    bool autostart;
    bool watchdog; /* it has one */
    bool uart_console; /* stdout-path: the UART; else hvc0 through virtio or SBI */
};

struct console;

struct vm {
    struct guest guest; /* first: guest_to_vm */
    struct vm_config config;
    _Atomic unsigned state; /* enum vm_state */
    struct console *console; /* hyp/ctl/console.h: what its console devices are connected to */
    struct blk_backend *disk[VM_MAX_DISKS];
    struct vdev *plic;
    struct vm_watchdog {
        struct timer timer;
        _Atomic uint64_t deadline; /* guest time; UINT64_MAX: it does not run */
        struct watchdog_backend backend;
    } watchdog;
    void *fdt; /* the guest's tree as built at the last start; heap */
    size_t fdt_size; /* of fdt, if there is one */
    uint64_t boots, started_at;
    uint64_t made_in; /* how long vm_create took, in ticks */
    char end_reason[96]; /* why it is OFF or CRASHED, for people */
    char crash_report[1024];
    bool keeps_memory; /* stopping it for its memory failed; the manager's, until its next start */
    bool busy; /* an operation is under way; LOCK_VM */
    unsigned holders; /* vm_hold; LOCK_VM */
    _Atomic uint64_t pending; /* a guest's event for the manager: vm_event_pack(); 0: none */
    uint64_t paused_at; /* host time */
    uint64_t top_at, top_ran; /* when `top` was asked for last; what it had run by then */
    char why[192]; /* of the last operation that failed */
};

static inline struct vm *guest_to_vm(struct guest *g) { return CONTAINER_OF(g, struct vm, guest); }

/* Errors of all operations: -EBUSY (wrong state, or another operation on this VM is under way),
 * -ENOMEM, -EINVAL (the configuration cannot work), -ETIMEDOUT (a vCPU did not leave its guest);
 * *why, never NULL then, says it for people; valid until the next operation on this VM. */
/* Makes an OFF VM; copies config. -EEXIST (name), -ENOSPC, -ENOMEM, -EINVAL; *why says more. */
int vm_create(const struct vm_config *config, struct vm **out, const char **why) MUST_CHECK;
/* hyp/vm/vm_from_bundle.c: the same for the VM of this name in a bundle that is still in memory. Also -ENOENT. */
int vm_from_bundle(const char *name, struct vm **out, const char **why) MUST_CHECK;
/* From the states above to the others; each comes back when the VM is there, or as it was before. */
int vm_start(struct vm *vm, const char **why) MUST_CHECK;
int vm_stop(struct vm *vm, const char **why) MUST_CHECK;
int vm_pause(struct vm *vm, const char **why) MUST_CHECK;
int vm_resume(struct vm *vm, const char **why) MUST_CHECK;
int vm_reset(struct vm *vm, const char **why) MUST_CHECK;
int vm_destroy(struct vm *vm, const char **why) MUST_CHECK;
/* hyp/vm/vm_sched.c. In any state, at once; -EINVAL: nothing is changed. */
int vm_set_sched(struct vm *vm, const struct vm_sched *s, const char **why) MUST_CHECK;
int vm_sched_check(const struct vm_sched *s, unsigned vcpus, const char **why) MUST_CHECK;
/* hyp/vm/vm_disk.c. What a disk of a VM may ask for from now on, until the VM is destroyed; -EINVAL: nothing is changed. */
int vm_set_disk_limit(struct vm *vm, unsigned disk, const struct blk_limit *limit,
                      const char **why) MUST_CHECK;
/* The disk called "VM/disk-N". -ENOENT. */
int vm_find_disk(const char *device, struct vm **vm, unsigned *disk) MUST_CHECK;
/* The disk that the partition of this name is, or is in, and that is written to. -ENOENT. */
int vm_find_writer(const char *image, struct vm **vm, unsigned *disk) MUST_CHECK;
/* Makes a disk larger while its VM, in whatever state, has it: the guest is told. As disks_grow; -EINVAL also for disks that cannot
 * grow. By the image's name: also one that no VM has. From the thread that destroys VMs. */
int vm_resize_disk(struct vm *vm, unsigned disk, uint64_t size, char *why,
                   size_t why_size) MUST_CHECK;
int vm_resize_image(const char *name, uint64_t size, char *why, size_t why_size) MUST_CHECK;
struct vm *vm_find(const char *name); /* NULL: there is none */
/* The list, for iteration: index 0..VM_MAX-1, NULL entries are free. */
struct vm *vm_at(unsigned index);
/* The same for other threads than the one that destroys VMs: what is held is not freed before vm_let_go, for which
 * vm_destroy waits, so neither waits for long. NULL needs no letting go. */
struct vm *vm_hold(unsigned index) MUST_CHECK;
void vm_let_go(struct vm *vm);
const char *vm_state_name(enum vm_state s);
/* Starts the manager thread, which first starts every VM with config.autostart, then carries out
 * what guests ask for. power_off_when_idle: when a guest has ended (not: was stopped by a person),
 * or none could start, and no VM runs or is paused, disks are flushed and the machine powers off
 * (SRST reason "system failure" when a VM crashed or could not start). */
int vm_manager_start(bool power_off_when_idle) MUST_CHECK;
/* Flushes all disks and powers the machine off; comes back (logged) only when the firmware cannot.
 * failure: the SRST reason is "system failure". From threads only. */
void vm_machine_off(bool failure);
/* Set at boot by whoever has something to end on the hart that asks for it; NULL: nobody. */
extern void (*vm_before_off)(void);

/* hyp/vm/guest_fdt.c: the tree for the guest, in a heap block of *size bytes; -ENOMEM. */
struct guest_fdt_facts {
    const struct vm_config *config;
    const char *isa_extensions; /* what the guest really gets, space separated: "i m a f d c …" */
    uint64_t timebase_hz, ram_base, initrd_base, plic_base, uart_base, virtio_base;
    uint64_t rtc_base, watchdog_base; /* 0: none */
    uint32_t uart_irq, rtc_irq, virtio_irq; /* virtio n: virtio_irq + n */
    unsigned virtio_count;
    uint32_t cbom_block, cboz_block;
    const char *mmu_type; /* "riscv,sv57" … */
    uint8_t rng_seed[32];
};
int guest_fdt_build(const struct guest_fdt_facts *facts, void **fdt, size_t *size) MUST_CHECK;
