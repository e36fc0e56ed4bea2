#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs all tests: the unit tests' programs, tests/cli and tests/scripts, and the matrix image x engine. A failing item
gets one line and the command that runs it again; the last line is `N passed, N failed, N skipped`.

What a test program prints decides: `ok WHAT`, `not ok WHAT`, `skip WHY` lines, and its exit status. What an image
prints decides in the matrix: include/guest_abi.h has the format."""
import argparse
import concurrent.futures
import glob
import json
import os
import shlex
import signal
import subprocess
import sys
import time

WORKERS = 2
# Enough for one repetition of everything, and little enough for an engine that needs a microsecond an instruction.
SHORT = "reps=1 cycles=1000"
# Engines with settings that run the images of the guest Unix, and those that enter CPL 3, beside the engines as they are.
VARIANTS = ["bt:mmu=trace", "bt:user=translated", "bt:user=direct"]
# vtx with the machine's interrupt controllers and timers runs the images that are about these.
USER_IRQCHIP = "vtx:irqchip=user"
USER_IRQCHIP_IMAGES = ["test/hltwake", "test/interrupts", "test/ioapic", "test/nmi", "test/pit", "test/rtc", "test/serial", "test/stishadow"]
# Of `ringside run`: the engine could not go on; on a software back end of /dev/kvm, as that cannot do what the guest did.
ENGINE_ERRORS = (8, 12)
# What no item comes near on a quiet machine (a minute, and some seconds): only what hangs is to wait for it.
UNIT_SECONDS = 900
IMAGE_SECONDS = 300


class Outcome:
    """What one item brought: how many passed, and lines (what, why) for what failed or was skipped."""

    def __init__(self, group, name, command):
        self.group, self.name, self.command = group, name, command
        self.passed, self.failed, self.skipped = 0, [], []
        self.seconds = 0.0
        self.values = {}


def run(command, seconds, env=None):
    """(exit status, stdout, stderr); the status is None where the time was up. The whole process group ends then."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=env, start_new_session=True)
    try:
        out, err = process.communicate(timeout=seconds)
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        status = None
    return status, out.decode(errors="replace"), err.decode(errors="replace")


def how_it_ended(status, seconds):
    if status is None:
        return f"did not end within {seconds} s"
    if status < 0:
        return f"was ended by signal {-status} ({signal.Signals(-status).name})"
    return f"exit status {status}"


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


# ---- Programs that print ok and not ok ----

def judge_program(outcome, status, out, err, seconds):
    for line in out.splitlines():
        if line.startswith("ok"):
            outcome.passed += 1
        elif line.startswith("not ok"):
            outcome.failed.append(line[7:] or "(no name)")
        elif line.startswith("skip"):
            outcome.skipped.append(line[5:] or "(no reason)")
    if status != 0 and not outcome.failed:
        note = last_line(err)
        outcome.failed.append(how_it_ended(status, seconds) + (f": {note}" if note else ""))
    if not (outcome.passed or outcome.failed or outcome.skipped):
        outcome.failed.append("printed no ok, not ok or skip line")
    return outcome


def run_program(group, path, build):
    outcome = Outcome(group, path, command_of(path))
    env = dict(os.environ, BUILD=build, RINGSIDE=os.path.join(build, "ringside"))
    status, out, err = run(outcome.command, UNIT_SECONDS, env)
    return judge_program(outcome, status, out, err, UNIT_SECONDS)


def command_of(path):
    by_suffix = {".py": "python3", ".sh": "bash"}
    interpreter = by_suffix.get(os.path.splitext(path)[1])
    return [interpreter, path] if interpreter else [path]


def programs(build):
    """(group, path) of every test program that make has built or that lies in the tree."""
    units = sorted(p for p in glob.glob(f"{build}/tests/*") if os.access(p, os.X_OK) and not os.path.isdir(p))
    found = [("unit", path) for path in units if not path.endswith(".d")]
    for group in ("cli", "scripts"):
        found += [(group, path) for path in sorted(glob.glob(f"tests/{group}/*"))
                  if path.endswith((".py", ".sh")) and not os.path.basename(path).startswith("_")]
    return found


