#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The guest Unix runs for a long time on each engine, and the monitor stays as it is: memory, mappings, descriptors and
children, its own and its processes', are sampled all along. `make check-soak SECONDS=N`: N seconds an engine.

A quantity grows where two things hold, of the run without its first quarter, in which caches fill: a Mann-Kendall test
for trend says so beyond chance (Z_BOUND; ties corrected), and the line through it (Theil-Sen: the median of all slopes)
gains more than BOUNDS over the whole run. So neither one odd sample decides, nor a map cache that fills and is emptied.
Exit status: 0 flat, 1 something grew or ended wrongly, 2 usage."""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "cli"))
import _processes as processes  # noqa: E402

IMAGE = "build/images/bantam/first.elf"
ENGINES = ["interp", "bt", "bt:mmu=trace", "bt:user=translated", "bt:user=direct", "vtx"]
TIMEOUT = 5  # exit status: the time was up, which is how it should end
# What a run may gain by its line. Pages of guest RAM that are touched late count as resident.
BOUNDS = {"resident KiB": 512, "anonymous KiB": 512, "mappings": 64, "descriptors": 0.5, "children": 0.5,
          "children's resident KiB": 1024, "children's mappings": 256}
Z_BOUND = 3.3  # one series in a thousand by chance
SAMPLES = 300  # of a run, which are looked at; more are thinned out
PROBE_SECONDS = 5


# ---- Trend ----

def trend(values):
    """(z of the Mann-Kendall test, gain of the Theil-Sen line from the first value to the last)"""
    n, score, slopes = len(values), 0, []
    for i in range(n):
        for k in range(i + 1, n):
            score += (values[k] > values[i]) - (values[k] < values[i])
            slopes.append((values[k] - values[i]) / (k - i))
    ties = [values.count(value) for value in set(values)]
    variance = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    z = (score - (score > 0) + (score < 0)) / math.sqrt(variance) if variance > 0 else 0.0
    return z, statistics.median(slopes) * (n - 1) if slopes else 0.0


def thinned(values):
    step = max(1, math.ceil(len(values) / SAMPLES))
    return values[::step]


def judge(samples):
    """For each quantity: its first, last, least and most, z, gain, and whether it grew."""
    late, result = thinned(samples[len(samples) // 4:]), {}
    for key, bound in BOUNDS.items():
        values = [s[key] for s in late]
        z, gain = trend(values)
        result[key] = {"first": values[0], "last": values[-1], "least": min(values), "most": max(values),
                       "z": round(z, 2), "gain": round(gain, 1), "bound": bound, "grew": z > Z_BOUND and gain > bound}
    return result


# ---- A run ----

def command(ringside, engine, what, seconds):
    return [ringside, "run", f"--engine={engine}", f"--timeout={seconds}", "--ram=32M", "--serial-limit=1T",
            f"--append=do={what}", IMAGE]


def cannot(ringside, engine):
    """Why the engine does not run the guest Unix here; None where it does."""
    done = subprocess.run(command(ringside, engine, "calls", PROBE_SECONDS), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return None if done.returncode == TIMEOUT else done.stderr.decode(errors="replace").strip()


def soak(ringside, engine, what, seconds, progress):
    interval = min(5, max(0.05, seconds / 1200))
    process = subprocess.Popen(command(ringside, engine, what, seconds), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    samples, begin, said = [], time.monotonic(), 0.0
    while process.poll() is None and time.monotonic() - begin < 2 * seconds + 60:
        try:
            samples.append(processes.sample(process.pid))
        except OSError:  # it, or a child, has just ended
            pass
        now = time.monotonic() - begin
        if progress and samples and now - said >= max(2, seconds / 60):
            said = now
            print(f"\r{engine} {what}: {now:.0f} of {seconds:g} s, {samples[-1]['resident KiB']} KiB, "
                  f"{samples[-1]['mappings']} mappings, {samples[-1]['descriptors']} descriptors   ", end="",
                  file=sys.stderr, flush=True)
        time.sleep(interval)
    if process.poll() is None:
        process.kill()
    err = process.stderr.read().decode(errors="replace").strip()
    result = {"engine": engine, "what": what, "seconds": round(time.monotonic() - begin, 1), "samples": len(samples),
              "status": process.wait(), "error": "" if process.returncode == TIMEOUT else err}
    result["quantities"] = judge(samples) if len(samples) >= 12 else {}
    result["flat"] = bool(result["quantities"]) and not any(q["grew"] for q in result["quantities"].values())
    if progress:
        print("\r" + " " * 100 + "\r", end="", file=sys.stderr, flush=True)
    return result


def say(result):
    grown = [f"{key} {q['first']} -> {q['last']} (line +{q['gain']}, z {q['z']})"
             for key, q in result["quantities"].items() if q["grew"]]
    fine = result["flat"] and result["status"] == TIMEOUT
    most = result["quantities"].get("resident KiB", {}).get("most", 0)
    print(f"{'ok' if fine else 'not ok'} {result['engine']} {result['what']}: {result['seconds']} s, "
          f"{result['samples']} samples, at most {most} KiB" + (f": {', '.join(grown)}" if grown else "") +
          (f": status {result['status']} {result['error']}" if result["status"] != TIMEOUT else ""), flush=True)
    return fine


def write(path, results, skipped):
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"format": "ringside-soak-1", "runs": results, "skipped": skipped}, file, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600, help="for each engine (default 3600)")
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--what", default="forks,touch", help="what pid 1 does, one after the other (do= of first.c)")
    parser.add_argument("--ringside", default="build/ringside")
    parser.add_argument("--out", default="build/soak.json", help="the result, in JSON")
    arguments = parser.parse_args()
    results, skipped, fine, whats = [], [], True, arguments.what.split(",")
    processes.adopt_orphans()
    for engine in arguments.engines.split(","):
        reason = cannot(arguments.ringside, engine)
        if reason:
            skipped.append({"engine": engine, "reason": reason})
            print(f"skip {engine}: {reason}", flush=True)
        for what in [] if reason else whats:
            results.append(soak(arguments.ringside, engine, what, arguments.seconds / len(whats), sys.stderr.isatty()))
            fine = say(results[-1]) and fine
            write(arguments.out, results, skipped)  # what there is, should it be stopped
    write(arguments.out, results, skipped)
    left = processes.orphans([])
    print("not ok processes are left over: " + str(left) if left else "ok no process is left over")
    return 0 if fine and not left and results else 1


if __name__ == "__main__":
    sys.exit(main())
