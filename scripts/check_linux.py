#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Debian's kernel, as Debian ships it, as the guest: `make check-linux`. On each engine, and each way of running it, it boots
to its first process (guest/linux/init.c), which runs the programs of the guest Unix, tests and benchmarks; all their checks
must hold, as they do on the host's own Linux. The first line of that process also says how long the boot took."""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

import debian_kernel
import peers

INITRD = "build/linux/initrd"
PEER = "qemu-tcg"
WAYS = ["interp", "bt", "bt:checked", "bt:mmu=trace", "bt:user=direct", "bt:user=translated", "interp,bt", "vtx", PEER]
SWITCH_SECONDS = 0.01
WORDS = "console=ttyS0 quiet panic=-1"
SHORT = "reps=1 cycles=1000"
PROGRAM_SUITES = ("bantam", "micro", "macro", "user")


class Boot:
    """What came of one. seconds: to the first process, and to the end."""

    def __init__(self, lines, start, end):
        self.begun = [at for _, at, text in lines if text == "rs1 begin name=linux"]
        self.init = (self.begun[0] - start) / 1e9 if self.begun else None
        self.seconds = (end - start) / 1e9
        texts = [text for _, _, text in lines]
        checks = [text for text in texts if text.startswith("rs1 check")]
        self.held = sum(" ok=1" in text for text in checks)
        self.failed = [text.partition("what=")[2] for text in checks if " ok=1" not in text]
        self.panics = [text for text in texts if "panic" in text]
        ended = [text for text in texts if text.startswith("rs1 end name=linux")]
        self.unended = [] if ended else [texts[-1] if texts else "no output at all"]

    def wrong(self, way):
        """In words, or nothing. What QEMU's CPU does otherwise is not what is looked for."""
        return self.unended if way == PEER else self.failed + self.panics + self.unended


def programs():
    """Names as guest/linux/init.c takes them, tests first. An image of suite bench has no program: those of build/archive do."""
    found = []
    for suite in PROGRAM_SUITES:
        found += [f"{suite}/{name[:-2]}" for name in sorted(os.listdir(f"build/archive/{suite}")) if name.endswith(".S")]
    return found


def command(way, kernel, words, seconds):
    if way == PEER:  # the same devices, and no firmware's tables, either
        return ["qemu-system-x86_64", "-M", "isapc", "-accel", "tcg", "-cpu", "max,-la57", "-m", "128", "-nodefaults", "-display", "none",
                "-no-reboot", "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
                "-kernel", kernel, "-initrd", INITRD, "-append", words]
    moves = [f"--switch={SWITCH_SECONDS}"] if "," in way else []
    return [peers.RINGSIDE, "run", f"--engine={way}", *moves, f"--timeout={seconds}", f"--initrd={INITRD}", f"--append={words}",
            kernel]


def boot(way, kernel, names, seconds):
    start = time.monotonic_ns()
    process, fd = peers.start_piped(command(way, kernel, f"{WORDS} -- run={','.join(names)} {SHORT}", seconds), None)
    try:
        lines = list(peers.lines_with_times(process, fd, time.monotonic() + seconds + 10))
    finally:
        peers.stop(process)
    return Boot(lines, start, time.monotonic_ns())


def reason_against(way):
    """Why it cannot be had here; None where it can."""
    if way == PEER:
        return None if shutil.which("qemu-system-x86_64") else "no qemu-system-x86_64: scripts/setup.sh --peers"
    asked = subprocess.run([peers.RINGSIDE, "engines", "--json"], capture_output=True, text=True, check=True)
    found = json.loads(asked.stdout)
    known = {e["name"]: e for e in (found["engines"] if isinstance(found, dict) else found)}
    for name in {part.partition(":")[0] for part in way.split(",")}:
        if name not in known:
            raise ValueError(f"no engine {name}")
        if not known[name]["available"]:
            return known[name]["reason"]
        if name == "vtx" and not known[name]["hardware"]:
            return f"{known[name]['column']}: no hardware; the kernel's own unpacking would take it hours"
    return None


def check(way, options, kernel, names):
    """True where something is wrong. One line for each way."""
    boots = []
    for _ in range(options.rounds):
        boots.append(boot(way, kernel, names, options.seconds))
        wrong = boots[-1].wrong(way)
        if wrong:
            print(f"FAIL  {way}: {boots[-1].held} checks hold, but: {'; '.join(wrong)}", flush=True)
            return True
    init, whole = (statistics.median(values) for values in zip(*((b.init, b.seconds) for b in boots)))
    print(f"ok    {way:20} {init:6.2f} s to the first process, {whole:7.2f} s with {len(names)} programs; "
          f"{boots[-1].held} checks hold" + (f", {len(boots[-1].failed)} do not" if boots[-1].failed else ""), flush=True)
    return False


def parse(args):
    parser = argparse.ArgumentParser(description="Boots Debian's kernel on every engine, and runs the guest Unix's programs on it.")
    parser.add_argument("--engines", default=" ".join(WAYS), help="ways to run it, by spaces (default: all)")
    parser.add_argument("--kernel", help="another kernel's file (default: Debian's cloud kernel, fetched)")
    parser.add_argument("--only", default="", metavar="TEXT", help="programs with TEXT in their names; '-': none")
    parser.add_argument("--rounds", type=int, default=1, help="boots of each way; times are medians (default 1)")
    parser.add_argument("--seconds", type=int, default=300, help="for each boot (default 300)")
    return parser.parse_args(args)


def main(args):
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    options = parse(args)
    kernel = options.kernel or debian_kernel.Kernel().image
    names = [name for name in programs() if options.only in name]
    if not names and options.only != "-":
        raise ValueError(f"no program has '{options.only}' in its name")
    print(f"{os.path.basename(kernel)}", flush=True)
    wrong = 0
    for way in options.engines.split():
        reason = reason_against(way)
        if reason:
            print(f"skip  {way}: {reason}", flush=True)
        else:
            wrong += check(way, options, kernel, names)
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except debian_kernel.Unavailable as reason:
        print(f"skip  Debian's kernel: {reason}")
    except (OSError, ValueError, RuntimeError, subprocess.SubprocessError) as error:
        print(f"check_linux: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
