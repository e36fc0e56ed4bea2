#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Pictures (PNG and SVG, gnuplot) from a results file, beside the file: FILE-nano in the manner of the paper's Figure
4, and FILE-micro, the slowdown against native programs; of a run with variants of bt instead FILE-factors, what each
technique is worth on each benchmark; of the benchmarks of processes FILE-process, of peers FILE-forkwait, of boots
FILE-figure5. Prints the paths. `scripts/plot.py FILE [FOLDER]`."""
import os
import sys

import ablation
import bars
import colours
import entry
import heatmap
import plot_process
import process
import results

PAPER_TITLES = ["2006: P4 native", "2006: software VMM", "2006: hardware VMM (shadow paging)"]


def shown(run):
    """The engines with bars of their own: variants of one are the ablation picture's."""
    return [e for e in results.engine_order(run) if results.base_engine(e) == e]


def engine_colour(run, engine):
    others = [e for e in shown(run) if e not in colours.ENGINES]
    return colours.ENGINES.get(engine) or colours.OTHERS[others.index(engine) % len(colours.OTHERS)]


def medians(run, suite, engine, benches):
    """bench -> median, None where it could not be measured; what only the bare machine could do has no bar."""
    found = {}
    for image, bench in benches:
        figure = results.figure(run, suite, bench, engine)
        if figure:
            found[bench] = figure.median
        elif engine != "native" or run.images.get((suite, image), {}).get("native"):
            found[bench] = None
    return found


def engine_series(run, suite, benches):
    return [bars.Series(f"here: {results.column(run, e)}", engine_colour(run, e), medians(run, suite, e, benches), column=1)
            for e in shown(run)]


def nano(run, base):
    paper = results.reference()
    benches = run.benches("nano")
    names = [bench for _, bench in benches]
    own = engine_series(run, "nano", benches)
    in_paper = [n for n in names if n in paper]
    others = [n for n in names if n not in paper]
    old = [bars.Series(title, colour, {n: paper[n][i] for n in in_paper})
           for i, (title, colour) in enumerate(zip(PAPER_TITLES, colours.PAPER.values()))]
    low, high = bars.decades(old + own, 0.5)
    parts = ((in_paper, old + own, "cycles, log scale: the paper's operations"),
             (others, own, "cycles, log scale: operations that the paper does not have"))
    panels = [bars.Panel(part, series, low, high, label) for part, series, label in parts if part]
    return bars.draw(base, panels, "What one privileged operation costs: Adams and Agesen 2006, and here",
                f"2006: Pentium 4 cycles.  Here: TSC cycles, {results.machine_line(run)}" + caveat(run))


def micro(run, base):
    benches = run.benches("micro")
    base_of = {bench: results.native_base(run, "micro", image, bench) for image, bench in benches}
    benches = [(i, b) for i, b in benches if base_of[b]]
    if not benches:
        return []
    series = [s for e, s in zip(shown(run), engine_series(run, "micro", benches)) if e != "native"]
    for s in series:
        s.values = {b: v / base_of[b] if v is not None else None for b, v in s.values.items()}
    low, high = bars.decades(series, 0.3)
    return bars.draw(base, [bars.Panel([b for _, b in benches], series, low, high, "times the native cost, log scale")],
                "Unprivileged kernels: slowdown against the native program",
                f"_user: the same code at CPL 3.  {results.machine_line(run)}" + caveat(run))


def caveat(run):
    words = ", quick run" if run.quick() else ""
    return words + ("" if run.end and run.end.get("complete") else ", interrupted run")


SPECIAL = {"process": {"process": plot_process.draw_ratios}, "peers": {"forkwait": plot_process.draw_forkwait},
           "boot": {"figure5": plot_process.draw_figure5}, "translation": {}, "exits": {}, "fork_counts": {},
           "linux": {"linux": plot_process.draw_ratios}}


def kind(run):
    """Which sort of results file it is, where that is no plain one."""
    return "process" if process.has_processes(run) and not run.header.get("tool") else run.header.get("tool")


def pictures(path, folder=None):
    """All pictures of the file's last run; their paths."""
    run = results.load(path)[-1]
    base = os.path.splitext(os.path.basename(path))[0]
    base = os.path.join(folder or os.path.dirname(path) or ".", base)
    made = []
    for suffix, draw in SPECIAL.get(kind(run), {}).items():
        made += draw(run, f"{base}-{suffix}", caveat(run))
    if kind(run) in SPECIAL:
        return made
    if ablation.columns(run):
        return bars.write(f"{base}-factors", *heatmap.script(run, caveat(run)))
    for suite, draw_suite in (("nano", nano), ("micro", micro)):
        if any(s["suite"] == suite for s in run.samples):
            made += draw_suite(run, f"{base}-{suite}")
    return made


def main(args):
    if len(args) not in (1, 2):
        print("usage: scripts/plot.py RESULTS [FOLDER]", file=sys.stderr)
        return 2
    print("\n".join(pictures(*args)))
    return 0


if __name__ == "__main__":
    entry.run(main, __doc__)
