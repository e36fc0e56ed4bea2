# SPDX-License-Identifier: BSD-2-Clause
"""Tables from a results file of peers.py: speed of each engine on the same images by the host's clock."""
import statistics

import results


def nanoseconds(run, suite, bench, engine):
    """Median cost of one iteration in ns, by the host's clock; None where nothing was measured."""
    groups = [[(b - a) / s["n"] for a, b in zip(s["run_n_ns"], s["run_2n_ns"])] for s in run.of(suite, bench, engine)]
    return statistics.median(statistics.median(group) for group in groups) if groups else None


def agreement(run, engine):
    """How far the host's clock and the guest's own TSC are apart over the same runs, as shares: (median, largest of the
    benchmarks); None where the TSC's frequency is not known."""
    khz = run.machine.get("tsc_khz")
    apart = {}
    for s in run.samples if khz else []:
        if s["engine"] == engine and s["suite"] == "micro":
            pairs = zip(s["run_n_ns"], s["run_2n_ns"], s["t1"], s["t2"])
            apart.setdefault(s["bench"], []).extend(
                abs((b - a) / ((t2 - t1) * 1e6 / khz) - 1) for a, b, t1, t2 in pairs if t2 != t1)
    medians = [statistics.median(values) for values in apart.values() if values]
    return (statistics.median(medians), max(medians)) if medians else None


def agreements(run):
    out = []
    for engine in results.engine_order(run):
        apart = agreement(run, engine) if engine not in ("bochs", "native") else None
        if apart:
            out.append(f"- {engine}, micro: over the same runs the guest's own TSC is {apart[0]:.2%} apart from this clock "
                       f"(median of the benchmarks; {apart[1]:.2%} at most).")
    return out + [""] if out else []


def instructions(run, suite, image, bench):
    return (run.images.get((suite, image), {}).get("instructions") or {}).get(bench)


def ratio(other, own):
    return f"{other / own:.2f}" if other and own and other > 0 and own > 0 else "n/a"


def engines_of(run, suite):
    """The engines that were asked to run images of the suite."""
    asked = {r["engine"] for r in run.samples + run.failed if r["suite"] == suite}
    return [e for e in results.engine_order(run) if e in asked]


def number(value):
    if value is None:
        return "n/a"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}" if abs(value) >= 10 else f"{value:,.2f}"


# (whose speed, times whose): columns where a run has both.
RATIOS = {("bt", "native"): "bt, times native speed", ("bt", "qemu-tcg"): "bt, times QEMU's speed",
          ("interp", "bochs"): "interp, times Bochs' speed", ("interp", "qemu-tcg"): "interp, times QEMU's speed"}


def ratios(run, suite):
    """What can be compared; natively only whole programs, where the loop around a subject is no part of the figure."""
    engines = engines_of(run, suite)
    return [pair for pair in RATIOS if all(engine in engines for engine in pair)
            and (suite != "nano" or "native" not in pair)]


def all_ns(run, suite, image, bench):
    """Engine -> ns of an iteration. Code at CPL 3 has its image's native program."""
    ns = {e: nanoseconds(run, suite, bench, e) for e in engines_of(run, suite)}
    if "native" in ns and ns["native"] is None:
        ns["native"] = nanoseconds(run, suite, image, "native")
    return ns


def rows(run, suite, cell):
    """One row a benchmark: its name, its instructions, cell(ns, instructions) for each engine, the ratios."""
    made = []
    for image, bench in run.benches(suite):
        count = instructions(run, suite, image, bench)
        ns = all_ns(run, suite, image, bench)
        made.append([bench, number(count)] + [cell(ns[e], count) for e in ns] +
                    [ratio(ns[other], ns[own]) for own, other in ratios(run, suite)])
    return made


def means(run, suite):
    """Geometric means of the ratios, kernels at CPL 0 and at CPL 3 apart; no mean of a group with a gap."""
    made = []
    for name, user in (("geometric mean, CPL 0", False), ("geometric mean, CPL 3", True)):
        group = [all_ns(run, suite, i, b) for i, b in run.benches(suite) if b.endswith("_user") == user]
        cells = []
        for own, other in ratios(run, suite):
            pairs = [(ns[other], ns[own]) for ns in group]
            whole_group = pairs and all(a and b and a > 0 and b > 0 for a, b in pairs)
            mean = results.geometric_mean([a / b for a, b in pairs]) if whole_group else None
            cells.append(f"{mean:.2f}" if mean else "n/a")
        made += [[f"*{name}*", ""] + [""] * len(engines_of(run, suite)) + cells] if group else []
    return made


