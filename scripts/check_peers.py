#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The guest Unix under other judges: its tests and benchmark programs in QEMU (TCG) and Bochs, `make check-peers`.
Arguments: images as SUITE/NAME; without any, all that have an archive. A check that QEMU is known to get wrong
(tests/guest/judge.h) does not count there."""
import os
import shutil
import tempfile
import time

import entry
import peers

SHORT = "reps=1 cycles=1000"
SECONDS = {"qemu-tcg": 60, "bochs": 120}


def images(wanted):
    if wanted:
        return wanted
    found = []
    for suite in ("bantam", "macro", "micro", "user"):
        folder = f"build/archive/{suite}"
        names = os.listdir(folder) if os.path.isdir(folder) else []
        found += [f"{suite}/{name[:-2]}" for name in sorted(names) if name.endswith(".S")]
    return found


def wrong_in(lines, peer):
    """What is wrong with a run's lines; None where it is a good one."""
    failed = [text.partition("what=")[2] for text in lines if text.startswith("rs1 check") and " ok=0 " in text]
    if peer == "qemu-tcg":
        failed = [what for what in failed if not what.startswith("not-qemu: ")]
    panic = [text for text in lines if ": panic: " in text]
    if failed or panic:
        return "; ".join(failed + panic)
    ends = [text for text in lines if text.startswith("rs1 end")]
    if not ends:
        return "no `rs1 end` record: " + (lines[-1] if lines else "no output")
    return None if ends[-1].endswith("status=0") or peer == "qemu-tcg" else ends[-1]


def run(peer, starter, image):
    process, fd = starter(f"build/images/{image}.elf", SHORT)
    lines = []
    try:
        for _, _, text in peers.lines_with_times(process, fd, time.monotonic() + SECONDS[peer]):
            lines.append(text)
            if text.startswith("rs1 end"):
                break
    finally:
        peers.stop(process)
        if process.stdout is None:
            os.close(fd)
        for terminal in peers.terminal_of(process):
            os.close(terminal)
    return wrong_in(lines, peer)


def main(names):
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    cpu, failed = max(os.sched_getaffinity(0)), 0
    with tempfile.TemporaryDirectory() as folder:
        starters = {"qemu-tcg": ("qemu-system-x86_64", peers.qemu_starter(cpu)),
                    "bochs": ("bochs", peers.bochs_starter(cpu, folder))}
        for peer, (program, starter) in starters.items():
            if not shutil.which(program):
                print(f"skip {peer}: no {program}")
                continue
            for image in images(names):
                wrong = run(peer, starter, image)
                failed += bool(wrong)
                print(f"not ok {peer}: {image}: {wrong}" if wrong else f"ok {peer}: {image}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    entry.run(main, __doc__)
