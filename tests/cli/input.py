#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`run --input`: a guest that sends back what it gets, on every engine, with a pipe, a file and a terminal (a pty) at the other
end; what ends a run, and that the terminal is then as it was."""
import contextlib
import fcntl
import json
import os
import pty
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time

from _processes import adopt_orphans, children, orphans, wait_until
from _report import exit_status, report

BUILD = os.environ.get("BUILD", "build")
RINGSIDE = os.environ.get("RINGSIDE", os.path.join(BUILD, "ringside"))
IMAGE = "build/images/test/echo.elf"
SECONDS = 120  # for what hangs
OK, USAGE, UNAVAILABLE, TIMEOUT, HALTED, INTERRUPTED = 0, 2, 3, 5, 9, 130  # exit statuses
CTRL_A, CTRL_D, CTRL_X = b"\x01", b"\x04", b"\x18"


def command(engine, how, *words, source="-"):
    return [RINGSIDE, "run", f"--engine={engine}", f"--input={source}", f"--append=how={how}", *words, IMAGE]


def some_bytes(count, seed):
    """All values but that of Ctrl-D, with which the guest ends."""
    values = [value for value in range(256) if bytes([value]) != CTRL_D]
    return bytes(random.Random(seed).choices(values, k=count))


def echoed(out):
    """What the guest has sent back, without the words around it."""
    return out.partition(b"ready\n")[2].rpartition(b"over\n")[0]


# ---- A pipe, a file ----

def read_until(stream, text):
    got = b""
    while not got.endswith(text):
        byte = stream.read(1)
        if not byte:
            return got
        got += byte
    return got


def fed(engine, how, *words, count):
    """Everything comes, in order, once; the guest has seen no overrun. It is not before the guest is ready, which takes the
    FIFO off in between."""
    sent = some_bytes(count, how)
    process = subprocess.Popen(command(engine, how, f"--timeout={SECONDS}", *words), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    head = read_until(process.stdout, b"ready\n")
    out, err = process.communicate(sent + CTRL_D)
    got = echoed(head + out)
    return report(process.returncode == OK and got == sent + CTRL_D and b" ok=0 " not in out, f"{engine}: {how}: {count} bytes come as sent",
                  f"status {process.returncode}, {len(got)} bytes, {err.decode(errors='replace')}, {out[-300:]}")


def early(engine):
    """What is there before the guest has begun waits for it; what stands behind its last byte is nobody's."""
    sent = some_bytes(100, "early")
    done = subprocess.run(command(engine, "interrupt", f"--timeout={SECONDS}"), input=sent + CTRL_D + b"tail", capture_output=True)
    report(done.returncode == OK and echoed(done.stdout) == sent + CTRL_D, f"{engine}: input that is there first waits for the guest",
           f"{done.returncode} {echoed(done.stdout)[:200]} {done.stderr}")


def from_file():
    with tempfile.TemporaryFile() as file:
        file.write(b"not this, but this" + CTRL_D)
        file.flush()
        file.seek(len(b"not this, "))
        done = subprocess.run(command("interp", "poll"), stdin=file, capture_output=True)
    report(done.returncode == OK and echoed(done.stdout) == b"but this" + CTRL_D, "a file is read from where it stands",
           f"{done.returncode} {done.stdout} {done.stderr}")