def times(ratio_of_costs):
    return f"{ratio_of_costs:,.1f}" if ratio_of_costs < 100 else f"{ratio_of_costs:,.0f}"


LEVEL = 1.05  # a difference below this is none


def ranked(run, suite, own="bt", other="qemu-tcg"):
    """([(times, bench)] where bt costs less than QEMU, where more, and where the same); None where not both ran."""
    if (own, other) not in ratios(run, suite):
        return None
    better, worse, level = [], [], []
    for image, bench in run.benches(suite):
        ns = all_ns(run, suite, image, bench)
        if bench == "idle" or not ns[own] or not ns[other] or min(ns[own], ns[other]) <= 0:
            continue
        factor = ns[own] / ns[other]
        group = level if 1 / LEVEL <= factor <= LEVEL else worse if factor > 1 else better
        group.append((max(factor, 1 / factor), bench))
    return better, worse, level


def ahead(run, suite):
    """The same in words."""
    groups = ranked(run, suite)
    if not groups:
        return []
    better, worse, level = groups

    def text(group):
        return ", ".join(f"{b} ({times(r)} times)" for r, b in sorted(group, reverse=True)) or "nothing"
    out = [f"- {suite}: bt is ahead of QEMU TCG on {text(better)}.", f"- {suite}: bt is behind on {text(worse)}."]
    if level:
        out.append(f"- {suite}: no difference to speak of on {', '.join(b for _, b in level)}.")
    return out + [""]


def markdown(columns, body):
    out = ["| " + " | ".join(columns) + " |", "|---|" + "---:|" * (len(columns) - 1)]
    return out + ["| " + " | ".join(row) + " |" for row in body]


def suite_table(run, suite):
    """micro in million guest instructions a second, everything else in ns an iteration."""
    def speed(ns, count):
        return number(count / ns * 1000) if ns and ns > 0 and count else "n/a"
    cell = speed if suite == "micro" else lambda ns, count: number(ns)
    columns = ["benchmark", "instructions an iteration"] + [results.column(run, e) for e in engines_of(run, suite)]
    columns += [RATIOS[pair] for pair in ratios(run, suite)]
    return markdown(columns, rows(run, suite, cell) + (means(run, suite) if suite == "micro" else []))


UNITS = {"micro": "million guest instructions a second"}


def process_table(run):
    """What needs an operating system, the very same image bytes everywhere."""
    return table(run, [suite for suite in run.suites() if suite in results.PROCESS_SUITES])


def process_ahead(run):
    """Where bt is ahead of QEMU on what needs an operating system, and where behind."""
    return ahead(run, "process") + ahead(run, "macro")


def kernels_table(run):
    """What needs none."""
    return table(run, [suite for suite in run.suites() if suite not in results.PROCESS_SUITES])


def table(run, suites=None):
    out = []
    for suite in run.suites() if suites is None else suites:
        out += [f"{suite}: {UNITS.get(suite, 'nanoseconds an iteration')}", ""] + suite_table(run, suite) + [""] + ahead(run, suite)
    return out + (agreements(run) if suites is None or "micro" in suites else []) + failures(run, suites)


def failures(run, suites=None):
    """One line for each reason for which an engine has no figure."""
    seen = {}
    for r in (r for r in run.failed if suites is None or r["suite"] in suites):
        seen.setdefault((r["engine"], r["reason"]), set()).add(f"{r['suite']}/{r['image']}")
    return [f"- {engine}, {', '.join(sorted(names))}: {reason}" for (engine, reason), names in sorted(seen.items())]


def scope(run):
    h = run.header
    elsewhere = " (user code that bt runs directly: on another)" if "bt:user=direct" in run.engines else ""
    versions = [e["version"] for e in run.engines.values() if e.get("version")]
    out = ["; ".join([results.machine_line(run)] + versions) + ".",
           f"{h['time']}: median of {results.count_text(h['runs'], 'process', 'processes')} x "
           f"{results.count_text(h['reps'], 'repetition')}, runs of n of at least "
           f"{h['seconds']} s, random order with seed {h['seed']}, all on CPU {h['cpu']}{elsewhere}, by the host's clock."]
    if run.quick():
        out.append("A quick run: for a first look, not for a published figure.")
    if not (run.end and run.end.get("complete")):
        out.append("The run was interrupted: what is here had been measured by then.")
    return [line + "  " for line in out]


def whole(run):
    return scope(run) + [""] + table(run)
