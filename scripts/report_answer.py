# SPDX-License-Identifier: BSD-2-Clause
"""What the report says first: who is the cheapest where, row by row, and a sentence from each section. Every figure in it is
taken from the results files; what they do not have is left out."""
import statistics

import ablation
import exits
import figure5
import peers_table
import process
import report_model
import report_sections as sections
import results
import table
from report_html import ColumnKinds, inline, mark

WINNERS = ColumnKinds("measured", rows=[(r"^2006", "published")])
FAR = 3.0  # times the cheapest, from which on a row is named
WORTH = 1.1  # a technique that is worth less is not


def listed(names):
    return ", ".join(names) if names else "none"


# ---- Who is the cheapest ----

def groups(context):
    """(title, run, engines, [(suite, bench)], paper) of the table's columns. paper: row -> the cheaper of the paper's VMMs."""
    found = []
    run = context.of_suite("nano")
    if run:
        nano = [("nano", bench) for _, bench in run.benches("nano") if bench != table.CONTROL]
        paper = {row: ["software VMM"] if v[1] < v[2] else ["hardware VMM"] for row, v in results.reference().items()}
        found.append(("one operation", run, sections.plot.shown(run), nano, paper))
    run = context.of_suite("micro")
    for title, user in (("kernels, CPL 0", False), ("kernels, CPL 3", True)):
        rows = [("micro", bench) for _, bench in run.benches("micro") if bench.endswith("_user") == user] if run else []
        if rows:
            found.append((title, run, sections.plot.shown(run), rows, {}))
    for title, suites in (("processes and servers", ("process", "macro")), ("programs that compute", ("user",))):
        run = next((context.of_suite(s) for s in suites if context.of_suite(s)), None)
        rows = [(suite, bench) for suite, _, bench in process.rows_of(run) if suite in suites] if run else []
        if rows:
            paper = {b: ["software VMM"] if r[0] < r[1] else ["hardware VMM"] for b in process.PAPER
                     for r in [process.paper_ratios(b)] if any(b == bench for _, bench in rows)}
            found.append((title, run, process.shown(run), rows, paper))
    return found


def winners_table(context):
    """A row for each technique, the paper's first: in which rows of each group it is the cheapest."""
    made = {}
    columns = groups(context)
    for number, (_, run, engines, rows, paper) in enumerate(columns):
        for who in ("software VMM", "hardware VMM"):
            names = [bench for _, bench in rows if who in paper.get(bench, ())]
            if paper:
                made.setdefault(f"2006, Pentium 4: {who}", {})[number] = cell(names, len([b for _, b in rows if b in paper]))
        for engine in (e for e in engines if e != "native"):
            others = [e for e in engines if e != "native"]
            compared = [b for s, b in rows if len([e for e in others if results.figure(run, s, b, e)]) > 1
                        and results.figure(run, s, b, engine)]
            names = [b for s, b in rows if engine in sections.cheapest(run, s, b, others)]
            if compared:
                made.setdefault(results.column(run, engine), {})[number] = cell(names, len(compared))
    rows = [[who] + [cells.get(i, "") for i in range(len(columns))] for who, cells in sorted(made.items(), key=lambda row: place(row[0], columns))]
    return table.markdown(["cheapest in the rows of"] + [title for title, *_ in columns], rows) if rows else []


def place(who, columns):
    """The paper's first, then in the order of all other tables."""
    order = [results.column(run, e) for _, run, *_ in columns[-1:] for e in results.engine_order(run)]
    return order.index(who) if who in order else -1 if who.startswith("2006") else len(order)


def cell(names, among):
    return f"{len(names)} of {among}" + (f": {', '.join(names)}" if names else "")


# ---- A sentence from each section ----

def of_operations(context):
    run = context.of_suite("nano")
    if not run or not {"bt", "interp"} <= set(run.engines):
        return None
    dear = []
    for _, bench in run.benches("nano"):
        figures = {e: results.figure(run, "nano", bench, e) for e in ("bt", "interp")}
        if bench != table.CONTROL and all(figures.values()):
            bt, interp = (max(figures[e].median, ablation.ONE_CYCLE) for e in ("bt", "interp"))
            dear += [(bt / interp, bench)] if bt / interp >= FAR else []
    if not dear:
        return None
    return ("nano", "The translator (bt) pays for what leaves the translation cache: against the interpreter it is dear on " +
            listed(f"{b} ({peers_table.times(r)} times)" for r, b in sorted(dear, reverse=True)) + ".", "measured")


