# SPDX-License-Identifier: BSD-2-Clause
"""Results of the five labs as a student would have them on a quiet machine, made up: of each lab the benchmarks with what an
iteration costs and does on each engine, whole runs, boots, and predictions that fit."""
import _fixture

PROCESSES, N, REPS = 8, 1000, 2
T, D, TR = "bt:user=translated", "bt:user=direct", "bt:user=translated:mmu=trace"
TRACE, NO_ADAPT = "bt:mmu=trace", "bt:mmu=trace:no-adapt"
RETIRED = {"crc": 8199, "fib": 44704, "hash": 4949, "isprime": 16221, "memcpy": 2568, "sieve": 58578, "sort": 29664}
NATIVE = {"crc": 0.6, "fib": 0.2, "hash": 0.2, "isprime": 0.42, "memcpy": 0.17, "sieve": 0.13, "sort": 0.1}  # cycles an instruction


def cell(cost, **rates):
    return cost, rates


def insns(number, **more):
    return dict(more, insns_kernel=number, insns_user=0)


def lab1():
    """(suite, bench) -> engine -> (cycles, events) of an iteration."""
    costs = {"cr8wr": 2, "callret": 13, "in": 18, "syscall": 78, "divzero": 250, "asswitch": 1275}
    more = {"in": {"exits": 1, "exit_pio": 1}, "callret": {"returns": 1, "exits": 0}, "divzero": {"exceptions": 1}}
    cells = {("nano", b): {"interp": (costs[b], insns(r, **more.get(b, {})))} for b, r in
             {"cr8wr": 1.125, "callret": 2.125, "in": 1.125, "syscall": 2.125, "divzero": 2.125, "asswitch": 60.125}.items()}
    cells |= {("micro", k): {"interp": (2.4 * r, insns(r)), "native": (NATIVE[k] * r, {})} for k, r in RETIRED.items()}
    cells["lab", "count"] = {"interp": (20, insns(6.125, returns=1, exceptions=0, exit_pio=0))}
    return cells, {"count.instructions": "6.125", "count.returns": "1", "count.exceptions": "0", "count.exits": "0",
                   "order": "cr8wr < in < syscall < divzero < asswitch", "slowdown.least": "crc", "sort_by_fib": "0.66"}


def lab2():
    cells = {("nano", b): {"interp": (10, insns(1)), "vtx": (9000, {"exits": e, "exit_pio": e})} for b, e in {"in": 1, "cpuid": 0}.items()}
    cells["process", "forkwait"] = {"interp": (20000, insns(2700, tlb_flushes=3))}
    cells["lab", "exits"] = {"interp": (40, insns(4, exit_pio=1))}
    counts = {"syscall": "00", "in": "11", "cr8wr": "00", "cpuid": "11", "pgfault": "10", "ptemod": "00", "cr3wr": "10", "invlpg": "10"}
    predictions = {f"{word}.{bench}": both[i] for bench, both in counts.items() for i, word in enumerate(("shadow", "nested"))}
    return cells, dict(predictions, **{"shadow.forkwait.cr": "3", "exits.pio": "1", "exits.shadow": "3", "exits.nested": "2"})


def lab3():
    cells = {}
    for bench, cost, writes in (("cowstorm", 1200, 2), ("mmapstorm", 850, 2), ("forkwait", 4000, 16)):
        cells["process", bench] = {"interp": (4 * cost, {"true_faults": 1, "tlb_misses": 9}),
                                   T: cell(cost, true_faults=1, hidden_faults=0, traced_writes=0),
                                   D: cell(20 * cost, true_faults=1, hidden_faults=1, traced_writes=0),
                                   TR: cell(2 * cost, true_faults=1, hidden_faults=0, traced_writes=writes)}
    cells["nano", "pgfault"] = {"bt": cell(9000, true_faults=1, hidden_faults=0, trap_memory=1)}
    cells["nano", "ptemod"] = {"bt": cell(1, traced_writes=0), TRACE: cell(200, traced_writes=1)}
    cells["lab", "faults"] = {"interp": cell(90, tlb_misses=2), "bt": cell(18000, hidden_faults=2, true_faults=0),
                              TRACE: cell(19000, traced_writes=1)}
    return cells, {"faults.hidden": "2", "faults.true": "0", "faults.traced": "1", "faults.tlb": "2", "mmapstorm.true": "1",
                   "mmapstorm.hidden.direct": "1", "mmapstorm.hidden.translated": "0"}


def lab4():
    cells = {("nano", "ptemod"): {"bt": cell(0.3, traced_writes=0),
                                  TRACE: cell(120, traced_writes=1, trap_memory=0, insns_decoded=0, callout_memory=1),
                                  NO_ADAPT: cell(10000, traced_writes=1, trap_memory=1, insns_decoded=1, callout_memory=1)},
             ("lab", "calm"): {TRACE: cell(120000, callout_memory=1001), NO_ADAPT: cell(15000, callout_memory=1)},
             ("lab", "stop"): {TRACE: cell(5000, callout_memory=0)}}
    return cells, {"ptemod.traps.before": "1", "ptemod.traps.after": "0", "calm.checked": "1001", "calm.reversions": "2",
                   "stop.reversions": "3", "stop.checked": "0"}


WHOLES = {("nano", "ptemod", TRACE): {"adaptations": 23}, ("nano", "ptemod", NO_ADAPT): {},
          ("lab", "calm", TRACE): {"reversions": 2}, ("lab", "stop", TRACE): {"reversions": 3}}


