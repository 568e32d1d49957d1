#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compares the instruction decoder with binutils: every 16-bit encoding, and random 32-bit ones
(uniform within the major opcodes that the decoder looks into, so that few are wasted).

What either side knows must be the same text. What this binutils is too old for (Zcb, Zacas,
Zabha) is left out and named. Exit status 1 and the first differences when there are any.

    tests/fuzz/decode_vs_objdump.py [--count N] [--seconds N] [--seed N]

10^8 words (--count 100000000) take some eight minutes of one processor, nearly all of them objdump's.
"""
import argparse
import os
import re
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CROSS = os.environ.get('CROSS', 'riscv64-linux-gnu-')
WANTED = 'q v h zfh zicbom zicboz svinval zawrs zcb zacas zabha'.split()
CHUNK = 1000000  # words in one run of objdump

# Mnemonics of the kinds that the decoder names; all else of objdump's is "other" to it.
OURS = r'''(c\.)?(
    l[bhwd]u?(sp)?|s[bhwd](sp)?|f[ls][hwdq](sp)?|
    lr\.[wd].*|sc\.[wd].*|amo.*|cbo\..*|csrr[wsc]i?|
    wfi|wrs\..*|sret|mret|ecall|ebreak|s(fence|inval)\..*|h(fence|inval)\..*|hl?s?vx?\..*)'''
VECTOR_ACCESS = r'v[ls][0-9a-z_]*\.v'


def run(*args, **kw):
    return subprocess.run(args, check=True, capture_output=True, text=True, **kw).stdout


def march(tmp):
    """The richest -march that this assembler takes, and the wanted extensions that it lacks."""
    have, lack = 'rv64gc', []
    open(f'{tmp}/empty.s', 'w').close()
    for ext in WANTED:
        if ext in ('q', 'v', 'h'):
            new = have.replace('rv64g', 'rv64g' + ext) if ext == 'q' else have + ext
        else:
            new = f'{have}_{ext}'
        ok = subprocess.run([CROSS + 'as', '-march=' + new, f'{tmp}/empty.s', '-o', f'{tmp}/e.o'],
                            capture_output=True).returncode == 0
        have = new if ok else have
        if not ok:
            lack.append(ext)
    return have, lack


def object_file(tmp, arch):
    """The words in tmp/words as a program for objdump; the assembler says which extensions it may have."""
    run(CROSS + 'as', '-march=' + arch, f'{tmp}/empty.s', '-o', f'{tmp}/e.o')
    run(CROSS + 'objcopy', '--update-section', f'.text={tmp}/words',
        '--set-section-flags', '.text=alloc,code,contents', f'{tmp}/e.o', f'{tmp}/w.o')


def whole(expression):
    return '^(' + ''.join(expression.split()) + ')$'


def compare(tmp, arch, lack):
    """{counts} of one run of objdump beside the decoder over tmp/words; what differs is printed."""
    object_file(tmp, arch)
    theirs = subprocess.Popen([CROSS + 'objdump', '-D', '-z', '-j', '.text', '-M', 'no-aliases', f'{tmp}/w.o'],
                              stdout=subprocess.PIPE)
    text = run(f'{tmp}/decode', 'compare', whole(OURS), whole(VECTOR_ACCESS), ' '.join(lack), stdin=theirs.stdout)
    if theirs.wait():
        sys.exit('objdump failed')
    *differences, counts = text.splitlines()
    for line in differences:
        print(line)
    found = re.fullmatch(r'words (\d+) named (\d+) skipped (\d+) different (\d+) hash (\w+)', counts)
    return dict(zip(('words', 'named', 'skipped', 'different', 'hash'), (int(n, 0) for n in found.groups())))


def write_chunk(tmp, words, random_words):
    """Numbers of the CSRs first, as the comparing program wants them; 16-bit words are padded with c.nop, so that every
    word is four bytes and a wrong length cannot shift the rest."""
    with open(f'{tmp}/words', 'wb') as f:
        for w in [n << 20 | 0x2073 for n in range(4096)] + words:
            f.write(struct.pack('<I', w if w & 3 == 3 else (w & 0xffff) | 0x00010000))
        f.flush()
        if random_words:
            seed, count = random_words
            subprocess.run([f'{tmp}/decode', 'words', str(seed), str(count)], check=True, stdout=f)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--count', type=int, default=300000)
    ap.add_argument('--seconds', type=int, help='go on for so long, whatever the count')
    ap.add_argument('--seed', type=int, default=1)
    args = ap.parse_args()
    fixed = [0x73, 0x100073, 0x10200073, 0x30200073, 0x10500073, 0xd00073, 0x1d00073, 0x18000073, 0x18100073]
    compressed = [w for w in range(0x10000) if w & 3 != 3]
    with tempfile.TemporaryDirectory() as tmp:
        run('gcc', '-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-I' + ROOT + '/tests/fake', '-I' + ROOT,
            '-I' + ROOT + '/hyp', '-o', f'{tmp}/decode',
            *[f'{ROOT}/{f}' for f in ('tests/fuzz/decode_compare.c', 'tests/fuzz/fmt_host.c',
                                      'vcpu/insn.c', 'vcpu/insn_describe.c')])
        arch, lack = march(tmp)
        sums, done, end = [], 0, time.monotonic() + (args.seconds or 0)
        write_chunk(tmp, compressed + fixed, None)
        sums.append(compare(tmp, arch, lack))
        while time.monotonic() < end if args.seconds else done < args.count:
            count = CHUNK if args.seconds else min(CHUNK, args.count - done)
            write_chunk(tmp, [], (args.seed * 1000003 + done, count))
            sums.append(compare(tmp, arch, lack))
            done += count
    total = {key: sum(s[key] for s in sums) for key in sums[0]}
    assert total['words'] == len(compressed) + len(fixed) + done
    assert total['named'] > total['words'] // 10, 'hardly anything was compared'
    print(f'decode_vs_objdump: {total["words"]} encodings, {total["named"]} of them named by both, '
          f'{total["skipped"]} left out (this binutils lacks: {" ".join(lack) or "nothing"}), '
          f'{total["different"]} differences')
    print(f'fnv1a of objdump\'s compressed ones: {sums[0]["hash"]:#x}')
    return 1 if total['different'] else 0


if __name__ == '__main__':
    sys.exit(main())
