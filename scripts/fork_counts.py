#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a forkwait does to page tables on the host's Linux: builds scripts/fork_counts.c statically and dynamically, runs both and
writes what they counted. `scripts/fork_counts.py --out=FILE` counts; `scripts/fork_counts.py FILE` prints the table of a file;
`--mixes FILE` rewrites the mixes of events of model/mixes that rest on it."""
import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile

import entry
import table
from new_results import NewResults, now

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SOURCE = os.path.join(ROOT, "scripts/fork_counts.c")
KEYS = ["parent_faults", "child_faults", "at_fork", "at_exit"]
RUNS = 5


# ---- Counting ----

def build(folder, linked):
    program = os.path.join(folder, linked)
    subprocess.run(["gcc", "-std=gnu17", "-O2", "-D_GNU_SOURCE", f"-{linked}" if linked == "static" else "-pie", "-o", program, SOURCE],
                   check=True)
    return program


def machine():
    model = ""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "")
    return {"cpu_model": model, "kernel": platform.release(), "libc": " ".join(platform.libc_ver())}


def count(path):
    head = {"type": "run", "version": 1, "tool": "fork_counts", "machine": machine(),
            "time": now()}
    with tempfile.TemporaryDirectory() as folder, NewResults("fork-counts", path) as out:
        out.write(head)
        for linked in ("static", "dynamic"):
            program = build(folder, linked)
            for number in range(RUNS):
                said = json.loads(subprocess.run([program], check=True, capture_output=True, text=True).stdout)
                out.write(dict(said, type="fork", program=linked, process=number))
        out.write({"type": "end", "complete": True})


# ---- From a file ----

def read(path):
    """The last run's head, and program -> key -> median."""
    head, found = None, {}
    with open(path, encoding="utf-8") as file:
        for record in map(json.loads, filter(str.strip, file)):
            if record["type"] == "run":
                head, found = record, {}
            elif record["type"] == "fork":
                found.setdefault(record["program"], []).append(record)
    if not found:
        raise ValueError(f"{path}: no counts of forks")
    return head, {program: {key: statistics.median(r[key] for r in records) for key in KEYS} for program, records in found.items()}


def traced_writes(counts, around=True):
    """Writes to page tables in use: the parent's entries protected and, by copy on write, made anew; the child's entries made by
    faults, and all of them cleared when it ends. The child's tables are not in use when fork fills them. around: a fault maps the
    pages around it as well, as Linux does from 3.15 on; without, each fault makes one entry."""
    made = counts["at_exit"] - counts["at_fork"] if around else counts["child_faults"]
    return 2 * counts["parent_faults"] + made + counts["at_fork"] + made


def faults(counts):
    return counts["parent_faults"] + counts["child_faults"]


# mix -> (program, whether faults map what is around, in words); None: what the published pair says without traced writes
MIXES = {"forkwait": ("static", False, "a static program on a kernel before fault-around, as in 2006"),
         "forkwait-around": ("static", True, "a static program on the Linux that was counted"),
         "forkwait-dynamic": ("dynamic", True, "a dynamic program on the Linux that was counted"),
         "forkwait-faults": (None, False, "nothing but system calls and hidden faults")}


def mix_text(name, path, counted):
    """model/mixes/NAME.mix: what was counted here, and as many hidden faults as the paper's hardware monitor's time on the Pentium 4 leaves
    room for."""
    program, around, words = MIXES[name]
    counts = counted[program] if program else dict.fromkeys(KEYS, 0)
    source = f"{path}: {program}" if program else "none"
    said = {"syscall": (3, "ASPLOS 2006, section 6.3: fork, exit, wait"), "cr3wr": (2 if program else 0, "to the child and back" if program else "none"),
            "pgfault": (faults(counts), source), "ptemod": (traced_writes(counts, around), source)}
    per_fork = "ref(facts.p4 clock MHz.value) * 1000000 / ref(facts.forkwait pairs.value)"
    whole = f"(ref(asplos2006.micro/forkwait.hardware) - ref(asplos2006.micro/forkwait.native)) * {per_fork}"
    known = " - ".join(f"{event} * ({cost})" for event, cost in {
        f"{said['syscall'][0]:g}": "ref(asplos2006.nano/syscall.hardware) - ref(asplos2006.nano/syscall.native)",
        f"{said['cr3wr'][0]:g}": "p4_cr3wr_shadow - ref(asplos2006.nano/cr8wr.native)",
        f"{said['pgfault'][0]:g}": "ref(asplos2006.nano/pgfault.hardware) - ref(asplos2006.nano/pgfault.native)",
        f"{said['ptemod'][0]:.1f}": "ref(asplos2006.nano/ptemod.hardware) - ref(asplos2006.nano/ptemod.native)"}.items())
    lines = ["# SPDX-License-Identifier: BSD-2-Clause", f"# One forkwait: {words}. Written by `scripts/fork_counts.py --mixes`.",
             "# Hidden faults are what the hardware monitor's time on the Pentium 4 leaves room for, so that figure is used up; the other three are not."]
    lines += [f"{event} = {value:.1f} | {where}" for event, (value, where) in said.items()]
    lines.append(f"hidden = ({whole} - {known}) / p4_hidden_shadow | solved from the hardware VMM's forkwait on the Pentium 4")
    return "\n".join(lines) + "\n"


def write_mixes(path):
    _, counted = read(path)
    for name in MIXES:
        with open(os.path.join(ROOT, f"model/mixes/{name}.mix"), "w", encoding="utf-8") as file:
            file.write(mix_text(name, os.path.relpath(path, ROOT), counted))


def counts_table(path):
    head, counted = read(path)
    rows = [[program] + [f"{c[key]:,.0f}" for key in KEYS] + [f"{traced_writes(c):,.0f}", f"{traced_writes(c, False):,.0f}"]
            for program, c in counted.items()]
    return table.markdown(["program", "faults of the parent", "of the child", "entries when it starts", "when it ends",
                           "writes to tables in use", "the same, one entry a fault"], rows) + [
        "", f"Linux {head['machine']['kernel']}, {head['machine']['libc']}, {head['time']}; medians of {RUNS} processes."]


def main(args):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", nargs="?", metavar="FILE")
    parser.add_argument("--out", metavar="FILE", help="count, and append to FILE")
    parser.add_argument("--mixes", action="store_true", help="rewrite model/mixes from FILE")
    options = parser.parse_args(args)
    if bool(options.out) == bool(options.file):
        parser.error("either --out=FILE or FILE")
    if options.out:
        count(options.out)
    if options.mixes:
        write_mixes(os.path.abspath(options.file or options.out))
    print("\n".join(counts_table(options.file or options.out)))
    return 0


if __name__ == "__main__":
    entry.run(main)
