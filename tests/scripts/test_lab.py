#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The labs' checker: good results and answers hold in every line; every line can fail, as some counter, cost or prediction
made wrong turns it to `not held`; noise, and what is not there, is neither. Then the files that students write."""
import copy
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
sys.path.insert(0, os.path.join(ROOT, "scripts"))
import _labs
import lab
import lab_judge
import lab_plans
import results
import table
from _ok import check, done
from lab_judge import HELD, NOT_HELD, UNSEEN

LABS = lab_plans.labs()
LOOKED_AT = [*lab_plans.EXITS, *lab_plans.STORMS, "exits"]  # of the recorded exits
RECORDED = sorted(glob.glob(os.path.join(ROOT, lab.RECORDED)))[-1]


def run_from(records):
    """A Run of a copy of the records: tests change it."""
    records = copy.deepcopy(records)
    run = results.Run(records[0])
    for record in records[1:]:
        run.add(record)
    return run


def kept(run, test):
    """The run with only those samples that pass."""
    new = results.Run(run.header)
    new.engines, new.images, new.end = run.engines, run.images, run.end
    for record in [s for s in run.samples if test(s)] + run.boots + run.wholes + run.failed + run.skipped + run.kernels:
        new.add(record)
    return new


def evidence(number):
    counted = results.load(RECORDED) + [run_from(_labs.own_exits())] if LABS[number].exits else []
    return lab_judge.Evidence([run_from(_labs.run_records(number))], counted, dict(_labs.predictions(number)))


def lines(number, e):
    return [expectation.line(e) for expectation in LABS[number].expectations]


# ---- Every line can fail ----

def wrong_counters(run):
    """Functions that make one event of one benchmark on one engine happen more often; each gives one that puts it back."""
    cells = {}
    for sample in run.samples:
        cells.setdefault((sample["bench"], sample["engine"]), []).append(sample)
    for group in cells.values():
        events = {e for s in group for c in (s["counters_2n"] or []) for e in c} or set()
        for event in sorted(events):
            def change(group=group, event=event):
                before = [s["counters_2n"] for s in group]
                for s in group:
                    s["counters_2n"] = [dict(c, **{event: c.get(event, 0) + 9 * s["n"]}) for c in s["counters_2n"]]
                return lambda: [s.update(counters_2n=c) for s, c in zip(group, before)]
            yield change

            def less(group=group, event=event):
                before = [s["counters_2n"] for s in group]
                for s in group:
                    s["counters_2n"] = [dict(c, **{event: a.get(event, 0)}) for a, c in zip(s["counters_n"], s["counters_2n"])]
                return lambda: [s.update(counters_2n=c) for s, c in zip(group, before)]
            yield less


def wrong_costs(run):
    cells = {}
    for sample in run.samples:
        if sample["t1"]:
            cells.setdefault((sample["bench"], sample["engine"]), []).append(sample)
    for group in cells.values():
        for factor in (1000, 0.001):
            def change(group=group, factor=factor):
                before = [(s["t1"], s["t2"], s["cold"]) for s in group]
                for s in group:
                    s.update(t1=[s["n"] + round((t - s["n"]) * factor) for t in s["t1"]],
                             t2=[2 * s["n"] + round((t - 2 * s["n"]) * factor) for t in s["t2"]], cold=s["cold"] * factor)
                return lambda: [s.update(t1=a, t2=b, cold=c) for s, (a, b, c) in zip(group, before)]
            yield change


def one_price(run):
    """All native instructions cost the same."""
    def change():
        group = [s for s in run.samples if s["engine"] == "native"]
        before = [(s["t1"], s["t2"]) for s in group]
        for s in group:
            price = _labs.RETIRED.get(s["bench"], 1) * s["n"]
            s.update(t1=[price] * 2, t2=[2 * price + s["n"]] * 2)
        return lambda: [s.update(t1=a, t2=b) for s, (a, b) in zip(group, before)]
    yield change


def wrong_wholes(run):
    for engine in {b["engine"] for b in run.boots}:
        for factor in (100, 0.01):
            def change(engine=engine, factor=factor):
                group = [b for b in run.boots if b["engine"] == engine]
                before = [b["wall_ns"] for b in group]
                for b in group:
                    b["wall_ns"] *= factor
                return lambda: [b.update(wall_ns=ns) for b, ns in zip(group, before)]
            yield change
        for event in {e for b in run.boots if b["engine"] == engine for e in b["counters"]}:
            def change(engine=engine, event=event):
                group = [b for b in run.boots if b["engine"] == engine]
                before = [b["counters"] for b in group]
                for b in group:
                    b["counters"] = dict(b["counters"], **{event: 100_000_000})
                return lambda: [b.update(counters=c) for b, c in zip(group, before)]
            yield change
    for record in run.wholes:
        for event in ("adaptations", "reversions"):
            def change(record=record, event=event):
                before = record["counters"]
                record["counters"] = dict(before, **{event: before.get(event, 0) + 1000})
                return lambda: record.update(counters=before)
            yield change


def wrong_predictions(e):
    for key, text in list(e.predictions.items()):
        other = "asswitch < in < syscall < divzero < cr8wr" if "<" in text else "sieve" if text == "crc" else \
            "interp" if text == "bt" else "pgfault" if text == "translate" else "987654"

        def change(key=key, other=other, text=text):
            e.predictions[key] = other
            return lambda: e.predictions.update({key: text})
        yield change


def can_fail(number):
    e, expectations = evidence(number), LABS[number].expectations
    bad = [str(line) for line in lines(number, e) if line.verdict != HELD]
    check(f"lab {number}: good results and predictions hold in all of {len(expectations)} lines" + "".join(f"\n  {t}" for t in bad), not bad)
    left = set(range(len(expectations)))
    changes = list(wrong_predictions(e))
    e.exit_runs = [kept(run, lambda s: s["process"] == 0 and s["bench"] in LOOKED_AT) for run in e.exit_runs]
    for run in e.runs + e.exit_runs:
        changes += [*one_price(run), *wrong_wholes(run), *wrong_costs(run), *wrong_counters(run)]
    tried, good = 0, [str(x) for x in lines(number, e)]
    for change in changes:
        undo = change()
        left -= {i for i in left if expectations[i].line(e).verdict == NOT_HELD}
        undo()
        tried += 1
        if not left:
            break
    check(f"lab {number}: each line can fail, by one of {tried} wrong counters, costs and predictions" +
          "".join(f"\n  never: {expectations[i].what}" for i in left), not left)
    check(f"lab {number}: and what was made wrong is right again", [str(x) for x in lines(number, e)] == good)


def shown():
    """A line says what it looked at."""
    e = evidence(1)
    group = [s for s in e.runs[0].samples if s["bench"] == "in"]
    for s in group:
        s["counters_2n"] = [dict(c, exit_pio=c["exit_pio"] + 1000) for c in s["counters_2n"]]
    text = [str(x) for x in lines(1, e) if x.verdict == NOT_HELD]
    check("the counter that is wrong is in the line", text == ["not held: in: 1 exit_pio an iteration on interp  [interp: exit_pio 2]"])
    e = evidence(2)
    text = next(str(x) for x in lines(2, e) if "reach the monitor" in x.what)
    check("a software back end is said to be one", "back end kvm_soft, software shadow: SOFTWARE, no VT-x or SVM" in text)
    e.runs[0].engines["vtx"].update(available=False, reason="no /dev/kvm")
    e.runs[0] = kept(e.runs[0], lambda s: s["engine"] != "vtx")
    text = [str(x) for x in lines(2, e) if "reach the monitor" in x.what]
    check("no /dev/kvm is not a failure", all(t.startswith(f"{UNSEEN} (in on vtx: no /dev/kvm)") or "(cpuid on vtx: no /dev/kvm)" in t for t in text))
    rest = [x for x in lines(2, e) if "reach the monitor" not in x.what]
    check("and hides nothing else", all(x.verdict == HELD for x in rest))


def committed():
    """What the hand-outs say is to be expected holds in every run that is published, where it can be seen."""
    seen, recorded = {number: set() for number in LABS}, results.load(RECORDED)
    for path in sorted(glob.glob(os.path.join(ROOT, "results/*.jsonl"))):
        runs = [run for run in results.load(path) if run.header.get("tool") in (None, "boot")]
        for number in LABS:
            found = lines(number, lab_judge.Evidence(runs, recorded, None))
            wrong = [str(line) for line in found if line.verdict == NOT_HELD]
            if wrong:
                check(f"{os.path.basename(path)}, lab {number}: {wrong[0]}", False)
            seen[number] |= {line.what for line in found if line.verdict == HELD}
    counts = {number: f"{len(what)} of {len(LABS[number].expectations)}" for number, what in seen.items()}
    check(f"published runs have the shapes that the labs expect, lines seen: {counts}", all(seen.values()))


def tables():
    """The other tables pass no verdict on a student's image."""
    rates = {"exceptions": 3, "exit_pio": 2, "traps": 1}
    check("what a student's image does is no disagreement", not table.disagreements("own", rates, "bt", "lab") and
          table.disagreements("own", rates, "bt", "nano"))


