#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Measures Debian's kernel as the guest: boots to the first process, and the guest Unix's benchmark programs on it, on the
interpreter, the ways of the translator, and QEMU's translator (TCG); the programs on the host's own Linux besides, which is what
the paper's forkwait was measured against. In random order; every boot is one process. `scripts/linux.py [--quick] [--out=FILE]`; `--tables FILE`
prints what is made of a file."""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

import debian_kernel
import entry
import linux_guest
import peers
import process
import results
import table
from new_results import NewResults, now

WAYS = ["interp"] + process.USER + [linux_guest.PEER]
# The host's processor needs none of its kernel's against Meltdown, and a guest that believes it does measures its own.
WORDS = f"{linux_guest.WORDS} mitigations=off"
SUITE = "linux"
FAILED = "did not end well"


# ---- One of each ----

def boot(guest, way):
    """Fields of a `boot` record, or why there is none."""
    done = guest.boot(way, "run=")
    wrong = done.wrong(way)
    return "; ".join(wrong) if wrong else {"wall_ns": done.wall_ns, "init_ns": done.init_ns}


def counted(guest, way, words):
    """{bench: fields of a sample} of all programs in one boot, with the engine's counts, or why there are none."""
    command = guest.command(way, words + " marks=port", "--json")
    done = subprocess.run(command, capture_output=True, text=True, timeout=guest.seconds + 30)
    if done.returncode:
        return (json.loads(done.stdout)["reason"] if done.stdout.startswith("{") else "") or done.stderr.strip()[-200:] or FAILED
    return {bench["bench"]: bench for bench in json.loads(done.stdout)["benchmarks"]}


def uncounted(lines):
    """The same of the lines that programs print."""
    found = {}
    for text in lines:
        words = text.split(" ")
        if words[:1] != ["rs1"] or words[1:2] not in (["cold"], ["warm"]):
            continue
        fields = dict(word.split("=", 1) for word in words[2:])
        sample = found.setdefault(fields["name"], {"cold": None, "n": 0, "t1": [], "t2": [], "e1": [], "e2": []})
        if words[1] == "cold":
            sample["cold"] = int(fields["tsc"])
            continue
        sample["n"] = int(fields["n"])
        for key in ("t1", "t2", "e1", "e2"):
            sample[key].append(int(fields[key]))
    return found


def native(names, words, cpu):
    found = {}
    for name in names:
        done = subprocess.run([f"build/native/{name}", f"cpu={cpu}", *words.split()], capture_output=True, text=True,
                              timeout=peers.PROCESS_SECONDS)
        found.update(uncounted(done.stdout.splitlines()) if done.returncode == 0 else {})
    return found or FAILED


def samples(guest, way, names, options):
    """The programs of a suite: names alone say nothing of it, since user/crc and micro/crc have the same."""
    words = f"reps={options.reps} cycles={options.cycles}"
    if way == "native":
        return native(names, words, options.cpu)
    run = f"run={','.join(names)} {words}"
    if way != linux_guest.PEER:
        return counted(guest, way, run)
    done = guest.boot(way, run)
    return uncounted(done.lines) if not done.unended else done.unended[0]


# ---- The run ----

def benchmarks():
    """Suite -> names of the programs that are measured."""
    found = {}
    for suite, name in process.built():
        if process.of_processes(suite, name) and name not in process.ONCE:
            found.setdefault(suite, []).append(f"{suite}/{name}")
    return found


def jobs_of(options, ways):
    jobs = [(way, None) for way in ways for _ in range(options.rounds) if way != "native"]
    jobs += [(way, suite) for way in ways for suite in benchmarks() for _ in range(options.rounds)]
    random.Random(options.seed).shuffle(jobs)
    return jobs


def run_job(guest, way, suite, options):
    """Records of one boot; the first of them says of what."""
    if suite is None:
        said = boot(guest, way)
        return said if isinstance(said, str) else [dict(said, type="boot", suite=SUITE, image="debian")]
    said = samples(guest, way, benchmarks()[suite], options)
    return said if isinstance(said, str) else [dict(sample, type="sample", suite=suite, image=bench, bench=bench)
                                               for bench, sample in said.items()]


def run_all(guest, ways, options, write):
    jobs, start, numbers = jobs_of(options, ways), time.monotonic(), {}
    for order, (way, suite) in enumerate(jobs):
        peers.progress(order, len(jobs), start, f"{suite or 'boot'} on {way}")
        number = numbers[way, suite] = numbers.get((way, suite), -1) + 1
        common = {"engine": way, "process": number, "order": order}
        try:
            found = run_job(guest, way, suite, options)
        except subprocess.TimeoutExpired:
            found = f"did not end within {guest.seconds} s"
        if isinstance(found, str):
            print(f"{suite or 'boot'} on {way}: {found}", file=sys.stderr)
            found = [{"type": "failed", "suite": suite or SUITE, "image": None, "bench": None, "status": None, "reason": found}]
        for record in found:
            write(dict(record, **common))
    return time.monotonic() - start


