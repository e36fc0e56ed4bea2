#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""kvm-unit-tests on the engines: runs what x86/unittests.cfg of a built checkout lists, and says what passed, failed or was
left out, and why. usage: check_kut.py DIR [--engines=interp,bt,vtx] [--only=TEXT] [--json=FILE]

The images start in 32-bit mode, on the interpreter, and go on on their engine from where they are in 64-bit mode. What is
known to fail, with its reason, is in tests/limits/kut. Exit status: 0, or 1 where something else failed."""
import argparse
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys

BUILD = os.environ.get("BUILD", "build")
RINGSIDE = os.environ.get("RINGSIDE", os.path.join(BUILD, "ringside"))
LIMITS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "limits", "kut")
GUEST_SKIPPED = 77 >> 1  # with which a test ends that has nothing to do here
WORKERS = 2


def parse_config(text):
    """[{name, file, args, ram (MiB), smp, arch, timeout, ...}] of a unittests.cfg. A value may be in quotes, three of them
    where it goes over several lines."""
    text = re.sub(r'"""(.*?)"""', lambda quoted: " ".join(quoted.group(1).split()), text, flags=re.S)
    tests = []
    for line in text.splitlines():
        line = line.split("#", 1)[0].strip() if line.lstrip().startswith("#") else line.strip()
        section = re.fullmatch(r"\[(.+)\]", line)
        if section:
            tests.append({"name": section.group(1)})
        elif "=" in line and tests:
            key, value = (part.strip() for part in line.split("=", 1))
            tests[-1][key] = value
    return [complete(test) for test in tests]


def complete(test):
    # unittests.cfg names what QEMU is given in one of two ways; the test's own words are in -append or in test_args.
    extra = test.get("qemu_params") or test.get("extra_params") or ""
    try:
        words = shlex.split(extra)
    except ValueError:
        words = extra.split()
    append = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "-append"]
    memory = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "-m"]
    args = test.get("test_args", "")
    if len(args) > 1 and args[0] == args[-1] and args[0] in "'\"":
        args = args[1:-1]
    return {"name": test["name"], "file": test.get("file", ""), "arch": test.get("arch", ""),
            "args": args or " ".join(append), "ram": mebibytes(memory[0]) if memory else 128,
            "smp": int(test.get("smp", "1")) if test.get("smp", "1").isdigit() else 2, "groups": test.get("groups", "")}


def mebibytes(text):
    """QEMU's -m: MiB, or with a suffix."""
    number, suffix = re.fullmatch(r"(\d+)(.*)", text).groups()
    return int(number) * (1024 if suffix.lower().startswith("g") else 1)


def left_out(test, folder):
    """Why a test is not even tried, or None."""
    if test["arch"] == "i386":
        return "for 32-bit kernels only"
    if test["smp"] > 1:
        return "needs more than one processor"
    if "nodefault" in test["groups"].split():
        return "not among those that run by default (nodefault)"
    if not os.path.exists(os.path.join(folder, "x86", test["file"])):
        return f"{test['file']} has not been built"
    return None


def judge(status, out, err):
    """(verdict, why) of one run."""
    counts = {word: len(re.findall(rf"^{word}: ", out, flags=re.M)) for word in ("PASS", "FAIL", "SKIP")}
    failed = re.search(r"^FAIL: (.*)$", out, flags=re.M)
    ended = re.search(r"the guest ended with status (\d+)", err)
    said = re.search(r"^SKIP: (.*)$", out, flags=re.M)
    line = err.strip().splitlines()[-1] if err.strip() else ""
    line = line.removeprefix("ringside: ").split(": ", 1)[-1]
    if status == 0 and not counts["FAIL"]:
        return "pass", f"{counts['PASS']} checks" + (f", {counts['SKIP']} left out by the test" if counts["SKIP"] else "")
    if ended and int(ended.group(1)) == GUEST_SKIPPED:
        return "skip", "the test: " + (said.group(1) if said else "nothing to do here")
    if failed:
        return "fail", f"{counts['FAIL']} of {counts['FAIL'] + counts['PASS']} checks, first: {failed.group(1)}"
    unhandled = re.search(r"^Unhandled exception .*$", out, flags=re.M)
    return "fail", unhandled.group(0) if unhandled else line or f"exit status {status}"


