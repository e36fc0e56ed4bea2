# SPDX-License-Identifier: BSD-2-Clause
"""A figure by its name, from the results files that the pages show: for the claims (claims.py) and for figures in running text.

    measured(bt.nano/in)                 TSC cycles an iteration, median; native, bt:mmu=trace, ... likewise
    measured(bt.boot), (bt.boot.translate)   ms of a boot, and of translating in it
    measured(translate)                  TSC cycles to translate an instruction, median of the images
    ablation(bt:emulate=trap.nano/rdtsc) likewise, of the run that has the translator's variants
    factor(bt:tu=1.micro/fib)            a variant's cost as a factor to bt's; factor(bt:tu=1.micro): geometric mean, CPL 0
    peers(qemu-tcg.process/forkwait)     ns an iteration, median, by the host's clock
    linux(bt.process/forkwait)           measured() of programs on Debian's kernel as the guest; native: on the host's own Linux
    linux(bt.boot)                       s from starting the monitor to the guest's first process, median
    silicon(any.nano/in)                 likewise, on an engine whose back end is VT-x or SVM; shadow: with shadow paging
    counted(bt.nano/in.callouts)         events of an iteration; counted(bt.boot.traps): of a boot
    counted(translate.NAME)              of all images: units, insns, ident, growth
    exits(kvm_intel:ept=0.nano/in)       exits of an iteration, on emulated silicon; .hw_cr behind it: of one reason
    share(bt.user)                       geometric mean of native time over the engine's, of a suite's programs
    modelled(bt.boot.unexplained)        the sums of Figure 5 (figure5.py), in ms: explained, unexplained
    modelled(bt.bound/forkwait)          times a lower bound of what the same instructions take natively (process.py)
    predicted(asplos2006.micro/forkwait.software)   what the cost model says of a published figure that did not set it
    model(p4-672.hybrid.windows-boot)    cycles of a mix of events (model/mixes) on a processor under a monitor
    ref(asplos2006.nano/in.hardware)     published: results/reference/FILE.csv, row, column

`A / B` divides one by another. What no file has is None, never a guess."""
import csv
import os
import re
import statistics

import ablation
import exits
import figure5
import linux
import model as cost_model
import peers_table
import plot
import process
import results
import table
import translation

REFERENCES = os.path.dirname(results.REFERENCE)
# Which block of the pages says which file is the one of its sort.
BLOCK_OF = {"bench": "nano", "ablation": "ablation", "process": "process", "boot": "figure5", "peers": "forkwait",
            "translation": "translation", "linux": "linux-process", "exits": "exits-nano"}
# What measures each.
COMMAND_OF = {"bench": "make bench", "process": "make bench", "boot": "scripts/boot.py --out=NAME-boot.jsonl", "ablation": "make bench ABLATION=1",
              "translation": "scripts/translation.py --out=NAME-translation.jsonl", "peers": "make bench-peers", "linux": "scripts/linux.py --out=NAME-linux.jsonl",
              "exits": "scripts/exits.py --out=FILE"}
# Column of results/reference -> unit, where the file does not say it.
COLUMN_UNITS = {"cycles": "cycles", "software_seconds": "s", "hardware_seconds": "s"}
FACT_UNITS = {"translate one instruction": "cycles", "instructions of a unit": "instructions"}


class Figure:
    """value in unit, of a kind (kinds.py); value None: no file has it. unsteady: as in results.Figure."""

    def __init__(self, value, kind, unit, unsteady=False):
        self.value, self.kind, self.unit, self.unsteady = value, kind, unit, unsteady

    def __truediv__(self, other):
        value = self.value / other.value if self.value is not None and other.value else None
        kind = " and ".join(dict.fromkeys([self.kind, other.kind]))
        unit = "times" if self.unit == other.unit else self.unit
        return Figure(value, kind, unit, self.unsteady or other.unsteady)

    def number(self):
        """The bare number, with the digits that it can carry."""
        if self.value is None:
            return "n/a"
        if self.unit in ("share", "times"):
            return f"{self.value:.0%}" if self.unit == "share" else process.ratio_text(self.value)
        if self.kind == "published":
            return f"{self.value:,.0f}" if self.value == int(self.value) else f"{self.value:g}"
        if self.kind == "counted":
            return exits.text_of([self.value]) if self.unit != "exits" else process.rate_text(self.value)
        return results.cycles_text(self.value)

    def text(self):
        """The number with its unit."""
        unit = "" if self.unit in ("", "share") or self.value is None else f" {self.unit}"
        return self.number() + (unit.removesuffix("s") if self.number() == "1" else unit) + (" ~" if self.unsteady else "")


