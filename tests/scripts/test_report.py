#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The report: a valid page that stands alone, from each kind of results file, from a real run; what each figure is of, and
that no software back end passes as hardware. test_report_cut.py has half files, test_report_browser.py a browser."""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.join(HERE, "../../scripts")
sys.path.insert(0, SCRIPTS)
import _fixture
import _page
import kinds
import report
import report_html
import results
from _ok import check, done

RINGSIDE = os.environ.get("RINGSIDE", "build/ringside")
SECTIONS = [name for name, _, _ in report.SECTIONS]


def run(*args):
    return subprocess.run([sys.executable, os.path.join(SCRIPTS, "report.py"), *args], capture_output=True, text=True, timeout=400)


def page_of(paths, out):
    made = run(*paths, f"--out={out}")
    check(f"{', '.join(map(os.path.basename, paths)) or 'the default'}: a page {made.stderr.strip()[-300:]}", made.returncode == 0)
    with open(out, encoding="utf-8") as file:
        text = file.read()
    page = _page.Page(text)
    found = _page.faults(page)
    check(f"it is valid and stands alone {found[:5]}", not found)
    check("all sections are there", list(page.sections) == SECTIONS)
    return page, text


def whole(folder):
    """The run that is published: every kind of file, every picture."""
    page, text = page_of([report.published()], os.path.join(folder, "published.html"))
    captions = [t["caption"] for t in page.tables]
    check("the model stands against what was measured, counted and published", all(any(re.match(what, c) for c in captions) for what in (
        "This machine: each event", "Exits of one operation, modelled", "What others published")))
    check("no section is missing anything", not re.search(r'class="missing"', text))
    check("a picture of each kind", page.svgs == 11)
    check("tables of everything", len(page.tables) > 40)
    check("the answer is first, and names the winners row by row", SECTIONS[0] == "answer" and "Which technique is the cheapest" in captions[0])
    run_of = results.load(report.published())[-1]
    cost = results.cycles_text(results.figure(run_of, "nano", "in", "bt").median)
    check("a figure is the table's own", f">{cost}<" in text)
    marked = [t for t in page.tables if t["marks"]]
    check("figures of all four kinds", set().union(*(t["marks"] for t in marked)) == set(kinds.KINDS))
    plain = [t["caption"] for t in page.tables if not t["marks"]]
    check("only what the program recorded has no mark", all(re.match(r"The machine|.*as the kernel says|Results files|Images", c) for c in plain))
    check("every caption names its scope", text.count('class="scope"') == len(captions))
    heads = [h for t in page.tables for h in t["head"] if re.match(r"vtx\b.*kvm_", h)]
    check("a software back end is never shown as hardware", heads and all("not hardware" in h for h in heads))
    check("every file by its digest", all(report.report_rest.sha256(p) in text for p in glob.glob(report.base_of(report.published()) + "*.jsonl")))


def one_of_each(folder):
    """A run made up, of which only some is there; then every kind of file."""
    base = os.path.join(folder, "made.jsonl")
    _fixture.make(base)
    page, _ = page_of([base], os.path.join(folder, "one.html"))
    check("what has no file says how to make one", "scripts/boot.py --out=made-boot.jsonl" in page.sections["boot"])
    check("and the reader is told at once", "Not here, as there is no results file: benchmarks of processes" in page.text)
    for suffix, make in (("process", _fixture.make_process), ("boot", _fixture.make_boot), ("peers", _fixture.make_peers),
                         ("linux", _fixture.make_linux)):
        make(os.path.join(folder, f"made-{suffix}.jsonl"))
    exits = _fixture.make_exits(os.path.join(folder, "other.jsonl"))
    page, text = page_of([base, exits], os.path.join(folder, "each.html"))
    check("the files beside it are taken", "forkwait, times the native program's time: interp 9.00; bt 4.00" in page.text)
    check("Linux as the guest is there", "2.50" in page.sections["linux"] and "1.80" in page.sections["linux"])
    check("who wins: a sentence by rows", "2 of 2: crc, sort" in page.text)
    check("a file that is named stands before the committed one", "kvm_soft, shadow (npt=0), Emulator" in page.sections["exits"])
    verdicts = page.sections["claims"]
    check("the paper's claims are judged by these files", "claims: " in verdicts and "the whole boot: 12.0 ms" in verdicts and
          "not testable here" in verdicts and "4,009" not in verdicts)
    check("figures beside the paper's", "12.0 ms" not in page.sections["boot"] and "Figure 5" in page.sections["boot"])


def real(folder):
    path = os.path.join(folder, "real.jsonl")
    made = subprocess.run([RINGSIDE, "bench", "idle", "in", "cr8wr", "callret", "crc", "--engines=native,interp,bt", "--runs=1", "--reps=2",
                           "--cycles=20000", "--seed=1", f"--out={path}"], capture_output=True, text=True, timeout=400)
    check(f"a quick run {made.stderr.strip()[-160:]}", made.returncode == 0)
    page, _ = page_of([path], os.path.join(folder, "real.html"))
    check("its machine is described", "compiler" in page.sections["machine"] and "gcc" in page.sections["machine"])


def without_program(folder):
    """Where nothing is built, the model's section says so, and all else is there."""
    out = os.path.join(folder, "unbuilt.html")
    env = dict(os.environ, RINGSIDE=os.path.join(folder, "absent"))
    subprocess.run([sys.executable, os.path.join(SCRIPTS, "report.py"), _fixture.make(os.path.join(folder, "u.jsonl")), f"--out={out}"], env=env, timeout=400)
    with open(out, encoding="utf-8") as file:
        page = _page.Page(file.read())
    check(f"without the program: all but the model {_page.faults(page)[:3]}", not _page.faults(page) and "Left out" in page.sections["model"] and
          "absent is not there" in page.sections["model"] and "are left out" in page.sections["claims"] and "reproduced" in page.sections["claims"])


