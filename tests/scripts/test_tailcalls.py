#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The interpreter's dispatch is tail calls: outside bus.c, lower.c and run.c no code of engines/interp may contain an
indirect call, nor a call of a function that dispatches. One there is a handler whose jump to the next op became a call,
and a guest that runs it in a loop overflows the monitor's stack."""
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


def calls_of_dispatchers(disassembly):
    """The functions that call one which ends in an indirect jump, of the same file."""
    dispatchers, calls, function = set(), [], None
    lines = disassembly.splitlines()
    for line, following in zip(lines, lines[1:] + [""]):
        head = re.match(r"[0-9a-f]+ <(.*)>:$", line)
        call = re.search(r"\tcall +[0-9a-f]+ <([^+>]*)>", line)
        if head:
            function = head.group(1)
        elif re.search(r"\tjmp +\*", line):
            dispatchers.add(function)
        elif call and "R_X86_64_" not in following:  # with a relocation, the target is none yet
            calls.append((function, call.group(1)))
    return sorted({caller for caller, called in calls if called in dispatchers})


def is_stale(path):
    """Left by a build of older sources: this run's build is another one."""
    source = os.path.join(SOURCES, os.path.basename(path)[:-1] + "c")
    return not os.path.exists(source) or os.path.getmtime(source) > os.path.getmtime(path)


def main():
    sample = "0000 <op_bad>:\n   1:\tcall   *0x20(%rbp)\n0010 <op_good>:\n   11:\tjmp    *%rax\n"
    check("a call in place of the jump is seen", indirect_calls(sample) == ["op_bad"])
    sample = "0000 <go_on>:\n   1:\tjmp    *%rax\n0010 <op_bad>:\n   11:\tcall   0 <go_on>\n0020 <op_good>:\n   21:\tjmp   0 <go_on>\n"
    check("a call of what dispatches is seen", calls_of_dispatchers(sample) == ["op_bad"])
    objects = [path for path in sorted(glob.glob(OBJECTS + "/*.o")) if os.path.basename(path) not in EXEMPT]
    if not objects or any(is_stale(path) for path in objects):
        print("skip tail calls: there are no plain objects of these sources (SANITIZE=1 makes none)")
        objects = []
    for path in objects:
        text = subprocess.run(["objdump", "-dr", "--no-show-raw-insn", path], capture_output=True, text=True,
                              check=True).stdout
        bad = indirect_calls(text) + calls_of_dispatchers(text)
        check(f"{os.path.basename(path)} dispatches by tail calls only" + "".join(f", not {name}" for name in bad),
              not bad)
    done()


main()
