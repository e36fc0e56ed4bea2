#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Debian's kernel with a shell on an engine: `make linux ENGINE=bt`, `scripts/linux_shell.py [ENGINE [OPTION...]]`. At a terminal
every key goes to the guest, and Ctrl-A x ends the run; else standard input is what the shell reads. OPTIONs are those of
`ringside run`."""
import os
import sys

import debian_kernel
import entry
import initramfs
import linux_guest
import peers

INITRD = "build/linux/shell-initrd"
FOLDERS = ("dev", "proc", "sys", "tmp")


def write_initrd(kernel):
    files = {"init": "guest/linux/shell.sh", "bin/busybox": kernel.busybox, "bin/end": "build/linux/init"}
    files |= {f"{folder}/.keep": os.devnull for folder in FOLDERS}
    initramfs.write(INITRD, files | {f"native/{name}": f"build/native/{name}" for name in linux_guest.programs()})


def main(words):
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    kernel = debian_kernel.Kernel()
    write_initrd(kernel)
    come_from = "tty" if sys.stdin.isatty() and sys.stdout.isatty() else "-"
    os.execv(peers.RINGSIDE, [peers.RINGSIDE, "run", f"--engine={words[0] if words else 'bt'}", f"--input={come_from}", "--ram=256M",
                              f"--initrd={INITRD}", f"--append={linux_guest.WORDS}", *words[1:], kernel.image])


if __name__ == "__main__":
    entry.run(main, __doc__, debian_kernel.Unavailable)
