#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""scripts/check_tail_calls.py, on objects with and without a handler whose jump to the next op became a call."""
import os
import subprocess
import sys
import tempfile

from _ok import check, done

SCRIPT = os.path.join(os.path.dirname(__file__), "../../scripts/check_tail_calls.py")
GOOD = "op_good:\n jmp *(%rsi)\nop_other:\n jmp op_good\n"
SAMPLES = [
    ("handlers that jump", GOOD, 0),
    ("a handler that calls the next through its pointer", GOOD + "op_bad:\n call *(%rsi)\n ret\n", 1),
    ("a handler that calls another by its name", GOOD + "op_bad:\n call op_good\n ret\n", 1),
]


def main():
    with tempfile.TemporaryDirectory() as folder:
        for what, assembly, bad in SAMPLES:
            path = os.path.join(folder, "sample.o")
            lines = "".join(f".type {name}, @function\n" for name in ("op_good", "op_other", "op_bad")) + assembly
            subprocess.run(["gcc", "-c", "-x", "assembler", "-o", path, "-"], input=lines, text=True, check=True)
            found = subprocess.run([sys.executable, SCRIPT, path], capture_output=True, text=True)
            check(f"{what}: {found.stdout.strip() or 'nothing found'}",
                  (found.returncode != 0) == bool(bad) and ("op_bad" in found.stdout) == bool(bad))
    done()


main()
