#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Exits by reason: from counts to the tables, with what varies, what does not add up and what is missing said; and that
the committed counts say of the paper's claims what PAPER.md says."""
import argparse
import glob
import json
import os
import statistics
import sys
import tempfile

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts")
sys.path.insert(0, SCRIPTS)
import _fixture
import exits
import kvm_machine
import results
from _ok import check, done



def tables(folder):
    run = results.load(_fixture.make_exits(os.path.join(folder, "a.jsonl")))[-1]
    text = "\n".join(exits.whole(run))
    check("no exit", "| idle |  |  | 0 | 0 |" in text)
    check("one reason, beside the paper's cycles", "| in | 3,209 | 15,826 | 1 (io) | 1 (io) |" in text)
    check("an exit that nested paging does without", "| pgfault | 1,093 | 11,242 | 1 (page fault) | 0 |" in text)
    check("several reasons, the most frequent first", "| forkwait | 44 (40 page fault, 4 cr) | 2 (nested fault) |" in text)
    check("what the CPU lacks says why", "| asswitch_pcid |  |  | n/a [1] | n/a [1] |" in text and "[1] no PCID" in text)
    check("shadow paging first, back end and emulator in the head",
          "kvm_soft, shadow (npt=0), Emulator | kvm_soft, nested (npt), Emulator |" in text)
    check("interrupts of the host's are not the benchmark's", "interrupt" not in text)
    check("what KVM did", "| forkwait, kvm_soft:npt=0 | 40 |" in text)
    check("all repeat", "8 of 8 counts are the same in every repetition of every process but the first of each" in text)
    check("kernel and emulator", "kvm_soft:npt=1: Linux 6.0, emu 1." in text)
    check("reasons add up", "the reasons add up" in text)


def what_is_counted(folder):
    """Students' images (docs/labs) are counted as the nano benchmarks are; --only picks what is written and run alike."""
    for name in ("nano/in", "lab/exits"):
        os.makedirs(os.path.join(folder, "build/images", os.path.dirname(name)), exist_ok=True)
        open(os.path.join(folder, f"build/images/{name}.elf"), "wb").close()
    before = os.getcwd()
    os.chdir(folder)
    check("nano and lab images", exits.images()[:2] == [("nano", "in"), ("lab", "exits")])
    check("only those named", exits.wanted(argparse.Namespace(only="lab/")) == [("lab", "exits")])
    os.chdir(before)
    check("each suite has its number of iterations", all(suite in exits.MEASURED for suite, _ in exits.images()))


def doubts(folder):
    run = results.load(_fixture.make_exits(os.path.join(folder, "b.jsonl"), wobble=2))[-1]
    check("what varies is marked", "| pgfault | 1,093 | 11,242 | 1.5 ~ (1 page fault, 0.5 io) |" in "\n".join(exits.whole(run)))
    check("and named", exits.unsteady(run) == ["pgfault on kvm_soft:npt=0", "pgfault on kvm_soft:npt=1"])
    run = results.load(_fixture.make_exits(os.path.join(folder, "c.jsonl"), wrong=1))[-1]
    check("reasons that do not add up are said", "in on kvm_soft:npt=0: 14 by reason, 14 in all, 15 by KVM" in
          "\n".join(exits.mismatches(run)))


def records():
    document = {"reason": "", "skipped": [{"bench": "b", "reason": "no PCID"}], "counters": {}, "benchmarks": [
        {"bench": "a", "n": 4, "t1": [1], "value": "7", "counters_n": [{"hw_io": 4}], "counters_2n": [{"hw_io": 8}]},
        {"bench": "b", "n": 0, "t1": [], "value": None, "counters_n": [], "counters_2n": []}]}
    result = kvm_machine.Result("nano/a/1", 0, json.dumps(document), "", 1)
    found = exits.sample_records(result, "e")
    check("a sample and a skip of one image", [(r["type"], r["bench"]) for r in found] == [("sample", "a"), ("skipped", "b")])
    check("counts, but no times", found[0]["counters_2n"] == [{"hw_io": 8}] and found[0]["t1"] == [] and found[0]["process"] == 1)
    machine = kvm_machine.MACHINES["intel"]
    engine = exits.engine_record(machine, False, {"backend": "kvm_intel", "paging": "shadow (ept=0)", "counts": ["hw_io"]})
    check("back end, paging and emulator", (engine["name"], engine["column"], engine["counts"]) ==
          ("kvm_intel:ept=0", "kvm_intel, shadow (ept=0), Bochs, Sandy Bridge", ["hw_io"]))
    bad = exits.sample_records(kvm_machine.Result("nano/a/0", None, "", "nothing for 9 s", 9), "e")
    check("what hung is a failed record", [r["type"] for r in bad] == ["failed"] and bad[0]["reason"] == "nothing for 9 s")


# What PAPER.md says in words, as exits an iteration with shadow paging and with nested paging.
NONE = ["idle", "syscall", "sysentry", "callret", "callret_branchy", "divzero", "cr8wr", "clisti", "rdtsc", "ptemod", "ptemod_p2np",
        "ptemod_np2p"]
CLAIMS = dict({bench: ("0", "0") for bench in NONE}, **{"in": ("1 (io)", "1 (io)"), "out": ("1 (io)", "1 (io)"),
              "cpuid": ("1 (cpuid)", "1 (cpuid)"), "pgfault": ("1 (page fault)", "0"), "pguser": ("1 (page fault)", "0"),
              "cr3wr": ("1 (cr)", "0"), "asswitch": ("1 (cr)", "0"), "invlpg": ("1 (invlpg)", "0")})


def committed(path):
    """The words stand as long as this does."""
    run, name = results.load(path)[-1], os.path.basename(path)
    check(f"{name}: a whole run", run.end and run.end["complete"] and not run.failed)
    check(f"{name}: reasons add up to KVM's number", run.samples and not exits.mismatches(run))
    nano = [what for what in exits.unsteady(run) if what.split(" ")[0] in CLAIMS]
    check(f"{name}: what the words are about repeats exactly {nano}", not nano)
    for engine in exits.engines(run):
        column = run.engines[engine]["paging"].startswith("nested")
        for bench, claim in CLAIMS.items():
            found = exits.cell(exits.own(run, "nano", bench, engine))
            check(f"{name}: {bench} on {engine}: {found}", found == claim[column])
        shadow, nested = (sum(map(statistics.mean, exits.own(run, "process", "forkwait", e).values())) for e in
                          (engine.split("=")[0] + "=0", engine.split("=")[0] + "=1"))
        check(f"{name}: forkwait exits far more with shadow paging: {shadow:.0f}, {nested:.0f}", shadow > 10 * nested)


for committed_path in sorted(glob.glob(os.path.join(SCRIPTS, "../results/*-exits-*.jsonl"))):
    committed(committed_path)
with tempfile.TemporaryDirectory() as scratch:
    tables(scratch)
    doubts(scratch)
    what_is_counted(scratch)
records()
done()
