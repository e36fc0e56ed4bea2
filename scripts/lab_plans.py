# SPDX-License-Identifier: BSD-2-Clause
"""The five labs of docs/labs: what each measures, what it asks a student to predict, and what is to come of it. The
expectations are shapes: counts of an iteration, orderings, ratios within wide bands; docs/labs/teachers.md says why each."""
import statistics

import exits
import figure5
import lab_judge as judge
import process
import results
import table

INTERP, BT = "interp", "bt"
TRANSLATED, DIRECT = "bt:user=translated", "bt:user=direct"
TRACED, TRACED_USER = "bt:mmu=trace", "bt:user=translated:mmu=trace"
NO_ADAPT = "bt:mmu=trace:no-adapt"
KERNELS = ["crc", "fib", "hash", "isprime", "memcpy", "sieve", "sort"]


class Lab:
    """benches: [(engines, images)] for `ringside bench`. wholes: [(engines, images, command line)] for whole runs.
    boots: scripts/boot.py, too. exits: it looks at the recorded exits of hardware modules. predictions: key -> what is asked.
    questions: how many the hand-out has."""

    def __init__(self, number, name, title, benches, predictions, questions, expectations, wholes=(), boots=False, exits=False):
        self.number, self.name, self.title, self.benches = number, name, title, benches
        self.predictions, self.questions, self.expectations = predictions, questions, expectations
        self.wholes, self.boots, self.exits = list(wholes), boots, exits

    def hand_out(self):
        return f"docs/labs/{self.number}-{self.name}.md"


# ---- 1: the interpreter and its cost ----

LADDER = ["cr8wr", "in", "syscall", "divzero", "asswitch"]
INTERP_SPREAD, NATIVE_SPREAD = 3.5, 1.5


def retires(bench):
    wanted = table.EXPECTED[bench]["retired"]
    return judge.counted("nano", bench, INTERP, judge.RETIRED, wanted)


def instruction_prices(evidence, engine):
    """Cycles that an instruction of each kernel takes, as intervals; and that as text."""
    prices, seen = [], []
    for kernel in KERNELS:
        retired = evidence.rate("micro", kernel, INTERP, judge.RETIRED)
        figure = evidence.figure("micro", kernel, engine)
        prices.append(tuple(end / retired for end in figure.interval))
        seen.append(f"{kernel} {figure.median / retired:.2f}")
    return prices, f"{engine}, cycles an instruction: " + ", ".join(seen)


def one_price(evidence):
    prices, seen = instruction_prices(evidence, INTERP)
    least, most = judge.spread(prices)
    if least <= INTERP_SPREAD < most:
        raise judge.Unseen(judge.MORE_RUNS)
    return most <= INTERP_SPREAD, seen


def no_one_price(evidence):
    prices, seen = instruction_prices(evidence, "native")
    least, most = judge.spread(prices)
    if least < NATIVE_SPREAD <= most:
        raise judge.Unseen(judge.MORE_RUNS)
    return least >= NATIVE_SPREAD, seen


def least_slowed(evidence):
    """The kernel that loses least; where a few are too close to tell, the prediction is right if it is among them."""
    found = {k: judge.quotient(evidence.figure("micro", k, INTERP), evidence.figure("micro", k, "native")) for k in KERNELS}
    best = min(high for _, _, high in found.values())
    candidates = [k for k, (low, _, _) in found.items() if low <= best]
    if len(candidates) > len(found) // 2:
        raise judge.Unseen(judge.MORE_RUNS)
    guess = evidence.predicted("slowdown.least")
    return guess if guess in candidates else candidates[0], "times native: " + ", ".join(f"{k} {v[1]:.1f}" for k, v in found.items())


def sort_by_fib(evidence):
    sort, fib = (evidence.figure("micro", k, INTERP) for k in ("sort", "fib"))
    return judge.quotient(sort, fib), f"interp: {judge.figure_text('sort', sort)}, {judge.figure_text('fib', fib)}"


