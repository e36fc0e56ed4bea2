#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The checkers of `make lint`, and how test.py judges what programs and images print."""
import glob
import os
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
sys.path.insert(0, os.path.join(ROOT, "scripts"))
import check_figures
import check_includes
import check_pages
import check_sources
import test as runner
from _ok import check, done


def includes():
    ask = check_includes.violations
    contracts = '#include "include/vcpu.h"\n#include "x86/regs.h"\n'
    check("an engine may include contracts and x86", not ask("engines/interp/a.c", contracts))
    check("an engine may not include another", ask("engines/interp/a.c", '#include "engines/vtx/kvm.h"\n'))
    check("an engine may not include the machine", ask("engines/vtx/a.c", '#include "machine/bus.h"\n'))
    check("the machine knows no engine", ask("machine/a.c", '#include "engines/interp/engine.h"\n'))
    check("nobody includes run", ask("machine/a.c", '  #  include "run/table.h"\n'))
    check("a path is from the root", ask("machine/a.c", '#include "bus.h"\n'))
    check("kvm.h is vtx's own", ask("run/a.c", "#include <linux/kvm.h>\n"))
    check("vtx may include kvm.h", not ask("engines/vtx/a.c", "#include <linux/kvm.h>\n"))
    check("an image has no C library", ask("bench/nano/in.c", "#include <stdio.h>\n"))
    check("an image may use stdint.h", not ask("bench/nano/in.c", '#include <stdint.h>\n#include "guest/lib.h"\n'))
    check("the line is named", ask("machine/a.c", '\n\n#include "run/a.h"\n')[0].startswith("line 3:"))


def typed_figures():
    ask = check_figures.findings
    check("a figure in a sentence is found, with its line", ask("So\nit takes 270 cycles.\n") == [(2, "270 cycles")])
    check("also over a line's end, and with digits grouped", len(ask("takes 1,250\ncycles, or 3.5 ms")) == 2)
    check("also of a clock that is named", ask("about 6,400 TSC cycles") == [(1, "6,400 TSC cycles")])
    check("ratios and shares are figures", len(ask("1.5 times native, 12 % and 3x")) == 3)
    check("what paper.py made is none", not ask("It takes <!-- value: measured(bt.nano/in) -->51.0<!-- end --> cycles, that is <!-- value: a --> 3<!-- end --> times."))
    check("nor what stands in a block", not ask("<!-- generated: nano from x -->\n| in | 3 cycles |\n<!-- end -->\n"))
    check("nor code and paths", not ask("`sleep 3 s`, [x](a-3 ms.md)\n\n    ten 10 ms\n```\n5 cycles\n```\n"))
    check("nor numbers without a unit, or names", not ask("12 instructions, 16 bits, the 8259s, Pentium 4 cycles, 4 KiB"))
    check("behind a block lines are still right", ask("<!-- generated: a from b -->\n\n<!-- end -->\n9 ms") == [(4, "9 ms")])
    check("every exception is still needed", all(any(p in open(os.path.join(ROOT, page), encoding="utf-8").read() for page in
          check_figures.paper.PAGES) for p in check_figures.CHOSEN))


def sources():
    ask = lambda path, text: list(check_sources.findings(path, text))
    head = "// SPDX-License-Identifier: BSD-2-Clause\n"
    check("a clean file has no findings", not ask("a.c", head + "int f(void)\n{\n    return 0;\n}\n"))
    check("a missing SPDX line is found", ask("a.c", "int x;\n"))
    check("an unfinished place is found", ask("a.c", head + "// TO" + "DO: later\n"))
    check("what a merge left is found", ask("README.md", "a\n" + 7 * "<" + " HEAD\nb\n" + 7 * "=" + "\n"))
    check("a heading's rule is none", not ask("README.md", "a\n=======\n"))
    check("a path of one machine is found", ask("README.md", "see /ho" + "me/me/x\n"))
    body = "int f(void)\n{\n" + "    g();\n" * 120 + "}\n"
    check("a long function is a warning", any("f has 123 lines" in line for line in ask("a.c", head + body)))
    check("a long function with a reason is none", not ask("a.c", head + "// long: one table\n" + body))
    check("Python that does not compile is found", ask("a.py", "# " + head[3:] + "def f(:\n"))
    check("an unused import is found", ask("a.py", "# " + head[3:] + "import os\n"))


