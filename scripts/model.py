# SPDX-License-Identifier: BSD-2-Clause
"""Asks `ringside model --json` and gives what it says as objects. The model itself is model/*.c and the files beside it: nothing is
computed here that it could say."""
import json
import os
import subprocess
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
# Events of the process benchmarks, writes to traced page tables among them, by `ringside bench --engines=interp,bt,bt:mmu=trace`.
COUNTS = "results/2026-11-30-model-counts.jsonl"


def ringside():
    path = os.path.abspath(os.environ.get("RINGSIDE", os.path.join(ROOT, "build/ringside")))
    if not os.path.exists(path):
        raise RuntimeError(f"{path} is not there: `make` builds it")
    return path


def ask(*words):
    """What `ringside model --json` with these words says."""
    command = [ringside(), "model", "--json", f"--root={ROOT}", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"`ringside model {' '.join(words)}`: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout)


def ask_of_mix(name, cpu, policies, *words):
    """The same of model/mixes/NAME.mix, or of a dictionary event -> count."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(ROOT, f"model/mixes/{name}.mix")
        if isinstance(name, dict):
            path = os.path.join(folder, "asked.mix")
            with open(path, "w", encoding="utf-8") as file:
                file.writelines(f"{event} = {count:.12g} | asked for\n" for event, count in name.items())
        return ask(f"--cpu={cpu}", f"--counts={path}", *[f"--policy={p}" for p in policies], *words)


def mix(name, cpu, policies, changes=None):
    """policy -> its row, for what ask_of_mix() takes. changes: name -> number."""
    words = [f"--set={what}={number:.12g}" for what, number in (changes or {}).items()]
    return {row["policy"]: row for row in ask_of_mix(name, cpu, policies, *words)["rows"]}


def cheapest(name, cpu, policies, *axes):
    """(values of x, values of y, the cheapest policy for each x by y) over two quantities (NAME, low, high, steps), in equal factors."""
    words = ",".join(f"{what}:{low:.12g}:{high:.12g}:{steps}:log" for what, low, high, steps in axes)
    grid = ask_of_mix(name, cpu, policies, f"--map={words}")
    return grid["x"]["values"], grid["y"]["values"], grid["cheapest"]


def prices(cpu, policies, changes=None):
    """policy -> event -> cycles that one event costs, None where the processor has no price for it."""
    rows = mix("one-of-each", cpu, policies, changes)
    return {policy: {part["event"]: part["cost"] for part in row["parts"]} for policy, row in rows.items()}


def counts(row):
    """event -> count of a row."""
    return {part["event"]: part["count"] for part in row["parts"] if part["count"]}


def figures():
    """Name -> value of all published figures."""
    return {figure["name"]: figure["value"] for figure in ask("--list")["figures"]}


def validation():
    """One object a line of model/targets: figure, predicted, error, kind, ... and the row's policy and profile."""
    rows = ask("--validate", COUNTS)["rows"]
    return [dict(row["published"][0], policy=row["policy"], profile=row["profile"], bench=row["bench"]) for row in rows]
