#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""No figure of a measurement is typed by hand: in the pages' own sentences a number with a unit of time, rate or comparison is an
error, unless paper.py made it or a list here says why it is none. `scripts/check_figures.py [FILE...]`, by default all pages."""
import re

import entry
import paper

NUMBER = r"(?<![\w.,/#=-])\d[\d,]*(?:\.\d+)?"
UNIT = (r"(?:(?:[ -]|\n)(?:TSC |core |host |guest )?(?:cycles?|ns|us|µs|ms|s|seconds?|nanoseconds|microseconds|milliseconds|minutes?|hours?|per ?cent|times|[kMG]Hz|MIPS|"
        r"(?:[mb]illion )?instructions? (?:a|per) second|million instructions|exits|faults|requests)| ?%|x)(?!\w)")
FIGURE = re.compile(NUMBER + UNIT)
# What has a number and a unit and is no result: a choice that was made, a definition, a name. Phrase -> why.
CHOSEN = {
    "Pentium 4": "a name",
    "95 % interval": "how much an interval is to hold",
    "40,000 times fork": "the paper's program",
    "unrolled 16 times": "how the subjects are written",
    "up to 30 ms": "as long as measure_tsc_hz() of guest/bantam/time.c counts",
    "0.09 ms of Bochs' own time": "a character of ten bits at 115,200 baud",
    "at least 20 microseconds": "a limit that machine/clock.h sets",
    "at 1 GHz": "the rate of the timer of machine/lapic.c",
}
# Not a page's own sentences: blocks and figures that paper.py makes, code, what a link leads to, comments.
MADE = re.compile(r"<!-- (?:generated|value): .+? -->.*?<!-- end -->|```.*?```|^(?: {4}|\t).*?$|`[^`\n]*`|\]\([^)]*\)|<!--.*?-->", re.S | re.M)


def blanked(text):
    """The text with all that is not a sentence of its own taken out, lines kept."""
    return MADE.sub(lambda match: "\n" * match.group().count("\n"), text)


def findings(text):
    """(line, phrase) of each figure that was typed."""
    own = blanked(text)
    for phrase in CHOSEN:
        own = own.replace(phrase, "")
    return [(own.count("\n", 0, m.start()) + 1, m.group()) for m in FIGURE.finditer(own)]


def main(pages):
    bad = 0
    for page in pages or paper.PAGES:
        with open(page, encoding="utf-8") as file:
            for line, phrase in findings(file.read()):
                print(f"{page}:{line}: `{phrase}` is typed by hand: have paper.py make it (<!-- value: ... -->), or say in "
                      "scripts/check_figures.py why it is no result")
                bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    entry.run(main, __doc__)
