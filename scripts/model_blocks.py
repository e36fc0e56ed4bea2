# SPDX-License-Identifier: BSD-2-Clause
"""Tables about the cost model for PAPER.md, out of `ringside model` (scripts/model.py) and what was counted here."""
import statistics

import exits
import fork_counts
import model
import results
import table

PAPER_CPU, CORE = "p4-672", "core2-duo"
SOFTWARE, HARDWARE = "bt", "hw-shadow"


# ---- Numbers in words ----

def number(value):
    """Three digits, or a whole number."""
    if value is None:
        return "n/a"
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def error(value):
    return "" if value is None else f"{value:+.1%}"


def ratio(predicted, figure):
    return predicted / figure - 1


# ---- Validation ----

def predictions_table(rows):
    shown = [[row["meaning"], row["policy"], row["profile"], number(row["figure"]), number(row["predicted"]), error(row["error"])]
             for row in rows if row["kind"] == "prediction"]
    return table.markdown(["predicted", "monitor", "processor", "published", "modelled", "error"], shown)


def score(rows):
    errors = [abs(row["error"]) for row in rows if row["kind"] == "prediction" and row["error"] is not None]
    near, middle = sum(e <= 0.25 for e in errors), statistics.median(errors)
    return [f"{len(errors)} predictions of figures other than 0: {near} within 25 %, median error {middle:.1%}, largest {max(errors):.1%}."]


def set_table(rows):
    shown = [[row["meaning"], row["policy"], row["profile"], number(row["figure"]), number(row["predicted"]), f"`{row['by']}`"]
             for row in rows if row["kind"] == "set"]
    return table.markdown(["used to set a parameter or a count", "monitor", "processor", "published", "modelled", "where"], shown)


def validation(_files):
    rows = model.validation()
    return predictions_table(rows) + [""] + score(rows) + ["", "Not predictions, as each of these set something:", ""] + set_table(rows)


# ---- Nanobenchmarks: what a price is made of ----

NANO = ["syscall", "io", "cr8wr", "callret", "pgfault", "divzero", "ptemod", "hidden", "cr3wr"]
# part of an exit's price -> primitives that it is the share of
PARTS = [("transitions", ["round_trip"]), ("VMCB", ["vmcb_read", "vmcb_write"]),
         ("restart", ["restart_pgfault", "restart_ptemod", "restart_hidden", "restart_io", "restart_space"]),
         ("native part", ["fault_native", "exception_native", "pte_native", "syscall_native", "cr8wr_native", "callret_native"])]


def shares(cpu, policy):
    """event -> (price, part -> cycles): what a price loses when primitives cost nothing."""
    whole = model.prices(cpu, [policy])[policy]
    found = {event: {} for event in NANO}
    for part, primitives in PARTS:
        without = model.prices(cpu, [policy], dict.fromkeys(primitives, 0))[policy]
        for event in NANO:
            found[event][part] = whole[event] - without[event]
    return {event: (whole[event], found[event]) for event in NANO}


def nano_rows(cpu):
    soft, hard = model.prices(cpu, [SOFTWARE])[SOFTWARE], shares(cpu, HARDWARE)
    native = model.prices(cpu, ["native"])["native"]
    rows = []
    for event in NANO:
        whole, parts = hard[event]
        rest = whole - sum(parts.values())
        rows.append([event, number(native[event]), number(soft[event]), number(whole)] +
                    [number(parts[part]) if abs(parts[part]) >= 0.5 else "" for part, _ in PARTS] + [number(rest) if abs(rest) >= 0.5 else ""])
    return rows


def nano(_files):
    head = ["event, cycles", "native", "software monitor", "hardware monitor", "of that: transitions", "VMCB", "cold restart", "native part", "the monitor's own work"]
    return ["On the Pentium 4:", ""] + table.markdown(head, nano_rows(PAPER_CPU)) + ["", "On the Core:", ""] + table.markdown(head, nano_rows(CORE))


# ---- Figure 5 ----

