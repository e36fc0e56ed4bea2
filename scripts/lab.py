#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The labs of docs/labs. `scripts/lab.py measure N` takes what lab N looks at, once the predictions are written (the first
time it writes the form for them); `scripts/lab.py check N [FILE...]` says line by line what came of it. `scripts/lab.py count
[--engine=E] IMAGE` prints the events of one iteration of an image, or of its whole run where it runs once.

Exit status of check: 0 where all that could be seen held, 1 where something did not or nothing could be seen, 2 usage."""
import argparse
import difflib
import glob
import json
import os
import subprocess
import sys
import tempfile

import lab_judge
import lab_plans
import new_results
import process
import results
from lab_judge import HELD, NOT_HELD, UNSEEN, Line

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RINGSIDE = "build/ringside"
RECORDED = "results/*-exits-emulated.jsonl"  # counted on the real modules, in emulated machines; the newest is taken
PREDICT, ANSWER = "predict.", "answer."
RUNS, REPS, CYCLES = 12, 5, 500_000


class Problem(Exception):
    """What is wrong with the command line or a file, in one line."""


# ---- The answers file: `key: text` lines; a line that begins with a blank goes on; `#` comments ----

def form(lab):
    out = [f"# Lab {lab.number}: {lab.title}. {lab.hand_out()} is the hand-out.",
           "# Predictions come first: write them in place of each `?`, then `make lab N=%d` measures." % lab.number,
           f"lab: {lab.number}", "name: ?", ""]
    for key, what in lab.predictions.items():
        out += [f"# {what}", f"{PREDICT}{key}: ?"]
    out += ["", "# The questions of the hand-out, in your own words. Lines that go on begin with a blank."]
    return "\n".join(out + [f"{ANSWER}{number}: ?" for number in range(1, lab.questions + 1)]) + "\n"


def known_keys(lab):
    return ["lab", "name"] + [PREDICT + key for key in lab.predictions] + [f"{ANSWER}{n}" for n in range(1, lab.questions + 1)]


def read_answers(path, lab):
    """key -> text of all that stands there."""
    found, last, known = {}, None, known_keys(lab)
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip()
            if not line or line.startswith("#"):
                continue
            if line[0].isspace() and last:
                found[last] += "\n" + line.strip()
                continue
            key, colon, text = line.partition(":")
            last = key.strip()
            if not colon:
                raise Problem(f"{path}:{number}: neither `key: text` nor, with a blank in front, more of the last one")
            if last not in known:
                near = difflib.get_close_matches(last, known, 1)
                raise Problem(f"{path}:{number}: lab {lab.number} asks for no `{last}`" + (f"; did you mean `{near[0]}`?" if near else ""))
            if last in found:
                raise Problem(f"{path}:{number}: `{last}` stands there twice")
            found[last] = text.strip()
            if last == "lab" and found[last] != str(lab.number):
                break  # what follows is that lab's
    if found.get("lab") != str(lab.number):
        raise Problem(f"{path}: says `lab: {found.get('lab', '')}`, and this is lab {lab.number}")
    return found


def predictions_in(answers):
    return {key.removeprefix(PREDICT): text for key, text in answers.items() if key.startswith(PREDICT)}


def unwritten(lab, answers):
    return [key for key in lab.predictions if answers.get(PREDICT + key, "?") in ("", "?")]


# ---- Measuring ----

def here(name):
    return os.path.exists(f"build/images/{name}.elf")


def images_of(lab):
    """Of the images that the lab measures, those of the student's that are not there yet."""
    named = [name for _, names in lab.benches for name in names] + [name for _, names, _ in lab.wholes for name in names]
    return [name for name in dict.fromkeys(named) if not here(name)]


