#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the same images under QEMU (TCG), Bochs and Ringside's engines, and natively where there is a program, interleaved
in random order, and writes a results file and a table: `make bench-peers`.

All are timed in one way, by the host's clock: the guest prints `rs1 run` before each timed run and its next line right
after it, so that a run of n lasts from the one line's end to the other's first byte (Ringside hands on whole lines:
there, to its end). What a character costs drops out when the run of n is taken from the run of 2n. Bochs' TSC counts
instructions, so no guest clock would do for all; where the guest's TSC is real, the table says how well both agree."""
import argparse
import os
import pty
import random
import select
import shutil
import subprocess
import sys
import tempfile
import time

import entry
import new_results
import peers_table
import process
import results

RINGSIDE = "build/ringside"
NANO_NOT = ["ptemod_np2p", "ptemod_p2np"]  # the page table bounds their n: too short for the host's clock
PROCESS_SECONDS = 120
ONCE_SECONDS = 30  # an engine that would take longer for the paper's whole program is not asked
BOCHS_IPS = 60e6  # Bochs' TSC counts instructions; about what it does in a second, for calibration only


class Peer:
    """One thing that runs images. start(image, words) gives (process, file descriptor of the guest's serial line);
    can(suite/name) says whether it has that image."""

    def __init__(self, name, column, backend, version, tsc_hz, start, can=lambda image: True):
        self.name, self.column, self.backend, self.version = name, column, backend, version
        self.tsc_hz, self.start, self.can = tsc_hz, start, can

    def record(self):
        return {"type": "engine", "name": self.name, "available": True, "hardware": False, "backend": self.backend,
                "version": self.version, "column": self.column, "reason": "", "counts": []}


# ---- Starting each of them ----

def pinned(cpu):
    """Before exec: the whole process; None: it does so itself."""
    return None if cpu is None else lambda: os.sched_setaffinity(0, {cpu})


def start_piped(command, cpu, stdin=subprocess.DEVNULL):
    process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               preexec_fn=pinned(cpu))
    return process, process.stdout.fileno()


def ringside_starter(engine, cpu):
    """Pins its vCPU itself, and may have other things (a host process for user code) on other CPUs."""
    def start(image, words):
        return start_piped([RINGSIDE, "run", f"--engine={engine}", f"--cpu={cpu}", f"--timeout={PROCESS_SECONDS}",
                            f"--append={words}", image], None)
    return start


def native_program(image):
    """Of an image's path or name: where its native program is, if it has one."""
    return "build/native/" + image.removeprefix("build/images/").removesuffix(".elf")


def start_native(cpu):
    def start(image, words):
        return start_piped([native_program(image), f"cpu={cpu}", *words.split()], cpu)
    return start


def qemu_starter(cpu):
    def start(image, words):
        return start_piped(["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "128", "-nodefaults",
                            "-display", "none", "-no-reboot", "-serial", "stdio",
                            "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
                            "-kernel", image, "-append", words], cpu)
    return start


def bochs_starter(cpu, folder):
    """A CD for each image, made once. The serial line goes to a named pipe, the display to a terminal nobody sees."""
    def start(image, words):
        iso = os.path.join(folder, f"{image}-{words}.iso".replace("/", "_"))
        if not os.path.exists(iso):
            subprocess.run(["scripts/iso.sh", "-c", words, iso, image], check=True, stdout=subprocess.DEVNULL)
        serial, config, commands = (os.path.join(folder, name) for name in ("serial", "bochsrc", "commands"))
        if not os.path.exists(serial):
            os.mkfifo(serial)
        with open("scripts/bochsrc.in", encoding="utf-8") as file:
            text = file.read()
        with open(config, "w", encoding="utf-8") as file:
            file.write(text.replace("@ISO@", iso).replace("@SERIAL@", serial)
                       .replace("@LOG@", os.path.join(folder, "log")))
        with open(commands, "w", encoding="utf-8") as file:
            file.write("continue\n")  # Debian's Bochs starts in its debugger
        reader = os.open(serial, os.O_RDONLY | os.O_NONBLOCK)
        master, slave = pty.openpty()
        process = subprocess.Popen(["bochs", "-q", "-f", config, "-rc", commands], stdin=slave, stdout=slave,
                                   stderr=slave, preexec_fn=pinned(cpu), start_new_session=True,
                                   env=dict(os.environ, TERM="xterm"))
        os.close(slave)
        process.terminal = master
        return process, reader
    return start


