// SPDX-License-Identifier: BSD-2-Clause
// The byte stream of VM state: little-endian integers and raw bytes, with an error that sticks.
#include "base/state.h"

#include <string.h>

void state_put(struct state_writer *w, const void *data, size_t len)
{
    if (!w->error && len)
        w->error = w->write(w->ctx, data, len);
}

static void put_le(struct state_writer *w, uint64_t v, size_t len)
{
    uint8_t b[8];

    for (size_t i = 0; i < len; i++)
        b[i] = (uint8_t)(v >> (8 * i));
    state_put(w, b, len);
}

void state_put_u8(struct state_writer *w, uint8_t v) { put_le(w, v, 1); }
void state_put_u16(struct state_writer *w, uint16_t v) { put_le(w, v, 2); }
void state_put_u32(struct state_writer *w, uint32_t v) { put_le(w, v, 4); }
void state_put_u64(struct state_writer *w, uint64_t v) { put_le(w, v, 8); }

void state_get(struct state_reader *r, void *data, size_t len)
{
    if (!r->error && len)
        r->error = r->read(r->ctx, data, len);
    /* A reader that failed may have filled a part: nobody shall act on that. */
    if (r->error)
        memset(data, 0, len);
}

static uint64_t get_le(struct state_reader *r, size_t len)
{
    uint8_t b[8];
    uint64_t v = 0;

    state_get(r, b, len);
    for (size_t i = 0; i < len; i++)
        v |= (uint64_t)b[i] << (8 * i);
    return v;
}

uint8_t state_get_u8(struct state_reader *r) { return (uint8_t)get_le(r, 1); }
uint16_t state_get_u16(struct state_reader *r) { return (uint16_t)get_le(r, 2); }
uint32_t state_get_u32(struct state_reader *r) { return (uint32_t)get_le(r, 4); }
uint64_t state_get_u64(struct state_reader *r) { return get_le(r, 8); }

void state_fail(struct state_reader *r, int error)
{
    if (!r->error)
        r->error = error;
}
