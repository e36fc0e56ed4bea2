#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The verdicts on the paper's claims: that each rule can come out each way, and that figures are found by their names."""
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts")
sys.path.insert(0, SCRIPTS)
import _fixture
import claims
import figures
import learned
from _ok import check, done


def candidates(rule):
    """Values around every bound that the rule has, and costs far apart."""
    bounds = [b for c in rule for b in (getattr(c, "low", None), getattr(c, "high", None)) if isinstance(b, (int, float))]
    return sorted({0, 1, 10, 100, 1000, *(b * f for b in bounds for f in (0.9, 1, 1.1))})


def both_ways(claim):
    """Verdicts that values within reach of its bounds can bring."""
    names, values, dice = list(claim.evidence), candidates(claim.rule), random.Random(7)
    every = itertools.chain(([v] * len(names) for v in values), ([dice.choice(values) for _ in names] for _ in range(200_000)))
    found = set()
    for chosen in every:
        found.add(claim.judge(dict(zip(names, chosen))))
        if len(found) == 2:
            break
    return found


def rules():
    for claim in claims.CLAIMS:
        names = {name for condition in claim.rule for name in condition.names}
        label = f"{claim.place}, {claim.text[:50]}"
        check(f"{label}: its rule is about its evidence", names <= set(claim.evidence))
        check(f"{label}: no verdict rests on a prediction", not any(claim.evidence[n].startswith(("predicted(", "model(")) for n in names))
        if not claim.rule:
            check(f"{label}: without a rule it says what it takes", claim.judge({}) == claims.UNTESTABLE and claim.takes)
            continue
        check(f"{label}: can come out both ways", both_ways(claim) == {claims.REPRODUCED, claims.CONTRADICTED})
        whole = dict.fromkeys(claim.evidence, 1)
        gaps = {claim.judge(dict(whole, **{name: None})) for name in names}
        check(f"{label}: and not at all without a figure", gaps == {claims.UNTESTABLE})


def conditions():
    less = claims.Less("a", "b", 2)
    check("an order has a factor", less.holds({"a": 1, "b": 2}) and not less.holds({"a": 1, "b": 1.9}))
    within = claims.Within(1, 2, "a", "b")
    check("bounds hold for each", within.holds({"a": 1, "b": 2}) and not within.holds({"a": 1, "b": 2.1}) and not within.holds({"a": 0.9, "b": 2}))
    check("never is not once", claims.never("a").holds({"a": 0}) and not claims.never("a").holds({"a": 1}) and
          claims.once("a").holds({"a": 1}) and not claims.once("a").holds({"a": 0}) and not claims.once("a").holds({"a": 2}))


def committed():
    with open(os.path.join(SCRIPTS, "../PAPER.md"), encoding="utf-8") as file:
        text = file.read()
    os.chdir(os.path.join(SCRIPTS, ".."))
    files = figures.files_of(text)
    check("all sorts of files are on the page", all(files.run(sort) for sort in figures.BLOCK_OF))
    for claim in claims.CLAIMS:
        found = claim.figures(files)
        verdict = claim.judge({name: f.value for name, f in found.items()})
        check(f"{claim.place}, {claim.text[:50]}: {verdict}; what is missing is silicon or native, and it says what it takes",
              bool(claim.takes or verdict != claims.UNTESTABLE) and
              all(f.value is not None or "silicon(" in claim.evidence[n] or "native." in claim.evidence[n] for n, f in found.items()))
    head = claims.block(files)[0]
    check(f"the sum is that of the rows: {head}", sum(claims.count(files, v) for v in
          (claims.REPRODUCED, claims.CONTRADICTED, claims.UNTESTABLE)) == len(claims.CLAIMS))
    of, judged = (claims.count(files, name) for name in ("of hardware", "judged by exits"))
    check(f"{judged} of {of} claims about hardware are judged by exits", 0 < judged < of < len(claims.CLAIMS))


def value(files, name):
    return figures.find(files, name).value


def near(a, b):
    return a is not None and abs(a - b) < 0.02 * abs(b)