# ---- Noise ----

def noise():
    e = evidence(1)
    for s in e.runs[0].samples:
        if s["bench"] == "syscall":
            s["t2"] = [t * (1 + 3 * (s["process"] % 2)) for t in s["t2"]]
    found = {x.what: x for x in lines(1, e)}
    order = next(x for what, x in found.items() if what.startswith("costs on interp"))
    check("intervals that meet say nothing", order.verdict == UNSEEN and "--runs=20" in order.reason)
    check("nor does a prediction of their order", found["your order: costs on interp, the cheapest first"].verdict == UNSEEN)
    e.predictions["order"] = "asswitch < cr8wr < in < syscall < divzero"
    check("one that is wrong in another place is wrong all the same",
          next(x for x in lines(1, e) if x.what.startswith("your order")).verdict == NOT_HELD)
    few = evidence(1)
    few.runs[0] = kept(few.runs[0], lambda s: s["process"] < 5)
    found = [x for x, expectation in zip(lines(1, few), LABS[1].expectations) if expectation.timed]
    check("five processes are too few for any cost", {x.verdict for x in found} == {UNSEEN} and "6: run again" in found[0].reason)
    check("and enough for counts", all(x.verdict == HELD for x, expectation in zip(lines(1, few), LABS[1].expectations) if not expectation.timed))
    wide = evidence(5)
    for b in wide.runs[0].boots:
        b["wall_ns"] *= 1 + b["process"]
    check("an interval as wide as the band is no measure", next(x for x in lines(5, wide) if "boot.bt.ms" in x.what).verdict == UNSEEN)
    word = evidence(1)
    word.predictions["count.returns"] = "one"
    check("a number is asked for", "not held (`one` is no number)" in str(next(x for x in lines(1, word) if "count.returns" in x.what)))