def refused(folder):
    bad = os.path.join(folder, "bad.jsonl")
    for name, text in (("no JSON", '{"type": "run"}\nnonsense\n{}\n'), ("no run", '{"type": "sample"}\n'), ("nothing", "")):
        with open(bad, "w", encoding="utf-8") as file:
            file.write(text)
        made = run(bad, f"--out={folder}/x.html")
        check(f"a file with {name}: one line, status 1", made.returncode == 1 and re.fullmatch(r"report: .*bad.jsonl.*\n", made.stderr))
    made = run(os.path.join(folder, "absent.jsonl"), f"--out={folder}/x.html")
    check("a file that is not there: one line, status 1", made.returncode == 1 and made.stderr.count("\n") == 1)
    check("an unknown option: status 2", run("--nonsense").returncode == 2)
    first, second = (_fixture.make(os.path.join(folder, f"{n}.jsonl")) for n in "ab")
    made = run(first, second, f"--out={folder}/x.html")
    check("two runs of a kind: one line, status 1", made.returncode == 1 and "one page shows one run" in made.stderr)
    check("no page is left behind", not os.path.exists(f"{folder}/x.html"))


def pieces():
    few = [["x", "1"]] * report_html.ON_PAPER
    check("a table that a sheet holds is not cut in two", report_html.fits_on_paper(few) and not report_html.fits_on_paper(few + [["x", "1"]]))
    check("rows of many lines are as many", not report_html.fits_on_paper([["x", "a long sentence " * 20]] * 20))
    """Of the way from lines to HTML."""
    page = report_html.Page()
    page.lines(["On <b>:", "", "| benchmark | vtx: a, b | `x=y` |", "|---|---:|---:|", "| in | n/a [1] | 3 ~ |", "", "~ unsteady", "[1] why & how"],
               "T", report_html.ColumnKinds("measured", [("^`", "counted")]), "S")
    text = "\n".join(page.out)
    check("what is not ours is escaped", "&lt;b&gt;" in text and "why &amp; how" in text and "<b>" not in text)
    check("the text above a table is its caption's", 'class="title">T: On &lt;b&gt;<' in text)
    check("a note is linked", 'href="#table-1-note-1"' in text and 'id="table-1-note-1"' in text)
    check("a name and what it stands for", '<span class="who">vtx</span> <span class="what">a, b</span>' in text)
    check("a column has its own kind, and one without a figure none", text.count('aria-label="counted"') == 2 and 'aria-label="measured"' in text)
    page = report_html.Page()
    page.lines(["| a | b |", "|---|---:|"], "T")
    check("an empty table is a line that says so", page.out == ['<p class="missing">T: none.</p>'])
    try:
        report_html.Page().lines(["| a | b |", "|---|---:|", "| 1 |"], "T")
        check("a short row is an error", False)
    except ValueError:
        check("a short row is an error", True)
    try:
        report_html.Page().lines(["| a | b |", "|---|---:|", "| x | 1 |"], "T", report_html.ColumnKinds("published"), block="micro")
        check("a kind that kinds.py does not name is an error", False)
    except ValueError:
        check("a kind that kinds.py does not name is an error", True)
    svg = ('<svg width="10" height="20" xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"><defs><path id="o"/><g id="p"><use xlink:href="#q"/></g><path id="q"/></defs>'
           '<clipPath id="c"/><g clip-path="url(#c)" id="g"><use xlink:href="#p"/></g><g><g></g></g></svg>')
    one, two = (report_html.inline_svg(svg, name, "words") for name in ("picture-1", "picture-2"))
    found = re.findall(r'id="([^"]+)"', one + two)
    check("ids of two pictures differ, and references follow", len(found) == len(set(found)) and "url(#picture-1-c)" in one and "#picture-2-p" in two and "#picture-2-q" in two)
    check("what nothing refers to and empty groups go", not {"picture-1-g", "picture-1-o"} & set(found) and one.count("<g") == 2)


