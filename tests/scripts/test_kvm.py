#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What can be said of check_kvm.py and kvm_machine.py without an emulator: the archive, the results port, what becomes of
a machine that hangs or ends, how a run is judged and gone on with."""
import base64
import gzip
import json
import os
import pty
import subprocess
import sys
import tempfile
import time

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts")
sys.path.insert(0, SCRIPTS)
import check_kvm
import kvm_machine
from _ok import check, done

# A machine of no emulator: runs the list that lies in the initramfs, as kvm_init.sh does. `hang` and `die` do.
GUEST = """
import base64, gzip, re, sys, time
items = re.search(rb"LIST\\n(.*?)END\\n", open(sys.argv[1], "rb").read(), re.S).group(1).decode().splitlines()
pack = lambda text: base64.b64encode(gzip.compress(text.encode())).decode()
with open(sys.argv[2], "w") as port:
    for name, command in (item.split(" ", 1) for item in items):
        print("start " + name, file=port, flush=True)
        if command == "hang": time.sleep(1000)
        if command == "die": sys.exit()
        print("done", name, 3, pack("ran " + command), pack(""), file=port, flush=True)
    print("end", file=port, flush=True)
"""


def packed(text):
    return base64.b64encode(gzip.compress(text.encode())).decode()


def read_newc(data):
    """{path: (mode, contents)} by the format's own rules."""
    found, at = {}, 0
    while True:
        fields = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        name = data[at + 110:at + 109 + fields[11]].decode()
        start = (at + 110 + fields[11] + 3) & ~3
        at = (start + fields[6] + 3) & ~3
        if name == "TRAILER!!!":
            return found
        found[name] = fields[1], data[start:start + fields[6]]


def archive():
    data = kvm_machine.newc(kvm_machine.tree({"lib/a/b.so": b"12345", "init": b"#!"}))
    found = read_newc(data)
    check("an archive has its files", found["lib/a/b.so"] == (0o100755, b"12345") and found["init"] == (0o100755, b"#!"))
    check("and the folders they need, before them", list(found)[:2] == ["lib", "lib/a"] and found["lib"][0] == 0o040755)
    check("the same files give the same bytes", data == kvm_machine.newc(kvm_machine.tree({"init": b"#!", "lib/a/b.so": b"12345"})))
    check("the list is a file", read_newc(kvm_machine.command_list([("x", "do it")]))["list"][1] == b"x do it\n")
    said = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-57-cloud-amd64\n"
    check("the kernel that the package stands for", kvm_machine.current_kernel(said) == "linux-image-6.1.0-57-cloud-amd64")
    check("a package that apt does not know", kvm_machine.current_kernel("") is None)


def port():
    text = f"start a\ndone a 7 {packed('out')} {packed('err')}\nstart b\nnoise\nend\n".encode()
    follower, results = kvm_machine.Follower(), []
    for at in range(0, len(text), 3):
        results += follower.feed(text[at:at + 3], at)
    check("a result may come in pieces", len(results) == 1 and
          (results[0].name, results[0].status, results[0].out, results[0].err) == ("a", 7, "out", "err"))
    check("what runs now is known", follower.current == "b" and follower.ended)
    again = kvm_machine.Follower()
    check("a result of what was not started is none", not list(again.feed(b"done a 7 x y\n", 0)))


# Like Bochs: makes a terminal for its display, and fills it before it goes on.
DISPLAY = """
import os, pty, sys
master, slave = pty.openpty()
os.close(slave)
print("up", flush=True)
for _ in range(300): os.write(master, b"\\x1b[?25h" * 100)
"""


def display():
    process = subprocess.Popen([sys.executable, "-c", DISPLAY], stdout=subprocess.PIPE)
    process.stdout.read(3)
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    process.terminals = [master]
    for _ in range(500):
        kvm_machine.drain(process)
        if process.poll() is not None:
            break
        time.sleep(0.01)
    check("an emulator's own display is emptied", process.poll() == 0 and len(process.terminals) == 2)
    kvm_machine.stop(process)
    process.stdout.close()
    os.close(slave)


def fake(item_seconds=1):
    def start(files, kernel, initrd, words):
        data = kvm_machine.contents(initrd)
        text = read_newc(data[data.index(b"070701"):])["list"][1].decode()
        with open(files.path("list"), "w", encoding="utf-8") as file:
            file.write(f"LIST\n{text}END\n")
        return subprocess.Popen([sys.executable, "-c", GUEST, files.path("list"), files.results])
    return kvm_machine.Machine("fake", "nothing", "kvm-none", "npt", "none", (), start, 20, item_seconds)


def boots(folder, items, machine):
    kvm_machine.FOLDER, found = folder, []
    try:
        kvm_machine.run_boots(machine, True, items, found.append, "kernel", b"base")
    except RuntimeError as error:
        return found, str(error)
    return found, None


def hanging(folder):
    found, wrong = boots(folder, [("a", "x"), ("b", "hang"), ("c", "y"), ("d", "die"), ("e", "z")], fake())
    by_name = {r.name: r for r in found}
    check("what hangs or ends the machine costs no other item", wrong is None and list(by_name) == list("abcde"))
    check("results before and after", [by_name[n].out for n in "ace"] == ["ran x", "ran y", "ran z"] and by_name["a"].status == 3)
    check("what hung says so", by_name["b"].status is None and "nothing for 1 s" in by_name["b"].err)
    check("what ended the machine says so", by_name["d"].status is None and "the machine ended" in by_name["d"].err)
    machine = fake()
    machine.start = lambda files, *rest: subprocess.Popen(["true"])
    check("a machine that does not come up is an error", "the machine ended" in (boots(folder, [("a", "x")], machine)[1] or ""))
    machine.tools = ("no-such-tool",)
    check("a tool that is missing is named", "no-such-tool" in machine.missing() and fake().missing() is None)


