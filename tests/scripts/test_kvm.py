#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What can be said of check_kvm.py and kvm_machine.py without an emulator: the archive, the results port, what becomes of
a machine that hangs or ends, how a run is judged and gone on with."""
import argparse
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
import debian_kernel
import initramfs
import kvm_machine
import kvm_matrix
import test as runner
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
    data = initramfs.newc(initramfs.tree({"lib/a/b.so": b"12345", "init": b"#!"}))
    found = read_newc(data)
    check("an archive has its files", found["lib/a/b.so"] == (0o100755, b"12345") and found["init"] == (0o100755, b"#!"))
    check("and the folders they need, before them", list(found)[:2] == ["lib", "lib/a"] and found["lib"][0] == 0o040755)
    check("the same files give the same bytes", data == initramfs.newc(initramfs.tree({"init": b"#!", "lib/a/b.so": b"12345"})))
    check("the list is a file", read_newc(kvm_machine.command_list([("x", "do it")]))["list"][1] == b"x do it\n")
    said = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-57-cloud-amd64\n"
    check("the kernel that the package stands for", debian_kernel.current_kernel(said) == "linux-image-6.1.0-57-cloud-amd64")
    check("a package that apt does not know", debian_kernel.current_kernel("") is None)


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


def fake(item_seconds=3, items=10):
    def start(files, kernel, initrd, words):
        data = kvm_machine.contents(initrd)
        text = read_newc(data[data.index(b"070701"):])["list"][1].decode()
        with open(files.path("list"), "w", encoding="utf-8") as file:
            file.write(f"LIST\n{text}END\n")
        return subprocess.Popen([sys.executable, "-c", GUEST, files.path("list"), files.results])
    return kvm_machine.Machine("fake", "nothing", "kvm-none", "npt", "none", (), start,
                               kvm_machine.Limits(boot=20, item=item_seconds, guest=5, items=items, turn=0.001))


class Nothing:
    """A kvm_machine.Root of which only the list is used."""
    kernel = argparse.Namespace(image="kernel")

    def archive(self, items):
        return kvm_machine.command_list(items)


def boots(folder, items, machine):
    kvm_machine.FOLDER, found = folder, []
    try:
        kvm_machine.run(machine, True, items, found.append, Nothing())
    except RuntimeError as error:
        return found, str(error)
    return found, None


def cd(folder):
    """The CD that GRUB boots from, by a stand-in for grub-mkrescue, whose last argument is the folder."""
    tool, kernel = os.path.join(folder, "grub-mkrescue"), os.path.join(folder, "vmlinuz")
    for path, text in ((tool, "#!/bin/bash\ncat \"${!#}\"/boot/{vmlinuz,initrd,grub/grub.cfg} >\"$4\"\n"), (kernel, "kernel\n")):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    os.chmod(tool, 0o755)
    files, before = kvm_machine.Files(os.path.join(folder, "cds")), os.environ["PATH"]
    os.environ["PATH"] = f"{folder}:{before}"
    try:
        kvm_machine.make_cd(files, kernel, kernel, "quiet")
    finally:
        os.environ["PATH"] = before
    iso = kvm_machine.contents(files.path("cd.iso"))
    check("a CD has kernel, RAM disk and words", iso == b"kernel\nkernel\nlinux /boot/vmlinuz quiet\ninitrd /boot/initrd\nboot\n")
    check("and its folder is gone", not os.path.exists(files.path("cd")))


def hanging(folder):
    found, wrong = boots(folder, [("a", "x"), ("b", "hang"), ("c", "y"), ("d", "die"), ("e", "z")], fake())
    by_name = {r.name: r for r in found}
    check("what hangs or ends the machine costs no other item", wrong is None and list(by_name) == list("abcde"))
    check("results before and after", [by_name[n].out for n in "ace"] == ["ran x", "ran y", "ran z"] and by_name["a"].status == 3)
    check("what hung says so", by_name["b"].status is None and "nothing for 3 s" in by_name["b"].err)
    check("what ended the machine says so", by_name["d"].status is None and "the machine ended" in by_name["d"].err)
    machine = fake()
    machine.start = lambda files, *rest: subprocess.Popen(["true"])
    check("a machine that does not come up is an error", "the machine ended" in (boots(folder, [("a", "x")], machine)[1] or ""))
    console = os.path.join(folder, "console")
    with open(console, "w", encoding="utf-8") as file:
        file.write("a\n\n[ 1] Kernel panic - not syncing: x\nb\nc\nd\n")
    check("a kernel's panic is what its console said", kvm_machine.tail(console) == "[ 1] Kernel panic - not syncing: x")
    machine.tools = ("no-such-tool",)
    check("a tool that is missing is named", "no-such-tool" in machine.missing() and fake().missing() is None)


def document(**changes):
    return dict({"status": 0, "reason": "", "checks": [{"ok": True, "what": "a == b"}], "benchmarks": [], "skipped": [],
                 "text": [], "counters": {"exits": 3}, "stats": {"kvm.exits": 5, "kvm.blocking": 0}}, **changes)


# A process that is kept from running: it shares one CPU with two others.
BUSY = "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nwhile True: pass"


def undisturbed():
    if not os.path.exists("/proc/self/schedstat"):
        print("skip the kernel does not say how long a process waited (CONFIG_SCHED_INFO)")
        return
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(3)]
    clock, start = kvm_machine.Undisturbed(busy[0].pid), time.monotonic()
    first, slow = clock(), False
    while not slow and time.monotonic() - start < 60:
        time.sleep(0.05)
        took = time.monotonic() - start
        slow = took > 1 and 0 < clock() - first < 0.8 * took
    check("a clock that stands still while a process waits for a CPU", slow)
    for process in busy:
        process.kill()
        process.wait()
    start = time.monotonic()
    idle = subprocess.Popen(["sleep", "0.5"])
    clock = kvm_machine.Undisturbed(idle.pid)
    while idle.poll() is None:
        clock()
        time.sleep(0.05)
    check("and goes on while it sleeps", clock() - start > 0.4)
    check("a process that is gone has waited for nothing", kvm_machine.waited(idle.pid) == 0)


def batches(folder):
    seen = []
    machine = fake(items=2)
    start = machine.start

    def counted(files, *rest):
        seen.append(files.folder)
        return start(files, *rest)
    machine.start = counted
    found, wrong = boots(folder, [(name, "x") for name in "abcde"], machine)
    check("items are run some at a time", wrong is None and [r.name for r in found] == list("abcde") and len(seen) == 3)


def record(name="test/x", status=0, **changes):
    d = document(status=status, **changes)
    return kvm_matrix.record_of(kvm_machine.Result(name, d["status"], json.dumps(d), "", 1.23), "key")


def judged(limits=None, machine="intel", **changes):
    return kvm_matrix.judged(record(**changes), kvm_machine.MACHINES[machine], limits or {})


def judging():
    bad = [{"ok": False, "what": "a == b"}, {"ok": True, "what": "c"}]
    limits = {("x", "a == b"): "emu: known"}
    check("all checks hold", judged() == ("passed", []))
    check("a failed check", judged(checks=bad, status=1) == ("FAIL", ["check a == b"]))
    check("a known limit is none", judged(limits, checks=bad, status=1) == ("limit", ["emu: known"]))
    check("of that image only", judged(limits, name="test/y", checks=bad, status=1)[0] == "FAIL")
    moved = "test/x" + kvm_matrix.SWITCHED
    check("a guest that moved often enough", judged(name=moved, switches=kvm_matrix.FEWEST_SWITCHES) == ("passed", []))
    check("and one that hardly moved", judged(name=moved, switches=1) == ("FAIL", ["1 moves between engines are too few"]))
    check("or not at all", judged(name=moved)[0] == "FAIL")
    marked = [{"ok": False, "what": "not-qemu: a"}]
    check("what QEMU gets wrong is a limit in QEMU", judged(machine="amd", checks=marked, status=1) == ("limit", [kvm_matrix.MARKED]))
    check("and a failure elsewhere", judged(checks=marked, status=1) == ("FAIL", ["check not-qemu: a"]))
    check("an engine's error is a failure with its line", judged(status=8, reason="vtx: no") == ("FAIL", ["vtx: no"]))
    panic = judged(status=1, text=["x: panic: vector 6"])
    check("a panic is a failure with its line", panic == ("FAIL", ["panic: vector 6"]))
    check("no check at all", judged(checks=[]) == ("FAIL", ["made no check at all"]))
    check("nothing measured", judged(name="nano/x", checks=[]) == ("FAIL", ["measured nothing"]))
    why = [{"bench": "x", "reason": "no SMAP"}]
    check("a skip of the image's own", judged(checks=[], skipped=why) == ("skip", ["no SMAP"]))
    check("of a part of it", judged(skipped=why) == ("passed", ["no SMAP"]))
    hung = kvm_matrix.record_of(kvm_machine.Result("test/x", None, "", "nothing for 9 s", 9), "key")
    intel = kvm_machine.MACHINES["intel"]
    check("what hung is a failure", kvm_matrix.judged(hung, intel, {}) == ("FAIL", ["the machine hung: nothing for 9 s"]))
    known = {("x", "hang"): "emu: known"}
    check("or a known limit", kvm_matrix.judged(hung, intel, known) == ("limit", ["emu: known"]))
    check("also where the engine's own time limit came first",
          judged(checks=[], status=5, reason="the guest did not end within 7 s (--timeout)", limits=known) == ("limit", ["emu: known"]))
    crashed = kvm_matrix.record_of(kvm_machine.Result("test/x", 139, "", "", 9), "key")
    check("a crash is a failure", kvm_matrix.judged(crashed, intel, {}) == ("FAIL", ["exit status 139: no JSON"]))
    whole = record()
    check("a record has the counts, and of KVM's those that are not 0", whole["counters"] == {"exits": 3} and
          whole["stats"] == {"kvm.exits": 5} and whole["seconds"] == 1.2)
    unit = kvm_matrix.record_of(kvm_machine.Result("unit/vtx", 1, "ok a\n# why\nnot ok b\n", "", 1), "key")
    check("a unit test's lines", unit["passed"] == 1 and unit["wrong"] == ["b"] and "# why" in unit["text"])
    limits = kvm_machine.Limits(boot=1, item=1, guest=7, items=1, turn=0.25)
    items = check_kvm.all_items(["build/images/test/abuse_code.elf", "build/images/test/io.elf", "build/images/nano/in.elf"], limits, {("io", "panic"): "?"})
    check("what is hard on QEMU comes last", [i[0] for i in items][-3:] == ["test/io", "nano/in", "test/abuse_code"])
    moves = dict(check_kvm.all_items(["build/images/bantam/fork.elf"], limits, {}))
    check("an image that moves is an item more", "--engine=interp,vtx --switch=0.25 " in moves["bantam/fork" + kvm_matrix.SWITCHED])
    linux = dict(check_kvm.all_items([], limits, {}, "/boot/vmlinuz-1"))["linux/debian"]
    check("a kernel of Debian's is an image", linux.endswith(" /others/vmlinuz-1") and "--engine=vtx" in linux and "-- run=bantam/first," in linux)
    check("which has a boot of its own", check_kvm.boots_of([("a", ""), (check_kvm.LINUX, ""), ("b", "")]) ==
          [[("a", ""), ("b", "")], [(check_kvm.LINUX, "")]] and check_kvm.boots_of([]) == [])
    check("a benchmark runs short", "reps=1 cycles=1000" in dict(items)["nano/in"] and "--append" not in dict(items)["test/io"])
    check("by the emulated machine's clock", "--timeout=7" in dict(items)["test/io"])
    hangs = dict(check_kvm.all_items(["build/images/test/io.elf"], limits, {("io", "hang"): "?"}))
    check("and shorter where it is known to hang", f"--timeout={check_kvm.HANG_SECONDS}" in hangs["test/io"])
    check("the time left goes by the time taken", check_kvm.time_left(60, 10, 70) == "some 0 h 07 min left" and
          check_kvm.time_left(1, 0, 70) == "?")


class Bytes:
    """A kvm_machine.Root whose commands run `data`."""

    def __init__(self, data):
        self.data = data

    def key(self, command):
        return command + self.data


def pieces(folder):
    kvm_machine.FOLDER = folder
    machine, items = kvm_machine.MACHINES["intel"], [("test/a", "x"), ("test/b", "y")]

    def cells(data="1"):
        return [kvm_matrix.Cell(machine, nested, items, Bytes(data)) for nested in (True, False)]
    both = cells()
    check("no file: nothing is known", [cell.seen() for cell in both] == [0, 0] and not both[0].complete())
    both[0].add(kvm_machine.Result("test/a", 0, json.dumps(document()), "", 1))
    with open(both[0].path, "a", encoding="utf-8") as file:
        file.write('{"name": "test/b", "ke')
    both = cells()
    check("what was seen in one piece is known in the next, up to where it was cut", list(both[0].records) == ["test/a"])
    check("which is said", kvm_matrix.summary(machine, both) == "matrix of kvm-intel: 1 of 4 seen; the same command goes on with the rest")
    check("of other bytes nothing is known", cells("2")[0].seen() == 0)
    for cell in both:
        for name in ("test/a", "test/b"):
            cell.add(kvm_machine.Result(name, 0, json.dumps(document()), "", 1))
    both = cells()
    check("a whole matrix says so", kvm_matrix.summary(machine, both) == "matrix of kvm-intel complete: 4 of 4")
    stale = kvm_matrix.stale_limits(machine, both)
    check("a limit that nothing needs is a failure then", stale and stale == runner.known_limits("bochs_vmx"))
    check("and before it is not", not kvm_matrix.stale_limits(machine, cells("2")))
    amd = kvm_machine.MACHINES["amd"]
    check("those of the module are of the machine's, and of KVM's only those that it alone has",
          runner.known_limits("kvm_amd").items() <= kvm_matrix.own_limits(amd).items() <= kvm_matrix.limits_of(amd).items() and
          not runner.known_limits("kvm").items() & kvm_matrix.own_limits(amd).items())


def keys():
    root = kvm_machine.Root.__new__(kvm_machine.Root)
    root.common, root.files = b"kernel", {"bin/program": b"1", "images/a.elf": b"2", "images/b.elf": b"3"}
    key = root.key("program /images/a.elf")
    root.files["images/b.elf"] = b"4"
    check("another image does not matter", root.key("program /images/a.elf") == key)
    for path in ("bin/program", "images/a.elf"):
        old, root.files[path] = root.files[path], b"5"
        check(f"but {path} does", root.key("program /images/a.elf") != key)
        root.files[path] = old
    check("and the command", root.key("program -x /images/a.elf") != key)
    root.files |= {"bin/busybox": b"6", "init": b"7"}
    found = gzip.decompress(root.archive([("a", "program /images/a.elf")])[:-len(kvm_machine.command_list([("a", "program /images/a.elf")]))])
    check("an archive has what its items need", set(read_newc(found)) == {"bin", "bin/busybox", "bin/program", "images", "images/a.elf", "init"})


archive()
port()
display()
with tempfile.TemporaryDirectory() as scratch:
    cd(scratch)
    hanging(scratch)
    batches(scratch)
    pieces(scratch)
undisturbed()
keys()
judging()
done()
