#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compares the instruction decoder with binutils: every 16-bit encoding, and random 32-bit ones
(uniform within the major opcodes that the decoder looks into, so that few are wasted).

What either side knows must be the same text. What this binutils is too old for (Zcb, Zacas,
Zabha) is left out and named. Exit status 1 and the first differences when there are any.

    tests/fuzz/decode_vs_objdump.py [--count N] [--seed N]
"""
import argparse
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CROSS = os.environ.get('CROSS', 'riscv64-linux-gnu-')
WANTED = 'q v h zfh zicbom zicboz svinval zawrs zcb zacas zabha'.split()
MAJORS = (0x03, 0x07, 0x0f, 0x23, 0x27, 0x2f, 0x73)

# Mnemonics of the kinds that the decoder names; all else of objdump's is "other" to it.
OURS = re.compile(r'''(c\.)?(
    l[bhwd]u?(sp)?|s[bhwd](sp)?|f[ls][hwdq](sp)?|
    lr\.[wd].*|sc\.[wd].*|amo.*|cbo\..*|csrr[wsc]i?|
    wfi|wrs\..*|sret|mret|ecall|ebreak|s(fence|inval)\..*|h(fence|inval)\..*|hl?s?vx?\..*)''', re.X)
VECTOR_ACCESS = re.compile(r'v[ls]\w*\.v$')


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


def objdump(tmp, arch, words):
    """objdump's text for each word; 16-bit ones are padded with c.nop, so that every word is four
    bytes and a wrong length cannot shift the rest."""
    with open(f'{tmp}/words', 'wb') as f:
        for w in words:
            f.write(struct.pack('<I', w if w & 3 == 3 else (w & 0xffff) | 0x00010000))
    run(CROSS + 'as', '-march=' + arch, f'{tmp}/empty.s', '-o', f'{tmp}/e.o')
    run(CROSS + 'objcopy', '--update-section', f'.text={tmp}/words',
        '--set-section-flags', '.text=alloc,code,contents', f'{tmp}/e.o', f'{tmp}/w.o')
    text = {}
    for line in run(CROSS + 'objdump', '-D', '-j', '.text', '-M', 'no-aliases',
                    f'{tmp}/w.o').splitlines():
        m = re.match(r'\s*([0-9a-f]+):\t[0-9a-f ]+\t(.*)', line)
        if m:
            text[int(m[1], 16)] = m[2].split('#')[0].split('<')[0].strip().replace('\t', ' ')
    return [text.get(i * 4, 'missing') for i in range(len(words))]


def csr_names(tmp, arch):
    """objdump's name of each CSR number, back to our form."""
    names = {}
    for n, text in enumerate(objdump(tmp, arch, [n << 20 | 0x2073 for n in range(4096)])):
        m = re.match(r'csrrs zero,(\w+),zero', text)
        assert m, f'CSR {n:#x}: {text!r}'
        assert m[1] not in names, f'two CSRs are called {m[1]}'
        names[m[1]] = n
    for name, n in {'sstatus': 0x100, 'satp': 0x180, 'hstatus': 0x600, 'time': 0xc01}.items():
        assert names[name] == n, name
    return names


def normal(text, names):
    """objdump's text in the decoder's form, or None for what the decoder calls other or unknown."""
    if text == 'unimp':               # an alias that no-aliases leaves
        return 'csrrw zero,0xc00,zero'
    mnemonic = text.split(' ')[0]
    if VECTOR_ACCESS.match(mnemonic):
        return 'vector'
    if mnemonic == 'sfence.vm' or not OURS.fullmatch(mnemonic): # sfence.vm: gone since 1.10
        return None
    if mnemonic.startswith('csrr'):
        op, rest = text.split(' ')
        rd, csr, src = rest.split(',')
        return f'{op} {rd},{names[csr]:#x},{src}'
    return text.replace(',0(', ',(') if mnemonic.startswith(('lr.', 'sc.', 'amo')) else text


