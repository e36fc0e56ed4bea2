#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Exits that one iteration of each benchmark takes, by the CPU's own reason, on the real kvm_intel and kvm_amd with shadow
and with nested paging, in emulated machines (kvm_machine.py). `scripts/exits.py --out=FILE` counts, each benchmark in two
processes, and appends a run to FILE (docs/results.md); `scripts/exits.py FILE` prints its tables.

Silicon is emulated here: which exits there are is the architecture's and KVM's doing and holds, times would not."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import debian_kernel
import entry
import kvm_machine
import results
import table
import test
from new_results import NewResults, now

NANO_N, PROCESS_N, REPS = 256, 32, 3
MEASURED = {"nano": NANO_N, "lab": NANO_N, "micro": PROCESS_N, "macro": PROCESS_N}
# These go by time, not by what a benchmark does: interrupts of the host's, and those of the guest's timer.
OF_THE_CLOCK = ("hw_interrupt", "hw_timer", "hw_window")
ALL, PREFIX = "hw_exits", "hw_"
NEARLY = 0.0005  # what a rate is rounded to
NOISE = 0.25  # a mean of counts that vary and are rarer than this is the guest's timer at work
KVM_EVENTS = ("kvm_pf_guest", "kvm_pf_fixed", "kvm_mmu_pte_write", "kvm_invlpg", "kvm_tlb_flush", "kvm_insn_emulation")


# ---- Measuring ----

def images():
    """(suite, image) of what is counted: every nano benchmark, students' images (docs/labs), those of processes and servers."""
    small = [(suite, name[:-4]) for suite in ("nano", "lab") if os.path.isdir(f"build/images/{suite}")
             for name in sorted(os.listdir(f"build/images/{suite}")) if name.endswith(".elf")]
    return small + [("micro", name) for name in results.PROCESS] + \
        [("macro", name) for name in ("server1", "serverN")]


MACHINES = "intel,amd-bochs"  # Bochs counts one cycle for an instruction: two runs are the same run


def wanted(options):
    return [image for image in images() if options.only in "/".join(image)]


def command(suite, image, process):
    words = f"reps={REPS} n={MEASURED[suite]}"
    return (f"{suite}/{image}/{process}", f"ringside run --engine=vtx:exits --json --timeout=600 --append='{words}' "
            f"/images/{suite}/{image}.elf")


def name_of(machine, nested):
    return f"{machine.module.replace('-', '_')}:{machine.setting(nested)}"


def engine_record(machine, nested, described):
    """The engine as the results file has it: what ringside says of it in a run, under the name of the back end."""
    name = name_of(machine, nested)
    column = f"{described['backend']}, {described['paging']}, {machine.what}"
    return dict(described, type="engine", name=name, column=column, emulator=machine.what)


def sample_records(result, engine):
    """What one run of an image brought: samples, or why there is none. Times are left out: they are an emulator's."""
    suite, image, process = result.name.split("/")
    common = {"suite": suite, "image": image, "engine": engine, "process": int(process)}
    try:
        document = json.loads(result.out)
    except ValueError:
        document = {"benchmarks": [], "skipped": [], "reason": test.last_line(result.err) or "no output"}
    found = [dict(common, type="sample", bench=b["bench"], n=b["n"], cold=None, t1=[], t2=[], e1=None, e2=None,
                  value=b["value"], counters_n=b["counters_n"], counters_2n=b["counters_2n"],
                  counters=document["counters"]) for b in document["benchmarks"] if b["t1"] and result.status == 0]
    found += [dict(common, type="skipped", bench=s["bench"], reason=s["reason"]) for s in document["skipped"]]
    if not found:
        found = [dict(common, type="failed", bench=None, status=result.status, reason=document["reason"])]
    return found


def commit():
    asked = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True)
    changed = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True)
    return {"commit": asked.stdout.strip() or None, "dirty": bool(changed.stdout.strip())}


def header(options):
    return {"type": "run", "version": 1, "tool": "exits", "time": now(), "command": sys.argv, "runs": options.runs,
            "reps": REPS, "n": MEASURED, "machine": dict(commit(), cpu_model="emulated")}


