#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What scripts/soak.py calls growth: a leak in noise, however slow; not noise, not a cache that fills and is emptied,
not what comes once. And a short run of it, whose result is in the file."""
import json
import os
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../scripts"))
import soak
from _ok import check, done

BUILD = os.environ.get("BUILD", "build")
RINGSIDE = os.environ.get("RINGSIDE", os.path.join(BUILD, "ringside"))
N = 400
chance = random.Random(1)


def series(make):
    return [dict({key: 5 for key in soak.BOUNDS}, **{"anonymous KiB": make(i)}) for i in range(N)]


def grew(make):
    found = [key for key, q in soak.judge(series(make)).items() if q["grew"]]
    return found == ["anonymous KiB"] or (found and None)


def noise(size):
    return chance.gauss(0, size)


def short_run(seconds):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "soak.json")
        ran = subprocess.run([sys.executable, "scripts/soak.py", f"--seconds={seconds}", "--engines=interp,none", "--what=forks",
                              f"--ringside={RINGSIDE}", f"--out={out}"], capture_output=True, text=True)
        with open(out, encoding="utf-8") as file:
            return ran, json.load(file)


def main():
    check("a flat series is flat", soak.trend([7] * 50) == (0.0, 0.0))
    z, gain = soak.trend(list(range(50)))
    check("a rising one rises all the way", z > 8 and gain == 49)
    check("noise is flat", not grew(lambda i: 9000 + noise(300)))
    check("noise with ties is flat", not grew(lambda i: 9000 + 4 * int(noise(2))))
    check("a leak in noise is found", grew(lambda i: 9000 + 4 * i + noise(300)) is True)
    check("a leak that takes its time is found", grew(lambda i: 9000 + 600 * (i // 80)) is True)
    check("a cache that is emptied is flat", not grew(lambda i: 9000 + 40 * (i % 60)))
    check("what fills in the first quarter is flat", not grew(lambda i: 9000 + 60 * min(i, N // 5)))
    check("one odd sample is nothing", not grew(lambda i: 9000 + (100000 if i == N - 2 else 0)))
    check("less than the bound is nothing", not grew(lambda i: 9000 + i // 4))
    for seconds in (4, 20, 100):  # on a busy machine caches may fill for longer than a quarter of so little; a leak goes on
        ran, result = short_run(seconds)
        run = result["runs"][0]
        if ran.returncode == 0:
            break
    check(f"a short run is flat: {ran.stdout.strip()} {ran.stderr.strip()}", ran.returncode == 0 and run["flat"])
    check("its result is in the file", run["engine"] == "interp" and run["samples"] > 12 and run["status"] == 5 and
          run["quantities"]["mappings"]["last"] > 10 and result["skipped"][0]["engine"] == "none")
    done()


if __name__ == "__main__":
    main()
