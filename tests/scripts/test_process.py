#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The tables of the benchmarks of processes, from a results file whose figures are known beforehand."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../scripts"))
import _fixture
import process
import results
import table
from _ok import check, done


def groups(run):
    check("process benchmarks of the suite micro are a group of their own",
          run.suites() == ["process", "user", "macro"] and process.has_processes(run))
    check("the paper's program comes first", [b for _, b in run.benches("process")] == ["forkwait", "getpid"])
    check("ways to run user code are columns, policies of the MMU are not",
          process.shown(run) == ["native", "interp", "bt", "bt:user=direct", "bt:user=translated", "vtx"])
    check("what has only other suites is no such run",
          not process.has_processes(results.Run({})))


def costs(run):
    text = "\n".join(process.costs_table(run))
    check("costs in cycles", "| forkwait | 100,000 | 900,000 | 400,000 | 450,000 | 410,000 | 20,000,000 |" in text)
    check("what did not end says so", "did not end within" in text)
    ratios = "\n".join(process.ratios_table(run))
    check("the paper's ratios stand beside ours",
          "| forkwait | 6.14 | 17.7 | 9.00 | 4.00 | 4.50 | 4.10 | 200 |" in ratios)
    check("requests a second are turned round: more is better", "| serverN | 2.23 | 2.61 | 9.00 | 2.00 | 1.90 | 5.00 | 800 |" in ratios)
    check("a benchmark that the paper has not gets empty cells", "| getpid |  |  | 3.50 |" in ratios)
    check("getpid is held to one system call", table.disagreements("getpid", {"syscalls": 2.0}, "bt", "process") ==
          ["syscalls 2, not 1"])
    check("a kernel's page faults are no disagreement", table.disagreements("forkwait", {"true_faults": 9.0}, "bt", "process") == [])


def events(run):
    lines = process.events_table(run)
    check("a row an event, a column an engine", lines[0] == "| events of one forkwait | interp | bt | bt:user=direct | "
          "bt:user=translated | vtx |")
    check("with its meaning and its count", "| `syscalls`: syscall instructions executed | 3 | 3 | 3 | 3 | 3 |" in lines)
    check("what does not happen has no row", not any("exit_pio" in line for line in lines))
    check("every event has a meaning", len(process.meanings()) > 30)


def bounds(run):
    """user/crc: 2,000 native cycles for 4,000 instructions, so half a cycle each; serverN has 3,000."""
    check("natively taken cycles over counted instructions", process.native_cycles_per_instruction(run) == (0.5, 0.5, 0.5))
    check("the guest's instructions at that speed", "| serverN | 3,000 | 1,500 | 20,000 | 13.3 |" in
          process.bound_table(run))
    check("a program that computes, as a share of native speed", "| crc | 2,000 | 0.80 | n/a | n/a |" in
          process.share_table(run))
    check("a kernel is no row", not any("crc" in line for line in process.bound_table(run)))


def policies(run):
    lines = process.policies_table(run)
    check("one column a pair of policies", lines[0] == "| benchmark, cycles | auto, vtlb | direct, vtlb | "
          "translated, vtlb | auto, trace | least (within 5 %) |")
    row = next(line for line in lines if line.startswith("| serverN"))
    check("who wins is named", row.endswith("| 12,000 | auto, trace |"))
    row = next(line for line in lines if line.startswith("| getpid"))
    check("and all who are level", row.endswith("| auto, vtlb; translated, vtlb; auto, trace |"))


def forkwait(folder):
    run = results.load(_fixture.make_peers(os.path.join(folder, "peers.jsonl")))[-1]
    lines = process.forkwait_table(run)
    check("the paper's machine", "| Pentium 4, 2006 | software VMM | 36.95 |  | 6.14 |" in lines)
    check("the whole program, where it was run", "| here | bt: shadow | 8.00 | 8.25 | 4.00 |" in lines)
    check("this one, by the host's clock", "| here | QEMU TCG | 16.00 | not run: over 30 s | 8.00 |" in lines)


with tempfile.TemporaryDirectory() as scratch:
    made = results.load(_fixture.make_process(os.path.join(scratch, "p.jsonl")))[-1]
    groups(made)
    costs(made)
    events(made)
    policies(made)
    bounds(made)
    forkwait(scratch)
    check("everything together", any("serverN" in line for line in process.whole(made)))
done()