def bench(engines, names, options):
    """The text of a run of `ringside bench`."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "bench.jsonl")
        command = [RINGSIDE, "bench", f"--engines={','.join(engines)}", f"--runs={options.runs}", f"--reps={options.reps}",
                   f"--cycles={options.cycles}", f"--out={out}", *names]
        done = subprocess.run(command, stdout=subprocess.DEVNULL)
        if done.returncode not in (0, 1) or not os.path.exists(out):
            raise Problem(f"`{' '.join(command[:2])}` ended with status {done.returncode}, and nothing was kept of this attempt")
        with open(out, encoding="utf-8") as file:
            return file.read()


def whole(engine, name, words):
    """A `whole` record: the counters of one whole run of an image, or the reason why there are none."""
    suite, image = name.split("/")
    command = [RINGSIDE, "run", f"--engine={engine}", "--json", f"--append={words}", name]
    done = subprocess.run(command, capture_output=True, text=True)
    record = {"type": "whole", "suite": suite, "image": image, "engine": engine, "append": words}
    if done.returncode:
        said = json.loads(done.stdout).get("reason") if done.stdout.startswith("{") else done.stderr.strip()[-200:]
        return dict(record, counters={}, reason=said or f"status {done.returncode}")
    return dict(record, counters=json.loads(done.stdout)["counters"], reason="")


def has_hardware():
    said = subprocess.run([RINGSIDE, "engines", "--json"], capture_output=True, text=True)
    return any(e.get("hardware") for e in json.loads(said.stdout)["engines"]) if said.returncode == 0 else False


def boots(options):
    """The text of a run of scripts/boot.py; on vtx only where that is hardware."""
    engines = lab_plans.BOOTED + (["vtx"] if has_hardware() else [])
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "boot.jsonl")
        command = [sys.executable, "scripts/boot.py", f"--runs={options.runs}", f"--boots={options.runs}", f"--engines={','.join(engines)}",
                   f"--out={out}"]
        done = subprocess.run(command, stdout=subprocess.DEVNULL)
        if done.returncode:
            raise Problem(f"scripts/boot.py ended with status {done.returncode}, and nothing was kept of this attempt")
        with open(out, encoding="utf-8") as file:
            return file.read()


def measure(lab, options):
    """Appends an attempt to the results file: what was measured, then the predictions as they stood before."""
    if not os.path.exists(options.answers):
        os.makedirs(os.path.dirname(options.answers) or ".", exist_ok=True)
        with open(options.answers, "w", encoding="utf-8") as file:
            file.write(form(lab))
        print(f"{options.answers} is the form for lab {lab.number}: write your predictions into it, then give this command again.")
        return 0
    answers = read_answers(options.answers, lab)
    if unwritten(lab, answers):
        raise Problem(f"{options.answers}: predictions come before measuring; still open: {', '.join(unwritten(lab, answers))}")
    missing = images_of(lab)
    for name in missing:
        print(f"lab: bench/{name}.c is not there (or not built): {lab.hand_out()} says what it is; measuring without it", file=sys.stderr)
    text = "".join(bench(engines, [n for n in names if n not in missing], options) for engines, names in lab.benches)
    text += boots(options) if lab.boots else ""
    wholes = [whole(engine, name, words) for engines, names, words in lab.wholes for name in names if name not in missing
              for engine in engines]
    wholes.append({"type": "lab", "lab": lab.number, "time": new_results.now(), "predictions": predictions_in(answers)})
    with open(options.out, "a", encoding="utf-8") as file:
        file.write(text + "".join(json.dumps(record) + "\n" for record in wholes))
    print(f"results:  {options.out}\nanswers:  {options.answers}\ncheck:    scripts/lab.py check {lab.number} {options.out} {options.answers}")
    return 0


# ---- Checking ----

def is_results(path):
    with open(path, encoding="utf-8") as file:
        return file.read(4096).lstrip().startswith("{")


def attempts(runs, lab):
    """The runs of each attempt, oldest first; one of all runs where the lab's own command took none of them."""
    found, current = [], []
    for run in runs:
        current.append(run)
        if run.lab:
            if run.lab["lab"] != lab.number:
                raise Problem(f"these are results of lab {run.lab['lab']}, and this is lab {lab.number}")
            found.append(current)
            current = []
    return found or [current]


def written_first(answers, tried):
    """Whether the predictions in the file are those that stood there before the attempt that counts."""
    what = "your predictions are those from before measuring"
    if answers is None:
        return Line(UNSEEN, what, reason="no answers file was given")
    record = tried[-1][-1].lab if tried[-1] else None
    if record is None:
        return Line(UNSEEN, what, reason="only `make lab` notes in the results what was predicted")
    stood, now = record["predictions"], predictions_in(answers)
    changed = [key for key in now if now[key] != stood.get(key)]
    first = tried[0][-1].lab["predictions"]
    since = [f"{key} said {first.get(key)} at first" for key in now if stood.get(key) != first.get(key)]
    seen = f"attempt {len(tried)}" + (f"; {', '.join(since)}" if since else "")
    if changed:
        seen = f"changed since: {', '.join(changed)}; judged is what stood there then"
    return Line(NOT_HELD if changed else HELD, what, seen)


def answered(answers, lab):
    what = f"the {lab.questions} questions have an answer (a person reads them)"
    if answers is None:
        return Line(UNSEEN, what, reason="no answers file was given")
    missing = [str(n) for n in range(1, lab.questions + 1) if len(answers.get(f"{ANSWER}{n}", "?").split()) < 3]
    return Line(NOT_HELD if missing else HELD, what, f"missing: {', '.join(missing)}" if missing else "all")


def gather(lab, paths):
    """(answers or None, runs, runs of exits, where these come from)."""
    answers, runs, counted = None, [], []
    for path in paths:
        if not os.path.exists(path):
            raise Problem(f"{path}: no such file: `make lab N={lab.number}` makes the form and the results")
        if is_results(path):
            for run in results.load(path):
                (counted if run.header.get("tool") == "exits" else runs).append(run)
        elif answers is None:
            answers = read_answers(path, lab)
        else:
            raise Problem(f"{path}: a second answers file")
    recorded = sorted(glob.glob(RECORDED))[-1:] if lab.exits else []
    return answers, runs, [run for path in recorded for run in results.load(path)] + counted, recorded


