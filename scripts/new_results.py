# SPDX-License-Identifier: BSD-2-Clause
"""A results file (docs/results.md) that a script writes itself: where it lies, the time in it, and its lines."""
import datetime
import json
import os


def now():
    """The time as results files have it: UTC, to the second."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class NewResults:
    """Appends to OUT, or to a new file of results/local named by time, host and kind. Each record is in the file at once, so that
    what was measured outlives whatever comes next."""

    def __init__(self, kind, out=None):
        stamp = now().replace("-", "").replace(":", "")
        self.path = out or f"results/local/{stamp}-{os.uname().nodename}-{kind}.jsonl"
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        self.file = open(self.path, "a", encoding="utf-8")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, record):
        self.file.write(json.dumps(record) + "\n")
        self.file.flush()
