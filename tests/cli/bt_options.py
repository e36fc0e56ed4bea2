#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The translator's switches: the test images pass with each of them. Each image comes to run under several switches and
each switch over a good part of the images; BT_OPTIONS=all runs every pair."""
import concurrent.futures
import glob
import os
import subprocess
import sys

BUILD = os.environ.get("BUILD", "build")
RINGSIDE = os.environ.get("RINGSIDE", os.path.join(BUILD, "ringside"))
SWITCHES = ["no-chaining", "no-elision", "no-adapt", "checked", "tu=1", "tu=4", "emulate=callout", "emulate=trap",
            "returns=table", "returns=callout", "mmu=trace", "no-chaining:no-adapt:tu=2:emulate=trap:returns=table"]
EACH = 3  # of SWITCHES for every image, in turn
WORKERS = 2
SECONDS = 240  # for an image, which takes some at most


def run(path, switch):
    """None where all is well, else what is not."""
    command = [RINGSIDE, "run", f"--engine=bt:{switch}", f"--timeout={SECONDS}", "--append=reps=1 cycles=1000", path]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS + 30)
    except subprocess.TimeoutExpired:
        return "it does not end"
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    bad = [line for line in out.splitlines() if line.startswith("rs1 check") and "ok=0" in line]
    if done.returncode or bad:
        return f"status {done.returncode}; {'; '.join(bad[:2])} {err.strip()[-200:]}"
    return None


def main():
    available = subprocess.run([RINGSIDE, "run", "--engine=bt", "--timeout=20", "--append=reps=1 cycles=1000",
                                "nano/idle"], stdin=subprocess.DEVNULL, capture_output=True)
    if available.returncode == 3:
        print(f"skip {available.stderr.decode(errors='replace').strip()}")
        return 0
    paths = sorted(glob.glob("build/images/*/*.elf"))
    each = len(SWITCHES) if os.environ.get("BT_OPTIONS") == "all" else EACH
    pairs = [(path, SWITCHES[(i * EACH + k) % len(SWITCHES)]) for i, path in enumerate(paths) for k in range(each)]
    failed = {switch: [] for switch in SWITCHES}
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for (path, switch), wrong in zip(pairs, pool.map(lambda pair: run(*pair), pairs)):
            if wrong:
                failed[switch].append(f"{path}: {wrong}")
    for switch in SWITCHES:
        count = sum(1 for pair in pairs if pair[1] == switch)
        print(f"not ok bt:{switch}: {' | '.join(failed[switch])}" if failed[switch] else
              f"ok bt:{switch}: {count} images")
    return 1 if any(failed.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
