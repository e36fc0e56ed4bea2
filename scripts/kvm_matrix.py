# SPDX-License-Identifier: BSD-2-Clause
"""What is known of engine vtx on an emulated machine (check_kvm.py): the matrix item x way of paging, seen in as many pieces
as it takes. A cell of it, one machine with one way of paging, is a file of JSON Lines, where the last record of an item that
ran the very same bytes counts. A record has what happened; what to think of it is said anew each time."""
import json
import os
import subprocess

import kvm_machine
import test
from new_results import now

LIMITS = {"amd": "qemu_svm", "intel": "bochs_vmx", "amd-bochs": "bochs_svm"}
VERDICTS = ("passed", "limit", "skip", "FAIL")
SWITCHED = "+switch"  # behind the name of an image that runs with --switch
FEWEST_SWITCHES = 20
MARK = "check not-qemu: "  # tests/guest/judge.h
MARKED = "what QEMU's CPU itself gets wrong (tests/guest/judge.h)"


# ---- Records ----

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


def facts_of_program(result):
    """Of a unit test, by what it printed."""
    outcome = test.judge_program(test.Outcome("", result.name, []), result.status, result.out, result.err, 0)
    text = [line for line in result.out.splitlines() if not line.startswith("ok")]
    return {"passed": outcome.passed, "wrong": outcome.failed, "skipped": outcome.skipped, "text": text[-20:]}


def facts_of_image(result):
    """Of an image, by what ringside said of it."""
    try:
        document = json.loads(result.out)
    except ValueError:
        why = f"exit status {result.status}: {test.last_line(result.err) or 'no JSON'}"
        return {"passed": 0, "wrong": [why], "skipped": [], "text": result.out.splitlines()[-20:]}
    wrong = failures_of(document, result.name.startswith(("test/", "bantam/", "linux/")))
    switches = document.get("switches", 0)
    if result.name.endswith(SWITCHED) and not wrong and switches < FEWEST_SWITCHES:
        wrong = [f"{switches} moves between engines are too few"]
    return {"passed": sum(bool(c["ok"]) for c in document["checks"]) + len(document["benchmarks"]), "wrong": wrong,
            "switches": switches,
            "skipped": [s["reason"] or "?" for s in document["skipped"]],
            "counters": document["counters"], "stats": {name: value for name, value in document["stats"].items() if value}}


def record_of(result, key):
    """One line of a cell's file. status: None where it hung; passed: how many checks, or benchmarks."""
    record = {"name": result.name, "key": key, "status": result.status, "seconds": round(result.seconds, 1)}
    if result.status is None:
        return dict(record, passed=0, wrong=[f"the machine hung: {result.err}"], skipped=[])
    return dict(record, **(facts_of_program if result.name.startswith("unit/") else facts_of_image)(result))


def must_be_hardware(cell, result):
    """RuntimeError where the machine has no virtualization after all."""
    found = json.loads(result.out)
    engine = next(e for e in (found["engines"] if isinstance(found, dict) else found) if e["name"] == "vtx")
    if not engine["hardware"]:
        raise RuntimeError(f"not hardware: {engine['column']} {engine['reason']}")


# ---- Cells ----

class Cell:
    """items: (name, command) of all that is to be seen. records: what has been, by name."""

    def __init__(self, machine, nested, items, root):
        self.machine, self.nested, self.items = machine, nested, items
        self.title = f"{machine.module} {machine.setting(nested)}"
        self.path = f"{machine.folder(nested)}.jsonl"
        self.keys = {name: root.key(command) for name, command in items}
        self.records = {r["name"]: r for r in self.kept() if r["key"] == self.keys.get(r["name"])}

    def kept(self):
        if not os.path.exists(self.path):
            return
        for line in kvm_machine.contents(self.path).decode().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue  # the writer was ended within it
            if "key" in record:
                yield record

    def add(self, result):
        record = record_of(result, self.keys[result.name])
        record |= {"time": now(), "commit": commit()}
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        cut = os.path.exists(self.path) and not kvm_machine.contents(self.path).endswith(b"\n")
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(("\n" if cut else "") + json.dumps(record) + "\n")
        self.records[result.name] = record
        return record

    def seen(self):
        return len(self.records)

    def complete(self):
        return len(self.records) == len(self.items)


def commit():
    asked = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True)
    return asked.stdout.strip() or None


# ---- What to think of it ----

def own_limits(machine):
    """Of the module and of the emulated CPU, which are seen here and nowhere else."""
    return test.known_limits(machine.module.replace("-", "_")) | test.known_limits(LIMITS[machine.name])


def limits_of(machine):
    return test.known_limits("kvm") | own_limits(machine)


def limits_met(record, machine, limits):
    """Of each thing that is wrong with a record, the key of its limit (MARKED, or one of limits), or None: (what, key)."""
    for what in record["wrong"]:
        if machine.name == "amd" and what.startswith(MARK):
            yield what, MARKED
        elif record["status"] is None:
            hang = record["name"].split("/")[-1], "hang"
            yield what, hang if hang in limits else None
        else:
            yield what, test.limit_of(record["name"], what, limits)


def judged(record, machine, limits):
    """One of VERDICTS, and lines with the reasons."""
    met = list(limits_met(record, machine, limits))
    failed = [what for what, key in met if not key]
    if failed:
        return "FAIL", failed
    reasons = sorted({MARKED if key == MARKED else limits[key] for _, key in met})
    if reasons:
        return "limit", reasons + sorted(set(record["skipped"]))
    return ("passed" if record["passed"] else "skip"), sorted(set(record["skipped"]))


def stale_limits(machine, cells):
    """Lines of the machine's own limits that nothing needed in a matrix that is complete: (image, check): reason."""
    if not all(cell.complete() for cell in cells):
        return {}
    limits = limits_of(machine)
    used = {key for cell in cells for record in cell.records.values() for _, key in limits_met(record, machine, limits)}
    return {key: reason for key, reason in own_limits(machine).items() if key not in used}


def report(cells, verbose):
    """Prints the count of each verdict in each cell; gives lines for all that failed."""
    machine, wrong = cells[0].machine, []
    limits = limits_of(machine)
    for cell in cells:
        verdicts = {name: judged(record, machine, limits) for name, record in cell.records.items()}
        wrong += [f"{cell.title} {name}: {line}" for name, (verdict, lines) in verdicts.items() if verdict == "FAIL" for line in lines]
        if verbose:
            for name, (verdict, lines) in sorted(verdicts.items()):
                for line in lines if verdict != "FAIL" else []:
                    print(f"  {cell.title} {verdict} {name}: {line}")
        counts = [sum(verdict == kind for verdict, _ in verdicts.values()) for kind in VERDICTS]
        seconds = sum(record["seconds"] for record in cell.records.values())
        print(f"{cell.title}: {cell.seen()} of {len(cell.items)} seen: {counts[0]} passed, {counts[1]} within known limits, "
              f"{counts[2]} skipped, {counts[3]} failed; {seconds / 60:.0f} min of emulation; {cell.path}")
    wrong += [f"tests/limits: nothing needs `{image} | {check} | {reason}` any more"
              for (image, check), reason in stale_limits(machine, cells).items()]
    return wrong


def summary(machine, cells):
    seen, items = sum(cell.seen() for cell in cells), sum(len(cell.items) for cell in cells)
    if seen == items:
        return f"matrix of {machine.module} complete: {seen} of {items}"
    return f"matrix of {machine.module}: {seen} of {items} seen; the same command goes on with the rest"