def figure5(_files):
    counted = model.counts(model.mix("windows-boot", PAPER_CPU, ["native"])["native"])
    events = {"in/out": "io"}
    found = {}
    for row in model.validation():
        if row["bench"] == "mix/windows-boot":
            name = row["name"].removeprefix("asplos2006-boot.").rsplit(".", 1)[0]
            found.setdefault(name, {})[row["policy"]] = row
    rows = []
    for name, by in found.items():
        cells = [name, f"{counted[events.get(name, name)]:,.0f}"]
        for policy in (SOFTWARE, HARDWARE):
            row = by[policy]
            cells += [f"{row['figure']:+.2f}", "set" if row["kind"] == "set" else f"{row['predicted']:+.3f}"]
        rows.append(cells)
    return table.markdown(["event", "times, out of the longer bar", "P4 software VMM, s", "modelled, s", "P4 hardware VMM, s", "modelled, s"], rows)


# ---- forkwait ----

def seconds(mix_row, native_row, native_seconds, clock, pairs):
    return native_seconds + (mix_row["cycles"] - native_row["cycles"]) * pairs / (clock * 1e6)


class Forkwait:
    """40,000 forkwaits in seconds, by the model."""

    def __init__(self):
        self.published = model.figures()
        self.pairs = self.published["facts.forkwait pairs.value"]
        self.clock = {PAPER_CPU: self.published["facts.p4 clock MHz.value"], CORE: self.published["facts.core clock MHz.value"]}

    def figure(self, cpu, column):
        return self.published[f"asplos2006.micro/forkwait{'_core' if cpu == CORE else ''}.{column}"]

    def seconds(self, mix, cpu, policy, changes=None):
        rows = model.mix(mix, cpu, [policy, "native"], changes)
        return seconds(rows[policy], rows["native"], self.figure(cpu, "native"), self.clock[cpu], self.pairs)

    def soft(self, benchmark):
        """Core's share of the Pentium 4's cycles, by how long a benchmark takes natively."""
        core, old = self.published[f"asplos2006.{benchmark}_core.native"], self.published[f"asplos2006.{benchmark}.native"]
        return core * self.clock[CORE] / (old * self.clock[PAPER_CPU])


def cell(value, figure):
    return f"{number(value)} ({ratio(value, figure):+.0%})"


def forkwait_row(f, mix, words, changes=None):
    hard_clock = [(PAPER_CPU, SOFTWARE, None), (CORE, SOFTWARE, changes), (CORE, HARDWARE, changes)]
    names = {SOFTWARE: "software", HARDWARE: "hardware"}
    count = model.counts(model.mix(mix, PAPER_CPU, ["native"])["native"])
    cells = [cell(f.seconds(mix, cpu, policy, change), f.figure(cpu, names[policy])) for cpu, policy, change in hard_clock]
    return [words, number(count.get("ptemod", 0)), number(count.get("pgfault", 0)), number(count["hidden"])] + cells


def shares_table(f):
    """Hardware's time over software's: what needs no absolute figure."""
    rows = []
    for cpu in (PAPER_CPU, CORE):
        published = f.figure(cpu, "hardware") / f.figure(cpu, "software")
        said = f.seconds("forkwait", cpu, HARDWARE) / f.seconds("forkwait", cpu, SOFTWARE)
        rows.append([f"forkwait, {cpu}", f"{published:.2f}", f"{said:.2f}", error(ratio(said, published))])
    return table.markdown(["hardware VMM's time over software VMM's", "published", "modelled", "error"], rows)


