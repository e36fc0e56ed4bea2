#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Adds up what several runs of check_cpu have written with --json: cpu_totals.py FILE... One run of many cases may so be
many runs, of other seeds, at other times. A line for each engine and one for each seed; --json has all of it, row by row.

The same case twice is an error: seeds are compared, and of the same seed the numbers of the cases, which an interrupted
run with several workers does not have one after the other. Exit status: 0 nothing differed, 1 something did, 2 usage."""
import argparse
import json
import sys


class Unusable(Exception):
    pass


def read(path):
    """The runs in a file."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        if found["check"] != "cpu":
            raise KeyError("check")
        return [dict(run, file=path) for run in found["engines"] if "skipped" not in run]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unusable(f"{path}: not what check_cpu --json writes ({error})") from error


def no_case_twice(runs):
    for i, a in enumerate(runs):
        for b in runs[:i]:
            if (a["engine"], a["seed"]) != (b["engine"], b["seed"]):
                continue
            apart = a["first"] + a["cases"] <= b["first"] or b["first"] + b["cases"] <= a["first"]
            if not apart or a["interrupted"] or b["interrupted"]:
                raise Unusable(f"{a['file']} and {b['file']}: cases of {a['engine']}, seed {a['seed']}, would count twice")


def summed(maps):
    total = {}
    for one in maps:
        for key, value in one.items():
            total[key] = total.get(key, 0) + value
    return total


def add(runs):
    """One engine's runs as one."""
    rows, variations = {}, {}
    for run in runs:
        for row in run["rows"]:
            known = rows.setdefault(row["row"], dict(row, cases=0, compared=0))
            known["cases"] += row["cases"]
            known["compared"] += row["compared"]
        for v in run["variations"]:
            known = variations.setdefault(v["name"], dict(v, against_host=0, against_interp=0))
            known["against_host"] += v["against_host"]
            known["against_interp"] += v["against_interp"]
    return {"engine": runs[0]["engine"],
            "runs": [{key: run[key] for key in ("seed", "first", "cases", "seconds", "interrupted")} for run in runs],
            **{key: sum(run[key] for run in runs) for key in ("cases", "faults", "crashes", "hangs")},
            "verdicts": summed(run["verdicts"] for run in runs),
            "variations": list(variations.values()), "rows": list(rows.values())}


def totals(runs):
    no_case_twice(runs)
    engines = dict.fromkeys(run["engine"] for run in runs)
    return [add([run for run in runs if run["engine"] == engine]) for engine in engines]


def found(total):
    lost = sum(count for what, count in total["verdicts"].items() if "the judge's process" in what)
    return total["verdicts"].get("different", 0) + total["crashes"] + total["hangs"] + lost


def say(total):
    rows = [row for row in total["rows"] if row["on_host"]]
    seen = [row["compared"] for row in rows if row["compared"]]
    never = [row["row"] for row in rows if not row["compared"]]
    yield (f"{total['engine']}: {total['cases']:,} cases, {len(total['runs'])} runs: {total['verdicts'].get('different', 0)} differ, "
           f"{total['crashes']} crashes, {total['hangs']} without end; {total['faults']:,} faults; {len(seen)} rows and "
           f"kinds compared, the fewest {min(seen, default=0):,} times" + (f"; never: {', '.join(never[:12])}" if never else ""))
    for run in total["runs"]:
        yield (f"  seed {run['seed']}: {run['cases']:,} cases" + (f" from {run['first']:,}" if run["first"] else "") +
               (", interrupted" if run["interrupted"] else ""))
    for what, count in total["verdicts"].items():
        if count and what not in ("same", "different"):
            yield f"  {count:,} {what}"
    for v in total["variations"]:
        if v["against_host"] + v["against_interp"]:
            yield f"  may vary, {v['against_host'] + v['against_interp']:,} times: {v['name']}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="+")
    parser.add_argument("--json", metavar="FILE", help="the sums, in JSON")
    arguments = parser.parse_args()
    try:
        runs = [run for path in arguments.file for run in read(path)]
        if not runs:
            raise Unusable("no engine has run")
        all_of_them = totals(runs)
    except Unusable as error:
        print(f"cpu_totals.py: {error}", file=sys.stderr)
        return 2
    for total in all_of_them:
        print("\n".join(say(total)))
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"check": "cpu totals", "engines": all_of_them}, file, indent=1)
    return 1 if any(found(total) for total in all_of_them) else 0


if __name__ == "__main__":
    sys.exit(main())
