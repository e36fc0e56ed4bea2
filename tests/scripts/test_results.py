#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The statistics, the tables and the pictures, from results files whose figures are known beforehand."""
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../scripts"))
import _fixture
import new_results
import plot
import results
import table
from _ok import check, done


def near(a, b, tolerance=1e-9):
    return abs(a - b) <= tolerance


def statistics():
    check("percentiles interpolate", near(results.percentile([0, 10, 20, 30, 40], 90), 36))
    check("a percentile of one value is the value", results.percentile([7], 10) == 7)
    check("five values have no 95 % interval", results.median_interval([1, 2, 3, 4, 5]) is None)
    check("six values: all of them", results.median_interval([6, 5, 4, 3, 2, 1]) == (1, 6))
    check("ten values: second to ninth", results.median_interval(list(range(1, 11))) == (2, 9))
    check("seventeen values: fifth to thirteenth", results.median_interval(list(range(1, 18))) == (5, 13))
    sample = {"n": 10, "t1": [150, 160], "t2": [260, 250], "e1": [10, 10], "e2": [20, 40]}
    check("cost leaves out the empty loop, repetition by repetition", results.costs(sample) == [10.0, 6.0])
    check("cost without an empty loop", results.costs({"n": 10, "t1": [150], "t2": [260], "e1": None}) == [11.0])
    check("cost may be negative", results.costs({"n": 10, "t1": [260], "t2": [150]}) == [-11.0])
    counted = {"n": 5, "counters_n": [{"exits": 12}], "counters_2n": [{"exits": 17, "exit_pio": 5}]}
    check("an event missing from the counters is 0",
          results.event_rates(counted, ["exits", "exit_pio"]) == {"exits": [1.0], "exit_pio": [1.0]})
    check("no counters, no rates", results.event_rates({"n": 5, "counters_n": None}, ["exits"]) == {})
    figure = results.Figure([[1, 2, 9], [4, 5, 6], [3, 3, 3]])
    check("the median is that of the processes' medians", figure.median == 3 and figure.min == 1 and figure.max == 9)


def files(folder):
    path = _fixture.make(os.path.join(folder, "a.jsonl"))
    run = results.load(path)[-1]
    check("known cost comes out of the file", near(results.figure(run, "nano", "in", "interp").median, 60, 0.1))
    check("known count comes out of the file", results.events(run, "nano", "in", "vtx")["exit_pio"] == 1)
    check("what is not counted is not there", "tlb_flushes" not in results.events(run, "nano", "in", "vtx"))
    check("idle stands first, then the paper's order",
          [b for _, b in run.benches("nano")][:4] == ["idle", "syscall", "in", "cr8wr"])
    with open(path, "a", encoding="utf-8") as file:
        file.write('{"type": "sample", "sui')
    check("a torn last line counts as absent", len(results.load(path)) == 1)
    with open(path, "a", encoding="utf-8") as file:
        file.write('\n{"type": "end"}\n')
    check("a torn line in the middle is an error", raises(lambda: results.load(path)))
    empty = os.path.join(folder, "empty.jsonl")
    open(empty, "w").close()
    check("a file without a run is an error", raises(lambda: results.load(empty)))


def raises(call):
    try:
        call()
    except ValueError:
        return True
    return False