def by_name(folder):
    paths = {"nano": _fixture.make(os.path.join(folder, "a.jsonl")), "exits-nano": _fixture.make_exits(os.path.join(folder, "e.jsonl")),
             "process": "-"}
    paths["figure5"] = _fixture.make_boot(os.path.join(folder, "b.jsonl"))
    files = figures.Files(paths)
    check("a median", near(value(files, "measured(interp.nano/in)"), 60))
    check("a count", value(files, "counted(interp.nano/in.exit_pio)") == 1)
    check("exits, of all reasons and of one", value(files, "exits(kvm_soft:npt=0.micro/forkwait)") is None and
          value(files, "exits(kvm_soft:npt=0.process/forkwait)") == 44 and value(files, "exits(kvm_soft:npt=0.process/forkwait.hw_cr)") == 4)
    check("a boot", value(files, "measured(bt.boot)") == 12.000001 and value(files, "counted(bt:mmu=trace.boot.traced_writes)") == 2520)
    check("Figure 5's sum", near(value(files, "modelled(bt.boot.explained)"), 1.0 + 0.8 + 0.1 + 2.0 + 0.1 + 0.0048 + 0.2 + 2.0))
    check("what was published", value(files, "ref(asplos2006.nano/in.hardware)") == 15826 and
          value(files, "ref(exit-costs.Core 2 Duo 2.66 GHz/VM entry.cycles)") == 937 and figures.find(files, "ref(facts.translate one instruction.value)").text() == "2,300 cycles")
    forkwait = figures.find(files, "predicted(asplos2006.micro/forkwait.software)")
    check("what the model predicts", 20 < forkwait.value < 60 and (forkwait.kind, forkwait.unit) == ("modelled", "s"))
    check("a mix on a processor", value(files, "model(p4-672.bt.one-of-each)") > 10_000)
    quotient = figures.find(files, "measured(interp.micro/crc) / measured(native.micro/crc)")
    check("a quotient", near(quotient.value, 12) and (quotient.kind, quotient.unit) == ("measured", "times"))
    mixed = figures.find(files, "measured(interp.micro/crc) / counted(interp.micro/crc.insns_kernel)")
    check("a quotient of two kinds has both", near(mixed.value, 120) and mixed.kind == "measured and counted" and mixed.text() == "120 cycles")
    files = figures.Files({**paths, "linux-process": _fixture.make_linux(os.path.join(folder, "l.jsonl"))})
    check("a program on Linux as the guest, and a boot", value(files, "linux(bt.process/forkwait) / linux(native.process/forkwait)") == 1.8 and
          value(files, "linux(qemu-tcg.boot) / linux(bt.boot)") == 2)
    files = figures.Files(dict(paths, forkwait=_fixture.make_peers(os.path.join(folder, "p.jsonl"))))
    check("a peer, by the host's clock", value(files, "peers(qemu-tcg.process/forkwait) / peers(bt.process/forkwait)") == 2)
    check("no file, no figure", value(files, "measured(bt.process/forkwait)") is None and value(files, "ablation(bt.nano/in)") is None)
    check("and none of it in a quotient", value(files, "measured(interp.nano/in) / measured(bt.nano/in)") is None)
    for wrong in ("ref(asplos2006.nano/nothing.hardware)", "in", "modelled(bt.boot.nonsense)", "predicted(asplos2006.micro/forkwait.hardware)", "counted(interp.nano/in)"):
        try:
            value(files, wrong)
            check(f"{wrong} is no figure", False)
        except ValueError:
            check(f"{wrong} is no figure", True)


def factors(folder):
    """The ablation's factors, those of one benchmark and their mean."""
    made = _fixture.heads({"bt": "bt", "bt:tu=1": "bt:tu=1"}, 1)
    for bench, cost in (("crc", 100), ("sort", 50), ("sort_user", 7)):
        made += [_fixture.sample("micro", bench, "bt", 0, cost, steady=True), _fixture.sample("micro", bench, "bt:tu=1", 0, 2 * cost, steady=True)]
    files = figures.Files({"ablation": _fixture.write(os.path.join(folder, "f.jsonl"), made)})
    check("a factor, and the mean of a suite", value(files, "factor(bt:tu=1.micro/crc)") == 2 and near(value(files, "factor(bt:tu=1.micro)"), 2))
    check("a variant that was not run has none", value(files, "factor(bt:tu=4.micro)") is None)


