#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whatever the pages point at is there: links and their anchors, files of the tree that are named as code, targets and variables of
make. docs/READING names files at the beginning of its lines. `scripts/check_pages.py [PAGE...]`, by default all pages."""
import glob
import os
import re

import entry

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
READING = "docs/READING"
PAGES = ["README.md", "PAPER.md", READING, "docs/*.md", "docs/labs/*.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```.*?^```$|^(?: {4}|\t).*?$", re.M | re.S)
SPAN = re.compile(r"`([^`\n]+)`")
FOLDERS = sorted(name for name in os.listdir(ROOT) if os.path.isdir(os.path.join(ROOT, name)) and name[0] != "." and name != "build")
FILE = re.compile(r"(?<![\w/.-])(?:" + "|".join(FOLDERS) + r")/[\w./*-]*\w(?![\w*])")
MAKE = re.compile(r"(?:^|[\s`$])make ((?:[a-z][a-z-]*|[A-Z]+=\S+)(?: (?:[a-z][a-z-]*|[A-Z]+=\S+))*)")
# Files that a command makes, or a reader, under a name in capitals: no part of the tree.
MADE = re.compile(r"^(?:results/local|bench/lab)\b|/[A-Z]+\b")
# Nor are these. Path -> why.
ELSEWHERE = {
    "model/mixes/copy.mix": "the page's example",
    "model/policies/hw.policy": "the page's example",
    "model/profiles/example.profile": "the page's example",
    "results/reference/example.csv": "the page's example",
    "x86/unittests.cfg": "of kvm-unit-tests",
}


def anchors(text):
    """Those that GitHub gives a page's headings."""
    heads = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def lost_links(page, text):
    for target in sorted(set(LINK.findall(text))):
        path, _, anchor = target.partition("#")
        where = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        if target.startswith(("http://", "https://")):
            continue
        if not os.path.exists(where):
            yield f"link to {target}: no such file"
        elif anchor and anchor not in anchors(read(where) if path else text):
            yield f"link to {target}: no such heading"


def code(text):
    """All that a page shows as code: blocks, indented lines, spans."""
    return BLOCK.findall(text) + SPAN.findall(BLOCK.sub("", text))


def lost_files(page, text):
    named = {line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("#")} if page == READING else set()
    for part in [] if page == READING else code(text):
        named |= set(FILE.findall(part))
    for name in sorted(named):
        if not MADE.search(name) and name not in ELSEWHERE and not glob.glob(name) and not glob.glob(f"{name}.*"):
            yield f"{name}: no such file"


def lost_targets(text, makefile):
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.M))
    variables = set(re.findall(r"\$\(([A-Z]+)\)", makefile))
    for part in code(text):
        for words in MAKE.findall(part):
            for word in words.split():
                name, is_variable, _ = word.partition("=")
                if name not in (variables if is_variable else targets):
                    yield f"make {word}: no such {'variable' if is_variable else 'target'}"


def findings(page, text, makefile):
    yield from lost_links(page, text)
    yield from lost_files(page, text)
    yield from lost_targets(text, makefile)


def main(pages):
    os.chdir(ROOT)
    bad, makefile = 0, read("Makefile")
    for page in pages or sorted(path for pattern in PAGES for path in glob.glob(pattern)):
        for line in findings(page, read(page), makefile):
            print(f"{page}: {line}")
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    entry.run(main, __doc__)