# ---- Files ----

def lab_py(*args):
    done_ = subprocess.run([sys.executable, os.path.join(ROOT, "scripts/lab.py"), *args], capture_output=True, text=True)
    return done_.returncode, done_.stdout, done_.stderr


def write_answers(path, number, predictions, answers=True):
    text = []
    for line in lab.form(LABS[number]).splitlines():
        key = line.split(":")[0]
        if key.startswith(lab.PREDICT):
            line = f"{key}: {predictions.get(key.removeprefix(lab.PREDICT), '?')}"
        elif key.startswith(lab.ANSWER) and answers:
            line = f"{key}: in my own words,\n  which go on here"
        text.append(line)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(text) + "\n")
    return path


def write_results(path, number, *tries):
    """A results file with an attempt for each of the predictions."""
    with open(path, "w", encoding="utf-8") as file:
        for predictions in tries:
            for record in _labs.run_records(number) + [{"type": "lab", "lab": number, "predictions": predictions}]:
                file.write(json.dumps(record) + "\n")
    return path


def files(folder):
    place = lambda name: os.path.join(folder, name)
    good = _labs.predictions(4)
    answers, measured = write_answers(place("a.txt"), 4, good), write_results(place("r.jsonl"), 4, good)
    status, out, err = lab_py("check", "4", answers, measured)
    check("good files: status 0, whatever their order" + err, status == 0 and " 0 not held, 0 could" in out)
    status, out, _ = lab_py("check", "4", measured)
    check("without answers predictions cannot be seen, and the rest holds", status == 0 and "(no answers file was given)" in out)
    changed = write_answers(place("b.txt"), 4, dict(good, **{"calm.reversions": "7"}))
    status, out, _ = lab_py("check", "4", measured, changed)
    check("a prediction that was changed after measuring is said, and the old one judged", status == 1 and
          "not held: your predictions are those from before measuring  [changed since: calm.reversions" in out and
          "held: your calm.reversions" in out)
    twice = write_results(place("t.jsonl"), 4, dict(good, **{"calm.reversions": "7"}), good)
    status, out, _ = lab_py("check", "4", twice, answers)
    check("a second attempt counts, and what the first said stays", status == 0 and "attempt 2; calm.reversions said 7 at first" in out)
    status, out, _ = lab_py("check", "4", measured, write_answers(place("c.txt"), 4, good, answers=False))
    check("questions without an answer", status == 1 and "missing: 1, 2, 3, 4, 5" in out)
    status, out, _ = lab_py("check", "4", write_answers(place("d.txt"), 4, good))
    check("an answers file alone: nothing was measured, and that is no success", status == 1 or "0 held" not in out)
    plain = write_results(place("p.jsonl"), 4)
    with open(plain, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(r) + "\n" for r in _labs.run_records(4))
    status, out, _ = lab_py("check", "4", plain, answers)
    check("results of `ringside bench` itself serve too", status == 0 and "only `make lab` notes in the results what was predicted" in out)