def document(**changes):
    return dict({"status": 0, "reason": "", "checks": [{"ok": True, "what": "a == b"}], "benchmarks": [], "skipped": [],
                 "text": [], "counters": {"exits": 3}, "stats": {"kvm.exits": 5, "kvm.blocking": 0}}, **changes)


def judged(name, limits=None, qemu=False, **changes):
    d = document(**changes)
    result = kvm_machine.Result(name, d["status"], json.dumps(d), "", 1)
    return check_kvm.judge_image(result, limits or {}, qemu)


def judging():
    bad = [{"ok": False, "what": "a == b"}, {"ok": True, "what": "c"}]
    check("all checks hold", judged("test/x").passed == 1 and not judged("test/x").failed)
    check("a failed check", judged("test/x", checks=bad, status=1).failed == ["check a == b"])
    known = judged("test/x", {("x", "a == b"): "emu: known"}, checks=bad, status=1)
    check("a known limit is a skip", not known.failed and known.skipped == ["emu: known"] and known.passed == 0)
    check("of that image only", judged("test/y", {("x", "a == b"): "emu: known"}, checks=bad, status=1).failed)
    marked = [{"ok": False, "what": "not-qemu: a"}]
    check("what QEMU gets wrong is a skip in QEMU", judged("test/x", qemu=True, checks=marked, status=1).skipped and
          not judged("test/x", qemu=True, checks=marked, status=1).failed)
    check("and a failure elsewhere", judged("test/x", checks=marked, status=1).failed == ["check not-qemu: a"])
    check("an engine's error is a failure with its line", judged("test/x", status=8, reason="vtx: no").failed == ["vtx: no"])
    panic = judged("test/x", status=1, text=["x: panic: vector 6"])
    check("a panic is a failure with its line", panic.failed == ["panic: vector 6"])
    check("no check at all", judged("test/x", checks=[]).failed == ["made no check at all"])
    check("nothing measured", judged("nano/x", checks=[]).failed == ["measured nothing"])
    check("a skip of the image's own", judged("test/x", checks=[], skipped=[{"bench": "x", "reason": "no SMAP"}]).skipped == ["no SMAP"])
    hung = check_kvm.judge_image(kvm_machine.Result("test/x", None, "", "nothing for 9 s", 9), {}, False)
    check("what hung is a failure", hung.failed == ["the machine hung: nothing for 9 s"] and not hung.passed)
    known = check_kvm.judge_image(kvm_machine.Result("test/x", None, "", "", 9), {("x", "hang"): "emu: known"}, False)
    check("where that is a known limit, a skip", known.skipped == ["emu: known"] and not known.failed and not known.passed)
    crashed = check_kvm.judge_image(kvm_machine.Result("test/x", 139, "", "", 9), {}, False)
    check("a crash is a failure", crashed.failed == ["exit status 139: no JSON"])
    record = check_kvm.record_of(kvm_machine.Result("test/x", 0, json.dumps(document()), "", 1.23), judged("test/x"))
    check("a record has the counts, and of KVM's those that are not 0", record["outcome"] == "passed" and
          record["counters"] == {"exits": 3} and record["stats"] == {"kvm.exits": 5})
    unit = check_kvm.judge(kvm_machine.Result("unit/vtx", 1, "ok a\nnot ok b\n", "", 1), fake(), {})
    check("a unit test's lines", unit.passed == 1 and unit.failed == ["b"])
    items = check_kvm.all_items(["build/images/test/abuse_code.elf", "build/images/test/io.elf", "build/images/nano/in.elf"], "")
    check("what is hard on QEMU comes last", [i[0] for i in items][-3:] == ["test/io", "nano/in", "test/abuse_code"])
    check("a benchmark runs short", "reps=1 cycles=1000" in dict(items)["nano/in"] and "--append" not in dict(items)["test/io"])


def going_on(folder):
    path, items = os.path.join(folder, "r.jsonl"), [("a", "x")]
    program = os.path.join(folder, "program")
    with open(program, "w", encoding="utf-8") as file:
        file.write("1")
    key = check_kvm.key_of(items, [program])

    def write(*lines):
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
    head, one = json.dumps({"type": "run", "key": key}), json.dumps({"type": "item", "name": "a"})
    check("no file: nothing is known", check_kvm.kept(path, key) == [])
    write(head, one, '{"type": "item", "na')
    check("an interrupted run is gone on with", [r["name"] for r in check_kvm.kept(path, key)] == ["a"])
    write(head, one, json.dumps({"type": "end"}))
    check("a whole run is not", check_kvm.kept(path, key) == [])
    with open(program, "w", encoding="utf-8") as file:
        file.write("2")
    write(head, one)
    check("nor one of another program", check_kvm.kept(path, check_kvm.key_of(items, [program])) == [])


archive()
port()
display()
with tempfile.TemporaryDirectory() as scratch:
    hanging(scratch)
    going_on(scratch)
judging()
done()
