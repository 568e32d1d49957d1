// SPDX-License-Identifier: BSD-2-Clause
// Saving and loading of VM state: one byte stream format for suspend, snapshot, clone, migration.
// Integers are little endian. Errors stick: after the first, puts and gets do nothing and the
// final state_*_error tells; so device code checks once, at its end.
// Lock rank: none. Callers: save and load functions of devices, vCPUs, VMs.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

struct state_writer {
    int (*write)(void *ctx, const void *data, size_t len); /* 0 or negative errno */
    void *ctx;
    int error;
};
struct state_reader {
    int (*read)(void *ctx, void *data, size_t len); /* exactly len bytes, or negative errno */
    void *ctx;
    int error;
};

void state_put(struct state_writer *w, const void *data, size_t len);
void state_put_u8(struct state_writer *w, uint8_t v);
void state_put_u16(struct state_writer *w, uint16_t v);
void state_put_u32(struct state_writer *w, uint32_t v);
void state_put_u64(struct state_writer *w, uint64_t v);
void state_get(struct state_reader *r, void *data, size_t len); /* zeroes data after an error */
uint8_t state_get_u8(struct state_reader *r);
uint16_t state_get_u16(struct state_reader *r);
uint32_t state_get_u32(struct state_reader *r);
uint64_t state_get_u64(struct state_reader *r);
/* Marks the stream bad (a value read makes no sense); keeps the first error. */
void state_fail(struct state_reader *r, int error);
