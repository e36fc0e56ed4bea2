# SPDX-License-Identifier: BSD-2-Clause
"""What PAPER.md says in sentences of its own, and what must hold of the figures for it to be said. The figures in a sentence follow
a new run by themselves; what the sentence makes of them does not. paper.py says which sentence no longer stands."""
import re

import figures
from claims import KERNELS, LEVEL, Less, Within, never, once

SECTION = re.compile(r"^## What was learned\n(.*?)^## ", re.M | re.S)
LESSON = re.compile(r"^- \*(.+?)\*", re.M)
MADE = re.compile(r"<!-- value: .+? -->(.*?)<!-- end -->", re.S)

TRAP = "ablation(bt:emulate=trap.nano/rdtsc) / ablation(bt:emulate=in-tc.nano/rdtsc)"
CALLOUT = "ablation(bt:emulate=callout.nano/rdtsc) / ablation(bt:emulate=in-tc.nano/rdtsc)"
TRAP_THEN = "ref(asplos2006-adaptation.trap-and-emulate.cycles) / ref(asplos2006-adaptation.in-TC emulation.cycles)"
WITHOUT_FAULT = ("syscall", "in", "out", "cr8wr", "callret", "ptemod", "asswitch", "clisti", "cpuid", "cr3wr", "invlpg", "pguser", "rdtsc", "wrmsr")
NO_EXITS, DEVICES = ("nano/syscall", "nano/callret", "nano/divzero"), ("nano/in", "nano/out", "nano/cpuid")
FORKWAIT_NESTED, FORKWAIT_SHADOW = "exits(kvm_intel:ept=1.process/forkwait)", "exits(kvm_intel:ept=0.process/forkwait)"
ABOUT_ONE = (1 / 1.25, 1.25)  # a technique that is worth so little, or costs so little, is worth little
IN_ORDER = [Less("ablation(bt:emulate=in-tc.nano/rdtsc)", "ablation(bt:emulate=callout.nano/rdtsc)"),
            Less("ablation(bt:emulate=callout.nano/rdtsc)", "ablation(bt:emulate=trap.nano/rdtsc)")]
CHAINING = [Within(5, None, "factor(bt:no-chaining.micro)")]
SMALL_UNITS = [Within(*ABOUT_ONE, "factor(bt:no-elision.micro)", "factor(bt:tu=4.micro)")]
EITHER_WAY = [Less("measured(bt:user=direct.user/fib)", "measured(bt:user=translated.user/fib)"),
              Less("measured(bt:user=translated.process/getpid)", "measured(bt:user=direct.process/getpid)")]


def exits(paging, *benches):
    """Exits of an iteration on both makes of processor; paging: 0 shadow, 1 nested."""
    return [f"exits({engine}={paging}.{bench})" for engine in ("kvm_intel:ept", "kvm_amd:npt") for bench in benches]


