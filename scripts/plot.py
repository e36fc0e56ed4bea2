#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Pictures (PNG and SVG, gnuplot) from a results file, beside the file: FILE-nano in the manner of the paper's Figure
4, and FILE-micro, the slowdown against native programs; of a run with variants of bt instead FILE-factors, what each
technique is worth on each benchmark. Prints the paths. `scripts/plot.py FILE [FOLDER]`."""
import os
import subprocess
import sys

import ablation
import heatmap
import results

PAPER_COLOURS = ["#c9c9c9", "#a6cde6", "#fdc792"]
COLOURS = {"native": "#4d4d4d", "interp": "#1f78b4", "bt": "#33a02c", "vtx": "#e6550d"}
OTHER_COLOURS = ["#6a51a3", "#b15928"]
PAPER_TITLES = ["2006: P4 native", "2006: software VMM", "2006: hardware VMM (shadow paging)"]
WIDTH, PANEL_HEIGHT, HEAD_HEIGHT, LEGEND_ROW = 1500, 478, 118, 24
LEFT = 0.07  # where the axes, the title and the legend start
GAP = 1.1  # between clusters, in bars


class Series:
    """One colour of bars: cluster name -> value, None for what could not be measured, absent for no bar at all.
    column: which column of the legend it stands in."""

    def __init__(self, title, colour, values, column=0):
        self.title, self.colour, self.values, self.column = title, colour, values, column


class Panel:
    def __init__(self, clusters, series, low, high, label):
        self.clusters, self.series, self.low, self.high, self.label = clusters, series, low, high, label

    def tics(self):
        """Powers of ten in plain figures: easier to read off than exponents."""
        powers = [10.0**p for p in range(-3, 12) if self.low <= 10.0**p <= self.high]
        return ", ".join(f"'{p:,.12g}' {p:g}" for p in powers)


def shown(run):
    """The engines with bars of their own: variants of one are the ablation picture's."""
    return [e for e in results.engine_order(run) if results.base_engine(e) == e]


def engine_colour(run, engine):
    others = [e for e in shown(run) if e not in COLOURS]
    return COLOURS.get(engine) or OTHER_COLOURS[others.index(engine) % len(OTHER_COLOURS)]


def bar_text(value):
    if value <= -9.95:
        return "-" + bar_text(-value)
    if value < 0.95:
        return f"{abs(value) if abs(value) < 0.005 else value:.2f}"
    if value < 9.95:
        return f"{value:.1f}"
    if value < 99_500:
        return f"{value:,.0f}"
    return f"{value / 1000:,.0f}k" if value < 9_950_000 else f"{value / 1e6:,.0f}M"


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def layout(panel):
    """(series index, x, value) of each bar, (centre, name) of each cluster, and the width in bars."""
    bars, centres, x = [], [], 0.0
    for cluster in panel.clusters:
        first = x
        for index, series in enumerate(panel.series):
            if cluster in series.values:
                bars.append((index, x, series.values[cluster]))
                x += 1
        centres.append(((first + x - 1) / 2, cluster))
        x += GAP
    return bars, centres, x - GAP


def panel_commands(panel, bottom, top):
    """Gnuplot commands for a panel between two heights of the page, 0 to 1. Labels before number 99 are the page's."""
    bars, centres, width = layout(panel)
    out = [f"set bmargin at screen {bottom:.4f}", f"set tmargin at screen {top:.4f}", f"set ytics ({panel.tics()})",
           f"set xrange [{-GAP:.2f}:{width - 1 + GAP:.2f}]", f"set yrange [{panel.low}:{panel.high:.6g}]",
           f"set label 99 {quoted(panel.label)} at graph 0,1.045 left font ',12' textcolor '#555555'",
           "set xtics (" + ", ".join(f"{quoted(name)} {x:.3f}" for x, name in centres) + ")"]
    for tag, (index, x, value) in enumerate(bars, 100):
        text, colour = ("n/a", panel.series[index].colour) if value is None else (bar_text(value), "#333333")
        height = max(value or 0, panel.low) * (panel.high / panel.low) ** 0.013
        out.append(f"set label {tag} '{text}' at {x:.3f},{height:.6g} rotate left font ',11' textcolor '{colour}'")
    plots = []
    for index, series in enumerate(panel.series):
        points = [(x, value) for i, x, value in bars if i == index and value is not None and value > panel.low]
        out.append(f"$series{index} << END")
        out += [f"{x:.3f} {value:.6g}" for x, value in points] or ["NaN NaN"]
        out.append("END")
        plots.append(f"$series{index} with boxes fillstyle solid noborder linecolor '{series.colour}' notitle")
    out.append("plot " + ", \\\n  ".join(plots))
    return out + [f"unset label {tag}" for tag in range(99, 100 + len(bars))]


def legend_rows(series):
    return max(sum(s.column == column for s in series) for column in (0, 1))


def legend(series, height):
    """Coloured squares and titles under the head, one column for the paper's series and one for ours."""
    out, rows = [], {}
    columns = sorted({s.column for s in series})
    for number, s in enumerate(series, 1):
        row = rows[s.column] = rows.get(s.column, -1) + 1
        x = LEFT + 0.30 * columns.index(s.column)
        y = 1 - (92 + LEGEND_ROW * row) / height
        out += [f"set object {number} rectangle center screen {x + 0.006:.4f},{y:.4f} "
                f"size screen 0.0115,{15 / height:.4f} fillcolor rgb '{s.colour}' fillstyle solid noborder",
                f"set label {number + 2} {quoted(s.title)} at screen {x + 0.018:.4f},{y:.4f} left font ',13' "
                "textcolor '#222222' noenhanced"]
    return out


