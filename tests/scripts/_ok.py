# SPDX-License-Identifier: BSD-2-Clause
"""What a test in Python prints: one `ok` or `not ok` line per check, and an exit status of 1 where one failed."""
import sys

_failed = []


def check(what, condition):
    print(("ok " if condition else "not ok ") + what)
    if not condition:
        _failed.append(what)


def done():
    sys.exit(1 if _failed else 0)
