# SPDX-License-Identifier: BSD-2-Clause
"""Debian's cloud kernel and busybox, for guests and for the machines that kvm_machine.py emulates."""
import glob
import os
import re
import shutil
import subprocess

FOLDER = "build/debian"
KERNEL_PACKAGE = "linux-image-cloud-amd64"


class Unavailable(Exception):
    """What the machine needs is not here and cannot be had: the reason, in a line."""


class Kernel:
    """Debian's cloud kernel and busybox, unpacked in build/debian; fetched with apt-get where they are not there yet."""

    def __init__(self):
        found = glob.glob(f"{FOLDER}/kernel/boot/vmlinuz-*")
        if not found:
            fetch_kernel()
            found = glob.glob(f"{FOLDER}/kernel/boot/vmlinuz-*")
        self.image = found[0]
        self.release = os.path.basename(self.image).removeprefix("vmlinuz-")
        self.busybox = f"{FOLDER}/kernel/bin/busybox"

    def module(self, name):
        return glob.glob(f"{FOLDER}/kernel/lib/modules/{self.release}/**/{name}.ko", recursive=True)[0]


def current_kernel(depends):
    """The package that KERNEL_PACKAGE stands for, from what `apt-cache depends` says."""
    match = re.search(r"Depends: (linux-image-\S+)", depends)
    return match.group(1) if match else None


def fetch_kernel():
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if not shutil.which(tool):
            raise Unavailable(f"no {tool} to fetch Debian's kernel with")
    asked = subprocess.run(["apt-cache", "depends", KERNEL_PACKAGE], capture_output=True, text=True)
    package = current_kernel(asked.stdout)
    if not package:
        raise Unavailable(f"apt knows no {KERNEL_PACKAGE}: apt-get update")
    folder = os.path.abspath(f"{FOLDER}/packages")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    print(f"fetching {package} and busybox-static", flush=True)
    done = subprocess.run(["apt-get", "-qq", "download", package, "busybox-static"], cwd=folder, capture_output=True,
                          text=True)
    if done.returncode:
        raise Unavailable(f"{package} cannot be fetched: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    unpacked = f"{FOLDER}/kernel.part"
    shutil.rmtree(unpacked, ignore_errors=True)
    for path in glob.glob(f"{folder}/*.deb"):
        subprocess.run(["dpkg-deb", "-x", path, unpacked], check=True)
    os.rename(unpacked, f"{FOLDER}/kernel")
