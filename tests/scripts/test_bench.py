#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""From `ringside bench` to tables and pictures: the smallest real run, so that writer and readers agree on the file."""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../scripts"))
import plot
import results
import table
from _ok import check, done

RINGSIDE = os.environ.get("RINGSIDE", "build/ringside")


def measured(folder):
    path = os.path.join(folder, "run.jsonl")
    command = [RINGSIDE, "bench", "idle", "in", "cr8wr", "callret", "--engines=native,interp", "--runs=2", "--reps=2",
               "--cycles=20000", "--seed=1", f"--out={path}"]
    done_run = subprocess.run(command, capture_output=True, text=True, timeout=400)
    check(f"the run ends well {done_run.stderr.strip()[-160:]}", done_run.returncode == 0)
    return path


def rate(run, bench, event):
    return round((results.events(run, "nano", bench, "interp") or {}).get(event, 0), 2)


with tempfile.TemporaryDirectory() as scratch:
    path = measured(scratch)
    run = results.load(path)[-1]
    check("the run is complete", run.end is not None and run.end["complete"])
    check("the benchmarks are there", [b for _, b in run.benches("nano")] == ["idle", "in", "cr8wr", "callret"])
    check("each has a figure on interp", all(results.figure(run, "nano", b, "interp") for _, b in run.benches("nano")))
    check("callret has a native one", results.figure(run, "nano", "callret", "native") is not None)
    check("the counters agree with what the benchmarks do", table.all_disagreements(run) == [])
    check("a return is counted, and a write of cr8",
          rate(run, "callret", "returns") == 1 and rate(run, "cr8wr", "cr8_writes") == 1)
    check("one `in` is one exit for port I/O", "exit_pio" in (results.events(run, "nano", "in", "interp") or {}))
    text = "\n".join(table.whole(run))
    check("`in` has no native figure, and the table says why", "needs CPL 0" in text)
    check("the picture is drawn", all(os.path.getsize(p) > 2000 for p in plot.pictures(path)))
done()