def tables(folder):
    run = results.load(_fixture.make(os.path.join(folder, "b.jsonl")))[-1]
    text = "\n".join(table.costs_table(run, "nano"))
    check("the paper's columns are there", "| in | 3,209 | 216 | 15,826 |" in text)
    check("the back end is in the column's head", "not hardware" in text.split("\n")[0])
    check("a failed row says why", "KVM_EXIT_INTERNAL_ERROR at rdtsc" in text)
    check("a missing native row says why", "needs CPL 0" in text)
    check("the control is held against its spread", ": 0 within its spread" in text and "NOT 0" not in text)
    check("the control has no slowdown", "| idle |" not in "\n".join(table.slowdown_table(run, "nano")))
    check("nothing is disagreed with", table.all_disagreements(run) == [])
    check("a wrong counter is found", table.disagreements("in", {"exit_pio": 0.0}) == ["exit_pio 0, not 1"])
    check("a wrong instruction count is found",
          table.disagreements("in", {"insns_kernel": 2.0, "insns_user": 0.0}) == ["retired 2, not 1.125"])
    check("an unexpected exception is found", table.disagreements("out", {"exit_pio": 1.0, "exceptions": 0.5}))
    check("what only bt must not do is found there only", table.disagreements("in", {"blocks": 1.0}, "bt") and
          not table.disagreements("in", {"blocks": 1.0}, "interp"))
    check("a signal of the host's in warm translated code is found", table.disagreements("in", {"traps": 1.0}, "bt"))
    check("a division by zero takes one", table.disagreements("divzero", {"traps": 1.0, "exceptions": 1.0}, "bt") == [])
    check("a variant is not held against bt's counts", table.disagreements("in", {"traps": 1.0}, "bt:emulate=trap") == [])
    check("what is not counted is not held against anything", table.disagreements("in", {}) == [])
    slow = "\n".join(table.slowdown_table(run, "micro"))
    check("a CPL 3 row is held against its image's native program", "| crc_user | 12.2 | 1.02 |" in slow)
    widths = {line.count("|") for line in table.spread_table(run, "nano")}
    check("all rows are as wide as the head", len(widths) == 1)
    cut = results.load(_fixture.make(os.path.join(folder, "c.jsonl"), complete=False))[-1]
    check("an interrupted run is called one", "interrupted" in "\n".join(table.whole(cut)))
    off = _fixture.make(os.path.join(folder, "f.jsonl"), nano={"idle": {"interp": 500}}, micro={})
    check("a control that is off is called so", "NOT 0 within" in "\n".join(table.whole(results.load(off)[-1])))
    wide = results.Figure([[90, 100, 110], [20, 100, 300], [95, 100, 105]])
    check("a wide spread is called unsteady", wide.unsteady() and not results.Figure([[90, 100, 110]]).unsteady())
    few = results.load(_fixture.make(os.path.join(folder, "d.jsonl"), processes=2))[-1]
    check("few processes give no interval", "n/a (under 6 processes)" in "\n".join(table.spread_table(few, "nano")))


def written(folder):
    """A file that a script of ours writes."""
    path = os.path.join(folder, "new", "n.jsonl")
    for number in range(2):
        with new_results.NewResults("kind", path) as out:
            out.write({"type": "run", "time": new_results.now(), "number": number})
            with open(path, encoding="utf-8") as file:
                check("a record is in the file at once, behind what was there", len(file.readlines()) == number + 1)
    check("the last run is the one that is read", results.load(path)[-1].header["number"] == 1)
    back = os.getcwd()
    os.chdir(folder)
    with new_results.NewResults("kind") as out:
        named = re.fullmatch(r"results/local/\d{8}T\d{6}Z-.+-kind\.jsonl", out.path) and os.path.exists(out.path)
    os.chdir(back)
    check(f"without a name it has one by time, host and kind: {out.path}", bool(named))


def pictures(folder):
    path = _fixture.make(os.path.join(folder, "e.jsonl"))
    made = plot.pictures(path)
    check("four pictures are made", len(made) == 4 and all(os.path.getsize(p) > 2000 for p in made))
    with open(made[1], encoding="utf-8") as file:
        svg = file.read()
    check("the picture names the back end", "not hardware" in svg)
    check("the picture names the machine", "Test CPU" in svg)
    check("a bar that is missing is marked", "n/a" in svg)
    check("the paper's figure is written at its bar", "15,826" in svg)


with tempfile.TemporaryDirectory() as scratch:
    statistics()
    files(scratch)
    tables(scratch)
    pictures(scratch)
    written(scratch)
done()
