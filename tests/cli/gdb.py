#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`run --gdb`: a real gdb on a guest image (symbols, breakpoints, steps, registers, memory, Ctrl-C, to the end), and a
small client of our own for what gdb never does: wrong checksums, packets without end, going away."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from _report import exit_status, report

BUILD = os.environ.get("BUILD", "build")
RINGSIDE = os.environ.get("RINGSIDE", os.path.join(BUILD, "ringside"))
IMAGE = "build/images/micro/fib.elf"
SECONDS = 180  # for what hangs
OK, USAGE, UNAVAILABLE, TIMEOUT, INTERRUPTED = 0, 2, 3, 5, 130  # exit statuses
RIP = 16  # gdb's number


class Run:
    """The program, waiting for gdb; where it says that it waits."""

    def __init__(self, engine, *words, where="0", image=IMAGE, append="reps=1 cycles=1000"):
        self.process = subprocess.Popen([RINGSIDE, "run", f"--engine={engine}", f"--gdb={where}", f"--append={append}",
                                         *words, image], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        line = self.process.stderr.readline().decode()
        self.target = line.rsplit(" ", 1)[-1].strip()
        self.waits = "target remote" in line
        self.line = line

    def end(self):
        """(exit status, output, last words)"""
        try:
            out, err = self.process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
        return self.process.returncode, out.decode(errors="replace"), err.decode(errors="replace").strip()


class Client:
    """The protocol's side of gdb, as far as it goes here."""

    def __init__(self, target):
        if target.startswith("/"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(target)
        else:
            host, port = target.split(":")
            self.socket = socket.create_connection((host, int(port)))
        self.socket.settimeout(SECONDS)
        self.buffer = b""

    def send_raw(self, data):
        self.socket.sendall(data)

    def send(self, payload):
        data = payload if isinstance(payload, bytes) else payload.encode()
        self.send_raw(b"$" + data + b"#" + f"{sum(data) % 256:02x}".encode())

    def byte(self):
        if not self.buffer:
            self.buffer = self.socket.recv(65536)
        if not self.buffer:
            raise EOFError
        first, self.buffer = self.buffer[:1], self.buffer[1:]
        return first

    def acknowledgement(self):
        return self.byte().decode()

    def packet(self):
        """The next packet's payload; acknowledged."""
        while self.byte() != b"$":
            pass
        data, byte = b"", self.byte()
        while byte != b"#":
            data += bytes([self.byte()[0] ^ 0x20]) if byte == b"}" else byte
            byte = self.byte()
        self.byte(), self.byte()
        try:
            self.send_raw(b"+")
        except OSError:  # that was its last word
            pass
        return data.decode(errors="replace")

    def ask(self, payload):
        self.send(payload)
        return self.packet()

    def rip(self):
        return int.from_bytes(bytes.fromhex(self.ask(f"p{RIP:x}")), "little")


def symbol(name):
    for line in subprocess.run(["nm", IMAGE], capture_output=True, text=True).stdout.splitlines():
        address, _, found = line.split()
        if found == name:
            return int(address, 16)
    raise KeyError(name)


# ---- A real gdb ----

def gdb(target, *commands, interrupted=None):
    """What gdb says. interrupted: a Run whose guest prints once it has been let go on; then gdb gets a Ctrl-C."""
    # An answer that takes more than two seconds, as the monitor had to wait for a CPU, is a broken protocol to gdb by itself.
    words = ["gdb", "-nx", "-batch", "-ex", "set confirm off", "-ex", "set pagination off", "-ex", f"set remotetimeout {SECONDS}",
             "-ex", f"target remote {target}"]
    for command in commands:
        words += ["-ex", command]
    process = subprocess.Popen([*words, IMAGE], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    if interrupted:
        interrupted.process.stdout.readline()
        process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=SECONDS)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        process.kill()
        return "gdb did not end: " + process.communicate()[0].decode(errors="replace")


def has_all(engine, what, text, *pieces):
    missing = [piece for piece in pieces if piece not in text]
    report(not missing, f"{engine}: gdb: {what}", f"no {missing} in {text[-1500:]}")


def by_gdb(engine):
    run = Run(engine)
    text = gdb(run.target, "p $rip", "info symbol $rip", "break image_main", "continue", "bt 2", "stepi",
               "p $rip == (long)&image_main || $rip > (long)&image_main", "tbreak fib", "continue", "p $rdi",
               "x/1bx fib", "p $_siginfo", "set $rbx = 0x1234567887654321", "p/x $rbx", "p/x $mxcsr", "p/x $fctrl",
               "set $xmm3.v2_int64[1] = 0x55", "p $xmm3.v2_int64[1]", "info threads", "monitor help",
               "monitor walk 0", "finish", "delete", "continue")
    status, out, err = run.end()
    has_all(engine, "symbols, breakpoints, steps, registers, the end", text, "start64", "Breakpoint 1, image_main",
            "#1 ", "= 1", "fib (n=16)", "= 16", "0x1234567887654321", "0x1f80", "0x37f", "= 85", "vCPU 0",
            "counters", "is 0000000000000000, RAM", "Value returned is $", "exited normally")
    report(status == OK and "rs1 end name=fib status=0" in out, f"{engine}: gdb: the guest came to its end",
           f"{status} {err}")

    run = Run(engine)
    text = gdb(run.target, "break image_main", "continue", "set var *(long *)($rsp - 512) = 0x1122334455667788",
               "p/x *(long *)($rsp - 512)", "p/x *(long *)0xffff900000000000", "p/x *(int *)0xfee00020",
               "p/x *(char *)$rip", "kill")
    status, out, err = run.end()
    has_all(engine, "memory is read and written, but for what is none", text, "= 0x1122334455667788",
            "Cannot access memory at address 0xffff900000000000", "Cannot access memory at address 0xfee00020")
    report(status == INTERRUPTED and "ended by the debugger" in err, f"{engine}: gdb: kill ends the run",
           f"{status} {err}")

    run = Run(engine, append="reps=1000 cycles=4000000000")
    text = gdb(run.target, "continue", "p $rip != 0", "stepi", "detach", interrupted=run)
    run.process.send_signal(signal.SIGINT)
    status, out, err = run.end()
    has_all(engine, "Ctrl-C stops a running guest, detach lets it go", text, "SIGINT", "= 1", "detached")
    report(status == INTERRUPTED and err.endswith("interrupted"), f"{engine}: Ctrl-C ends a run without gdb",
           f"{status} {err}")


# ---- A client of our own ----

def steps(engine, count):
    run = Run(engine)
    client = Client(run.target)
    path = [client.rip()]
    for _ in range(count):
        stop = client.ask("vCont;s:1;c")
        if not stop.startswith("T05"):
            break
        path.append(client.rip())
    client.send("k")
    run.end()
    return path


def stops(engine):
    """Breakpoints are not in guest memory, stop before the instruction, and every time."""
    run, at = Run(engine), symbol("fib")
    client = Client(run.target)
    supported = client.ask("qSupported:swbreak+;multiprocess+")
    before = client.ask(f"m{at:x},10")
    results = [client.ask(f"Z0,{at:x},1"), client.ask(f"Z1,{at + 0x100000:x},1")]
    for _ in range(3):
        results += [client.ask("c")[:3], client.rip() == at, client.ask(f"m{at:x},10") == before]
    results += [client.ask("s")[:3], client.rip() != at, client.ask(f"z0,{at:x},1"), client.ask(f"Z2,{at:x},1"),
                client.ask("D")]
    status, out, err = run.end()
    report("PacketSize" in supported and results == ["OK", "OK"] + ["T05", True, True] * 3 +
           ["T05", True, "OK", "", "OK"] and status == OK and "status=0" in out,
           f"{engine}: breakpoints are not in guest memory and stop every time", f"{results} {status} {err}")


def code_written(engine):
    """Code that the debugger writes is what runs: image_main begins with cli and hlt now."""
    run, at = Run(engine), symbol("image_main")
    client = Client(run.target)
    results = [client.ask(f"Z0,{at:x},1"), client.ask("c")[:3], client.ask(f"X{at:x},2:".encode() + b"\xfa\xf4"),
               client.ask(f"z0,{at:x},1")]
    client.send("c")
    console, stop = client.packet(), client.packet()
    results += [bytes.fromhex(console[1:]).decode().strip(), stop[:3], client.rip() == at + 2, client.ask("c")]
    status, _, err = run.end()
    report(results == ["OK", "T05", "OK", "OK", "the guest halted with interrupts off", "T06", True, "W09"] and
           status == 9, f"{engine}: code that the debugger writes is what runs", f"{results} {status} {err}")


def broken(engine):
    """Nothing that a client sends is trusted."""
    run = Run(engine)
    client = Client(run.target)
    client.send_raw(b"noise$m0,4#00")
    results = [client.acknowledgement()]  # wrong checksum
    client.send_raw(b"$" + b"m" * 100000 + b"#00")
    results += [client.acknowledgement()]  # longer than PacketSize
    client.send_raw(b"$g#zz$g#6")
    results += [client.acknowledgement()]
    client.send_raw(b"7-")
    results += [client.acknowledgement(), client.packet() == client.packet()]  # sent again
    errors = ["m0,ffffffffffffffff", "m", "M0,8000:", "M0,4:00", "Xffffffff80100000,ffffffffffff:", "P10=00", "p1000",
              "Z0", "Zffff", "G00", "qXfer:features:read:target.xml:ffffff,10", "qRcmd,0", "vCont;x", "c0100000000000000",
              "P10=0000000000000080", "C", "M0,4:zzzzzzzz", "m80000000000000000000,4"]
    results += [client.ask(error)[:1] in ("E", "") for error in errors]
    results += [client.ask("vMustReplyEmpty"), client.ask("qC"), client.ask("?")[:3]]
    client.send_raw(b"\x03" * 10 + b"$k#6b")
    status, _, err = run.end()
    report(results == ["-", "-", "-", "+", True] + [True] * len(errors) + ["", "QC1", "T05"] and status == INTERRUPTED,
           f"{engine}: broken packets are refused, and the run goes on", f"{results} {status} {err}")


def until_its_limit(engine, act, **more):
    """What a client got and how the run ended by its time limit, which is longer where it came before the client did."""
    for limit in (1, 5, 25):
        run, got = Run(engine, f"--timeout={limit}", **more), None
        with contextlib.suppress(OSError, EOFError):
            client = Client(run.target)
            got = act(client)
        status, _, err = run.end()
        if got is not None:
            break
    return got, status, err


def going_away(engine):
    run = Run(engine)
    Client(run.target).socket.close()
    status, _, err = run.end()
    report(status == INTERRUPTED and "connection" in err, f"{engine}: a debugger that goes away ends the run",
           f"{status} {err}")

    run = Run(engine, append="reps=1000 cycles=4000000000")
    client = Client(run.target)
    client.send("c")
    client.acknowledgement()
    time.sleep(0.2)
    client.socket.close()
    status, _, err = run.end()
    report(status == INTERRUPTED and "connection" in err, f"{engine}: ... while the guest runs, too", f"{status} {err}")

    _, status, err = until_its_limit(engine, lambda client: client.ask("?"))
    report(status == TIMEOUT, f"{engine}: --timeout holds for a guest that is stopped", f"{status} {err}")

    last, status, err = until_its_limit(engine, lambda client: client.ask("c"), append="reps=1000 cycles=4000000000")
    report(status == TIMEOUT and last == "X0f", f"{engine}: ... and for one that runs", f"{status} {last} {err}")

    run = Run(engine)
    client = Client(run.target)
    client.ask("?")
    run.process.send_signal(signal.SIGINT)
    status, _, err = run.end()
    report(status == INTERRUPTED, f"{engine}: Ctrl-C ends a run whose guest is stopped", f"{status} {err}")

    run = Run(engine)
    run.process.send_signal(signal.SIGTERM)
    status, _, err = run.end()
    report(status == INTERRUPTED, f"{engine}: ... and one that waits for a debugger", f"{status} {err}")


def other_ways():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "gdb.socket")
        run = Run("interp", where=path)
        client = Client(path)
        answers = [client.ask("?")[:3], os.path.exists(path), client.ask("D")]
        status, out, _ = run.end()
        report(answers == ["T05", False, "OK"] and status == OK and "status=0" in out, "a local socket does as well",
               f"{answers} {status}")
        blocked = subprocess.run([RINGSIDE, "run", f"--gdb={folder}/none/there", IMAGE], capture_output=True)
        report(blocked.returncode == UNAVAILABLE, "no socket can be made: status 3", blocked.stderr)
    pipe = subprocess.Popen([RINGSIDE, "run", "--gdb=-", "--append=reps=1 cycles=1000", IMAGE], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = pipe.communicate(b"$?#3f$D#44", timeout=SECONDS)
    report(pipe.returncode == OK and b"$T05" in out and b"OK" in out and b"rs1 end name=fib" in err,
           "standard input and output do as well", f"{pipe.returncode} {out[-200:]}")
    for words in (["--gdb=nowhere"], ["--gdb=65536"], ["--gdb=-", "--json"], ["--gdb=-1"],
                  ["--gdb=0", "--engine=interp,bt", "--switch=1"]):
        status = subprocess.run([RINGSIDE, "run", *words, IMAGE], capture_output=True).returncode
        report(status == USAGE, f"{' '.join(words)} is a mistake", str(status))


def main():
    engines = ["interp"]
    for engine in ("bt", "vtx"):
        probe = subprocess.run([RINGSIDE, "run", f"--engine={engine}", "--timeout=30", "--append=reps=1 cycles=1000",
                                "nano/idle"], stdin=subprocess.DEVNULL, capture_output=True)
        if probe.returncode == UNAVAILABLE:
            print(f"skip {probe.stderr.decode(errors='replace').strip()}")
        else:
            engines.append(engine)
    software = [engine for engine in engines if engine != "vtx"]
    for engine in software:
        if shutil.which("gdb"):
            by_gdb(engine)
        else:
            print("skip gdb is not installed")
        code_written(engine)
        broken(engine)
        going_away(engine)
    for engine in engines:
        stops(engine)
    paths = {engine: steps(engine, 400) for engine in engines}
    for engine in engines[1:]:
        report(len(paths[engine]) == 401 and paths[engine] == paths["interp"],
               f"{engine}: 400 steps are interp's", f"{len(paths[engine])} steps")
    other_ways()
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
