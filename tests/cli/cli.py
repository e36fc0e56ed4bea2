#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The command line with bad input: files that are no images, guests that misbehave, options that make no sense. Each
case checks the exit status, and that what is wrong is said in exactly one line on standard error."""
import json
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

from _report import exit_status, report

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.environ.get("BUILD", "build")
RINGSIDE = os.path.abspath(os.environ.get("RINGSIDE", os.path.join(BUILD, "ringside")))
SANITIZED = BUILD.endswith("san")
OK, GUEST_FAILED, USAGE, UNAVAILABLE, BAD_IMAGE, TIMEOUT, SHUTDOWN, FLOOD, ENGINE_ERROR, HALTED = range(10)
INTERRUPTED = 130
UNSUPPORTED = 12
DOCUMENTED = {*range(13), INTERRUPTED}
LOAD = 0x100000
VIRT = 0xFFFFFFFF80000000


def ringside(*args, seconds=400, **more):
    result = subprocess.run([RINGSIDE, *args], stdin=subprocess.DEVNULL, stdout=more.pop("stdout", subprocess.PIPE),
                            stderr=subprocess.PIPE, timeout=seconds, **more)
    return result.returncode, (result.stdout or b"").decode(errors="replace"), result.stderr.decode(errors="replace")


def refused(what, status, args, text="", **more):
    """The status asked for, one line on stderr, with a text that says what is wrong."""
    got, _, err = ringside(*args, **more)
    one_line = err.endswith("\n") and err.count("\n") == 1 and err.startswith("ringside: ")
    return report(got == status and one_line and text in err, what, f"status {got}, want {status}; stderr {err!r}")


# ---- ELF files ----

def segment(code, address=LOAD, offset=0x1000, memory=None, virtual=None):
    virtual = VIRT + address if virtual is None else virtual
    memory = len(code) if memory is None else memory
    return struct.pack("<IIQQQQQQ", 1, 7, offset, virtual & (2**64 - 1), address, len(code), memory, 0x1000)


def elf(code, headers=None, entry=VIRT + LOAD, machine=62, kind=2):
    """An executable with `code` at physical 1 MiB; headers: other program headers instead."""
    headers = [segment(code)] if headers is None else headers
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    head = ident + struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, entry, 64, 0, 0, 64, 56, len(headers), 0, 0, 0)
    return (head + b"".join(headers)).ljust(0x1000, b"\0") + code


def prints(text, status):
    """A guest that prints text and ends with status."""
    head = b"\x66\xba\xf8\x03" + b"\x48\xbe"  # mov dx, 0x3f8; mov rsi, text
    tail = b"\xb9" + struct.pack("<I", len(text)) + b"\xac\xee\xe2\xfc"  # mov ecx, n; 1: lodsb; out dx, al; loop 1b
    tail += bytes([0xB0, status, 0xE6, 0xF4, 0xFA, 0xF4])  # mov al, status; out 0xf4, al; cli; hlt
    return elf(head + struct.pack("<Q", VIRT + LOAD + len(head) + 8 + len(tail)) + tail + text)


TRIPLE_FAULT = elf(b"\x0f\x0b")  # ud2, with no IDT
HANG = elf(b"\xeb\xfe")  # 1: jmp 1b
UP_THEN_HANG = elf(b"\x66\xba\xf8\x03\xb0\x0a\xee\xeb\xfe")  # mov dx, 0x3f8; mov al, '\n'; out dx, al; 1: jmp 1b
HALT_DEAF = elf(b"\xfa\xf4\xeb\xfd")  # cli; 1: hlt; jmp 1b
HALT_FOR_EVER = elf(b"\xfb\xf4\xeb\xfd")  # sti; 1: hlt; jmp 1b, and no timer
FLOODER = elf(b"\x66\xba\xf8\x03\xb0\x78\xee\xeb\xfd")  # mov dx, 0x3f8; mov al, 'x'; 1: out dx, al; jmp 1b
WELL = prints(b"hello\n", 0)


class Files:
    """Named files in one folder that goes away at the end."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(content)
        return path


# ---- Files that are no images ----