def refusals(folder):
    place = lambda name: os.path.join(folder, name)
    good = _labs.predictions(4)
    measured, answers = write_results(place("r.jsonl"), 4, good), write_answers(place("a.txt"), 4, good)

    def edited(name, old, new):
        with open(answers, encoding="utf-8") as file:
            text = file.read()
        with open(place(name), "w", encoding="utf-8") as file:
            file.write(text.replace(old, new, 1))
        return place(name)
    cases = [("another lab's answers", ("check", "3", answers), "says `lab: 4`, and this is lab 3"),
             ("another lab's results", ("check", "3", measured), "these are results of lab 4, and this is lab 3"),
             ("no such file", ("check", "4", place("none")), "no such file: `make lab N=4` makes"),
             ("two answers files", ("check", "4", answers, answers), "a second answers file"),
             ("a key that is nearly right", ("check", "4", edited("e", "calm.checked:", "calm.cheked:")), "did you mean `predict.calm.checked`?"),
             ("a key twice", ("check", "4", edited("f", "name:", "lab:")), "stands there twice"),
             ("a line that is nothing", ("check", "4", edited("g", "name: ?", "hello")), "neither `key: text` nor"),
             ("predictions that are missing", ("measure", "4", "--answers", write_answers(place("h"), 4, {}), "--out", place("x.jsonl")),
              "predictions come before measuring; still open: ptemod.traps.before,")]
    for what, args, text in cases:
        status, out, err = lab_py(*args)
        check(f"{what}: one line and status 2" + ("" if text in err else f": {err}"),
              status == 2 and text in err and err.startswith("lab: ") and err.count("\n") == 1 and not out)
    check("nothing was measured", not os.path.exists(place("x.jsonl")))
    status, out, _ = lab_py("measure", "4", "--answers", place("new.txt"), "--out", place("x.jsonl"))
    with open(place("new.txt"), encoding="utf-8") as file:
        text = file.read()
    check("the first call writes the form", status == 0 and "is the form for lab 4" in out and text == lab.form(LABS[4]))
    check("and the form can be read", lab.read_answers(place("new.txt"), LABS[4])["lab"] == "4")
    check("an unknown lab is usage", lab_py("check", "9")[0] == 2)


def hand_outs():
    """The hand-outs and the tables of the labs say the same."""
    for number, plan in LABS.items():
        path = os.path.join(ROOT, plan.hand_out())
        if not os.path.exists(path):
            check(f"lab {number} has a hand-out", False)
            continue
        with open(path, encoding="utf-8") as file:
            text = file.read()
        asked = [int(n) for n in re.findall(r"^\*\*Question (\d+)", text, re.M)]
        check(f"lab {number}: the hand-out has the questions of the form", asked == list(range(1, plan.questions + 1)))
        check(f"lab {number}: its title", f"# Lab {number}: {plan.title}\n" in text)
        heads = ["What you will know", "Time", "Preparation", "Hand in", "Expected shapes", "Further reading"]
        check(f"lab {number}: its parts", all(f"## {head}" in text for head in heads))
        named = {image for _, names in plan.benches for image in names} | {image for _, names, _ in plan.wholes for image in names}
        own = {name for name in named if name.startswith("lab/")}
        check(f"lab {number}: says how each image of its own comes about", all(f"bench/{name}.c" in text for name in own))


def main():
    for number in LABS:
        can_fail(number)
    shown()
    committed()
    tables()
    noise()
    with tempfile.TemporaryDirectory() as folder:
        files(folder)
        refusals(folder)
    hand_outs()
    done()


if __name__ == "__main__":
    main()
