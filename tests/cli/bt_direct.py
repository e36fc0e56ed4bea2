#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Direct execution of user code: that it happens, vector registers, which only it has, and processes that are killed
from outside: one line, the documented status, and nobody is left."""
import contextlib
import os
import resource
import signal
import subprocess
import sys

import _processes as processes

from _report import exit_status, report

BUILD = os.environ.get("BUILD", "build")
RINGSIDE = os.environ.get("RINGSIDE", os.path.join(BUILD, "ringside"))
STATE = "build/images/test/direct_state.elf"
LOOP = "build/images/test/direct_long.elf"
PROGRAM = "build/images/user/crc.elf"
UNAVAILABLE, ENGINE_ERROR = 3, 8


def run(user, *args, **more):
    command = [RINGSIDE, "run", f"--engine=bt:user={user}", "--timeout=240", "--counters", "--bt-stats", *args]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, **more)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def figure(out, name):
    """The number behind a name in what --counters or --bt-stats print, 0 where there is none."""
    for line in out.splitlines():
        if line.strip().startswith(name + " "):
            return int(line.strip()[len(name):].split()[0])
    return 0


def vectors():
    status, out, err = run("direct", "--append=xmm=1", STATE)
    report(status == 0 and out.count("low_run(vectors") == 2, "vector registers of directly executed code", out[-500:] + err)
    report(figure(out + err, "direct_entries") > 20, "the image's user code ran directly")


def ways():
    status, out, err = run("translated", "--append=reps=1 cycles=1000", PROGRAM)
    report(status == 0 and figure(out + err, "direct_entries") == 0, "user=translated runs nothing directly", err)
    report(figure(out + err, "host processes for user code") == 0, "... and makes no processes")
    status, out, err = run("direct", "--bt-processes=2", "--append=reps=1 cycles=1000", PROGRAM)
    report(status == 0 and figure(out + err, "direct_syscalls") > 0, "user=direct runs a program directly", err)
    report(figure(out + err, "host processes for user code") == 2, "... with as many processes as were asked for")
    status, out, err = run("auto", "--append=reps=3 cycles=200000000", PROGRAM)
    report(status == 0 and figure(out + err, "user_to_direct") > 0, "user=auto comes to run a long computation directly", err)
    status, out, err = run("auto", "--append=n=1000000000", LOOP)
    report(status == 0 and figure(out + err, "user_to_direct") > 0, "... and a loop that nothing interrupts", err)


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))


def no_processes():
    status, _, err = run("direct", "--bt-processes=64", STATE, preexec_fn=few_descriptors)
    report(status == UNAVAILABLE and err.count("\n") == 1 and "cannot run user code directly" in err,
           "user=direct where there cannot be processes: one line and status 3", f"status {status}: {err!r}")
    status, out, err = run("auto", "--bt-processes=64", STATE, preexec_fn=few_descriptors)
    report(status == 0 and "host processes for user code" in out + err, "user=auto does without", f"status {status}: {err!r}")
    report(figure(out + err, "host processes for user code") == 0, "... and says so")


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def another_cpu():
    """A pinned vCPU's processes run elsewhere: each hand-over is between two CPUs."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        print("skip there is one CPU only")
        return
    p = subprocess.Popen([RINGSIDE, "run", "--engine=bt:user=direct", "--timeout=240", f"--cpu={cpus[-1]}",
                          "--append=reps=1000 cycles=100000000", PROGRAM], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL)
    for line in p.stdout:
        if b"rs1 run" in line:
            break
    allowed = [os.sched_getaffinity(pid) for pid in processes.children(p.pid)]
    p.kill()
    p.communicate()
    report(allowed and all(cpus[-1] not in cpu_set for cpu_set in allowed), "a pinned vCPU's processes have other CPUs",
           str(allowed))


def killed(victims, what):
    """Kills those of the monitor and its processes that victims() names; gives status, stderr and who was there."""
    p = subprocess.Popen([RINGSIDE, "run", "--engine=bt:user=direct", "--timeout=240", "--append=reps=1000 cycles=100000000",
                          PROGRAM], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for line in p.stdout:
        if b"rs1 run" in line: # the program's loop is under way
            break
    kids = processes.children(p.pid)
    for pid in victims(p.pid, kids):
        # With the first process gone, the monitor gives up, and ends and reaps the others (process_pool_destroy()).
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    try:
        _, err = p.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        p.kill()
        _, err = p.communicate()
        report(False, what, "it hangs")
    report(kids and processes.wait_until(lambda: all(gone(pid) for pid in kids)), f"{what}: nobody is left", str(kids))
    return p.returncode, err.decode(errors="replace")


def kills():
    status, err = killed(lambda monitor, kids: kids, "processes killed from outside")
    report(status == ENGINE_ERROR and err.count("\n") == 1 and "killed by signal 9" in err,
           "processes killed from outside: one line and status 8", f"status {status}: {err!r}")
    status, err = killed(lambda monitor, kids: [monitor], "the monitor killed from outside")
    report(status == -signal.SIGKILL, "the monitor killed from outside", f"status {status}: {err!r}")


def main():
    status, _, err = run("direct", "--append=reps=1 cycles=1000", "nano/idle")
    if status == 3:
        print(f"skip {err.strip()}")
        return 0
    vectors()
    ways()
    no_processes()
    another_cpu()
    kills()
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
