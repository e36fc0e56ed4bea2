#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`ringside compare`: interp and bt in step agree on images, timers and the guest Unix included, and a mistake made on
purpose is found at its very instruction. COMPARE=all (make check-compare): on every image, for a while each."""
import concurrent.futures
import glob
import json
import os
import subprocess
import sys

BUILD = os.environ.get("BUILD", "build")
RINGSIDE = os.environ.get("RINGSIDE", os.path.join(BUILD, "ringside"))
SHORT = "--append=reps=1 cycles=1000"
SAME, USAGE, UNAVAILABLE, NOT_YET, DIFFERENT = 0, 2, 3, 5, 10  # exit statuses; not yet: none until the time was up
AGREE = [f"build/images/{name}.elf" for name in (
    "nano/syscall", "nano/pgfault", "nano/asswitch", "nano/ptemod", "micro/forkwait", "test/apic", "test/hltwake",
    "test/interrupts", "test/stishadow", "test/singlestep", "test/steprep", "test/iret", "test/farcontrol", "test/pcid",
    "test/smc_self", "test/doublefault")]
# Two right engines differ there: what a TLB still holds, and the flags that a repeated scas or cmps faults with (AMD and
# Intel differ as well). In abuse_loop a single instruction writes 64 GiB.
MAY_DIFFER = ["paging_tlb", "spaces_random", "stringfault", "abuse_loop"]
WORKERS = 2
SECONDS = 240  # for an image, which takes some at most


def refused():
    """Images that bt does not run yet (tests/limits/bt)."""
    with open("tests/limits/bt", encoding="utf-8") as file:
        return [line.split(" | ")[0] for line in file if " | refused | " in line and not line.startswith("#")]


def compare(*arguments):
    done = subprocess.run([RINGSIDE, "compare", "--json", *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=SECONDS + 60)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace").strip()


def agree(path, engines, seconds, fine):
    """(ok or not, how many instructions were compared, what went wrong)"""
    status, out, err = compare(f"--engines={engines}", f"--timeout={seconds}", SHORT, path)
    count = json.loads(out)["instructions"] if out else 0
    return status in fine and count > 100, count, f"{path}: status {status} after {count} instructions: {err[-160:]}"


def check_agreement(engines, paths, seconds, fine):
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        results = list(pool.map(lambda path: agree(path, engines, seconds, fine), paths))
    wrong = [text for ok, _, text in results if not ok]
    total = sum(count for _, count, _ in results)
    return (f"not ok {engines}: {' | '.join(wrong)}" if wrong else
            f"ok {engines}: the same on {len(paths)} images, after each of {total} instructions")


def check_mistake(engines, where, step, image):
    status, out, err = compare(f"--engines={engines}", f"--fault={step}:{where}", SHORT, image)
    found = json.loads(out)["difference"] if status == DIFFERENT else None
    exact = found and found["instruction"] == step and len(found["path"]) == 16
    if exact and where.startswith("0x"):
        exact = found["state"] == [] and found["ram"]["address"] == where and found["ram"]["same_after"] == step - 1
    elif exact:
        exact = [field["name"] for field in found["state"]] == [where] and found["ram"] is None
    return (f"ok {engines}: a bit of {where} after instruction {step} is found there" if exact else
            f"not ok {engines}: a bit of {where} after instruction {step}: status {status}: {found} {err}")


def check_usage():
    for words, status, text in [(["--engines=bt"], USAGE, "two engines"), (["--engines=bt,bt"], USAGE, "twice"),
                                (["--fault=0:rbx"], USAGE, "--fault"), (["--fault=9:rbq"], USAGE, "--fault"),
                                (["--budget=500"], NOT_YET, "no difference"), (["--budget=x"], USAGE, "--budget")]:
        got, _, err = compare(*words, "nano/idle")
        well = got == status and text in err and "\n" not in err
        yield f"{'ok' if well else 'not ok'} compare {' '.join(words)}: status {got}: {err}"


def main():
    if compare("--budget=1", "nano/idle")[0] == UNAVAILABLE:
        print("skip engine bt cannot run here")
        return 0
    lines = list(check_usage())
    lines.append(check_mistake("interp,bt", "rbx", 1000, "nano/idle"))
    lines.append(check_mistake("bt,interp", "r15", 30001, "micro/forkwait"))
    lines.append(check_mistake("interp,bt", "0x400000", 2000, "nano/idle"))
    if os.environ.get("COMPARE") == "all":
        everything = sorted(path for path in glob.glob("build/images/*/*.elf")
                            if os.path.basename(path)[:-4] not in MAY_DIFFER + refused())
        lines.append(check_agreement("interp,bt", everything, 20, [SAME, NOT_YET]))
    else:
        lines.append(check_agreement("interp,bt", AGREE, SECONDS, [SAME]))
        lines.append(check_agreement("bt:checked:user=direct,interp", AGREE[-4:], SECONDS, [SAME]))
    print("\n".join(lines))
    return 1 if any(line.startswith("not") for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
