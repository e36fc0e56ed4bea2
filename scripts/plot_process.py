# SPDX-License-Identifier: BSD-2-Clause
"""The pictures of the benchmarks of processes: their cost against native, forkwait beside the paper's, and Figure 5."""
import statistics

import bars
import colours
import figure5
import process
import results

PAPER_VMMS = ["software VMM", "hardware VMM"]


def colour(engine):
    return colours.ENGINES.get(engine, "#888888")


# ---- Times native ----

def ratios(run, engine):
    """bench -> times the native cost; None where it could not be measured."""
    found = {}
    for suite, image, bench in process.rows_of(run):
        base, f = results.native_base(run, suite, image, bench), results.figure(run, suite, bench, engine)
        if base:
            found[process.label(suite, bench)] = f.median / base if f else None
    return found


def draw_ratios(run, base, words):
    """Pictures of a run of the process benchmarks; nothing where none has a native program."""
    engines = [e for e in process.shown(run) if e != "native"]
    own = [bars.Series(f"here: {results.column(run, e)}", colour(e), ratios(run, e), column=1) for e in engines]
    benches = [b for b in (process.label(s, b) for s, _, b in process.rows_of(run)) if any(b in one.values for one in own)]
    if not benches:
        return []
    paper = {b: process.paper_ratios(b) for b in benches if process.paper_ratios(b)}
    old = [bars.Series(f"2006: {who}", colours.PAPER[who], {b: v[i] for b, v in paper.items()})
           for i, who in enumerate(PAPER_VMMS)]
    low, high = bars.decades(old + own, 0.3, all_shown=True)
    kernels = [b for b in benches if b.startswith("user/")]
    parts = (([b for b in benches if b not in kernels], old + own, "times the native cost, log scale: processes and servers"),
             (kernels, own, "times the native cost, log scale: programs that compute"))
    guest = "Debian's" if run.header.get("tool") == "linux" else "Bantam"
    return bars.draw(base, [bars.Panel(part, series, low, high, label) for part, series, label in parts if part],
                     "Processes, system calls, demand paging: cost against the same program on the host",
                     f"The host's kernel is Linux, the guest's is {guest}; 2006, servers: Apache.  {results.machine_line(run)}{words}")


def draw_forkwait(run, base, words):
    """forkwait on the paper's two machines and here, in seconds, from a run of peers.py."""
    rows = process.forkwait_rows(run)
    engines = {results.column(run, e): e for e in results.engine_order(run)}
    if not any(where == "here" for where, *_ in rows):
        return []
    series = [bars.Series(f"2006: {who}", fill, {where: s for where, w, s, _ in rows if w == who and where != "here"})
              for who, fill in colours.PAPER.items()]
    series += [bars.Series(f"here: {who}", colour(engines[who]), {where: seconds}, column=1)
               for where, who, seconds, _ in rows if where == "here"]
    low, high = bars.decades(series, 0.5, all_shown=True)
    return bars.draw(base, [bars.Panel(list(dict.fromkeys(where for where, *_ in rows)), series, low, high, "seconds, log scale")],
                     "forkwait: 40,000 times fork and wait",
                     f"Native here is the host's Linux; all others run Bantam, a far smaller kernel.  "
                     f"{results.machine_line(run)}{words}")


# ---- Figure 5 ----

class Stack:
    """One bar of Figure 5: (name, colour, value) from the bottom; what is negative hangs below the axis."""

    def __init__(self, name, parts):
        self.name, self.parts = name, [p for p in parts if p[2]]

    def top(self):
        return sum(v for _, _, v in self.parts if v > 0)

    def bottom(self):
        return sum(v for _, _, v in self.parts if v < 0)


def paper_stacks():
    boot = figure5.paper_boot()
    return [Stack(who, [(name, colours.EVENTS[name], seconds[i]) for name, seconds in boot.items()])
            for i, who in enumerate(("software VMM", "hardware VMM"))]


def own_stack(run, engine):
    """Translation first, then the events, the same instructions natively, and what is left."""
    parts = [("translate", colours.EVENTS["translate"], figure5.translation_ms(run, engine) or 0)]
    parts += [(t.event.name, colours.EVENTS[t.event.name], t.ms or 0) for t in figure5.terms(run, engine)]
    native = figure5.native_equivalent_ms(run)
    parts.append(("natively", colours.EVENTS["natively"], statistics.fmean(native) if native else 0))
    parts.append(("unexplained", colours.EVENTS["unexplained"], figure5.unexplained_ms(run, engine)))
    return Stack(engine, parts)


def panel(stacks, left, right, unit, first):
    """Gnuplot commands: rectangles and their names. first: number of the first object and label."""
    high, low = max(s.top() for s in stacks) * 1.12, min(s.bottom() for s in stacks) * 1.3
    out = [f"set lmargin at screen {left}", f"set rmargin at screen {right}", f"set xrange [-0.5:{len(stacks) - 0.1}]",
           f"set yrange [{low:.6g}:{high:.6g}]", f"set ylabel {bars.quoted(unit)}",
           "set xtics (" + ", ".join(f"{bars.quoted(s.name)} {x}" for x, s in enumerate(stacks)) + ")"]
    tag = first
    for x, stack in enumerate(stacks):
        up = down = 0
        for name, fill, value in stack.parts:
            base = up if value > 0 else down
            out.append(f"set object {tag} rectangle from first {x - 0.2},{base:.6g} to first {x + 0.2},{base + value:.6g} "
                       f"fillcolor rgb '{fill}' fillstyle solid noborder")
            if abs(value) > 0.025 * (high - low):
                out.append(f"set label {tag} {bars.quoted(f'{name} {figure5.ms_text(value)}')} at first {x + 0.22},"
                           f"{base + value / 2:.6g} left font ',12' textcolor '#222222' noenhanced")
            up, down = (up + value, down) if value > 0 else (up, down + value)
            tag += 1
    return out + ["plot 0 linecolor '#888888' notitle"] + [f"unset object {t}\nunset label {t}" for t in range(first, tag)]


def draw_figure5(run, base, words):
    engines = figure5.engines(run)
    if not engines:
        return []
    height = 700
    out = ["set encoding utf8", "set border 3 linecolor '#888888'", "set ytics nomirror textcolor '#444444'", "unset key",
           "set grid ytics linetype 1 linewidth 0.7 linecolor '#dddddd'", "set xtics nomirror scale 0 noenhanced textcolor '#111111'",
           "set tmargin at screen 0.84", "set bmargin at screen 0.07", "set multiplot",
           "set label 1 'Where the time of a boot goes: Figure 5 of Adams and Agesen 2006, and here' at screen 0.07,0.96 "
           "left font ',21' textcolor '#111111'",
           f"set label 2 {bars.quoted('count x (cost of the event - its native cost).  Here: ' + results.machine_line(run) + words)} "
           "at screen 0.07,0.91 left font ',13' textcolor '#555555' noenhanced"]
    out += panel(paper_stacks(), 0.07, 0.5, "2006: overhead of a Windows XP boot and halt, seconds", 10)
    out += ["unset label 1", "unset label 2"]
    out += panel([own_stack(run, e) for e in engines], 0.58, 0.98, "here: boot and power-off of Bantam, ms", 100)
    return bars.write(base, out + ["unset multiplot"], height)
