#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Engine vtx on the real kvm_amd (SVM) or kvm_intel (VT-x), on a machine that need have neither: its unit tests and all
images in an emulated machine (kvm_machine.py), with nested paging and with shadow paging. `make check-kvm-amd`,
`make check-kvm-intel`.

What came of each image, with exits by reason and KVM's own statistics, is kept as JSON Lines in build/kvm; an
interrupted run goes on from there, unless what it ran has changed. For correctness and counts: times mean nothing here.
A check that the emulated CPU is known to fail (tests/limits/EMULATOR) is a skip with the reason."""
import argparse
import glob
import hashlib
import json
import os
import sys
import time

import kvm_machine
import test

UNIT_TESTS = {"unit/vtx": "vtx", "unit/move": "move vtx"}
GUEST_SECONDS = 600  # by the emulated machine's clock
LIMITS = {"amd": "qemu_svm", "intel": "bochs_vmx", "amd-bochs": "bochs_svm"}
MARK = "not-qemu: "  # tests/guest/judge.h
# Translated a thousand times over, the page that this one writes its code to costs QEMU a third of a second for every byte
# that whoever gets the page next stores there.
LAST = ["test/abuse_code"]


# ---- What to run ----

def image_command(path):
    name = test.image_name(path)
    is_test = name.startswith(("test/", "bantam/"))
    words = f" --append='{test.SHORT}'" if not is_test else ""
    return name, f"ringside run --engine=vtx --json --timeout={GUEST_SECONDS}{words} /images/{name}.elf"


def all_items(images, only):
    items = [("engines", "ringside engines --json")]
    items += [(name, command) for name, command in UNIT_TESTS.items() if only in name]
    commands = [image_command(path) for path in images if only in path]
    return items + sorted(commands, key=lambda item: item[0] in LAST)


# ---- What came of it ----

def failures_of(document, is_test):
    """Lines that say what is wrong with a run that ringside described as JSON."""
    wrong = [f"check {c['what']}" for c in document["checks"] if not c["ok"]]
    panics = [text.split(": panic: ", 1)[1].strip() for text in document["text"] if ": panic: " in text]
    wrong += [f"panic: {text}" for text in panics[-1:]]
    if not wrong and document["status"] != 0:
        wrong.append(document["reason"] or f"exit status {document['status']}")
    did_something = document["checks"] if is_test else document["benchmarks"]
    if not wrong and not did_something and not document["skipped"]:
        wrong.append("made no check at all" if is_test else "measured nothing")
    return wrong


def judge_image(result, limits, qemu):
    outcome = test.Outcome("", result.name, [])
    if result.status is None:
        known = limits.get((result.name.split("/")[-1], "hang"))
        (outcome.skipped if known else outcome.failed).append(known or f"the machine hung: {result.err}")
    else:
        try:
            document = json.loads(result.out)
        except ValueError:
            outcome.failed.append(f"exit status {result.status}: {test.last_line(result.err) or 'no JSON'}")
            return outcome
        outcome.failed = failures_of(document, result.name.startswith(("test/", "bantam/")))
        outcome.skipped = [s["reason"] or "?" for s in document["skipped"]]
    marked = [line for line in outcome.failed if line.startswith("check " + MARK)] if qemu else []
    outcome.failed = [line for line in outcome.failed if line not in marked]
    if marked:
        outcome.skipped.append("what QEMU's CPU itself gets wrong (tests/guest/judge.h)")
    test.excuse(outcome, limits)
    if not outcome.failed and not (outcome.skipped and result.status != 0):
        outcome.passed = 1
    return outcome


def judge(result, machine, limits):
    if result.name.startswith("unit/") and result.status is not None:
        outcome = test.Outcome("", result.name, [])
        test.judge_program(outcome, result.status, result.out, result.err, GUEST_SECONDS)
        test.excuse(outcome, limits)
        return outcome
    return judge_image(result, limits, machine.name == "amd")


def engine_of(result):
    """The description of engine vtx, from `ringside engines --json`."""
    found = json.loads(result.out)
    engines = found["engines"] if isinstance(found, dict) else found
    return next(e for e in engines if e["name"] == "vtx")


def record_of(result, outcome):
    """One line of the results file."""
    record = {"type": "item", "name": result.name, "status": result.status, "seconds": round(result.seconds, 1),
              "outcome": "failed" if outcome.failed else "passed" if outcome.passed else "skipped",
              "failed": outcome.failed, "skipped": outcome.skipped, "passed": outcome.passed}
    try:
        document = json.loads(result.out)
        record["counters"] = document["counters"]
        record["stats"] = {name: value for name, value in document["stats"].items() if value}
    except (ValueError, KeyError, TypeError):
        record["text"] = [line for line in result.out.splitlines() if not line.startswith("ok")][-20:]
    return record


# ---- The results file, which an interrupted run goes on with ----

def key_of(items, files):
    """What a run was of: the commands and every byte that they ran."""
    digest = hashlib.sha256(json.dumps(items).encode())
    for path in sorted(files):
        digest.update(kvm_machine.contents(path))
    return digest.hexdigest()


def kept(path, key):
    """Records of an interrupted run of the same things; [] where there is none."""
    if not os.path.exists(path):
        return []
    lines = kvm_machine.contents(path).decode().splitlines()
    records = []
    for line in lines:
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    whole = any(r["type"] == "end" for r in records)
    return records[1:] if records and records[0].get("key") == key and not whole else []


def report(record):
    for what in record["failed"]:
        print(f"FAIL {record['name']}: {what}", flush=True)
    for why in sorted(set(record["skipped"])):
        print(f"skip {record['name']}: {why}", flush=True)


def check(machine, nested, options, programs, images):
    """One machine with one way of paging: (passed, failed, skipped)."""
    title = f"{machine.module} {machine.setting(nested)}"
    items = all_items(images, options.only)
    path = f"{machine.folder(nested)}.jsonl"
    os.makedirs(kvm_machine.FOLDER, exist_ok=True)
    key = key_of(items, [*programs, *images, "scripts/kvm_init.sh"])
    records = [] if options.fresh else kept(path, key)
    limits = test.known_limits("kvm") | test.known_limits(LIMITS[machine.name])
    before = {r["name"] for r in records}
    left = [item for item in items if item[0] not in before or item[0] == "engines"]
    start, done = time.monotonic(), len(before)
    print(f"{title} in {machine.what}: {len(items) - 1} items" +
          (f", {len(before)} of them known from a run that was interrupted" if before else ""), flush=True)
    with open(path, "w", encoding="utf-8") as file:
        def write(record):
            file.write(json.dumps(record) + "\n")
            file.flush()

        def take(result):
            nonlocal done
            if result.name == "engines":
                engine = engine_of(result)
                print(f"  {engine.get('column')}", flush=True)
                if not engine["hardware"]:
                    raise RuntimeError(f"{title}: not hardware: {engine['column']} {engine['reason']}")
                return
            record = record_of(result, judge(result, machine, limits))
            records.append(record)
            write(record)
            report(record)
            done += 1
            if done % 20 == 0 or options.verbose:
                print(f"  [{done}/{len(items) - 1}] {time.monotonic() - start:.0f} s: {result.name}", flush=True)
        write({"type": "run", "key": key, "machine": machine.what, "module": machine.module,
               "setting": machine.setting(nested)})
        for record in records:
            write(record)
        if left != [items[0]]:
            kernel = kvm_machine.run(machine, nested, left, take, programs, images)
            write({"type": "end", "kernel": kernel, "seconds": round(time.monotonic() - start, 1)})
    totals = (sum(r["passed"] for r in records), sum(len(r["failed"]) for r in records),
              sum(len(r["skipped"]) for r in records))
    print(f"{title}: {totals[0]} passed, {totals[1]} failed, {totals[2]} skipped; {time.monotonic() - start:.0f} s; "
          f"counts: {path}", flush=True)
    return totals


def parse(args):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("machine", choices=kvm_machine.MACHINES)
    parser.add_argument("--paging", choices=("nested", "shadow", "both"), default="both")
    parser.add_argument("--only", default="", metavar="TEXT", help="only what has TEXT in its path")
    parser.add_argument("--fresh", action="store_true", help="do not go on with an interrupted run")
    parser.add_argument("--verbose", action="store_true", help="a line for each item")
    return parser.parse_args(args)


def main(args):
    options = parse(args)
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    machine = kvm_machine.MACHINES[options.machine]
    images = sorted(glob.glob("build/images/**/*.elf", recursive=True))
    programs = ["build/ringside", "build/tests/vtx", "build/tests/move"]
    totals = (0, 0, 0)
    for nested in {"nested": [True], "shadow": [False], "both": [True, False]}[options.paging]:
        try:
            totals = tuple(map(sum, zip(totals, check(machine, nested, options, programs, images))))
        except kvm_machine.Unavailable as reason:
            print(f"skip {machine.module} {machine.setting(nested)}: {reason}", flush=True)
            totals = (totals[0], totals[1], totals[2] + 1)
        except RuntimeError as error:
            print(f"FAIL {error}", flush=True)
            totals = (totals[0], totals[1] + 1, totals[2])
    print(f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped")
    return 1 if totals[1] else 0


if __name__ == "__main__":
    kvm_machine.end_on_signals()
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on from here", file=sys.stderr)
        sys.exit(130)