def head(lab, tried, recorded):
    out = [f"Lab {lab.number}: {lab.title}"]
    run = tried[-1][0] if tried[-1] else None
    if run:
        h = run.header
        out.append(f"measured: {h.get('time')}, {results.machine_line(run)}; {results.count_text(h.get('runs'), 'process', 'processes')} x "
                   f"{results.count_text(h.get('reps'), 'repetition')}; attempt {len(tried)}")
    else:
        out.append("measured: nothing here")
    if recorded:
        out.append(f"counted:  {recorded[0]}: the real kvm_intel and kvm_amd on emulated CPUs, so counts and no times")
    return out


def check(lab, paths):
    answers, runs, exit_runs, recorded = gather(lab, paths)
    tried = attempts(runs, lab)
    record = tried[-1][-1].lab if tried[-1] else None
    predicted = record["predictions"] if record and answers is not None else None if answers is None else predictions_in(answers)
    evidence = lab_judge.Evidence(tried[-1], exit_runs, predicted)
    lines = [expectation.line(evidence) for expectation in lab.expectations]
    lines += [written_first(answers, tried), answered(answers, lab)]
    print("\n".join(head(lab, tried, recorded)) + "\n")
    for line in lines:
        print(line)
    count = {verdict: sum(line.verdict == verdict for line in lines) for verdict in (HELD, NOT_HELD, UNSEEN)}
    print("\n" + ", ".join(f"{number} {verdict}" for verdict, number in count.items()))
    return 0 if count[HELD] and not count[NOT_HELD] else 1


# ---- Counting ----

def count(options):
    """The events of one iteration by the last repetition's marks: what is warm then, and no start-up."""
    command = [RINGSIDE, "run", f"--engine={options.engine}", "--json", f"--append=reps=2 n={options.n}", options.image]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = json.loads(done.stdout).get("reason") if done.stdout.startswith("{") else ""
        raise Problem(said or done.stderr.strip().removeprefix("ringside: ") or f"status {done.returncode}")
    said = json.loads(done.stdout)
    found = [(f"one iteration of {b['bench']}, the mean of {b['n']}",
              {e: rates[-1] for e, rates in results.event_rates(b, said["engine"]["counts"]).items()})
             for b in said["benchmarks"] if b["t1"]] or [(f"the whole run of {options.image}", said["counters"])]
    meanings = process.meanings()
    for what, rates in found:
        print(f"{what}, on {said['engine']['column']}:")
        for event, rate in rates.items():
            if abs(rate) >= 0.0005 and event != "exit_mark":
                print(f"{event:18} {lab_judge.number_text(rate):>14}  {meanings.get(event, '')}")
    print(f"Counted there, and 0 if not above: {', '.join(said['engine']['counts'])}")
    return 0


def parse(args, numbers):
    parser = argparse.ArgumentParser(description="The labs of docs/labs: take what a lab looks at, and check what came of it.")
    words = parser.add_subparsers(dest="word", required=True, metavar="measure|check|count")
    one = words.add_parser("measure", help="the form for the predictions; once they are written, the measuring")
    two = words.add_parser("check", help="each expectation in a line: held, not held, could not be seen here")
    three = words.add_parser("count", help="the events of one iteration of an image")
    three.add_argument("image", metavar="IMAGE", help="a name of `ringside list`, such as nano/in")
    three.add_argument("--engine", default="interp", help="the engine to run on, with its settings (default interp)")
    three.add_argument("--n", type=int, default=512, help="iterations to count (default 512)")
    for sub in (one, two):
        sub.add_argument("lab", type=int, choices=numbers, metavar="N", help=f"which lab: {numbers[0]} to {numbers[-1]}")
    one.add_argument("--answers", help="the answers file (default results/local/labN.txt)")
    one.add_argument("--out", help="the results file, which is appended to (default results/local/labN.jsonl)")
    one.add_argument("--runs", type=int, default=RUNS, help=f"processes for each image and engine (default {RUNS}; an interval takes 6)")
    one.add_argument("--reps", type=int, default=REPS, help=f"repetitions in each (default {REPS})")
    one.add_argument("--cycles", type=int, default=CYCLES, help=f"TSC cycles that a timed run takes at least (default {CYCLES})")
    two.add_argument("files", nargs="*", metavar="FILE", help="results and the answers file, in any order (default: those of measure, and labN-exits.jsonl)")
    options = parser.parse_args(args)
    if options.word == "count":
        return options
    base = f"results/local/lab{options.lab}"
    if options.word == "measure":
        options.answers, options.out = from_root(options.answers) or f"{base}.txt", from_root(options.out) or f"{base}.jsonl"
    else:
        more = [f"{base}-exits.jsonl"] if os.path.exists(os.path.join(ROOT, f"{base}-exits.jsonl")) else []
        options.files = [from_root(path) for path in options.files] or [f"{base}.jsonl", f"{base}.txt", *more]
    return options


def from_root(path):
    """A path as given, relative to the project's folder, where all of this runs."""
    return path and os.path.relpath(os.path.abspath(path), ROOT)


def main(args):
    labs = lab_plans.labs()
    options = parse(args, list(labs))
    os.chdir(ROOT)
    if options.word == "count":
        return count(options)
    return measure(labs[options.lab], options) if options.word == "measure" else check(labs[options.lab], options.files)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Problem, OSError, ValueError) as error:
        print(f"lab: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
