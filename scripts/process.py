#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tables of the benchmarks that need an operating system: processes, system calls, demand paging, a small server.

`scripts/process.py FILE` prints the tables of a run; `--images` and `--kernels` print the names of the images of both
kinds that are built, `--engines` the list that `make bench` measures the first kind on. plot.py draws the pictures,
paper.py takes single tables."""
import os
import re
import statistics
import sys

import entry
import peers_table
import results
import table

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
USER = ["bt", "bt:user=direct", "bt:user=translated"]
ENGINES = ["native", "interp"] + USER + [e + ":mmu=trace" for e in USER] + ["vtx"]
TESTS = ["test", "bantam"]  # suites of images that measure nothing
ONCE = ["boothalt"]  # measured by scripts/boot.py
# Benchmark -> the paper's row of the same kind, and whether a larger figure is the better one (requests a second).
PAPER = {"forkwait": ("micro", "forkwait", False), "server1": ("macro", "apache_windows_128", True),
         "serverN": ("macro", "apache_linux_128", True)}
FORKWAITS = 40_000
LEVEL = 1.05  # a difference below this is none


# ---- What is there ----

def built():
    """(suite, name) of every benchmark image."""
    folder = os.path.join(ROOT, "build/images")
    return sorted((suite, name[:-4]) for suite in os.listdir(folder) if suite not in TESTS
                  for name in os.listdir(os.path.join(folder, suite)) if name.endswith(".elf"))


def of_processes(suite, name):
    return suite in ("user", "macro") or (suite == "micro" and name in results.PROCESS)


def rows_of(run):
    """(suite, image, bench) of what has a figure on at least one engine."""
    return [(suite, image, bench) for suite in results.PROCESS_SUITES for image, bench in run.benches(suite)
            if any(results.figure(run, suite, bench, e) for e in results.engine_order(run))]


def label(suite, bench):
    return f"user/{bench}" if suite == "user" else bench


def settings(engine):
    """Settings of an engine's name: `bt:user=direct:mmu=trace` -> {"user": "direct", "mmu": "trace"}."""
    return dict((word.split("=") + [""])[:2] for word in engine.split(":")[1:])


def shown(run):
    """The engines, and the ways of bt to run user code: the columns of the main tables."""
    return [e for e in results.engine_order(run) if set(settings(e)) <= {"user"}]


def has_processes(run):
    """Whether the run is one of these benchmarks alone."""
    suites = set(run.suites())
    return bool(suites) and suites <= set(results.PROCESS_SUITES)


# ---- Costs ----

def paper_ratios(bench):
    """(software, hardware): how many times the native time the paper's VMMs needed; None where it has no such row."""
    if bench not in PAPER:
        return None
    group, name, more_is_better = PAPER[bench]
    native, *others = results.reference(group=group)[name]
    return [native / v if more_is_better else v / native for v in others]


def costs_table(run):
    """TSC cycles of one iteration."""
    engines, notes, rows = shown(run), table.Notes(), []
    for suite, image, bench in rows_of(run):
        cells = []
        for engine in engines:
            f = results.figure(run, suite, bench, engine)
            cells.append(table.cost_text(bench, f, notes) if f else
                         notes.mark(results.why_missing(run, suite, image, bench, engine)))
        rows.append([label(suite, bench)] + cells)
    return table.with_notes(table.markdown(["benchmark"] + [results.column(run, e) for e in engines], rows), notes)


def ratio_text(value):
    return "" if value is None else f"{value:.2f}" if value < 9.95 else f"{value:,.1f}" if value < 99.5 else f"{value:,.0f}"


def ratios_table(run):
    """Times the native program's cost, the paper's VMMs first."""
    engines = [e for e in shown(run) if e != "native"]
    rows = []
    for suite, image, bench in rows_of(run):
        base = results.native_base(run, suite, image, bench)
        if base is None:
            continue
        figures = [results.figure(run, suite, bench, e) for e in engines]
        rows.append([label(suite, bench)] + [ratio_text(r) for r in paper_ratios(bench) or (None, None)] +
                    [ratio_text(f.median / base) if f else "n/a" for f in figures])
    head = ["benchmark", "P4 software VMM", "P4 hardware VMM"] + [results.column(run, e) for e in engines]
    return table.markdown(head, rows) if rows else []


# ---- forkwait, from a run of peers.py ----