def interpreter():
    own = {"count.instructions": judge.RETIRED, "count.returns": "returns", "count.exceptions": "exceptions",
           "count.exits": "exit_pio"}
    expectations = [retires(bench) for bench in LADDER + ["callret"]]
    expectations += [judge.counted("nano", "in", INTERP, "exit_pio", 1), judge.counted("nano", "callret", INTERP, "exits", 0),
                     judge.ordered(f"costs on interp: {' < '.join(LADDER)}", [(b, "nano", b, INTERP) for b in LADDER]),
                     judge.Expectation(f"interp: an instruction of any kernel costs about the same, within {INTERP_SPREAD} times", one_price, timed=True),
                     judge.Expectation(f"native: it does not, one is at least {NATIVE_SPREAD} times another", no_one_price, timed=True)]
    expectations += [judge.predicted_count(key, f"{event} in one iteration of your image",
                                           judge.rate_of("lab", "count", INTERP, event)) for key, event in own.items()]
    expectations += [judge.predicted_order("order", "costs on interp, the cheapest first", {b: ("nano", b, INTERP) for b in LADDER}),
                     judge.predicted_word("slowdown.least", "the kernel that interp slows down least", least_slowed),
                     judge.predicted_within("sort_by_fib", "cost of sort by that of fib on interp", 1.5, sort_by_fib)]
    predictions = {
        "count.instructions": "guest instructions that one iteration of your image lab/count retires, the loop's share included",
        "count.returns": "near returns that one iteration executes", "count.exceptions": "exceptions that one iteration raises",
        "count.exits": "exits for port I/O that one iteration takes",
        "order": f"these, from the cheapest to the dearest on interp, as `a < b < c ...`: {', '.join(sorted(LADDER))}",
        "slowdown.least": f"the kernel that interp slows down least against native: one of {', '.join(KERNELS)}",
        "sort_by_fib": "the cost of sort divided by that of fib on interp, worked out from instruction counts alone"}
    benches = [(["native", INTERP], [f"nano/{b}" for b in LADDER + ["callret"]] + [f"micro/{k}" for k in KERNELS] + ["lab/count"])]
    return Lab(1, "interpreter", "The interpreter and its cost", benches, predictions, 5, expectations)


# ---- 2: exits, counted ----

# Exits of one iteration: with shadow paging, with nested paging (PAPER.md, "Hardware virtualization, counted").
EXITS = {"syscall": (0, 0), "callret": (0, 0), "divzero": (0, 0), "cr8wr": (0, 0), "in": (1, 1), "cpuid": (1, 1), "pgfault": (1, 0),
         "ptemod": (0, 0), "cr3wr": (1, 0), "invlpg": (1, 0)}
PAGINGS = {"shadow": False, "nested": True}
ASKED = ["syscall", "in", "cr8wr", "cpuid", "pgfault", "ptemod", "cr3wr", "invlpg"]


def back_end(evidence):
    """(name of what stands behind /dev/kvm, with a word where it is software)."""
    record = evidence.engine("vtx")
    kind = "hardware" if record.get("hardware") else "SOFTWARE, no VT-x or SVM: its counts are of this program's interface only"
    return f"back end {record['backend']}, {record['paging']}: {kind}"


def own_exits(bench, event, wanted):
    """What this machine's own /dev/kvm hands to the monitor, of any back end."""
    def look(evidence):
        value, name = evidence.rate("nano", bench, "vtx", event), back_end(evidence)
        return judge.near(value, wanted), f"vtx: {event} {judge.number_text(value)}; {name}"
    return judge.Expectation(f"{bench}: {judge.number_text(wanted)} {event} an iteration reach the monitor, on this machine's own /dev/kvm", look)


def add_up(evidence):
    wrong = [text for run in evidence.exit_runs for text in exits.mismatches(run)]
    samples = sum(len(run.samples) for run in evidence.exit_runs)
    if not samples:
        raise judge.Unseen("no exits in these results")
    return not wrong, wrong[0] if wrong else f"{results.count_text(samples, 'sample')}, hw_exits against its parts and against kvm_exits"


