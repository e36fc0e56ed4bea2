#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The commands that README.md and docs/*.md show work as they stand there: each one that runs our program, or a native one. Those
of the labs are done by _labs.py, those that wait for gdb by gdb.py."""
import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

from _report import exit_status, report

BUILD = os.environ.get("BUILD", "build")
RINGSIDE = os.environ.get("RINGSIDE", os.path.join(BUILD, "ringside"))
PAGES = ["README.md"] + sorted(glob.glob("docs/*.md"))
LINE = re.compile(r"^ {4}(build/(?:ringside|native)\S* ?.*?)(?:\s+#.*)?$", re.M)
SPAN = re.compile(r"`((?:build/)?ringside [^`\n]*)`")
PLACE = re.compile(r"\b[A-Z]{2,}\b|=[A-Z]\b|\.\.\.")  # a word in capitals stands for one of the reader's
OK, UNAVAILABLE = 0, 3
SHORT = ["--runs=1", "--reps=1", "--cycles=1000", "--within=30"]  # its time is not what is looked at, and a busy host may leave some out
SECONDS = 600  # for what hangs


def commands(page):
    """Those that are complete, in the page's order."""
    with open(page, encoding="utf-8") as file:
        text = file.read()
    found = LINE.findall(text) + [c for c in SPAN.findall(text) if len(c.split()) > 2 and not c.split()[-1].startswith("-")]
    return [c for c in dict.fromkeys(found) if not PLACE.search(c) and "--gdb" not in c]


def run(command, folder):
    words = shlex.split(command)
    if words[0].endswith("ringside"):
        words[0] = RINGSIDE
    if words[1] == "bench":
        words += SHORT + [f"--out={folder}/out.jsonl"]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return None, f"no end in {SECONDS} s"
    return done.returncode, done.stderr.decode(errors="replace").strip()[-300:]


def main():
    seen = set()
    with tempfile.TemporaryDirectory() as folder:
        for page in PAGES:
            for command in [c for c in commands(page) if c not in seen]:
                status, err = run(command, folder)
                if status == UNAVAILABLE:
                    print(f"skip {page}: {command}: {err}", flush=True)
                else:
                    report(status == OK, f"{page}: {command}", f"status {status}: {err}")
                seen.add(command)
    report(len(seen) >= 12, f"the pages show commands: {len(seen)} of them")
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
