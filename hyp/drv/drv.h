// SPDX-License-Identifier: BSD-2-Clause
// Drivers of the host's devices. Each init takes facts from struct platform; absent hardware is 0 devices, never an error.
// Lock rank: LOCK_BACKEND inside. Callers: boot/main.c; vm (disks), boot (entropy).
#pragma once
#include "boot/platform.h"
#include "vdev/backend.h"

/* uart.c / sbi_console.c: the host's terminal. Early: write only, polled. */
void host_console_init(const struct platform *p);
void host_console_write(const char *data, size_t len);
/* With the interrupt controller up: input goes to rx() as it comes. Where there is no interrupt,
 * it is polled: every 10 ms while somebody types, every 100 ms when nobody has for 10 s. */
void host_console_start(void (*rx)(const char *data, size_t len));

/* host_irq.c: external interrupts of the host by its PLIC or AIA (plic.c, aplic.c), all routed to the boot hart.
 * host_irq_handle is called on SEIP. */
int host_irq_init(const struct platform *
                      p); /* 0; -ENODEV: no controller that reaches the boot hart, which calls it */
const char *host_irq_name(void); /* for the banner */
/* 0; -ENODEV: no controller; -EINVAL: it has no such source; -ENOSPC; -EEXIST. */
int host_irq_register(uint32_t irq, void (*fn)(void *arg), void *arg);
void host_irq_hart_init(void); /* on each hart */
void host_irq_handle(void);

/* virtio_host.c: finds the host's virtio-mmio devices; virtio_blk_host.c, virtio_rng_host.c. */
void virtio_host_init(const struct platform *p);
unsigned host_disk_count(void);
uint64_t host_disk_sectors(unsigned n); /* 512 bytes each; 0: no such disk */
/* A range of the nth disk as a backend of its own; closed by backend->close. NULL: no such disk or range, out of memory,
 * or taken: nobody reads or writes what another one may write. HOST_DISK_LOOK only reads, and shares with
 * all: for tables that have checksums. The backend's grow makes the range longer. */
enum host_disk_use { HOST_DISK_READ, HOST_DISK_WRITE, HOST_DISK_LOOK };
struct blk_backend *host_disk_open_range(unsigned n, uint64_t first, uint64_t sectors,
                                         enum host_disk_use use);
/* All of it. */
struct blk_backend *host_disk_open(unsigned n, bool read_only);

/* host_rtc.c: the host's clock of the day. NULL: it has none. Call the first before other harts run. */
void host_rtc_init(const struct platform *p);
const struct clock_backend *host_rtc(void);

/* entropy.c: ChaCha20 generator seeded from virtio-rng, Zkr, and the boot seed. */
void entropy_init(const struct platform *p);
const char *entropy_source(void); /* for the banner */
extern struct entropy_backend entropy;