def bad_files(files):
    code = b"\xeb\xfe"
    bad = {
        "empty file": b"",
        "text file": b"#!/bin/sh\necho hello\n",
        "one byte": b"\x7f",
        "only the magic number": b"\x7fELF",
        "truncated in the header": HANG[:40],
        "truncated in the program headers": HANG[:100],
        "truncated in the code": HANG[:-1],
        "32-bit": HANG[:4] + b"\x01" + HANG[5:],
        "big-endian": HANG[:5] + b"\x02" + HANG[6:],
        "for another CPU": elf(code, machine=183),
        "an object file": elf(code, kind=1),
        "nothing to load": elf(code, headers=[]),
        "a segment outside of RAM": elf(code, [segment(code, address=1 << 40)]),
        "a segment at the address space's end": elf(code, [segment(code, address=2**64 - 1, virtual=0)]),
        "a segment in the hole below 4 GiB": elf(code, [segment(code, address=0xFEE00000)]),
        "a segment larger than RAM": elf(code, [segment(code, memory=1 << 40)]),
        "a segment whose size overflows": elf(code, [segment(code, memory=2**64 - 1)]),
        "a segment larger in the file than in memory": elf(code, [segment(code, memory=1)]),
        "a segment outside of the file": elf(code, [segment(code, offset=1 << 50)]),
        "segments that overlap": elf(code, [segment(code), segment(code, address=LOAD + 1)]),
        "a segment over the boot information": elf(code, [segment(code, address=0x7000)]),
        "an entry outside of its segments": elf(code, entry=VIRT + 0x200000),
        "an entry that is not canonical": elf(code, entry=0x800000000000),
    }
    for what, content in bad.items():
        refused(f"image: {what}", BAD_IMAGE, ["run", "--timeout=5", files("bad.elf", content)])
    refused("image: a program of the host", BAD_IMAGE, ["run", "/bin/true"])
    refused("image: a folder", BAD_IMAGE, ["run", files.folder], "folder")
    refused("image: no such file", BAD_IMAGE, ["run", "/no/such/file.elf"], "No such file")
    refused("image: no such name, with a hint", BAD_IMAGE, ["run", "sycall"], "'syscall'")
    refused("image: a name with a newline in it", BAD_IMAGE, ["run", "a\nb"])
    fifo = os.path.join(files.folder, "fifo")
    os.mkfifo(fifo)
    refused("image: a FIFO", BAD_IMAGE, ["run", fifo], "regular")


def mutated(files):
    """Random damage to the headers: any documented status, at most one line, no crash."""
    rng = random.Random(2006)
    worst = ""
    for number in range(15 if SANITIZED else 60):
        content = bytearray(WELL)
        for _ in range(rng.randint(1, 6)):
            content[rng.randrange(16, 64 + 56)] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        status, _, err = ringside("run", "--timeout=1", files("mutated.elf", bytes(content)))
        if status not in DOCUMENTED or err.count("\n") > 1 or (status != OK and not err):
            worst = f"number {number}: status {status}, stderr {err[-300:]!r}"
    report(not worst, "image: damaged headers", worst)


# ---- Options ----

def bad_options():
    for value in ("0", "1", "1E", "-5", "99T", "9M", "", "0x10", "16777215T", "18446744073709551616"):
        refused(f"option --ram={value}", USAGE, ["run", f"--ram={value}", "idle"], "--ram")
    for option in ("--timeout=0", "--timeout=-1", "--timeout=soon", "--budget=0", "--cpu=-1", "--serial-limit=0",
                   "--serial-limit=9999999999T"):
        refused(f"option {option}", USAGE, ["run", option, "idle"], option.split("=", maxsplit=1)[0])
    refused("option that does not exist", USAGE, ["run", "--frobnicate", "idle"], "--frobnicate")
    refused("option that nearly exists", USAGE, ["run", "--couters", "idle"], "'--counters'")
    refused("option of another command", USAGE, ["list", "--quick"], "--quick")
    refused("option without its value", USAGE, ["run", "--engine", "idle"], "--engine=E")
    refused("command that nearly exists", USAGE, ["bnech"], "'bench'")
    refused("no command", USAGE, [], "--help")
    refused("no image", USAGE, ["run"], "IMAGE")
    refused("engine that does not exist", USAGE, ["run", "--engine=intrep", "idle"], "'interp'")
    refused("engine native is not for run", USAGE, ["run", "--engine=native", "idle"], "native")
    refused("bench: engine that does not exist", USAGE, ["bench", "--engines=vtx,xtv"], "xtv")
    refused("bench: no engine at all", USAGE, ["bench", "--engines=,"], "--engines")
    refused("bench: no such image", BAD_IMAGE, ["bench", "nona"], "'nano'")
    refused("bench: results cannot be written", UNAVAILABLE, ["bench", "--out=/no/such/folder/x"], "/no/such/folder")


# ---- The host ----

