#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the paper left out: how much of a guest is translated as it is, by how much it grows, and what translating an
instruction costs. Runs each image a few times on bt, briefly, and writes a results file and tables beside it.
`scripts/translation.py [--runs=N] [--out=FILE] [SUITE/NAME ...]`"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

import entry
import peers
import results
from new_results import NewResults, now

WORDS = "reps=1 cycles=100000"


# ---- Tables ----

def by_image(run):
    found = {}
    for r in run.translations:
        found.setdefault((r["suite"], r["image"]), []).append(r["stats"])
    return found


def kinds(stats):
    """Kind of translation -> instructions. The names are the keys that explain themselves."""
    return {key: n for key, n in stats.items() if ": " in key}


def figures(samples):
    """Of one image's processes: counts of the first, as all translate the same, and the median cost."""
    first = samples[0]
    insns = sum(kinds(first).values())
    return {"units": first["units"], "insns": insns, "kinds": kinds(first), "guest": first["guest_bytes"],
            "hot": first["hot_bytes"], "cold": first["cold_bytes"],
            "cycles": statistics.median(s["cycles"] / sum(kinds(s).values()) for s in samples)}


def share(f, kind):
    return sum(n for key, n in f["kinds"].items() if key.startswith(kind + ":")) / f["insns"]


def row(name, f):
    ident = share(f, "IDENT")
    return (f"| {name} | {f['units']:,} | {f['insns'] / f['units']:.1f} | {ident:.0%} | {ident + share(f, 'biased'):.0%} | "
            f"{f['hot'] / f['guest']:.2f} | {f['cold'] / f['guest']:.2f} | {f['cycles']:,.0f} |")


def total(every):
    """All images together; the cost is the median of theirs."""
    kinds_of_all = {}
    for f in every:
        for key, n in f["kinds"].items():
            kinds_of_all[key] = kinds_of_all.get(key, 0) + n
    summed = {key: sum(f[key] for f in every) for key in ("units", "insns", "guest", "hot", "cold")}
    return dict(summed, kinds=kinds_of_all, cycles=statistics.median(f["cycles"] for f in every))


def overall(run):
    return total([figures(samples) for samples in by_image(run).values()])


def table(run):
    every = {name: figures(samples) for (_, name), samples in by_image(run).items()}
    out = ["| image | TUs | instructions a TU | IDENT | and IDENT but for gs | host bytes a guest byte | "
           "stubs likewise | TSC cycles an instruction |", "|---|" + "---:|" * 7]
    out += [row(name, f) for name, f in every.items()]
    return out + [row("*all; the median of the cycles*", total(list(every.values())))]


def kinds_table(run):
    all_images = overall(run)
    out = ["| kind | what it is | instructions | share |", "|---|---|---:|---:|"]
    for key, n in all_images["kinds"].items():
        kind, _, meaning = key.partition(": ")
        out.append(f"| {kind} | {meaning} | {n:,} | {n / all_images['insns']:.1%} |")
    return out


# ---- The run ----

def run_image(image, cpu):
    command = [peers.RINGSIDE, "run", "--engine=bt", "--json", f"--cpu={cpu}", f"--append={WORDS}", image]
    done = subprocess.run(command, capture_output=True, text=True, timeout=peers.PROCESS_SECONDS)
    if done.returncode:
        raise RuntimeError(f"`{' '.join(command)}` failed: {done.stderr.strip()[-200:]}")
    return json.loads(done.stdout)


def images_there():
    return [f"{suite}/{name[:-4]}" for suite in ("nano", "micro")
            for name in sorted(os.listdir(f"build/images/{suite}")) if name.endswith(".elf")]


def parse(args):
    parser = argparse.ArgumentParser(description="How the translator translates each image, and what that costs.")
    parser.add_argument("images", nargs="*", metavar="SUITE/NAME", help="default: all of nano and micro")
    parser.add_argument("--runs", type=int, default=10, help="processes for each image (default 10)")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)), help="the CPU that all run on")
    parser.add_argument("--out", help="results file; an existing one is appended to")
    return parser.parse_args(args)


def main(args):
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    options = parse(args)
    images = options.images or images_there()
    with tempfile.TemporaryDirectory() as folder:
        pilot = peers.pilot_run(folder, images)
    with NewResults("translation", options.out) as out:
        out.write(dict(pilot.header, tool="translation", command=sys.argv, runs=options.runs, reps=1, cpu=options.cpu,
                       time=now(), quick=False))
        for record in [pilot.engines["bt"]] + list(pilot.images.values()):
            out.write(record)
        for number in range(options.runs):
            for image in images:
                done = run_image(image, options.cpu)
                suite, name = image.split("/")
                out.write({"type": "translation", "suite": suite, "image": name, "engine": "bt", "process": number,
                           "stats": done["stats"], "counters": done["counters"]})
        out.write({"type": "end", "complete": True})
    run = results.load(out.path)[-1]
    print("\n".join(kinds_table(run) + [""] + table(run)))
    print(f"\nresults:  {out.path}")
    return 0


if __name__ == "__main__":
    entry.run(main)