class Files:
    """The last run of each sort of file. paths: block -> file. What the model says belongs to none of them; it is asked once,
    or not at all where `program` is false: then there are no such figures."""

    def __init__(self, paths, program=True):
        self.paths, self.program, self.loaded, self.validated = paths, program, {}, None

    def predictions(self):
        """Name of a published figure -> what the model says, of those that are predictions."""
        if self.validated is None:
            self.validated = {row["name"]: row["predicted"] for row in cost_model.validation() if row["kind"] == "prediction"}
        return self.validated

    def run(self, sort):
        path = self.paths.get(BLOCK_OF[sort])
        if path is None or path == "-":
            return None
        if path not in self.loaded:
            self.loaded[path] = results.load(path)[-1]
        return self.loaded[path]

    def of_suite(self, suite):
        return self.run("process" if suite in results.PROCESS_SUITES else "bench")


def files_of(text, moves=None):
    """The files that the blocks of a page name; moves: block -> file that is to take the place."""
    return Files(dict(re.findall(r"^<!-- generated: (\S+) from (\S+) -->$", text, re.M), **moves or {}))


def files_given(paths, text):
    """Those files, and of the page only the counts of exits, which are of no machine: figures of two machines are not mixed."""
    found = {BLOCK_OF[sort_of(results.load(path)[-1])]: path for path in paths}
    exits_block = BLOCK_OF["exits"]
    return Files({exits_block: files_of(text).paths.get(exits_block), **found})


def sort_of(run):
    return plot.kind(run) or ("ablation" if ablation.columns(run) else "bench")


# ---- By sort ----

def median(run, suite, bench, engine):
    """Of one benchmark on one engine, in cycles."""
    found = results.figure(run, suite, bench, engine) if run else None
    return Figure(found and found.median, "measured", "cycles", bool(found and found.unsteady()))


def measured(files, name):
    if name == "translate":
        every = translated_all(files)
        return Figure(every and every["cycles"], "measured", "cycles")
    engine, what = name.split(".", 1)
    if what.startswith("boot"):
        run, part = files.run("boot"), {"boot": figure5.total_ms, "boot.translate": figure5.translation_ms}[what]
        return Figure(part(run, engine) if timed_boot(run, engine) else None, "measured", "ms")
    suite, bench = what.split("/")
    return median(files.of_suite(suite), suite, bench, engine)


def ablated(files, name):
    engine, what = name.split(".", 1)
    suite, bench = what.split("/")
    return median(files.run("ablation"), suite, bench, engine)


def factor(files, name):
    engine, what = name.split(".", 1)
    suite, _, bench = what.partition("/")
    run = files.run("ablation")
    benches = [bench] if bench else [b for _, b in run.benches(suite) if b != table.CONTROL and not b.endswith("_user")] if run else []
    return Figure(ablation.mean(run, suite, benches, engine) if run else None, "measured", "times")


def peers(files, name):
    engine, what = name.split(".", 1)
    suite, bench = what.split("/")
    run = files.run("peers")
    return Figure(peers_table.nanoseconds(run, suite, bench, engine) if run else None, "measured", "ns")


def on_linux(files, name):
    engine, what = name.split(".", 1)
    run = files.run("linux")
    if what == "boot":
        seconds = {row[0]: row[2] for row in linux.boot_rows(run)} if run else {}
        return Figure(seconds.get(engine), "measured", "s")
    suite, bench = what.split("/")
    return median(run, suite, bench, engine)


def silicon(files, name):
    paging, what = name.split(".")
    suite, bench = what.split("/")
    run = files.of_suite(suite)
    found = [e for e, record in (run.engines if run else {}).items() if record.get("hardware")
             and (paging == "any" or record["paging"].startswith(paging))]
    return median(run, suite, bench, found[0]) if found else Figure(None, "measured", "cycles")


def counted(files, name):
    engine, what, *event = name.split(".")
    if engine == "translate":
        return translated(translated_all(files), what)
    if what == "boot":
        run = files.run("boot")
        return Figure(figure5.boot_counts(run, engine).get(event[0]) if run else None, "counted", "")
    suite, bench = what.split("/")
    run = files.of_suite(suite)
    rates = (results.events(run, suite, bench, engine) if run else None) or {}
    return Figure(rates.get(event[0]), "counted", "")


def translated_all(files):
    """The translator's statistics of all images, or None."""
    run = files.run("translation")
    return translation.overall(run) if run and run.translations else None


def timed_boot(run, engine):
    """Whether the run has boots of the engine, and a clock to time them by."""
    return bool(run and run.machine.get("tsc_khz") and figure5.boots(run, engine))


def translated(every, what):
    """What these statistics add up to; growth: host bytes a guest byte, without stubs."""
    values = {"ident": ("share", lambda: translation.share(every, "IDENT")), "growth": ("times", lambda: every["hot"] / every["guest"]),
              "units": ("units", lambda: every["units"]), "insns": ("instructions", lambda: every["insns"])}
    unit, value = values[what]
    return Figure(value() if every else None, "counted", unit)


