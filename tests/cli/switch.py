#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A guest Unix under load moves between engines in mid-run, hundreds of times a second, and must compute and check what it
does where it stays. SWITCHES=N: go on until N moves in each mode, and in more modes (make check-switch: 10,000)."""
import json
import os
import subprocess
import sys
import time

BUILD = os.environ.get("BUILD", "build")
RINGSIDE = os.environ.get("RINGSIDE", os.path.join(BUILD, "ringside"))
MODES = ["interp,bt:user=translated", "interp,bt:user=direct", "interp,bt:user=auto:mmu=trace", "interp,bt,vtx"]
MORE_MODES = ["interp,bt", "interp,bt:user=translated:mmu=trace", "interp,bt:user=direct:mmu=trace", "interp,bt:checked",
              "interp,bt:no-adapt", "interp,bt:no-chaining:tu=1", "interp,bt:emulate=callout:returns=table",
              "interp,vtx", "vtx,bt:user=direct:mmu=trace", "vtx,bt:user=translated"]
PROGRAMS = [("macro/boothalt", ""), ("micro/forkwait", "reps=4 cycles=30000000"), ("bantam/fork", ""),
            ("bantam/memory", ""), ("bantam/signals", ""), ("bantam/pipes", ""), ("bantam/preempt", ""),
            ("bantam/hostile_state", ""), ("bantam/fpu", "")]
# With vtx, unless SWITCHES says how long: a software back end of /dev/kvm is slow.
VTX_PROGRAMS = [("micro/forkwait", "reps=1 cycles=30000000"), ("bantam/fork", ""), ("bantam/signals", ""), ("bantam/preempt", "")]
EVERY = 0.0001  # seconds; as the host's scheduler lets it
SWITCHES = int(os.environ.get("SWITCHES", "0"))
FEWEST = 500  # in each mode, whatever the host is busy with
VTX_FEWEST = 100
SECONDS = 200  # for a run, and for what hangs
MODE_SECONDS = max(SECONDS, SWITCHES / 5)  # for all runs of a mode; a quiet host makes hundreds of moves a second


def run(*arguments):
    return subprocess.run([RINGSIDE, "run", *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS + 10)


def results(program, append, *arguments):
    """(values by benchmark, the set of checks, switches) of a run, or raises RuntimeError with what was wrong."""
    done = run("--json", f"--timeout={SECONDS}", f"--append={append}", *arguments, program)
    if done.returncode:
        raise RuntimeError(f"{program}: status {done.returncode}: {done.stderr.decode(errors='replace').strip()[-200:]}")
    found = json.loads(done.stdout)
    bad = [check["what"] for check in found["checks"] if not check["ok"]]
    if bad:
        raise RuntimeError(f"{program}: failed: {bad[0]}")
    values = {bench["bench"]: bench["value"] for bench in found["benchmarks"]}
    return values, {check["what"] for check in found["checks"]}, found.get("switches", 0)


def engines():
    """What `ringside engines` says of each, by name."""
    said = json.loads(subprocess.run([RINGSIDE, "engines", "--json"], capture_output=True, check=True).stdout)
    return {engine["name"]: engine for engine in said["engines"]}


def has_limits(program, backend):
    """Whether something in it is known to go wrong on this back end of /dev/kvm."""
    path = os.path.join("tests", "limits", backend)
    if not os.path.exists(path):
        return False
    with open(path, encoding="utf-8") as file:
        return any(line.startswith(f"{os.path.basename(program)} | ") for line in file)


def programs(mode):
    """(program, command line) of those that run in a mode."""
    if "vtx" not in mode:
        return PROGRAMS
    backend = engines()["vtx"]["backend"]
    return [row for row in (PROGRAMS if SWITCHES else VTX_PROGRAMS) if not has_limits(row[0], backend)]


def fewest(mode):
    return max(SWITCHES, VTX_FEWEST if "vtx" in mode else FEWEST)


def go_round(mode, expected):
    """Moves made while each program ran once. expected: what each computes and checks on interp, as far as it is known."""
    switches = 0
    for program in programs(mode):
        if program not in expected:
            expected[program] = results(*program)[:2]
        values, checks, count = results(*program, f"--engine={mode}", f"--switch={EVERY}")
        if (values, checks) != expected[program]:
            raise RuntimeError(f"{program[0]}: {values} and {len(checks)} checks, where it stays "
                               f"{expected[program][0]} and {len(expected[program][1])}")
        switches += count
    return switches


def check_mode(mode, expected):
    switches = 0
    start = time.monotonic()
    try:
        while not switches or switches < fewest(mode) and time.monotonic() - start < MODE_SECONDS:
            switches += go_round(mode, expected)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        return f"not ok {mode}: {error}"
    return f"{'ok' if switches >= fewest(mode) else 'not ok'} {mode}: {switches} switches, the same values and checks"


def check_usage():
    """What the command line may not say."""
    for words, status, text in [(["--engine=interp,bt"], 2, "no --switch"), (["--switch=1"], 2, "more engines than one"),
                                (["--engine=bt,bt", "--switch=1"], 2, "twice"),
                                (["--engine=interp,vtx:irqchip=kernel", "--switch=1"], 2, "irqchip=user"),
                                (["--engine=interp,vtx", "--switch=1", "--vtx-irqchip=kernel"], 2, "irqchip=user"),
                                (["--engine=interp,bt", "--switch=1", "--budget=9"], 3, "cannot count")]:
        done = run(*words, "micro/fib")
        error = done.stderr.decode(errors="replace").strip()
        well = done.returncode == status and text in error and "\n" not in error
        yield f"{'ok' if well else 'not ok'} {' '.join(words)}: status {done.returncode}: {error}"


def check_counts(missing):
    """What an engine counts is asked before bt gives up the system calls for it."""
    if "vtx" in missing or "bt" in missing:
        return
    counts = [json.loads(run("--json", f"--engine={engines}", *more, "--append=reps=1 cycles=1000", "nano/idle").stdout)["engine"]["counts"]
              for engines, more in [("vtx", []), ("vtx,bt", ["--switch=10"])]]
    yield f"{'ok' if counts[0] == counts[1] else 'not ok'} vtx counts {len(counts[0])} events alone and {len(counts[1])} with bt"


def main():
    missing, expected = {name: engine["reason"] for name, engine in engines().items() if not engine["available"]}, {}
    lines = [*check_usage(), *check_counts(missing)]
    print("\n".join(lines), flush=True)
    for mode in MODES + (MORE_MODES if SWITCHES else []):
        reasons = [f"{name}: {why}" for name, why in missing.items() if name in mode]
        lines.append(f"skip {mode}: {reasons[0]}" if reasons else check_mode(mode, expected))
        print(lines[-1], flush=True)
    return 1 if any(line.startswith("not") for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