def script(panels, title, subtitle):
    """The picture's commands, without terminal and output."""
    head = HEAD_HEIGHT + LEGEND_ROW * legend_rows(panels[0].series)
    height = head + PANEL_HEIGHT * len(panels)
    out = ["set encoding utf8", "set boxwidth 0.9", "set logscale y", "unset mytics",
           "set border 1 linecolor '#888888'", "set grid ytics linetype 1 linewidth 0.7 linecolor '#dddddd'",
           "set ytics nomirror scale 0 textcolor '#444444'",
           "set xtics nomirror scale 0 textcolor '#111111' font ',14' noenhanced", f"set lmargin at screen {LEFT}",
           "set rmargin at screen 0.985", "set multiplot",
           f"set label 1 {quoted(title)} at screen {LEFT},{1 - 28 / height:.4f} left font ',21' textcolor '#111111'",
           f"set label 2 {quoted(subtitle)} at screen {LEFT},{1 - 60 / height:.4f} left font ',13' textcolor '#555555' "
           "noenhanced"] + legend(panels[0].series, height)
    for number, panel in enumerate(panels):
        top = 1 - (head + PANEL_HEIGHT * number) / height
        out += panel_commands(panel, top - (PANEL_HEIGHT - 88) / height, top)
        if number == 0:  # title and legend are drawn with the first panel, once
            out += [f"unset label {tag}" for tag in range(1, len(panel.series) + 3)]
            out += [f"unset object {tag}" for tag in range(1, len(panel.series) + 1)]
    return out + ["unset multiplot"], height


def draw(base, panels, title, subtitle):
    """Writes base.png and base.svg; the paths."""
    commands, height = script(panels, title, subtitle)
    return write(base, commands, height)


def write(base, commands, height):
    terminals = {"png": f"set terminal pngcairo size {WIDTH},{height} font 'DejaVu Sans,14' background 'white'",
                 "svg": f"set terminal svg size {WIDTH},{height} font 'DejaVu Sans,14' background 'white'"}
    for suffix, terminal in terminals.items():
        text = "\n".join([terminal, f"set output {quoted(base + '.' + suffix)}"] + commands + ["set output"]) + "\n"
        done = subprocess.run(["gnuplot"], input=text, text=True, capture_output=True)
        if done.returncode or "error" in done.stderr.lower():
            raise RuntimeError(f"gnuplot: {done.stderr.strip() or done.returncode}")
    return [f"{base}.{suffix}" for suffix in terminals]


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
    return [Series(f"here: {results.column(run, e)}", engine_colour(run, e), medians(run, suite, e, benches), column=1)
            for e in shown(run)]


def decades(series, low):
    """(low, high) for a log axis with room for the labels above the highest bar."""
    values = [v for s in series for v in s.values.values() if v]
    return low, max(values, default=10) * 10


def nano(run, base):
    paper = results.reference()
    benches = run.benches("nano")
    names = [bench for _, bench in benches]
    own = engine_series(run, "nano", benches)
    in_paper = [n for n in names if n in paper]
    others = [n for n in names if n not in paper]
    old = [Series(title, colour, {n: paper[n][i] for n in in_paper})
           for i, (title, colour) in enumerate(zip(PAPER_TITLES, PAPER_COLOURS))]
    low, high = decades(old + own, 0.5)
    parts = ((in_paper, old + own, "cycles, log scale: the paper's operations"),
             (others, own, "cycles, log scale: operations that the paper does not have"))
    panels = [Panel(part, series, low, high, label) for part, series, label in parts if part]
    return draw(base, panels, "What one privileged operation costs: Adams and Agesen 2006, and here",
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
    low, high = decades(series, 0.3)
    return draw(base, [Panel([b for _, b in benches], series, low, high, "times the native cost, log scale")],
                "Unprivileged kernels: slowdown against the native program",
                f"_user: the same code at CPL 3.  {results.machine_line(run)}" + caveat(run))


def caveat(run):
    words = ", quick run" if run.quick() else ""
    return words + ("" if run.end and run.end.get("complete") else ", interrupted run")


def pictures(path, folder=None):
    """All pictures of the file's last run; their paths."""
    run = results.load(path)[-1]
    base = os.path.splitext(os.path.basename(path))[0]
    base = os.path.join(folder or os.path.dirname(path) or ".", base)
    made = []
    if ablation.columns(run):
        return write(f"{base}-factors", *heatmap.script(run, caveat(run)))
    for suite, draw_suite in (("nano", nano), ("micro", micro)):
        if any(s["suite"] == suite for s in run.samples):
            made += draw_suite(run, f"{base}-{suite}")
    return made


def main(args):
    if len(args) not in (1, 2):
        print("usage: scripts/plot.py RESULTS [FOLDER]", file=sys.stderr)
        return 2
    try:
        print("\n".join(pictures(*args)))
    except (OSError, ValueError, RuntimeError) as error:
        print(f"plot: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
