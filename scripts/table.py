#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Markdown tables from results files: `scripts/table.py FILE...` prints everything; paper.py takes single tables.

What has no figure says why in a numbered note under the table; nothing is left out and nothing is substituted."""
import signal
import sys

import entry
import results

PAPER_COLUMNS = ["P4 native", "P4 software VMM", "P4 hardware VMM"]

# What one iteration of a nano benchmark does, as events: checked against the counters where an engine counts the event.
# `retired` is the instructions of both privileges together: those that docs/guest.md lists, without the one that
# faults, and the loop's two for every 16 iterations.
LOOP = 2 / 16
EXPECTED = {
    "idle": {"retired": LOOP, "exits": 0},
    "syscall": {"retired": 2 + LOOP, "syscalls": 1},
    "in": {"retired": 1 + LOOP, "exits": 1, "exit_pio": 1},
    "out": {"retired": 1 + LOOP, "exits": 1, "exit_pio": 1},
    "cr8wr": {"retired": 1 + LOOP, "cr8_writes": 1},
    "wrmsr": {"retired": 1 + LOOP},
    "cr3wr": {"retired": 1 + LOOP, "tlb_flushes": 1},
    "invlpg": {"retired": 1 + LOOP, "tlb_invlpgs": 1},
    "clisti": {"retired": 2 + LOOP},
    "callret": {"retired": 2 + LOOP, "returns": 1},
    # two of the callee's ten instructions are executed every other time: a random number of them, no fixed one
    "callret_branchy": {},
    "pgfault": {"retired": 3 + LOOP, "true_faults": 1, "exceptions": 1},
    "divzero": {"retired": 2 + LOOP, "exceptions": 1},
    "ptemod": {"retired": 1 + LOOP},
    "ptemod_p2np": {"retired": 1 + LOOP},
    "ptemod_np2p": {"retired": 1 + LOOP},
    "rdtsc": {"retired": 1 + LOOP},
    "cpuid": {"retired": 2 + LOOP},
    "sysentry": {"retired": 47 + LOOP, "syscalls": 1},
    "asswitch": {"retired": 60 + LOOP, "syscalls": 1},
    "asswitch_pcid": {"retired": 60 + LOOP, "syscalls": 1},
    "pguser": {"retired": 43 + LOOP, "true_faults": 1, "exceptions": 1},
}
EXPECTED_OF_ALL = {"exceptions": 0, "true_faults": 0, "exit_pio": 0}
# What bt counts besides, in its default form: warm code runs from the translation cache, takes no signal of the host's
# but for what the host's CPU raises, and calls out for the privileged instructions that are not emulated in the cache.
BT_WARM = {"insns_decoded": 0, "blocks": 0, "blocks_invalidated": 0, "chains": 0, "adaptations": 0, "tc_flushes": 0,
           "traps": 0, "hidden_faults": 0}
BT_CALLOUTS = {"in": 1, "out": 1, "cpuid": 1, "wrmsr": 1, "cr3wr": 1, "invlpg": 1, "pgfault": 1,
               "divzero": 1}
BT_TRAPS = {"divzero": 1, "pgfault": 1}
BT_USER = ["syscall", "sysentry", "asswitch", "asswitch_pcid", "pguser"]  # how these run is up to its policy
# What needs an operating system does much more than its subject; what can be said beforehand is its system calls.
PROCESS_EXPECTED = {"getpid": {"syscalls": 1}}
TOLERANCE = 0.01
CONTROL = "idle"  # has no subject: what it reads is the method's own error


class Notes:
    """Numbered notes under a table; the same text gets the same number."""

    def __init__(self):
        self.texts, self.saw_unsteady = [], False

    def mark(self, text):
        if text not in self.texts:
            self.texts.append(text)
        return f"n/a [{self.texts.index(text) + 1}]"

    def unsteady(self):
        self.saw_unsteady = True
        return " ~"

    def lines(self):
        first = ["~ unsteady: the middle 80 % of the repetitions spread over more than half of the median"]
        return (first if self.saw_unsteady else []) + [f"[{i}] {text}" for i, text in enumerate(self.texts, 1)]


def markdown(head, rows):
    """A table with a text column first and figures to the right."""
    out = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return out + ["| " + " | ".join(row) + " |" for row in rows]


def with_notes(lines, notes):
    listed = notes.lines()
    return lines + ([""] + [line + "  " for line in listed] if listed else [])


def costs_table(run, suite):
    """Median cost of one iteration, the paper's columns first where the suite has rows there."""
    paper = results.reference() if suite == "nano" else {}
    engines, notes, rows = results.engine_order(run), Notes(), []
    for image, bench in run.benches(suite):
        row = [bench]
        if paper:
            row += [f"{v:,.0f}" for v in paper[bench]] if bench in paper else ["", "", ""]
        for engine in engines:
            figure = results.figure(run, suite, bench, engine)
            row.append(cost_text(bench, figure, notes) if figure else notes.mark(
                results.why_missing(run, suite, image, bench, engine)))
        rows.append(row)
    head = ["benchmark"] + (PAPER_COLUMNS if paper else []) + [results.column(run, e) for e in engines]
    return with_notes(markdown(head, rows), notes) + idle_lines(run, suite)


