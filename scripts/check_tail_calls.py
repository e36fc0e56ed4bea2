#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Checks that the interpreter's handlers chain by jumps (engines/interp/op.h): one that calls the next instead, say
because it keeps an array on its stack, would let a guest's loop use up the host's stack. Arguments: object files.
Prints one line per violation."""
import os
import re
import subprocess

import entry

FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
CALL = re.compile(r"\tcall +[0-9a-f]+ <([^>+]+)(?:\+[^>]*)?>")
RELOCATED = re.compile(r"R_X86_64_(?:PLT32|PC32)\t([\w.]+)-0x4")
INDIRECT = re.compile(r"\tcall +\*")
CHAIN = re.compile(r"\tjmp +\*(?:0x[0-9a-f]+)?\(%r\w+\)$")

# Functions that call through pointers because that is what they are for; and bus.c, where the devices are.
MAY = {"interp_run": "starts a chain", "lowering_insn": "lowering functions", "x87_run": "one native instruction"}
DEVICES = "bus.o"


def functions(path):
    """(name, lines) of each function."""
    text = subprocess.run(["objdump", "-dr", "--no-show-raw-insn", path], capture_output=True, check=True, text=True)
    name, lines = None, []
    for line in text.stdout.splitlines():
        head = FUNCTION.match(line)
        if head:
            if name:
                yield name, lines
            name, lines = head[1], []
        elif line:
            lines.append(line)
    if name:
        yield name, lines


def base(name):
    return re.sub(r"\.(?:cold|part|constprop|isra)\S*", "", name)


def main(paths):
    found = {(path, name): lines for path in paths for name, lines in functions(path)
             if os.path.basename(path) != DEVICES}
    handlers = {base(name) for (_, name), lines in found.items() if any(CHAIN.search(line) for line in lines)} - set(MAY)
    bad = 0
    for (path, name), lines in found.items():
        calls = set()
        for i, line in enumerate(lines):
            if INDIRECT.search(line):
                calls.add("through a pointer")
            elif CALL.search(line):
                relocated = RELOCATED.search(lines[i + 1]) if i + 1 < len(lines) else None
                target = base(relocated[1] if relocated else CALL.search(line)[1])
                if target in handlers:
                    calls.add(target)
        if calls and base(name) not in MAY:
            print(f"{os.path.basename(path)}: {name} calls {', '.join(sorted(calls))}")
            bad += 1
    if not handlers:
        print("no handlers found in these objects")
    return 1 if bad or not handlers else 0


if __name__ == "__main__":
    entry.run(main, __doc__)
