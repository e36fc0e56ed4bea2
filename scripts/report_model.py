# SPDX-License-Identifier: BSD-2-Clause
"""The report's section on the cost model: what `ringside model` says of this run and of what was published, against both."""
import functools
import os
import re

import model
import model_blocks
import paper
import report_sections as sections
from report_html import ColumnKinds

NAMES = r"^(monitor|processor|where|counted on)$"  # columns of names, with digits in them
VALIDATION = ColumnKinds("modelled", [(r"^published", "published"), (NAMES, "")])
HERE = ColumnKinds("modelled", [(r"^measured", "measured"), (r"^most of it", "counted")])
EXITS = ColumnKinds("modelled", [(r"^counted$", "counted"), (NAMES, "")])
EVEN = ColumnKinds("modelled", [(r"^round trip", "published")])
FIGURE5 = ColumnKinds("modelled", [(r"^P4", "published")])
MODELLED = ColumnKinds("modelled")
PRICES = "Processors and monitors by the names of model/profiles and model/policies; nothing of this was run here."


class Files:
    """What model_blocks asks for: where the report's files are."""

    def __init__(self, context):
        named = {"nano": "bench", "process": "process", "exits-nano": "exits"}
        self.paths = {name: os.path.abspath(context.files[kind].path) for name, kind in named.items() if kind in context.files}
        self.exits = context.run("exits")

    def run(self, _name):
        return self.exits


@functools.cache
def of_model(block):
    """What does not go by the run: a block of model_blocks."""
    return tuple(getattr(model_blocks, block)(None))


def lines_of(page, what, make):
    """What the program says; or [], and a line why not: half a results file lacks figures that the model takes for granted."""
    try:
        return make()
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        page.text(f"{what}: not here: {error if not isinstance(error, KeyError) else 'a results file lacks ' + str(error)}.", "missing")
        return []


def section(page, context):
    try:
        model.ask("--list")
    except (OSError, RuntimeError, ValueError) as error:
        return page.text(f"Left out, as the program that knows the model did not answer: {error}", "missing")
    page.text("A time as a sum over events, how often each happens times what it costs. Counts are from results files, costs from sources that the model "
              "names; a published figure that set a parameter is no prediction, and the program sees to that itself (`ringside model`, docs/model.md).")
    files = Files(context)
    if {"nano", "process"} <= set(files.paths):
        scope = sections.scope(context.run("process"), ["bt"], True)
        page.lines(lines_of(page, "This machine", lambda: model_blocks.here(files)), "This machine: each event times its nanobenchmark", HERE,
                   scope, block="model-here")
    else:
        page.text("Of this machine nothing is predicted: that takes the nano benchmarks and those of processes.", "missing")
    if "exits-nano" in files.paths and "nano" in files.paths:
        page.lines(lines_of(page, "Exits", lambda: model_blocks.exits_table(files)), "Exits of one operation, modelled and counted", EXITS,
                   "Counted on emulated CPUs. Monitors by the names of model/policies. User code runs directly.", block="model-exits")
    page.lines(lines_of(page, "Validation", lambda: of_model("validation")), "What others published, and what the model makes of it", VALIDATION,
               PRICES, block="model-validation")
    what_if(page)
    return None


def what_if(page):
    page.details("What if: pictures, and where both monitors are equal")
    for name in ("exits", "forks", "processors", "nested"):
        path = os.path.join(model.ROOT, f"results/whatif-{name}.svg")
        words = re.match(r"!\[(.*)\]", paper.BLOCKS[f"whatif-{name}"](None)[0]).group(1)
        try:
            with open(path, encoding="utf-8") as file:
                page.picture(file.read(), f"{words}, by the cost model.", f"{words}, by the cost model (`make whatif`). {PRICES}")
        except OSError as error:
            page.text(f"No picture: {error}.", "missing")
    page.lines(lines_of(page, "Break-even", lambda: of_model("break_even")), "How many events beside 1000 system calls make software and hardware equal",
               EVEN, PRICES, block="model-break-even")
    page.lines(lines_of(page, "Processors", lambda: of_model("processors")), "forkwait from processor to processor", MODELLED, PRICES,
               block="model-processors")
    page.lines(lines_of(page, "Figure 5", lambda: of_model("figure5")), "The paper's Figure 5 out of Table 1 and the counts of its longer bars", FIGURE5,
               PRICES, block="model-figure5")
    page.end_details()


def sentence():
    """For the answer: how good it is; None where it cannot be said."""
    try:
        words = next(line for line in of_model("validation") if "predictions of figures" in line)
    except (OSError, RuntimeError, ValueError, StopIteration):
        return None
    return ("model", f"The cost model against what others published: {words}", "modelled published")
