#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What each of the translator's techniques is worth: bt against itself with one technique off or done another way.

`scripts/ablation.py FILE` prints the tables of a run that has such columns, `scripts/ablation.py --engines` the list
that `make bench ABLATION=1` measures. plot.py draws the picture, paper.py takes single tables."""
import sys

import entry
import results

BASE = "bt"
# What is measured, and what each column says. The first word names the technique, the rest what stands in for it.
VARIANTS = {
    "bt:no-chaining": "chaining off: every direct branch goes through the dispatcher",
    "bt:no-elision": "no fall-through elision: a CCF that runs on into the next one ends in a jump",
    "bt:no-adapt": "adaptive translation off: a guilty instruction faults every time",
    "bt:tu=1": "a TU is one instruction",
    "bt:tu=4": "a TU is at most 4 instructions",
    "bt:emulate=callout": "privileged instructions by callout, none in the translation cache",
    "bt:emulate=trap": "privileged instructions by trap: a host signal each",
    "bt:returns=table": "returns by the target table and an indirect jump, without the host's return predictor",
    "bt:returns=callout": "returns by callout",
    "bt:mmu=trace": "page tables under memory traces, as in the paper: writes to them are seen, flushes look at these alone",
    "bt:no-seccomp": "without the filter on the monitor's system calls: what containing a hostile guest costs",
    "bt:checked": "every memory access looked up in the guest's page tables: what safety costs",
}
RDTSC = {"trap-and-emulate": "bt:emulate=trap", "callout-and-emulate": "bt:emulate=callout",
         "in-TC emulation": "bt:emulate=in-tc"}
PAPER_RDTSC = results.REFERENCE.replace("asplos2006.csv", "asplos2006-adaptation.csv")
ONE_CYCLE = 1.0  # factors do not look below it: what hides in the pipeline has none


def engines():
    """The list for `ringside bench --engines=`."""
    return [BASE] + list(VARIANTS) + [e for e in RDTSC.values() if e not in VARIANTS]


def columns(run):
    """The run's variants of bt that a table of factors shows: not the default under another name."""
    return [e for e in results.variants(run) if results.base_engine(e) == BASE and e not in ("bt:emulate=in-tc",)]


def short(engine):
    return engine.removeprefix(BASE + ":")


def factor(run, suite, bench, engine):
    """How many times full bt's cost the benchmark has on the variant; None where one of both has none, or so disturbed a
    figure that it is negative."""
    full, other = (results.figure(run, suite, bench, e) for e in (BASE, engine))
    if full is None or other is None or min(full.median, other.median) < -ONE_CYCLE:
        return None
    return max(other.median, ONE_CYCLE) / max(full.median, ONE_CYCLE)


def groups(run):
    """(name, suite, benches): the control has no factor, and what runs at CPL 3 is a group of its own."""
    made = []
    for suite in run.suites():
        names = [bench for _, bench in run.benches(suite) if bench != "idle"]
        kernel = [n for n in names if not n.endswith("_user")]
        user = [n for n in names if n.endswith("_user")]
        made += [(f"{suite}, CPL 0" if user else suite, suite, kernel)] if kernel else []
        made += [(f"{suite}, CPL 3", suite, user)] if user else []
    return made


def factor_text(value):
    if value is None:
        return "n/a"
    return f"{value:.2f}" if value < 9.95 else f"{value:,.1f}" if value < 99.5 else f"{value:,.0f}"


def cell_text(run, suite, bench, engine):
    """The factor, marked where it rests on a figure that spreads too much (results.Figure.unsteady)."""
    value = factor(run, suite, bench, engine)
    figures = [results.figure(run, suite, bench, e) for e in (BASE, engine)]
    return factor_text(value) + (" ~" if value is not None and any(f.unsteady() for f in figures) else "")


def mean(run, suite, benches, engine):
    found = [f for f in (factor(run, suite, b, engine) for b in benches) if f is not None]
    return results.geometric_mean(found) if len(found) == len(benches) else None


def table(run):
    """bt's own cost, then each variant's as a factor to it; below each group its geometric mean."""
    shown = columns(run)
    out = ["| benchmark | bt, cycles | " + " | ".join(f"`{short(e)}`" for e in shown) + " |",
           "|---|" + "---:|" * (len(shown) + 1)]
    for name, suite, benches in groups(run):
        for bench in benches:
            own = results.figure(run, suite, bench, BASE)
            cells = [cell_text(run, suite, bench, e) for e in shown]
            out.append(" | ".join([f"| {bench}", results.cycles_text(own.median) if own else "n/a"] + cells) + " |")
        cells = [factor_text(mean(run, suite, benches, e)) for e in shown]
        out.append(" | ".join([f"| *{name}: geometric mean*", ""] + cells) + " |")
    return out + ["", "Factor to full bt's median; costs below one cycle count as one; ~: unsteady, the middle 80 % of one "
                  "of both spread over more than half of its median; n/a without a reason below: negative.  ", ""] + missing(run)


def missing(run):
    """One line for each reason for which a variant has no figure."""
    seen = {}
    for r in run.failed:
        if results.base_engine(r["engine"]) == BASE:
            seen.setdefault((r["engine"], r["reason"]), set()).add(r["image"])
    for engine in columns(run):
        record = run.engines.get(engine) or {}
        if not record.get("available", True):
            seen[engine, record.get("reason")] = {"all"}
    return [f"- n/a: `{engine}`, {', '.join(sorted(names))}: {reason}" for (engine, reason), names in sorted(seen.items())]


def legend(run):
    return [f"- `{short(e)}`: {VARIANTS.get(e, results.column(run, e))}" for e in columns(run)]


def paper_rdtsc():
    """technique -> cycles on the paper's Pentium 4."""
    with open(PAPER_RDTSC, encoding="utf-8") as file:
        rows = [line.strip().split(",") for line in file if line.strip() and not line.startswith("#")]
    return {name: float(cycles) for name, cycles in rows}


def rdtsc_table(run):
    """Three ways to emulate one rdtsc, beside the paper's; the ratios are what can be compared."""
    paper = paper_rdtsc()
    here = {name: results.figure(run, "nano", "rdtsc", engine) for name, engine in RDTSC.items()}
    best = here["in-TC emulation"]
    out = ["| rdtsc by | P4, cycles | P4, times in-TC | here, TSC cycles | here, times in-TC |", "|---|" + "---:|" * 4]
    for name, cycles in paper.items():
        f = here.get(name)
        times = f.median / best.median if f and best and best.median > 0 else None
        out.append(f"| {name} | {cycles:,.0f} | {cycles / paper['in-TC emulation']:.1f} | "
                   f"{results.cycles_text(f.median) if f else 'n/a'} | {f'{times:,.1f}' if times else 'n/a'} |")
    return out


def whole(run):
    out = ["### What each technique is worth", ""] + table(run) + [""] + legend(run)
    if any(e in run.engines for e in RDTSC.values()):
        out += ["", "### Three ways to emulate rdtsc", ""] + rdtsc_table(run)
    return out


def main(args):
    if args == ["--engines"]:
        print(",".join(engines()))
        return 0
    if len(args) != 1 or args[0].startswith("-"):
        print("usage: scripts/ablation.py --engines | RESULTS", file=sys.stderr)
        return 2
    run = results.load(args[0])[-1]
    if not columns(run):
        raise ValueError(f"{args[0]}: no variant of {BASE} in it")
    print("\n".join(whole(run)))
    return 0


if __name__ == "__main__":
    entry.run(main, __doc__)