class Given:
    """One run, as the sections ask for it."""

    def __init__(self, made):
        self.of_suite = lambda suite: made if suite in made.suites() else None


def shape(folder):
    """Software against hardware in the paper's order: said where hardware has run, and only there."""
    nano = {"in": {"bt": 50, "vtx": 20000}, "syscall": {"bt": 2000, "vtx": 100}, "divzero": {"bt": 300, "vtx": 1000}}
    made = results.load(_fixture.make(os.path.join(folder, "shape.jsonl"), nano=nano, micro={}))[-1]
    words = report.report_answer.of_shape(Given(made))[1]
    check("a software back end decides nothing", "has no counterpart here: vtx: kvm_soft (software back end, not hardware)" in words)
    made.engines["vtx"].update(hardware=True, column="vtx: kvm_intel, nested (ept), bare metal")
    words = report.report_answer.of_shape(Given(made))[1]
    check("hardware does, row by row", "kvm_intel, nested (ept), bare metal) stand in the paper's order on syscall, in; the other way round on divzero" in words)
    made.engines["vtx"].update(available=False, reason="no /dev/kvm")
    check("where there is none, why", "has no counterpart here: no /dev/kvm" in report.report_answer.of_shape(Given(made))[1])
    winners = report.report_answer.winners_table(Given(made))
    check("who wins, by rows", "| bt | 2 of 3: in, divzero |" in winners and "| 2006, Pentium 4: hardware VMM | 2 of 3: syscall, divzero |" in winners)


def newest(folder):
    """Without a name: the newest local run, ablations apart; the published one where there is none."""
    made = {name: os.path.join(folder, f"results/local/{name}.jsonl") for name in ("1-a", "1-a-process", "2-b", "3-c-ablation")}
    os.makedirs(os.path.join(folder, "results/local"))
    root, report.ROOT = report.ROOT, folder
    check("no local run", report.newest_local() is None)
    for age, path in enumerate(made.values()):
        with open(path, "w", encoding="utf-8") as file:
            file.write(json.dumps({"type": "run"}))
        os.utime(path, (1000 + age, 1000 + age))
    check("the newest local run", report.newest_local() == made["2-b"])
    report.ROOT = root
    check("the published run is there", os.path.exists(report.published()))


pieces()
with tempfile.TemporaryDirectory() as scratch:
    whole(scratch)
    one_of_each(scratch)
    real(scratch)
    refused(scratch)
    without_program(scratch)
    newest(scratch)
    shape(scratch)
done()
