# SPDX-License-Identifier: BSD-2-Clause
"""The ablation's picture: one row a benchmark, one column a variant of bt, each cell's colour the factor's logarithm."""
import math

import ablation
import results

WIDTH, HEAD, FOOT, ROW, BREAK = 1500, 210, 70, 27, 1.25
LEFT, RIGHT = 0.14, 0.985
FULL = 3.0  # decades of slowdown at which the colour is full
SLOW = [(255, 255, 255), (254, 217, 142), (254, 153, 41), (217, 71, 1), (127, 29, 3)]
FAST = [(255, 255, 255), (189, 215, 231), (107, 174, 214), (33, 113, 181)]
FAST_FULL = 1.0


def blend(colours, share):
    """A colour of the scale, share from 0 to 1."""
    at = min(max(share, 0), 1) * (len(colours) - 1)
    low = min(int(at), len(colours) - 2)
    return tuple(round(a + (b - a) * (at - low)) for a, b in zip(colours[low], colours[low + 1]))


def colour(factor):
    decades = math.log10(factor)
    return blend(SLOW, decades / FULL) if decades >= 0 else blend(FAST, -decades / FAST_FULL)


def code(rgb):
    return "#%02x%02x%02x" % rgb


def ink(rgb):
    """Black or white, whichever reads better on it."""
    return "#ffffff" if 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2] < 140 else "#111111"


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def text_rows(run):
    """(label, bold, cells) from top to bottom, None for a gap between groups; cells: factor, None for n/a,
    and its text."""
    shown, rows = ablation.columns(run), []
    for name, suite, benches in ablation.groups(run):
        rows += [None] if rows else []
        rows += [(b, False, [(ablation.factor(run, suite, b, e), ablation.cell_text(run, suite, b, e)) for e in shown])
                 for b in benches]
        means = [ablation.mean(run, suite, benches, e) for e in shown]
        rows.append((f"mean: {name}", True, [(m, ablation.factor_text(m)) for m in means]))
    return rows


class Page:
    """Gnuplot objects and labels in screen coordinates, counted."""

    def __init__(self, height):
        self.height, self.out, self.count = height, [], 0

    def box(self, x, y, width, height, fill):
        self.count += 1
        self.out.append(f"set object {self.count} rectangle from screen {x:.5f},{y:.5f} to screen {x + width:.5f},"
                        f"{y + height:.5f} fillcolor rgb '{fill}' fillstyle solid noborder")

    def text(self, text, x, y, size=13, place="left", fill="#222222", rotate=""):
        self.count += 1
        self.out.append(f"set label {self.count} {quoted(text)} at screen {x:.5f},{y:.5f} {place} {rotate} "
                        f"font ',{size}' textcolor '{fill}' noenhanced front")


def cells(page, run, rows, top):
    columns = ablation.columns(run)
    width, y = (RIGHT - LEFT) / max(len(columns), 1), top
    for n, engine in enumerate(columns):
        page.text(ablation.short(engine), LEFT + width * (n + 0.5), top + 10 / page.height, 13, "left",
                  rotate="rotate by 28")
    step = ROW / page.height
    for row in rows:
        y -= step if row else step * (BREAK - 1) * 2
        if not row:
            continue
        label, mean, factors = row
        page.text(label, LEFT - 0.006, y + step / 2, 13 if not mean else 12, "right", "#111111" if not mean else "#555555")
        for n, (factor, text) in enumerate(factors):
            fill = colour(factor) if factor else (240, 240, 240)
            page.box(LEFT + width * n + 0.0008, y + 0.0006, width - 0.0016, step - 0.0012, code(fill))
            page.text(text, LEFT + width * (n + 0.5), y + step / 2, 12, "center",
                      ink(fill) if factor else "#999999")
    return y


def scale(page, y):
    """What the colours mean."""
    marks = [0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000]
    for n, factor in enumerate(marks):
        fill = colour(factor)
        x = LEFT + 0.075 * n
        page.box(x, y, 0.0735, 22 / page.height, code(fill))
        page.text(f"{factor:g} times", x + 0.0368, y + 11 / page.height, 12, "center", ink(fill))


def script(run, caveat):
    """(gnuplot commands without terminal and output, height)."""
    rows = text_rows(run)
    height = HEAD + FOOT + round(sum(ROW if row else ROW * (BREAK - 1) * 2 for row in rows))
    page = Page(height)
    page.text("What each of the translator's techniques is worth", 0.02, 1 - 28 / height, 21, fill="#111111")
    page.text("cost with one technique off or done another way, times the cost of the whole translator; log colours; "
              "costs below one cycle count as one; ~: unsteady", 0.02, 1 - 58 / height, 13, fill="#555555")
    page.text(results.machine_line(run) + caveat, 0.02, 1 - 80 / height, 13, fill="#555555")
    bottom = cells(page, run, rows, 1 - HEAD / height)
    scale(page, bottom - 48 / height)
    frame = ["set encoding utf8", "unset border", "unset tics", "unset key", "set lmargin at screen 0",
             "set rmargin at screen 1", "set bmargin at screen 0", "set tmargin at screen 1"]
    return frame + page.out + ["plot [0:1] [0:1] NaN notitle"], height
