#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The claims of Adams and Agesen's paper, each with the figures that it is judged by and a rule, so that the verdict is computed:
reproduced, contradicted, or not testable here where a figure is missing. `scripts/claims.py` prints them as PAPER.md has them,
`scripts/claims.py FILE...` as the results files of another machine have them.

Cycles of different machines are never compared, only orders and ratios. A count on emulated silicon judges what is said of
exits, nothing that is said of time; a back end of /dev/kvm that is not hardware judges nothing."""
import os
import sys

import entry
import figures

REPRODUCED, CONTRADICTED, UNTESTABLE = "reproduced", "contradicted", "not testable here"
LEVEL = 1.1  # two costs that are closer than this are not in an order


class Less:
    """low is below high, by a factor of at least `by`. what: how to say so of many pairs at once."""

    def __init__(self, low, high, by=LEVEL, what=None):
        self.low, self.high, self.by, self.names, self.what = low, high, by, [low, high], what

    def holds(self, values):
        return values[self.low] * self.by <= values[self.high]

    def text(self):
        return self.what or f"*{self.low}* at least {self.by:g} times below *{self.high}*"


class Within:
    """Each of the figures lies between two bounds; None: there is no such bound."""

    def __init__(self, low, high, *names):
        self.low, self.high, self.names = low, high, names

    def holds(self, values):
        return all((self.low is None or values[n] >= self.low) and (self.high is None or values[n] <= self.high) for n in self.names)

    def text(self):
        what = "each" if len(self.names) > 1 else f"*{self.names[0]}*"
        if self.low is None or self.high is None:
            return f"{what} at {'most' if self.low is None else 'least'} {self.high if self.low is None else self.low:g}"
        return f"{what} from {self.low:g} to {self.high:g}"


def never(*names):
    """Does not happen: such counts are exact."""
    return Within(None, 0.05, *names)


def once(*names):
    """Happens once an iteration."""
    return Within(0.95, 1.05, *names)


class Claim:
    """place: the paper's section. evidence: name -> expression of figures.py. rule: what has to hold of them, all of it; none, where
    nothing that could be measured or counted with this project would say it. where: the heading of PAPER.md that has the tables.
    takes: what it takes to test it, where a figure is missing."""

    def __init__(self, place, text, evidence, rule, where, takes=""):
        self.place, self.text, self.evidence, self.rule, self.where, self.takes = place, text, evidence, rule, where, takes

    def figures(self, files):
        return {name: figures.find(files, expression) for name, expression in self.evidence.items()}

    def judge(self, values):
        """The verdict on name -> value; a value that is None was not to be had."""
        if not self.rule or any(values[name] is None for condition in self.rule for name in condition.names):
            return UNTESTABLE
        return REPRODUCED if all(condition.holds(values) for condition in self.rule) else CONTRADICTED

    def verdict(self, files):
        return self.judge({name: f.value for name, f in self.figures(files).items()})

    def runs_to_make(self, found):
        """What measures the figures that the rule wants and no file has."""
        wanted = dict.fromkeys(name for condition in self.rule for name in condition.names if found[name].value is None)
        return ", ".join(dict.fromkeys(f"`{figures.COMMAND_OF[figures.sort_behind(self.evidence[name])]}`" for name in wanted))

    def of_hardware(self):
        """Whether it is about hardware virtualization, so that its figures are exits, or times that take silicon."""
        return "VT-x or SVM" in self.takes or self.has("exits(") or self.has("silicon(")

    def by_exits(self):
        return self.has("exits(") and not self.has("silicon(")

    def has(self, sort):
        return any(sort in expression for expression in self.evidence.values())


SILICON = "a processor with VT-x or SVM, where `make bench` fills the column"
SHADOW_SILICON = "a processor with VT-x or SVM, and its kvm module with `ept=0` or `npt=0`"
BARE = "CPL 0 on the bare machine, which `make iso` makes the CD for"
VTX, VTX_NESTED, SVM, SVM_NESTED = "kvm_intel:ept=0", "kvm_intel:ept=1", "kvm_amd:npt=0", "kvm_amd:npt=1"
KERNELS = ("crc", "fib", "hash", "isprime", "memcpy", "sieve", "sort")
NO_EXIT = ("syscall", "callret", "divzero", "cr8wr")
NO_TRAP = ("in", "out", "cr8wr", "clisti", "cpuid", "wrmsr", "cr3wr", "invlpg", "rdtsc")
TRANSLATION, ADAPTIVE, QUALITATIVE = "3.2 Simple binary translation", "3.3 Adaptive binary translation", "5 Qualitative comparison"
MACRO, FORKWAIT, NANO, FIGURE5 = "6 Macrobenchmarks", "6 forkwait", "6 Nanobenchmarks", "6 Figure 5"


def on_both(bench):
    """Exits with shadow paging, of VT-x and of SVM."""
    return {"VT-x": f"exits({VTX}.{bench})", "SVM": f"exits({SVM}.{bench})"}


def nested(bench):
    """The same with shadow and with nested paging."""
    name = bench.split("/")[1]
    return {f"{name} (VT-x shadow)": f"exits({VTX}.{bench})", f"{name} (VT-x nested)": f"exits({VTX_NESTED}.{bench})",
            f"{name} (SVM shadow)": f"exits({SVM}.{bench})", f"{name} (SVM nested)": f"exits({SVM_NESTED}.{bench})"}


CLAIMS = [
    Claim("2.4 Tracing example", "Neither more traces nor fewer are best: trace faults, hidden faults and switches of address spaces trade off",
          {"forkwait, untraced": "measured(bt.process/forkwait)", "forkwait, traced": "measured(bt:mmu=trace.process/forkwait)",
           "load of cr3, untraced": "ablation(bt.nano/cr3wr)", "load of cr3, traced": "ablation(bt:mmu=trace.nano/cr3wr)"},
          [Less("forkwait, untraced", "forkwait, traced"), Less("load of cr3, traced", "load of cr3, untraced")],
          "Ways to run user code, and to keep mappings true"),
    Claim(TRANSLATION, "An interpreter spends hundreds of host instructions on one of the guest's; at four a cycle, more than 25 cycles",
          {name: f"measured(interp.micro/{name}) / counted(interp.micro/{name}.insns_kernel)" for name in KERNELS},
          [Within(25, None, *KERNELS)], "Compute-bound kernels"),
    Claim(TRANSLATION, "Most instructions are translated IDENT", {"IDENT": "counted(translate.ident)"}, [Within(0.5, None, "IDENT")],
          "What translating costs"),
    Claim(TRANSLATION, "Translation units are short, 3.8 instructions on average, and so rarely at their limit of 12 (how often is not counted here)",
          {"in the paper": "ref(facts.instructions of a unit.value)", "instructions": "counted(translate.insns)", "units": "counted(translate.units)",
           "to the paper's": "counted(translate.insns) / counted(translate.units) / ref(facts.instructions of a unit.value)"},
          [Within(0.67, 1.5, "to the paper's")], "What translating costs"),
    Claim(TRANSLATION, "Translating an instruction costs some two thousand cycles",
          {"in the paper": "ref(facts.translate one instruction.value)", "here": "measured(translate)",
           "to the paper's": "measured(translate) / ref(facts.translate one instruction.value)"},
          [Within(0.5, 2, "to the paper's")], "What translating costs"),
    Claim(TRANSLATION, "That is paid once: warm code runs from the translation cache, and nothing is translated any more",
          {name: f"counted(bt.micro/{name}.blocks)" for name in KERNELS}, [never(*KERNELS)], "What translating costs"),
    Claim(ADAPTIVE, "A callout beats a trap, and emulation in the translation cache beats a callout (`rdtsc`)",
          {"in-TC": "ablation(bt:emulate=in-tc.nano/rdtsc)", "callout": "ablation(bt:emulate=callout.nano/rdtsc)",
           "trap": "ablation(bt:emulate=trap.nano/rdtsc)"},
          [Less("in-TC", "callout"), Less("callout", "trap")], "Three ways to emulate an instruction"),
    Claim(ADAPTIVE, "Adaptation turns the faults of memory traces into callouts",
          {"traced writes of a boot": "counted(bt:mmu=trace.boot.traced_writes)", "instructions adapted": "counted(bt:mmu=trace.boot.adaptations)",
           "faults": "counted(bt:mmu=trace.boot.trap_memory)", "a traced write": "ablation(bt:mmu=trace.nano/ptemod)",
           "a trap": "ablation(bt:emulate=trap.nano/rdtsc)"},
          [Within(1, None, "instructions adapted"), Less("faults", "traced writes of a boot", 5), Less("a traced write", "a trap", 5)],
          "Adaptive binary translation"),
    Claim(QUALITATIVE, "Trap elimination: sensitive instructions of translated code take no trap",
          {name: f"counted(bt.nano/{name}.traps)" for name in NO_TRAP}, [never(*NO_TRAP)], "Events of one iteration"),
    Claim(QUALITATIVE, "Callout avoidance: what is emulated in the translation cache saves a callout",
          {"cr8wr": "ablation(bt.nano/cr8wr)", "cr8wr by callout": "ablation(bt:emulate=callout.nano/cr8wr)"},
          [Less("cr8wr", "cr8wr by callout", 2)], "What each technique is worth"),
    Claim(QUALITATIVE, "Code density: translated code is larger than the guest's, which hardware runs as it is",
          {"host bytes a guest byte": "counted(translate.growth)"}, [Within(1.1, None, "host bytes a guest byte")], "What translating costs"),
    Claim(QUALITATIVE, "System calls, calls, divide errors and writes of the task priority need no exit of the hardware VMM",
          {f"{name} ({cpu})": f"exits({engine}.nano/{name})" for cpu, engine in (("VT-x", VTX), ("SVM", SVM)) for name in NO_EXIT},
          [never(*(f"{name} ({cpu})" for cpu in ("VT-x", "SVM") for name in NO_EXIT))], "Exits, counted"),
    Claim(MACRO, "The software VMM runs compute-bound programs near native speed",
          {"of native speed": "share(bt.user)"}, [Within(0.9, 1.1, "of native speed")], "Direct execution"),
    Claim(MACRO, "The hardware VMM runs compute-bound programs near native speed",
          {name: f"silicon(any.user/{name}) / measured(native.user/{name})" for name in KERNELS}, [Within(0.9, 1.1, *KERNELS)],
          "Compute-bound kernels", SILICON),
    Claim(MACRO, "Apache on Linux, with its processes, loses more than half of its speed under both VMMs",
          {"software": "ref(asplos2006.macro/apache_linux_128.native) / ref(asplos2006.macro/apache_linux_128.software)",
           "hardware": "ref(asplos2006.macro/apache_linux_128.native) / ref(asplos2006.macro/apache_linux_128.hardware)",
           "serverN, bt, of another kernel": "measured(bt.macro/serverN) / measured(native.macro/serverN)"}, [], "Processes and servers",
          "a guest that runs Linux and Apache, and the same Linux natively; for `serverN`, which stands in for it, the native kernel is another one"),
    Claim(FORKWAIT, "forkwait takes several times as long under the software VMM as natively",
          {"in the paper": "ref(asplos2006.micro/forkwait.software) / ref(asplos2006.micro/forkwait.native)",
           "by the cost model": "predicted(asplos2006.micro/forkwait.software) / ref(asplos2006.micro/forkwait.native)",
           "bt, to a lower bound of native": "modelled(bt.bound/forkwait)"}, [], "forkwait",
          "Bantam on the bare machine (`make iso`): the native column is Linux, which does more for a fork; the bound leaves out what faults and system calls take natively"),
    Claim(FORKWAIT, "forkwait takes several times as long under the hardware VMM as under the software VMM",
          {"in the paper": "ref(asplos2006.micro/forkwait.hardware) / ref(asplos2006.micro/forkwait.software)",
           "bt": "measured(bt.process/forkwait)", "hardware": "silicon(shadow.process/forkwait)"}, [Less("bt", "hardware", 2)], "forkwait", SHADOW_SILICON),
    Claim(FORKWAIT, "Under the hardware VMM a forkwait exits again and again, for page faults and loads of cr3",
          {"VT-x": f"exits({VTX}.process/forkwait)", "of these, page faults": f"exits({VTX}.process/forkwait.hw_page_fault)",
           "loads of cr3": f"exits({VTX}.process/forkwait.hw_cr)", "SVM": f"exits({SVM}.process/forkwait)"},
          [Within(5, None, "VT-x", "SVM"), Within(2, None, "of these, page faults"), Within(1, None, "loads of cr3")], "Example: process creation"),
    Claim(NANO, "`syscall`: native cost with hardware, several times that with software",
          {"bt": "measured(bt.nano/syscall)", "hardware": "silicon(any.nano/syscall)", "native": "measured(native.nano/syscall)"},
          [Less("native", "bt", 2), Less("hardware", "bt", 2)], "Nanobenchmarks", f"{BARE}, and {SILICON}"),
    Claim(NANO, "`in`: the software VMM stays in its own code, the hardware VMM exits",
          dict(on_both("nano/in"), **{"callouts, bt": "counted(bt.nano/in.callouts)", "traps, bt": "counted(bt.nano/in.traps)"}),
          [once("VT-x", "SVM", "callouts, bt"), never("traps, bt")], "Exits, counted"),
    Claim(NANO, "`in` and `cr8wr`: software beats native, and native beats hardware",
          {"in, bt": "measured(bt.nano/in)", "in, native": "measured(native.nano/in)", "in, hardware": "silicon(any.nano/in)",
           "cr8wr, bt": "measured(bt.nano/cr8wr)", "cr8wr, native": "measured(native.nano/cr8wr)", "cr8wr, hardware": "silicon(any.nano/cr8wr)"},
          [Less("in, bt", "in, native"), Less("in, native", "in, hardware"), Less("cr8wr, bt", "cr8wr, native"),
           Less("cr8wr, native", "cr8wr, hardware")], "Nanobenchmarks", f"{BARE}, and {SILICON}"),
    Claim(NANO, "`callret`: a translated call and return costs more than a native one",
          {"bt": "measured(bt.nano/callret)", "native": "measured(native.nano/callret)", "bt, branches": "measured(bt.nano/callret_branchy)",
           "native, branches": "measured(native.nano/callret_branchy)"},
          [Less("native", "bt"), Less("native, branches", "bt, branches")], "Nanobenchmarks"),
    Claim(NANO, "`pgfault`: under the hardware VMM a true page fault exits, since the monitor has to see every fault",
          on_both("nano/pgfault"), [once("VT-x", "SVM")], "Exits, counted"),
    Claim(NANO, "`pgfault` and `divzero`: the software VMM is several times slower than native",
          {"pgfault, bt": "measured(bt.nano/pgfault)", "pgfault, native": "measured(native.nano/pgfault)",
           "divzero, bt": "measured(bt.nano/divzero)", "divzero, native": "measured(native.nano/divzero)"},
          [Less("pgfault, native", "pgfault, bt", 2), Less("divzero, native", "divzero, bt", 2)], "Nanobenchmarks", BARE),
    Claim(NANO, "`ptemod`: under the software VMM a write to a traced page table costs about a callout",
          {"traced": "ablation(bt:mmu=trace.nano/ptemod)", "untraced": "ablation(bt.nano/ptemod)",
           "to a callout (`in`)": "ablation(bt:mmu=trace.nano/ptemod) / ablation(bt.nano/in)"},
          [Less("untraced", "traced", 5), Within(0.33, 3, "to a callout (`in`)")], "What each technique is worth"),
    Claim(NANO, "`ptemod`: under a hardware VMM with shadow paging a write to a page table exits", on_both("nano/ptemod"), [once("VT-x", "SVM")], "Exits, counted"),
    Claim(FIGURE5, "Counts of events times their costs explain what a boot takes more than natively",
          {"explained": "modelled(bt.boot.explained)", "the whole boot": "measured(bt.boot)",
           "unexplained, part of the whole": "modelled(bt.boot.unexplained) / measured(bt.boot)"},
          [Within(-0.2, 0.2, "unexplained, part of the whole")], "A boot, event by event: Figure 5"),
    Claim(FIGURE5, "Translating is one of the large parts of a boot's overhead under the software VMM",
          {"translating": "measured(bt.boot.translate)", "part of what is explained": "measured(bt.boot.translate) / modelled(bt.boot.explained)"},
          [Within(0.2, None, "part of what is explained")], "A boot, event by event: Figure 5"),
    Claim(FIGURE5, "Port I/O and writes of page tables are nearly all of a boot's overhead under the hardware VMM",
          {"in/out": "ref(asplos2006-boot.in/out.hardware_seconds)", "ptemod": "ref(asplos2006-boot.ptemod.hardware_seconds)",
           "pgfault": "ref(asplos2006-boot.pgfault.hardware_seconds)"}, [], "A boot, event by event: Figure 5",
          "a boot timed on a processor with VT-x or SVM; the counts of Bantam's boot are there"),
    Claim("7.1 Faster micro-architectural implementations", "The hardware VMM's overhead shrinks with newer processors",
          {"round trip, Prescott": "ref(exit-costs.Prescott 3Q05/hardware round trip.cycles)",
           "Sandy Bridge": "ref(exit-costs.Sandy Bridge 1Q11/hardware round trip.cycles)",
           "forkwait, Pentium 4": "ref(asplos2006.micro/forkwait.hardware)", "forkwait, Core": "ref(asplos2006.micro/forkwait_core.hardware)",
           "forkwait, Core, by the cost model": "predicted(asplos2006.micro/forkwait_core.hardware)"}, [], "Faster micro-architectural implementations",
          "several processors with VT-x or SVM; what others have published since agrees"),
    Claim("7.2 Hardware VMM algorithmic changes", "A hardware VMM can do with fewer exits for page tables than by traces",
          dict(on_both("nano/ptemod"), **{"at the flush (VT-x)": f"exits({VTX}.nano/invlpg)", "at the flush (SVM)": f"exits({SVM}.nano/invlpg)"}),
          [never("VT-x", "SVM"), once("at the flush (VT-x)", "at the flush (SVM)")], "Exits, counted"),
    Claim("7.3 A hybrid VMM", "A monitor that chooses between both techniques by what the guest does can beat either",
          {"a hybrid that switches for nothing, Windows boot, to the software VMM": "model(p4-672.hybrid.windows-boot) / model(p4-672.bt.windows-boot)",
           "to the hardware VMM": "model(p4-672.hybrid.windows-boot) / model(p4-672.hw-shadow.windows-boot)"}, [], "A hybrid VMM",
          "a monitor that translates and enters guest mode, on silicon; Ringside moves a guest between its engines, but not by what the guest does"),
    Claim("7.4 Hardware MMU support", "A hardware MMU that walks the guest's tables takes the exits of shadow paging away",
          dict(nested("process/forkwait"), **nested("nano/pgfault"), **nested("nano/cr3wr")),
          [Less(f"{name} ({cpu} nested)", f"{name} ({cpu} shadow)", 10, "each with nested paging at least 10 times below the same with shadow paging")
           for name in ("forkwait", "pgfault", "cr3wr") for cpu in ("VT-x", "SVM")],
          "Exits, counted"),
]


# ---- In words ----

def evidence_text(found):
    """`in-TC 24.1 cycles; callout 38.7 cycles (measured)`: names with the same text together, kinds where they change."""
    groups = {}
    for name, figure in found.items():
        if figure.value is not None:
            groups.setdefault((figure.text(), figure.kind), []).append(name)
    by_kind = {}
    for (text, kind), names in groups.items():
        by_kind.setdefault(kind, []).append(f"{', '.join(names)}: {text}")
    return ". ".join(f"**{kind}**: " + "; ".join(parts) for kind, parts in by_kind.items())


def rule_text(rule):
    return "; ".join(dict.fromkeys(condition.text() for condition in rule))


def slug(heading):
    """The anchor that GitHub gives a heading."""
    return "".join(c for c in heading.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def row(claim, files):
    found = claim.figures(files)
    verdict = claim.judge({name: f.value for name, f in found.items()})
    why = [evidence_text(found)] if found and evidence_text(found) else []
    if verdict == UNTESTABLE:
        why.append(f"It takes {claim.takes or claim.runs_to_make(found)}")
    elif claim.rule:
        why.append(f"Rule: {rule_text(claim.rule)}")
    return [claim.place, claim.text, f"**{verdict}**", ". ".join(why) + ".", f"[{claim.where}](#{slug(claim.where)})"]


def count(files, verdict):
    """How many claims have the verdict; `all`: how many there are; `of hardware`, and of these `judged by exits`, without silicon."""
    if verdict == "all":
        return len(CLAIMS)
    if verdict == "of hardware":
        return sum(claim.of_hardware() for claim in CLAIMS)
    if verdict == "judged by exits":
        return sum(claim.by_exits() and claim.verdict(files) != UNTESTABLE for claim in CLAIMS)
    return sum(claim.verdict(files) == verdict for claim in CLAIMS)


def block(files):
    """The table of all claims, with a line that sums it up, and what did not come out as the paper says."""
    numbers = [f"{count(files, verdict)} {verdict}" for verdict in (REPRODUCED, CONTRADICTED, UNTESTABLE)]
    against = [f"- {CONTRADICTED}: {c.text}." for c in CLAIMS if c.verdict(files) == CONTRADICTED]
    head = ["in the paper", "what it says", "verdict", "evidence", "tables"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return [f"{len(CLAIMS)} claims: {', '.join(numbers)}.", ""] + against + [""] + lines + ["| " + " | ".join(row(c, files)) + " |" for c in CLAIMS]


def main(args):
    if any(a.startswith("-") for a in args):
        print("usage: scripts/claims.py [RESULTS...]", file=sys.stderr)
        return 2
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    paths = [os.path.abspath(path) for path in args]
    os.chdir(root)  # where the page's own paths start
    with open("PAPER.md", encoding="utf-8") as file:
        text = file.read()
    print("\n".join(block(figures.files_given(paths, text) if paths else figures.files_of(text))))
    return 0


if __name__ == "__main__":
    entry.run(main, __doc__)