def host_lacks(files):
    well = files("well.elf", WELL)
    refused("a CPU that is not there", UNAVAILABLE, ["run", "--cpu=1023", well], "CPU 1023")
    with open("/dev/full", "wb") as full:
        refused("standard output that is full", UNAVAILABLE, ["run", well], "standard output", stdout=full)
    if SANITIZED:
        print("skip a sanitized program needs more address space than can be limited here")
        return
    limit = 1 << 30
    refused("RAM that cannot be had", UNAVAILABLE, ["run", "--ram=32G", well],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))


# ---- Guests that misbehave ----

def engines_here():
    _, out, _ = ringside("engines", "--json")
    return [e for e in json.loads(out)["engines"] if e["available"]]


def bad_guests(files, engine):
    def guest(what, status, content, *options, text=""):
        path = files("guest.elf", content)
        refused(f"{engine}: guest {what}", status, ["run", f"--engine={engine}", "--timeout=120", *options, path], text)

    guest("triple-faults", SHUTDOWN, TRIPLE_FAULT, text="triple fault")
    guest("hangs", TIMEOUT, HANG, "--timeout=0.3", text="--timeout")
    guest("floods the serial line", FLOOD, FLOODER, "--serial-limit=1000", text="--serial-limit")
    guest("halts with interrupts off", HALTED, HALT_DEAF, text="halted")
    guest("ends with status 3", GUEST_FAILED, prints(b"x\n", 3), text="status 3")
    guest("fails a check", GUEST_FAILED, prints(b"rs1 check name=x ok=0 what=sky is green\n", 0), text="sky is green")
    guest("sends a bad record", GUEST_FAILED, prints(b"rs1 warm name=x n=0 t1=1 t2=1\n", 0), text="record")
    status, out, err = ringside("run", f"--engine={engine}", files("guest.elf", WELL))
    report((status, out, err) == (OK, "hello\n", ""), f"{engine}: guest that says hello", f"{status} {out!r} {err!r}")


def only_interp(files):
    refused("interp: guest waits for ever for an interrupt", HALTED,
            ["run", files("guest.elf", HALT_FOR_EVER)], "halted")
    refused("interp: --budget", TIMEOUT, ["run", "--budget=100000", files("guest.elf", HANG)], "--budget")
    _, out, _ = ringside("run", "--json", "--budget=100000", files("guest.elf", HANG))
    found = json.loads(out)
    report(found["instructions"] == 100000 and found["status"] == TIMEOUT and found["result"] == "timeout",
           "interp: --budget is exact", out)


