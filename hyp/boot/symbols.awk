# SPDX-License-Identifier: BSD-2-Clause
# nm -n of the image to a table of text symbols: offsets from _start and names, ascending.
BEGIN { print ".section .symbols, \"a\"" }
$2 ~ /^[tT]$/ && $3 !~ /^[.$]/ && $3 != "_text_end" {
    if (!base) base = $1
    n++
    address[n] = $1
    name[n] = $3
}
END {
    print ".balign 4\n.globl symbol_offsets\nsymbol_offsets:"
    for (i = 1; i <= n; i++) print ".4byte 0x" address[i] " - 0x" base
    print ".4byte 0xffffffff\n.globl symbol_names\nsymbol_names:"
    for (i = 1; i <= n; i++) print ".asciz \"" name[i] "\""
}
