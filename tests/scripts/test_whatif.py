#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the pages show of the cost model: tables (model_blocks.py) and pictures (whatif.py)."""
import itertools
import os
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
sys.path.insert(0, os.path.join(ROOT, "scripts"))
import figures
import model
import model_blocks
import paper
import whatif
from _ok import check, done


def near(a, b, share=1e-6):
    return a is not None and abs(a - b) <= share * max(abs(b), 1e-9)


def parts():
    for cpu, policy in (("p4-672", "hw-shadow"), ("core2-duo", "hw-shadow")):
        for event, (whole, by) in model_blocks.shares(cpu, policy).items():
            check(f"{cpu}: the parts of {event} are no more than it", sum(by.values()) <= whole + 1e-6 and min(by.values()) >= 0)
    transitions = {event: by["transitions"] for event, (_, by) in model_blocks.shares("p4-672", "hw-shadow").items()}
    check("transitions are Table 1's", near(transitions["ptemod"], 1931 + 2409) and transitions["syscall"] == 0)


def tables(files):
    for name, make in model_blocks.FREE_BLOCKS.items():
        lines = make(files)
        grids = [list(grid) for is_grid, grid in itertools.groupby(lines, lambda line: line.startswith("|")) if is_grid]
        check(f"{name} is made, its rows as wide as their head", bool(lines) and all(len({row.count("|") for row in grid}) == 1 for grid in grids))
    lines = model_blocks.exits_table(files)
    check("exits: what does not agree is listed", lines[0].startswith("82 of 86") and sum("wrmsr" in line for line in lines) == 4)


def what_if(folder):
    prices = model.prices("core2-duo", ["bt", "hw-shadow"])
    count = whatif.break_even(prices, "ptemod")
    rows = model.mix({"syscall": whatif.CALLS, "ptemod": count}, "core2-duo", ["bt", "hw-shadow"])
    check("at break-even both cost the same", near(rows["bt"]["cycles"], rows["hw-shadow"]["cycles"], 1e-4))
    check("never where the event is no dearer there", whatif.break_even(prices, "syscall") is None)
    cheap = whatif.break_even(model.prices("core2-duo", ["bt", "hw-shadow"], {"round_trip": 0}), "ptemod")
    check("cheaper exits bear more", cheap > count)
    trip = whatif.round_trip("core2-duo")
    won = model.cheapest({"syscall": whatif.CALLS, "ptemod": 1}, "core2-duo", ["bt", "hw-shadow"],
                         ("round_trip", trip, 1.0001 * trip, 2), ("ptemod", count / 1.01, count * 1.01, 2))[2]
    check("the program's map has its boundary there, too", won == [["hw-shadow"] * 2, ["bt"] * 2])
    check("a round trip is the profile's", near(whatif.round_trip("nehalem"), 1009))
    made = whatif.draw_exits(os.path.join(folder, "e"), steps=4) + whatif.draw_nested(os.path.join(folder, "n")) + \
        whatif.draw_processors(os.path.join(folder, "p"))
    check("pictures are drawn", len(made) == 6 and all(os.path.getsize(path) > 5000 for path in made))
    with open(made[1], encoding="utf-8") as file:
        svg = file.read()
    check("processors are marked", "Nehalem" in svg and "hardware wins" in svg)


os.chdir(ROOT)
with open(paper.PAPER, encoding="utf-8") as page:
    all_files = figures.files_of(page.read())
with tempfile.TemporaryDirectory() as scratch:
    parts()
    tables(all_files)
    what_if(scratch)
done()
