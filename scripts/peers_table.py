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
        apart = agreement(run, engine) if engine != "bochs" else None
        if apart:
            out.append(f"- {engine}, micro: over the same runs the guest's own TSC is {apart[0]:.2%} apart from this clock "
                       f"(median of the benchmarks; {apart[1]:.2%} at most).")
    return out + [""] if out else []


def instructions(run, suite, image, bench):
    return (run.images.get((suite, image), {}).get("instructions") or {}).get(bench)


def ratio(other, own):
    return f"{other / own:.2f}" if other and own and other > 0 and own > 0 else "n/a"


def head(run):
    return [results.column(run, engine) for engine in results.engine_order(run)]


def number(value):
    if value is None:
        return "n/a"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}" if abs(value) >= 10 else f"{value:,.2f}"


def rows(run, suite, cell):
    """One row a benchmark: its name, its instructions, cell(ns, instructions) for each engine, the ratios."""
    made = []
    for image, bench in run.benches(suite):
        count = instructions(run, suite, image, bench)
        ns = {e: nanoseconds(run, suite, bench, e) for e in results.engine_order(run)}
        made.append([bench, number(count)] + [cell(ns[e], count) for e in ns] +
                    [ratio(ns.get("bochs"), ns.get("interp")), ratio(ns.get("qemu-tcg"), ns.get("interp"))])
    return made


def markdown(columns, body):
    out = ["| " + " | ".join(columns) + " |", "|---|" + "---:|" * (len(columns) - 1)]
    return out + ["| " + " | ".join(row) + " |" for row in body]


def suite_table(run, suite):
    """micro in million guest instructions a second, everything else in ns an iteration."""
    def speed(ns, count):
        return number(count / ns * 1000) if ns and ns > 0 and count else "n/a"
    cell = speed if suite == "micro" else lambda ns, count: number(ns)
    columns = ["benchmark", "instructions an iteration"] + head(run)
    columns += ["interp, times Bochs' speed", "interp, times QEMU's speed"]
    return markdown(columns, rows(run, suite, cell))


UNITS = {"micro": "million guest instructions a second"}


def table(run):
    out = []
    for suite in run.suites():
        out += [f"{suite}: {UNITS.get(suite, 'nanoseconds an iteration')}", ""] + suite_table(run, suite) + [""]
    return out + agreements(run) + failures(run)


def failures(run):
    """One line for each reason for which an engine has no figure."""
    seen = {}
    for r in run.failed:
        seen.setdefault((r["engine"], r["reason"]), set()).add(f"{r['suite']}/{r['image']}")
    return [f"- {engine}, {', '.join(sorted(names))}: {reason}" for (engine, reason), names in sorted(seen.items())]


def scope(run):
    h = run.header
    versions = [e["version"] for e in run.engines.values() if e.get("version")]
    out = [results.machine_line(run) + "; " + "; ".join(versions) + ".",
           f"{h['time']}: median of {results.count_text(h['runs'], 'process', 'processes')} x "
           f"{results.count_text(h['reps'], 'repetition')}, runs of n of at least "
           f"{h['seconds']} s, random order with seed {h['seed']}, all on CPU {h['cpu']}, by the host's clock."]
    if run.quick():
        out.append("A quick run: for a first look, not for a published figure.")
    if not (run.end and run.end.get("complete")):
        out.append("The run was interrupted: what is here had been measured by then.")
    return [line + "  " for line in out]


def whole(run):
    return scope(run) + [""] + table(run)
