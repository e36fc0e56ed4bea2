#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""scripts/check_kut.py: its reading of unittests.cfg, its verdicts, and a whole run with a small fake of the program."""
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "scripts"))
import check_kut  # noqa: E402
from _ok import check, done  # noqa: E402

CONFIG = '''
# a comment
[plain]
file = plain.flat
timeout = 30

[words]
file = words.flat
test_args = 'one two'
qemu_params = -cpu max -m 2048
smp = 1

[lines]
file = plain.flat
qemu_params = -cpu max -append "a b"
extra_params = """
  over several
  lines """

[two]
file = plain.flat
smp = 2

[narrow]
file = plain.flat
arch = i386

[rare]
file = plain.flat
groups = nodefault x

[broken]
file = broken.flat

[absent]
file = absent.flat
'''

FAKE = '''#!/usr/bin/env python3
import json, sys
if sys.argv[1] == "engines":
    print(json.dumps([{"name": "interp", "available": True}, {"name": "bt", "available": True},
                      {"name": "vtx", "available": False, "reason": "no /dev/kvm"}]))
    sys.exit(0)
engine = [a.split("=")[1] for a in sys.argv if a.startswith("--engine=")][0]
image = sys.argv[-1]
if "broken" in image:
    print("PASS: one\\nFAIL: two\\nSUMMARY: 2 tests, 1 unexpected failures")
    print(f"ringside: {image}: the guest ended with status 1", file=sys.stderr)
    sys.exit(1)
if engine == "bt" and "words" in image:
    print("SKIP: no such feature")
    print(f"ringside: {image}: the guest ended with status 38", file=sys.stderr)
    sys.exit(1)
print("PASS: one\\nSUMMARY: 1 tests")
'''


def reading():
    tests = {test["name"]: test for test in check_kut.parse_config(CONFIG)}
    check("every section is a test", list(tests) == ["plain", "words", "lines", "two", "narrow", "rare", "broken", "absent"])
    check("file and defaults", tests["plain"] == {"name": "plain", "file": "plain.flat", "arch": "", "args": "", "ram": 128,
                                                  "smp": 1, "groups": ""})
    check("words without their quotes, and memory", tests["words"]["args"] == "one two" and tests["words"]["ram"] == 2048)
    check("words that stand in QEMU's -append", tests["lines"]["args"] == "a b")
    check("memory in GiB", check_kut.mebibytes("2G") == 2048 and check_kut.mebibytes("512") == 512)
    check("processors", tests["two"]["smp"] == 2)


def verdicts():
    judge = check_kut.judge
    check("passed", judge(0, "PASS: a\nPASS: b\n", "") == ("pass", "2 checks"))
    check("a failed check", judge(1, "PASS: a\nFAIL: b\n", "x") == ("fail", "1 of 2 checks, first: b"))
    check("a failed check is one whatever the status", judge(0, "FAIL: b\n", "")[0] == "fail")
    check("left out by the test", judge(1, "SKIP: no vmx\n", "r: the guest ended with status 38")
          == ("skip", "the test: no vmx"))
    check("an exception", judge(1, "Unhandled exception 6 #UD\n", "r: i: the guest ended with status 63")
          == ("fail", "Unhandled exception 6 #UD"))
    check("the engine's own error", judge(8, "", "ringside: i: bt: cannot") == ("fail", "bt: cannot"))
    limits = {("a", "*"): "no such thing", ("b", "bt"): "not yet"}
    check("a known failure", check_kut.excuse("a", "interp", "fail", "x", limits) == ("known", "no such thing"))
    check("of one engine only", check_kut.excuse("b", "interp", "fail", "x", limits) == ("fail", "x"))
    check("one that passes after all", check_kut.excuse("b", "bt", "pass", "x", limits)[0] == "fail")
    check("the list can be read", check_kut.read_limits())


def whole():
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "x86"))
        for name in ("unittests.cfg", "plain.flat", "words.flat", "broken.flat"):
            with open(os.path.join(folder, "x86", name), "w", encoding="utf-8") as file:
                file.write(CONFIG)
        fake, result = os.path.join(folder, "ringside"), os.path.join(folder, "kut.json")
        with open(fake, "w", encoding="utf-8") as file:
            file.write(FAKE)
        os.chmod(fake, 0o755)
        command = [os.path.join(ROOT, "scripts", "check_kut.py"), folder, f"--json={result}"]
        run = subprocess.run(command, env=dict(os.environ, RINGSIDE=fake), capture_output=True, text=True, check=False)
        with open(result, encoding="utf-8") as file:
            rows = {(row["test"], row["engine"]): row for row in json.load(file)}
        check("a failure is the exit status", run.returncode == 1)
        check("an absent engine is said", "skip vtx: no /dev/kvm" in run.stdout)
        check("each test on each engine", len(rows) == 16)
        check("verdicts", [rows[t, e]["verdict"] for t, e in (("plain", "interp"), ("words", "bt"), ("broken", "bt"))]
              == ["pass", "skip", "fail"])
        check("what is not tried", all(rows[t, "interp"]["verdict"] == "skip" for t in ("two", "narrow", "rare", "absent")))
        check("the table counts", "interp   3 pass, 1 fail, 0 known, 4 skip" in run.stdout)
        none = subprocess.run([command[0], "/nowhere"], capture_output=True, text=True, check=False)
        check("no checkout is one clear line", none.returncode == 2 and len(none.stderr.splitlines()) == 1)


reading()
verdicts()
whole()
done()