# ---- Images ----

def records(out):
    """The records of a run: (kind, fields). The last field of a record may be text with spaces."""
    for line in out.splitlines():
        words = line.strip().split(" ")
        if words[0] != "rs1" or len(words) < 2:
            continue
        fields = {}
        for word in words[2:]:
            key, equals, value = word.partition("=")
            if equals and key.isidentifier() and "why" not in fields and "what" not in fields:
                fields[key] = value
            elif fields:
                last = list(fields)[-1]
                fields[last] += " " + word
        yield words[1], fields


def panic_line(out):
    """What the guest library says when a guest cannot go on; None where it did not."""
    lines = [line for line in out.splitlines() if ": panic: " in line]
    return "panic: " + lines[-1].split(": panic: ", 1)[1].strip() if lines else None


def judge_image(outcome, status, out, err, is_test, soft):
    """soft: the back end is one that may lack instructions, so that the engine's own error is a skip."""
    found = list(records(out))
    checks = [f for kind, f in found if kind == "check"]
    outcome.failed += [f"check {f.get('what', '?')}" for f in checks if f.get("ok") != "1"]
    if panic_line(out):
        outcome.failed.append(panic_line(out))
    if status in ENGINE_ERRORS and soft and not outcome.failed:
        outcome.skipped.append(last_line(err) or "engine error without a line that says why")
        return outcome
    outcome.skipped += [f.get("why", "?") for kind, f in found if kind == "skip" and outcome.group != "native"]
    ends = [f for kind, f in found if kind == "end"]
    measured = any(kind in ("warm", "cold") for kind, _ in found)
    if not outcome.failed:
        if status != 0:
            note = last_line(err)
            outcome.failed.append(how_it_ended(status, IMAGE_SECONDS) + (f": {note}" if note else ""))
        elif not ends or ends[-1].get("status") != "0":
            outcome.failed.append("no `rs1 end` record with status=0")
        elif is_test and not checks and not outcome.skipped:
            outcome.failed.append("made no check at all")
        elif not is_test and not measured and not outcome.skipped:
            outcome.failed.append("measured nothing: no `rs1 warm` record, nor a `cold` one of a benchmark that runs once")
    outcome.values = {f["name"]: f["value"] for kind, f in found if kind == "value" and "value" in f}
    did_something = checks or measured
    outcome.passed = 1 if did_something and not outcome.failed else 0
    return outcome


def run_image(path, engine, build):
    is_test = "/images/test/" in path or "/images/bantam/" in path
    command = [f"{build}/ringside", "run", f"--engine={engine['name']}", f"--timeout={IMAGE_SECONDS - 10}"]
    command += [f"--append={SHORT}"] if not is_test else ["--append=few=1"] if soft_back_end(engine) else []
    outcome = Outcome(f"{engine['name']}", image_name(path), command + [path])
    status, out, err = run(outcome.command, IMAGE_SECONDS)
    judge_image(outcome, status, out, err, is_test, soft_back_end(engine))
    if plain_name(engine) == "vtx":
        excuse(outcome, known_limits("kvm") | known_limits(engine.get("backend", "")))
    else:
        settle_refusal(outcome, status, known_limits(plain_name(engine)))
    return outcome


def run_native(path):
    outcome = Outcome("native", image_name(path), [path, *SHORT.split()])
    status, out, err = run(outcome.command, IMAGE_SECONDS)
    return judge_image(outcome, status, out, err, "/native/bantam/" in path, False)


def plain_name(engine):
    return engine["name"].split(":")[0]


def soft_back_end(engine):
    """A stand-in for hardware, such as kvm_pvm: not the interpreter, which is to do everything."""
    return plain_name(engine) == "vtx" and not engine.get("hardware")


def known_limits(backend):
    """{(image, check): reason} of what a back end is known to do wrongly, from tests/limits/BACKEND."""
    path = os.path.join("tests", "limits", os.path.basename(backend))
    limits = {}
    if os.path.isfile(path):
        with open(path) as file:
            for line in file:
                if not line.startswith("#") and line.strip():
                    image, rest = line.strip().split(" | ", 1)
                    check, reason = rest.rsplit(" | ", 1)
                    limits[image, check] = f"{backend}: {reason}"
    return limits


