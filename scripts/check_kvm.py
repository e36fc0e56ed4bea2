#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Engine vtx on the real kvm_amd (SVM) or kvm_intel (VT-x), on a machine that need have neither: its unit tests and all
images in an emulated machine (kvm_machine.py), with nested paging and with shadow paging. `make check-kvm-amd`,
`make check-kvm-intel`. For correctness and counts: times mean nothing here.

The matrix may be seen in pieces (--only, --paging, Ctrl-C): what came of each image, with exits by reason and KVM's own
statistics, is a line in build/kvm (kvm_matrix.py), and what has been seen of these very bytes is not run again. A check that
the emulated CPU or KVM is known to fail (tests/limits) is no failure; the line of one that is not seen any more is."""
import argparse
import glob
import os
import sys
import time

import debian_kernel
import kvm_machine
import kvm_matrix
import linux_guest
import test

UNIT_TESTS = {"unit/vtx": "vtx", "unit/vtx_irqchip": "vtx_irqchip", "unit/move": "move vtx"}
# A guest that moves between engines in mid-run: image, engines, command line.
SWITCHED = [("micro/forkwait", "interp,vtx", "reps=1 cycles=4000000"), ("bantam/fork", "interp,vtx", ""),
            ("bantam/signals", "vtx,interp", ""), ("bantam/preempt", "interp,vtx", ""),
            ("test/preempt", "interp,vtx", ""), ("test/apic", "interp,vtx", ""), ("test/pit", "vtx,interp", "")]
PROGRAMS = ["build/ringside", "build/tests/vtx", "build/tests/vtx_irqchip", "build/tests/move"]
# Debian's kernel on engine vtx, in the machine that it runs itself: programs of its first process that every CPU here bears.
LINUX = "linux/debian"
LINUX_MACHINES = ("amd",)  # in Bochs it has not come to its end within ten minutes of emulation
LINUX_PROGRAMS = "bantam/first,bantam/fork,bantam/signals,bantam/memory,bantam/pipes,micro/forkwait"
# Translated a thousand times over, the page that this one writes its code to costs QEMU a third of a second for every byte
# that whoever gets the page next stores there.
LAST = ["test/abuse_code"]
HANG_SECONDS = 5  # by the machine's clock, for an image that is known to hang with one way of paging or the other
ENGINES = ("engines", "ringside engines --json")


# ---- What to run ----

def image_command(path, limits, known):
    name = test.image_name(path)
    seconds = HANG_SECONDS if (name.split("/")[-1], "hang") in known else limits.guest
    is_test = name.startswith(("test/", "bantam/"))
    words = f" --append='{test.SHORT}'" if not is_test else ""
    return name, f"ringside run --engine=vtx --json --timeout={seconds}{words} /images/{name}.elf"


def switch_command(image, engines, words, limits):
    return image + kvm_matrix.SWITCHED, (f"ringside run --engine={engines} --switch={limits.turn} --json --timeout={limits.guest} "
                                         f"--append='{words}' /images/{image}.elf")


def linux_command(kernel, limits):
    words = f"{linux_guest.WORDS} -- run={LINUX_PROGRAMS} {test.SHORT}"
    return LINUX, (f"ringside run --engine=vtx --json --timeout={limits.guest} --initrd=/others/initrd --append='{words}' "
                   f"/others/{os.path.basename(kernel)}")


def all_items(images, limits, known, kernel=None):
    """(name, command) of all that there is to run; known: limits of tests/limits."""
    commands = [image_command(path, limits, known) for path in images]
    names = {name for name, _ in commands}
    commands += [switch_command(*row, limits) for row in SWITCHED if row[0] in names]
    commands += [linux_command(kernel, limits)] if kernel else []
    return list(UNIT_TESTS.items()) + sorted(commands, key=lambda item: item[0] in LAST)


def time_left(seconds, done, left):
    """By what those took that are done."""
    minutes = round(seconds / done * left / 60) if done else 0
    return f"some {minutes // 60} h {minutes % 60:02} min left" if done else "?"


def run_items(cell, items, images, root, verbose):
    """Runs items of a cell; every result becomes a record of it at once."""
    start, done = time.monotonic(), 0
    limits = kvm_matrix.limits_of(cell.machine)

    def take(result):
        nonlocal done
        if result.name == ENGINES[0]:
            kvm_matrix.must_be_hardware(cell, result)
            return
        verdict, lines = kvm_matrix.judged(cell.add(result), cell.machine, limits)
        done += 1
        if verdict != "passed":
            for line in lines:
                print(f"{verdict:5} {result.name}: {line}", flush=True)
        if verbose or done % 10 == 0:
            seconds = time.monotonic() - start
            print(f"  [{cell.seen()}/{len(cell.items)}] {seconds:.0f} s: {result.name}; "
                  f"{time_left(seconds, done, len(items) - done)}", flush=True)
    kvm_machine.run(cell.machine, cell.nested, [ENGINES, *items], take, root)


def boots_of(items):
    """Items that share boots, and the kernel by itself: QEMU keeps what it has translated of pages that others have had, and every
    store of the kernel to one of them would cost it."""
    shared, alone = [i for i in items if i[0] != LINUX], [i for i in items if i[0] == LINUX]
    return [batch for batch in (shared, alone) if batch]


def check(cell, options, images, root):
    """Runs what is left of one cell of the matrix, and says what is known of all of it."""
    wanted = [item for item in cell.items if options.only in item[0]]
    left = [item for item in wanted if options.again or item[0] not in cell.records]
    print(f"{cell.title} in {cell.machine.what}: {cell.seen()} of {len(cell.items)} seen, {len(left)} to run", flush=True)
    for batch in boots_of(left) if not options.known else []:
        run_items(cell, batch, images, root, options.verbose)


def parse(args):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("machine", choices=kvm_machine.MACHINES)
    parser.add_argument("--paging", choices=("nested", "shadow", "both"), default="both")
    parser.add_argument("--only", default="", metavar="TEXT", help="run only what has TEXT in its name")
    parser.add_argument("--again", action="store_true", help="run also what has been seen")
    parser.add_argument("--known", action="store_true", help="run nothing: only say what is known")
    parser.add_argument("--verbose", action="store_true", help="a line for each item, and at the end for each limit and skip")
    return parser.parse_args(args)


def check_all(machine, options):
    """The cells that were asked for, one after the other. True where something failed."""
    images = sorted(glob.glob("build/images/**/*.elf", recursive=True))
    root = kvm_machine.Root(machine, PROGRAMS, images, [linux_guest.INITRD])
    kernel = root.kernel.image if machine.name in LINUX_MACHINES else None
    items = all_items(images, machine.limits, kvm_matrix.limits_of(machine), kernel)
    cells = {nested: kvm_matrix.Cell(machine, nested, items, root) for nested in (True, False)}
    wrong = []
    for nested in {"nested": [True], "shadow": [False], "both": [True, False]}[options.paging]:
        try:
            check(cells[nested], options, images, root)
        except RuntimeError as error:
            wrong.append(f"{cells[nested].title}: {error}")
            print(f"FAIL {wrong[-1]}", flush=True)
    wrong += kvm_matrix.report(list(cells.values()), options.verbose)
    for line in wrong:
        print(f"FAIL {line}", flush=True)
    print(kvm_matrix.summary(machine, list(cells.values())), flush=True)
    return bool(wrong)


def main(args):
    options = parse(args)
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    machine = kvm_machine.MACHINES[options.machine]
    try:
        return 1 if check_all(machine, options) else 0
    except debian_kernel.Unavailable as reason:
        print(f"skip {machine.module}: {reason}", flush=True)
        return 0


if __name__ == "__main__":
    kvm_machine.end_on_signals()
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on from here", file=sys.stderr)
        sys.exit(130)
