# SPDX-License-Identifier: BSD-2-Clause
"""Debian's kernel as the guest, on an engine or under QEMU, with guest/linux/init.c as its first process."""
import json
import os
import shutil
import subprocess
import time

import peers

INITRD = "build/linux/initrd"
PEER = "qemu-tcg"
WORDS = "console=ttyS0 quiet panic=-1"
BEGUN = "rs1 begin name=linux"
RAM_MIB = 128
SWITCH_SECONDS = 0.05  # each move costs bt all its translations, and a kernel has many
PROGRAM_SUITES = ("bantam", "micro", "macro", "user")


def programs():
    """SUITE/NAME of all that init can run, tests first."""
    found = []
    for suite in PROGRAM_SUITES:
        found += [f"{suite}/{name[:-2]}" for name in sorted(os.listdir(f"build/archive/{suite}")) if name.endswith(".S")]
    return found


def reason_against(way):
    """Why the kernel cannot run in this way here; None where it can."""
    if way == PEER:
        return None if shutil.which("qemu-system-x86_64") else "no qemu-system-x86_64: scripts/setup.sh --peers"
    asked = subprocess.run([peers.RINGSIDE, "engines", "--json"], capture_output=True, text=True, check=True)
    known = {engine["name"]: engine for engine in json.loads(asked.stdout)["engines"]}
    for name in {part.partition(":")[0] for part in way.split(",")}:
        if name not in known:
            raise ValueError(f"no engine {name}")
        if not known[name]["available"]:
            return known[name]["reason"]
        if name == "vtx" and not known[name]["hardware"]:
            return f"{known[name]['column']}: no hardware; unpacking the kernel alone would take hours"
    return None


class Guest:
    """A kernel's file, the RAM disk, and the words for the kernel."""

    def __init__(self, kernel, words=WORDS, cpu=None, seconds=300):
        self.kernel, self.words, self.cpu, self.seconds = kernel, words, cpu, seconds

    def command(self, way, init_words, *options):
        words = f"{self.words} -- {init_words}"
        if way == PEER:  # the same devices, and no firmware's tables either
            return ["qemu-system-x86_64", "-M", "isapc", "-accel", "tcg", "-cpu", "max,-la57", "-m", str(RAM_MIB), "-nodefaults",
                    "-display", "none", "-no-reboot", "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
                    "-kernel", self.kernel, "-initrd", INITRD, "-append", words]
        moves = [f"--switch={SWITCH_SECONDS}"] if "," in way else []
        pin = [f"--cpu={self.cpu}"] if self.cpu is not None else []
        return [peers.RINGSIDE, "run", f"--engine={way}", *moves, *pin, f"--ram={RAM_MIB}M", f"--timeout={self.seconds}",
                f"--initrd={INITRD}", f"--append={words}", *options, self.kernel]

    def boot(self, way, init_words, typed=None):
        """typed: a file of which the guest gets the bytes on its serial line, on an engine of ours."""
        options = ["--input=-"] if typed else []
        start = time.monotonic_ns()
        process, fd = peers.start_piped(self.command(way, init_words, *options), self.cpu if way == PEER else None,
                                        typed or subprocess.DEVNULL)
        try:
            lines = list(peers.lines_with_times(process, fd, time.monotonic() + self.seconds + 10))
        finally:
            peers.stop(process)
        return Boot(lines, start, time.monotonic_ns())


class Boot:
    """What came of one: its lines, and nanoseconds to the first process and to the end."""

    def __init__(self, lines, start, end):
        self.lines = [text for _, _, text in lines]
        begun = [at for _, at, text in lines if text == BEGUN]
        self.init_ns = begun[0] - start if begun else None
        self.wall_ns = end - start
        checks = [text for text in self.lines if text.startswith("rs1 check")]
        self.held = sum(" ok=1" in text for text in checks)
        self.failed = [text.partition("what=")[2] for text in checks if " ok=1" not in text]
        ended = any(text.startswith("rs1 end name=linux") for text in self.lines)
        self.unended = [] if ended else [self.lines[-1] if self.lines else "no output at all"]

    def wrong(self, way):
        """In words, or nothing. What QEMU's CPU does otherwise is not what is looked for."""
        panics = [text for text in self.lines if "panic" in text]
        return self.unended if way == PEER else self.failed + panics + self.unended