def asleep(engine):
    """A guest that waits in hlt costs nothing, is woken by a byte, and ends where none can come any more."""
    process = subprocess.Popen(command(engine, "interrupt", "--timeout=6" if engine == "vtx" else f"--timeout={SECONDS}"),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
    read_until(process.stdout, b"ready\n")

    def used():
        with open(f"/proc/{process.pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = used()
    time.sleep(1)
    cost = used() - before
    process.stdin.write(b"a")
    answer = process.stdout.read(1)
    process.stdin.close()
    status = process.wait()
    process.stdout.close()
    report(cost < 0.2, f"{engine}: a guest that sleeps takes no CPU time", f"{cost} s of one")
    report(answer == b"a", f"{engine}: ... and a byte wakes it", str(answer))
    # Controllers in the kernel tell nobody that a halted guest can get no interrupt any more: the time limit ends it.
    report(status == (TIMEOUT if engine == "vtx" else HALTED), f"{engine}: ... until the input has ended", str(status))


def deaf(engine):
    """Input does not keep a guest that cannot be woken by it."""
    for how in ("deaf", "asleep") if engine != "vtx" else ("deaf",):
        process = subprocess.Popen(command(engine, how, f"--timeout={SECONDS}"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(b"typed")
            process.stdin.flush()
        status = process.wait()
        err = process.stderr.read()
        report(status == HALTED and b"halted for good" in err, f"{engine}: {how}: halted for good, and input changes nothing", f"{status} {err}")
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


def not_asked_for():
    """Without the option nothing is read."""
    reader, writer = os.pipe()
    os.write(writer, b"mine")
    for words in ([], ["--input=none"]):
        done = subprocess.run([RINGSIDE, "run", *words, "--timeout=0.5", "--append=how=poll", IMAGE], stdin=reader, capture_output=True)
        report(done.returncode == TIMEOUT and echoed(done.stdout + b"over\n") == b"", f"{words or 'no option'}: the guest gets nothing",
               f"{done.returncode} {done.stdout}")
    report(select.select([reader], [], [], 0)[0] and os.read(reader, 100) == b"mine", "... and nothing has been read")
    os.close(reader)
    os.close(writer)


# ---- With other options ----

def with_json():
    done = subprocess.run(command("interp", "poll", "--json"), input=b"abc" + CTRL_D, capture_output=True)
    values = json.loads(done.stdout)
    report(done.returncode == OK and values["result"] == "ok", "--json: one object", f"{done.returncode} {values}")


def with_gdb(engine):
    """A stopped guest gets nothing; then all of it. The debugger has the connection, the guest standard input."""
    sent = some_bytes(1000, "gdb")
    process = subprocess.Popen(command(engine, "interrupt", "--gdb=0"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               bufsize=0)
    port = int(process.stderr.readline().rsplit(b":", 1)[1])
    client = socket.create_connection(("127.0.0.1", port))
    client.settimeout(SECONDS)
    process.stdin.write(sent[:500])
    time.sleep(0.2)
    unread = select.select([process.stdout], [], [], 0)[0]
    client.sendall(b"$c#63")
    head = read_until(process.stdout, b"ready\n") + process.stdout.read(200)
    client.sendall(b"\x03")  # stops it, wherever it is
    stop = b""
    while b"#" not in stop[2:]:
        stop += client.recv(4096)
    process.stdin.write(sent[500:] + CTRL_D)
    client.sendall(b"+$c#63")
    out, err = process.communicate()
    client.close()
    report(not unread and b"$T02" in stop and process.returncode == OK and echoed(head + out) == sent + CTRL_D,
           f"{engine}: under gdb the guest gets its input while it runs", f"{unread} {stop} {process.returncode} {err}")


def mistakes():
    for words, status, text in [(["--input=nowhere"], USAGE, "--input=nowhere"), (["--input="], USAGE, "--input="),
                                (["--input=tty", "--json"], USAGE, "--json"), (["--input=-", "--gdb=-"], USAGE, "--gdb=-"),
                                (["--input=tty"], UNAVAILABLE, "no terminal")]:
        done = subprocess.run([RINGSIDE, "run", *words, IMAGE], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        report(done.returncode == status and text in done.stderr and done.stderr.count("\n") == 1, f"{' '.join(words)}: status {status}",
               f"{done.returncode} {done.stderr}")
    done = subprocess.run(["bash", "-c", f"exec {RINGSIDE} run --input=- {IMAGE} <&-"], capture_output=True, text=True)
    report(done.returncode == UNAVAILABLE and "standard input" in done.stderr, "--input=- without standard input: status 3", done.stderr)


# ---- A terminal ----

class Terminal:
    """A run at a terminal that is its own, or that it only has (front=False)."""

    def __init__(self, engine, how, *words, front=True):
        self.ours, self.theirs = pty.openpty()
        self.before = termios.tcgetattr(self.theirs)

        def take():
            os.setsid()
            if front:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(command(engine, how, *words, source="tty"), stdin=self.theirs, stdout=self.theirs, stderr=self.theirs,
                                        preexec_fn=take)
        self.seen = b""
        self.reads("ready\r\n")

    def type(self, keys):
        os.write(self.ours, keys)

    def reads(self, text, seconds=SECONDS):
        """Whether a text appears; what comes up to its end is gone from `seen`."""
        text = text if isinstance(text, bytes) else text.encode()
        until = time.monotonic() + seconds
        while text not in self.seen and time.monotonic() < until and select.select([self.ours], [], [], until - time.monotonic())[0]:
            self.seen += os.read(self.ours, 65536)
        found, self.seen = text in self.seen, self.seen.partition(text)[2] if text in self.seen else self.seen
        return found

    def is_raw(self):
        return not termios.tcgetattr(self.theirs)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def monitor(self):
        return children(self.process.pid)[0]

    def end(self):
        """(exit status, whether the terminal is as it was)"""
        status = None
        until = time.monotonic() + SECONDS
        while status is None and time.monotonic() < until:
            if select.select([self.ours], [], [], 0.05)[0]:
                self.seen += os.read(self.ours, 65536)
            status = self.process.poll()
        if status is None:
            self.process.kill()
            self.process.wait()
        restored = termios.tcgetattr(self.theirs) == self.before
        os.close(self.ours)
        os.close(self.theirs)
        return status, restored


def typed(engine):
    """Every key is the guest's, but Ctrl-A; the guest's end is the run's."""
    terminal = Terminal(engine, "interrupt", front=engine != "interp")
    raw = terminal.is_raw()
    keys = b"ls\r\x03\x1a\x1c\x11\x13\x7f\xc3\xa4"  # Ctrl-C, Ctrl-Z, Ctrl-\, Ctrl-Q, Ctrl-S, backspace, an umlaut
    terminal.type(keys)
    report(terminal.reads(keys) and raw, f"{engine}: at a terminal Ctrl-C and all other keys go to the guest", f"{raw} {terminal.seen}")
    terminal.type(b"a" + CTRL_A + CTRL_A + b"b" + CTRL_A + b"q" + b"c")
    report(terminal.reads(b"a\x01bc"), f"{engine}: Ctrl-A Ctrl-A is Ctrl-A, and another key after Ctrl-A nothing", str(terminal.seen))
    terminal.type(CTRL_A + b"h")
    report(terminal.reads("send Ctrl-A to the guest\r\n"), f"{engine}: Ctrl-A h lists the keys", str(terminal.seen))
    terminal.type(CTRL_D)
    status, restored = terminal.end()
    report(status == OK and restored, f"{engine}: the guest's end is the run's, and the terminal is as it was", f"{status} {restored}")


def ended(engine):
    """Whatever ends a run, the terminal is as it was."""
    adopt_orphans()
    known = set(children(os.getpid()))

    def ends(what, how, act, expected, *words):
        terminal = Terminal(engine, how, *words)
        raw = terminal.is_raw()
        act(terminal)
        status, restored = terminal.end()
        left = orphans(known)
        report(raw and status == expected and restored and not left, f"{engine}: {what}: the terminal is as it was",
               f"raw {raw}, status {status}, restored {restored}, left {left}, {terminal.seen[-300:]}")

    ends("Ctrl-A x", "interrupt", lambda t: t.type(CTRL_A + b"x"), INTERRUPTED)
    ends("Ctrl-A Ctrl-X, with more typed than anybody takes", "ignore",
         lambda t: [t.type(b"x" * 4000) for _ in range(600)] + [t.type(CTRL_A + CTRL_X)], INTERRUPTED)
    ends("the time limit", "ignore", lambda t: None, TIMEOUT, "--timeout=2")
    ends("SIGTERM", "interrupt", lambda t: t.process.terminate(), INTERRUPTED)
    ends("SIGHUP", "ignore", lambda t: t.process.send_signal(signal.SIGHUP), INTERRUPTED)
    ends("SIGTERM to the monitor", "ignore", lambda t: os.kill(t.monitor(), signal.SIGTERM), INTERRUPTED)
    ends("SIGKILL to the monitor", "ignore", lambda t: os.kill(t.monitor(), signal.SIGKILL), -signal.SIGKILL)
    ends("SIGABRT to the monitor", "ignore", lambda t: os.kill(t.monitor(), signal.SIGABRT), -signal.SIGABRT)

    def twice(terminal):
        monitor = terminal.monitor()
        os.kill(monitor, signal.SIGSTOP)  # as one that does not end when it is asked
        terminal.type(CTRL_A + b"x" + CTRL_A + b"x")

    ends("Ctrl-A x twice, where once is not enough", "interrupt", twice, INTERRUPTED)


def abandoned(engine):
    """SIGKILL to the process that has the terminal leaves that as it is, but no monitor behind."""
    known = set(children(os.getpid()))
    terminal = Terminal(engine, "ignore")
    terminal.process.kill()
    status, restored = terminal.end()
    left = orphans(known)
    report(status == -signal.SIGKILL and not restored and not left, f"{engine}: SIGKILL leaves the terminal raw, and no process",
           f"{status} {restored} {left}")


def resumed():
    """Stopped and continued, as by a shell that has set the terminal for itself meanwhile."""
    terminal = Terminal("interp", "interrupt")
    terminal.process.send_signal(signal.SIGSTOP)
    termios.tcsetattr(terminal.theirs, termios.TCSANOW, terminal.before)
    terminal.process.send_signal(signal.SIGCONT)
    raw = wait_until(terminal.is_raw)
    terminal.type(b"z\x03" + CTRL_D)
    answered = terminal.reads(b"z\x03")
    status, restored = terminal.end()
    report(raw and answered and status == OK and restored, "a run that is stopped and continued has its terminal again",
           f"{raw} {answered} {status} {restored}")


def missing(engine):
    done = subprocess.run([RINGSIDE, "run", f"--engine={engine}", "--timeout=30", "--append=reps=1 cycles=1000", "nano/idle"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode == UNAVAILABLE:
        print(f"skip {done.stderr.strip()}")
    return done.returncode == UNAVAILABLE


def main():
    engines = [engine for engine in ("interp", "bt", "vtx", "vtx:irqchip=user") if not missing(engine)]
    for engine in engines:
        hardware = engine.startswith("vtx")
        count = 300 if hardware else 3000  # a software back end of /dev/kvm takes its time
        for how in ("poll", "interrupt", "poll fifo=0", "interrupt fifo=0", "poll modem=0", "poll pause=300000"):
            fed(engine, how, count=count // 10 if "pause" in how or hardware and "fifo" in how else count)
        early(engine)
        asleep(engine)
        deaf(engine)
        typed(engine)
        ended(engine)
        with_gdb(engine)
    abandoned(engines[-1])
    if "bt" in engines:
        fed("interp,bt", "interrupt", "--switch=0.02", count=3000)
        fed("interp,bt", "poll", "--switch=0.02", count=3000)
    if "bt" in engines and "vtx:irqchip=user" in engines:
        fed("bt,vtx", "interrupt", "--switch=0.02", count=1000)
    from_file()
    not_asked_for()
    with_json()
    mistakes()
    resumed()
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