def agree(evidence):
    """Two vendors' modules, and two emulators, count the same: it is the architecture."""
    different, looked = [], 0
    for bench in EXITS:
        for nested in PAGINGS.values():
            values = judge.exit_values(evidence, bench, nested)
            if len(values) > 1:
                looked += 1
                if max(values.values()) - min(values.values()) > judge.TOLERANCE:
                    different.append(judge.exits_seen(values, bench))
    if not looked:
        raise judge.Unseen("one back end only: there is nothing to compare")
    return not different, different[0] if different else f"{looked} pairs of counts are alike"


def address_spaces(evidence):
    """Every load of cr3 that the interpreter counts is an exit with shadow paging."""
    loads = evidence.rate("process", "forkwait", INTERP, "tlb_flushes")
    values = judge.exit_values(evidence, "forkwait", False, "hw_cr")
    return all(judge.near(v, loads, 0.2) for v in values.values()), \
        f"interp: tlb_flushes {judge.number_text(loads)}; {judge.exits_seen(values, 'hw_cr')}"


def forkwait_nested(evidence):
    shadow, nested = (judge.exit_values(evidence, "forkwait", n) for n in (False, True))
    return max(nested.values()) < min(shadow.values()) / 10, judge.exits_seen({**shadow, **nested})


def exits_of(bench, nested, event=None, suite=None):
    def measure(evidence):
        values = judge.exit_values(evidence, bench, nested, event, suite)
        return statistics.mean(values.values()), judge.exits_seen(values, event or "exits")
    return measure


def counting_exits():
    expectations = [judge.Expectation("the reasons of all exits add up to KVM's own statistic", add_up)]
    expectations += [judge.exit_count(bench, nested, EXITS[bench][nested]) for bench in EXITS for nested in PAGINGS.values()]
    expectations += [judge.Expectation("kvm_intel and kvm_amd agree, row by row", agree),
                     judge.Expectation("forkwait: with shadow paging each load of cr3 is an exit", address_spaces),
                     judge.Expectation("forkwait: nested paging takes nine in ten exits away", forkwait_nested),
                     own_exits("in", "exit_pio", 1), own_exits("cpuid", "exits", 0)]
    predictions = {f"{word}.{bench}": f"exits of one {bench} with {word} paging" for bench in ASKED for word in PAGINGS}
    expectations += [judge.predicted_count(f"{word}.{bench}", f"exits of one {bench} with {word} paging", exits_of(bench, nested))
                     for bench in ASKED for word, nested in PAGINGS.items()]
    predictions["shadow.forkwait.cr"] = "exits of one forkwait for control registers with shadow paging, worked out from counters of interp"
    expectations.append(judge.predicted_count("shadow.forkwait.cr", "control-register exits of one forkwait with shadow paging",
                                              exits_of("forkwait", False, "hw_cr"), 0.2))
    predictions["exits.pio"] = "exits for port I/O that one iteration of your image lab/exits takes on any engine"
    expectations.append(judge.predicted_count("exits.pio", "exits for port I/O of your image", judge.rate_of("lab", "exits", INTERP, "exit_pio")))
    for word, nested in PAGINGS.items():
        predictions[f"exits.{word}"] = f"all exits that it takes with {word} paging (seen where scripts/exits.py has run it)"
        expectations.append(judge.predicted_count(f"exits.{word}", f"all exits of your image with {word} paging",
                                                  exits_of("exits", nested, suite="lab")))
    benches = [([INTERP, "vtx"], [f"nano/{b}" for b in EXITS] + ["lab/exits"]), ([INTERP], ["micro/forkwait"])]
    return Lab(2, "exits", "Counting exits through KVM", benches, predictions, 5, expectations, exits=True)


# ---- 3: shadow paging ----

STORMS = ["cowstorm", "mmapstorm", "forkwait"]
SHADOWS = [INTERP, TRANSLATED, DIRECT, TRACED_USER]


