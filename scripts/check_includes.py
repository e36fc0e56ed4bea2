#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Checks that includes go down only: include -> C headers; x86 and machine -> include; engines -> include, x86;
model -> include; run -> include, x86, machine, model; guest and bench -> the guest ABI and guest. Prints one line per violation."""
import re

import entry

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.M)

# Folder -> what a file in it may include: a folder (ending in /) or one header. A folder may always include itself.
ALLOWED = {
    "include/": [],
    "x86/": ["include/"],
    "machine/": ["include/", "x86/"],
    "engines/": ["include/", "x86/"],
    "run/": ["include/", "x86/", "machine/", "model/"],
    "guest/": ["include/guest_abi.h", "x86/regs.h"],
    "bench/": ["include/guest_abi.h", "x86/regs.h", "guest/"],
    "tests/bantam/": ["include/guest_abi.h", "guest/"],
    "tests/guest/": ["include/guest_abi.h", "x86/regs.h", "guest/"],
    "tests/": ["include/", "x86/", "machine/", "engines/", "model/", "run/", "tests/", "guest/bantam/elf.h"],
    "model/": ["include/"],
    "scripts/": [],  # programs of the host that a script builds
}

# What a freestanding compiler provides: all that an image may use of the C library.
FREESTANDING = {"stdint.h", "stddef.h", "stdbool.h", "stdarg.h", "limits.h", "stdatomic.h", "stdalign.h"}
IMAGE_FOLDERS = ("guest/", "bench/", "tests/bantam/", "tests/guest/")
HOSTED = {"guest/native.h"}  # makes a bench file a host program


def home(path):
    """The folder whose rule holds for a file: each engine is a folder of its own."""
    parts = path.split("/")
    if parts[0] == "engines" and len(parts) > 2:
        return "/".join(parts[:2]) + "/"
    if path.startswith(("tests/bantam/", "tests/guest/")):
        return "/".join(parts[:2]) + "/"
    return parts[0] + "/"


def rule(folder):
    return ALLOWED.get("engines/" if folder.startswith("engines/") else folder)


def violations(path, text):
    """All that is wrong with the includes of one file, as lines without the path."""
    folder = home(path)
    allowed = rule(folder)
    if allowed is None:
        return [f"is in {folder}, a folder without an include rule"]
    found = []
    for match in INCLUDE.finditer(text):
        own, system = match.groups()
        where = f"line {text.count(chr(10), 0, match.start()) + 1}: "
        if own:
            if "/" not in own or own.startswith("."):
                found.append(f'{where}"{own}" is not a path from the root')
            elif not any(own == a or a.endswith("/") and own.startswith(a) for a in allowed + [folder]):
                found.append(f'{where}{folder} may not include "{own}"')
        else:
            if system == "linux/kvm.h" and folder != "engines/vtx/":
                found.append(f"{where}only engines/vtx/ may include <linux/kvm.h>")
            if folder in IMAGE_FOLDERS and path not in HOSTED and system not in FREESTANDING:
                found.append(f"{where}an image has no C library, but includes <{system}>")
    return found


def main(paths):
    bad = 0
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for line in violations(path, file.read()):
                print(f"{path}: {line}")
                bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    entry.run(main, __doc__)