def describe(pilot, ways, write):
    """An `engine` record for each way, and the images."""
    peer = peers.Peer(linux_guest.PEER, "QEMU TCG", "tcg", peers.version_of("qemu-system-x86"), None, None)
    for way in ways:
        if way == linux_guest.PEER:
            write(peer.record())
        else:
            base = pilot.engines[results.base_engine(way)]
            column = base["column"] if way == results.base_engine(way) else way
            write(dict(base, name=way, column=column))
    for record in pilot.images.values():
        write(record)


def parse(args):
    parser = argparse.ArgumentParser(description="Debian's kernel as the guest: boots, and programs on it, on each engine.")
    parser.add_argument("--quick", action="store_true", help="one of each: a first look")
    parser.add_argument("--rounds", type=int, help="boots for each figure (default 6, quick 1)")
    parser.add_argument("--reps", type=int, help="repetitions in each (default 5, quick 2)")
    parser.add_argument("--cycles", type=int, default=2_000_000, help="that a timed run takes at least (default 2000000)")
    parser.add_argument("--engines", default=",".join(["native"] + WAYS), help="only these (default: all)")
    parser.add_argument("--words", default=WORDS, help=f"for the kernel (default: {WORDS})")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32), help="of the random order")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)), help="the CPU that all run on")
    parser.add_argument("--out", help="results file; an existing one is appended to")
    parser.add_argument("--tables", metavar="FILE", help="measure nothing: the tables of a results file")
    options = parser.parse_args(args)
    options.rounds = options.rounds or (1 if options.quick else 6)
    options.reps = options.reps or (2 if options.quick else 5)
    return options


def measure(options):
    """The path of the results file."""
    kernel = debian_kernel.Kernel()
    ways = [way for way in options.engines.split(",") if way == "native" or not linux_guest.reason_against(way)]
    guest = linux_guest.Guest(kernel.image, options.words, options.cpu, peers.PROCESS_SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        pilot = peers.pilot_run(folder, [name for names in benchmarks().values() for name in names])
    with NewResults("linux", options.out) as out:
        out.write(dict(pilot.header, tool="linux", time=now(), command=sys.argv, seed=options.seed, quick=options.quick,
                       runs=options.rounds, reps=options.reps, cycles=options.cycles, cpu=options.cpu))
        out.write({"type": "kernel", "engine": None, "kernel": kernel.release, "words": options.words})
        describe(pilot, ways, out.write)
        seconds = run_all(guest, ways, options, out.write)
        out.write({"type": "end", "complete": True, "seconds": round(seconds)})
    return out.path


# ---- Tables ----

def boot_rows(run):
    """(engine, boots, median seconds to the first process, likewise of the least)."""
    rows = []
    for engine in results.engine_order(run):
        found = [b["init_ns"] / 1e9 for b in run.boots if b["engine"] == engine]
        if found:
            rows.append((engine, len(found), statistics.median(found), min(found)))
    return rows


def boot_table(run):
    rows = boot_rows(run)
    peer = next((median for engine, _, median, _ in rows if engine == linux_guest.PEER), None)
    return table.markdown(["who runs it", "boots", "seconds to the first process, median", "least", "times QEMU TCG's"],
                          [[results.column(run, engine), str(boots), f"{median:.2f}", f"{least:.2f}",
                            f"{median / peer:.2f}" if peer else "n/a"] for engine, boots, median, least in rows])


def scope(run):
    kernel = run.kernels[0]
    return [f"The guest: Linux {kernel['kernel']} as Debian ships it, `{kernel['words']}`, {linux_guest.RAM_MIB} MiB of RAM.  "] + table.scope(run)


def whole(run):
    out = scope(run) + [""] + table.engine_list(run)
    out += table.titled("boots of Debian's kernel", boot_table(run))
    out += table.titled("programs on it: TSC cycles an iteration, median", process.costs_table(run))
    out += table.titled("programs on it: times the cost on the host's own Linux", process.ratios_table(run))
    out += table.titled("events of one forkwait", process.events_table(run))
    return out


def main(args):
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    options = parse(args)
    path = options.tables or measure(options)
    print("\n".join(whole(results.load(path)[-1])))
    print(f"\nresults:  {path}")
    return 0


if __name__ == "__main__":
    entry.run(main, None, debian_kernel.Unavailable, KeyError)
