#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`ringside model` as a whole: on a model of its own and a results file that is committed, and on bad input."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import _processes as processes

from _report import exit_status, report

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.environ.get("BUILD", "build")
RINGSIDE = os.path.abspath(os.environ.get("RINGSIDE", os.path.join(BUILD, "ringside")))
RESULTS = os.path.join(ROOT, "results/2026-11-20-processes-epyc-vm-process.jsonl")
OK, USAGE, BAD_FILE, INTERRUPTED = 0, 2, 11, 130

FILES = {
    "model/events": """
syscall = syscalls | interp, bt | a system call
pgfault = true_faults | interp, bt | a page fault
ptemod = max(traced_writes - counted(bt.traced_writes), 0) | bt:mmu=trace | a write of a page-table entry in use
""",
    "model/profiles/p4-672.profile": """
title = the paper's
clock_mhz = 3800 | published | section 6
syscall_native = ref(asplos2006.nano/syscall.native) | published | the raw-data table
syscall_bt = ref(asplos2006.nano/syscall.software) | published | the raw-data table
pgfault_bt = ref(asplos2006.nano/pgfault.software) | published | the raw-data table
ptemod_bt = ref(asplos2006.nano/ptemod.software) | published | the raw-data table
""",
    "model/profiles/here.profile": """
title = this machine
base = p4-672
machine = results
syscall_bt = measured(bt.micro/getpid) | measured | the results
""",
    "model/policies/native.policy": "title = none\nsyscall = syscall_native | it\npgfault = 0 | it\nptemod = 0 | it\n",
    "model/policies/bt.policy": """
title = translator
engine = bt
syscall = syscall_bt | it
pgfault = pgfault_bt | it
ptemod = ptemod_bt | it
""",
    "model/policies/other.policy": "title = other\nsyscall = hypercall | it\n",
    "model/mixes/three.mix": "syscall = 3 | three\n",
    "model/targets": """
asplos2006.nano/syscall.software = part(syscall) / 3 | mix/three | bt | p4-672 | cycles
asplos2006.micro/forkwait.software = cycles * 40000 / (clock_mhz * 1000000) | micro/forkwait | bt | p4-672 | seconds
asplos2006.micro/forkwait.hardware = cycles | mix/three | other | p4-672 | no price
""",
}


def ringside(*args, seconds=300):
    result = subprocess.run([RINGSIDE, "model", *args], stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds)
    return result.returncode, result.stdout.decode(errors="replace"), result.stderr.decode(errors="replace")


def refused(what, status, text, *args):
    """The status asked for, nothing on stdout, and one line on stderr with a text that says what is wrong."""
    got, out, err = ringside(*args)
    one_line = err.endswith("\n") and err.count("\n") == 1 and err.startswith("ringside: ")
    return report(got == status and one_line and text in err, what, f"status {got}, want {status}; stderr {err!r}")


def write(root, name, content):
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="latin-1") as file:
        file.write(content)
    return path


def make(root):
    for name, content in FILES.items():
        write(root, name, content)
    shutil.copytree(os.path.join(ROOT, "results/reference"), os.path.join(root, "results/reference"))
    return "--root=" + root


def as_json(what, *args):
    status, out, err = ringside("--json", *args)
    report(status == OK and not err, what, f"status {status}: {err}")
    return json.loads(out) if status == OK else {"rows": []}


# ---- What it says ----

