# SPDX-License-Identifier: BSD-2-Clause
"""What a test of the command line prints: one `ok` or `not ok` line a check, with what was wrong behind it, and an exit status of 1
where one failed."""
_failed = []


def report(ok, what, detail=""):
    """Prints the line of one check, at once: a test may take minutes. Returns `ok`."""
    print(f"{'ok' if ok else 'not ok'} {what}" + (f": {detail}" if not ok and detail != "" else ""), flush=True)
    if not ok:
        _failed.append(what)
    return ok


def exit_status():
    return 1 if _failed else 0