def cost_text(bench, figure, notes):
    return results.cycles_text(figure.median) + (notes.unsteady() if figure.unsteady() and bench != CONTROL else "")


def idle_lines(run, suite):
    """Whether the control reads zero within its own spread, engine by engine: the error of the method."""
    out = []
    for engine in results.engine_order(run):
        f = results.figure(run, suite, CONTROL, engine)
        if f:
            text = results.cycles_text
            verdict = "0" if abs(f.median) <= max(f.p90 - f.p10, TOLERANCE) else "NOT 0"
            out.append(f"- `{CONTROL}` on {engine} reads {text(f.median)}, 10 % to 90 % {text(f.p10)} to {text(f.p90)}"
                       f": {verdict} within its spread.")
    return [""] + out if out else []


def slowdown_table(run, suite):
    """Cost relative to the native program, for what has one. CPL 3 rows are held against the same native program."""
    engines = [e for e in results.engine_order(run) if e != "native"]
    rows = []
    for image, bench in run.benches(suite):
        base = results.native_base(run, suite, image, bench)
        if base is None or bench == CONTROL:
            continue
        figures = [results.figure(run, suite, bench, engine) for engine in engines]
        rows.append([bench] + [results.cycles_text(f.median / base) if f else "n/a" for f in figures])
    return markdown(["benchmark"] + [results.column(run, e) for e in engines], rows) if rows else []


def native_share_table(run, engine="bt", suite="micro", user=False, what="benchmark, CPL 0"):
    """An engine's speed on kernels as a share of the native program's, with the geometric mean."""
    rows, shares = [], []
    for image, bench in run.benches(suite):
        base, f = results.native_base(run, suite, image, bench), results.figure(run, suite, bench, engine)
        if base and f and f.median > 0 and bench.endswith("_user") == user:
            shares.append(base / f.median)
            rows.append([bench, results.cycles_text(base), results.cycles_text(f.median), f"{shares[-1]:.2f}"])
    if not rows:
        return []
    rows.append(["*geometric mean*", "", "", f"{results.geometric_mean(shares):.2f}"])
    return markdown([what, "native, cycles", f"{engine}, cycles", f"{engine}, times native speed"], rows)


def user_share_table(run):
    return native_share_table(run, user=True, what="benchmark, CPL 3")


def spread_table(run, suite):
    rows = []
    for image, bench in run.benches(suite):
        for engine in results.engine_order(run):
            f = results.figure(run, suite, bench, engine)
            if not f:
                continue
            text = results.cycles_text
            interval = f"{text(f.interval[0])} to {text(f.interval[1])}" if f.interval else "n/a (under 6 processes)"
            rows.append([bench, engine, f"{f.processes} x {f.repetitions // f.processes}", text(f.min), text(f.p10),
                         text(f.median), text(f.p90), interval])
    head = ["benchmark", "engine", "processes x repetitions", "min", "10 %", "median", "90 %",
            "95 % interval of the median"]
    return markdown(head, rows)


def cold_table(run, suite):
    """First pass of one iteration beside the warm cost."""
    engines, notes, rows = results.engine_order(run), Notes(), []
    for image, bench in run.benches(suite):
        row = [bench]
        for engine in engines:
            figure, cold = results.figure(run, suite, bench, engine), results.cold(run, suite, bench, engine)
            if figure is None or cold is None:
                row += [notes.mark(results.why_missing(run, suite, image, bench, engine)), ""]
            else:
                row += [results.cycles_text(cold), results.cycles_text(figure.median)]
        rows.append(row)
    head = ["benchmark"] + [f"{e}, {kind}" for e in engines for kind in ("cold", "warm")]
    return with_notes(markdown(head, rows), notes)


# ---- Events ----

def rate_text(value):
    return f"{value:,.0f}" if abs(value - round(value)) < 0.0005 else f"{value:,.3f}"


def expectations(bench, engine=None, suite=None):
    """Event -> times that one iteration must bring it."""
    if suite in results.PROCESS_SUITES:
        return PROCESS_EXPECTED.get(bench, {})
    if suite == "lab":  # students' images
        return {}
    wanted = dict(EXPECTED_OF_ALL, **EXPECTED.get(bench, {}))
    if engine == "bt" and bench not in BT_USER and not bench.endswith("_user"):
        wanted.update(BT_WARM)
    if engine == "bt" and bench in EXPECTED and bench not in BT_USER:
        wanted.update(traps=BT_TRAPS.get(bench, 0), callout_privileged=BT_CALLOUTS.get(bench, 0))
    if bench.endswith("_user"):
        wanted["insns_kernel"] = 0
    return wanted


def with_retired(rates):
    if "insns_kernel" in rates and "insns_user" in rates:
        return dict(rates, retired=rates["insns_kernel"] + rates["insns_user"])
    return rates