def guests_own(bench):
    """KVM finds as many faults to be the guest's own as the interpreter delivers."""
    def look(evidence):
        faults = evidence.rate("process", bench, INTERP, "true_faults")
        values = judge.exit_values(evidence, bench, False, "kvm_pf_guest")
        return all(judge.near(v, faults, 0.1) for v in values.values()), \
            f"interp: true_faults {judge.number_text(faults)}; {judge.exits_seen(values, 'kvm_pf_guest')}"
    return judge.Expectation(f"{bench}: KVM with shadow paging finds as many faults to be the guest's own", look)


def hardware_hides(bench):
    """With shadow paging every fault is an exit, hidden ones besides; with nested paging none is."""
    def look(evidence):
        true = judge.exit_values(evidence, bench, False, "kvm_pf_guest")
        shadow, nested = (judge.exit_values(evidence, bench, n, "hw_page_fault") for n in (False, True))
        holds = all(shadow[name] >= true[name] - 0.1 for name in shadow) and all(abs(v) < 0.1 for v in nested.values())
        return holds, judge.exits_seen({**shadow, **nested}, "hw_page_fault")
    return judge.Expectation(f"{bench}: a fault is an exit with shadow paging, and none with nested", look)


def shadow_paging():
    expectations = []
    for bench in STORMS:
        expectations += [judge.alike(f"{bench}: true faults are the guest's own, the same on every engine", "process", bench, SHADOWS, "true_faults"),
                         judge.counted("process", bench, TRANSLATED, "hidden_faults", 0, 0.1),
                         judge.at_least("process", bench, DIRECT, "hidden_faults", 0.9),
                         judge.counted("process", bench, TRANSLATED, "traced_writes", 0),
                         judge.at_least("process", bench, TRACED_USER, "traced_writes", 1)]
    expectations += [judge.counted("nano", "pgfault", BT, "true_faults", 1), judge.counted("nano", "pgfault", BT, "hidden_faults", 0),
                     judge.counted("nano", "pgfault", BT, "trap_memory", 1), judge.counted("nano", "ptemod", BT, "traced_writes", 0),
                     judge.counted("nano", "ptemod", TRACED, "traced_writes", 1)]
    expectations += [look(bench) for bench in STORMS for look in (guests_own, hardware_hides)]
    expectations.append(judge.ordered("cowstorm: hidden faults in a host process cost more than lookups in software", [
        ("translated", "process", "cowstorm", TRANSLATED), ("direct", "process", "cowstorm", DIRECT)]))
    own = {"faults.hidden": (BT, "hidden_faults"), "faults.true": (BT, "true_faults"), "faults.traced": (TRACED, "traced_writes"),
           "faults.tlb": (INTERP, "tlb_misses")}
    predictions = {"faults.hidden": "hidden faults of one iteration of your image lab/faults on bt", "faults.true": "true faults of it",
                   "faults.traced": "traced writes of it on bt:mmu=trace", "faults.tlb": "misses of the software TLB of it on interp",
                   "mmapstorm.true": "true faults of one iteration of mmapstorm (one page), on any engine",
                   "mmapstorm.hidden.direct": "hidden faults of it where user code runs directly (bt:user=direct)",
                   "mmapstorm.hidden.translated": "hidden faults of it where user code is translated (bt:user=translated)"}
    expectations += [judge.predicted_count(key, f"{event} of your image on {engine}", judge.rate_of("lab", "faults", engine, event), 0.1)
                     for key, (engine, event) in own.items()]
    expectations += [judge.predicted_count(key, f"{event} of mmapstorm on {engine}", judge.rate_of("process", "mmapstorm", engine, event), 0.1)
                     for key, engine, event in (("mmapstorm.true", INTERP, "true_faults"), ("mmapstorm.hidden.direct", DIRECT, "hidden_faults"),
                                                ("mmapstorm.hidden.translated", TRANSLATED, "hidden_faults"))]
    benches = [(SHADOWS, [f"micro/{b}" for b in STORMS]), ([INTERP, BT, TRACED], ["nano/pgfault", "nano/pguser", "nano/ptemod", "lab/faults"])]
    return Lab(3, "shadow-paging", "Shadow paging, hidden and true faults", benches, predictions, 5, expectations, exits=True)