def too_new(raw, lack):
    """Whether the word belongs to an extension that this binutils does not know."""
    if raw & 3 != 3:
        return 'zcb' in lack and raw & 0xe003 == 0x8000
    if raw & 0x7f != 0x2f:
        return False
    funct3, cas = raw >> 12 & 7, raw >> 27 == 5
    return ('zacas' in lack and cas) or ('zabha' in lack and funct3 < 2)


def random_words(count, rng):
    """32-bit words: random ones of the majors decoded, some with most fields zero (privileged
    instructions are points in a large space), and some of any opcode."""
    words = []
    for i in range(count):
        w = rng.getrandbits(32)
        how = i % 16
        if how == 0:
            w |= 3
        else:
            w = w & ~0x7f | MAJORS[i % len(MAJORS)]
        if how in (1, 2, 3):
            w &= ~0xf80               # rd = 0
        if how in (2, 3):
            w &= ~0x01f00000 | (rng.choice((0, 1, 3)) << 20)
        if how in (3, 4, 5):
            w &= ~0x7000 | (rng.choice((0, 2, 4)) << 12)
        if how == 3:
            w &= ~0x000f8000
        if w & 0x1f != 0x1f:          # longer than 32 bits: not objdump's business here
            words.append(w)
    return words


def fnv1a(words, texts):
    """64-bit FNV-1a of "xxxx text\\n" for each 16-bit word that is named, Zcb's left out:
    tests/unit/test_insn.c holds it as its expected value."""
    h = 0xcbf29ce484222325
    for w, text in zip(words, texts):
        if w & 3 != 3 and w < 0x10000 and text and not too_new(w, ['zcb']):
            for c in f'{w:04x} {text}\n'.encode():
                h = (h ^ c) * 0x100000001b3 & (1 << 64) - 1
    return h


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--count', type=int, default=300000)
    ap.add_argument('--seed', type=int, default=1)
    args = ap.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        run('gcc', '-std=gnu11', '-O1', '-I' + ROOT + '/tests/fake', '-I' + ROOT,
            '-I' + ROOT + '/hyp', '-o', f'{tmp}/describe',
            *[f'{ROOT}/{f}' for f in ('tests/fuzz/describe_all.c', 'tests/fuzz/fmt_host.c',
                                      'vcpu/insn.c', 'vcpu/insn_describe.c')])
        arch, lack = march(tmp)
        names = csr_names(tmp, arch)
        words = [w for w in range(0x10000) if w & 3 != 3]
        fixed = (0x73, 0x100073, 0x10200073, 0x30200073, 0x10500073, 0xd00073, 0x1d00073,
                 0x18000073, 0x18100073)
        words += list(fixed) + random_words(args.count, random.Random(args.seed))
        theirs = [normal(t, names) for t in objdump(tmp, arch, words)]
        ours = run(f'{tmp}/describe', input='\n'.join(f'{w:x}' for w in words)).splitlines()
    assert len(ours) == len(theirs) == len(words)
    different, named, skipped = [], 0, 0
    for raw, our, their in zip(words, ours, theirs):
        kind, length, text = our.split('\t')
        if int(length) != (4 if raw & 3 == 3 else 2):
            different.append(f'{raw:08x}: length {length}')
        if too_new(raw, lack):
            skipped += 1
            continue
        if kind.startswith('vector'):
            # Which mops and fields are reserved is not decided by the decoder.
            if their not in ('vector', None):
                different.append(f'{raw:08x}: {text!r}, objdump {their!r}')
            continue
        ours_text = None if kind in ('unknown', 'other') else text
        named += their is not None
        if ours_text != their:
            different.append(f'{raw:08x}: {text!r} ({kind}), objdump {their!r}')
    print(f'decode_vs_objdump: {len(words)} encodings, {named} of them named by both, '
          f'{skipped} left out (this binutils lacks: {" ".join(lack) or "nothing"}), '
          f'{len(different)} differences')
    print(f'fnv1a of objdump\'s compressed ones: {fnv1a(words, theirs):#x}')
    print('\n'.join(different[:20]), end='\n' if different else '')
    assert named > 1000, 'hardly anything was compared'
    return 1 if different else 0


if __name__ == '__main__':
    sys.exit(main())
