#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# usage: scripts/archive.sh OUT.S FILE...   The files as an assembly file to be linked with Bantam's kernel: a table of
# name, bytes and size (struct archived of guest/bantam/kernel.h). The first is what the kernel starts. Each begins a
# page, so that a program's pages can be mapped where they are. Programs lie in the root, what else there is in build/
# keeps its folder's name.
set -eu

out=$1
shift
{
    echo '        .section .data.archive, "aw", @progbits'
    i=0
    for file in "$@"; do
        echo "        .balign 4096"
        echo "file$i:  .incbin \"$file\""
        echo "end$i:   .balign 4096"
        i=$((i + 1))
    done
    echo "        .globl archive, archive_end"
    echo "archive:"
    i=0
    for file in "$@"; do
        echo "        .quad name$i, file$i, end$i - file$i"
        i=$((i + 1))
    done
    echo "archive_end:"
    i=0
    for file in "$@"; do
        name=${file#build/}
        [[ $name != native/* ]] || name=$(basename "$file")
        echo "name$i:  .asciz \"$name\""
        i=$((i + 1))
    done
    echo '        .section .note.GNU-stack, "", @progbits'
} >"$out"
