# SPDX-License-Identifier: BSD-2-Clause
"""What tests look at of the program's processes: the monitor, and the ones it makes."""
import ctypes
import os
import time

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """From now on the children of whoever dies are this process's: what a monitor leaves behind can be seen."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def wait_until(what, seconds=60):
    """Whether what() comes to hold; the time is for what never does."""
    until = time.monotonic() + seconds
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def blocks(pid, number):
    """Whether a process's main thread blocks a signal, and has so made its arrangements for it (signalfd, sigpending)."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        mask = next(line.split()[1] for line in file if line.startswith("SigBlk:"))
    return bool(int(mask, 16) & 1 << number - 1)


def orphans(known, seconds=20):
    """pids of the processes that still run below this one after some time, but for `known`. Dead ones are reaped."""
    until = time.monotonic() + seconds
    while True:
        left = [pid for pid in children(os.getpid()) if pid not in known]
        for pid in left:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:  # of another thread's subprocess
                pass
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.01)


def children(pid):
    """pids of a process's children, zombies too; none where the process is gone."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += [int(word) for word in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def kilobytes(pid, key):
    """A line of /proc/PID/smaps_rollup: Rss, Pss, Anonymous, ..."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    return 0


def mappings(pid):
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as file:
        return sum(1 for _ in file)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def sample(pid):
    """What must not grow while a process runs, its children included."""
    own = children(pid)
    return {"resident KiB": kilobytes(pid, "Rss"), "anonymous KiB": kilobytes(pid, "Anonymous"),
            "mappings": mappings(pid), "descriptors": descriptors(pid), "children": len(own),
            "children's resident KiB": sum(kilobytes(child, "Rss") for child in own),
            "children's mappings": sum(mappings(child) for child in own)}