def of_shape(context):
    """Whether software and hardware stand in the paper's order, which takes hardware."""
    run = context.of_suite("nano")
    if not run or "vtx" not in run.engines:
        return None
    vtx = run.engines["vtx"]
    if not vtx.get("available", True):
        return ("nano", f"The paper's hardware column has no counterpart here: {vtx.get('reason') or 'vtx cannot run'}.", "")
    if not vtx.get("hardware"):
        return ("nano", f"The paper's hardware column has no counterpart here: {results.column(run, 'vtx')}. Who wins, software or hardware, "
                "this run cannot say; exits are counted elsewhere (below).", "")
    same, other = [], []
    for bench, (_, software, hardware) in results.reference().items():
        figures = [results.figure(run, "nano", bench, e) for e in ("bt", "vtx")]
        if all(figures):
            (same if (software < hardware) == (figures[0].median < figures[1].median) else other).append(bench)
    return ("nano", f"Software and hardware VMM (bt, {results.column(run, 'vtx')}) stand in the paper's order on {listed(same)}; the other way "
            f"round on {listed(other)}.", "measured")


def share(run, engine, user):
    """Geometric mean of native time over the engine's; None where a kernel lacks one."""
    rows = [(i, b) for i, b in run.benches("micro") if b.endswith("_user") == user]
    pairs = [(results.native_base(run, "micro", i, b), results.figure(run, "micro", b, engine)) for i, b in rows]
    if not pairs or not all(base and f and f.median > 0 for base, f in pairs):
        return None
    return results.geometric_mean([base / f.median for base, f in pairs])


def share_text(value):
    return f"{value:.2f}" if value > 0.095 else f"{value:.4f}"


def of_kernels(context):
    run = context.of_suite("micro")
    found = []
    for engine in sections.plot.shown(run) if run else []:
        shares = [(where, share(run, engine, user)) for where, user in (("CPL 0", False), ("CPL 3", True))]
        texts = [f"{share_text(s)} at {where}" for where, s in shares if s]
        if engine != "native" and texts:
            found.append(f"{named(run, engine)} {' and '.join(texts)}")
    return ("micro", f"Kernels that compute, times native speed (geometric means): {'; '.join(found)}.", "measured") if found else None


def named(run, engine):
    """The engine, and with it what must never be left out: that a back end is not hardware."""
    return results.column(run, engine) if results.base_engine(engine) == "vtx" else engine


def of_forkwait(context):
    run = context.of_suite("process")
    base = results.native_base(run, "process", "forkwait", "forkwait") if run else None
    if not base:
        return None
    figures = {e: results.figure(run, "process", "forkwait", e) for e in process.shown(run) if e != "native"}
    texts = [f"{named(run, e)} {process.ratio_text(f.median / base)}" for e, f in figures.items() if f]
    software, hardware = process.paper_ratios("forkwait")
    return ("processes", f"forkwait, times the native program's time: {'; '.join(texts)}. In 2006: software VMM {process.ratio_text(software)}, hardware "
            f"VMM {process.ratio_text(hardware)}. Native is the host's Linux, the guest's kernel is Bantam, far smaller.", "measured published")


def of_user_code(context):
    run = context.of_suite("process") or context.of_suite("user")
    if not run or not set(process.USER) <= set(run.engines):
        return None
    less = {"direct": [], "translated": []}
    for suite, _, bench in process.rows_of(run):
        figures = {way: results.figure(run, suite, bench, f"bt:user={way}") for way in less}
        if all(figures.values()):
            cycles = {way: f.median for way, f in figures.items()}
            least = min(cycles, key=cycles.get)
            if max(cycles.values()) > process.LEVEL * cycles[least]:
                less[least].append(process.label(suite, bench))
    if not any(less.values()):
        return None
    return ("processes", f"User code of bt is cheaper run directly on {listed(less['direct'])}; translated on {listed(less['translated'])}; by what it "
            "measures bt chooses (`--bt-user=auto`).", "measured")


def of_boot(context):
    run = context.run("boot")
    if not run or not figure5.engines(run):
        return None
    engine = figure5.engines(run)[0]
    total, translate = figure5.total_ms(run, engine), figure5.translation_ms(run, engine)
    part = f", translating is {translate / total:.0%} of it" if translate else ""
    return ("boot", f"A boot and power-off of Bantam takes {figure5.ms_text(total)} ms on {engine}{part}; counts times unit costs leave "
            f"{figure5.unexplained_ms(run, engine) / total:.0%} unexplained.", "modelled")


def most_worth(run):
    """(factor, variant, group): by how much each group of benchmarks gets dearer, the largest of each variant."""
    found = []
    for engine in ablation.columns(run):
        means = [(ablation.mean(run, suite, benches, engine), name) for name, suite, benches in ablation.groups(run)]
        means = [(m, name) for m, name in means if m]
        if means and max(means)[0] >= WORTH:
            found.append((max(means)[0], engine, max(means)[1]))
    return sorted(found, reverse=True)


