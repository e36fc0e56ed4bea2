# SPDX-License-Identifier: BSD-2-Clause
"""The labs of docs/labs as a student would do them: in a copy of the tree, every ```sh block of each hand-out from the first to
the last, with the images that it gives, answers like a good student's, and few processes. Whatever is a count must hold; what is a
cost may be hidden by a busy machine. Then the same with predictions that are wrong. labs_1to3.py and labs_4to5.py call it."""
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys

from _report import exit_status, report

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILD = os.environ.get("BUILD", "build")
SANDBOX = os.path.join(ROOT, f"build/labs-{os.getpid()}")
LEFT_OUT = ("build/labs-", "build/kvm", "build/san", "build/images/lab", "build/guest/bench/lab")
SECONDS = 600  # for a command, which takes some at most
sys.path.insert(0, os.path.join(ROOT, "scripts"))
import lab
import lab_judge
import lab_plans

# What a good student predicts of the images as the hand-outs have them.
EXITS = {"syscall": "00", "in": "11", "cr8wr": "00", "cpuid": "11", "pgfault": "10", "ptemod": "00", "cr3wr": "10", "invlpg": "10"}
PREDICTIONS = {
    1: {"count.instructions": "6.125", "count.returns": "1", "count.exceptions": "0", "count.exits": "0",
        "order": "cr8wr < in < syscall < divzero < asswitch", "slowdown.least": "crc", "sort_by_fib": "0.66"},
    2: {**{f"{word}.{bench}": both[i] for bench, both in EXITS.items() for i, word in enumerate(("shadow", "nested"))},
        "shadow.forkwait.cr": "3", "exits.pio": "1", "exits.shadow": "3", "exits.nested": "2"},
    3: {"faults.hidden": "2", "faults.true": "0", "faults.traced": "1", "faults.tlb": "2", "mmapstorm.true": "1",
        "mmapstorm.hidden.direct": "1", "mmapstorm.hidden.translated": "0"},
    4: {"ptemod.traps.before": "1", "ptemod.traps.after": "0", "calm.checked": "1001", "calm.reversions": "2", "stop.reversions": "2",
        "stop.checked": "0"},
    5: {"boot.bt.ms": "6", "boot.interp.ms": "9", "boot.faster": "bt", "boot.largest": "translate", "straight.passes": "400", "exit.cycles": "250"}}
# Of lab 4 the hand-out has only the beginning: two writes with calm behind each, before anything is measured.
STOP = ("calm", "stop"), [("    bench_run(image_name, body, pte_of(PAGE_VA, 1));", """    for (unsigned i = 0; i < 2; i++) {
        store(pte_of(PAGE_VA, 1), *pte_of(PAGE_VA, 1));
        for (unsigned k = 0; k < CALM; k++)
            store(&plain, k);
    }
    bench_run(image_name, body, NULL);"""), ("    uint64_t *entry = ctx;\n", "    (void)ctx;\n"), ("        store(entry, *entry);\n", ""),
                          ('IMAGE("calm")', 'IMAGE("stop")')]


# ---- The copy ----

def sources():
    """Files of the tree, relative; a student's own images stay out."""
    asked = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    names = asked.stdout.splitlines() if asked.returncode == 0 else [
        os.path.relpath(os.path.join(folder, name), ROOT) for folder, _, found in os.walk(ROOT) for name in found]
    out = ("build/", "bench/lab/", ".git/", "results/local/")
    return [n for n in names if not n.startswith(out) and "__pycache__" not in n and os.path.isfile(os.path.join(ROOT, n)) and
            (not n.startswith("results/") or any(word in n for word in ("exits-emulated", "model-counts", "reference")))]


