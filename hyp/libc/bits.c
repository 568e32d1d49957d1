// SPDX-License-Identifier: BSD-2-Clause
// What the compiler calls for bit counts on harts without Zbb (libgcc's are built for another ABI).
int __ctzdi2(unsigned long x);
int __clzdi2(unsigned long x);
int __popcountdi2(unsigned long x);

int __popcountdi2(unsigned long x)
{
    x -= x >> 1 & 0x5555555555555555ul;
    x = (x & 0x3333333333333333ul) + (x >> 2 & 0x3333333333333333ul);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0ful;
    return (int)(x * 0x0101010101010101ul >> 56);
}

/* x is not 0, as for __builtin_ctzl: the bits below its lowest one. */
int __ctzdi2(unsigned long x) { return __popcountdi2((x & -x) - 1); }

int __clzdi2(unsigned long x)
{
    for (int shift = 1; shift < 64; shift *= 2)
        x |= x >> shift;
    return 64 - __popcountdi2(x);
}
