#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The report of an interrupted run: each committed file cut behind its first record and in its midst."""
import contextlib
import glob
import io
import os
import sys
import tempfile

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts")
sys.path.insert(0, SCRIPTS)
import _page
import report
from _ok import check, done


def half(folder):
    """A file cut anywhere gives the page of what is there, and says so."""
    committed = sorted(glob.glob(report.base_of(report.published()) + "*.jsonl"))
    for source in committed + glob.glob(os.path.join(SCRIPTS, "../results/*-exits-*.jsonl"))[:1]:
        with open(source, "rb") as file:
            data = file.read()
        first = data.index(b"\n") + 1
        for size in (first, len(data) // 3):
            path = os.path.join(folder, "cut.jsonl")
            with open(path, "wb") as file:
                file.write(data[:size])
            out = os.path.join(folder, "cut.html")
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    report.main([path, f"--out={out}"])
            except (OSError, ValueError, RuntimeError) as error:
                check(f"{os.path.basename(source)} cut to {size} bytes: {error}", False)
                continue
            with open(out, encoding="utf-8") as file:
                page = _page.Page(file.read())
            check(f"{os.path.basename(source)} cut to {size} bytes: a page that says so {_page.faults(page)[:3]}",
                  "was interrupted; what had been measured by then is here" in page.text and not _page.faults(page))


with tempfile.TemporaryDirectory() as scratch:
    half(scratch)
done()
