#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Checks what the translator runs while a guest's vector registers are in the host's (engines/bt/quick.c): nothing that
bt_access_quickly() reaches may be a library's, be called through a pointer, or touch a vector register. Arguments: object
files. Prints one line per violation."""
import re

import entry
from check_tail_calls import CALL, INDIRECT, RELOCATED, functions

START = "bt_access_quickly"
# What is reached in the code, but not when it runs.
NOT = {"map_trace_tables": "it returns at once: nobody traces page tables then"}
JUMP = re.compile(r"\tjmp +[0-9a-f]+ <([^>+]+)(?:\+[^>]*)?>")
VECTOR = re.compile(r"%(?:[xyz]mm|mm|st)\b|%[xyz]?mm\d")


def targets(lines):
    """The functions that these lines call or jump to, None for one through a pointer."""
    for i, line in enumerate(lines):
        if INDIRECT.search(line):
            yield None
        direct = CALL.search(line) or JUMP.search(line)
        if direct:
            relocated = RELOCATED.search(lines[i + 1]) if i + 1 < len(lines) else None
            yield relocated[1] if relocated else direct[1]


def main(paths):
    code = {}
    for path in paths:
        for name, lines in functions(path):
            code.setdefault(name, {})[path] = lines
    if START not in code:
        print(f"{START} is in none of the files")
        return 1
    todo, seen, bad = [(START, path) for path in code[START]], set(), 0
    while todo:
        name, path = todo.pop()
        if (name, path) in seen:
            continue
        seen.add((name, path))
        lines = code[name][path]
        for line in lines:
            if VECTOR.search(line):
                print(f"{path}: {name} uses a vector register: {line.strip()}")
                bad += 1
        for target in targets(lines):
            if target is None or target not in code:
                print(f"{path}: {name} calls {target or 'through a pointer'}")
                bad += 1
            elif target not in NOT:
                todo.append((target, path if path in code[target] else next(iter(code[target]))))
    return 1 if bad else 0


if __name__ == "__main__":
    entry.run(main, __doc__)
