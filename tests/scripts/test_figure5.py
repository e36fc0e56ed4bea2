#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Figure 5's arithmetic, from a file of boots whose terms are known beforehand, and the pictures of processes."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../scripts"))
import _fixture
import figure5
import plot
import results
from _ok import check, done


def near(a, b):
    return a is not None and abs(a - b) < 1e-6


def terms(run):
    found = {t.event.name: t for t in figure5.terms(run, "bt")}
    check("count times cost", near(found["syscall"].ms, 1000 * 2500 / 2.5e6))
    check("in and out: the mean of both", near(found["in/out"].ms, 5000 * 400 / 2.5e6))
    check("native cost is taken off, where it is known", near(found["callret"].ms, 50_000 * (7 - 2) / 2.5e6))
    check("what bt does not count comes from the interpreter", found["callret"].count == 50_000 and found["cr8wr"].count == 7)
    check("writes of page tables: those that only memory traces see", found["ptemod"].count == 2500)
    check("exceptions that are no page faults", found["divzero"].count == 1)
    check("an event nobody counted as happening costs nothing", found["invlpg"].ms == 0.0)


def sums(run):
    explained = 1.0 + 0.8 + 7 / 2.5e6 + 0.1 + 2.0 + 0.1 + 12000 / 2.5e6 + 0.2 + 2.0  # the last: translation
    check("translation is what the translator counted", near(figure5.translation_ms(run, "bt"), 2.0))
    check("the sum", near(figure5.explained_ms(run, "bt"), explained))
    low, high = figure5.native_equivalent_ms(run)
    check("the same instructions natively: at the kernels' speed", near(low, high) and near(low, 5e6 * 0.5 / 2.5e6))
    check("what is left is stated", near(figure5.unexplained_ms(run, "bt"), 12.000001 - 1.0 - explained))


def tables(run):
    lines = figure5.figure_table(run, "bt")
    check("a row an event, the paper's seconds beside", any(
        line.startswith("| syscall | 1,000 | 2,500 | not known | 1.00 | +0.60 | +0.00 |") for line in lines))
    check("a row that the paper has not", any(line.startswith("| cr3wr | 1,000 | 500 |") and line.endswith("|  |  |") for line in lines))
    check("the paper's sums", any("*explained*" in line and "| +1.67 | +11.62 |" in line for line in lines))
    check("all rows are as wide as the head", len({line.count("|") for line in lines}) == 1)
    check("boots by engine", any("bt:mmu=trace: shadow | 3 | 14.00 | 14.00 | 14.00" in line for line in figure5.totals_table(run)))
    check("every event", any(line.startswith("| `returns`") and "| 50,000 |" in line for line in figure5.counts_table(run)))
    check("and all together", any("Figure 5" in line for line in figure5.whole(run)))


def gaps(folder):
    run = results.load(_fixture.make_boot(os.path.join(folder, "g.jsonl")))[-1]
    run.boots = [b for b in run.boots if b["engine"] != "interp"]
    found = {t.event.name: t for t in figure5.terms(run, "bt")}
    check("without the interpreter's counts there is no term", found["callret"].ms is None and found["syscall"].ms is not None)
    check("and the table says so", any(line.startswith("| callret | n/a | 7.00 |") for line in figure5.figure_table(run, "bt")))
    run.boots = []
    check("without boots there is no figure", figure5.engines(run) == [] and figure5.figure(run) == [])


def pictures(folder):
    path = _fixture.make_boot(os.path.join(folder, "boot.jsonl"))
    made = plot.pictures(path)
    check("Figure 5 is drawn", [os.path.basename(p) for p in made] == ["boot-figure5.png", "boot-figure5.svg"])
    with open(made[1], encoding="utf-8") as file:
        svg = file.read()
    check("with what is left", "unexplained" in svg and "translate" in svg)
    made = plot.pictures(_fixture.make_process(os.path.join(folder, "p.jsonl")))
    check("processes against native are drawn", len(made) == 2 and all(os.path.getsize(p) > 2000 for p in made))
    made = plot.pictures(_fixture.make_peers(os.path.join(folder, "q.jsonl")))
    with open(made[1], encoding="utf-8") as file:
        svg = file.read()
    check("forkwait is drawn beside the paper's", "QEMU TCG" in svg and "Pentium 4, 2006" in svg)


with tempfile.TemporaryDirectory() as scratch:
    made_run = results.load(_fixture.make_boot(os.path.join(scratch, "a.jsonl")))[-1]
    terms(made_run)
    sums(made_run)
    tables(made_run)
    gaps(scratch)
    pictures(scratch)
done()
