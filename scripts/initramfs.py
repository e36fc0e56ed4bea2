#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Archives for the Linux kernel to unpack at its start, as its initial RAM disk: `scripts/initramfs.py OUT NAME=FILE...`"""
import sys

import entry


def newc(entries):
    """A cpio archive as the kernel reads it (Documentation/driver-api/early-userspace/buffer-format.rst): of (path,
    mode, contents) in order, folders before what is in them. No times, owners or inode numbers of the host's."""
    out = bytearray()
    for number, (path, mode, data) in enumerate(list(entries) + [("TRAILER!!!", 0, b"")], 1):
        name = path.encode() + b"\0"
        fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


def tree(files):
    """newc() entries of {path: bytes}, with the folders that they need."""
    folders = {""}
    for path in files:
        parts = path.split("/")[:-1]
        folders |= {"/".join(parts[:n + 1]) for n in range(len(parts))}
    entries = [(folder, 0o040755, b"") for folder in sorted(folders - {""})]
    return entries + [(path, 0o100755, data) for path, data in sorted(files.items())]


def write(path, files):
    """The archive of {path in it: file}."""
    contents = {}
    for name, source in files.items():
        with open(source, "rb") as file:
            contents[name] = file.read()
    with open(path, "wb") as file:
        file.write(newc(tree(contents)))


def main(words):
    if not words or not all("=" in word for word in words[1:]):
        print("usage: scripts/initramfs.py OUT NAME=FILE...", file=sys.stderr)
        return 2
    write(words[0], dict(word.split("=", 1) for word in words[1:]))
    return 0


if __name__ == "__main__":
    entry.run(main, __doc__)