def interrupted(files, engine):
    process = subprocess.Popen([RINGSIDE, "run", f"--engine={engine}", "--counters", files("guest.elf", UP_THEN_HANG)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()  # the guest runs
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    report(process.returncode == INTERRUPTED and b"seconds in the run" in out and err.count(b"\n") == 1,
           f"{engine}: Ctrl-C ends the run, counters are printed", f"{process.returncode} {out!r} {err!r}")


# ---- Bench ----

def children_cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def endless(engine):
    """Loops of every sort, with interrupts off: only the time limit can end them, and it does, at once: by CPU time, as on a busy
    host any process may have to wait for its turn."""
    for loop in ("jmp", "forward", "ret", "ret_computed", "call", "jrcxz", "stos", "movs", "scas"):
        begin = children_cpu_seconds()
        if refused(f"{engine}: endless loop ({loop})", TIMEOUT, ["run", f"--engine={engine}", "--timeout=0.05",
                                                                  "test/abuse_loop", f"--append=loop={loop}"]):
            seconds = children_cpu_seconds() - begin
            report(seconds < (30 if SANITIZED else 2), f"{engine}: the time limit ends {loop} at once", f"{seconds} s of CPU time")


def breakout(files):
    """A kernel that writes its own code over bt's translation of it, to make a file named `canary`.

    Where that is it finds by a constant of its own, in all memory from the engine's region on: it knows no layout.
    """
    shell = (b"\x48\x8d\x3d" + struct.pack("<i", 29) +           # lea canary(%rip), %rdi
             b"\xbe\x41\0\0\0\xba\xa4\1\0\0\xb8\2\0\0\0\x0f\5"  # open(canary, O_CREAT | O_WRONLY, 0644)
             b"\xbf\x4d\0\0\0\xb8\xe7\0\0\0\x0f\5canary\0")     # exit_group(77)
    region = 0xD040000000  # BT_REGION as the guest sees it
    mark = b"\xde\xc0\xad\x8b", b"\x0d\xf0\xfe\xca"
    strike = (b"\xf3\xa4\x48\xb8" + mark[0] + mark[1] +       # rep movsb; movabs $mark, %rax
              b"\x31\xc0")                                    # xor %eax, %eax: no register has the mark for long
    find = (b"\x48\xbf" + struct.pack("<Q", region) +          # movabs $region, %rdi
            b"\x48\xff\xc7\x81\x3f" + mark[0] + b"\x75\xf5"   # 1: inc %rdi; cmpl $..., (%rdi); jne 1b
            b"\x81\x7f\4" + mark[1] + b"\x75\xec"             # cmpl $..., 4(%rdi); jne 1b
            b"\x48\x83\xef\2\xb9" + struct.pack("<I", len(shell)))  # sub $2, %rdi: to movabs; mov $..., %ecx
    code = b"\x31\xc9" + strike + find                         # xor %ecx, %ecx: translated, but nothing moved yet
    code += b"\x48\x8d\x35\2\0\0\0\xeb"                       # lea shell(%rip), %rsi; jmp strike
    code += struct.pack("b", 2 - len(code) - 1) + shell
    path = files("breakout", elf(code))
    with tempfile.TemporaryDirectory() as folder:
        canary = os.path.join(folder, "canary")
        refused("bt: a breakout ends in one line", ENGINE_ERROR, ["run", "--engine=bt", path], "contained", cwd=folder)
        report(not os.path.exists(canary), "bt: a breakout opens no file")
        status, _, _ = ringside("run", "--engine=bt", "--bt-no-seccomp", path, cwd=folder)
        report(status == 77 and os.path.exists(canary), "bt: the breakout is one where nothing stops it", str(status))
        status, out, err = ringside("run", "--engine=bt", "--json", "--append=reps=1 cycles=1000", "nano/in")
        report(status == OK and json.loads(out)["benchmarks"], "bt: JSON from a process that is contained", repr(err))
        refused("bt: no breakout from checked translation", SHUTDOWN, ["run", "--engine=bt", "--bt-checked", path])


def alone(files, engine):
    """The program needs nothing that lies beside it, nor what looking for that there would have had it do first."""
    copy = os.path.join(files.folder, f"alone-{engine}")
    shutil.copy(RINGSIDE, copy)
    done = subprocess.run([copy, "run", f"--engine={engine}", files("prints", prints(b"well", 0))], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=400)
    report(done.returncode == OK and b"well" in done.stdout, f"{engine}: a copy of the program elsewhere runs a guest",
           f"{done.returncode} {done.stderr!r}")


def lines_of(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def bench(files):
    path = os.path.join(files.folder, "results.jsonl")
    args = ["bench", "--engines=native", "--runs=2", "--reps=3", "--cycles=1000", "--seed=5", f"--out={path}", "crc"]
    status, out, err = ringside(*args)
    found = lines_of(path)
    report(status == OK and path in out, "bench: a small run", f"{status} {err!r}")
    kinds = [r["type"] for r in found]
    report(kinds == ["run", "engine", "image", "sample", "sample", "end"], "bench: its records", str(kinds))
    report(found[0]["seed"] == 5 and found[-1]["complete"] and all(len(r["t1"]) == 3 for r in found[3:5]),
           "bench: what they say")
    keys = {key for r in found for key in [*r, *r.get("machine", {})]}
    with open(os.path.join(ROOT, "docs", "results.md"), encoding="utf-8") as file:
        missing = keys - set(re.findall(r"`(\w+)`", file.read()))
    report(not missing, "docs/results.md: has every key", str(missing))
    ringside(*args)
    report(len(lines_of(path)) == 2 * len(found), "bench: --out appends")
    status, _, _ = ringside("bench", "--engines=interp", "--runs=3", "--timeout=0.001", f"--out={path}", "crc")
    gone = [r for r in lines_of(path)[2 * len(found):] if r["type"] == "failed"]
    report(status == UNAVAILABLE and len(gone) == 3 and all(r["reason"] for r in gone),
           "bench: each process that fails is a record", f"{status} {gone}")


def bench_unsupported(files):
    """What a software back end of /dev/kvm cannot run is no failure of a bench: a row that says why."""
    status, _, err = ringside("run", "--engine=vtx", "--timeout=240", "micro/nbody")
    if status != UNSUPPORTED:
        print(f"skip bench: no back end here that cannot run vector code at CPL 0 (status {status})")
        return
    report("cannot emulate" in err and err.count("\n") == 1, "run: what a back end cannot do has a status of its own", repr(err))
    path = os.path.join(files.folder, "unsupported.jsonl")
    status, _, _ = ringside("bench", "--engines=interp,vtx", "--runs=2", "--reps=1", "--cycles=1000", f"--out={path}", "nbody")
    rows = [r for r in lines_of(path) if r["type"] in ("failed", "skipped", "sample") and r["engine"] == "vtx"]
    report(status == OK and [r["type"] for r in rows] == ["skipped"] * 2 and all("cannot emulate" in r["reason"] for r in rows),
           "bench: what a back end cannot do is skipped, with the reason", f"{status} {rows}")


def bench_within(files):
    """What the time of the whole run does not suffice for is no failure of a bench either, but is named."""
    path = os.path.join(files.folder, "within.jsonl")
    status, out, err = ringside("bench", "--engines=interp", "--runs=1000", "--reps=1", "--cycles=20000000", "--within=5", f"--out={path}", "nano/idle")
    rows = [r for r in lines_of(path) if r["type"] in ("failed", "skipped", "sample")]
    left = [r for r in rows if r["type"] == "skipped"]
    taken = [r for r in rows if r["type"] == "sample"]  # none where the host was too busy for a single one
    report(status == (OK if taken else UNAVAILABLE) and len(left) + len(taken) == 1000 and left and
           all("the whole run" in r["reason"] for r in left), "bench: what does not fit into --within is skipped, with the reason",
           f"{status} {len(left)} {len(taken)} {err[-200:]}")
    report(not taken or f"left out: {len(left)} rows" in out, "bench: and counted at the end", out[-200:])


def has_sample(path):
    if not os.path.exists(path):
        return False
    with open(path, encoding="utf-8") as file:
        return '"sample"' in file.read()


def bench_interrupted(files):
    path = os.path.join(files.folder, "cut.jsonl")
    process = subprocess.Popen([RINGSIDE, "bench", "--engines=native", "--runs=1000", f"--out={path}", "micro"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until = time.monotonic() + 60
    while time.monotonic() < until and not has_sample(path):
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    found = lines_of(path)
    report(process.returncode == INTERRUPTED and found[-1]["type"] == "end" and not found[-1]["complete"] and
           any(r["type"] == "sample" for r in found) and path.encode() in out,
           "bench: Ctrl-C keeps what was measured", f"{process.returncode} {err!r} {found[-1]}")


# ---- Help ----

def helps():
    texts = {}
    for command in ([], ["engines"], ["list"], ["run"], ["bench"], ["compare"], ["translate"], ["model"]):
        status, out, err = ringside(*command, "--help")
        texts[" ".join(command)] = out
        wide = [line for line in out.split("Exit status:")[0].splitlines() if len(line) > 100]
        report(not wide, f"help: {' '.join(command) or 'program'}: lines of at most 100", str(wide[:2]))
        report(status == OK and not err and "Exit status:" in out, f"help: {' '.join(command) or 'program'}", err)
    _, out, _ = ringside("engines", "--json")
    names = [e["name"] for e in json.loads(out)["engines"]]
    report(all(re.search(rf"^  {n} ", texts["run"], re.M) for n in names), "help: names every engine")
    table = re.findall(r"^  (\d+) +(\S+) +(.*)$", texts[""].split("Exit status:")[1], re.M)
    with open(os.path.join(ROOT, "docs", "cli.md"), encoding="utf-8") as file:
        page = file.read()
    rows = re.findall(r"^\| (\d+) \| (\S+) \| (.*) \|$", page, re.M)
    report(table == rows and len(rows) == len(DOCUMENTED), "docs/cli.md: exit statuses are those of --help",
           f"{set(table) ^ set(rows)}")
    options = {o for text in texts.values() for o in re.findall(r"^  (--[a-z-]+)", text, re.M)}
    missing = sorted(o for o in options if f"`{o}" not in page and f"[{o}]" not in page)
    report(not missing, "docs/cli.md: has every option", str(missing))


def main():
    if not os.access(RINGSIDE, os.X_OK):
        print(f"not ok no program {RINGSIDE}")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        files = Files(folder)
        bad_files(files)
        mutated(files)
        bad_options()
        host_lacks(files)
        for engine in [e["name"] for e in engines_here()]:
            bad_guests(files, engine)
            interrupted(files, engine)
            endless(engine)
            alone(files, engine)
            if engine == "bt":
                breakout(files)
        only_interp(files)
        bench(files)
        bench_unsupported(files)
        bench_within(files)
        bench_interrupted(files)
    helps()
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
