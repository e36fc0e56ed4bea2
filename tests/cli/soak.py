#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Forkwaits leave nothing behind in the monitor: while the guest Unix makes 40,000 processes and more, each with an
address space of its own, memory, mappings, descriptors and child processes are the same in the last quarter as in the
second. SOAK=N: N times as many, and other programs that make and destroy things (`make check-soak`)."""
import os
import statistics
import subprocess
import sys
import time

import _processes as processes
from _report import exit_status, report

BUILD = os.environ.get("BUILD", "build")
RINGSIDE = os.environ.get("RINGSIDE", os.path.join(BUILD, "ringside"))
SOAK = int(os.environ.get("SOAK", "0"))
COUNT = 40000  # the paper's
FORKWAIT = "build/images/micro/forkwait.elf"
OTHERS = ["micro/execwait", "micro/mmapstorm", "micro/cowstorm", "micro/ctxswitch", "macro/serverN", "nano/asswitch"]
# How much more there may be in the last quarter of a run than in its second. A map cache fills and is emptied.
BOUNDS = {"resident KiB": 256, "anonymous KiB": 256, "mappings": 64, "descriptors": 0, "children": 0,
          "children's resident KiB": 1024, "children's mappings": 256}
SAMPLES_LEAST = 12
SECONDS = 800  # a program of a few seconds, beside a dozen of others
LEAK_SECONDS = 30


def watch(command, interval):
    """Samples while the command runs, and its exit status and last words."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    samples, until = [], time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            samples.append(processes.sample(process.pid))
        except OSError:  # it, or a child, has just ended
            pass
        time.sleep(interval)
    if process.poll() is None:
        process.kill()
    return samples, process.wait(), process.stderr.read().decode(errors="replace").strip()


def growth(samples):
    """{what: how much more in the last quarter's median than in the second's}, of what is beyond its bound."""
    n, grown = len(samples), {}
    for key, bound in BOUNDS.items():
        early = statistics.median(s[key] for s in samples[n // 4:n // 2])
        late = statistics.median(s[key] for s in samples[3 * n // 4:])
        if late - early > bound:
            grown[key] = f"{early:.0f} -> {late:.0f}"
    return grown


def judged(what, samples, status, err):
    if status or len(samples) < SAMPLES_LEAST:
        return report(False, what, f"status {status}, {len(samples)} samples, {err}")
    grown = growth(samples)
    return report(not grown, what, str(grown))


def soak(engine, image, count, words):
    command = [RINGSIDE, "run", f"--engine={engine}", f"--timeout={SECONDS}", f"--append={words}", image]
    name = os.path.splitext(os.path.basename(image))[0]
    judged(f"{engine}: {count} of {name} leave nothing behind", *watch(command, 0.02))


# ---- A process that does leave something behind is found ----

LEAK = """
import os, mmap, time
kept, (there, here) = [], os.pipe()
print("up", flush=True)
while True:
    time.sleep(0.002)
    LEAK
"""
# What must not grow, and how it does. The children end with their parent.
LEAKS = {"anonymous KiB": "kept.append(bytearray(100000))",
         "mappings": "kept.append([mmap.mmap(-1, 4096, prot=1 + i % 2 * 2) for i in range(40)])",
         "descriptors": "kept.append(os.dup(0)) if len(kept) < 500 else 0",
         "children": "kept.append(os.fork() or (os.close(here), os.read(there, 1), os._exit(0))) if len(kept) < 400 else 0"}


def finds_leaks():
    """By as many samples as a run has at least, taken once it has started, which makes everything grow."""
    for what, leak in LEAKS.items():
        process = subprocess.Popen([sys.executable, "-c", LEAK.replace("LEAK", leak)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        process.stdout.readline()
        samples, found, until = [], False, time.monotonic() + LEAK_SECONDS
        while not found and time.monotonic() < until:
            samples.append(processes.sample(process.pid))
            found = len(samples) >= SAMPLES_LEAST and what in growth(samples[-SAMPLES_LEAST:])
            time.sleep(0.02)
        process.kill()
        process.communicate()
        report(found, f"a process that leaks is found by its {what}", str(samples[-1:]))
    processes.orphans([])


def engines():
    """Those that can run here and are fast enough, with how many forkwaits take a second or more."""
    found = subprocess.run([RINGSIDE, "run", "--help"], capture_output=True, text=True).stdout
    yield "interp", COUNT
    if subprocess.run([RINGSIDE, "run", "--engine=bt", "--timeout=60", "--append=reps=1 cycles=1000", "nano/idle"],
                      capture_output=True).returncode == 3:
        print("skip bt: cannot run here")
        return
    yield "bt", 5 * COUNT
    yield "bt:mmu=trace", 3 * COUNT
    if "--bt-user=" in found:
        yield "bt:user=translated", 5 * COUNT
        yield "bt:user=direct", COUNT


def main():
    processes.adopt_orphans()
    finds_leaks()
    for engine, count in engines():
        count *= max(1, SOAK)
        soak(engine, FORKWAIT, count, f"count={count}")
        for name in OTHERS if SOAK else []:
            soak(engine, f"build/images/{name}.elf", "many", "reps=10 cycles=250000000")
    left = processes.orphans([])
    report(not left, "no process is left over", str(left))
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
