#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""setup.sh on a machine where something is missing, and .ci/run's totals: with stand-ins for the commands they call; and
what publish.sh refuses."""
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, os.path.dirname(__file__))
from _ok import check, done


def command(folder, name, body):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write("#!/bin/bash\n" + body + "\n")
    os.chmod(path, 0o755)


def run(script, path, *args):
    return subprocess.run([os.path.join(ROOT, script), *args], env={"PATH": path}, capture_output=True, text=True)


def setup(*args, user, apt=":"):
    """setup.sh where only stand-ins are there: its exit status, what it said, and what apt-get and sleep were asked for. apt: what
    apt-get does with a list of packages, or None where there is none."""
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(shutil.which("env"), os.path.join(folder, "env"))
        os.symlink(shutil.which("bash"), os.path.join(folder, "bash"))
        command(folder, "id", f"echo {user}")
        command(folder, "sleep", f'echo "sleep $@" >>"{folder}/log"')
        if apt:
            command(folder, "apt-get", f'echo "$@" >>"{folder}/log"; n=0; while read -r line; do ((n++)); done <"{folder}/log"; {apt}')
        result = run("scripts/setup.sh", folder, *args)
        log = os.path.join(folder, "log")
        asked = open(log, encoding="utf-8").read() if os.path.exists(log) else ""
        return result.returncode, result.stderr, asked


def missing():
    status, said, asked = setup(user=1000)
    check("without rights: status 3", status == 3)
    check("without rights: the one command to type is printed", "sudo apt-get install -y" in said)
    check("without rights: the command names what is missing", "gcc" in said.split("install -y")[-1])
    check("without rights: nothing is installed", asked == "")
    status, said, asked = setup(user=0)
    update, install = asked.splitlines()
    check("as root: updates, then installs", status == 0 and update.endswith(" update") and " gcc" in install)
    check("as root: only what is missing", "libc6-dev" not in asked)
    status, said, _ = setup(user=0, apt=None)
    check("without apt-get: status 3 and a list", status == 3 and "gcc" in said)
    status, said, asked = setup(user=0, apt="((n > 4))")
    check("a mirror that is gone for a moment: again, some time later", status == 0 and asked.count(" install ") == 2 and "\nsleep 10\n" in asked)
    status, said, asked = setup(user=0, apt="false")
    check("one that stays away: three attempts, status 1", status == 1 and asked.count(" install ") == 3 and said.count("could not install") == 3)
    status, said, asked = setup("--browser", user=0, apt="false")
    check("... and one where nobody waits for it", status == 1 and asked.count(" install ") == 1 and "sleep" not in asked)
    status, said, asked = setup(user=0, apt="[[ $* != *update* ]]")
    check("a list that cannot be fetched is no reason not to install", status == 0 and asked.count(" install ") == 1)
    check("an unknown option: status 2", run("scripts/setup.sh", os.environ["PATH"], "--nonsense").returncode == 2)


def ci(make):
    with tempfile.TemporaryDirectory() as folder:
        command(folder, "make", make)
        result = run(".ci/run", f"{folder}:{os.environ['PATH']}")
        return result.returncode, result.stdout.splitlines()[-1]


def totals():
    tests = 'case $2 in test) echo "%s passed, %s failed, 3 skipped"; exit %s ;; lint) exit %s ;; esac'
    check("all well: lint counts as one", ci(tests % (5, 0, 0, 0)) == (0, "6 passed, 0 failed, 3 skipped"))
    check("a failed test fails", ci(tests % (5, 2, 1, 0)) == (1, "6 passed, 2 failed, 3 skipped"))
    check("a failed lint fails", ci(tests % (5, 0, 0, 1)) == (1, "5 passed, 1 failed, 3 skipped"))
    check("a status without a failure is one", ci(tests % (5, 0, 2, 0)) == (1, "6 passed, 1 failed, 3 skipped"))
    check("tests that never come to totals fail", ci("[ $2 = lint ]") == (1, "1 passed, 1 failed, 0 skipped"))


def publish():
    path = os.environ["PATH"]
    check("publish.sh wants a name", run("scripts/publish.sh", path).returncode == 2)
    check("publish.sh takes no path", run("scripts/publish.sh", path, "../x").returncode == 2)
    there = next(name for name in sorted(os.listdir(os.path.join(ROOT, "results"))) if name.endswith(".jsonl"))
    refused = run("scripts/publish.sh", path, there.removesuffix(".jsonl"))
    check("publish.sh replaces no results", refused.returncode == 2 and "never replaced" in refused.stderr)


missing()
totals()
publish()
done()
