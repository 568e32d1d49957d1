// SPDX-License-Identifier: BSD-2-Clause
// pcapng, the format of Wireshark's captures (IETF draft-ietf-opsawg-pcapng): one section, one interface, Ethernet, times in
// nanoseconds. Little endian, which the section's header tells readers.
// Pure. Lock rank: none. Callers: capture.c.
#pragma once
#include "base/util.h"

enum {
    PCAPNG_NAME = 48, /* most bytes of an interface's name */
    PCAPNG_BEGIN = 128, /* most bytes of what begins a file */
    PCAPNG_HEAD = 28, /* before a frame's bytes */
    PCAPNG_TAIL = 3 + 8 + 12 + 4 + 4, /* most bytes behind them */
    PCAPNG_END = 52
};

/* Section and interface: how many bytes they are. */
uint32_t pcapng_begin(uint8_t to[PCAPNG_BEGIN], const char *interface, uint32_t snaplen);

struct pcapng_frame {
    uint64_t time; /* ns */
    uint32_t captured, length; /* bytes of it that follow, and that there were */
    bool sent; /* by the interface's owner; else received */
    uint64_t lost; /* frames since the last one */
};
/* The block of a frame is PCAPNG_HEAD bytes, the captured ones, and the tail, whose length is returned. */
void pcapng_head(uint8_t to[PCAPNG_HEAD], const struct pcapng_frame *f);
uint32_t pcapng_tail(uint8_t to[PCAPNG_TAIL], const struct pcapng_frame *f);
/* Of any block, by its first 8 bytes: how long it is. */
uint32_t pcapng_block_size(const uint8_t head[8]);
/* Counts at the end: PCAPNG_END bytes. */
void pcapng_end(uint8_t to[PCAPNG_END], uint64_t time, uint64_t frames, uint64_t lost);
