# SPDX-License-Identifier: BSD-2-Clause
"""Reads results files (docs/results.md) and turns samples into the figures of tables and plots. Prints nothing.

One process is one observation: repetitions within a process share its page placement and calibration. So the median is
the median of the processes' medians, and its 95 % interval comes from the order statistics of these medians, which
assumes nothing about their distribution. Minimum and percentiles are of all repetitions."""
import json
import math
import os
import statistics

REFERENCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../results/reference/asplos2006.csv")
CONFIDENCE = 0.95
SUITES = ["nano", "micro", "process", "user", "macro"]
# Of the suite micro, what needs an operating system under it: a group of its own in every table. The paper's names
# first, then by what they do.
PROCESS = ["forkwait", "execwait", "cowstorm", "mmapstorm", "ctxswitch", "getpid"]
PROCESS_SUITES = ["process", "user", "macro"]  # user: the kernels of micro as programs of the guest Unix


class Run:
    """One run of a file: its `run` record, and the records that belong to it."""

    def __init__(self, header):
        self.header = header
        self.machine = header.get("machine") or {}
        self.engines, self.images = {}, {}
        self.samples, self.failed, self.skipped, self.translations, self.boots, self.once = [], [], [], [], [], []
        self.kernels, self.wholes = [], []
        self.end = self.lab = None
        self._samples = {}  # the samples by what they are of: tables ask for each cell

    def add(self, record):
        kind = record.get("type")
        if record.get("image" if kind != "image" else "bench") in PROCESS and record.get("suite") == "micro":
            record = dict(record, suite="process")
        if kind == "engine":
            self.engines[record["name"]] = record
        elif kind == "image":
            self.images[record["suite"], record["bench"]] = record
        elif kind == "end":
            self.end = record
        elif kind == "lab":
            self.lab = record
        elif kind in ("sample", "failed", "skipped", "translation", "boot", "once", "kernel", "whole"):
            {"sample": self.samples, "failed": self.failed, "skipped": self.skipped,
             "translation": self.translations, "boot": self.boots, "once": self.once,
             "kernel": self.kernels, "whole": self.wholes}[kind].append(record)
        if kind == "sample":
            self._samples.setdefault((record["suite"], record["bench"], record["engine"]), []).append(record)

    def suites(self):
        """Suites from the smallest benchmarks to the largest."""
        names = list(dict.fromkeys([s for s, _ in self.images] + [r["suite"] for r in self.samples]))
        return sorted(names, key=lambda name: SUITES.index(name) if name in SUITES else len(SUITES))

    def benches(self, suite):
        """(image, bench) of a suite: idle, the paper's rows in its order, then by the images' order. An image none of
        whose processes came through is there too."""
        images = list(dict.fromkeys([b for s, b in self.images if s == suite] +
                                    [r["image"] for r in self.samples if r["suite"] == suite]))
        paper = ["idle"] + list(reference()) + PROCESS
        images.sort(key=lambda name: paper.index(name) if name in paper else len(paper))
        found = []
        for image in images:
            names = sorted({r["bench"] for r in self.samples + self.skipped
                            if r["suite"] == suite and r["image"] == image and r.get("bench")})
            found += [(image, name) for name in names] or [(image, image)]
        return found

    def of(self, suite, bench, engine):
        return self._samples.get((suite, bench, engine), [])

    def quick(self):
        return bool(self.header.get("quick"))


def load(path):
    """The runs of a file. A last line that is no complete JSON counts as absent; one in the middle is an error."""
    runs = []
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    last = max((i for i, line in enumerate(lines) if line.strip()), default=-1)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            if number - 1 == last:
                break
            raise ValueError(f"{path}:{number}: not JSON: {error}") from None
        if record.get("type") == "run":
            runs.append(Run(record))
        elif runs:
            runs[-1].add(record)
        else:
            raise ValueError(f"{path}:{number}: a record before the first `run` record")
    if not runs:
        raise ValueError(f"{path}: holds no run")
    return runs


# ---- From one sample ----

def costs(sample):
    """TSC cycles of one iteration, one figure a repetition."""
    zero = [0] * len(sample["t1"])
    e1, e2 = sample.get("e1") or zero, sample.get("e2") or zero
    return [((t2 - t1) - (b2 - b1)) / sample["n"] for t1, t2, b1, b2 in zip(sample["t1"], sample["t2"], e1, e2)]


def event_rates(sample, names):
    """Event -> how often it happens in one iteration, one figure a repetition; {} where nothing was counted."""
    once, twice = sample.get("counters_n"), sample.get("counters_2n")
    if not once or not twice:
        return {}
    return {name: [(b.get(name, 0) - a.get(name, 0)) / sample["n"] for a, b in zip(once, twice)] for name in names}


# ---- From many ----

class Figure:
    """What a table says about one benchmark on one engine."""

    def __init__(self, groups):
        """groups: one list of repetitions for each process."""
        every = sorted(x for group in groups for x in group)
        self.processes, self.repetitions = len(groups), len(every)
        self.median = statistics.median([statistics.median(group) for group in groups])
        self.min, self.max = every[0], every[-1]
        self.p10, self.p90 = percentile(every, 10), percentile(every, 90)
        self.interval = median_interval([statistics.median(group) for group in groups])

    def unsteady(self):
        """Whether the middle 80 % spread over more than half of the median, which is then no figure to rest on."""
        return self.p90 - self.p10 > max(abs(self.median) / 2, 1)


