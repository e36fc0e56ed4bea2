#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Checks of the source files that no compiler makes: SPDX line, lengths, words that say something is unfinished, what
a merge left undecided, paths of somebody's machine, Python that compiles. Prints one line per finding; `warning:`
lines do not fail."""
import ast
import re

import entry

MAX_FILE_LINES = 900
MAX_FUNCTION_LINES = 100
LONG_REASON = "long:"  # a comment with this word in or just above a long function, and the reason, silences the warning

# Written so that this file does not match itself.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]) + r")\b")
CONFLICT = re.compile(r"^(<{7}|>{7}|\|{7}) ")
MACHINE_PATH = re.compile(r"(?<![\w.~*-])/(?:home|work|root|Users)/\w")
SOURCE = (".c", ".h", ".S", ".py", ".sh", ".def", ".ld")
FUNCTION = re.compile(r"^(?!typedef|struct|enum|union|#|//|static const|const)[A-Za-z_][^;={}]*\([^;{}]*\)\n\{\n", re.M)


def spdx(path, text):
    first = text.split("\n", 2)[:2]
    if not any("SPDX-License-Identifier: BSD-2-Clause" in line for line in first):
        yield "no SPDX line at its head"


def words(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if UNFINISHED.search(line):
            yield f"line {number}: says that something is unfinished: {line.strip()[:60]}"
        if CONFLICT.search(line):
            yield f"line {number}: a merge left it undecided: {line.strip()[:60]}"
        if MACHINE_PATH.search(line):
            yield f"line {number}: names a path of one machine: {line.strip()[:60]}"


def functions(text):
    """(name, first line, length in lines) of each C function: from its head to the closing brace in column 0."""
    for match in FUNCTION.finditer(text):
        start = text.count("\n", 0, match.start()) + 1
        end = text.find("\n}", match.end() - 1)
        if end >= 0:
            yield re.search(r"(\w+)\(", match.group()).group(1), start, text.count("\n", match.start(), end) + 2


def lengths(path, text):
    lines = text.split("\n")
    if len(lines) - 1 > MAX_FILE_LINES:
        yield f"warning: {len(lines) - 1} lines: is it about one thing?"
    if not path.endswith((".c", ".h")):
        return
    for name, start, length in functions(text):
        context = "\n".join(lines[max(0, start - 6):start + length])
        if length > MAX_FUNCTION_LINES and LONG_REASON not in context:
            yield f"warning: line {start}: {name} has {length} lines"


def python_names(tree):
    """Imported names that nothing uses."""
    imported = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                imported[(alias.asname or alias.name).split(".")[0]] = node.lineno
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return [(name, line) for name, line in imported.items() if name not in used]


def python(path, text):
    if not path.endswith(".py"):
        return
    try:
        tree = ast.parse(text, path)
    except SyntaxError as error:
        yield f"line {error.lineno}: {error.msg}"
        return
    for name, line in python_names(tree):
        yield f"line {line}: {name} is imported but not used"


def findings(path, text):
    checks = [words]
    if path.endswith(SOURCE):
        checks += [spdx, lengths, python]
    for check in checks:
        yield from check(path, text)


def main(paths):
    bad = 0
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except UnicodeDecodeError:
            continue  # a picture
        for line in findings(path, text):
            print(f"{path}: {line}")
            bad += not line.startswith("warning:")
    return 1 if bad else 0


if __name__ == "__main__":
    entry.run(main, __doc__)