def copy_tree():
    """Sources are copied, what is built is linked: a command may write a file anew, and does not write into one."""
    shutil.rmtree(SANDBOX, ignore_errors=True)
    for name in sources():
        target = os.path.join(SANDBOX, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(os.path.join(ROOT, name), target)
    for folder, folders, names in os.walk(os.path.join(ROOT, "build")):
        here = os.path.relpath(folder, ROOT)
        folders[:] = [f for f in folders if not os.path.join(here, f).startswith(LEFT_OUT)]
        os.makedirs(os.path.join(SANDBOX, here), exist_ok=True)
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # what another test makes and removes
                os.link(os.path.join(folder, name), os.path.join(SANDBOX, here, name))


# ---- A hand-out ----

def parts(text):
    """(kind, what) in order: `file` (path, contents) and `sh` (one command)."""
    for match in re.finditer(r"(?:<!-- file: (\S+) -->\n)?```(\w*)\n(.*?)```", text, re.S):
        path, kind, body = match.groups()
        if path:
            yield "file", (path, body)
        elif kind == "sh":
            yield from (("sh", line) for line in body.replace("\\\n", " ").splitlines() if line.strip())


def run(command, cycles=200000):
    # Three repetitions: the first is cold where it first passes, and of so few only a median leaves that out. Runs are short, as
    # on a host far slower than this: a count must not rest on there being many iterations.
    env = dict(os.environ, LAB=f"--runs=1 --reps=3 --cycles={cycles}", MAKEFLAGS="", MAKELEVEL="")
    env.pop("RINGSIDE", None)
    return subprocess.run(["bash", "-c", command.replace("--runs=6", "--runs=1 --reps=1 --cycles=50000")], cwd=SANDBOX, env=env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=SECONDS)


def write(path, text):
    path = os.path.join(SANDBOX, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def read(path):
    with open(os.path.join(SANDBOX, path), encoding="utf-8") as file:
        return file.read()


def fill_in(plan):
    """The form, as a good student would."""
    text = []
    for line in read(f"results/local/lab{plan.number}.txt").splitlines():
        key = line.split(":")[0]
        if key.startswith(lab.PREDICT):
            line = f"{key}: {PREDICTIONS[plan.number][key.removeprefix(lab.PREDICT)]}"
        elif key.startswith(lab.ANSWER):
            line = f"{key}: in words of\n  my own"
        text.append(line)
    write(f"results/local/lab{plan.number}.txt", "\n".join(text) + "\n")


def do(plan):
    """Every command of a hand-out. Gives whether all went well."""
    measured = False
    for kind, what in parts(read(plan.hand_out())):
        if kind == "file":
            write(*what)
            if os.path.basename(what[0]) == "calm.c":
                text = what[1]
                for old, new in STOP[1]:
                    text = text.replace(old, new)
                write("bench/lab/stop.c", text)
            continue
        # Lab 1 counts the loop's own instructions, two for sixteen iterations (guest/repeat.h): no run may be of fewer.
        done = run(what, cycles=2000000 if plan.number == 1 else 200000)
        is_check = what.startswith(f"scripts/lab.py check {plan.number}")
        if not report(done.returncode in ((0, 1) if is_check else (0,)), f"lab {plan.number}: {what[:90]}",
                      f"status {done.returncode}: {done.stderr.strip()[-300:]}"):
            return False
        if what == f"make lab N={plan.number}":
            if not measured:
                fill_in(plan)
            measured = True
        if is_check:
            judge(plan, done.stdout)
    return True


def judge(plan, out):
    """The checker's lines: a count holds, unless it is of something that is not here."""
    timed = {e.what for e in plan.expectations if e.timed}
    lines = re.findall(r"^(held|not held|could not be seen here)(?: \((.*?)\))?: (.*?)(?:  \[.*\])?$", out, re.M)
    wrong = [f"{verdict} ({reason}): {what}" for verdict, reason, what in lines
             if verdict != lab_judge.HELD and what not in timed and not excusable(reason)]
    report(len(lines) == len(plan.expectations) + 2 and not wrong, f"lab {plan.number}: every count holds, {len(lines)} lines", "; ".join(wrong) or out[-300:])


def excusable(reason):
    return "vtx" in reason or "/dev/kvm" in reason or "nobody has counted exits" in reason or "host processes" in reason


def wrong_predictions(plan):
    """The student's own results with one prediction wrong: that line, and no other, is not held."""
    _, runs, exit_runs, _ = lab.gather(plan, [f"results/local/lab{plan.number}.jsonl"])
    right = PREDICTIONS[plan.number]
    lines = [(e, e.line(lab_judge.Evidence(runs, exit_runs, right)).verdict) for e in plan.expectations]
    bad = []
    for key in right:
        evidence = lab_judge.Evidence(runs, exit_runs, dict(right, **{key: "31337"}))
        turned = [e.what for e, verdict in lines if verdict == lab_judge.HELD and not e.timed and e.line(evidence).verdict == lab_judge.NOT_HELD]
        wanted = [e.what for e, verdict in lines if verdict == lab_judge.HELD and not e.timed and e.what.startswith(f"your {key}:")]
        bad += [] if turned == wanted else [f"{key}: {turned}"]
    report(not bad, f"lab {plan.number}: a wrong prediction is not held, and nothing else changes", "; ".join(bad))


def counting():
    """`lab.py count`: an iteration by its marks, a whole run where there is no iteration, one line where there is neither."""
    cases = [("nano/in", 0, r"^one iteration of in, the mean of 512, on interp.*^insns_kernel +1\.125 .*^exit_pio +1 "),
             ("--engine=bt:mmu=trace nano/ptemod", 0, r"^traced_writes +1 .*^callout_memory +1 "),
             ("macro/boothalt", 0, r"^the whole run of macro/boothalt, on interp.*^syscalls +\d\d\d "),
             ("nano/inn", 2, r"^lab: nano/inn: .*\n$"), ("--engine=int nano/in", 2, r"^lab: no engine 'int'")]
    for words, status, text in cases:
        done = run(f"scripts/lab.py count {words}")
        report(done.returncode == status and re.search(text, done.stdout + done.stderr, re.M | re.S), f"count {words}", f"{done.returncode} {done.stdout}{done.stderr}")


def here():
    """Why the labs cannot be done with this build, or None."""
    if BUILD.endswith("san"):
        return "bt does not run under AddressSanitizer, and four of the five labs are about it"
    said = subprocess.run([os.path.join(ROOT, BUILD, "ringside"), "engines", "--json"], capture_output=True, text=True)
    missing = [e["reason"] for e in json.loads(said.stdout)["engines"] if e["name"] == "bt" and not e["available"]]
    return missing[0] if missing else None


def main(numbers):
    reason = here()
    if reason:
        print(f"skip {reason}")
        return 0
    try:
        copy_tree()
        os.chdir(SANDBOX)
        if 1 in numbers:
            counting()
        for number in numbers:
            plan = lab_plans.labs()[number]
            if do(plan):
                wrong_predictions(plan)
    finally:
        shutil.rmtree(SANDBOX, ignore_errors=True)
    return exit_status()
