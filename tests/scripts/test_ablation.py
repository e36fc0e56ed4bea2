#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The ablation's tables, picture and blocks, from a results file whose factors are known beforehand."""
import json
import os
import subprocess
import sys
import tempfile

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts")
sys.path.insert(0, SCRIPTS)
import _fixture
import ablation
import heatmap
import paper
import plot
import results
import table
from _ok import check, done

NANO = {"idle": {"bt": 0, "bt:no-chaining": 0},
        "in": {"bt": 50, "bt:no-chaining": 100, "bt:emulate=trap": 2500, "bt:emulate=in-tc": 50},
        "ptemod": {"bt": 0.25, "bt:no-chaining": 0.5, "bt:emulate=trap": 3},
        "rdtsc": {"bt": 20, "bt:no-chaining": 20, "bt:emulate=trap": 4000, "bt:emulate=callout": 80,
                  "bt:emulate=in-tc": 20}}
MICRO = {"crc": {"native": 5000, "bt": 5000, "bt:no-chaining": 45000},
         "crc_user": {"bt": 50000, "bt:no-chaining": 50000}, "fib": {"native": 9000, "bt": 18000, "bt:no-chaining": 18000}}
COLUMNS = {name: name for name in ("native", "bt", "bt:emulate=trap", "bt:no-chaining", "bt:emulate=callout",
                                   "bt:emulate=in-tc")}


def make(path):
    _fixture.COLUMNS = COLUMNS
    _fixture.make(path, nano=NANO, micro=MICRO)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps({"type": "failed", "suite": "micro", "image": "fib", "bench": None, "status": 5,
                               "engine": "bt:emulate=trap", "process": 0, "reason": "no end in time"}) + "\n")
    return path


def row(text, start):
    return next((line for line in text.split("\n") if line.startswith(f"| {start} |")), "no such row")


def tables(run):
    text = "\n".join(ablation.table(run))
    check("the default under another name has no column", "in-tc" not in text)
    check("columns keep the run's order", ablation.columns(run)[:2] == ["bt:emulate=trap", "bt:no-chaining"])
    check("a factor is the variant's cost in bt's", row(text, "in") == "| in | 50.0 | 50.0 | 2.00 | n/a |")
    check("what costs less than a cycle counts as one", row(text, "ptemod").startswith("| ptemod | 0.25 | 3.00 | 1.00 |"))
    check("the control has no factor", "| idle |" not in text)
    check("CPL 0 and CPL 3 have means of their own",
          row(text, "*micro, CPL 0: geometric mean*").endswith("| n/a | 3.00 | n/a |") and
          row(text, "*micro, CPL 3: geometric mean*").endswith("| n/a | 1.00 | n/a |"))
    check("what has no figure says why", "- n/a: `bt:emulate=trap`, fib: no end in time" in text)
    text = "\n".join(ablation.rdtsc_table(run))
    check("trap beside the paper's", "| trap-and-emulate | 2,030 | 9.4 | 4,00" in text and text.count("| 200.0 |") == 1)
    check("and in the cache", "| in-TC emulation | 216 | 1.0 | 20.0 | 1.0 |" in text)
    text = "\n".join(table.native_share_table(run))
    check("the share of native speed", "| fib | 9,00" in text and "| *geometric mean* |  |  | 0.71 |" in text)
    check("code at CPL 3 is not in it", "crc_user" not in text)


def engines():
    listed = ablation.engines()
    check("the base is measured first, everything once", listed[0] == "bt" and len(set(listed)) == len(listed))
    check("the three ways of rdtsc are measured", all(e in listed for e in ablation.RDTSC.values()))
    order = results.Run({})
    for name in ("vtx", "bt:tu=4", "bochs", "interp", "bt:checked", "bt"):
        order.add({"type": "engine", "name": name})
    check("variants stand behind their engine, in the run's order",
          results.engine_order(order) == ["interp", "bt", "bt:tu=4", "bt:checked", "vtx", "bochs"])


def colours():
    check("no change is white", heatmap.colour(1) == (255, 255, 255))
    check("slower is red, the more the darker", heatmap.colour(3)[2] > heatmap.colour(30)[2] > heatmap.colour(300)[2])
    check("faster is blue", heatmap.colour(0.3)[0] < heatmap.colour(0.3)[2])
    check("beyond the scale is its end", heatmap.colour(1e9) == heatmap.SLOW[-1])
    check("dark cells have light figures", heatmap.ink(heatmap.colour(1000)) == "#ffffff")


def blocks(path):
    check("all blocks of an ablation can be made", all(paper.content(name, path) for name in paper.ABLATION_BLOCKS))
    check("the file fills those blocks and no others", paper.blocks_of(path) is paper.ABLATION_BLOCKS)
    made = plot.pictures(path)
    check("its picture is the one of factors", [os.path.basename(p) for p in made] == ["a-factors.png", "a-factors.svg"])
    svg = open(made[1], encoding="utf-8").read()
    check("which shows them", ">2.00<" in svg and "no-chaining" in svg)
    script = os.path.join(SCRIPTS, "ablation.py")
    out = subprocess.run([sys.executable, script, path], capture_output=True, text=True)
    check("the command prints them", out.returncode == 0 and "Three ways to emulate rdtsc" in out.stdout)
    _fixture.COLUMNS = {"native": "native", "bt": "bt"}
    plain = _fixture.make(path + ".plain", nano={"in": {"bt": 5}}, micro={})
    out = subprocess.run([sys.executable, script, plain], capture_output=True, text=True)
    check("a run without variants is an error in one line", out.returncode == 1 and out.stderr.count("\n") == 1)


with tempfile.TemporaryDirectory() as scratch:
    file_path = make(os.path.join(scratch, "a.jsonl"))
    tables(results.load(file_path)[-1])
    engines()
    colours()
    blocks(file_path)
done()
