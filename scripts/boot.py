#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Measures what scripts/figure5.py explains: boots of the guest Unix from the first instruction to power-off on each
engine, with every counter, in random order; before them the nano benchmarks that say what one event costs, and the
kernels that say how fast the host runs instructions. `scripts/boot.py [--quick] [--runs=N] [--engines=A,B] [--out=FILE]`"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

import entry
import figure5
import peers
import process
import results
from new_results import NewResults, now

IMAGE = "macro/boothalt"
ENGINES = [e for e in process.ENGINES if e != "native"]
KERNELS = ["crc", "fib", "hash", "isprime", "sort"]
TIMEOUT = 60


def nano_benches():
    return sorted({bench for event in figure5.EVENTS for bench in event.benches})


def bench(folder, name, options, *words):
    """The run of `ringside bench` with these words."""
    out = os.path.join(folder, name)
    command = [peers.RINGSIDE, "bench", f"--cpu={options.cpu}", f"--runs={options.runs}", "--reps=5", f"--out={out}", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if not os.path.exists(out):
        raise RuntimeError(f"`{' '.join(command)}` gave no results: {done.stderr.strip()[-200:]}")
    return results.load(out)[-1]


def boot(engine, cpu):
    """What `ringside run --json` says of one boot, or why there was none, as one text."""
    command = [peers.RINGSIDE, "run", f"--engine={engine}", "--json", f"--cpu={cpu}", f"--timeout={TIMEOUT}", IMAGE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT + 10)
    except subprocess.TimeoutExpired:
        return f"did not end within {TIMEOUT} s"
    if done.returncode:
        said = json.loads(done.stdout).get("reason") if done.stdout.startswith("{") else done.stderr.strip()[-200:]
        return said or f"status {done.returncode}"
    return json.loads(done.stdout)


def boot_all(options, names, write):
    """All boots in random order; an engine that cannot boot is not asked again. Gives name -> its `engine` record."""
    jobs = [(number, engine) for number in range(options.boots) for engine in names]
    random.Random(options.seed).shuffle(jobs)
    failed, described = set(), {}
    suite, image = IMAGE.split("/")
    for order, (number, engine) in enumerate(jobs):
        common = {"suite": suite, "image": image, "engine": engine, "process": number, "order": order}
        if engine in failed:
            continue
        said = boot(engine, options.cpu)
        if isinstance(said, str):
            failed.add(engine)
            write(dict(common, type="failed", bench=None, status=None, reason=said))
            continue
        described[engine] = dict(said["engine"], type="engine")
        write(dict(common, type="boot", **{key: said[key] for key in ("wall_ns", "idle_ns", "counters", "stats")}))
    return described


def parse(args):
    parser = argparse.ArgumentParser(description="Boots of the guest Unix with every event counted, and what each costs.")
    parser.add_argument("--quick", action="store_true", help="few of each: a first look")
    parser.add_argument("--runs", type=int, help="processes for each benchmark (default 3, quick 1)")
    parser.add_argument("--boots", type=int, help="boots on each engine (default 10, quick 2)")
    parser.add_argument("--engines", default=",".join(ENGINES), help="boot on these (default: all ways of bt, interp and vtx)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32), help="of the random order")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)), help="the CPU that all run on")
    parser.add_argument("--out", help="results file; an existing one is appended to")
    options = parser.parse_args(args)
    options.runs = options.runs or (1 if options.quick else 3)
    options.boots = options.boots or (2 if options.quick else 10)
    options.engines = options.engines.split(",")
    return options


def main(args):
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    options = parse(args)
    with tempfile.TemporaryDirectory() as folder, NewResults("boot", options.out) as out:
        columns = ",".join(dict.fromkeys(["native"] + [results.base_engine(e) for e in options.engines]))
        nano = bench(folder, "nano.jsonl", options, f"--engines={columns}", *(f"nano/{b}" for b in nano_benches()))
        micro = bench(folder, "micro.jsonl", options, f"--engines=native,{figure5.EXACT}", *(f"micro/{k}" for k in KERNELS))
        out.write(dict(nano.header, tool="boot", command=sys.argv, quick=options.quick, runs=options.runs, seed=options.seed,
                       boots=options.boots, cpu=options.cpu, time=now()))
        for record in list(nano.engines.values()) + list(nano.images.values()) + list(micro.images.values()):
            out.write(record)
        for record in nano.samples + nano.failed + nano.skipped + micro.samples + micro.failed:
            out.write(record)
        there = [e for e in options.engines if nano.engines[results.base_engine(e)].get("available")]
        described = boot_all(options, there, out.write)
        for name in there:
            if name in described and name not in nano.engines:
                out.write(described[name])
        out.write({"type": "end", "complete": True})
    print("\n".join(figure5.whole(results.load(out.path)[-1])))
    print(f"\nresults:  {out.path}")
    return 0


if __name__ == "__main__":
    entry.run(main, None, KeyError)
