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

# A guest as lines (time of the first byte, time of the newline, text): it takes 50 for n and 100 for 2n, twice, and a
# line takes it 3.
GUEST = [(0, 3, "rs1 begin name=x"), (5, 8, "rs1 cold name=x tsc=5"),
         (10, 13, "rs1 run name=x n=8"), (63, 66, "rs1 run name=x n=16"), (166, 169, "rs1 warm name=x n=8 t1=100 t2=200"),
         (210, 213, "rs1 run name=x n=8"), (265, 268, "rs1 run name=x n=16"), (370, 373, "rs1 warm name=x n=8 t1=9 t2=18"),
         (380, 383, "rs1 value name=x value=42")]

# A process that writes each line in two halves, the second 20 ms after the reader has emptied the pipe, and says in it
# what the clock showed before each half.
HALVES = """
import fcntl, os, struct, termios, time
for number in range(10):
    before = time.monotonic_ns()
    os.write(1, b"line %d %d" % (number, before))
    while struct.unpack("i", fcntl.ioctl(1, termios.FIONREAD, bytes(4)))[0]:
        time.sleep(0.001)
    time.sleep(0.02)
    os.write(1, b" %d" % time.monotonic_ns() + bytes([10]))
"""


def with_process(program, function, seconds):
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    try:
        return function(process, process.stdout.fileno(), time.monotonic() + seconds)
    finally:
        peers.stop(process)


def follow(program, seconds=60):
    return with_process(program, peers.measure, seconds)


def with_lines(lines, function):
    """A function of peers.py on lines whose times are known."""
    real, peers.lines_with_times = peers.lines_with_times, lambda process, fd, deadline: iter(lines)
    try:
        return function(None, -1, time.monotonic() + 60)
    finally:
        peers.lines_with_times = real


def follow_lines(lines):
    return with_lines(lines, peers.measure)


def timing():
    found, wrong = follow_lines(GUEST + [(390, 393, "rs1 end name=x status=0")])
    sample = found["x"]
    check("a good run has nothing wrong", wrong is None)
    check("both repetitions are there", sample["t2"] == [200, 18])
    check("a run lasts from its line's end to the next line's first byte", sample["run_n_ns"] == [50, 52])
    check("and the run of 2n likewise", sample["run_2n_ns"] == [100, 102])
    check("the guest's own result is kept", sample["value"] == "42")
    check("a failed image is called one", "status 1" in follow_lines([(0, 1, "rs1 end name=x status=1")])[1])
    check("a skip says why", follow("print('rs1 skip name=x why=no such thing\\nrs1 end name=x status=0')")[1] ==
          "no such thing")
    check("a guest without an end is called one", "without" in follow("print('rs1 begin name=x')")[1])
    check("a guest that hangs is left", "in time" in follow("import time; time.sleep(20)", 0.5)[1])


def line_times():
    """What is certain on a busy machine: no time is before the write, and not every reader's time is late by 20 ms."""
    lines = with_process(HALVES, lambda *args: list(peers.lines_with_times(*args)), 60)
    stamps = [[int(word) for word in text.split()[2:]] for _, _, text in lines]
    check("every line arrives", len(lines) == 10)
    check("no time is before the write", all(first >= stamp[0] and newline >= stamp[1]
                                             for (first, newline, _), stamp in zip(lines, stamps)))
    check("the first byte counts, not the rest", any(first < stamp[1] for (first, _, _), stamp in zip(lines, stamps)))


def once():
    lines = [(0, 3, "rs1 begin name=x"), (53, 56, "rs1 cold name=x tsc=1")]
    found = [with_lines(lines + [(60, 63, f"rs1 end name=x status={status}")], peers.measure_once) for status in (0, 1)]
    check("a program that runs once is timed between its records", found[0] == 50)
    check("and is no figure where it failed", found[1] is None)


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
line_times()
once()
pairing()
tables()
translator()
done()