# ---- 4: adaptation ----

COPIES = 16  # of the subject in a nano benchmark's loop: each is an instruction of its own, to be found guilty
WHOLE_WORDS = "reps=2 n=64"


def whole_count(image, engine, event):
    def measure(evidence):
        value = evidence.whole(image, engine).get(event, 0)
        return value, f"a whole run of {image} on {engine}: {event} {judge.number_text(value)}"
    return measure


def whole_between(image, engine, event, least, most):
    def look(evidence):
        value, seen = whole_count(image, engine, event)(evidence)
        return least <= value <= most, seen
    bounds = judge.number_text(least) if least == most else f"{judge.number_text(least)} to {judge.number_text(most)}"
    return judge.Expectation(f"{image}: {bounds} {event} in a whole run on {engine}", look)


def comes_to_rest(evidence):
    """The image whose writes stop: guilty once or more, and IDENT in the end."""
    back, seen = whole_count("stop", TRACED, "reversions")(evidence)
    checked = evidence.rate("lab", "stop", TRACED, "callout_memory")
    return back >= 1 and checked < 0.1, f"{seen}; callout_memory an iteration {judge.number_text(checked)}"


def adaptation():
    ladder = [("bt", "nano", "ptemod", BT), ("mmu=trace", "nano", "ptemod", TRACED), ("mmu=trace:no-adapt", "nano", "ptemod", NO_ADAPT)]
    expectations = [judge.ordered("ptemod costs least without traces, most with traces and without adaptation", ladder)]
    expectations += [judge.counted("nano", "ptemod", engine, "traced_writes", 1) for engine in (TRACED, NO_ADAPT)]
    expectations += [judge.counted("nano", "ptemod", TRACED, "trap_memory", 0), judge.counted("nano", "ptemod", NO_ADAPT, "trap_memory", 1),
                     judge.counted("nano", "ptemod", TRACED, "insns_decoded", 0), judge.counted("nano", "ptemod", NO_ADAPT, "insns_decoded", 1, 0.1),
                     judge.counted("nano", "ptemod", TRACED, "callout_memory", 1),
                     whole_between("ptemod", TRACED, "adaptations", COPIES, 4 * COPIES), whole_between("ptemod", NO_ADAPT, "adaptations", 0, 0),
                     judge.at_least("lab", "calm", TRACED, "callout_memory", 1000), judge.counted("lab", "calm", NO_ADAPT, "callout_memory", 1, 0.1),
                     judge.ordered("calm: here adaptation costs more than the traps that it spares", [
                         ("no-adapt", "lab", "calm", NO_ADAPT), ("adaptive", "lab", "calm", TRACED)]),
                     judge.Expectation("stop: found guilty, then innocent for good", comes_to_rest)]
    asked = {"ptemod.traps.before": ("traps of one store of ptemod without adaptation (bt:mmu=trace:no-adapt)",
                                     judge.rate_of("nano", "ptemod", NO_ADAPT, "trap_memory")),
             "ptemod.traps.after": ("traps of one store with adaptation (bt:mmu=trace)", judge.rate_of("nano", "ptemod", TRACED, "trap_memory")),
             "calm.checked": ("callouts for memory of one iteration of lab/calm with adaptation", judge.rate_of("lab", "calm", TRACED, "callout_memory")),
             "calm.reversions": ("how often in all an instruction of lab/calm becomes innocent again", whole_count("calm", TRACED, "reversions")),
             "stop.reversions": ("how often in all one of your image lab/stop does", whole_count("stop", TRACED, "reversions")),
             "stop.checked": ("callouts for memory of one iteration of lab/stop, once warm", judge.rate_of("lab", "stop", TRACED, "callout_memory"))}
    expectations += [judge.predicted_count(key, what, measure, 1.5 if key == "calm.checked" else 0.1) for key, (what, measure) in asked.items()]
    benches = [([BT, TRACED, NO_ADAPT], ["nano/ptemod", "lab/calm", "lab/stop"])]
    wholes = [([TRACED, NO_ADAPT], ["nano/ptemod", "lab/calm", "lab/stop"], WHOLE_WORDS)]
    return Lab(4, "adaptation", "Adaptation: ptemod before and after", benches, {k: what for k, (what, _) in asked.items()}, 5,
               expectations, wholes)


