// SPDX-License-Identifier: BSD-2-Clause
        .option arch, +d
        .globl fpu_load
        .balign 4
fpu_load:
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        fld f\n, 8 * \n(a0)
        .endr
        fscsr a1
        ret

        .globl fpu_save
        .balign 4
fpu_save:
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        fsd f\n, 8 * \n(a0)
        .endr
        ret
