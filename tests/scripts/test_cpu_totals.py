#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""scripts/cpu_totals.py: sums, cases that would count twice, files that are none, and what its exit status says."""
import json
import os
import subprocess
import sys
import tempfile

SCRIPT = os.path.join(os.path.dirname(__file__), "../../scripts/cpu_totals.py")
sys.path.insert(0, os.path.dirname(SCRIPT))
import cpu_totals
from _ok import check, done


def run(engine="bt", seed=1, first=0, cases=10, differ=0, **more):
    row = {"row": "add 00", "on_host": True, "cases": cases, "compared": cases - 1}
    unseen = {"row": "vaddps", "on_host": False, "cases": 0, "compared": 0}
    varied = {"name": "a", "what": "b", "where": "c", "against_host": 2, "against_interp": 1}
    return {"engine": engine, "seed": seed, "first": first, "cases": cases, "seconds": 1.5, "faults": 3, "crashes": 0, "hangs": 0,
            "interrupted": False, "verdicts": {"same": cases - differ, "different": differ}, "variations": [varied],
            "rows": [row, unseen], "file": f"{engine}-{seed}", **more}


def raises(runs):
    try:
        cpu_totals.totals(runs)
    except cpu_totals.Unusable:
        return True
    return False


def sums():
    both = cpu_totals.totals([run(), run(seed=2, cases=30), run("interp")])
    bt = both[0]
    check("one sum an engine", [total["engine"] for total in both] == ["bt", "interp"])
    check("cases and faults are added up", bt["cases"] == 40 and bt["faults"] == 6 and bt["verdicts"]["same"] == 40)
    check("so are rows and variations", bt["rows"][0]["compared"] == 38 and bt["variations"][0]["against_host"] == 4)
    check("all runs are named", [one["seed"] for one in bt["runs"]] == [1, 2])
    text = "\n".join(cpu_totals.say(bt))
    check("what is said", "40 cases, 2 runs: 0 differ" in text and "1 rows and kinds compared, the fewest 38 times\n" in text)
    none = cpu_totals.totals([run(rows=[{"row": "flow", "on_host": True, "cases": 0, "compared": 0}])])[0]
    check("what was never compared is named", "never: flow" in next(cpu_totals.say(none)))


def twice():
    check("the same seed twice is refused", raises([run(), run()]))
    check("another engine is not the same", not raises([run(), run("interp")]))
    check("later cases of a seed are others", not raises([run(), run(first=10)]))
    check("overlapping ones are not", raises([run(), run(first=9)]))
    check("which ones an interrupted run did is not known", raises([run(interrupted=True), run(first=10)]))


def command():
    with tempfile.TemporaryDirectory() as folder:
        def ask(*runs, text=None):
            paths = []
            for i, one in enumerate(runs):
                paths.append(os.path.join(folder, str(i)))
                with open(paths[-1], "w", encoding="utf-8") as file:
                    file.write(text or json.dumps({"check": "cpu", "engines": [one]}))
            out = os.path.join(folder, "out")
            result = subprocess.run([sys.executable, SCRIPT, "--json", out, *paths], capture_output=True, check=False)
            return result.returncode, result.stderr.decode()
        check("nothing differed: 0", ask(run(), run(seed=2)) == (0, ""))
        check("something differed: 1", ask(run(), run(seed=2, differ=1)) == (1, ""))
        check("a crash: 1", ask(run(crashes=1)) == (1, ""))
        check("a case that ended the judge: 1", ask(run(verdicts={"left out: ended the judge's process": 1}))[0] == 1)
        for what, text in (("another file", '{"check": "soak"}'), ("no JSON", "x"), ("nothing that has run", '{"check": "cpu", "engines": []}')):
            status, err = ask(run(), text=text)
            check(f"{what}: 2, and one line", status == 2 and err.count("\n") == 1)


sums()
twice()
command()
done()