# ---- 5: break-even ----

SUM_BAND, SMALL = 2, 0.02
BOOTED = [INTERP, BT, TRACED]


class Times:
    """Boots of an engine, as a Figure is of a benchmark: milliseconds."""

    def __init__(self, run, engine):
        found = figure5.times(run, engine)
        self.median, self.interval = statistics.median(found), results.median_interval(found)


def boot_run(evidence):
    for run in reversed(evidence.runs):
        if run.boots:
            return run
    raise judge.Unseen("no boots in these results")


def boot_times(evidence, engine):
    run = boot_run(evidence)
    if not figure5.boots(run, engine):
        raise judge.Unseen(f"no boot on {engine}: {results.why_missing(run, 'macro', 'boothalt', 'boothalt', engine)}")
    times = Times(run, engine)
    if times.interval is None:
        raise judge.Unseen(f"boots on {engine}: an interval takes {judge.LEAST_PROCESSES}")
    return times


def boot_ms(engine):
    def measure(evidence):
        times = boot_times(evidence, engine)
        return (times.interval[0], times.median, times.interval[1]), judge.figure_text(f"boots on {engine}, ms:", times)
    return measure


def parts(run):
    """Part of the sum -> ms, for a boot on bt: count x cost of each event, translating, and the instructions themselves."""
    found = {term.event.name: term.ms or 0 for term in figure5.terms(run, BT)}
    native = figure5.native_equivalent_ms(run)
    return dict(found, translate=figure5.translation_ms(run, BT) or 0, instructions=statistics.fmean(native) if native else 0)


def sum_explains(evidence):
    times, total = boot_times(evidence, BT), sum(parts(boot_run(evidence)).values())
    if times.interval[1] > SUM_BAND * times.interval[0]:
        raise judge.Unseen(judge.MORE_RUNS)
    return 1 / SUM_BAND <= total / times.median <= SUM_BAND, f"sum {total:.2f} ms; {judge.figure_text('boots, ms:', times)}"


def largest_part(evidence):
    found = sorted(parts(boot_run(evidence)).items(), key=lambda part: -part[1])
    return found[0][0], "ms: " + ", ".join(f"{name} {value:.2f}" for name, value in found[:4])


def faster(evidence):
    times = {engine: boot_times(evidence, engine) for engine in (INTERP, BT)}
    seen = ", ".join(judge.figure_text(engine, t) for engine, t in times.items())
    return (INTERP if judge.below(times[INTERP], times[BT]) else BT), seen


def traces_cost(evidence):
    times = {engine: boot_times(evidence, engine) for engine in (BT, TRACED)}
    return judge.below(times[BT], times[TRACED]), ", ".join(judge.figure_text(f"{engine}, ms:", t) for engine, t in times.items())


def small_part(name):
    """A row that decided the paper's boot decides nothing here."""
    def look(evidence):
        found = parts(boot_run(evidence))
        share = found[name] / sum(found.values())
        return abs(share) < SMALL, f"{name} {found[name]:.3f} of {sum(found.values()):.2f} ms, {share:.1%}"
    return judge.Expectation(f"boot on bt: `{name}` is less than {SMALL:.0%} of the sum", look, timed=True)


class Cold:
    """First passes of an image, as a Figure is of its warm ones."""

    def __init__(self, evidence, bench, engine):
        found = [s["cold"] for s in evidence.run_of("lab", bench, engine).of("lab", bench, engine)]
        self.median, self.interval = statistics.median(found), results.median_interval(found)
        if self.interval is None:
            raise judge.Unseen(f"{bench}: an interval takes {judge.LEAST_PROCESSES} processes")