def forkwait_rows(run):
    """(where, who, seconds for 40,000, times native) of the paper's machines and of this one."""
    rows = []
    for name, where in (("forkwait", "Pentium 4, 2006"), ("forkwait_core", "Core, 2006")):
        seconds = results.reference(group="micro")[name]
        rows += [(where, who, s, s / seconds[0]) for who, s in zip(("native", "software VMM", "hardware VMM"), seconds)]
    here = {e: peers_table.nanoseconds(run, "process", "forkwait", e) for e in results.engine_order(run)}
    for engine, ns in here.items():
        if ns:
            rows.append(("here", results.column(run, engine), ns * FORKWAITS / 1e9,
                         ns / here["native"] if here.get("native") else None))
    return rows


def in_full(run, who):
    """Seconds that the whole program took, or why it was not run; the paper's figures are of nothing else."""
    for r in run.once:
        if results.column(run, r["engine"]) == who:
            return f"{r['ns'] / 1e9:,.2f}" if r["ns"] else r["reason"]
    return ""


def forkwait_table(run):
    rows = [[where, who, f"{seconds:,.2f}", in_full(run, who) if where == "here" else "", ratio_text(times) or "n/a"]
            for where, who, seconds, times in forkwait_rows(run)]
    return table.markdown(["machine", "who runs it", "40,000 forkwaits, seconds", "run in full, seconds", "times native"], rows)


# ---- Events ----

def meanings():
    """Event -> what it means, from the one list of them."""
    with open(os.path.join(ROOT, "include/events.def"), encoding="utf-8") as file:
        return dict(re.findall(r'^EVENT\((\w+), "(.*)"\)$', file.read(), re.M))


def rate_text(value):
    """Times an iteration: one decimal at most, as processes are no clockwork."""
    return f"{value:,.0f}" if abs(value - round(value)) < 0.05 else f"{value:,.1f}"


def events_table(run, suite="process", bench="forkwait"):
    """What one iteration is made of: a row an event, a column an engine. Empty: the engine does not count it."""
    engines = [e for e in shown(run) if results.events(run, suite, bench, e)]
    rates = {e: results.events(run, suite, bench, e) for e in engines}
    rows = []
    for event, meaning in meanings().items():
        cells = [rate_text(rates[e][event]) if event in rates[e] else "" for e in engines]
        if any(cell not in ("", "0") for cell in cells):
            rows.append([f"`{event}`: {meaning}"] + cells)
    return table.markdown([f"events of one {bench}"] + engines, rows) if rows else []


# ---- The same instructions natively ----

def native_cycles_per_instruction(run, suites=("micro", "user"), counter="interp"):
    """(least, median, most) of the kernels: natively taken cycles over the interpreter's count; None without any."""
    found = []
    for suite in suites:
        for _, bench in run.benches(suite):
            f, instructions = results.figure(run, suite, bench, "native"), instructions_of(run, suite, bench, counter)
            if f and f.median > 0 and instructions:
                found.append(f.median / instructions)
    return (min(found), statistics.median(found), max(found)) if found else None


def instructions_of(run, suite, bench, counter="interp"):
    rates = results.events(run, suite, bench, counter) or {}
    return rates.get("insns_kernel", 0) + rates.get("insns_user", 0)


def times_bound(run, bench, engine, suite="process"):
    """An engine's cost over what the benchmark's own instructions would take natively, see bound_table(); None: not known."""
    rate, count, f = native_cycles_per_instruction(run), instructions_of(run, suite, bench), results.figure(run, suite, bench, engine)
    return f.median / (count * rate[1]) if rate and count and f else None


def bound_table(run):
    """What the guest's own instructions would take at the median speed of native kernels: of the native column that
    cannot be measured, the part without what faults, switches and system calls cost beyond their instructions."""
    rate, rows = native_cycles_per_instruction(run), []
    for suite, _, bench in rows_of(run):
        count, f = instructions_of(run, suite, bench), results.figure(run, suite, bench, "bt")
        if suite == "user" or not rate or not count or not f:
            continue
        rows.append([bench, f"{count:,.0f}", results.cycles_text(count * rate[1]), results.cycles_text(f.median),
                     ratio_text(f.median / (count * rate[1]))])
    head = ["benchmark", "guest instructions", f"at {rate[1]:.2f} cycles each" if rate else "", "bt, cycles", "bt, times that"]
    return table.markdown(head, rows) if rows else []