def run(test, engine, folder, seconds):
    command = [RINGSIDE, "run", f"--engine={engine}", f"--ram={test['ram'] + test['ram'] % 2}M", f"--timeout={seconds}",
               f"--append={test['args']}", os.path.join(folder, "x86", test["file"])]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds + 30)
    except subprocess.TimeoutExpired:
        return "fail", f"did not end within {seconds + 30} s"
    return judge(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def read_limits(path=LIMITS):
    """{(test, engine or *): reason}"""
    limits = {}
    if os.path.isfile(path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.strip() and not line.startswith("#"):
                    test, engine, reason = (part.strip() for part in line.split(" | ", 2))
                    limits[test, engine] = reason
    return limits


def excuse(test, engine, verdict, why, limits):
    """A known failure is `known`, with its reason; one that passes is a failure of the list."""
    reason = limits.get((test, engine)) or limits.get((test, "*"))
    if not reason:
        return verdict, why
    if verdict == "fail":
        return "known", reason
    if verdict == "pass":
        return "fail", f"passes: take its line out of tests/limits/kut ({reason})"
    return verdict, why


def engines_here(wanted):
    """The engines that can run here, and [(engine, why not)]."""
    found = json.loads(subprocess.run([RINGSIDE, "engines", "--json"], capture_output=True, check=True).stdout)
    found = found["engines"] if isinstance(found, dict) else found
    here, absent = [], []
    for engine in (e for e in found if e["name"] in wanted):
        if not engine.get("available", True):
            absent.append((engine["name"], engine.get("reason", "?")))
        elif engine["name"] == "vtx" and not engine.get("hardware"):
            absent.append(("vtx", f"{engine.get('backend', '?')} stands in for hardware, and lacks much (docs/vtx.md)"))
        else:
            here.append(engine["name"])
    return here, absent


def table(results, engines):
    width = max(len(row["test"]) for row in results)
    by_test = {}
    for row in results:
        by_test.setdefault(row["test"], {})[row["engine"]] = row
    for test, rows in by_test.items():
        print(f"{test:{width}}  " + "  ".join(f"{engine} {rows[engine]['verdict']:5}" for engine in engines if engine in rows))
        whys = {}
        for engine in engines:
            if engine in rows and rows[engine]["verdict"] != "pass":
                whys.setdefault(rows[engine]["why"], []).append(engine)
        for why, where in whys.items():
            print(f"{'':{width}}  {', '.join(where)}: {why[:150]}")
    print()
    for engine in engines:
        verdicts = [row["verdict"] for row in results if row["engine"] == engine]
        print(f"{engine:8} " + ", ".join(f"{verdicts.count(v)} {v}" for v in ("pass", "fail", "known", "skip")))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", metavar="DIR", help="a built checkout of kvm-unit-tests")
    parser.add_argument("--engines", default="interp,bt,vtx", metavar="NAME,...")
    parser.add_argument("--only", default="", metavar="TEXT", help="only tests with TEXT in their names")
    parser.add_argument("--timeout", type=int, default=300, metavar="S", help="seconds for each test on each engine")
    parser.add_argument("--json", default=os.path.join(BUILD, "kut.json"), metavar="FILE")
    options = parser.parse_args()
    config = os.path.join(options.folder, "x86", "unittests.cfg")
    if not os.path.isfile(config):
        print(f"check_kut: {config} is not there: DIR is a checkout of kvm-unit-tests, configured and built", file=sys.stderr)
        return 2
    with open(config, encoding="utf-8") as file:
        tests = [test for test in parse_config(file.read()) if options.only in test["name"]]
    engines, absent = engines_here(options.engines.split(","))
    for engine, why in absent:
        print(f"skip {engine}: {why}")
    limits, results, jobs = read_limits(), [], []
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for test in tests:
            reason = left_out(test, options.folder)
            for engine in engines:
                row = {"test": test["name"], "engine": engine, "verdict": "skip", "why": reason}
                results.append(row)
                if not reason:
                    jobs.append((row, pool.submit(run, test, engine, options.folder, options.timeout)))
        for row, job in jobs:
            row["verdict"], row["why"] = excuse(row["test"], row["engine"], *job.result(), limits)
    if not results:
        print("check_kut: nothing to run", file=sys.stderr)
        return 2
    table(results, engines)
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
    print(f"in {options.json} as well")
    return 1 if any(row["verdict"] == "fail" for row in results) else 0


if __name__ == "__main__":
    sys.exit(main())