def another_machine(folder):
    """Files that are given stand alone: nothing of the page's machine is mixed in but counts of exits."""
    path, page = _fixture.make(os.path.join(folder, "o.jsonl")), "<!-- generated: ablation from x -->\n<!-- generated: exits-nano from y -->\n"
    files = figures.files_given([path, _fixture.make_boot(os.path.join(folder, "ob.jsonl"))], page)
    check("given files by their sort", set(files.paths) == {"nano", "figure5", "exits-nano"} and files.paths["exits-nano"] == "y")
    check("and none of the page's", files.run("ablation") is None and near(value(files, "measured(interp.nano/in)"), 60))
    done_run = subprocess.run([sys.executable, os.path.join(SCRIPTS, "claims.py"), path], capture_output=True, text=True)
    check("what is missing is said with what measures it", "It takes ." not in done_run.stdout and
          "It takes `make bench`, `make bench ABLATION=1`." in done_run.stdout and "It takes `scripts/translation.py" in done_run.stdout)
    check("printed for them", done_run.returncode == 0 and f"{len(claims.CLAIMS)} claims: " in done_run.stdout)


def hardware(folder):
    """A back end that is not hardware is never silicon, and nested paging is not the paper's."""
    path = _fixture.make(os.path.join(folder, "h.jsonl"))
    check("software is no silicon", value(figures.Files({"nano": path}), "silicon(any.nano/in)") is None)
    with open(path, encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    for record in records:
        if record["type"] == "engine" and record["name"] == "vtx":
            record.update(hardware=True, paging="nested (ept)")
    files = figures.Files({"nano": _fixture.write(os.path.join(folder, "h2.jsonl"), records)})
    check("hardware is", near(value(files, "silicon(any.nano/in)"), 27000))
    check("but not with shadow paging", value(files, "silicon(shadow.nano/in)") is None)


PAGE = "## What was learned\n\n- *It is so.* As seen.\n- *And so.* Too.\n\n## Next\n\nIt is <!-- value: x -->1<!-- end -->\n  of two, *said* by us.\n"


def sentences(folder):
    """What the page says in its own words stands as long as the figures bear it."""
    files = figures.Files({"nano": _fixture.make(os.path.join(folder, "s.jsonl"), nano={"in": {"interp": 60}, "out": {"interp": 90}}, micro={})})
    lower, higher, gone = ([claims.Less(*names)] for names in (("measured(interp.nano/in)", "measured(interp.nano/out)"),
                           ("measured(interp.nano/out)", "measured(interp.nano/in)"), ("measured(interp.nano/in)", "measured(bt.nano/in)")))
    check("lessons are found by the words that begin them", learned.said(PAGE) == ["It is so.", "And so."])
    kept = learned.LESSONS, learned.SENTENCES
    for what, lessons, phrases, expected in (
            ("what holds is not told", {"It is so.": lower, "And so.": []}, {"It is 1 of two": lower}, []),
            ("what has turned is, with its figures", {"It is so.": higher, "And so.": []}, {"It is 1 of two": higher},
             ["`It is so.` does not hold any more", "`It is 1 of two` does not hold any more"]),
            ("what has no figure does not hold", {"It is so.": gone, "And so.": []}, {}, ["bt.nano/in) is n/a"]),
            ("a lesson needs a rule", {"It is so.": lower}, {}, ["`And so.` has no rule"]),
            ("a rule needs a lesson", {"It is so.": lower, "And so.": [], "Not so.": []}, {"of three": []},
             ["`Not so.` of scripts/learned.py is not said", "`of three` of scripts/learned.py is not said"])):
        learned.LESSONS, learned.SENTENCES = lessons, phrases
        found = learned.findings(PAGE, files)
        check(f"{what} {found}", len(found) == len(expected) and all(e in f for e, f in zip(expected, found)))
    learned.LESSONS, learned.SENTENCES = kept
    for name, rule in {**learned.LESSONS, **learned.SENTENCES}.items():
        check(f"{name} can come out both ways", not rule or both_ways(claims.Claim("", name, {n: n for c in rule for n in c.names}, rule, "")) ==
              {claims.REPRODUCED, claims.CONTRADICTED})


rules()
conditions()
with tempfile.TemporaryDirectory() as scratch:
    by_name(scratch)
    hardware(scratch)
    another_machine(scratch)
    factors(scratch)
    sentences(scratch)
committed()
done()