def judged(status, out, is_test=True, soft=False, err=""):
    return runner.judge_image(runner.Outcome("e", "i", []), status, out, err, is_test, soft)


def judging():
    good = "rs1 begin name=a\nrs1 check name=a ok=1 what=x == 1\nrs1 end name=a status=0\n"
    check("a good image passes", judged(0, good).passed == 1)
    check("a failed check fails", judged(1, good.replace("ok=1", "ok=0")).failed == ["check x == 1"])
    check("no end record fails", judged(0, good.replace("rs1 end", "gone")).failed)
    check("no check at all fails", judged(0, "rs1 end name=a status=0\n").failed)
    check("a benchmark without a warm record fails", judged(0, "rs1 end name=a status=0\n", is_test=False).failed)
    skipped = judged(0, "rs1 skip name=a why=no such thing\nrs1 end name=a status=0\n", is_test=False)
    check("an image that only skips is a skip, not a pass", not skipped.passed and skipped.skipped == ["no such thing"])
    check("a crash fails", judged(-11, good).failed and not judged(-11, good).passed)
    check("no end in time fails", "did not end" in judged(None, good).failed[0])
    check("an engine error fails on a full engine", judged(8, "", err="cannot do it").failed)
    soft = judged(8, "", soft=True, err="no xsave")
    check("an engine error is a skip on a software back end", soft.skipped == ["no xsave"])
    check("a failed check before such an error is a failure", judged(8, good.replace("ok=1", "ok=0"), soft=True).failed)
    panic = "rs1 begin name=a\na: panic: vector 6 error 0x0\nrs1 end name=a status=2\n"
    check("a panic is quoted", judged(1, panic).failed == ["panic: vector 6 error 0x0"])
    program = lambda status, out: runner.judge_program(runner.Outcome("unit", "p", []), status, out, "", 1)
    check("a silent program fails", program(0, "").failed)
    check("ok lines are counted", program(0, "ok a\nok b\nskip c\n").passed == 2)
    check("a nonzero status fails by itself", program(1, "ok a\n").failed)


def limits():
    def excused(image, failed, known):
        outcome = runner.Outcome("e", "test/" + image, [])
        outcome.failed = failed
        runner.excuse(outcome, known)
        return outcome
    known = {("i", "x == 1"): "cannot count", ("p", "*"): "cannot go on"}
    one = excused("i", ["check x == 1 (got 0x0, want 0x1)"], known)
    check("a known limit is a skip", not one.failed and one.skipped == ["cannot count"])
    check("it is one for its image only", excused("j", ["check x == 1"], known).failed)
    check("another check of the image still fails", excused("i", ["check y == 1"], known).failed)
    check("a panic can be a known limit", not excused("p", ["panic: vector 6 rip 0x1"], known).failed)
    check("a crash cannot", excused("p", ["was ended by signal 11 (SIGSEGV)"], known).failed)
    check("all checks of an image can be known limits, but not its end",
          not excused("k", ["check x == 1", "check y == 1"], {("k", "all"): "cannot"}).failed
          and excused("k", ["exit status 3"], {("k", "all"): "cannot"}).failed)

    def refused(status, known):
        outcome = runner.Outcome("bt", "test/i", [])
        outcome.failed = ["exit status 8"] if status in runner.ENGINE_ERRORS else []
        runner.settle_refusal(outcome, status, known)
        return outcome
    known = {("i", "refused"): "cannot yet"}
    check("an image that is known to be refused is a skip", refused(8, known).skipped == ["cannot yet"] and not refused(8, known).failed)
    check("and a failure once it runs", "take its line out" in refused(0, known).failed[0])
    check("any other one that is refused fails", refused(8, {}).failed and not refused(0, {}).failed)
    check("the list is read", runner.known_limits("kvm_pvm") and not runner.known_limits("kvm_intel"))
    check("hardware and our own engines are not excused",
          not runner.soft_back_end({"name": "vtx", "hardware": True}) and not runner.soft_back_end({"name": "interp"}))