def version_of(package):
    """Of a Debian package: Bochs has no option that prints its version."""
    done = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], capture_output=True, text=True)
    return f"{package} {done.stdout.strip() or 'of unknown version'}"


def all_peers(pilot, cpu, folder):
    hz = (pilot.machine.get("tsc_khz") or 2.5e6) * 1000
    found = [Peer(name, engine.get("column") or name, engine.get("backend"), "", hz, ringside_starter(name, cpu))
             for name, engine in pilot.engines.items() if engine.get("available") and name != "native"]
    if pilot.engines["bt"].get("available"):
        column = (pilot.engines["bt"].get("column") or "bt").removeprefix("bt")
        found += [Peer(name, name + column, "bt", "", hz, ringside_starter(name, cpu),
                       lambda image: process.of_processes(*image.split("/"))) for name in process.USER if name != "bt"]
    found.insert(0, Peer("native", "native", "host process", "", hz, start_native(cpu),
                         lambda image: os.path.exists(native_program(image))))
    if shutil.which("qemu-system-x86_64"):
        found.append(Peer("qemu-tcg", "QEMU TCG", "tcg", version_of("qemu-system-x86"), hz, qemu_starter(cpu)))
    if shutil.which("bochs"):
        found.append(Peer("bochs", "Bochs", "bochs", version_of("bochs"), BOCHS_IPS, bochs_starter(cpu, folder)))
    return found


# ---- Timing lines ----

def lines_with_times(process, fd, deadline):
    """(time of the first byte, time of the newline, text) of each line, in ns, until the output or the time ends."""
    line, first = b"", 0
    while time.monotonic() < deadline:
        ready, _, _ = select.select([fd] + terminal_of(process), [], [], 0.2)
        for other in terminal_of(process):
            if other in ready:
                drain(other)
        if fd not in ready:
            if process.poll() is not None:
                return
            continue
        data = os.read(fd, 4096)
        now = time.monotonic_ns()
        if not data:
            if process.poll() is not None or not terminal_of(process):
                return
            time.sleep(0.01)  # a named pipe that nobody writes to yet
            continue
        for byte in data:
            first = first if line else now
            if byte == 10:
                yield first, now, line.decode(errors="replace").strip()
                line = b""
            else:
                line += bytes([byte])


def terminal_of(process):
    terminal = getattr(process, "terminal", None)
    return [] if terminal is None else [terminal]


def drain(terminal):
    try:
        os.read(terminal, 65536)
    except OSError:  # the other end is closed
        pass


def measure(process, fd, deadline):
    """Follows a run to its `rs1 end` record: {name: sample fields}, and what went wrong or None."""
    found, spans, skipped, running = {}, {}, [], None
    for first, newline, text in lines_with_times(process, fd, deadline):
        if running:
            spans.setdefault(running[0], []).append((running[1], first - running[2]))
            running = None
        words = text.split(" ")
        if words[0] != "rs1" or len(words) < 2:
            continue
        fields = dict(word.split("=", 1) for word in words[2:] if "=" in word)
        if words[1] == "run":
            running = fields["name"], int(fields["n"]), newline
        elif words[1] == "warm":
            add_repetition(found, spans, fields)
        elif words[1] == "skip":
            skipped.append(text.partition("why=")[2])
        elif words[1] == "value" and fields["name"] in found:
            found[fields["name"]]["value"] = fields["value"]
        elif words[1] == "end":
            bad = None if fields.get("status") == "0" else f"the image ended with status {fields.get('status')}"
            return found, bad or (skipped[0] if skipped and not found else None)
    in_time = time.monotonic() < deadline
    return found, "ended without an `rs1 end` record" if in_time else "no `rs1 end` record in time"


