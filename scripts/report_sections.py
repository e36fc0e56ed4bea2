# SPDX-License-Identifier: BSD-2-Clause
"""The sections of the report (scripts/report.py): which tables and pictures each has, the kind of their figures, and the
scope that a caption names. The tables themselves are those of table.py, process.py, figure5.py, ablation.py, exits.py,
translation.py and peers_table.py."""
import re
import tempfile

import ablation
import exits
import figure5
import figures
import linux
import paper
import peers_table
import plot
import process
import results
import table
import translation
from report_html import ColumnKinds

PUBLISHED = (r"^(P4|2006)\b", "published")
MEASURED = ColumnKinds("measured", [PUBLISHED])
COUNTED = ColumnKinds("counted", [PUBLISHED])
SPREAD = ColumnKinds("measured", [(r"^processes x", "")])
BOUND = ColumnKinds("measured", [(r"^guest instructions", "counted"), (r"^at .* cycles each|times that", "modelled")])
POLICIES = ColumnKinds("measured", [(r"^least", "")])
DIRECT = ColumnKinds("measured", [(r"^hand-overs", "counted")])
BOOTS = ColumnKinds("measured", [(r"^boots$", "")])
FIGURE5 = ColumnKinds("measured", [PUBLISHED, (r"^times in a boot", "counted"), (r"^ms$", "modelled")],
                [(r"^(translate|\*measured)", "measured"), (r"^\*(explained|unexplained|the same)", "modelled")])
FORKWAIT = ColumnKinds("measured", rows=[(r", 2006$", "published"), (r"^here", "measured")])
PEERS = ColumnKinds("measured", [(r"^instructions an iteration", "counted")])
TRANSLATION = ColumnKinds("counted", [(r"cycles", "measured")])

# Kind of results file -> what it is called here.
FILES = {"bench": "nano and micro benchmarks", "process": "benchmarks of processes", "boot": "boots", "ablation": "the translator's techniques one by one",
         "translation": "translations", "peers": "other emulators", "linux": "Linux as the guest",
         "exits": "exits of hardware virtualization"}


# ---- Scope ----

def user_code(run, engine):
    """How an engine runs the guest's code at CPL 3."""
    base = results.base_engine(engine)
    if base == "bt":
        return {"direct": "directly", "translated": "translated"}.get(process.settings(engine).get("user"),
                                                                      "directly or translated, as it finds cheaper")
    return {"interp": "interpreted", "bochs": "interpreted", "qemu-tcg": "translated"}.get(base, "directly")


def user_words(run, engines):
    ways = {}
    for engine in engines:
        ways.setdefault(user_code(run, engine), []).append(engine)
    return "; ".join(f"{way} on {few(names)}" for way, names in ways.items())


def few(names):
    """An engine whose many variants all are there stands for them."""
    first = names[0]
    if len(names) > 4 and all(results.base_engine(name) == first for name in names):
        return f"{first} and all its variants"
    return ", ".join(names)


def machine_words(run):
    words = plot.caveat(run).removeprefix(", ")
    return results.machine_line(run) + (f"; {words}" if words else "")


def scope(run, engines=None, described=False):
    """What a caption says of a table's figures. described: the table's head has only the engines' names, so their back
    ends and paging stand here."""
    engines = [e for e in engines or results.engine_order(run) if run.engines.get(e, {}).get("available", True)]
    columns = f" Engines: {'; '.join(results.column(run, e) for e in engines)}." if described else ""
    return f"{machine_words(run)}.{columns} User code runs {user_words(run, engines)}."


def ours(run, suite, benches, engines):
    """Row -> heads of the engines that are the cheapest, for setting them off."""
    return {row: {results.column(run, e) for e in least} for row, least in
            ((process.label(suite, bench), cheapest(run, suite, bench, engines)) for _, bench in benches if bench != table.CONTROL)}