def share_table(run):
    """Programs that compute: native time over that of bt, by the ways to run user code; 1 is native speed."""
    engines, rows, shares = [e for e in USER if e in run.engines], [], {}
    for image, bench in run.benches("user"):
        base = results.native_base(run, "user", image, bench)
        figures = {e: results.figure(run, "user", bench, e) for e in engines}
        if not base:
            continue
        found = {e: base / f.median for e, f in figures.items() if f and f.median > 0}
        for engine, share in found.items():
            shares.setdefault(engine, []).append(share)
        rows.append([bench, results.cycles_text(base)] + [f"{found[e]:.2f}" if e in found else "n/a" for e in engines])
    if not rows:
        return []
    means = [f"{results.geometric_mean(shares[e]):.2f}" if len(shares.get(e, [])) == len(rows) else "n/a" for e in engines]
    head = ["user program", "native, cycles"] + [f"{e}, times native speed" for e in engines]
    return table.markdown(head, rows + [["*geometric mean*", ""] + means])


# ---- Policies ----

def policies(run):
    return [e for e in results.engine_order(run) if results.base_engine(e) == "bt" and set(settings(e)) <= {"user", "mmu"}]


def policy_name(engine):
    s = settings(engine)
    return f"{s.get('user', 'auto')}, {s.get('mmu', 'vtlb')}"


def policies_table(run):
    """bt with each way of running user code and of keeping its mappings true: cycles, and who wins."""
    engines = policies(run)
    rows = []
    for suite, image, bench in rows_of(run):
        figures = {e: results.figure(run, suite, bench, e) for e in engines}
        found = {e: f.median for e, f in figures.items() if f and f.median > 0}
        if not found:
            continue
        least = min(found.values())
        best = [policy_name(e) for e in engines if e in found and found[e] <= least * LEVEL]
        cells = [(results.cycles_text(f.median) + (" ~" if f.unsteady() else "")) if f else "n/a" for f in figures.values()]
        rows.append([label(suite, bench)] + cells + ["; ".join(best)])
    if len(engines) < 2 or not rows:
        return []
    return table.markdown(["benchmark, cycles"] + [policy_name(e) for e in engines] + ["least (within 5 %)"], rows) + [
        "", "Heads: how user code runs (`--bt-user`), how mappings are kept true (`--bt-mmu`); ~: unsteady.  "]


# ---- Direct execution ----

def direct_table(run):
    """What it costs that user code runs in a process of its own, and what it saves: the same programs translated."""
    engines = [e for e in USER if e in run.engines]
    rows = []
    for suite, image, bench in rows_of(run):
        figures = {e: results.figure(run, suite, bench, e) for e in engines}
        if not all(figures.values()) or len(engines) < len(USER):
            continue
        rates = results.events(run, suite, bench, "bt:user=direct") or {}
        switches = rates.get("direct_entries")
        least = min(("bt:user=direct", "bt:user=translated"), key=lambda e: figures[e].median)
        rows.append([label(suite, bench)] + [results.cycles_text(figures[e].median) for e in USER] +
                    ["" if switches is None else rate_text(switches), settings(least)["user"]])
    head = ["benchmark", "auto, cycles", "direct, cycles", "translated, cycles", "hand-overs, direct", "less"]
    return table.markdown(head, rows) if rows else []


# ---- Everything ----

def whole(run):
    out = table.scope(run) + [""] + table.engine_list(run)
    out += table.titled("processes: TSC cycles an iteration, median", costs_table(run))
    out += table.titled("processes: times the native program's cost", ratios_table(run))
    out += table.titled("programs that compute: bt's speed against the native program's", share_table(run))
    out += table.titled("the guest's own instructions at native speed", bound_table(run))
    for suite, _, bench in rows_of(run):
        out += table.titled(f"events of one {bench}", events_table(run, suite, bench))
    out += table.titled("ways of the translator", policies_table(run))
    for suite in run.suites():
        out += table.titled(f"{suite}: cold (first pass) and warm, TSC cycles", table.cold_table(run, suite))
        out += table.titled(f"{suite}: spread, TSC cycles an iteration", table.spread_table(run, suite))
    return out


def main(args):
    if args in (["--images"], ["--kernels"]):
        wanted = args == ["--images"]
        print(" ".join(f"{s}/{n}" for s, n in built() if of_processes(s, n) == wanted and n not in ONCE))
        return 0
    if args == ["--engines"]:
        print(",".join(ENGINES))
        return 0
    if len(args) != 1 or args[0].startswith("-"):
        print("usage: scripts/process.py --images | --kernels | --engines | RESULTS", file=sys.stderr)
        return 2
    print("\n".join(whole(results.load(args[0])[-1])))
    return 0


if __name__ == "__main__":
    entry.run(main, __doc__)
