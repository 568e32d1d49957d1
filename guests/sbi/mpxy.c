// SPDX-License-Identifier: BSD-2-Clause
// MPXY (chapter 20): memory, channels that are none. What a channel does is its protocol's.
#include "sbi/spec.h"

enum { SHMEM_SIZE, SET_SHMEM, CHANNELS, READ, WRITE, SEND, POST, EVENTS };
#define ALL (~0ul)
#define NO_CHANNEL 0xFFFFFFF0ul

static struct sbi_ret set(uint64_t low, uint64_t high)
{
    return CALL(EXT_MPXY, SET_SHMEM, low, high, 0);
}

static uint8_t *area(void)
{
    return spec_pages; /* three pages: as much as the size check allows */
}

SPEC_CHECK(EXT_MPXY, SHMEM_SIZE, mpxy_shmem_size)
{
    struct sbi_ret r = CALL(EXT_MPXY, SHMEM_SIZE);

    check(r.error == SBI_OK && r.value >= 4096 && !(r.value & 4095), "error %ld, size %lx", r.error,
          r.value);
}

SPEC_CHECK(EXT_MPXY, SET_SHMEM, mpxy_set_shmem)
{
    struct shmem s = {set, CALL(EXT_MPXY, SHMEM_SIZE).value, 4096, SBI_INVALID_ADDRESS, 0};

    check_shmem(&s);
    for (unsigned bit = 1; bit < 64; bit++)
        check_error(CALL(EXT_MPXY, SET_SHMEM, (uint64_t)area(), 0, 1ul << bit), SBI_INVALID_PARAM,
                    "flag bit %u", bit);
    check_error(set(ALL, ALL), SBI_OK, "off");
}

static void check_no_shmem(uint64_t fid)
{
    set(ALL, ALL);
    check_error(CALL(EXT_MPXY, fid, 0, 0, 1), SBI_NO_SHMEM, "no memory");
    check_error(set((uint64_t)area(), 0), SBI_OK, "memory");
}

SPEC_CHECK(EXT_MPXY, CHANNELS, mpxy_channels)
{
    check_no_shmem(CHANNELS);
    check_error(CALL(EXT_MPXY, CHANNELS, 0x7FFFFFFF), SBI_INVALID_PARAM, "no such index");
    set(ALL, ALL);
}

static void check_channel(uint64_t fid)
{
    check_no_shmem(fid);
    check_error(CALL(EXT_MPXY, fid, NO_CHANNEL, 0, 1), SBI_NOT_SUPPORTED, "no such channel");
    set(ALL, ALL);
}

SPEC_CHECK(EXT_MPXY, READ, mpxy_read) { check_channel(READ); }
SPEC_CHECK(EXT_MPXY, WRITE, mpxy_write) { check_channel(WRITE); }
SPEC_CHECK(EXT_MPXY, SEND, mpxy_send) { check_channel(SEND); }
SPEC_CHECK(EXT_MPXY, POST, mpxy_post) { check_channel(POST); }
SPEC_CHECK(EXT_MPXY, EVENTS, mpxy_events) { check_channel(EVENTS); }