def add_repetition(found, spans, fields):
    """Pairs the two spans before a `warm` record with it."""
    name, n = fields["name"], int(fields["n"])
    pair = spans.pop(name, [])
    if [count for count, _ in pair] != [n, 2 * n]:
        return
    sample = found.setdefault(name, {"n": n, "t1": [], "t2": [], "e1": [], "e2": [], "run_n_ns": [], "run_2n_ns": []})
    for key in ("t1", "t2", "e1", "e2"):
        sample[key].append(int(fields.get(key, 0)))
    sample["run_n_ns"].append(pair[0][1])
    sample["run_2n_ns"].append(pair[1][1])


def measure_once(process, fd, deadline):
    """Nanoseconds of a benchmark that runs once, from the end of its `begin` record to its `cold` record; or None."""
    begun, taken = None, None
    for first, newline, text in lines_with_times(process, fd, deadline):
        if text.startswith("rs1 begin "):
            begun = newline
        elif text.startswith("rs1 cold ") and begun:
            taken = first - begun
        elif text.startswith("rs1 end "):
            return taken if text.endswith(" status=0") else None
    return None


def run_one(peer, image, words, how=measure):
    process, fd = peer.start(image, words)
    try:
        return how(process, fd, time.monotonic() + PROCESS_SECONDS)
    finally:
        stop(process)
        if process.stdout is None:
            os.close(fd)
        for terminal in terminal_of(process):
            os.close(terminal)


def stop(process):
    """The image has printed its last line: the process gets a moment to end by itself."""
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


# ---- The run ----

def pilot_run(folder, images):
    """Machine description and instruction counts, from Ringside's own bench command."""
    out = os.path.join(folder, "pilot.jsonl")
    command = [RINGSIDE, "bench", "--runs=1", "--reps=1", "--cycles=20000", f"--out={out}", *images]
    done = subprocess.run(command, capture_output=True, text=True)
    if not os.path.exists(out):
        raise RuntimeError(f"`{' '.join(command)}` gave no results: {done.stderr.strip()[-200:]}")
    return results.load(out)[-1]


def instructions(pilot, suite, bench):
    counted = results.events(pilot, suite, bench, "interp") or {}
    total = counted.get("insns_kernel", 0) + counted.get("insns_user", 0)
    return total or None


def header_of(pilot, options, images):
    return dict(pilot.header, tool="peers", time=new_results.now(), command=sys.argv, seed=options.seed, quick=options.quick,
                runs=options.rounds, reps=options.reps, cpu=options.cpu, seconds=options.seconds, images=images)


def progress(done, total, start, what):
    left = (time.monotonic() - start) / done * (total - done) if done else 0
    text = f"[{done}/{total}] {left / 60:.0f}:{left % 60:02.0f} left  {what}" if done else f"[0/{total}] {what}"
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif done % 10 == 0:
        print(text, file=sys.stderr, flush=True)


def run_all(peers, images, options, write):
    jobs = [(peer, image, number) for peer in peers for image in images if peer.can(image)
            for number in range(options.rounds)]
    random.Random(options.seed).shuffle(jobs)
    start = time.monotonic()
    for order, (peer, image, number) in enumerate(jobs):
        progress(order, len(jobs), start, f"{image} on {peer.name}")
        suite, name = image.split("/")
        words = f"reps={options.reps} cycles={int(options.seconds * peer.tsc_hz)}"
        found, wrong = run_one(peer, f"build/images/{image}.elf", words)
        common = {"suite": suite, "image": name, "engine": peer.name, "process": number, "order": order}
        for bench, sample in found.items():
            write(dict(common, type="sample", bench=bench, **sample))
        if wrong or not found:
            write(dict(common, type="failed", bench=None, status=None, reason=wrong or "no timed run"))
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return time.monotonic() - start


