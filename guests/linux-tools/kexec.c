// SPDX-License-Identifier: BSD-2-Clause
// A program for the Debian guest, without a C library: starts another kernel in place of this one.
//
//   kexec KERNEL INITRD|- [COMMAND-LINE]
//
// KERNEL is a flat image with the RISC-V Linux header, a file or a disk; it gets this kernel's device
// tree, with its own initrd and command line (no longer than this kernel's, so that the tree keeps its
// shape). By kexec_load (Debian's riscv64 kernel has no kexec_file_load) and reboot(2). Comes back only
// with an error.
#include <stddef.h>
#include <stdint.h>

#include "sys.h"

enum { SYS_openat = 56, SYS_read = 63, SYS_write = 64, SYS_exit = 93, SYS_kexec_load = 104 };
enum { SYS_reboot = 142, SYS_mmap = 222 };
enum { AT_FDCWD = -100, PROT_RW = 3, MAP_PRIVATE_ANONYMOUS = 0x22, PAGE = 4096 };
enum { KEXEC_ARCH_RISCV = 243 << 16, REBOOT_KEXEC = 0x45584543 };
enum { FDT_MAGIC = 0xd00dfeed, FDT_BEGIN_NODE = 1, FDT_END_NODE = 2, FDT_PROP = 3, FDT_END = 9 };
#define MIB(n) ((uint64_t)(n) << 20)
#define FILE_MAX MIB(128)

/* linux/kexec.h, struct kexec_segment */
struct segment {
    const void *buf;
    size_t size;
    uint64_t to;
    size_t to_size;
};

static size_t length(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}