def values():
    def outcome(place, value):
        o = runner.Outcome(place, "micro/crc", [])
        o.values = {"crc": value}
        return o
    same = list(runner.compare_values([outcome("interp", "1"), outcome("native", "1")]))
    other = list(runner.compare_values([outcome("interp", "1"), outcome("native", "2")]))
    check("equal values pass", [o.passed for o in same] == [1])
    check("different values fail", len(other) == 1 and other[0].failed)


def pages():
    """Links, files and targets of make that a page names."""
    makefile = "all: ## x\ncheck-cpu: setup\n\t$(if $(SEED),--seed=$(SEED))\n"

    def ask(text, page="docs/cli.md"):
        return list(check_pages.findings(page, text, makefile))
    os.chdir(ROOT)
    check("links to files, headings and the web lead somewhere", not ask("# The program\n[a](bt.md) [b](#the-program) [c](labs/README.md) [d](https://x)"))
    check("a file that is not there is found", ask("[a](bt2.md)") == ["link to bt2.md: no such file"])
    check("so is a heading, here and on another page", len(ask("[a](#nothing) [b](bt.md#nothing)")) == 2)
    check("files named as code are there", not ask("`scripts/test.py`, `engines/bt/*.c`, `docs/labs`, `run/options` and\n\n    scripts/exits.py FILE\n"))
    check("one that is not is found, in each kind of code", len(ask("`run/no.c`\n\n    run/never.c\n\n```\nrun/none.c\n```\n")) == 3)
    check("what a reader makes need not be there", not ask("`results/local/lab1.jsonl`, `results/NAME.jsonl`, `model/profiles/NAME.profile`"))
    check("docs/READING names files first", ask("# Part\nrun/main.c  what\nrun/no.c  what\n", "docs/READING") == ["run/no.c: no such file"])
    check("make has the target and the variable", not ask("`make check-cpu SEED=3`, `make`"))
    check("or has not", ask("`make check-gpu SEED=3 SIEVE=4`") == ["make check-gpu: no such target", "make SIEVE=4: no such variable"])
    check("make in a sentence is a word", not ask("Two make a pair."))
    check("the pages of the tree are looked at", len([p for pattern in check_pages.PAGES for p in glob.glob(pattern)]) > 20)


def scripts():
    """Each script says what it is for, and a file that is not there is one line."""
    own = sorted(path for path in glob.glob("scripts/*.py") if "__main__" in open(path, encoding="utf-8").read())
    check("scripts are found", len(own) > 20)
    for path in own:
        ran = subprocess.run([sys.executable, path, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        check(f"{path} --help {ran.stderr[-100:]}", ran.returncode == 0 and len(ran.stdout) > 50 and not ran.stderr)
        check(f"{path} can be started by its name", os.access(path, os.X_OK))
    for name, *words in (("table",), ("plot",), ("figure5",), ("process",), ("ablation",), ("claims",), ("exits",), ("report", "--out=/dev/null")):
        ran = subprocess.run([sys.executable, f"scripts/{name}.py", *words, "/no/such.jsonl"], capture_output=True, text=True)
        check(f"{name}: a file that is not there is one line", ran.returncode == 1 and ran.stderr.startswith(f"{name}: ") and ran.stderr.count("\n") == 1)


typed_figures()
includes()
sources()
pages()
judging()
limits()
values()
scripts()
done()