def sensitivity(f):
    soft = f.soft("micro/forkwait")
    rows = [forkwait_row(f, "forkwait", "**the model**: " + fork_counts.MIXES["forkwait"][2])]
    rows += [forkwait_row(f, mix, words) for mix, (_, _, words) in fork_counts.MIXES.items() if mix != "forkwait"]
    rows.append(forkwait_row(f, "forkwait", "the model, but a cold restart shrinks no more than other software", {"cold": soft}))
    merom = f.published["exit-costs.Merom 2Q06/hardware round trip.cycles"]
    rows.append(forkwait_row(f, "forkwait", "the model, but the round trip of the processor as it was sold (Merom)", {"round_trip": merom}))
    rows.append(forkwait_row(f, "forkwait", "likewise, and a cold restart shrinks no more than other software", {"round_trip": merom, "cold": soft}))
    rows.append(forkwait_row(f, "forkwait", "the model, but software scales as the kernel compile does", {"soft": f.soft("macro/compile_linux")}))
    published = ["*published*", "", "", ""] + [number(f.figure(c, k)) for c, k in ((PAPER_CPU, "software"), (CORE, "software"), (CORE, "hardware"))]
    head = ["one forkwait has", "traced writes", "true faults", "hidden faults, solved", "P4 software VMM, s", "Core software VMM, s", "Core hardware VMM, s"]
    return table.markdown(head, rows + [published])


def terms(cpu):
    """A row an event: count, and what it costs beyond native, for 40,000 in seconds, under both monitors."""
    f = Forkwait()
    rows = model.mix("forkwait", cpu, [SOFTWARE, HARDWARE, "native"])
    parts = {policy: {part["event"]: part for part in row["parts"]} for policy, row in rows.items()}
    out = []
    for event, part in sorted(parts[HARDWARE].items(), key=lambda p: -p[1]["cycles"]):
        cells = [event, number(part["count"])]
        for policy in (SOFTWARE, HARDWARE):
            beyond = parts[policy][event]["cycles"] - parts["native"].get(event, {"cycles": 0})["cycles"]
            cells += [number(parts[policy][event]["cost"]), f"{beyond * f.pairs / f.clock[cpu] / 1e6:+.2f}"]
        out.append(cells)
    return table.markdown(["event", "times", "software VMM, cycles each", "s over native", "hardware VMM, cycles each", "s over native"], out)


def forkwait(path):
    f = Forkwait()
    return (["What Linux does at a forkwait (counted):", ""] + fork_counts.counts_table(path) +
            ["", "One forkwait on the Pentium 4, event by event:", ""] + terms(PAPER_CPU) + ["", "and on the Core:", ""] + terms(CORE) +
            ["", "One against the other:", ""] + shares_table(f) +
            ["", "How far this rests on what is not known (modelled, error against published in parentheses):", ""] + sensitivity(f))


# ---- Exits: predicted, and counted on emulated silicon ----

EXIT_POLICIES = [("hw-shadow-unsync", ["kvm_amd:npt=0", "kvm_intel:ept=0"]), ("hw-nested", ["kvm_amd:npt=1", "kvm_intel:ept=1"])]


def exits_table(files):
    """A row where a prediction does not hold; and how many do. Only nano: exits of processes go by the guest's clock as well."""
    path, run = files.paths["exits-nano"], files.run("exits")
    said = model.ask("--cpu=exits", "--only=nano", *(f"--policy={p}" for p, _ in EXIT_POLICIES), files.paths["nano"], path)["rows"]
    predicted = {(row["bench"].split("/")[1], row["policy"]): row["cycles"] for row in said}
    total, wrong = 0, []
    for policy, engines in EXIT_POLICIES:
        for engine in engines:
            for _, bench in run.benches("nano"):
                reasons, expected = exits.own(run, "nano", bench, engine), predicted.get((bench, policy))
                if not reasons or expected is None:
                    continue
                total += 1
                found = sum(values[0] for values in reasons.values())
                if abs(found - expected) >= exits.NEARLY:
                    wrong.append([bench, policy, engine, number(expected), number(found)])
    lines = [f"{total - len(wrong)} of {total} counts of exits are as the model says; the others:", ""]
    return lines + table.markdown(["nano benchmark", "monitor", "counted on", "modelled", "counted"], wrong)


# ---- The machine at hand ----

