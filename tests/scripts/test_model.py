#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The contents of the cost model, as `ringside model` evaluates them: what the files claim of the published figures, what may be
called a prediction, and the mixes that rest on counts."""
import json
import os
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
sys.path.insert(0, os.path.join(ROOT, "scripts"))
import fork_counts
import model
import model_blocks
import results
from _ok import check, done

FORKS = os.path.join(ROOT, "results/2026-11-30-fork-counts.jsonl")
EVENT_OF = {"in": "io"}
PREDICTED = ["micro/forkwait.software", "micro/forkwait_core.software", "micro/forkwait_core.hardware",
             "macro/compile_linux_core.software", "macro/compile_linux_core.hardware"]


def near(a, b, share=1e-6):
    return a is not None and abs(a - b) <= share * max(abs(b), 1e-9)


def scores():
    """Of an even number of errors the median lies between the two in the middle."""
    rows = [{"kind": "prediction", "error": e} for e in (0.4, -0.1, 0.2, -0.05, None)] + [{"kind": "set", "error": 0.0}]
    check("the score counts predictions alone",
          model_blocks.score(rows) == ["4 predictions of figures other than 0: 3 within 25 %, median error 15.0%, largest 40.0%."])


def prices():
    """The Pentium 4's prices are the published ones, row by row."""
    said = model.prices("p4-672", ["bt", "hw-shadow", "native"])
    for bench, (native, software, hardware) in results.reference().items():
        event = EVENT_OF.get(bench, bench)
        if event in said["bt"]:
            check(f"{bench}: what the parts add up to is what the paper printed", near(said["bt"][event], software) and
                  near(said["hw-shadow"][event], hardware) and near(said["native"][event], native))
    for profile in model.ask("--list")["profiles"]:
        cycles = model.prices(profile, ["hw-shadow-unsync", "hw-nested", "bt"])
        check(f"{profile}: no price is negative", all(v is None or v >= 0 for by in cycles.values() for v in by.values()))
    check("without nested paging, no price of it", model.prices("merom", ["hw-nested"])["hw-nested"]["ptemod"] is None)
    check("with it, a page-table write is a store", model.prices("nehalem", ["hw-nested"])["hw-nested"]["ptemod"] < 2)
    core = model.prices("core2-duo", ["hybrid", "bt", "hw-shadow"])
    check("a hybrid is never worse than the better of both", all(
        cost <= min(core["bt"][event], core["hw-shadow"][event]) + 1e-9 for event, cost in core["hybrid"].items() if event != "translate"))


def provenance():
    """What went in is no prediction, and what is called one did not go in."""
    kinds = {row["name"].removeprefix("asplos2006."): row for row in model.validation()}
    check("the nanobenchmarks set the model", all(row["kind"] == "set" for name, row in kinds.items() if name.startswith("nano/")))
    check("the Core's times, and software's forkwait, are predictions", all(kinds[name]["kind"] == "prediction" for name in PREDICTED))
    check("and come out within a quarter", all(abs(kinds[name]["error"]) < 0.25 for name in PREDICTED))
    check("the figure that hidden faults are solved from comes out again", kinds["micro/forkwait.hardware"]["kind"] == "set" and
          near(kinds["micro/forkwait.hardware"]["predicted"], 106.4, 1e-3))
    check("likewise the compile's", near(kinds["macro/compile_linux.software"]["predicted"], 393, 1e-3) and
          near(kinds["macro/compile_linux.hardware"]["predicted"], 483, 1e-3))


def forks(folder):
    path = os.path.join(folder, "forks.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps({"type": "run", "tool": "fork_counts", "time": "T", "machine": {"kernel": "6.0", "libc": "glibc 1"}}) + "\n")
        for faults in (9, 10, 30):
            file.write(json.dumps({"type": "fork", "program": "static", "parent_faults": 2, "child_faults": faults, "at_fork": 20, "at_exit": 100}) + "\n")
    _, counted = fork_counts.read(path)
    check("the median of the processes", counted == {"static": {"parent_faults": 2, "child_faults": 10, "at_fork": 20, "at_exit": 100}})
    check("writes: protected and copied, made, cleared", fork_counts.traced_writes(counted["static"]) == 2 * 2 + 80 + 100)
    check("without fault-around a fault makes one entry", fork_counts.traced_writes(counted["static"], False) == 2 * 2 + 10 + 30)
    check("the table says both", any("| static | 2 | 10 | 20 | 100 | 184 | 44 |" == line for line in fork_counts.counts_table(path)))
    try:
        fork_counts.read(results.REFERENCE)
        check("a file of something else is refused", False)
    except ValueError:
        check("a file of something else is refused", True)
    committed = fork_counts.read(FORKS)[1]
    for name in fork_counts.MIXES:
        with open(os.path.join(ROOT, f"model/mixes/{name}.mix"), encoding="utf-8") as file:
            check(f"{name}.mix is what the counts give", file.read() == fork_counts.mix_text(name, os.path.relpath(FORKS, ROOT), committed))


def counting(folder):
    """On this host. What Linux does to page tables is its own; that a fork copies something and an exit leaves no fewer is not."""
    path = os.path.join(folder, "here.jsonl")
    fork_counts.count(path)
    head, counted = fork_counts.read(path)
    check("it counts on this host", head["tool"] == "fork_counts" and set(counted) == {"static", "dynamic"})
    check("the parent faults for what fork protected", all(c["parent_faults"] >= 1 and c["child_faults"] >= 1 for c in counted.values()))
    check("a child starts with entries, and ends with more", all(1 <= c["at_fork"] <= c["at_exit"] for c in counted.values()))


def missing():
    kept = os.environ.get("RINGSIDE")
    os.environ["RINGSIDE"] = "/nowhere/ringside"
    try:
        model.ask("--list")
        check("without the program one line says what to do", False)
    except RuntimeError as error:
        check("without the program one line says what to do", "`make` builds it" in str(error))
    finally:
        os.environ.pop("RINGSIDE")
        if kept:
            os.environ["RINGSIDE"] = kept
    try:
        model.prices("nonsense", ["bt"])
        check("a processor that there is not is an error", False)
    except RuntimeError as error:
        check("a processor that there is not is an error", "nonsense" in str(error))


os.chdir(ROOT)
with tempfile.TemporaryDirectory() as scratch:
    prices()
    scores()
    provenance()
    forks(scratch)
    counting(scratch)
    missing()
done()