def cheapest(run, suite, bench, engines):
    """The engines whose cost is the least, or within 5 % of it; costs below one cycle count as one."""
    costs = {e: results.figure(run, suite, bench, e) for e in engines}
    found = {e: max(f.median, ablation.ONE_CYCLE) for e, f in costs.items() if f}
    if len(found) < 2:
        return []
    return [e for e in found if found[e] <= min(found.values()) * process.LEVEL]


# ---- Pictures ----

def pictures(files):
    """Suffix of a picture -> text of its SVG, or why there is none."""
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        for item in files.values():
            try:
                drawn = plot.pictures(item.path, folder)
            except (OSError, RuntimeError) as error:
                made[item.kind] = f"gnuplot could not draw it: {error}"
                continue
            for path in drawn:
                if path.endswith(".svg"):
                    with open(path, encoding="utf-8") as file:
                        made[re.sub(r".*-", "", path)[:-4]] = file.read()
    return made


def picture(page, context, name, run):
    """One of them, with the words for who cannot see it that the pages have."""
    svg = context.pictures.get(name)
    if not svg:
        why = context.pictures.get(figures.sort_of(run), "nothing in this run can be drawn in it")
        page.text(f"No picture: {why}.", "missing")
        return
    words = re.match(r"!\[(.*)\]", "".join(paper.BLOCKS[f"{name}-picture" if name != "factors" else "ablation-picture"](""))).group(1)
    page.picture(svg, f"{words}. The figures are in the tables beside it.", f"{words}. {scope(run)}")


# ---- Measured by the guest's own clock ----

def nano(page, context):
    run = context.of_suite("nano")
    if not run:
        return context.missing(page, "bench")
    page.text("One sensitive operation each, warm: what the loop around it costs is taken off. The cheapest of this machine's "
              "techniques in each row is set in bold, native apart.")
    picture(page, context, "nano", run)
    suite_tables(page, run, "nano", "One operation")


def suite_tables(page, run, suite, what):
    engines = [e for e in results.engine_order(run) if e != "native"]
    page.lines(table.costs_table(run, suite), f"{what}, TSC cycles, median", MEASURED, scope(run),
               ours(run, suite, run.benches(suite), engines), suite)
    if suite != "nano":
        page.lines(table.slowdown_table(run, suite), "Times the native program's cost", MEASURED, scope(run), block="micro-slowdown")
        page.lines(table.native_share_table(run), "The translator's speed, CPL 0", MEASURED, scope(run, ["native", "bt"], True),
                   block="bt-native")
        page.lines(table.user_share_table(run), "The translator's speed, CPL 3", MEASURED, scope(run, ["native", "bt"], True),
                   block="bt-native-user")
    page.details("Cold and warm")
    page.lines(table.cold_table(run, suite), "The first pass, and the cost when warm, TSC cycles", MEASURED, scope(run, None, True),
               block="nano-cold")
    page.end_details()
    event_tables(page, run, suite)
    page.details("Spread")
    page.lines(table.spread_table(run, suite), f"{what}, TSC cycles: spread over processes and repetitions", SPREAD,
               scope(run, None, True), block="nano-spread")
    page.end_details()


def event_tables(page, run, suite):
    made = [(e, table.events_table(run, suite, e)) for e in results.engine_order(run)]
    if not any(lines for _, lines in made):
        return
    page.details("Events of one iteration, held against what the benchmark does")
    for engine, lines in made:
        page.lines(lines, f"Events of one iteration on {engine}", COUNTED, scope(run, [engine], True), block=f"{suite}-events")
    page.end_details()
    wrong = [line for line in table.all_disagreements(run) if line.split(" on ")[0] in {b for _, b in run.benches(suite)}]
    if wrong:
        page.text("Counters that disagree with what a benchmark does:", "warning")
        page.lines([f"- {line}" for line in wrong])