def counted(engine, name):
    """How often an event happens in a forkwait, by the results file's own samples: the median of all repetitions."""
    rates = []
    with open(RESULTS, encoding="utf-8") as file:
        for record in map(json.loads, file):
            if record["type"] == "sample" and record["bench"] == "forkwait" and record["engine"] == engine:
                rates += [(b.get(name, 0) - a.get(name, 0)) / record["n"]
                          for a, b in zip(record["counters_n"], record["counters_2n"])]
    rates.sort()
    return (rates[(len(rates) - 1) // 2] + rates[len(rates) // 2]) / 2


def near(a, b):
    return a is not None and abs(a - b) <= 1e-9 * abs(b)


def predictions(root):
    want = counted("interp", "syscalls") * 2308 + counted("interp", "true_faults") * 3927
    want += (counted("bt:mmu=trace", "traced_writes") - counted("bt", "traced_writes")) * 391
    got = as_json("forkwait under bt", root, "--only=forkwait", "--policy=bt", RESULTS)
    row = got["rows"][0]
    report(len(got["rows"]) == 1 and row["bench"] == "micro/forkwait" and near(row["cycles"], want),
           "forkwait is the sum that its counters say", f"{row['cycles']} for {want}")
    report(near(sum(p["cycles"] for p in row["parts"]), want) and
           all(near(p["count"] * p["cost"], p["cycles"]) for p in row["parts"]), "each part is count times cost")
    published = row["published"][0]
    report(published["name"] == "asplos2006.micro/forkwait.software" and published["kind"] == "prediction" and
           published["figure"] == 36.95 and near(published["predicted"], want * 40000 / 3.8e9) and
           near(published["error"], want * 40000 / 3.8e9 / 36.95 - 1), "forkwait is a prediction, in seconds", published)
    report(row["measured"] is None, "the paper's processor has no times of this machine")
    everything = as_json("all benchmarks and policies", root, RESULTS)["rows"]
    policies = {r["policy"] for r in everything}
    report(policies == {"native", "bt"}, "a policy with no price at all is left out", policies)
    forced = as_json("... but not where it is asked for", root, "--policy=other", "--only=forkwait", RESULTS)["rows"][0]
    report(forced["cycles"] is None and forced["why"] == "p4-672 has no hypercall", "n/a says what is missing", forced)
    status, text, _ = ringside(root, "--policy=bt", "--only=micro/forkwait", RESULTS)
    report(status == OK and "36.95" in text and "prediction" in text and "ptemod" in text, "the same as text", text)
    report(ringside(root, RESULTS)[1] == ringside(root, RESULTS)[1], "twice the same output")


def provenance(root):
    got = as_json("--validate", root, "--validate", RESULTS)
    kinds = {r["published"][0]["name"]: r["published"][0] for r in got["rows"]}
    syscall = kinds["asplos2006.nano/syscall.software"]
    report(syscall["kind"] == "set" and syscall["by"] == "p4-672.profile:5", "what set a parameter is said so, by line",
           syscall)
    report(got["score"]["predictions"] == 1 and got["score"]["set"] == 1 and got["score"]["unknown"] == 1,
           "only predictions count", got["score"])
    here = as_json("this machine", root, "--cpu=here", "--policy=bt", "--only=getpid,forkwait", RESULTS)["rows"]
    rows = {r["bench"]: r for r in here}
    report(rows["micro/getpid"]["measured"]["kind"] == "set" and rows["micro/forkwait"]["measured"]["kind"] == "prediction",
           "a measured time that set a parameter is no prediction either", rows)
    report(rows["micro/forkwait"]["class"] == "assumed", "another processor's costs count as assumed")


def what_if(root):
    base = as_json("as it is", root, "--policy=bt", "--only=forkwait", RESULTS)["rows"][0]
    dearer = as_json("--set of a cost", root, "--policy=bt", "--only=forkwait", "--set=ptemod_bt=1391", RESULTS)["rows"][0]
    more = as_json("--set of a count", root, "--policy=bt", "--only=forkwait", "--set=syscall=1000", RESULTS)["rows"][0]
    count = {p["event"]: p["count"] for p in base["parts"]}
    report(near(dearer["cycles"] - base["cycles"], 1000 * count["ptemod"]) and dearer["class"] == "assumed",
           "a cost changes by what it is set to", dearer)
    report(base["published"] and not dearer["published"] and not more["published"], "what if is held against nothing")
    report(near(more["cycles"] - base["cycles"], (1000 - count["syscall"]) * 2308), "and so does a count", more)
    grid = as_json("--map", root, "--map=syscall:0:10:3,ptemod_bt:0:100:2", "--counts=" + root[7:] + "/model/mixes/three.mix")
    report(grid["x"]["values"] == [0, 5, 10] and near(grid["cycles"]["bt"][1][2], 23080) and
           near(grid["cycles"]["native"][0][1], 1210) and grid["cheapest"][0][2] == "native", "a map's cells", grid)
    status, text, _ = ringside(root, "--map=syscall:0:10:3,ptemod:0:100:2", "--only=forkwait", RESULTS)
    report(status == OK and "BBB" in text, "a map as text", text)
    words = [root, "--map=syscall:1:100:3:log,ptemod:1:2:2", "--only=forkwait", RESULTS]
    grid, text = as_json("a logarithmic axis", *words), ringside(*words)[1]
    report(grid["x"] == {"name": "syscall", "log": True, "values": [1, 10, 100]} and not grid["y"]["log"],
           "its values are a factor apart", grid["x"])
    report("syscall from 1 to 100, logarithmic" in text and "ptemod\n" in text, "and the text says so", text)
    listed = as_json("--list", root, "--list")
    report(listed["policies"] == ["bt", "native", "other"] and len(listed["figures"]) > 100, "--list", str(listed)[:200])
    report(ringside(root, "--list")[1].startswith("Processors"), "--list as text")


# ---- The page's example ----

PAGE = os.path.join(ROOT, "docs/model.md")
NAMED = re.compile(r"^((?:`(?:model|results)/\S+`(?:, | and )?)+):.*\n((?:\n```\n(?:.*\n)*?```\n)+)", re.M)
COMMAND = re.compile(r"```\n\$ ringside model (.*)\n(?:.*\n)*?```\n")


def page_files(page):
    """Path -> content: of a paragraph that begins with paths, and the blocks behind it."""
    found = {}
    for names, blocks in NAMED.findall(page):
        found.update(zip(re.findall(r"`(\S+?)`", names), re.findall(r"```\n((?:.*\n)*?)```", blocks)))
    return found


def example(rewrite=False):
    """The model that docs/model.md shows, made of that page, says what the page says. rewrite: the page says what it says."""
    with open(PAGE, encoding="utf-8") as file:
        page = file.read()
    with tempfile.TemporaryDirectory() as folder:
        for name, content in page_files(page).items():
            write(folder, name, content)

        def run(match):
            words = [word.replace("=model/", f"={folder}/model/") for word in match.group(1).split()]
            status, out, err = ringside("--root=" + folder, *words)
            report(status == OK and not err, f"docs/model.md: {match.group(1)[:40]}", err)
            return f"```\n$ ringside model {match.group(1)}\n{out.strip(chr(10))}\n```\n"
        made, commands = COMMAND.subn(run, page)
    report(commands == 3 and made == page, "docs/model.md: the example is as the program is", "tests/cli/model.py --write")
    if rewrite:
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(made)


# ---- What it refuses ----

def usage(root):
    refused("no results", USAGE, "RESULTS", root)
    refused("no such processor, with a hint", USAGE, "did you mean 'p4-672'", root, "--cpu=p4-673", RESULTS)
    refused("no such policy", USAGE, "no policy 'vmware'", root, "--policy=vmware", RESULTS)
    refused("no such processor to validate on", USAGE, "no profile 'p5'", root, "--validate", "--cpu=p5")
    refused("no such policy to validate", USAGE, "did you mean 'native'", root, "--validate", "--policy=nativ")
    refused("no such benchmark", USAGE, "no such benchmark", root, "--only=forkwat", RESULTS)
    for word in ("syscall", "=1", "syscall=", "syscall=-1", "syscall=1x", "syscall=inf", "nothing=1"):
        refused(f"--set={word}", USAGE, "nothing" if word[0] == "n" else "bad value", root, "--set=" + word, RESULTS)
    refused("a map of many benchmarks", USAGE, "one benchmark", root, "--map=syscall:0:1:2,ptemod:0:1:2", RESULTS)
    refused("a map of nothing known", USAGE, "neither", root, "--only=forkwait", "--map=sys:0:1:2,ptemod:0:1:2", RESULTS)
    refused("no map", USAGE, "no map", root, "--only=forkwait", "--map=syscall", RESULTS)
    refused("what if and validate", USAGE, "--set", root, "--validate", "--set=syscall=1", RESULTS)
    refused("a choice of benchmarks where there is none", USAGE, "no --only", root, "--only=forkwait",
            "--counts=" + root[7:] + "/model/mixes/three.mix", RESULTS)
    refused("a choice among all that there is", USAGE, "--list", root, "--list", "--only=forkwait")
    refused("a folder without a model", BAD_FILE, "No such file", "--root=/tmp/nowhere", RESULTS)
    report(ringside("--help")[0] == OK and "--policy" in ringside("--help")[1], "--help")


def bad_files(root):
    refused("no such results", BAD_FILE, "No such file", root, "/no/such.jsonl")
    refused("results that are none", BAD_FILE, "events:2: not JSON", root, root[7:] + "/model/events", RESULTS)
    with open(RESULTS, "rb") as file:
        cut = write(root[7:], "cut.jsonl", file.read(100000).decode())
    report(ringside(root, cut)[0] == OK, "results of an interrupted run")
    refused("a mix that is none", BAD_FILE, "bt.policy:3: no line of the form", root,
            "--counts=" + root[7:] + "/model/policies/bt.policy")
    for name, line, text in (("model/policies/bt.policy", "title = x\nsyscall = 1\n", "bt.policy:2: no line of the form"),
                             ("model/profiles/p4-672.profile", "title = x\ny = 1 | known | z\n", "p4-672.profile:2: the class"),
                             ("model/profiles/p4-672.profile", "title = x\ny = 15826 | published | z\n",
                              "15826 is a published figure: write ref(asplos2006.nano/in.hardware)"),
                             ("model/events", "syscall = syscals | interp | z\n", "events:1: no counter 'syscals'"),
                             ("model/targets", "nothing = cycles | mix/three | bt | p4-672 | z\n", "targets:1: no published"),
                             ("model/events", "\0", "events:1: byte 0 is not plain text")):
        write(root[7:], name, line)
        refused(f"{name}: {line!r}", BAD_FILE, text, root, RESULTS)
        write(root[7:], name, FILES[name])


def interrupted(root):
    """Ctrl-C during a large map."""
    process = subprocess.Popen([RINGSIDE, "model", root, "--only=forkwait", "--map=syscall:0:1:200,ptemod:0:1:200", RESULTS],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    processes.wait_until(lambda: processes.blocks(process.pid, signal.SIGINT))  # until then it ends of it; the map takes many seconds
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    report(process.returncode == INTERRUPTED and not out and err == b"ringside: interrupted\n",
           "Ctrl-C ends it with one line", f"status {process.returncode}, stderr {err!r}")


def main():
    if sys.argv[1:] == ["--write"]:
        example(rewrite=True)
        return 0
    with tempfile.TemporaryDirectory(prefix="ringside-model-") as folder:
        root = make(folder)
        example()
        predictions(root)
        provenance(root)
        what_if(root)
        usage(root)
        bad_files(root)
        interrupted(root)
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