def limit_of(name, line, limits):
    """Which of the limits a failure of an image is: a check, all of them, for `*` the guest's panic, or for `hang` that it
    did not end; None: none."""
    image = name.split("/")[-1]
    check = line.removeprefix("check ").split(" (got ")[0].split(" (line ")[0]  # what changes with every build
    asked = [(image, "*" if line.startswith("panic: ") else check)]
    asked += [(image, "all")] if line.startswith("check ") else []
    asked += [(image, "hang")] if " did not end within " in line else []
    return next((key for key in asked if key in limits), None)


def excuse(outcome, limits):
    """Known limits of the back end are skips. Anything else stays a failure."""
    failed, outcome.failed = outcome.failed, []
    for line in failed:
        reason = limits.get(limit_of(outcome.name, line, limits))
        if not reason:
            outcome.failed.append(line)
        elif reason not in outcome.skipped:
            outcome.skipped.append(reason)


def settle_refusal(outcome, status, limits):
    """An image of which the limits say `refused` (IMAGE | refused | REASON) ends in the engine's own error, and that is a
    skip; once it does not, the line in the limits is the failure."""
    reason = limits.get((outcome.name.split("/")[-1], "refused"))
    if reason and status in ENGINE_ERRORS:
        outcome.failed, outcome.skipped, outcome.passed = [], [reason], 0
    elif reason:
        outcome.failed.append(f"is not refused any more: take its line out of tests/limits ({reason})")
        outcome.passed = 0


def image_name(path):
    return os.path.splitext(path.split("/images/")[-1].split("/native/")[-1])[0]


def engines_here(build):
    status, out, err = run([f"{build}/ringside", "engines", "--json"], 60)
    if status != 0:
        raise RuntimeError(f"`{build}/ringside engines --json`: {how_it_ended(status, 60)}: {last_line(err)}")
    found = json.loads(out)
    return found["engines"] if isinstance(found, dict) else found


def has_user_code(path):
    """Programs under the guest Unix, and images whose source goes to CPL 3."""
    name = image_name(path)
    if os.path.exists(f"build/archive/{name}.S"):
        return True
    source = f"tests/guest/{name.removeprefix('test/')}.c" if name.startswith("test/") else f"bench/{name}.c"
    with open(source, encoding="utf-8") as file:
        return any(word in file.read() for word in ("run_user", "user_call", "USER_CS"))


def variants_here(engines, build):
    """VARIANTS of the engines that can run here, as engines of their own."""
    known = run([f"{build}/ringside", "run", "--help"], 60)[1]
    for name in VARIANTS:
        plain, setting = name.split(":")
        option = f"--{plain}-{setting.split('=')[0]}="
        yield from (dict(e, name=name) for e in engines if e["name"] == plain and e.get("available", True) and option in known)


def compare_values(outcomes):
    """One outcome per image that has a result: it must be the same wherever it ran."""
    by_image = {}
    for outcome in outcomes:
        for name, value in outcome.values.items():
            by_image.setdefault((outcome.name, name), {}).setdefault(value, []).append(outcome.group)
    for (image, name), values in sorted(by_image.items()):
        places = [place for found in values.values() for place in found]
        if len(places) < 2:
            continue
        result = Outcome("values", f"{image} {name}", [])
        if len(values) == 1:
            result.passed = 1
        else:
            result.failed.append(", ".join(f"{value} on {'/'.join(where)}" for value, where in sorted(values.items())))
        yield result


# ---- The whole run ----

def wanted(engine, options):
    return not options.engines or engine["name"] in options.engines.split(",")