def micro(page, context):
    run = context.of_suite("micro")
    if not run:
        return context.missing(page, "bench")
    page.text("Unprivileged kernels, at CPL 0 and (`_user`) at CPL 3. A native program runs at CPL 3 as it is.")
    if any(results.native_base(run, "micro", i, b) for i, b in run.benches("micro")):
        picture(page, context, "micro", run)
    suite_tables(page, run, "micro", "One call of a kernel")


def processes(page, context):
    run = next((context.of_suite(s) for s in results.PROCESS_SUITES if context.of_suite(s)), None)
    if not run or not process.rows_of(run):
        return context.missing(page, "process")
    page.text("What needs an operating system: the guest is Bantam, a small Unix; the native program runs on the host's Linux, a far "
              "larger kernel. So a figure below 1 in times native compares kernels as well as techniques.")
    if figures.sort_of(run) == "process":
        picture(page, context, "process", run)
    engines = [e for e in process.shown(run) if e != "native"]
    best = {}
    for suite in results.PROCESS_SUITES:
        best.update(ours(run, suite, run.benches(suite), engines))
    page.lines(process.costs_table(run), "One iteration, TSC cycles, median", MEASURED, scope(run, process.shown(run)), best, "process")
    page.lines(process.ratios_table(run), "Times the native program's cost", MEASURED, scope(run, process.shown(run)),
               block="process-ratios")
    page.lines(process.share_table(run), "Programs that compute: the translator's speed", MEASURED, scope(run, process.USER, True),
               block="user-native")
    page.lines(process.policies_table(run), "Ways of the translator, TSC cycles", POLICIES, scope(run, process.policies(run), True),
               block="process-policies")
    page.lines(process.direct_table(run), "Direct execution against translation of user code", DIRECT, scope(run, process.USER, True),
               block="direct-costs")
    page.lines(process.bound_table(run), "The guest's own instructions at the speed of native kernels", BOUND, scope(run, ["bt"], True),
               block="process-bound")
    page.details("Events of one iteration")
    for suite, _, bench in process.rows_of(run):
        page.lines(process.events_table(run, suite, bench), f"Events of one {process.label(suite, bench)}", COUNTED,
                   scope(run, process.shown(run), True), block="forkwait-events")
    page.end_details()
    page.details("Cold and warm, spread")
    for suite in (s for s in run.suites() if s in results.PROCESS_SUITES):
        page.lines(table.cold_table(run, suite), f"{suite}: first pass, and the cost when warm, TSC cycles", MEASURED,
                   scope(run, None, True), block="nano-cold")
        page.lines(table.spread_table(run, suite), f"{suite}: spread, TSC cycles", SPREAD, scope(run, None, True), block="nano-spread")
    page.end_details()


def boot(page, context):
    run = context.run("boot")
    if not run or not run.boots:
        return context.missing(page, "boot")
    page.text("The paper's Figure 5 for the boot and power-off of Bantam: how often each event happens, times what one costs more than "
              "natively, against the time that was measured. What no price explains is a row of its own.")
    if figure5.engines(run):
        picture(page, context, "figure5", run)
    page.lines(figure5.totals_table(run), "Boot to power-off", BOOTS, scope(run), block="boot")
    for engine in figure5.engines(run):
        page.lines(figure5.figure_table(run, engine), f"Count x (cost - native cost) on {engine}", FIGURE5, scope(run, [engine], True) +
                   " The paper's columns: 64-bit Windows XP on a Pentium 4, measured off its drawn bars.", block="figure5")
    page.details("Every event of a boot")
    page.lines(figure5.counts_table(run), "Events of a boot, median of the boots", COUNTED, scope(run, None, True), block="boot-events")
    page.end_details()


def techniques(page, context):
    run = context.run("ablation")
    if not run:
        return context.missing(page, "ablation")
    page.text("`bt` against itself with one technique off or done another way.")
    picture(page, context, "factors", run)
    words = f"{scope(run)} Back end, paging and place of all: {results.column(run, ablation.BASE)}."
    page.lines(ablation.table(run), "What each technique is worth: times the whole translator's cost", MEASURED, words, block="ablation")
    page.lines(ablation.legend(run))
    if any(e in run.engines for e in ablation.RDTSC.values()):
        page.lines(ablation.rdtsc_table(run), "Three ways to emulate one rdtsc", MEASURED, words, block="rdtsc")


