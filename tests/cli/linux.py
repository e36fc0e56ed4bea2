#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Linux kernels as images: a file of a few instructions behind a kernel's header looks at what it was given, on every engine;
what is wrong with a file is one line. Where a kernel of Debian's is at hand, it boots on the interpreter."""
import glob
import json
import os
import struct
import subprocess
import tempfile

from _report import exit_status, report

BUILD = os.environ.get("BUILD", "build")
RINGSIDE = os.environ.get("RINGSIDE", os.path.join(BUILD, "ringside"))
SECONDS = 120
BAD_IMAGE, UNAVAILABLE = 4, 3

# At the entry, rsi points to the boot parameters: "HdrS" at 0x202, the RAM disk's address at 0x218, the command line's at 0x228.
CODE = bytes.fromhex("8b8602020000 3d48647253 7520"  # mov eax, [rsi+0x202]; cmp eax, "HdrS"; jne bad
                     "8b8618020000 8138 6469736b 7512"  # mov eax, [rsi+0x218]; cmp dword [rax], "disk"; jne bad
                     "8b8628020000 8138 776f7264 7504"  # mov eax, [rsi+0x228]; cmp dword [rax], "word"; jne bad
                     "31c0 e6f4"  # xor eax, eax; out 0xf4, al
                     "b007 e6f4")  # bad: mov al, 7; out 0xf4, al


def kernel():
    """By the kernel's boot.rst: two sectors of set-up, then what is loaded at 16 MiB and entered 0x200 behind."""
    head = bytearray(1024)
    for at, form, value in ((0x1f1, "B", 1), (0x1fe, "H", 0xaa55), (0x201, "B", 0x6a), (0x202, "4s", b"HdrS"), (0x206, "H", 0x20f),
                            (0x22c, "I", 0x7fffffff), (0x236, "H", 1), (0x238, "I", 2047), (0x258, "Q", 1 << 24), (0x260, "I", 8192)):
        struct.pack_into("<" + form, head, at, value)
    return bytes(head) + bytes(512) + CODE


def run(*words):
    done = subprocess.run([RINGSIDE, "run", f"--timeout={SECONDS}", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=SECONDS + 10)
    return done.returncode, done.stdout, done.stderr


def there():
    said = json.loads(subprocess.run([RINGSIDE, "engines", "--json"], capture_output=True, check=True).stdout)
    return [engine["name"] for engine in said["engines"] if engine["available"]]


def check_small(folder):
    image, disk, nothing = (os.path.join(folder, name) for name in ("kernel", "disk", "nothing"))
    for path, contents in ((image, kernel()), (disk, b"disk"), (nothing, b"")):
        with open(path, "wb") as file:
            file.write(contents)
    for engine in there():
        status, out, err = run(f"--engine={engine}", f"--initrd={disk}", "--append=words", image)
        report(status == 0, f"{engine}: a kernel finds header, RAM disk and command line: status {status} {err.strip()}")
    status, _, err = run(f"--initrd={disk}", "--append=other", image)
    report(status == 1 and "status 7" in err, f"it looks at them: status {status} {err.strip()}")
    status, _, err = run(f"--initrd={disk}", "nano/idle")
    report(status == BAD_IMAGE and "an initial RAM disk is for a Linux kernel" in err, f"no RAM disk for others: {status} {err.strip()}")
    status, _, err = run(f"--initrd={nothing}", image)
    report(status == BAD_IMAGE and err.count("\n") == 1 and nothing in err, f"an empty RAM disk: {status} {err.strip()}")
    status, _, err = run("--ram=16M", image)
    report(status == BAD_IMAGE and "16 MiB of RAM" in err, f"too little RAM: {status} {err.strip()}")
    status, _, err = run(f"--initrd={folder}/none", image)
    report(status == BAD_IMAGE and err.count("\n") == 1, f"no such RAM disk: {status} {err.strip()}")
    status = subprocess.run([RINGSIDE, "compare", "--ram=32M", f"--initrd={disk}", "--append=words", image], capture_output=True).returncode
    report(status == (0 if "bt" in there() else UNAVAILABLE), f"compare takes it: status {status}")


def check_debian():
    found = sorted(glob.glob("build/debian/kernel/boot/vmlinuz-*"))
    if not found or not os.path.exists("build/linux/initrd"):
        print("skip a real kernel: make check-linux fetches one")
        return
    words = "--append=console=ttyS0 quiet panic=-1 -- run=bantam/first,bantam/fork"
    status, out, err = run("--engine=interp", "--json", "--initrd=build/linux/initrd", words, found[-1])
    checks = json.loads(out)["checks"] if out.startswith("{") else []
    report(status == 0 and len(checks) > 2, f"Debian's kernel runs its programs: status {status}, {len(checks)} checks {err.strip()}")


def check_shell():
    if not glob.glob("build/debian/kernel/boot/vmlinuz-*") or not os.path.exists("build/linux/init"):
        return
    done = subprocess.run(["scripts/linux_shell.py", "interp", f"--timeout={SECONDS}"], input="echo $((6 * 7)).\nexit\n", capture_output=True,
                          text=True, timeout=SECONDS + 10)
    lines = done.stdout.splitlines()
    report(done.returncode == 0 and "42." in lines, f"a shell reads what is typed: status {done.returncode} {lines[-3:]}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        check_small(folder)
    check_debian()
    check_shell()
    return exit_status()


if __name__ == "__main__":
    raise SystemExit(main())
