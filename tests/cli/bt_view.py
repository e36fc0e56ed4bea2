#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the translator says of itself: counters under each switch, `run --bt-stats`, and `translate`."""
import json
import os
import random
import subprocess
import sys

from _report import exit_status, report

BUILD = os.environ.get("BUILD", "build")
RINGSIDE = os.environ.get("RINGSIDE", os.path.join(BUILD, "ringside"))
UNAVAILABLE = 3


def ringside(*args):
    done = subprocess.run([RINGSIDE, *args], stdin=subprocess.DEVNULL, capture_output=True, timeout=400)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def run(image, settings="", *args):
    return json.loads(ringside("run", "--json", "--append=reps=1 cycles=1000", f"--engine=bt{settings}", *args, image)[1])


def counters():
    plain = run("micro/fib")
    c, s = plain["counters"], plain["stats"]
    kinds = sum(value for name, value in s.items() if ":" in name)
    report(kinds == c["insns_decoded"], "every translated instruction has a kind", f"{kinds}, {c['insns_decoded']}")
    report(s["units"] == c["blocks"] and s["guest_bytes"] < s["hot_bytes"], "units and bytes", f"{s}")
    report(s["cycles"] > 100 * kinds, "translation takes its time", f"{s['cycles']}")
    ident = next(value for name, value in s.items() if name.startswith("IDENT"))
    report(ident > kinds / 2, "most instructions are IDENT", f"{ident} of {kinds}")
    report(c["chains"] > 0 and c["elisions"] > 0, "branches are chained, jumps elided", f"{c}")
    report(c["callouts"] == sum(c.get(f"callout_{k}", 0) for k in ("privileged", "memory", "branch", "miss", "other")),
           "callouts are the sum of their kinds", f"{c}")

    c = run("micro/fib", ":no-chaining")["counters"]
    report(not c.get("chains") and not c.get("elisions") and c["callout_branch"] > 1000, "no-chaining", f"{c}")
    c = run("micro/fib", ":no-elision")["counters"]
    report(not c.get("elisions") and c["chains"] > 0, "no-elision", f"{c}")
    c = run("micro/fib", ":tu=1")["counters"]
    report(c["blocks"] == c["insns_decoded"], "tu=1", f"{c}")
    c = run("nano/rdtsc", ":emulate=trap")["counters"]
    report(c["trap_privileged"] > 10 and not c.get("callout_privileged"), "emulate=trap", f"{c}")
    both = [run("nano/rdtsc", f":emulate={way}", "--append=reps=1 n=500")["counters"] for way in ("callout", "in-tc")]
    report(both[0]["callout_privileged"] > both[1]["callout_privileged"] + 500, "emulate=callout", f"{both}")
    c = run("micro/fib", ":returns=callout")["counters"]
    report(c["callout_other"] > 1000, "returns=callout", f"{c}")
    fast, checked = run("micro/crc")["counters"], run("micro/crc", ":checked")["counters"]
    mapped = [c.get("hidden_faults", 0) for c in (fast, checked)]
    report(mapped[0] > 0 and mapped[1] == 0 and not checked.get("adaptations"), "checked", f"{fast} {checked}")


def adaptation():
    adapts, not_so = run("test/smc")["counters"], run("test/smc", ":no-adapt")["counters"]
    report(adapts.get("adaptations", 0) > 0 and not not_so.get("adaptations"), "no-adapt", f"{adapts} {not_so}")
    report(not_so["trap_memory"] > adapts["trap_memory"], "without adaptation it faults again", f"{adapts} {not_so}")


def readable():
    status, out, err = ringside("run", "--engine=bt", "--bt-stats", "--append=reps=1 cycles=1000", "micro/fib")
    report(status == 0 and all(text in out for text in ("  IDENT ", "TUs, each", "an instruction", "  chains ")),
           "--bt-stats in words", f"{status} {out[-300:]!r} {err!r}")
    status, out, err = ringside("run", "--bt-stats", "micro/fib")
    report(status == 2 and err == "ringside: option --bt-stats is not for engine interp\n", "--bt-stats of interp", err)