# The words in italics that begin each lesson -> its rule, as of claims.py, over figures by their names. Without a rule: it is said of
# the method, or of published figures alone.
LESSONS = {
    "Decoding once is most of it.":
        [Within(None, 25, *(f"measured(interp.micro/{name}) / counted(interp.micro/{name}.insns_kernel)" for name in KERNELS)),
         Less("peers(interp.micro/sieve)", "peers(bochs.micro/sieve)")],
    "It is ahead of a translator where address spaces change.": [Less("peers(interp.process/forkwait)", "peers(qemu-tcg.process/forkwait)")],
    "A process can be the software VMM.": [Within(0.75, None, "share(bt.micro)", "share(bt.user)")],
    "What a trap costs decides everything else.":
        [Less(TRAP_THEN, TRAP, 2), Less(CALLOUT, TRAP, 5)] +
        [Less(f"measured(bt.nano/{name})", f"measured(bt.nano/{worst})") for name in WITHOUT_FAULT for worst in ("divzero", "pgfault")],
    "Memory traces are not needed.":
        [Less("measured(bt.process/forkwait)", "measured(bt:mmu=trace.process/forkwait)"), Within(None, 1 / LEVEL, "factor(bt:mmu=trace.nano/cr3wr)")],
    "User code is not always best run directly.": EITHER_WAY,
    "Of the techniques one is worth nearly all.": CHAINING + SMALL_UNITS,
    "A real return is worth less than expected.":
        [Within(*ABOUT_ONE, "factor(bt:returns=table.nano/callret_branchy)", "factor(bt:returns=table.micro/fib)", "factor(bt:returns=table.micro)")],
    "Safety is affordable.": [Within(None, 3, "factor(bt:checked.micro)")],
    "One of its two worst rows was not the hardware's.": [never("exits(kvm_intel:ept=0.nano/ptemod)")],
    "Nested paging did what was asked of it.": [Within(5, None, FORKWAIT_SHADOW), never(FORKWAIT_NESTED)],
    "A name says nothing about a technique.":
        [Within(None, 2, "measured(vtx.micro/fib_user) / measured(native.micro/fib)"), Within(10, None, "measured(vtx.micro/fib) / measured(native.micro/fib)")],
    "The paper's prices fit together.":
        [Within(0.8, 1.25, *(f"predicted(asplos2006.micro/{name}) / ref(asplos2006.micro/{name})" for name in ("forkwait.software", "forkwait_core.hardware")))],
    "And in one place they do not.": [Within(None, -1, "predicted(asplos2006-boot.in/out.software_seconds)")],
    "What looks like a cost of page-table writes is mostly one of first touches.": [],
    "The kernel matters more than the monitor.": [Less("measured(interp.process/forkwait)", "measured(native.process/forkwait)")],
    "So the experiment belongs on a kernel that is not ours.":
        [Less("linux(native.process/forkwait)", "linux(bt.process/forkwait)"), Less("linux(bt.process/forkwait)", "linux(qemu-tcg.process/forkwait)", 5),
         Less("measured(bt.process/forkwait)", "measured(native.process/forkwait)")],
    "A short boot is mostly translation.": [Within(0.5, None, "measured(bt.boot.translate) / measured(bt.boot)")],
    "Counts travel, cycles do not.": [],
}
# Likewise of sentences elsewhere, by words that stand in them.
SENTENCES = {
    "(`returns=table`, `returns=callout`) cost it more": [Within(1, None, "factor(bt:returns=table.micro/fib)", "factor(bt:returns=callout.micro/fib)")],
    "The order is the paper's. The distances are not": IN_ORDER + [Less(TRAP_THEN, TRAP, 2)],
    "Chaining is what makes a translator": CHAINING,
    "Elision and the length of a TU are worth little": SMALL_UNITS,
    "Programs that make nothing but system calls are better off translated, programs that compute are better off directly": EITHER_WAY,
    "`syscall`, `callret`, `divzero`: no exit, with either paging": [never(*exits(0, *NO_EXITS), *exits(1, *NO_EXITS))],
    "`in`, `out`: one exit each, with either paging. `cpuid` likewise": [once(*exits(0, *DEVICES), *exits(1, *DEVICES))],
    "one exit with shadow paging, although the fault is the guest's own": [once(*exits(0, "nano/pgfault", "nano/pguser")), never(*exits(1, "nano/pgfault", "nano/pguser"))],
    "**no exit even with shadow paging, where the paper's VMM took one for every write.**": [never(*exits(0, "nano/ptemod"))],
    "Nested paging takes nearly all of these exits away": [Less(few, many, 10) for few, many in zip(exits(1, "process/forkwait"), exits(0, "process/forkwait"))],
    "its order of costs holds twenty years later and in a process": IN_ORDER,
    "For page tables it was its monitor's traces, and not VT-x by itself": [never(*exits(0, "nano/ptemod"))],
    "nested paging took the rest of that away": [never(*exits(1, "process/forkwait"))],
}


def plain(text):
    """The page's words, one space between two of them, figures as they are read."""
    return " ".join(MADE.sub(r"\1", text).split())


def said(text):
    """The lessons of the page, in its order."""
    section = SECTION.search(text)
    return LESSON.findall(section.group(1)) if section else []


def turned(rule, files):
    """What does not hold of the rule, in words, with the figures; a figure that no file has holds nothing."""
    wrong = []
    for condition in rule:
        found = {name: figures.find(files, name) for name in condition.names}
        missing = any(f.value is None for f in found.values())
        if missing or not condition.holds({name: f.value for name, f in found.items()}):
            wrong.append(f"{condition.text()}, but " + ", ".join(f"{name} is {f.text()}" for name, f in found.items()))
    return wrong


def findings(text, files):
    """One line for each sentence that does not stand, or that nothing is known of."""
    lessons, words = said(text), plain(text)
    out = [f"`{name}` has no rule in scripts/learned.py" for name in lessons if name not in LESSONS]
    out += [f"`{name}` of scripts/learned.py is not said" for name in LESSONS if name not in lessons]
    out += [f"`{phrase}` of scripts/learned.py is not said" for phrase in SENTENCES if phrase not in words]
    for name, rule in {**LESSONS, **SENTENCES}.items():
        out += [f"`{name}` does not hold any more: {wrong}" for wrong in turned(rule, files)]
    return out
