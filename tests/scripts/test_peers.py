#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""How peers.py times a guest by the arrival of its lines, and the table that comes of it."""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../scripts"))
import peers
import peers_table
import results
from _ok import check, done

# A guest that takes 50 ms for n and 100 ms for 2n, and is slow to print.
GUEST = """
import sys, time
def say(text):
    for part in (text[:4], text[4:] + chr(10)):
        sys.stdout.write(part); sys.stdout.flush(); time.sleep(0.01)
say("rs1 begin name=x"); say("rs1 cold name=x tsc=5")
for i in range(2):
    sys.stdout.write("rs1 run name=x n=8" + chr(10)); sys.stdout.flush(); time.sleep(0.05)
    sys.stdout.write("rs1 run name=x n=16" + chr(10)); sys.stdout.flush(); time.sleep(0.1)
    say("rs1 warm name=x n=8 t1=100 t2=200 e1=1 e2=2")
say("rs1 value name=x value=42"); say("rs1 end name=x status=STATUS")
"""


def follow(program, seconds=10):
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    try:
        return peers.measure(process, process.stdout.fileno(), time.monotonic() + seconds)
    finally:
        peers.stop(process)


def timing():
    found, wrong = follow(GUEST.replace("STATUS", "0"))
    sample = found["x"]
    check("a good run has nothing wrong", wrong is None)
    check("both repetitions are there", len(sample["run_n_ns"]) == 2 and sample["t2"] == [200, 200])
    # Lower bounds only are certain on a busy machine.
    check("a run lasts from the line to the next", all(ns >= 49e6 for ns in sample["run_n_ns"]))
    check("and the run of 2n likewise", all(ns >= 99e6 for ns in sample["run_2n_ns"]))
    check("the guest's own result is kept", sample["value"] == "42")
    check("a failed image is called one", "status 1" in follow(GUEST.replace("STATUS", "1"))[1])
    check("a skip says why", follow("print('rs1 skip name=x why=no such thing\\nrs1 end name=x status=0')")[1] ==
          "no such thing")
    check("a guest without an end is called one", "without" in follow("print('rs1 begin name=x')")[1])
    check("a guest that hangs is left", "in time" in follow("import time; time.sleep(20)", 0.5)[1])


def pairing():
    found = {}
    peers.add_repetition(found, {"x": [(8, 10), (8, 20)]}, {"name": "x", "n": "8"})
    check("spans that do not belong together are not used", found == {})


def tables():
    run = results.Run({"machine": {"tsc_khz": 2000000}, "runs": 1, "reps": 2, "seconds": 1, "seed": 1, "cpu": 0,
                       "time": "t"})
    run.add({"type": "image", "suite": "micro", "bench": "crc", "instructions": {"crc": 1000}})
    for engine, ns in (("interp", 5000), ("bochs", 12000), ("qemu-tcg", 1000)):
        run.add({"type": "engine", "name": engine, "column": engine.upper()})
        run.add({"type": "sample", "suite": "micro", "image": "crc", "bench": "crc", "engine": engine, "n": 10,
                 "t1": [140, 180], "t2": [140 + 22 * ns, 180 + 22 * ns], "run_n_ns": [70, 90],
                 "run_2n_ns": [70 + 10 * ns, 90 + 10 * ns]})
    run.add({"type": "failed", "suite": "micro", "image": "fib", "engine": "vtx", "reason": "no end"})
    text = "\n".join(peers_table.table(run))
    check("speed is instructions over time", "| crc | 1,000 | 200 | 83.3 | 1,000 | 2.40 | 0.20 |" in text)
    check("both clocks are compared", "the guest's own TSC is 9.09% apart" in text)
    check("Bochs' TSC is not held against a clock", "- bochs" not in text)
    check("a failure says why", "- vtx, micro/fib: no end" in text)


def translator():
    run = results.Run({"machine": {}})
    run.add({"type": "image", "suite": "nano", "bench": "in", "instructions": {}})
    costs = {"crc": {"native": 800, "bt": 1000, "qemu-tcg": 4000}, "fib": {"native": 500, "bt": 1000, "qemu-tcg": 9000},
             "crc_user": {"bt": 8000, "qemu-tcg": 2000}, "in": {"bt": 300, "qemu-tcg": 100}}
    for bench, by_engine in costs.items():
        for engine, ns in by_engine.items():
            run.add({"type": "engine", "name": engine})
            run.add({"type": "sample", "suite": "nano" if bench == "in" else "micro", "image": bench.split("_")[0],
                     "bench": bench, "engine": engine, "n": 10, "t1": [1], "t2": [2], "run_n_ns": [10 * ns],
                     "run_2n_ns": [20 * ns]})
    text = "\n".join(peers_table.table(run))
    check("bt beside native and QEMU", "| n/a | 0.80 | 4.00 |" in text and "| n/a | 0.50 | 9.00 |" in text)
    check("geometric means, CPL 0 and CPL 3 apart", "| 0.63 | 6.00 |" in text and "| 0.10 | 0.25 |" in text)
    check("a loop around a subject is not held against native", text.index("native speed") > text.index("| in |"))
    check("who is ahead and who behind", "micro: bt is ahead of QEMU TCG on fib (9.0 times), crc (4.0 times)." in text and
          "nano: bt is behind on in (3.0 times)." in text)


timing()
pairing()
tables()
translator()
done()
