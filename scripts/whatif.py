#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What if: where software, hardware with shadow page tables and hardware with nested paging win, by the cost model. Draws
whatif-exits, whatif-forks, whatif-nested and whatif-processors (PNG and SVG). `scripts/whatif.py [FOLDER]`, by default results."""
import math
import os
import sys

import bars
import colours
import entry
import model
import model_blocks
import table

COLOURS = colours.MONITORS
PALE = {"bt": "#d9f0d3", "hw-shadow": "#fde0cf", "hw-nested": "#d0e3f2", "hw-shadow-unsync": "#fdebd0"}
NAMES = {"bt": "software (bt)", "hw-shadow": "hardware, shadow paging", "hw-shadow-unsync": "hardware, shadow paging out of step",
         "hw-shadow-clustered": "hardware, shadow paging, exits clustered", "hw-nested": "hardware, nested paging",
         "hybrid": "hybrid, at best", "paravirtual": "paravirtual"}
SHORT = {"p4-672": "Pentium 4", "core2-duo": "Core (pre-production)", "merom": "Merom", "penryn": "Penryn", "nehalem": "Nehalem",
         "westmere": "Westmere", "sandy-bridge": "Sandy Bridge"}
CORES = ["core2-duo", "merom", "penryn", "nehalem", "westmere", "sandy-bridge"]  # westmere and sandy-bridge are nearly one
SOFTWARE, HARDWARE, CLUSTERED = "bt", "hw-shadow", "hw-shadow-clustered"
CALLS = 1000
HEIGHT, STEPS = 860, 96


def spread(low, high, steps=STEPS):
    """From low to high in equal factors."""
    return [low * (high / low) ** (i / (steps - 1)) for i in range(steps)]


# ---- What the model says ----

def break_even(prices, event, rival=HARDWARE):
    """How many of an event there may be beside 1000 system calls until the software monitor is cheaper than the rival; None: never so."""
    saved = CALLS * (prices[SOFTWARE]["syscall"] - prices[rival]["syscall"])
    lost = prices[rival][event] - prices[SOFTWARE][event]
    return saved / lost if lost > 0 else None


def forks_break_even(cpu):
    """forkwaits beside 1000 system calls, likewise."""
    each, fork = model.prices(cpu, [SOFTWARE, HARDWARE]), model.mix("forkwait", cpu, [SOFTWARE, HARDWARE])
    saved = CALLS * (each[SOFTWARE]["syscall"] - each[HARDWARE]["syscall"])
    return saved / (fork[HARDWARE]["cycles"] - fork[SOFTWARE]["cycles"])


def round_trip(cpu):
    """What the processor's exit and entry take: the price of a cr3 write without it, taken off."""
    whole = model.prices(cpu, [HARDWARE])[HARDWARE]["cr3wr"]
    return whole - model.prices(cpu, [HARDWARE], {"round_trip": 0})[HARDWARE]["cr3wr"]


def break_even_table():
    rows = []
    for cpu in ["p4-672"] + CORES:
        prices = model.prices(cpu, [SOFTWARE, HARDWARE, CLUSTERED])
        rows.append([cpu, model_blocks.number(round_trip(cpu)), model_blocks.number(break_even(prices, "ptemod")),
                     model_blocks.number(break_even(prices, "ptemod", CLUSTERED)), model_blocks.number(break_even(prices, "hidden")),
                     model_blocks.number(break_even(prices, "io")), f"{forks_break_even(cpu):.2f}"])
    return table.markdown(["processor", "round trip, cycles", "traced page-table writes", "the same, exits clustered", "hidden faults", "port accesses", "forkwaits"], rows)


# ---- Drawing ----

