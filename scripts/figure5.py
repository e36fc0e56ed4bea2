#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The paper's Figure 5 for the boot and shutdown of the guest Unix: how often each kind of event happens, times what one
costs (the nano benchmark's cycles, less the native ones), against the time that the whole boot took.

`scripts/figure5.py FILE` prints the tables of a results file of scripts/boot.py; plot.py draws the picture."""
import statistics
import sys

import entry
import process
import results
import table

PAPER_BOOT = results.REFERENCE.replace("asplos2006.csv", "asplos2006-boot.csv")
EXACT = "interp"  # counts every instruction: for what a translator does not see, as it happens in its cache
TRACED = "bt:mmu=trace"  # its memory traces see each write to a page table in use


class Event:
    """One class of the figure. benches: the nano benchmarks that say what one costs, their mean where there are two."""

    def __init__(self, name, benches, count, paper=True):
        self.name, self.benches, self.count, self.paper = name, benches, count, paper


def counted(name):
    """Of the engine itself, or of the interpreter where the engine does not count it."""
    def count(run, engine):
        own = boot_counts(run, engine)
        return own[name] if name in own else boot_counts(run, EXACT).get(name)
    return count


def divide_errors(run, engine):
    """Exceptions that are no page faults; one kind of them all, as the boot raises no others on purpose."""
    counts = boot_counts(run, engine)
    if "exceptions" not in counts:
        counts = boot_counts(run, EXACT)
    return counts["exceptions"] - counts["true_faults"] if "exceptions" in counts else None


def page_table_writes(run, engine):
    """Writes that a trace on page tables sees: with such traces, less those that traces on code see anyway."""
    traced, code = boot_counts(run, TRACED).get("traced_writes"), boot_counts(run, "bt").get("traced_writes")
    return None if traced is None or code is None else max(traced - code, 0)


EVENTS = [Event("syscall", ["syscall"], counted("syscalls")),
          Event("in/out", ["in", "out"], counted("exit_pio")),
          Event("cr8wr", ["cr8wr"], counted("cr8_writes")),
          Event("callret", ["callret"], counted("returns")),
          Event("pgfault", ["pgfault"], counted("true_faults")),
          Event("ptemod", ["ptemod"], page_table_writes),
          Event("divzero", ["divzero"], divide_errors, paper=False),
          Event("cr3wr", ["cr3wr"], counted("tlb_flushes"), paper=False),
          Event("invlpg", ["invlpg"], counted("tlb_invlpgs"), paper=False)]


# ---- From the file ----

def boots(run, engine):
    return [b for b in run.boots if b["engine"] == engine]


def boot_counts(run, engine):
    """Event -> how often it happened in a boot, the median of the boots; {} where there was none. An event that the engine
    counts and that did not happen is there, and 0."""
    names = run.engines.get(engine, {}).get("counts") or []
    found = boots(run, engine)
    return {n: statistics.median(b["counters"].get(n, 0) for b in found) for n in names} if found else {}


def times(run, engine):
    """From the first guest instruction to power-off, by the host's clock, without the waiting for it: ms of each boot."""
    return [(b["wall_ns"] - b["idle_ns"]) / 1e6 for b in boots(run, engine)]


def total_ms(run, engine):
    """The median of the boots, or None."""
    found = times(run, engine)
    return statistics.median(found) if found else None


def ms(run, cycles):
    return cycles / run.machine["tsc_khz"]


def translation_ms(run, engine):
    """What translating took, by the translator's own count of TSC cycles."""
    found = [b["stats"]["cycles"] for b in boots(run, engine) if "cycles" in (b.get("stats") or {})]
    return ms(run, statistics.median(found)) if found else None


def cost(run, benches, engine):
    """Mean of the benchmarks' medians, or None where one is missing."""
    figures = [results.figure(run, "nano", bench, engine) for bench in benches]
    return statistics.fmean(f.median for f in figures) if all(figures) else None


def native_equivalent_ms(run):
    """(least, most) time of the boot's instructions at the native speed of the kernels; None where it cannot be said."""
    counts, rate = boot_counts(run, EXACT), process.native_cycles_per_instruction(run)
    if not counts or not rate:
        return None
    instructions = counts["insns_kernel"] + counts["insns_user"]
    return ms(run, instructions * rate[0]), ms(run, instructions * rate[2])


class Term:
    """One event's part: count x (cost - native), in ms; None where one of count and cost is not known."""

    def __init__(self, run, engine, event):
        self.event = event
        self.count = event.count(run, engine)
        self.cost, self.native = cost(run, event.benches, engine), cost(run, event.benches, "native")
        known = self.count is not None and self.cost is not None
        self.ms = ms(run, self.count * (self.cost - (self.native or 0))) if known else None
        if self.count == 0:
            self.ms = 0.0


def terms(run, engine):
    return [Term(run, engine, event) for event in EVENTS]


def explained_ms(run, engine):
    return sum(t.ms for t in terms(run, engine) if t.ms is not None) + (translation_ms(run, engine) or 0)


def unexplained_ms(run, engine):
    """What is left of the measured time without the native one (the middle of its bounds) and all that has a price."""
    native = native_equivalent_ms(run)
    return total_ms(run, engine) - (statistics.fmean(native) if native else 0) - explained_ms(run, engine)


def paper_boot():
    """event -> (software, hardware) seconds, negative where the VMM was faster than the bare machine."""
    rows = {}
    with open(PAPER_BOOT, encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                name, software, hardware = line.split(",")[:3]
                rows[name] = (float(software), float(hardware))
    return rows


def engines(run):
    """Whose boots the figure is made for: the translator's, and real hardware's where there is one."""
    wanted = ["bt"] + [e for e, r in run.engines.items() if r.get("hardware")]
    return [e for e in wanted if boots(run, e) and run.machine.get("tsc_khz")]


# ---- Tables ----

def ms_text(value):
    return "n/a" if value is None else f"{value:.3f}" if abs(value) < 1 else f"{value:,.2f}"


def count_text(value):
    return "n/a" if value is None else f"{value:,.0f}"


def event_row(term, paper):
    """A row of the table; the paper's two columns last."""
    native = results.cycles_text(term.native) if term.native is not None else "not known"
    cells = [count_text(term.count), results.cycles_text(term.cost) if term.cost is not None else "n/a", native,
             ms_text(term.ms)]
    return [term.event.name] + cells + [f"{v:+.2f}" for v in paper.get(term.event.name, ())] + (
        [] if term.event.name in paper else ["", ""])


def figure_table(run, engine):
    """One row an event; then the sum, what was measured, and what is left."""
    paper = paper_boot()
    native = native_equivalent_ms(run)
    rows = [event_row(t, paper) for t in terms(run, engine)]
    translate = [f"{v:+.2f}" for v in paper["translate"]]
    rows.append(["translate", "", "", "", ms_text(translation_ms(run, engine))] + translate)
    sums = [f"{sum(v[i] for v in paper.values()):+.2f}" for i in (0, 1)]
    rows.append(["*explained*", "", "", "", ms_text(explained_ms(run, engine))] + sums)
    span = f"{ms_text(native[0])} to {ms_text(native[1])}" if native else "n/a"
    rows.append(["*the same instructions natively*", "", "", "", span, "", ""])
    rows.append(["*measured*", "", "", "", ms_text(total_ms(run, engine)), "", ""])
    left = unexplained_ms(run, engine)
    rows.append(["*unexplained*", "", "", "", f"{ms_text(left)} ({left / total_ms(run, engine):.0%})", "", ""])
    head = ["event", f"times in a boot, {engine}", f"{engine}, cycles each", "native, cycles each", "ms",
            "P4 software VMM, s", "P4 hardware VMM, s"]
    return table.markdown(head, rows)


def figure(run):
    out = []
    for engine in engines(run):
        out += [f"On {results.column(run, engine)}:", ""] + figure_table(run, engine) + [""]
    return out


def totals_table(run):
    """The boot's time on each engine."""
    rows = []
    for engine in results.engine_order(run):
        found = times(run, engine)
        if found:
            rows.append([results.column(run, engine), str(len(found)), ms_text(min(found)), ms_text(total_ms(run, engine)),
                         ms_text(max(found))])
        elif any(f["engine"] == engine and f["image"] == process.ONCE[0] for f in run.failed):
            reason = next(f["reason"] for f in run.failed if f["engine"] == engine and f["image"] == process.ONCE[0])
            rows.append([results.column(run, engine), "0", "n/a", reason, "n/a"])
    return table.markdown(["boot to power-off without idling, ms", "boots", "least", "median", "most"], rows)


def counts_table(run):
    """Every event of the boot, by engine. Empty: not counted there."""
    shown = [e for e in results.engine_order(run) if boot_counts(run, e)]
    counts, rows = {e: boot_counts(run, e) for e in shown}, []
    for event, meaning in process.meanings().items():
        cells = [count_text(counts[e][event]) if event in counts[e] else "" for e in shown]
        if any(cell not in ("", "0") for cell in cells):
            rows.append([f"`{event}`: {meaning}"] + cells)
    return table.markdown(["events of a boot"] + shown, rows) if rows else []


def whole(run):
    return (table.scope(run) + table.titled("boot and shutdown", totals_table(run)) +
            table.titled("Figure 5: count x (cost - native cost)", figure(run)) +
            table.titled("every event", counts_table(run)))


def main(args):
    if len(args) != 1 or args[0].startswith("-"):
        print("usage: scripts/figure5.py RESULTS", file=sys.stderr)
        return 2
    print("\n".join(whole(results.load(args[0])[-1])))
    return 0


if __name__ == "__main__":
    entry.run(main, __doc__)
