# SPDX-License-Identifier: BSD-2-Clause
"""A results file made up for tests, with known costs: every figure that comes out of it can be worked out by hand."""
import json

COLUMNS = {"native": "native", "interp": "interp: software TLB",
           "vtx": "vtx: kvm_soft (software back end, not hardware), shadow, in a VM"}
COUNTS = ["insns_kernel", "insns_user", "exits", "exit_pio", "exceptions", "true_faults", "syscalls", "tlb_invlpgs"]

# bench -> engine -> cycles an iteration
NANO = {"idle": {"interp": 0, "vtx": 0}, "syscall": {"interp": 410, "vtx": 3500}, "in": {"interp": 60, "vtx": 27000},
        "out": {"interp": 55, "vtx": 26500}, "cr8wr": {"interp": 20, "vtx": 1500},
        "callret": {"native": 4, "interp": 22, "vtx": 3000}, "pgfault": {"interp": 700, "vtx": 9000},
        "divzero": {"interp": 400, "vtx": 6100}, "ptemod": {"interp": 12, "vtx": 1600},
        "ptemod_p2np": {"interp": 40, "vtx": 3100}, "ptemod_np2p": {"interp": 45, "vtx": 3400},
        "rdtsc": {"interp": 40}, "cpuid": {"interp": 50, "vtx": 12000}, "clisti": {"interp": 20, "vtx": 3000},
        "wrmsr": {"interp": 40, "vtx": 2500}, "cr3wr": {"interp": 90, "vtx": 4500},
        "invlpg": {"interp": 70, "vtx": 2600}}
MICRO = {"crc": {"native": 5000, "interp": 60000, "vtx": 9000000}, "crc_user": {"interp": 61000, "vtx": 5100},
         "sort": {"native": 20000, "interp": 300000, "vtx": 30000000}, "sort_user": {"interp": 310000, "vtx": 20100}}
RETIRED = dict({bench: 1.125 for bench in NANO}, idle=0.125, syscall=2.125, pgfault=3.125, divzero=2.125,
               clisti=2.125, callret=2.125, cpuid=2.125)
EVENTS = {"in": {"exit_pio": 1, "exits": 1}, "out": {"exit_pio": 1, "exits": 1}, "syscall": {"syscalls": 1},
          "pgfault": {"exceptions": 1, "true_faults": 1}, "divzero": {"exceptions": 1}, "invlpg": {"tlb_invlpgs": 1}}


def sample(suite, bench, engine, process, cost, n=1000, reps=3):
    image = bench.removesuffix("_user")
    jitter = [1 + (process - 4) / 1000 + r / 10000 for r in range(reps)]
    counts = dict({"insns_kernel": RETIRED.get(bench, 500)}, **EVENTS.get(bench, {}))
    if bench.endswith("_user"):
        counts = {"insns_user": 500}
    one = lambda k: {e: 7 + v * n * k for e, v in counts.items()}
    count = lambda k: None if engine == "native" else [one(k)] * reps
    return {"type": "sample", "suite": suite, "image": image, "bench": bench, "engine": engine, "process": process,
            "cold": 10 * cost + 50, "n": n, "t1": [round(100 + n * (cost + 1) * j) for j in jitter],
            "t2": [round(100 + 2 * n * (cost + 1) * j) for j in jitter], "e1": [n] * reps, "e2": [2 * n] * reps,
            "counters_n": count(1), "counters_2n": count(2), "value": None}


def make(path, processes=9, complete=True, nano=None, micro=None):
    records = [{"type": "run", "version": 1, "time": "2026-01-02T03:04:05Z", "seed": 7, "quick": False,
                "runs": processes, "reps": 3, "cpu": 1,
                "machine": {"cpu_model": "Test CPU", "tsc_khz": 2500000, "hypervisor": "KVMKVMKVM", "kernel": "6.0",
                            "commit": "0123456789abcdef", "dirty": False, "compiler": "gcc 1", "unquiet": [],
                            "pmu": {"available": False, "reason": "no PMU"}}}]
    for engine, column in COLUMNS.items():
        records.append({"type": "engine", "name": engine, "available": True, "hardware": False, "column": column,
                        "reason": "", "counts": [] if engine == "native" else COUNTS})
    suites = {"nano": NANO if nano is None else nano, "micro": MICRO if micro is None else micro}
    for suite, benches in suites.items():
        for bench, by_engine in benches.items():
            if not bench.endswith("_user"):
                records.append({"type": "image", "suite": suite, "bench": bench, "sha256": "0",
                                "native": "native" in by_engine})
    for suite, benches in suites.items():
        for bench, by_engine in benches.items():
            for engine, cost in by_engine.items():
                records += [sample(suite, bench, engine, p, cost) for p in range(processes)]
    if "rdtsc" in suites["nano"]:
        records.append({"type": "failed", "suite": "nano", "image": "rdtsc", "bench": None, "engine": "vtx",
                        "process": 0, "status": 8, "reason": "KVM_EXIT_INTERNAL_ERROR at rdtsc"})
    if complete:
        records.append({"type": "end", "complete": True, "seconds": 1})
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    return path
