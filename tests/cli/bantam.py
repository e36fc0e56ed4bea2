#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Machines that run the guest Unix and end badly, or not at all: pid 1 that exits, crashes or is not there, little RAM,
the time limit, Ctrl-C, a monitor or a helper process of its that is killed. Each time the exit status is the documented
one, and no process is left over."""
import concurrent.futures
import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import _processes as processes
from _report import exit_status, report

BUILD = os.environ.get("BUILD", "build")
RINGSIDE = os.environ.get("RINGSIDE", os.path.join(BUILD, "ringside"))
SANITIZED = BUILD.endswith("san")
FIRST = "build/images/bantam/first.elf"
MEMORY = "build/images/bantam/abuse_memory.elf"
OK, GUEST_FAILED, TIMEOUT, ENGINE_ERROR, INTERRUPTED = 0, 1, 5, 8, 130
ENDLESS = ["spin", "touch", "calls", "forks", "sleep"]
SECONDS = 240  # for a run that ends, which takes some
AT_ONCE = 30  # seconds, for one that is made to end: on a busy machine


def command(engine, words, *options, image=FIRST):
    return [RINGSIDE, "run", f"--engine={engine}", f"--timeout={SECONDS}", *options, f"--append={words}", image]


def start(engine, words, *options):
    return subprocess.Popen(command(engine, words, *options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def finish(process, seconds=SECONDS + 60):
    """(status, stdout, stderr); status None where it hangs."""
    try:
        out, err = process.communicate(timeout=seconds)
        status = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        status = None
    return status, out.decode(errors="replace"), err.decode(errors="replace")


def one_line(err):
    return err.startswith("ringside: ") and err.endswith("\n") and err.count("\n") == 1


def engines():
    _, out, _ = finish(subprocess.Popen([RINGSIDE, "engines", "--json"], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE))
    found = [e["name"] for e in json.loads(out)["engines"] if e["available"]]
    helped = subprocess.run([RINGSIDE, "run", "--help"], capture_output=True, text=True).stdout
    if "bt" in found:
        found.append("bt:mmu=trace")
        found += [f"bt:user={way}" for way in ("translated", "direct") if "--bt-user=" in helped]
    return found


# ---- Ends ----

def ends(engine):
    cases = [("do=exit status=0", OK, "", ""), ("do=exit status=7", GUEST_FAILED, "", "status 7"),
             ("do=crash", GUEST_FAILED, "ended by signal 4", "status 132"),
             ("do=jump", GUEST_FAILED, "ended by signal 11", "status 139"),
             ("init=nobody", GUEST_FAILED, "panic: /nobody", "status 2")]
    for words, want, printed, said in cases:
        status, out, err = finish(start(engine, words))
        report(status == want and printed in out and said in err and (one_line(err) or want == OK),
               f"{engine}: {words}", f"{status} {out!r} {err!r}")
    status, out, err = finish(start(engine, "do=eat", "--ram=8M"))
    report(status == GUEST_FAILED and "out of memory: pid 1" in out and one_line(err), f"{engine}: pid 1 eats 8M",
           f"{status} {out!r} {err!r}")


def memory(engine):
    """More than there is, in RAM of some sizes: who asks for too much is ended, the rest goes on."""
    for ram in (8,) if engine in ("vtx", "bt:user=direct") or SANITIZED else (8, 16, 128):
        few = " few=1" if engine == "vtx" else ""
        status, out, err = finish(subprocess.Popen(
            command(engine, f"mb={ram} fits=0{few}", f"--ram={ram}M", image=MEMORY), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        report(status == OK and "out of memory" in out, f"{engine}: memory without end in {ram}M",
               f"{status} {out[-300:]!r} {err!r}")


# ---- No end ----

def endless(engine, what):
    begin = time.monotonic()
    status, _, err = finish(start(engine, f"do={what}", "--timeout=0.3"))
    seconds = time.monotonic() - begin
    report(status == TIMEOUT and one_line(err) and "--timeout" in err and seconds < 0.3 + AT_ONCE,
           f"{engine}: the time limit ends {what}", f"{status} {err!r} after {seconds:.1f} s")


def wait_until_it_runs(process):
    """Until pid 1 has said what it does: so much of standard output is taken."""
    line = b""
    while not line.endswith(b"\n") or not line.startswith(b"# "):
        line = b"" if line.endswith(b"\n") else line
        byte = os.read(process.stdout.fileno(), 1)
        if not byte:
            return False
        line += byte
    time.sleep(0.1)
    return True


def interrupted(engine, what):
    process = start(engine, f"do={what}")
    running = wait_until_it_runs(process)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    status, _, err = finish(process)
    seconds = time.monotonic() - begin
    report(running and status == INTERRUPTED and one_line(err) and seconds < AT_ONCE,
           f"{engine}: Ctrl-C ends {what}", f"{status} {err!r} after {seconds:.1f} s")


def monitor_killed(engine, what):
    process = start(engine, f"do={what}")
    running = wait_until_it_runs(process)
    own = processes.children(process.pid)
    if engine == "bt:user=direct" or not engine.startswith("bt"):
        report(bool(own) == (engine == "bt:user=direct"), f"{engine}: child processes are for direct execution", str(own))
    process.kill()
    status, _, _ = finish(process)
    left = processes.orphans([])
    report(running and status == -signal.SIGKILL and not left, f"{engine}: a killed monitor leaves no process ({what})",
           f"{status} {left}")


def helpers_killed(engine, what):
    """Those that user code runs in, all at once, while one of them is at it: the run ends at once and says so."""
    process = start(engine, f"do={what}")
    running = wait_until_it_runs(process)
    own = processes.children(process.pid)
    begin = time.monotonic()
    for pid in own:
        with contextlib.suppress(ProcessLookupError):  # the monitor, which has missed the first ones, has ended it
            os.kill(pid, signal.SIGKILL)
    status, _, err = finish(process)
    seconds = time.monotonic() - begin
    left = processes.orphans([])
    report(running and own and status == ENGINE_ERROR and one_line(err) and "killed by signal 9" in err and
           seconds < AT_ONCE and not left, f"{engine}: killed helper processes end the run ({what})",
           f"{status} {err!r} after {seconds:.1f} s, {len(own)} helpers, left {left}")


def helpers_stopped(engine, what):
    """They live, but do not answer: the time limit ends the run all the same. It is longer where it came before the guest did."""
    for limit in (1, 5, 25):
        process = start(engine, f"do={what}", f"--timeout={limit}")
        running = wait_until_it_runs(process)
        for pid in processes.children(process.pid):
            with contextlib.suppress(ProcessLookupError):  # the limit came just now
                os.kill(pid, signal.SIGSTOP)
        status, _, err = finish(process, limit + AT_ONCE)
        if running or status != TIMEOUT:
            break
    left = processes.orphans([])
    report(running and status in (TIMEOUT, ENGINE_ERROR) and one_line(err) and not left,
           f"{engine}: stopped helper processes do not keep the run from ending ({what})", f"{status} {err!r} {left}")


def main():
    processes.adopt_orphans()
    found = engines()
    jobs = [(act, engine) for engine in found for act in (ends, memory)]
    jobs += [(act, engine, what) for engine in found for what in ENDLESS for act in (endless, interrupted)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for job in [pool.submit(act, *args) for act, *args in jobs]:
            job.result()
    for engine in found:
        for what in ("spin", "forks"):
            monitor_killed(engine, what)
        if engine == "bt:user=direct":
            for what in ("spin", "touch", "calls", "forks"):
                helpers_killed(engine, what)
            helpers_stopped(engine, "calls")
            helpers_stopped(engine, "forks")
    left = processes.orphans([])
    report(not left, "no process is left over", str(left))
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