def all_items(options, skipped):
    """Callables, each giving one Outcome. Engines that cannot run here go to `skipped`, one entry per image."""
    items = [lambda g=g, p=p: run_program(g, p, options.build) for g, p in programs(options.build)
             if options.only in p]
    images = [p for p in sorted(glob.glob("build/images/**/*.elf", recursive=True)) if options.only in p]
    engines = engines_here(options.build)
    for engine in engines:
        if not wanted(engine, options):
            continue
        if not engine.get("available", True):
            outcome = Outcome(engine["name"], f"all {len(images)} images", [])
            outcome.skipped = [engine.get("reason", "?")] * len(images)
            skipped.append(outcome)
            continue
        items += [lambda p=p, e=engine: run_image(p, e, options.build) for p in images]
    for engine in engines:
        if engine["name"] == "vtx" and engine.get("available", True) and wanted(dict(engine, name=USER_IRQCHIP), options):
            items += [lambda p=p, e=dict(engine, name=USER_IRQCHIP): run_image(p, e, options.build)
                      for p in images if image_name(p) in USER_IRQCHIP_IMAGES]
    for variant in variants_here(engines, options.build):
        if wanted(variant, options):
            items += [lambda p=p, e=variant: run_image(p, e, options.build) for p in images if has_user_code(p)]
    natives = [p for p in sorted(glob.glob("build/native/**/*", recursive=True))
               if os.access(p, os.X_OK) and not os.path.isdir(p) and options.only in p]
    return items + [lambda p=p: run_native(p) for p in natives]


def timed(item):
    start = time.monotonic()
    outcome = item()
    outcome.seconds = time.monotonic() - start
    return outcome


def report(outcome):
    again = f"   again: {shlex.join(outcome.command)}" if outcome.command else ""
    for what in outcome.failed:
        print(f"FAIL {outcome.group}: {outcome.name}: {what}{again}", flush=True)
    for why in sorted(set(outcome.skipped)):
        count = outcome.skipped.count(why)
        print(f"skip {outcome.group}: {outcome.name}: {why}" + (f" ({count} times)" if count > 1 else ""), flush=True)


def summary(outcomes):
    print(f"\n{'':18} {'passed':>7} {'failed':>7} {'skipped':>7} {'seconds':>8}")
    groups = {}
    for outcome in outcomes:
        groups.setdefault(outcome.group, []).append(outcome)
    for group, members in groups.items():
        print(f"{group:18} {sum(o.passed for o in members):7} {sum(len(o.failed) for o in members):7} "
              f"{sum(len(o.skipped) for o in members):7} {sum(o.seconds for o in members):8.1f}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build", help="where make built: build, or build/san for SANITIZE=1")
    parser.add_argument("--only", default="", metavar="TEXT", help="only what has TEXT in its path")
    parser.add_argument("--engines", default="", metavar="NAME,...", help="only these engines")
    parser.add_argument("--slowest", type=int, default=0, metavar="N", help="list the N items that took longest")
    return parser.parse_args()


def run_all(items):
    done = []
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for future in concurrent.futures.as_completed([pool.submit(timed, item) for item in items]):
            done.append(future.result())
            report(done[-1])
            if sys.stderr.isatty():
                print(f"\r{len(done)}/{len(items)} ", end="", file=sys.stderr, flush=True)
    return done


def main():
    options = parse()
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    start = time.monotonic()
    broken = Outcome("set-up", "engines", [])
    outcomes = []
    try:
        items = all_items(options, outcomes)
    except (RuntimeError, OSError, ValueError) as error:
        broken.failed.append(str(error))
        items = []
        outcomes.append(broken)
    for outcome in outcomes:
        report(outcome)
    outcomes += run_all(items)
    compared = list(compare_values(outcomes))
    for outcome in compared:
        report(outcome)
    outcomes += compared
    summary(outcomes)
    for outcome in sorted(outcomes, key=lambda o: -o.seconds)[:options.slowest]:
        print(f"{outcome.seconds:8.1f} s  {outcome.group}: {outcome.name}")
    failed = sum(len(o.failed) for o in outcomes)
    print(f"{time.monotonic() - start:.0f} s in all\n")
    print(f"{sum(o.passed for o in outcomes)} passed, {failed} failed, {sum(len(o.skipped) for o in outcomes)} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