class Map:
    """A plane on two logarithmic axes: areas, lines and marks in its own coordinates."""

    def __init__(self, title, subtitle, x, y, labels, key="top right"):
        self.title, self.subtitle, self.x, self.y, self.labels, self.key = title, subtitle, x, y, labels, key
        self.out, self.count, self.plots, self.data = [], 10, [], []

    def areas(self, winner):
        """Paints each point with the colour of winner(x, y)."""
        xs, ys = spread(*self.x), spread(*self.y, 4 * STEPS)
        self.grid(xs, ys, [[winner(x, y) for x in xs] for y in ys])

    def grid(self, xs, ys, winners):
        """winners[y][x] by their colours: rectangles, one for each run of equal winners in a column."""
        wide, high = math.sqrt(xs[1] / xs[0]) * 1.002, math.sqrt(ys[1] / ys[0])
        for x, won in zip(xs, zip(*winners)):
            first = 0
            for i in range(1, len(ys) + 1):
                if i == len(ys) or won[i] != won[first]:
                    self.box(x / wide, ys[first] / high, x * wide, ys[i - 1] * high, PALE[won[first]])
                    first = i

    def box(self, x0, y0, x1, y1, fill):
        self.count += 1
        corner = [max(x0, self.x[0]), max(y0, self.y[0]), min(x1, self.x[1]), min(y1, self.y[1])]
        self.out.append(f"set object {self.count} rectangle from {corner[0]:.6g},{corner[1]:.6g} to {corner[2]:.6g},{corner[3]:.6g} "
                        f"behind fillcolor rgb '{fill}' fillstyle solid noborder")

    def line(self, points, colour, title, style="dashtype 1", marks=False):
        name = f"$line{len(self.plots)}"
        self.data += [f"{name} << END"] + [f"{x:.6g} {y:.6g}" for x, y in points if y] + ["END"]
        how = f"with points pointtype 7 pointsize 1.1 linecolor rgb '{colour}'" if marks else f"with lines linewidth 2.5 linecolor rgb '{colour}' {style}"
        self.plots.append(f"{name} {how} title {bars.quoted(title)}")

    def text(self, x, y, text, colour="#333333", rotate="", place="left"):
        self.count += 1
        self.out.append(f"set label {self.count} {bars.quoted(text)} at {x:.6g},{y:.6g} {place} {rotate} font ',13' textcolor rgb '{colour}' noenhanced front")

    def mark(self, x, text):
        """A vertical line with its name."""
        self.count += 1
        self.out.append(f"set arrow {self.count} from {x:.6g},{self.y[0]:.6g} to {x:.6g},{self.y[1]:.6g} nohead linecolor rgb '#999999' dashtype 3 front")
        self.text(x * 1.02, self.y[0] * (self.y[1] / self.y[0]) ** 0.02, text, "#555555", "rotate by 90")

    def commands(self):
        head = ["set encoding utf8", "set logscale xy", f"set xrange [{self.x[0]:g}:{self.x[1]:g}]", f"set yrange [{self.y[0]:g}:{self.y[1]:g}]",
                "set border linecolor rgb '#888888'", "set tics nomirror textcolor rgb '#444444'", "set format '%g'", "set lmargin at screen 0.08", "set rmargin at screen 0.97",
                f"set tmargin at screen {1 - 100 / HEIGHT:.4f}", f"set bmargin at screen {80 / HEIGHT:.4f}",
                f"set xlabel {bars.quoted(self.labels[0])} font ',14'", f"set ylabel {bars.quoted(self.labels[1])} font ',14'",
                f"set label 1 {bars.quoted(self.title)} at screen 0.08,{1 - 30 / HEIGHT:.4f} left font ',21' textcolor rgb '#111111'",
                f"set label 2 {bars.quoted(self.subtitle)} at screen 0.08,{1 - 64 / HEIGHT:.4f} left font ',13' textcolor rgb '#555555' noenhanced",
                f"set key {self.key} opaque font ',13' spacing 1.25"]
        return head + self.out + self.data + ["plot " + ", \\\n  ".join(self.plots)]

    def write(self, base):
        return bars.write(base, self.commands(), HEIGHT)


# ---- The pictures ----

def draw_exits(base, steps=32):
    """The paper's question, as exits get cheaper."""
    trips = spread(100, 6000, steps)
    by_trip = [model.prices("core2-duo", [SOFTWARE, HARDWARE, CLUSTERED], {"round_trip": trip}) for trip in trips]
    plane = Map("How many page-table writes hardware can bear, by what an exit costs",
                "beside 1000 system calls; both monitors with shadow page tables and traces; software at the Core's speed; modelled",
                (100, 6000), (1, 20000), ("exit and entry, cycles", "page-table events for 1000 system calls"))
    plane.grid(*model.cheapest({"syscall": CALLS, "ptemod": 1}, "core2-duo", [SOFTWARE, HARDWARE],
                               ("round_trip", *plane.x, 3 * steps), ("ptemod", *plane.y, 6 * steps)))
    plane.line([(t, break_even(p, "ptemod")) for t, p in zip(trips, by_trip)], COLOURS[HARDWARE], "break-even: traced page-table writes")
    plane.line([(t, break_even(p, "ptemod", CLUSTERED)) for t, p in zip(trips, by_trip)], COLOURS[CLUSTERED], "the same, exits in pairs (ATC 2012)", "dashtype 2")
    plane.line([(t, break_even(p, "hidden")) for t, p in zip(trips, by_trip)], "#756bb1", "break-even: hidden faults", "dashtype 4")
    for cpu in CORES:
        if cpu != "sandy-bridge":
            plane.mark(round_trip(cpu), SHORT[cpu] + (", Sandy Bridge" if cpu == "westmere" else ""))
    plane.text(115, 12000, "software wins", COLOURS[SOFTWARE])
    plane.text(115, 2, "hardware wins", COLOURS[HARDWARE])
    return plane.write(base)


