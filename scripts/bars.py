# SPDX-License-Identifier: BSD-2-Clause
"""Pictures of clusters of bars on a logarithmic axis, drawn by gnuplot: the primitives of scripts/plot.py."""
import subprocess

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
        return ", ".join(f"'{p / 1e6:,.12g}M' {p:g}" if p >= 1e6 else f"'{p:,.12g}' {p:g}" for p in powers)


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


def broken(name, clusters):
    """The name below a cluster: on two lines where many stand side by side. For gnuplot's double quotes."""
    return name.replace("_", "_\\n", 1) if clusters > 8 and len(name) > 9 else name


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
           "set xtics (" + ", ".join(f'"{broken(name, len(centres))}" {x:.3f}' for x, name in centres) + ")"]
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


def decades(series, low, all_shown=False):
    """(low, high) for a log axis with room for the labels above the highest bar; all_shown: and for the lowest bar."""
    values = [v for s in series for v in s.values.values() if v and v > 0]
    return min([low] + [v / 2 for v in values if all_shown]), max(values, default=10) * 10
