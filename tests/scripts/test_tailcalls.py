#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The interpreter's dispatch is tail calls: outside bus.c, lower.c and run.c no code of engines/interp may contain an
indirect call. One there is a handler whose jump to the next op became a call, and a guest that runs it in a loop
overflows the monitor's stack."""
import glob
import os
import re
import subprocess

from _ok import check, done

OBJECTS = os.path.join(os.path.dirname(__file__), "../../build/obj/engines/interp")
SOURCES = os.path.join(os.path.dirname(__file__), "../../engines/interp")
EXEMPT = {"bus.o", "lower.o", "run.o"}


def indirect_calls(disassembly):
    """The functions in which an indirect call stands."""
    found, function = [], None
    for line in disassembly.splitlines():
        head = re.match(r"[0-9a-f]+ <(.*)>:$", line)
        if head:
            function = head.group(1)
        elif re.search(r"\tcall +\*", line) and function not in found:
            found.append(function)
    return found


def is_stale(path):
    """Left by a build of older sources: this run's build is another one."""
    source = os.path.join(SOURCES, os.path.basename(path)[:-1] + "c")
    return not os.path.exists(source) or os.path.getmtime(source) > os.path.getmtime(path)


def main():
    sample = "0000 <op_bad>:\n   1:\tcall   *0x20(%rbp)\n0010 <op_good>:\n   11:\tjmp    *%rax\n"
    check("a call in place of the jump is seen", indirect_calls(sample) == ["op_bad"])
    objects = [path for path in sorted(glob.glob(OBJECTS + "/*.o")) if os.path.basename(path) not in EXEMPT]
    if not objects or any(is_stale(path) for path in objects):
        print("skip tail calls: there are no plain objects of these sources (SANITIZE=1 makes none)")
        objects = []
    for path in objects:
        text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], capture_output=True, text=True,
                              check=True).stdout
        bad = indirect_calls(text)
        check(f"{os.path.basename(path)} dispatches by tail calls only" + "".join(f", not {name}" for name in bad),
              not bad)
    done()


main()
