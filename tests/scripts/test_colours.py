#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The pictures' colours for readers with each kind of colour vision: what one picture holds can be told apart. Dichromats see as Machado,
Oliveira and Fernandes (2009) say at severity 1; how far apart two colours are is their distance in CIE L*a*b*."""
import itertools
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts"))
import colours
import figure5
import plot_process
from _ok import check, done

SEEN = {"all cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        "no long cones": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
        "no medium cones": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
        "no short cones": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900))}
TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
WHITE = (0.95047, 1, 1.08883)  # D65


def times(matrix, vector):
    return [sum(a * b for a, b in zip(row, vector)) for row in matrix]


def linear(byte):
    c = byte / 255
    return c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4


def lab(code, eye):
    seen = [min(1, max(0, c)) for c in times(SEEN[eye], [linear(int(code[i:i + 2], 16)) for i in (1, 3, 5)])]
    x, y, z = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (v / w for v, w in zip(times(TO_XYZ, seen), WHITE)))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def apart(one, other, eye):
    return sum((a - b) ** 2 for a, b in zip(lab(one, eye), lab(other, eye))) ** 0.5


def nearest(palette):
    """(distance, eye, one, other) of the two that are hardest to tell apart."""
    return min((apart(palette[a], palette[b], eye), eye, a, b) for eye in SEEN for a, b in itertools.combinations(palette, 2))


def told(what, palette, least):
    found = nearest(palette)
    check(f"{what}: {found[2]} and {found[3]} differ by {found[0]:.1f} with {found[1]}, at least {least}", found[0] >= least)


check("black and white are 100 apart", abs(apart("#000000", "#ffffff", "no long cones") - 100) < 0.1)
check("red and green that only a full set of cones tells apart are found",
      nearest({"red": "#e6550d", "green": "#33a02c"})[0] < 15 < apart("#e6550d", "#33a02c", "all cones"))
told("engines beside the paper's", dict(colours.ENGINES, **{f"2006: {k}": v for k, v in colours.PAPER.items()}), 18)
told("a boot's events", colours.EVENTS, 10)
told("the model's monitors", colours.MONITORS, 15)
check("every event of the figure has one", set(colours.EVENTS) == {e.name for e in figure5.EVENTS} | {"translate", "natively", "unexplained"})
check("the paper's machines have one", set(plot_process.PAPER_VMMS) < set(colours.PAPER))
done()