def translations(page, context):
    run = context.run("translation")
    if not run or not run.translations:
        return context.missing(page, "translation")
    page.text("What the paper leaves out: how much of a guest is translated as it is, by how much it grows, and what translating costs.")
    page.lines(translation.kinds_table(run), "Instructions translated, by kind", COUNTED, scope(run, ["bt"], True), block="translation-kinds")
    page.details("By image")
    page.lines(translation.table(run), "Translation of each image", TRANSLATION, scope(run, ["bt"], True), block="translation")
    page.end_details()


# ---- By other clocks, and by none ----

def peers(page, context):
    run = context.run("peers")
    if not run:
        return context.missing(page, "peers")
    page.text("The very same image bytes under QEMU's translator (TCG) and in Bochs, by the host's clock, in one interleaved run. The loop around "
              "the subject is in these figures; `idle` shows how much that is.")
    if any(row[0] == "here" for row in process.forkwait_rows(run)):
        picture(page, context, "forkwait", run)
    page.lines(process.forkwait_table(run), "forkwait, the paper's deciding experiment", FORKWAIT, scope(run, described=True) +
               " The paper's machines: a Pentium 4 and a Core, Linux.", block="forkwait")
    for suite in run.suites():
        page.lines(peers_table.suite_table(run, suite), f"{suite}: {peers_table.UNITS.get(suite, 'nanoseconds an iteration')}", PEERS,
                   scope(run), block="peers")
        page.lines(peers_table.ahead(run, suite))
    page.lines(peers_table.agreements(run) + peers_table.failures(run))


def linux_guest(page, context):
    run = context.run("linux")
    if not run or not run.boots:
        return context.missing(page, "linux")
    page.text("Debian's kernel, unmodified, and on it the programs of the guest Unix; natively they run on the host's own Linux. So times native compares "
              "like with like, as the paper did.")
    page.lines(linux.boot_table(run), "A boot to the guest's first process", BOOTS, scope(run), block="linux-boot")
    if any(results.native_base(run, suite, image, bench) for suite, image, bench in process.rows_of(run)):
        picture(page, context, "linux", run)
    page.lines(process.ratios_table(run), "Times the cost on the host's own Linux", MEASURED, scope(run) + " The paper's machine: a Pentium 4, Linux.", block="linux-ratios")
    page.lines(process.costs_table(run), "One iteration, TSC cycles, median", MEASURED, scope(run), block="linux-process")
    page.details("Events of one forkwait")
    page.lines(process.events_table(run), "Events of one forkwait", COUNTED, scope(run, None, True), block="linux-events")
    page.end_details()


def counted_exits(page, context):
    run = context.run("exits")
    if not run:
        return context.missing(page, "exits")
    page.text("How often a guest leaves hardware virtualization, by the CPU's own reason, with shadow and with nested paging: counted on the real "
              "kvm_intel and kvm_amd, on **emulated silicon**. Which exits there are is the architecture's and KVM's doing and holds; times "
              "would be the emulator's, so there are none.")
    page.lines([f"- {line}" for line in exits.scope(run)])
    words = "Emulated CPUs, as the heads say: kernel and emulator of each are listed above. User code runs directly."
    page.lines(exits.exits_table(run, ["nano"]), "Exits of one operation", COUNTED, words, block="exits-nano")
    page.lines(exits.exits_table(run, exits.suites_but_nano(run)), "Exits of one iteration", COUNTED, words, block="exits-process")
    page.details("What KVM did about them")
    page.lines(exits.kvm_table(run, run.suites()), "KVM's own statistics, an iteration", COUNTED, words, block="exits-kvm")
    page.end_details()