def percentile(ordered, p):
    """Linear interpolation between the two nearest of a sorted list."""
    at = (len(ordered) - 1) * p / 100
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def median_interval(values):
    """(low, high) that holds the median with at least 95 %: the k-th smallest and largest, k as large as the binomial
    distribution allows. None below 6 values, where not even the whole range is enough."""
    ordered = sorted(values)
    n = len(ordered)
    k = 0
    outside = 0.0
    while k < n // 2:
        outside += 2 * math.comb(n, k) / 2**n
        if 1 - outside < CONFIDENCE:
            break
        k += 1
    return (ordered[k - 1], ordered[n - k]) if k > 0 else None


def figure(run, suite, bench, engine):
    """The Figure of a benchmark on an engine, or None where no process came through."""
    groups = [costs(s) for s in run.of(suite, bench, engine) if s["t1"]]
    return Figure(groups) if groups else None


def cold(run, suite, bench, engine):
    values = [s["cold"] for s in run.of(suite, bench, engine) if s.get("cold") is not None]
    return statistics.median(values) if values else None


def events(run, suite, bench, engine):
    """Event -> median of how often it happens in one iteration, for each event that the engine counts; or None."""
    names = run.engines.get(engine, {}).get("counts") or []
    collected = {}
    for sample in run.of(suite, bench, engine):
        for name, rates in event_rates(sample, names).items():
            collected.setdefault(name, []).extend(rates)
    return {name: statistics.median(rates) for name, rates in collected.items()} or None


def why_missing(run, suite, image, bench, engine):
    """In one line, why a benchmark has no figure on an engine."""
    record = run.engines.get(engine)
    if record and not record.get("available", True):
        return record.get("reason") or "this engine cannot run here"
    for group in (run.failed, run.skipped):
        for r in group:
            if (r["suite"], r["image"], r["engine"]) == (suite, image, engine) and r.get("bench") in (None, bench):
                return r.get("reason") or "no reason recorded"
    if engine == "native" and bench.endswith("_user"):
        return "a native program runs at CPL 3 as it is: see the row without _user"
    if any(not s["t1"] for s in run.of(suite, bench, engine)):
        return "runs once: its time is the first pass"
    described = run.images.get((suite, image))
    if engine == "native" and described and not described.get("native"):
        return "needs CPL 0: no native program, only a boot on the bare machine"
    return "not measured" if run.end and run.end.get("complete") else "not measured: the run was interrupted"


def native_base(run, suite, image, bench):
    """The native median that a row is held against: its own, or its image's where only that has a native program."""
    for name in (bench, image):
        found = figure(run, suite, name, "native")
        if found and found.median > 0:
            return found.median
    return None


def reference(path=REFERENCE, group="nano"):
    """benchmark -> (native, software, hardware) of a group of the paper's rows; nano: in its Pentium 4's cycles."""
    rows = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith(group + ","):
                _, name, _, native, software, hardware = line.split(",")[:6]
                rows[name] = (float(native), float(software), float(hardware))
    return rows


def exit_costs(path=os.path.join(os.path.dirname(REFERENCE), "exit-costs.csv")):
    """(processor, event, cycles, source) of each published cost of an exit."""
    with open(path, encoding="utf-8") as file:
        rows = [line.strip().split(",", 3) for line in file if line.strip() and not line.startswith("#")]
    return [(cpu, event, float(cycles), source) for cpu, event, cycles, source in rows]


# ---- In words ----

def column(run, engine):
    return run.engines.get(engine, {}).get("column") or engine


def cycles_text(value):
    """A figure with the digits that it can carry."""
    if value is None:
        return ""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2
    text = f"{value:,.{digits}f}"
    return "0.00" if text == "-0.00" else text


def count_text(number, thing, things=None):
    return f"{number} {thing if number == 1 else things or thing + 's'}"


def machine_line(run):
    """One line that says on what machine the figures hold."""
    m = run.machine
    place = f"in a VM ({m['hypervisor']})" if m.get("hypervisor") else "bare metal"
    khz = m.get("tsc_khz")
    clock = f", TSC {khz / 1e6:.2f} GHz" if khz else ""
    return f"{m.get('cpu_model') or 'unknown CPU'}{clock}, {place}"


def base_engine(name):
    """The engine that a variant (`bt:no-chaining`) is one of; any other name is its own."""
    return name.split(":")[0]


def engine_order(run):
    """Names of the run's engines in the order of the tables' columns; variants behind their engine, as the run had them."""
    known = ["native", "interp", "bt", "vtx"]
    names = list(dict.fromkeys(list(run.engines) + [r["engine"] for r in run.samples]))

    def key(name):
        base = base_engine(name)
        place = known.index(base) if base in known else len(known)
        return place, base, base != name, names.index(name) if base != name else 0
    return sorted(names, key=key)


def variants(run):
    """The run's variants of engines, such as `bt:no-chaining`."""
    return [name for name in engine_order(run) if base_engine(name) != name]


def geometric_mean(values):
    """None of no values."""
    return math.exp(statistics.fmean(math.log(v) for v in values)) if values else None
