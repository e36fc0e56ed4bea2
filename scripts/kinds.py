# SPDX-License-Identifier: BSD-2-Clause
"""Of which kind a figure is, said in one place for every table and picture: measured, counted, modelled or published. paper.py
puts the caption over each generated block of the pages; whoever shows the same blocks elsewhere takes it from here."""

# kind -> what it means. The four words are used for nothing else on the pages.
KINDS = {
    "measured": "a clock's reading on the machine that the platform section names, or a ratio of such readings",
    "counted": "a number of events, by the counters of include/events.def, the translator's statistics or KVM's",
    "modelled": "computed from counts and costs, never observed as such",
    "published": "printed in a paper by others, of their machine; results/reference has it with its source",
}

TSC = "TSC cycles an iteration, median"
P4 = "the P4 columns, cycles of the paper's Pentium 4"
PAPER_TIMES = "the paper's columns, from its seconds or requests a second"

# Block -> kind -> what in it is of that kind. An empty one holds no figure of a benchmark: a legend, or how a run was made.
OF_BLOCK = {
    "kinds": {}, "claims": {},  # of claims each figure has its kind beside it
    "samples": {}, "scope": {}, "engines": {}, "process-scope": {}, "boot-scope": {}, "peers-scope": {},
    "linux-scope": {}, "ablation-scope": {}, "ablation-legend": {}, "exits-scope": {},
    "nano": {"measured": f"the engines' columns, {TSC}", "published": P4},
    "nano-picture": {"measured": "bars of engines here", "published": "bars of 2006"},
    "nano-cold": {"measured": "TSC cycles: the first pass of one iteration, and the warm median"},
    "nano-events": {"counted": "events of one iteration, median"},
    "nano-spread": {"measured": "TSC cycles an iteration"},
    "micro": {"measured": TSC},
    "micro-slowdown": {"measured": "ratio of two medians"},
    "micro-picture": {"measured": "ratio of two medians"},
    "micro-events": {"counted": "events of one iteration, median"},
    "bt-native": {"measured": f"{TSC}, and the ratio of the two"},
    "bt-native-user": {"measured": f"{TSC}, and the ratio of the two"},
    "rdtsc": {"measured": f"the columns of here, {TSC}", "published": P4},
    "ablation": {"measured": f"{TSC}, and ratios of medians"},
    "ablation-picture": {"measured": "ratios of medians"},
    "translation": {"counted": "units, instructions and bytes", "measured": "the last column, by the TSC around the translator"},
    "translation-kinds": {"counted": "by the translator's statistics"},
    "process": {"measured": TSC},
    "process-ratios": {"measured": "ratio of two medians", "published": PAPER_TIMES},
    "process-picture": {"measured": "ratio of two medians", "published": PAPER_TIMES},
    "process-policies": {"measured": TSC},
    "process-bound": {"counted": "instructions, by the interpreter", "measured": "bt's column, TSC cycles an iteration",
                      "modelled": "the column of cycles at that rate, a lower bound, and the ratio to it"},
    "forkwait-events": {"counted": "events of one iteration, median"},
    "direct-costs": {"measured": TSC, "counted": "hand-overs"},
    "user-native": {"measured": f"{TSC}, and ratios of medians"},
    "forkwait": {"measured": "rows of here, by the host's clock: an iteration's median times 40,000, and the program in full",
                 "published": "rows of 2006"},
    "forkwait-picture": {"measured": "bars of here", "published": "bars of 2006"},
    "peers": {"measured": "by the host's clock, median", "counted": "instructions, by the interpreter"},
    "peers-process": {"measured": "by the host's clock, median", "counted": "instructions, by the interpreter"},
    "peers-ahead": {"measured": "ratio of two medians, by the host's clock"},
    "figure5": {"counted": "times in a boot", "measured": "cycles each, translate, the whole boot",
                "modelled": "ms of an event, count times cost; the same instructions natively; explained and unexplained",
                "published": "the P4 columns, seconds off the drawn bars"},
    "figure5-picture": {"modelled": "bars of here, count times cost, within a measured whole", "published": "bars of 2006"},
    "boot": {"measured": "ms, by the host's clock"},
    "boot-events": {"counted": "events of a boot, median"},
    "linux-boot": {"measured": "seconds from starting the program to the first line of the guest's first process, by the host's clock"},
    "linux-picture": {"measured": "ratio of two medians", "published": PAPER_TIMES},
    "linux-ratios": {"measured": "ratio of two medians", "published": PAPER_TIMES},
    "linux-process": {"measured": TSC},
    "linux-events": {"counted": "events of one iteration, median"},
    "exit-costs": {"published": "cycles of the processor named"},
    "exits-nano": {"counted": "exits of one iteration, on emulated silicon", "published": P4},
    "exits-process": {"counted": "exits of one iteration, on emulated silicon"},
    "model-validation": {"published": "as printed", "modelled": "by `ringside model --validate`, and the error against the published figure"},
    "model-nano": {"modelled": "cycles of one event; on the Pentium 4 the first three columns are published figures again, but for `hidden` and `cr3wr`, as they set the model"},
    "model-figure5": {"published": "the VMMs' columns, off the drawn bars", "modelled": "times, and the bars that follow from them"},
    "model-forkwait": {"counted": "faults and page-table entries, on this project's host", "modelled": "all other figures", "published": "the last row, and the column of that name"},
    "model-exits": {"counted": "exits of one iteration, on emulated silicon", "modelled": "likewise, by `ringside model --cpu=exits`"},
    "model-here": {"counted": "events of one iteration", "measured": f"{TSC}", "modelled": "counts times the nanobenchmarks' medians"},
    "model-bantam": {"modelled": "cycles an iteration: events counted here and by KVM on emulated silicon, times the model's prices"},
    "model-processors": {"modelled": "forkwait's time over native"},
    "model-break-even": {"published": "round trips, or their sum in Table 1", "modelled": "how many events beside 1000 system calls make both monitors equal"},
    "whatif-exits": {"modelled": "lines and areas", "published": "the processors' round trips"},
    "whatif-forks": {"modelled": "lines and areas", "published": "the rate of forkwaits"},
    "whatif-nested": {"modelled": "lines and areas"},
    "whatif-processors": {"modelled": "lines", "published": "dots"},
    "exits-kvm": {"counted": "by KVM's own statistics, on emulated silicon"},
}


def of(block):
    """kind -> what, of a block; a block that is not in the list is an error: a figure of no kind is not to be shown."""
    if block not in OF_BLOCK:
        raise ValueError(f"scripts/kinds.py does not say of which kind the figures of block {block} are")
    return OF_BLOCK[block]


def caption(block):
    """The line over a block, as a list of lines; none where the block has no figures."""
    parts = [f"**{kind}**: {what}" for kind, what in of(block).items()]
    return ["; ".join(parts) + ".", ""] if parts else []


def legend():
    """What the four words mean."""
    return [f"- **{kind}**: {meaning}." for kind, meaning in KINDS.items()]