def is_prime():
    """The slides' example: TUs, kinds, chains and elided jumps are theirs; the loop head polls besides."""
    status, out, err = ringside("translate", "isprime", "isPrime")
    units = out.split("\n\n")[1:]
    first = units[0].splitlines()
    report(status == 0 and first[0].startswith("isPrime: TU of 4 instructions, 11 bytes;"), "translate isPrime",
           f"{status} {out[:300]!r} {err!r}")
    report([line.split("; ")[-1].strip() for line in first[1:]] == ["IDENT"] * 3 + ["control flow", "elided"],
           "isPrime: kinds", "; ".join(first))
    report(all(" ".join(line.split("|")[0].split()[1:]) == line.split("|")[1].split(";")[0].strip()
               for line in first[1:4]), "isPrime: IDENT is the same on both sides", "; ".join(first))
    starts = [unit.split(":")[0] for unit in units if unit.strip()]
    report(starts[:4] == ["isPrime", "isPrime+0xb", "isPrime+0x14", "isPrime+0x1a"] and "isPrime+0x20" in starts,
           "isPrime: fragments in the order of execution", f"{starts}")
    report("jl isPrime+0xb'" in out and "je isPrime+0x20'" in out and "[stub]" not in out, "isPrime: all are chained")
    report("; poll" in out, "isPrime: its loop polls")
    report("jmp [stub]" in ringside("translate", "--bt-no-chaining", "isprime", "isPrime")[1], "translate with a switch")
    _, one, _ = ringside("translate", "--bt-tu=1", "isprime", "isPrime")
    report("TU of 1 instruction," in one and "TU of 2" not in one, "translate with --bt-tu=1", one[:300])


def privileged():
    """What bt.md lists as done in the TC is: a callout would give the same results, and cost fifteen times as much."""
    for image in ("cr8wr", "clisti", "rdtsc"):
        status, out, err = ringside("translate", f"nano/{image}", "body")
        way = "IDENT" if image == "rdtsc" else "in-TC"
        report(status == 0 and f"; {way}" in out and "; callout" not in out, f"{image}: in the TC", f"{out} {err}")


def graph():
    status, out, err = ringside("translate", "--dot", "isprime", "isPrime")
    nodes = {line.split('"')[1] for line in out.splitlines() if "[label=" in line and "->" not in line}
    edges = [line.split('"')[1::2][:2] for line in out.splitlines() if "->" in line and "translator" not in line]
    report(status == 0 and out.startswith("digraph ccfs {\n") and out.endswith("}\n"), "--dot", err)
    report(len(nodes) >= 5 and len(edges) >= 8 and all(a in nodes and b in nodes for a, b in edges),
           "--dot: edges join nodes", out)


def refusals():
    cases = [(2, ("isprime", "isPrim"), "did you mean 'isPrime'?"), (2, ("isprime", "0x"), "bad address"),
             (2, ("isprime", "99999999999999999999"), "bad address"), (2, ("isprime",), "SYMBOL or ADDRESS"),
             (4, ("isprime", "0x800000000000"), "exception 13"), (4, ("isprime", "0xffff900000000000"), "exception 14"),
             (4, ("tests/cli/bt_view.py", "main"), "ELF"), (2, ("--bt-tu=0", "isprime", "isPrime"), "tu=0")]
    for want, args, text in cases:
        status, _, err = ringside("translate", *args)
        report(status == want and text in err and err.count("\n") == 1, f"translate {' '.join(args)}", f"{status} {err!r}")
    status, out, _ = ringside("translate", "isprime", "0")
    report(status == 0 and "biased" in out, "translate what is no code: it is looked at, not run")


def anywhere():
    """Addresses that nobody meant to be code, under switches that translate them in other ways."""
    chance = random.Random(7)
    places = [lambda: 0xFFFFFFFF80100000 + chance.randrange(1 << 17), lambda: chance.randrange(1 << 32),
              lambda: chance.randrange(1 << 64), lambda: 0xFEE00000 + chance.randrange(4096),
              lambda: 0x8000000000 + chance.randrange(1 << 20), lambda: (1 << 64) - chance.randrange(1, 20)]
    switches = [[], ["--bt-tu=1"], ["--bt-checked"], ["--bt-emulate=trap"], ["--bt-returns=table"], ["--dot"]]
    wrong = []
    for i in range(36):
        args = [*switches[i // 6], "isprime", hex(places[i % 6]())]
        status, _, err = ringside("translate", *args)
        if status not in (0, 4) or err.count("\n") > 1:
            wrong.append(f"{' '.join(args)}: {status} {err[-100:]}")
    report(not wrong, "translate anywhere: code or one line", "; ".join(wrong))


def main():
    status, _, err = ringside("run", "--engine=bt", "--append=reps=1 cycles=1000", "nano/idle")
    if status == UNAVAILABLE:
        print(f"skip {err.strip()}")
        return 0
    counters()
    adaptation()
    readable()
    is_prime()
    privileged()
    graph()
    refusals()
    anywhere()
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