static int same(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static void die(const char *what)
{
    syscall6(SYS_write, 2, (long)"kexec: ", 7, 0, 0, 0);
    syscall6(SYS_write, 2, (long)what, (long)length(what), 0, 0, 0);
    syscall6(SYS_write, 2, (long)"\n", 1, 0, 0, 0);
    syscall6(SYS_exit, 1, 0, 0, 0, 0, 0);
    __builtin_unreachable();
}

/* A whole file, or a whole disk. */
static uint8_t *read_all(const char *path, size_t *size)
{
    long fd = syscall6(SYS_openat, AT_FDCWD, (long)path, 0, 0, 0, 0), got;
    uint8_t *to = (uint8_t *)syscall6(SYS_mmap, 0, FILE_MAX, PROT_RW, MAP_PRIVATE_ANONYMOUS, -1, 0);

    if (fd < 0)
        die("a file cannot be opened");
    if ((long)to < 0 && (long)to > -PAGE)
        die("out of memory");
    *size = 0;
    while ((got = syscall6(SYS_read, fd, (long)(to + *size), (long)(FILE_MAX - *size), 0, 0, 0)) >
           0)
        *size += (size_t)got;
    if (got < 0 || !*size || *size == FILE_MAX)
        die("a file cannot be read, is empty or too large");
    return to;
}

/* ---- the device tree (Devicetree Specification 0.4, chapter 5): values are changed in place ---- */

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_be64(uint8_t *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

/* The property of a node that is a child of the root; node without its unit address. NULL: none. */
static uint8_t *find_property(uint8_t *fdt, const char *node, const char *name, uint32_t *size)
{
    uint8_t *p = fdt + be32(fdt + 8);
    const char *strings = (const char *)fdt + be32(fdt + 12);
    int depth = 0, inside = 0;

    for (;;) {
        uint32_t token = be32(p);
        p += 4;
        if (token == FDT_BEGIN_NODE) {
            size_t n = length((const char *)p), i = 0;
            while (node[i] && p[i] == (uint8_t)node[i])
                i++;
            if (++depth == 2)
                inside = !node[i] && (!p[i] || p[i] == '@');
            p += (n + 4) & ~3ul;
        } else if (token == FDT_END_NODE) {
            depth--;
        } else if (token == FDT_PROP) {
            *size = be32(p);
            if (inside && depth == 2 && same(strings + be32(p + 4), name))
                return p + 8;
            p += 8 + ((*size + 3) & ~3u);
        } else if (token == FDT_END) {
            return NULL;
        }
    }
}

static void set_command_line(uint8_t *fdt, const char *line)
{
    uint32_t size;
    uint8_t *to = find_property(fdt, "chosen", "bootargs", &size);
    size_t n = length(line);

    if (!to || n >= size)
        die("the command line is longer than this kernel's own");
    for (size_t i = 0; i < size; i++)
        to[i] = i < n ? (uint8_t)line[i] : 0;
}

static void set_initrd(uint8_t *fdt, uint64_t from, uint64_t to)
{
    uint32_t size;
    uint8_t *start = find_property(fdt, "chosen", "linux,initrd-start", &size);
    uint8_t *end = find_property(fdt, "chosen", "linux,initrd-end", &size);

    if (!start || !end || size != 8)
        die("this kernel has no initrd, so its tree has no place for one");
    put_be64(start, from);
    put_be64(end, to);
}

static uint64_t ram_base(uint8_t *fdt)
{
    uint32_t size;
    const uint8_t *reg = find_property(fdt, "memory", "reg", &size);

    if (!reg || size < 16)
        die("no memory in the device tree");
    return (uint64_t)be32(reg) << 32 | be32(reg + 4);
}

/* ---- what goes where ---- */

static uint64_t round_up(uint64_t v, uint64_t unit) { return (v + unit - 1) & ~(unit - 1); }

static uint64_t little64(const uint8_t *p)
{
    uint64_t v = 0;

    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static void place(struct segment *s, const void *buf, size_t size, uint64_t to)
{
    s->buf = buf;
    s->size = size;
    s->to = to;
    s->to_size = round_up(size, PAGE);
}

static void load(const char *kernel_path, const char *initrd_path, const char *line)
{
    struct segment segment[3];
    size_t kernel_size, initrd_size = 0, fdt_size;
    uint8_t *kernel = read_all(kernel_path, &kernel_size), *initrd = NULL;
    uint8_t *fdt = read_all("/sys/firmware/fdt", &fdt_size);
    uint64_t entry, end;
    long count = 2;

    if (kernel_size < 64 || be32(kernel + 56) != 0x52534305) /* "RSC\x05" */
        die("the kernel has no RISC-V Image header");
    if (be32(fdt) != FDT_MAGIC)
        die("/sys/firmware/fdt is no device tree");
    entry = ram_base(fdt) + little64(kernel + 8);
    end = entry + little64(kernel + 16); /* image_size: with its bss */
    if (end < entry + kernel_size)
        end = entry + kernel_size;
    place(&segment[0], kernel, kernel_size, entry);
    end = round_up(end, MIB(2));
    if (!same(initrd_path, "-")) {
        initrd = read_all(initrd_path, &initrd_size);
        place(&segment[count++], initrd, initrd_size, end + MIB(2));
        set_initrd(fdt, end + MIB(2), end + MIB(2) + initrd_size);
    }
    if (line)
        set_command_line(fdt, line);
    place(&segment[1], fdt, fdt_size, end); /* after its last change */
    if (syscall6(SYS_kexec_load, (long)entry, count, (long)segment, KEXEC_ARCH_RISCV, 0, 0))
        die("the kernel refuses to load it");
}

__attribute__((used)) void kexec_start(long *stack)
{
    char **argv = (char **)(stack + 1);

    if (stack[0] < 3)
        die("usage: kexec KERNEL INITRD|- [COMMAND-LINE]");
    load(argv[1], argv[2], stack[0] > 3 ? argv[3] : NULL);
    syscall6(SYS_reboot, (long)0xfee1dead, 0x28121969, REBOOT_KEXEC, 0, 0, 0);
    die("the kernel refuses to start it");
}

__asm__(".globl _start\n_start:\n mv a0, sp\n andi sp, sp, -16\n tail kexec_start\n");