def here(files):
    """This project's translator: each event counted, times its nanobenchmark."""
    said = model.ask("--cpu=this-host", "--policy=ringside-bt", "--only=" + ",".join(results.PROCESS), files.paths["nano"],
                     files.paths["process"], model.COUNTS)["rows"]
    rows = []
    for row in said:
        measured = row["measured"]["figure"] if row["measured"] else None
        largest = sorted(row["parts"], key=lambda part: -(part["cycles"] or 0))[:3]
        what = ", ".join(f"{part['count']:,.4g} {part['event']}" for part in largest)
        if measured and row["cycles"] is not None:
            rows.append([row["bench"].split("/")[1], what, number(row["cycles"]), number(measured), error(ratio(row["cycles"], measured))])
    rows.sort(key=lambda cells: results.PROCESS.index(cells[0]))
    return table.markdown(["benchmark", "most of it", "modelled, cycles", "measured, cycles", "error"], rows)


# ---- Processors ----

PROCESSORS = [PAPER_CPU, CORE, "merom", "penryn", "nehalem", "westmere", "sandy-bridge"]
MONITORS = [SOFTWARE, HARDWARE, "hw-shadow-clustered", "hw-shadow-unsync", "hw-nested", "paravirtual", "hybrid"]


def times_native(f, cpu, policies=None):
    """policy -> forkwait's time as a multiple of native, None where the processor cannot. Native: published of the paper's two; of later
    processors as many cycles as on the Core."""
    rows = model.mix("forkwait", cpu, (policies or MONITORS) + ["native"])
    whose = PAPER_CPU if cpu == PAPER_CPU else CORE
    native = f.figure(whose, "native") * f.clock[whose] * 1e6 / f.pairs
    return {p: 1 + (row["cycles"] - rows["native"]["cycles"]) / native if row["cycles"] is not None else None
            for p, row in rows.items() if p != "native"}


def processors(_files):
    f, rows = Forkwait(), []
    for cpu in PROCESSORS:
        trip = model.prices(cpu, [HARDWARE])[HARDWARE]["cr3wr"]
        found = times_native(f, cpu)
        rows.append([cpu, number(trip)] + [number(found[p]) for p in MONITORS])
    return table.markdown(["forkwait, times native", "a write of cr3 under hw-shadow, cycles"] + MONITORS, rows)


# ---- The guest Unix on other machines ----

BANTAM = [(PAPER_CPU, [SOFTWARE, HARDWARE]), ("sandy-bridge", [SOFTWARE, HARDWARE, "hw-shadow-unsync", "hw-nested"])]


def bantam(files):
    """This project's own process benchmarks, all of whose events are counted, under the paper's monitors and later ones."""
    names = results.PROCESS + ["server1", "serverN"]
    found = {}
    for cpu, policies in BANTAM:
        said = model.ask(f"--cpu={cpu}", "--only=" + ",".join(names), *(f"--policy={p}" for p in policies + ["native"]), model.COUNTS,
                         files.paths["exits-nano"])["rows"]
        found.update({(row["bench"].split("/")[1], cpu, row["policy"]): row["cycles"] for row in said})
    columns = [(cpu, policy) for cpu, policies in BANTAM for policy in ["native"] + policies]
    rows = [[name] + [number(found[name, cpu, policy]) for cpu, policy in columns] for name in names]
    return table.markdown(["benchmark, cycles"] + [f"{cpu}, {policy}" for cpu, policy in columns], rows)


# ---- For paper.py ----

def whatif_picture(name, alt):
    return lambda _files: [f"![{alt}](results/whatif-{name}.png)"]


def break_even(_files):
    import whatif  # which draws with this module's help
    return whatif.break_even_table()


# Given the Files of all pages.
FREE_BLOCKS = {
    "model-validation": validation, "model-nano": nano, "model-figure5": figure5, "model-exits": exits_table, "model-here": here,
    "model-processors": processors, "model-bantam": bantam, "model-break-even": break_even,
    "whatif-exits": whatif_picture("exits", "How many page-table writes hardware can bear, by what an exit costs"),
    "whatif-forks": whatif_picture("forks", "System calls or processes: where software and where hardware wins"),
    "whatif-nested": whatif_picture("nested", "Nested paging against shadow page tables and translation"),
    "whatif-processors": whatif_picture("processors", "forkwait from processor to processor"),
}
FORK_BLOCKS = {"model-forkwait": forkwait}  # of a file of fork_counts.py