def paper_program(peers, write, estimate):
    """forkwait as the paper ran it, all 40,000 at once, where that does not take too long. estimate: engine -> ns of one."""
    for peer in peers:
        ns = estimate(peer.name)
        if ns is None:
            continue
        taken = None
        if ns * process.FORKWAITS < ONCE_SECONDS * 1e9:
            taken = run_one(peer, "build/images/micro/forkwait.elf", f"count={process.FORKWAITS}", measure_once)
        write({"type": "once", "suite": "micro", "image": "forkwait", "engine": peer.name, "count": process.FORKWAITS,
               "ns": taken, "reason": None if taken else f"not run: over {ONCE_SECONDS} s" if
               ns * process.FORKWAITS >= ONCE_SECONDS * 1e9 else "did not end well"})


def parse(args):
    parser = argparse.ArgumentParser(description="The same images under QEMU, Bochs and Ringside, timed alike.")
    parser.add_argument("images", nargs="*", metavar="SUITE/NAME", help="default: all but what cannot be timed so")
    parser.add_argument("--quick", action="store_true", help="one short process each: a first look")
    parser.add_argument("--rounds", type=int, help="processes for each image and engine (default 2, quick 1)")
    parser.add_argument("--reps", type=int, help="repetitions in each process (default 2)", default=2)
    parser.add_argument("--seconds", type=float, help="what a timed run of n takes at least (default 0.06, quick 0.03)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32), help="of the random order")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)), help="the CPU that all run on")
    parser.add_argument("--out", help="results file; an existing one is appended to")
    options = parser.parse_args(args)
    options.rounds = options.rounds or (1 if options.quick else 2)
    options.seconds = options.seconds or (0.03 if options.quick else 0.06)
    return options


def default_images():
    return [f"{suite}/{name}" for suite, name in process.built() if name not in NANO_NOT + process.ONCE]


def keep_off(cpu):
    """This process reads the clock: not on the CPU that the guests run on, where there is another."""
    others = os.sched_getaffinity(0) - {cpu}
    if others:
        os.sched_setaffinity(0, others)


def main(args):
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    options = parse(args)
    images = options.images or default_images()
    with tempfile.TemporaryDirectory() as folder, new_results.NewResults("peers", options.out) as out:
        print(f"seed {options.seed}, CPU {options.cpu}, results in {out.path}", file=sys.stderr)
        pilot = pilot_run(folder, images)
        keep_off(options.cpu)
        peers = all_peers(pilot, options.cpu, folder)
        out.write(header_of(pilot, options, images))
        for peer in peers:
            out.write(peer.record())
        for (suite, name), image in pilot.images.items():
            counts = {b: instructions(pilot, suite, b) for i, b in pilot.benches(suite) if i == name}
            out.write(dict(image, instructions=counts))
        complete, seconds = False, 0
        try:
            seconds = run_all(peers, images, options, out.write)
            so_far = results.load(out.path)[-1]
            paper_program(peers, out.write, lambda name: peers_table.nanoseconds(so_far, "process", "forkwait", name))
            complete = True
        except KeyboardInterrupt:
            print("\ninterrupted: what was measured is kept", file=sys.stderr)
        out.write({"type": "end", "complete": complete, "seconds": seconds})
    run = results.load(out.path)[-1]
    text = "\n".join(peers_table.whole(run)) + "\n"
    with open(out.path.removesuffix(".jsonl") + ".md", "w", encoding="utf-8") as file:
        file.write(text)
    print(text)
    return 0 if complete else 130


if __name__ == "__main__":
    entry.run(main)
