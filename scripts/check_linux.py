#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Debian's kernel, as Debian ships it, as the guest: `make check-linux`. On each engine, and each way of running it, it boots
to its first process (guest/linux/init.c), which runs the programs of the guest Unix, tests and benchmarks; all their checks
must hold, as they do on the host's own Linux. What is typed to the kernel's driver of the serial line has to reach a program, from the
first byte on, though it is there before the kernel is. linux.py measures."""
import argparse
import os
import random
import re
import subprocess
import sys
import tempfile

import debian_kernel
import linux_guest

WAYS = ["interp", "bt", "bt:checked", "bt:mmu=trace", "bt:user=direct", "bt:user=translated", "interp,bt", "vtx", linux_guest.PEER]
SHORT = "reps=1 cycles=1000"
TYPED_LINES = 60  # less than what the kernel keeps of a terminal's lines for whoever will read them


def typed_text():
    random_letters = random.Random(1)
    return b"".join(bytes(random_letters.choices(range(ord("a"), ord("z") + 1), k=50)) + b"\n" for _ in range(TYPED_LINES))


def fnv1a(text):
    hash_ = 0xcbf29ce484222325
    for byte in text:
        hash_ = (hash_ ^ byte) * 0x100000001b3 % 2**64
    return hash_


def takes_input(way):
    """On the engines as they are: how bt translates makes no difference to a device. QEMU feeds the UART before there is a driver."""
    return ":" not in way and way != linux_guest.PEER


def check_input(way, guest):
    """A boot of its own, as the kernel's echo gets between the lines that others look for. True where something is wrong."""
    text = typed_text()
    with tempfile.TemporaryFile() as typed:
        typed.write(text)
        typed.seek(0)
        done = guest.boot(way, f"typed={len(text)}", typed)
    got = [int(found[1]) for line in done.lines if (found := re.search("rs1 value name=typed value=([0-9]+)", line))]
    well = got == [fnv1a(text)]
    print(f"{'ok   ' if well else 'FAIL '} {way:20} {len(text)} bytes typed" + ("" if well else f", but hash {got}: {done.lines[-1:]}"), flush=True)
    return not well


def check(way, guest, names):
    """True where something is wrong. One line for each way."""
    boot = guest.boot(way, f"run={','.join(names)} {SHORT}")
    wrong = boot.wrong(way)
    if wrong:
        print(f"FAIL  {way}: {boot.held} checks hold, but: {'; '.join(wrong)}", flush=True)
        return True
    others = f", {len(boot.failed)} do not" if boot.failed else ""
    print(f"ok    {way:20} {boot.init_ns / 1e9:6.2f} s to the first process, {boot.wall_ns / 1e9:7.2f} s with {len(names)} programs; "
          f"{boot.held} checks hold{others}", flush=True)
    return False


def parse(args):
    parser = argparse.ArgumentParser(description="Boots Debian's kernel on every engine, and runs the guest Unix's programs on it.")
    parser.add_argument("--engines", default=" ".join(WAYS), help="ways to run it, by spaces (default: all)")
    parser.add_argument("--kernel", help="another kernel's file (default: Debian's cloud kernel, fetched)")
    parser.add_argument("--words", default=linux_guest.WORDS, help=f"for the kernel (default: {linux_guest.WORDS})")
    parser.add_argument("--only", default="", metavar="TEXT", help="programs with TEXT in their names; '-': none")
    parser.add_argument("--seconds", type=int, default=300, help="for each boot (default 300)")
    return parser.parse_args(args)


def main(args):
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    options = parse(args)
    guest = linux_guest.Guest(options.kernel or debian_kernel.Kernel().image, options.words, seconds=options.seconds)
    names = [name for name in linux_guest.programs() if options.only in name]
    if not names and options.only != "-":
        raise ValueError(f"no program has '{options.only}' in its name")
    print(f"{os.path.basename(guest.kernel)} with '{guest.words}'", flush=True)
    wrong = 0
    for way in options.engines.split():
        reason = linux_guest.reason_against(way)
        if reason:
            print(f"skip  {way}: {reason}", flush=True)
        else:
            wrong += check(way, guest, names)
            wrong += takes_input(way) and check_input(way, guest)
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except debian_kernel.Unavailable as reason:
        print(f"skip  Debian's kernel: {reason}")
    except (OSError, ValueError, RuntimeError, subprocess.SubprocessError) as error:
        print(f"check_linux: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