def exits_of(files, name):
    engine, what, *reason = name.split(".")
    suite, bench = what.split("/")
    run = files.run("exits")
    reasons = exits.own(run, suite, bench, engine) if run else {}
    chosen = [v for n, v in reasons.items() if not reason or n == reason[0]]
    sums = [sum(values) for values in zip(*chosen)]
    value = None if not chosen else statistics.mean(sums) if exits.happens(sums) else 0
    return Figure(value, "counted", "exits")


def share(files, name):
    engine, suite = name.split(".")
    run, found = files.of_suite(suite), []
    for image, bench in run.benches(suite) if run else []:
        base, own = results.native_base(run, suite, image, bench), median(run, suite, bench, engine).value
        if not bench.endswith("_user"):
            found.append(base / own if base and own else None)
    return Figure(results.geometric_mean(found) if found and None not in found else None, "measured", "times")


def modelled(files, name):
    engine, what = name.split(".", 1)
    if what.startswith("bound/"):
        run = files.run("process")
        return Figure(process.times_bound(run, what.split("/")[1], engine) if run else None, "modelled", "times")
    part = {"boot.explained": figure5.explained_ms, "boot.unexplained": figure5.unexplained_ms}[what]
    run = files.run("boot")
    return Figure(part(run, engine) if timed_boot(run, engine) else None, "modelled", "ms")


def predicted(files, name):
    if not files.program:
        return Figure(None, "modelled", ref(files, name).unit)
    if name not in files.predictions():
        raise ValueError(f"the model does not predict {name}")
    return Figure(files.predictions()[name], "modelled", ref(files, name).unit)


def model(files, name):
    profile, policy, mix = name.split(".")
    cycles = cost_model.mix(mix, profile, [policy])[policy]["cycles"] if files.program else None
    return Figure(cycles, "modelled", "cycles")


# ---- Published ----

def rows_of(name):
    """(column names, rows) of a file of published figures; its last comment names the columns."""
    with open(os.path.join(REFERENCES, f"{name}.csv"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    heads = [re.search(r"([\w-]+(?:,[\w-]+)+)$", line) for line in lines if line.startswith("#")]
    columns = [match.group(1).split(",") for match in heads if match][-1]
    return columns, list(csv.reader(line for line in lines if line and not line.startswith("#")))


def ref(_, name):
    """FILE.ROW.COLUMN. ROW is the first column, or the first two with a slash between them."""
    file, rest = name.split(".", 1)
    row_name, column = rest.rsplit(".", 1)
    columns, rows = rows_of(file)
    for row in rows:
        if column in columns and row_name in (row[0], "/".join(row[:2])):
            unit = row[columns.index("unit")] if "unit" in columns else COLUMN_UNITS.get(column) or FACT_UNITS.get(row_name, "")
            return Figure(float(row[columns.index(column)]), "published", "s" if unit == "seconds" else unit)
    raise ValueError(f"no published figure {name}")


SORTS = {"measured": measured, "ablation": ablated, "factor": factor, "peers": peers, "linux": on_linux, "silicon": silicon, "counted": counted, "exits": exits_of, "share": share,
         "modelled": modelled, "predicted": predicted, "model": model, "ref": ref}
TERM = re.compile(r"^(\w+)\((.+)\)$")


def term(files, text):
    match = TERM.match(text.strip())
    if not match or match.group(1) not in SORTS:
        raise ValueError(f"no figure is called {text}; sorts: {', '.join(SORTS)}")
    try:
        return SORTS[match.group(1)](files, match.group(2))
    except (KeyError, IndexError) as error:
        raise ValueError(f"no figure is called {text}: {error}") from None


def sort_behind(text):
    """Of which sort of file a figure is, by its name; None for one that no run has."""
    kind, name = TERM.match(text.split(" / ")[0].strip()).groups()
    of_kind = {"ablation": "ablation", "factor": "ablation", "peers": "peers", "linux": "linux", "exits": "exits"}
    if kind in of_kind:
        return of_kind[kind]
    if kind not in ("measured", "counted", "modelled", "silicon", "share"):
        return None
    if name.startswith("translate"):
        return "translation"
    if ".boot" in name:
        return "boot"
    return "process" if name.split(".", 1)[1].split("/")[0] in [*results.PROCESS_SUITES, "bound"] else "bench"


def find(files, text):
    """The Figure of that name, or the quotient of two; an error where there cannot be one."""
    first, *rest = text.split(" / ")
    found = term(files, first)
    for divisor in rest:
        found = found / term(files, divisor)
    return found