def draw_forks(base):
    """System calls against forks: on which side of the line a program lies."""
    plane = Map("System calls or processes: what the guest does decides",
                "hardware saves on system calls and pays for address spaces; above its line, a processor is better off with software; modelled",
                (1000, 1e7), (1, 20000), ("system calls a second", "forkwaits a second"), "bottom right")
    first = forks_break_even("p4-672")
    plane.areas(lambda x, y: SOFTWARE if y > first * x / CALLS else HARDWARE)
    colours = ["#000000", "#756bb1", "#9e9ac8", "#3182bd", "#6baed6", "#31a354", "#e7298a"]
    for cpu, colour in zip(["p4-672"] + CORES, colours):
        each = forks_break_even(cpu)
        plane.line([(x, each * x / CALLS) for x in spread(*plane.x, 20)], colour, SHORT[cpu])
    f = model_blocks.Forkwait()
    rate = f.pairs / f.figure("p4-672", "native")
    plane.line([(3 * rate, rate)], "#d62728", "forkwait, natively on the Pentium 4", marks=True)
    plane.out.append("set format x '%.0s%c'")
    plane.text(1300, 12000, "software wins on the Pentium 4", COLOURS[SOFTWARE])
    plane.text(1.1e6, 120, "hardware wins on the Pentium 4", COLOURS[HARDWARE])
    return plane.write(base)


def draw_nested(base):
    """What nested paging takes back: TLB misses."""
    million, calls = 1e6, 100
    prices = model.prices("nehalem", ["bt", "hw-shadow-unsync", "hw-nested"], {"tlb_miss_rate": 0})
    miss = model.mix({"insn_kernel": 1}, "nehalem", ["hw-nested", "native"], {"tlb_miss_rate": 1})
    miss = miss["hw-nested"]["cycles"] - miss["native"]["cycles"]
    plane = Map("Nested paging against shadow page tables and translation, on Nehalem",
                f"a million instructions, {calls} system calls; an event: a hidden fault, two page-table writes, a tenth of a cr3 write; modelled",
                (0.01, 30), (0.1, 3000), ("TLB misses for 1000 instructions", "events of address spaces for a million instructions"), "bottom right")

    def cost(policy, x, y):
        p = prices[policy]
        own = calls * p["syscall"] + y * (p["hidden"] + 2 * p["ptemod"] + 0.1 * p["cr3wr"])
        return own + (million * x / 1000 * miss if policy == "hw-nested" else 0)

    plane.areas(lambda x, y: min(prices, key=lambda policy: cost(policy, x, y)))
    xs = spread(*plane.x, 600)  # a line that falls steeply to its zero
    for rival in ("bt", "hw-shadow-unsync"):
        p, n = prices[rival], prices["hw-nested"]
        gain = p["hidden"] + 2 * p["ptemod"] + 0.1 * p["cr3wr"] - n["hidden"] - 2 * n["ptemod"] - 0.1 * n["cr3wr"]
        plane.line([(x, max(0, million * x / 1000 * miss + calls * (n["syscall"] - p["syscall"])) / gain) for x in xs], COLOURS[rival],
                   f"nested paging breaks even with {NAMES[rival]}")
    plane.text(0.012, 1500, "hardware with nested paging wins", COLOURS["hw-nested"])
    plane.text(2.5, 5, "hardware with shadow paging wins", COLOURS[HARDWARE])
    plane.text(11, 110, "software wins", COLOURS[SOFTWARE])
    return plane.write(base)


def draw_processors(base):
    """forkwait from the Pentium 4 to Sandy Bridge."""
    f, cpus = model_blocks.Forkwait(), ["p4-672"] + CORES
    found = [model_blocks.times_native(f, cpu) for cpu in cpus]
    plane = Map("forkwait from processor to processor: what each of the remedies of section 7 is worth",
                "times the native time, lines modelled, dots published; native after the Core: as many cycles as on the Core",
                (0.7, len(cpus) + 0.3), (0.9, 60), ("", "times native, log scale"))
    for policy in model_blocks.MONITORS:
        points = [(i, row[policy]) for i, row in enumerate(found, 1) if row[policy]]
        plane.line(points, COLOURS[policy], NAMES[policy], "dashtype 2" if policy in ("hybrid", "paravirtual") else "dashtype 1")
    for column, colour in (("software", COLOURS["bt"]), ("hardware", COLOURS["hw-shadow"])):
        plane.line([(i, f.figure(cpu, column) / f.figure(cpu, "native")) for i, cpu in ((1, "p4-672"), (2, "core2-duo"))], colour, f"published: {column} VMM", marks=True)
    plane.out += ["unset logscale x", "set xtics (" + ", ".join(f"'{SHORT[cpu]}' {i}" for i, cpu in enumerate(cpus, 1)) + ")"]
    return plane.write(base)


PICTURES = {"exits": draw_exits, "forks": draw_forks, "nested": draw_nested, "processors": draw_processors}


def main(args):
    if len(args) > 1 or any(a.startswith("-") for a in args):
        print("usage: scripts/whatif.py [FOLDER]", file=sys.stderr)
        return 2
    folder = args[0] if args else os.path.join(model.ROOT, "results")
    for name, draw in PICTURES.items():
        print("\n".join(os.path.relpath(path) for path in draw(os.path.join(folder, f"whatif-{name}"))), flush=True)
    return 0


if __name__ == "__main__":
    entry.run(main, __doc__)