def disagreements(bench, rates, engine=None, suite=None):
    """What the counters say against what the benchmark does: one text for each difference."""
    rates = with_retired(rates)
    return [f"{event} {rate_text(rates[event])}, not {rate_text(times)}" for event, times in
            expectations(bench, engine, suite).items()
            if event in rates and abs(rates[event] - times) > TOLERANCE]


def events_table(run, suite, engine):
    """Events of one iteration, one column for each event that happens anywhere in the suite."""
    listed = [(bench, results.events(run, suite, bench, engine)) for _, bench in run.benches(suite)]
    listed = [(bench, rates) for bench, rates in listed if rates]
    if not listed:
        return []
    names = [n for n in run.engines[engine]["counts"] if any(abs(r.get(n, 0)) >= 0.0005 for _, r in listed)]
    if not names:
        return []
    rows = []
    for bench, rates in listed:
        wrong = disagreements(bench, rates, engine, suite)
        checked = [e for e in expectations(bench, engine, suite) if e in with_retired(rates)]
        verdict = "NO: " + "; ".join(wrong) if wrong else f"yes, {len(checked)} checked" if checked else "not counted"
        rows.append([bench] + [rate_text(rates.get(n, 0)) for n in names] + [verdict])
    return markdown(["benchmark"] + names + ["as the benchmark says"], rows)


def all_disagreements(run):
    found = []
    for suite in run.suites():
        for _, bench in run.benches(suite):
            for engine in results.engine_order(run):
                rates = results.events(run, suite, bench, engine)
                found += [f"{bench} on {engine}: {text}" for text in disagreements(bench, rates or {}, engine, suite)]
    return found


# ---- What others have printed ----

def exit_costs_table():
    """What leaving a guest costs, by processor and source."""
    rows = [[cpu, event, f"{cycles:,.0f}", source] for cpu, event, cycles, source in results.exit_costs()]
    return markdown(["processor", "event", "cycles", "source"], rows)


# ---- Everything of a run ----

def scope(run):
    """Where and how the figures were taken: stands above each set of tables."""
    h, m = run.header, run.machine
    changes = " with local changes" if m.get("dirty") else ""
    out = [f"{results.machine_line(run)}; kernel {m.get('kernel') or 'unknown'}; commit "
           f"{(m.get('commit') or 'none')[:12]}{changes}; compiler {m.get('compiler') or 'unknown'}.",
           f"{h.get('time')}: {results.count_text(h.get('runs'), 'process', 'processes')} x "
           f"{results.count_text(h.get('reps'), 'repetition')} for each benchmark and engine, "
           f"random order with seed {h.get('seed')}, pinned to CPU {h.get('cpu')}."]
    if run.quick():
        out.append("A quick run: for a first look, not for a published figure.")
    if not (run.end and run.end.get("complete")):
        out.append("The run was interrupted: what is here had been measured by then.")
    out += [f"Unquiet host: {warning}" for warning in m.get("unquiet") or []]
    pmu = m.get("pmu") or {}
    if not pmu.get("available"):
        out.append(f"No core cycles, only TSC cycles: {pmu.get('reason') or 'no PMU'}.")
    return [line + "  " for line in out]


def engine_list(run):
    out = []
    for name in results.engine_order(run):
        e = run.engines.get(name, {})
        if e.get("available", True):
            out.append(f"- {e.get('column') or name}")
        else:
            out.append(f"- {name}: cannot run here: {e.get('reason')}")
    return out


def titled(title, lines):
    return ["", f"### {title}", ""] + lines if lines else []


def whole(run):
    out = scope(run) + [""] + engine_list(run)
    for suite in run.suites():
        unit = "TSC cycles an iteration, median"
        if suite == "nano":
            unit += "; P4 columns: Pentium 4 cycles, Adams and Agesen 2006"
        out += titled(f"{suite}: {unit}", costs_table(run, suite))
        out += titled(f"{suite}: times the native program's cost", slowdown_table(run, suite))
        if suite == "micro":
            out += titled("micro: the translator's speed against the native program's", native_share_table(run))
            out += titled("micro: likewise of user code", user_share_table(run))
        out += titled(f"{suite}: cold (first pass) and warm, TSC cycles", cold_table(run, suite))
        for engine in results.engine_order(run):
            out += titled(f"{suite}: events an iteration on {engine}", events_table(run, suite, engine))
        out += titled(f"{suite}: spread, TSC cycles an iteration", spread_table(run, suite))
    wrong = all_disagreements(run)
    out += titled("Counters that disagree with what a benchmark does", [f"- {line}" for line in wrong])
    return out


def main(paths):
    if not paths:
        print("usage: scripts/table.py RESULTS...", file=sys.stderr)
        return 2
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` is no error
    for path in paths:
        for run in results.load(path):
            print(f"## {path}\n")
            print("\n".join(whole(run)) + "\n")
    return 0


if __name__ == "__main__":
    entry.run(main, __doc__)