def passes_to_break_even(evidence):
    """How many passes the interpreter, which has decoded the code already, needs for as much time as bt's first pass takes,
    less what bt's own passes take: from there on translating was worth it."""
    cold = Cold(evidence, "straight", BT)
    slow, fast = (evidence.figure("lab", "straight", engine) for engine in (INTERP, BT))
    seen = f"{judge.figure_text('first pass on bt', cold)}, then {judge.figure_text('bt', fast)}, {judge.figure_text('interp', slow)}"
    if not judge.below(fast, slow):
        raise judge.Unseen(f"{seen}: there is no break-even")
    low, high = slow.interval[0] - fast.interval[1], slow.interval[1] - fast.interval[0]
    return (cold.interval[0] / high, cold.median / (slow.median - fast.median), cold.interval[1] / low), seen


def exit_to_break_even(evidence):
    """Cycles that one exit may cost for a hardware VMM with shadow paging to be as fast as bt on forkwait."""
    cycles = evidence.figure("process", "forkwait", BT)
    instructions = evidence.rate("process", "forkwait", INTERP, judge.RETIRED)
    rate = process.native_cycles_per_instruction(boot_run(evidence))
    if rate is None:
        raise judge.Unseen("no kernels were measured natively")
    native = instructions * rate[1]
    count = statistics.mean(judge.exit_values(evidence, "forkwait", False).values())
    seen = (f"{judge.figure_text('bt', cycles)}; {judge.number_text(instructions)} instructions at {rate[1]:.2f} natively; "
            f"{count:.1f} exits")
    return tuple((value - native) / count for value in (cycles.interval[0], cycles.median, cycles.interval[1])), seen


def break_even():
    expectations = [judge.Expectation(f"boot on bt: counts times costs explain the time, within a factor of {SUM_BAND}", sum_explains, timed=True),
                    small_part("in/out"), small_part("ptemod"), small_part("cr8wr"),
                    judge.Expectation("boot: memory traces make it dearer on bt", traces_cost, timed=True),
                    judge.alike("straight: bt and interp run the same image, and neither leaves it", "lab", "straight", [INTERP, BT], "exit_pio"),
                    judge.ordered("straight: warm, bt is cheaper", [("bt", "lab", "straight", BT), ("interp", "lab", "straight", INTERP)]),
                    judge.predicted_within("boot.bt.ms", "milliseconds of a boot on bt", 2, boot_ms(BT)),
                    judge.predicted_within("boot.interp.ms", "milliseconds of a boot on interp", 2, boot_ms(INTERP)),
                    judge.predicted_word("boot.faster", "which of both boots faster", faster),
                    judge.predicted_word("boot.largest", "the largest part of a boot on bt", largest_part),
                    judge.predicted_within("straight.passes", "passes over the code of lab/straight that make translating worth it", 3, passes_to_break_even),
                    judge.predicted_within("exit.cycles", "what an exit may cost for hardware with shadow paging to match bt on forkwait", 2,
                                           exit_to_break_even)]
    names = ", ".join([event.name for event in figure5.EVENTS] + ["translate", "instructions"])
    predictions = {"boot.bt.ms": "milliseconds of a boot and shutdown (macro/boothalt) on bt, idling left out: counts x costs",
                   "boot.interp.ms": "the same on interp", "boot.faster": "bt or interp",
                   "boot.largest": f"the largest part of the time on bt: one of {names}",
                   "straight.passes": "how many passes over the code of lab/straight make it worth translating, where interp has decoded it already",
                   "exit.cycles": "cycles that one exit may cost for a hardware VMM with shadow paging to take as long as bt for one forkwait"}
    benches = [([INTERP, BT], ["micro/forkwait", "lab/straight"])]
    return Lab(5, "break-even", "Break-even: predict, then measure", benches, predictions, 5, expectations, boots=True, exits=True)


def labs():
    return {lab.number: lab for lab in (interpreter(), counting_exits(), shadow_paging(), adaptation(), break_even())}
