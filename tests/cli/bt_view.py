#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the translator says of itself: counters under each switch, and `run --bt-stats`."""
import json
import os
import subprocess
import sys

BUILD = os.environ.get("BUILD", "build")
RINGSIDE = os.environ.get("RINGSIDE", os.path.join(BUILD, "ringside"))
UNAVAILABLE = 3
failed = 0


def report(ok, what, detail=""):
    global failed
    failed += not ok
    print(f"{'ok' if ok else 'not ok'} {what}" + (f": {detail}" if detail and not ok else ""), flush=True)


def ringside(*args):
    done = subprocess.run([RINGSIDE, *args], stdin=subprocess.DEVNULL, capture_output=True, timeout=100)
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
    report(checked["callout_memory"] > fast["callout_memory"] + 1000 and not checked.get("adaptations"), "checked",
           f"{fast} {checked}")


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


def main():
    status, _, err = ringside("run", "--engine=bt", "--append=reps=1 cycles=1000", "nano/idle")
    if status == UNAVAILABLE:
        print(f"skip {err.strip()}")
        return 0
    counters()
    adaptation()
    readable()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
