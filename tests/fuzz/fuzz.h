// SPDX-License-Identifier: BSD-2-Clause
// What a fuzz target is: a file fuzz_X.c with LLVMFuzzerTestOneInput, linked with driver.c (any gcc)
// or with libFuzzer. A target takes bytes, does what they say, and asserts what must hold whatever
// they say (cmocka's asserts abort here); it leaves nothing behind, so that each input can be run alone.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many mutations a bounded run does (a second or two), and how long inputs may grow. */
extern const unsigned fuzz_runs;
extern const size_t fuzz_max;
/* Optional. The nth input to start from (beside those of tests/fuzz/corpus): its length, 0: no more. */
size_t fuzz_seed(unsigned n, uint8_t *to, size_t max);
/* A buffer that a seed is built in: past max it is cut. */
struct fuzz_out {
    uint8_t *to;
    size_t len, max;
};
static inline void fuzz_put(struct fuzz_out *o, const void *data, size_t len)
{
    if (len > o->max - o->len)
        len = o->max - o->len;
    memcpy(o->to + o->len, data, len);
    o->len += len;
}
static inline void fuzz_put_u(struct fuzz_out *o, uint64_t v, size_t len) { fuzz_put(o, &v, len); }

/* Reads the input; zeros behind its end. */
struct fuzz_in {
    const uint8_t *at;
    size_t left;
};
static inline uint64_t fuzz_u(struct fuzz_in *in, size_t len)
{
    uint64_t v = 0;

    if (len > in->left)
        len = in->left;
    memcpy(&v, in->at, len);
    in->at += len;
    in->left -= len;
    return v;
}
static inline uint8_t fuzz_u8(struct fuzz_in *in) { return (uint8_t)fuzz_u(in, 1); }
static inline uint16_t fuzz_u16(struct fuzz_in *in) { return (uint16_t)fuzz_u(in, 2); }
static inline uint32_t fuzz_u32(struct fuzz_in *in) { return (uint32_t)fuzz_u(in, 4); }
static inline uint64_t fuzz_u64(struct fuzz_in *in) { return fuzz_u(in, 8); }
