// SPDX-License-Identifier: BSD-2-Clause
#include "net/pcapng.h"

#include <string.h>

#define SECTION 0x0a0d0d0au
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
enum { INTERFACE = 1, STATISTICS = 5, ENHANCED_PACKET = 6 };
enum { LINK_ETHERNET = 1, MAJOR = 1, NANOSECONDS = 9 };
enum { /* options */
       OPT_END = 0,
       SHB_USER_APPLICATION = 4,
       IF_NAME = 2,
       IF_TSRESOL = 9,
       EPB_FLAGS = 2,
       EPB_DROP_COUNT = 4,
       ISB_IF_RECEIVED = 4,
       ISB_IF_DROPPED = 5
};
enum { INBOUND = 1, OUTBOUND = 2 }; /* flags */

static uint8_t *put16(uint8_t *to, uint32_t v)
{
    to[0] = (uint8_t)v;
    to[1] = (uint8_t)(v >> 8);
    return to + 2;
}

static uint8_t *put32(uint8_t *to, uint32_t v) { return put16(put16(to, v), v >> 16); }

static uint8_t *put64(uint8_t *to, uint64_t v)
{
    return put32(put32(to, (uint32_t)v), (uint32_t)(v >> 32));
}

/* A 64-bit time is written upper half first. */
static uint8_t *put_time(uint8_t *to, uint64_t t)
{
    return put32(put32(to, (uint32_t)(t >> 32)), (uint32_t)t);
}

/* An option's value is padded to 32 bits. */
static uint8_t *put_option(uint8_t *to, unsigned code, const void *value, size_t len)
{
    to = put16(put16(to, code), (uint32_t)len);
    memset(to, 0, (len + 3) / 4 * 4);
    memcpy(to, value, len);
    return to + (len + 3) / 4 * 4;
}

static uint8_t *put_count(uint8_t *to, unsigned code, uint64_t count)
{
    uint8_t value[8];

    put64(value, count);
    return put_option(to, code, value, sizeof(value));
}

/* The block that begins at block ends at to: its length is its second and its last word. */
static uint8_t *end_block(uint8_t *block, uint8_t *to)
{
    uint32_t size = (uint32_t)(to + 4 - block);

    put32(block + 4, size);
    return put32(to, size);
}

uint32_t pcapng_begin(uint8_t to[PCAPNG_BEGIN], const char *interface, uint32_t snaplen)
{
    static const char user[] = "Trapline";
    const uint8_t resolution = NANOSECONDS;
    uint8_t *block = to, *at;

    at = put32(put32(put32(to, SECTION), 0), BYTE_ORDER_MAGIC);
    at = put64(put16(put16(at, MAJOR), 0), ~0ull); /* its length is not known */
    at = put_option(at, SHB_USER_APPLICATION, user, sizeof(user) - 1);
    at = end_block(block, put32(at, OPT_END));
    block = at;
    at = put32(put16(put16(put32(put32(at, INTERFACE), 0), LINK_ETHERNET), 0), snaplen);
    at = put_option(at, IF_NAME, interface, min_u64(strlen(interface), PCAPNG_NAME));
    at = put_option(at, IF_TSRESOL, &resolution, sizeof(resolution));
    return (uint32_t)(end_block(block, put32(at, OPT_END)) - to);
}

static uint32_t padding(const struct pcapng_frame *f) { return -f->captured & 3; }

static uint32_t tail_size(const struct pcapng_frame *f)
{
    return padding(f) + 8 + (f->lost ? 12 : 0) + 4 + 4;
}

void pcapng_head(uint8_t to[PCAPNG_HEAD], const struct pcapng_frame *f)
{
    to = put32(put32(to, ENHANCED_PACKET), PCAPNG_HEAD + f->captured + tail_size(f));
    put32(put32(put_time(put32(to, 0), f->time), f->captured), f->length);
}

uint32_t pcapng_tail(uint8_t to[PCAPNG_TAIL], const struct pcapng_frame *f)
{
    uint8_t flags[4];
    uint8_t *at = to + padding(f);

    memset(to, 0, padding(f));
    put32(flags, f->sent ? OUTBOUND : INBOUND);
    at = put_option(at, EPB_FLAGS, flags, sizeof(flags));
    if (f->lost)
        at = put_count(at, EPB_DROP_COUNT, f->lost);
    put32(put32(at, OPT_END), PCAPNG_HEAD + f->captured + tail_size(f));
    return tail_size(f);
}

uint32_t pcapng_block_size(const uint8_t head[8])
{
    return head[4] | (uint32_t)head[5] << 8 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 24;
}

void pcapng_end(uint8_t to[PCAPNG_END], uint64_t time, uint64_t frames, uint64_t lost)
{
    uint8_t *at = put_time(put32(put32(put32(to, STATISTICS), 0), 0), time);

    at = put_count(at, ISB_IF_RECEIVED, frames + lost);
    at = put_count(at, ISB_IF_DROPPED, lost);
    end_block(to, put32(at, OPT_END));
}