def of_techniques(context):
    run = context.run("ablation")
    found = most_worth(run) if run else []
    if not found:
        return None
    texts = [f"`{ablation.short(e)}` {ablation.factor_text(m)} times on {group}" for m, e, group in found]
    return ("ablation", f"What a technique is worth, as the cost without it (geometric mean, its worst group): {'; '.join(texts)}.", "measured")


def ways_to_page(run):
    return [(words, [e for e in exits.engines(run) if run.engines[e]["paging"].startswith("nested") == nested])
            for words, nested in (("shadow", False), ("nested", True))]


def of_exits(context):
    run = context.run("exits")
    if not run:
        return None
    texts = []
    for words, engines in ways_to_page(run):
        own = {b: [exits.own(run, "nano", b, e) for e in engines] for _, b in run.benches("nano")}
        rows = {b: found for b, found in own.items() if any(found)}
        exiting = [b for b, found in rows.items() if any(exits.happens(v) for one in found for v in one.values())]
        if rows:
            texts.append(f"with {words} paging {len(exiting)} of {len(rows)} operations exit ({listed(exiting)})")
    return ("exits", f"Exits of hardware virtualization, counted on emulated silicon: {'; '.join(texts)}.", "counted") if texts else None


def forkwait_exits(run):
    """(shadow, nested): the most exits of a forkwait on any back end; None where there is no count."""
    found = []
    for _, engines in ways_to_page(run):
        counts = [exits.own(run, "process", "forkwait", e) for e in engines]
        sums = [sum(map(statistics.mean, one.values())) for one in counts if one]
        found.append(max(sums) if sums else None)
    return found


def of_peers(context):
    run = context.run("peers")
    ranked = {suite: peers_table.ranked(run, suite) for suite in run.suites()} if run else {}
    better, worse, level = ([one for groups in ranked.values() if groups for one in groups[i]] for i in range(3))
    if not better and not worse:
        return None
    behind = listed(f"{b} ({peers_table.times(r)} times)" for r, b in sorted(worse, reverse=True))
    return ("peers", f"Against QEMU's translator (TCG) bt is ahead on {len(better)} of {len(better + worse + level)} rows, level on {len(level)}, "
            f"behind on {behind}.", "measured")


SENTENCES = [of_operations, of_shape, of_kernels, of_forkwait, of_user_code, of_boot, of_techniques, of_exits, of_peers,
             lambda _: report_model.sentence()]


# ---- Tiles ----

def tiles(context):
    """(figure, what it is, kind) of the few that stand in large type."""
    found = []
    run = context.of_suite("micro")
    speed = share(run, "bt", False) if run else None
    if speed:
        found.append((f"{share_text(speed)} ×", "native speed: kernels at CPL 0 on bt, geometric mean", "measured"))
    run = context.run("peers")
    rank = peers_table.ranked(run, "process") if run else None
    factor = next((r for r, b in rank[0] if b == "forkwait"), None) if rank else None
    if factor:
        found.append((f"{peers_table.times(factor)} ×", "the speed of QEMU TCG: forkwait on bt", "measured"))
    run = context.run("boot")
    if run and figure5.engines(run):
        engine = figure5.engines(run)[0]
        found.append((f"{figure5.ms_text(figure5.total_ms(run, engine))} ms", f"boot and power-off of the guest Unix on {engine}", "measured"))
    run = context.run("ablation")
    most = most_worth(run) if run else []
    if most:
        found.append((f"{ablation.factor_text(most[0][0])} ×", f"the cost of {most[0][2]} with bt:{ablation.short(most[0][1])}, against bt", "measured"))
    run = context.run("exits")
    shadow, nested = forkwait_exits(run) if run else (None, None)
    if shadow is not None and nested is not None:
        found.append((f"{shadow:.0f} → {nested:.0f}", "exits of one forkwait, shadow → nested paging", "counted"))
    return found


def section(page, context):
    made = tiles(context)
    if made:
        page.raw('<dl class="tiles">' + "".join(
            f"<div><dt>{inline(what)}</dt><dd>{inline(figure)} {mark(kind)}</dd></div>" for figure, what, kind in made) + "</dl>")
    lines = winners_table(context)
    if lines:
        _, run, engines, *_ = max(groups(context), key=lambda group: len(group[2]))
        page.lines(lines, "Which technique is the cheapest, row by row", WINNERS, sections.scope(run, engines))
        page.text("Cheapest: the least cost in the row, or within 5 % of it; costs below one cycle count as one; native stands apart.", "note")
    sentences = [s for s in (make(context) for make in SENTENCES) if s]
    if sentences:
        page.raw('<ul class="answers">' + "".join(
            f'<li>{inline(text)} {" ".join(map(mark, kinds.split()))} <a href="#{ident}" aria-label="to the section {ident}">→</a></li>' for ident, text, kinds in sentences) + "</ul>")
    if not lines and not sentences:
        page.text("Nothing in these files can be compared.", "missing")