def count_on(machine, nested, options, write):
    items = [command(*image, process) for process in range(options.runs) for image in wanted(options)]
    name, start, done, described = name_of(machine, nested), time.monotonic(), 0, False

    def take(result):
        nonlocal done, described
        if not described and result.status == 0:
            described = True
            write(engine_record(machine, nested, json.loads(result.out)["engine"]))
        done += 1
        for record in sample_records(result, name):
            write(record)
            if record["type"] == "failed":
                print(f"  {result.name}: {record['reason']}", file=sys.stderr)
        if done % 10 == 0:
            print(f"  {name}: {done} of {len(items)}, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    paths = [f"build/images/{suite}/{image}.elf" for suite, image in wanted(options)]
    root = kvm_machine.Root(machine, ["build/ringside"], paths)
    kvm_machine.run(machine, nested, items, take, root)
    write({"type": "kernel", "engine": name, "kernel": root.kernel.release, "emulator": machine.version()})


def measure(options):
    start, head = time.monotonic(), header(options)
    with NewResults("exits", options.out) as out:
        out.write(head)
        for suite, image in wanted(options):
            out.write({"type": "image", "suite": suite, "bench": image, "native": False, "native_sha256": None,
                       "sha256": kvm_machine.sha256(f"build/images/{suite}/{image}.elf")})
        for name in options.machines.split(","):
            for nested in (False, True):
                count_on(kvm_machine.MACHINES[name], nested, options, out.write)
        out.write({"type": "end", "complete": True, "seconds": round(time.monotonic() - start)})


# ---- Tables ----

def rates(run, suite, bench, engine):
    """Event -> rates of every repetition of every process, but for each one's first: with n given there is no calibration, and
    the first repetition is what warms up."""
    names = run.engines.get(engine, {}).get("counts") or []
    found = {}
    for sample in run.of(suite, bench, engine):
        for name, values in results.event_rates(sample, names).items():
            found.setdefault(name, []).extend(values[1:])
    return found


def own(run, suite, bench, engine):
    """Reason -> rates, of the exits that are the benchmark's; {} where it was not counted."""
    return {name: values for name, values in rates(run, suite, bench, engine).items()
            if name.startswith(PREFIX) and name != ALL and name not in OF_THE_CLOCK}


def steady(values):
    return max(values) - min(values) < NEARLY


def text_of(values):
    """A count that repeats as it is, any other as a mean to one decimal."""
    if not steady(values):
        return f"{statistics.mean(values):.1f}"
    text = table.rate_text(values[0])
    return text.rstrip("0") if "." in text else text


def happens(values):
    return abs(values[0]) >= NEARLY if steady(values) else abs(statistics.mean(values)) >= NOISE


def cell(reasons):
    """`1 (io)`, `3 (2 page fault, 1 cr)`, `0`; ~ and means where repetitions differ."""
    seen = {name.removeprefix(PREFIX).replace("_", " "): values for name, values in reasons.items() if happens(values)}
    mark = "" if all(map(steady, reasons.values())) else " ~"
    if not seen:
        return "0" + mark
    text = text_of([sum(values) for values in zip(*seen.values())]) + mark
    if len(seen) == 1:
        return f"{text} ({next(iter(seen))})"
    parts = sorted(seen.items(), key=lambda part: -statistics.mean(part[1]))
    return f"{text} ({', '.join(f'{text_of(values)} {name}' for name, values in parts)})"


def engines(run):
    """Shadow paging first, which is what the paper had."""
    return sorted(run.engines, key=lambda name: (run.engines[name]["paging"].startswith("nested"), name))


def exits_table(run, suites):
    paper, notes, rows = results.reference(), table.Notes(), []
    nano = suites == ["nano"]
    for suite in suites:
        for image, bench in run.benches(suite):
            row = [bench]
            if nano:
                row += [f"{paper[bench][0]:,.0f}", f"{paper[bench][2]:,.0f}"] if bench in paper else ["", ""]
            for engine in engines(run):
                reasons = own(run, suite, bench, engine)
                row.append(cell(reasons) if reasons else notes.mark(results.why_missing(run, suite, image, bench, engine)))
            rows.append(row)
    head = ["benchmark"] + (["P4 native, cycles", "P4 hardware VMM, cycles"] if nano else [])
    return table.with_notes(table.markdown(head + [results.column(run, e) for e in engines(run)], rows), notes)


def kvm_table(run, suites):
    """What KVM did about the exits, by its own statistics."""
    names = [n for n in KVM_EVENTS if any(n in run.engines[e]["counts"] for e in run.engines)]
    rows = []
    for suite in suites:
        for _, bench in run.benches(suite):
            for engine in engines(run):
                found = rates(run, suite, bench, engine)
                texts = [text_of(found[n]) if n in found and happens(found[n]) else "0" for n in names]
                if any(text != "0" for text in texts):
                    rows.append([f"{bench}, {engine}"] + texts)
    return table.markdown(["benchmark, back end"] + [n.removeprefix("kvm_") for n in names], rows)


def unsteady(run):
    """`bench on engine` of everything whose exits are not the same in each repetition."""
    found = []
    for suite in run.suites():
        for _, bench in run.benches(suite):
            for engine in engines(run):
                reasons = own(run, suite, bench, engine)
                if not all(steady(values) for values in reasons.values()):
                    found.append(f"{bench} on {engine}")
    return found


def mismatches(run):
    """Where the reasons do not add up to all exits, or KVM's own statistic says another number: there is none."""
    found = []
    for sample in run.samples:
        for counts in (sample["counters_n"] or []) + (sample["counters_2n"] or []):
            parts = sum(v for k, v in counts.items() if k.startswith(PREFIX) and k != ALL)
            if parts != counts.get(ALL, 0) or counts.get(ALL, 0) != counts.get("kvm_exits", 0):
                found.append(f"{sample['bench']} on {sample['engine']}: {parts} by reason, {counts.get(ALL, 0)} in all, "
                             f"{counts.get('kvm_exits', 0)} by KVM's statistic")
    return found


def scope(run):
    h, m = run.header, run.machine
    cells = sum(bool(own(run, s, b, e)) for s in run.suites() for _, b in run.benches(s) for e in run.engines)
    varying, wrong = unsteady(run), mismatches(run)
    out = [f"{h.get('time')}: {results.count_text(h.get('runs'), 'process', 'processes')} x "
           f"{results.count_text(h.get('reps'), 'repetition')} of each benchmark on each back end; commit {(m.get('commit') or 'none')[:12]}"
           f"{' with local changes' if m.get('dirty') else ''}."]
    out += [f"{r['engine']}: Linux {r['kernel']}, {r['emulator']}." for r in run.kernels]
    out.append(f"{cells - len(varying)} of {cells} counts are the same in every repetition of every process but the first of each, which warms up" +
               (f"; of {', '.join(dict.fromkeys(what.split(' ')[0] for what in varying))} not all" if varying else "") + ".")
    out.append("In every run the reasons add up to all exits, and KVM's statistic says the same number." if not wrong else
               f"Reasons that do not add up: {'; '.join(wrong[:5])}.")
    if not (run.end and run.end.get("complete")):
        out.append("The run was interrupted: what is here had been counted by then.")
    return [line + "  " for line in out]


def suites_but_nano(run):
    return [suite for suite in run.suites() if suite != "nano"]


def whole(run):
    return scope(run) + [""] + exits_table(run, ["nano"]) + [""] + exits_table(run, suites_but_nano(run)) + [""] + \
        kvm_table(run, run.suites())


def main(args):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", metavar="FILE", help="print the tables of these")
    parser.add_argument("--out", metavar="FILE", help="count, and append the run to FILE")
    parser.add_argument("--machines", default=MACHINES, metavar="NAME,...")
    parser.add_argument("--runs", type=int, default=2, help="processes of each benchmark")
    parser.add_argument("--only", default="", metavar="TEXT", help="only images with TEXT in their name")
    options = parser.parse_args(args)
    if bool(options.out) == bool(options.files):
        parser.error("either --out=FILE or FILE...")
    if options.out:
        options.out = os.path.abspath(options.out)
        os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
        measure(options)
    for path in options.files or [options.out]:
        print("\n".join(whole(results.load(path)[-1])))
    return 0


if __name__ == "__main__":
    kvm_machine.end_on_signals()
    entry.run(main, None, debian_kernel.Unavailable)
