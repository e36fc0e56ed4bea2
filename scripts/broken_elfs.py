#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes files of a good static program that no kernel may run, for tests/bantam/exec_broken.c, which has their names.
`scripts/broken_elfs.py PROGRAM FOLDER`"""
import os
import struct
import sys

import entry

# Offsets in the ELF header and in a program header (System V ABI, chapters 4 and 5).
MACHINE, ENTRY, PHOFF, PHENTSIZE, PHNUM = 18, 24, 32, 54, 56
OFFSET, VADDR, MEMSZ = 8, 16, 40
PH, PH_BYTES = 64, 56
PT_LOAD, PT_INTERP = 1, 3
PF_X = 1


def put(form, offset, value):
    def change(good):
        struct.pack_into(form, good, offset, value)
        return good
    return change


def text_header(good):
    """Offset of the program header of the executable segment."""
    count, = struct.unpack_from("<H", good, PHNUM)
    for i in range(count):
        at = PH + i * PH_BYTES
        kind, flags = struct.unpack_from("<II", good, at)
        if kind == PT_LOAD and flags & PF_X:
            return at
    raise ValueError("no executable segment")


def put_text(form, field, value):
    return lambda good: put(form, text_header(good) + field, value)(good)


def interpreter(good):
    """The first header asks for a program that is its own interpreter, which is not in the file."""
    struct.pack_into("<IIQQQQQQ", good, PH, PT_INTERP, 4, len(good) - 8, 0, 0, 8, 8, 1)
    good[-8:] = b"nowhere\0"
    return good


FILES = {
    "good": lambda good: good,
    "empty": lambda good: b"",
    "text": lambda good: b"I am no program.\n" * 30,
    "magic": put("B", 1, ord("e")),
    "cut_in_header": lambda good: good[:40],
    "cut_in_headers": lambda good: good[:80],
    "machine": put("<H", MACHINE, 183),
    "header_size": put("<H", PHENTSIZE, 32),
    "no_headers": put("<H", PHNUM, 0),
    "many_headers": put("<H", PHNUM, 0xffff),
    "headers_wrap": put("<Q", PHOFF, 2**64 - 16),
    "interpreter": interpreter,
    "entry_in_kernel": put("<Q", ENTRY, 0xffffffff80100000),
    "entry_not_canonical": put("<Q", ENTRY, 1 << 47),
    "text_in_kernel": put_text("<Q", VADDR, 0xffffffff80100000),
    "text_at_hole": put_text("<Q", VADDR, (1 << 47) - 0x1000),
    "text_size_wraps": put_text("<Q", MEMSZ, 2**64 - 1),
    "text_larger_in_file": put_text("<Q", MEMSZ, 16),
    "text_huge": put_text("<Q", MEMSZ, 1 << 47),
    "text_offset_wraps": put_text("<Q", OFFSET, 2**64 - 0x1000),
}


def main(words):
    if len(words) != 2:
        print("usage: scripts/broken_elfs.py PROGRAM FOLDER", file=sys.stderr)
        return 2
    program, folder = words
    with open(program, "rb") as file:
        good = file.read()
    os.makedirs(folder, exist_ok=True)
    for name, make in FILES.items():
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(make(bytearray(good)))
        os.chmod(path, 0o755)
    return 0


if __name__ == "__main__":
    entry.run(main, __doc__)