def lab5():
    """A TSC of 2.5 GHz: 2,500,000 cycles are a millisecond."""
    cells = {("nano", b): {"bt": (c, {}), "native": (2, {})} if b == "callret" else {"bt": (c, {})} for b, c in
             {"syscall": 130, "in": 50, "out": 50, "cr8wr": 1, "callret": 4, "pgfault": 10000, "ptemod": 1, "divzero": 8000, "cr3wr": 170,
              "invlpg": 170}.items()}
    cells |= {("micro", k): {"interp": (2.4 * r, insns(r)), "native": (NATIVE[k] * r, {})} for k, r in RETIRED.items()}
    cells["process", "forkwait"] = {"interp": (20000, insns(2700)), "bt": cell(4000)}
    cells["lab", "straight"] = {"interp": (2200, insns(1002, exit_pio=0)), "bt": cell(200, exit_pio=0)}
    return cells, {"boot.bt.ms": "4", "boot.interp.ms": "8", "boot.faster": "bt", "boot.largest": "translate", "straight.passes": "1",
                   "exit.cycles": "200"}


BOOTS = {"interp": (7_500_000, insns(5_000_000, syscalls=409, exit_pio=190, true_faults=119, exceptions=119, returns=6000, cr8_writes=0,
                                     tlb_flushes=55, tlb_invlpgs=59)),
         "bt": (5_400_000, {"syscalls": 409, "exit_pio": 190, "true_faults": 119, "exceptions": 119, "tlb_flushes": 55, "tlb_invlpgs": 59,
                            "traced_writes": 0}),
         TRACE: (7_300_000, {"traced_writes": 1961})}
CELLS = {1: lab1, 2: lab2, 3: lab3, 4: lab4, 5: lab5}


def samples(suite, bench, engine, cost, rates):
    """One sample a process; costs differ by parts in a thousand."""
    for process in range(PROCESSES):
        jitter = 1 + process / 1000
        times = {f"t{k}": [round(100 + k * N * (cost + 1) * jitter)] * REPS for k in (1, 2)}
        counts = {f"counters_{'2n' if k == 2 else 'n'}": None if engine == "native" else
                  [{e: round(5 + r * N * k) for e, r in rates.items()} for _ in range(REPS)] for k in (1, 2)}
        yield dict({"type": "sample", "suite": suite, "image": bench, "bench": bench, "engine": engine, "process": process, "n": N,
                    "cold": 10 * cost, "e1": [N] * REPS, "e2": [2 * N] * REPS, "value": None}, **times, **counts)


def run_records(number):
    """The records of a run of a lab, without the one that `lab.py measure` adds."""
    cells, _ = CELLS[number]()
    counted = {}
    for by_engine in cells.values():
        for engine, (_, rates) in by_engine.items():
            counted.setdefault(engine, set()).update(rates)
    if number == 5:
        for engine, (_, counters) in BOOTS.items():
            counted.setdefault(engine, set()).update(counters)
    records = _fixture.heads({e: e for e in counted}, PROCESSES)
    for record in records[1:]:
        software = {"backend": "kvm_soft", "paging": "software shadow"} if record["name"] == "vtx" else {}
        record.update(software, counts=sorted(counted[record["name"]]))
    records += [{"type": "image", "suite": s, "bench": b, "native": "native" in by} for (s, b), by in cells.items()]
    for (suite, bench), by_engine in cells.items():
        for engine, (cost, rates) in by_engine.items():
            records += samples(suite, bench, engine, cost, rates)
    if number == 4:
        records += [{"type": "whole", "suite": s, "image": i, "engine": e, "counters": dict(c), "reason": ""} for (s, i, e), c in WHOLES.items()]
    if number == 5:
        records += [{"type": "boot", "suite": "macro", "image": "boothalt", "engine": e, "process": p, "wall_ns": ns + 1000 * p, "idle_ns": 0,
                     "counters": dict(c), "stats": {"cycles": 9_000_000} if e == "bt" else {}}
                    for e, (ns, c) in BOOTS.items() for p in range(PROCESSES)]
    return records + [{"type": "end", "complete": True, "seconds": 1}]


def own_exits():
    """Exits of a student's image lab/exits, as scripts/exits.py counts them."""
    engines = {"kvm_soft:npt=0": ("shadow (npt=0)", {"hw_io": 1, "hw_cpuid": 1, "hw_invlpg": 1}),
               "kvm_soft:npt=1": ("nested (npt)", {"hw_io": 1, "hw_cpuid": 1})}
    records = [{"type": "run", "version": 1, "tool": "exits", "runs": 1, "machine": {}}]
    for name, (paging, reasons) in engines.items():
        records.append({"type": "engine", "name": name, "paging": paging, "counts": sorted(reasons) + ["hw_exits", "kvm_exits"]})
        windows = [dict({e: v * 10 * k for e, v in reasons.items()}, hw_exits=10 * k * len(reasons), kvm_exits=10 * k * len(reasons))
                   for k in (1, 2)]
        records.append({"type": "sample", "suite": "lab", "image": "exits", "bench": "exits", "engine": name, "process": 0, "n": 10,
                        "t1": [], "t2": [], "counters_n": [windows[0]] * 3, "counters_2n": [windows[1]] * 3})
    return records


def predictions(number):
    return CELLS[number]()[1]
