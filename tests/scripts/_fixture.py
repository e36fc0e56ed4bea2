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


# Benchmarks of processes: (suite, image) -> engine -> cycles an iteration.
PROCESS_COLUMNS = dict(COLUMNS, **{"bt": "bt: shadow", "bt:user=direct": "bt:user=direct: shadow",
                                   "bt:user=translated": "bt:user=translated: shadow", "bt:mmu=trace": "bt:mmu=trace: shadow"})
PROCESS = {("micro", "forkwait"): {"native": 100000, "interp": 900000, "bt": 400000, "bt:user=direct": 450000,
                                   "bt:user=translated": 410000, "bt:mmu=trace": 800000, "vtx": 20000000},
           ("micro", "getpid"): {"native": 200, "interp": 700, "bt": 1400, "bt:user=direct": 5000,
                                 "bt:user=translated": 1410, "bt:mmu=trace": 1390},
           ("macro", "serverN"): {"native": 10000, "interp": 90000, "bt": 20000, "bt:user=direct": 19000,
                                  "bt:user=translated": 50000, "bt:mmu=trace": 12000, "vtx": 8000000},
           ("user", "crc"): {"native": 2000, "interp": 20000, "bt": 2500}}


def sample(suite, bench, engine, process, cost, n=1000, reps=3, steady=False):
    image = bench.removesuffix("_user")
    jitter = [1 if steady else 1 + (process - 4) / 1000 + r / 10000 for r in range(reps)]
    counts = dict({"insns_kernel": RETIRED.get(bench, 500)}, **EVENTS.get(bench, {}))
    if bench.endswith("_user"):
        counts = {"insns_user": 500}
    one = lambda k: {e: 7 + v * n * k for e, v in counts.items()}
    count = lambda k: None if engine == "native" else [one(k)] * reps
    return {"type": "sample", "suite": suite, "image": image, "bench": bench, "engine": engine, "process": process,
            "cold": 10 * cost + 50, "n": n, "t1": [round(100 + n * (cost + 1) * j) for j in jitter],
            "t2": [round(100 + 2 * n * (cost + 1) * j) for j in jitter], "e1": [n] * reps, "e2": [2 * n] * reps,
            "counters_n": count(1), "counters_2n": count(2), "value": None}


def heads(columns, processes):
    """The records before the images."""
    records = [{"type": "run", "version": 1, "time": "2026-01-02T03:04:05Z", "seed": 7, "quick": False,
                "runs": processes, "reps": 3, "cpu": 1,
                "machine": {"cpu_model": "Test CPU", "tsc_khz": 2500000, "hypervisor": "KVMKVMKVM", "kernel": "6.0",
                            "commit": "0123456789abcdef", "dirty": False, "compiler": "gcc 1", "unquiet": [],
                            "pmu": {"available": False, "reason": "no PMU"}}}]
    for engine, column in columns.items():
        records.append({"type": "engine", "name": engine, "available": True, "hardware": False, "column": column,
                        "reason": "", "counts": [] if engine == "native" else COUNTS})
    return records


def write(path, records):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    return path


def make_process(path, processes=6):
    records = heads(PROCESS_COLUMNS, processes)
    for (suite, bench), by_engine in PROCESS.items():
        records.append({"type": "image", "suite": suite, "bench": bench, "sha256": "0", "native": True})
        for engine, cost in by_engine.items():
            instructions = 1000 * (4000 if bench == "crc" else 3000)
            made = [sample(suite, bench, engine, p, cost, steady=True) for p in range(processes)]
            for s in made if bench != "getpid" and engine != "native" else []:
                for name, factor in (("counters_n", 1), ("counters_2n", 2)):
                    s[name] = [{"syscalls": 3 * 1000 * factor, "true_faults": 12 * 1000 * factor, "insns_kernel": instructions * factor}] * 3
            records += made
    records.append({"type": "failed", "suite": "micro", "image": "getpid", "bench": None, "engine": "vtx",
                    "process": 0, "status": 5, "reason": "did not end within 10.0 s"})
    return write(path, records + [{"type": "end", "complete": True, "seconds": 1}])


def make_peers(path):
    """forkwait by the host's clock: 50 us natively, 200 on bt, 400 under QEMU."""
    records = heads({"native": "native", "bt": "bt: shadow", "qemu-tcg": "QEMU TCG"}, 1)
    records[0].update(tool="peers", seconds=1)
    for engine, ns in (("native", 50_000), ("bt", 200_000), ("qemu-tcg", 400_000)):
        records += [{"type": "sample", "suite": "micro", "image": bench, "bench": bench, "engine": engine, "n": 10,
                     "t1": [1], "t2": [2], "run_n_ns": [10 * ns], "run_2n_ns": [20 * ns]} for bench in ("forkwait", "crc")]
    records += [{"type": "once", "suite": "micro", "image": "forkwait", "engine": engine, "count": 40000, "ns": ns,
                 "reason": reason} for engine, ns, reason in
                (("bt", 8_250_000_000, None), ("qemu-tcg", None, "not run: over 30 s"))]
    return write(path, records)


def make_linux(path):
    """Debian's kernel as the guest: forkwait 100 cycles natively, 180 on bt; boots of 2 and 3 s, QEMU's of 4 and 6."""
    records = heads({"native": "native", "bt": "bt: shadow", "qemu-tcg": "QEMU TCG"}, 1)
    records[0].update(tool="linux")
    records.append({"type": "kernel", "kernel": "6.1", "words": "quiet"})
    for engine, seconds in (("bt", (2, 3)), ("qemu-tcg", (4, 6))):
        records += [{"type": "boot", "suite": "linux", "engine": engine, "init_ns": s * 10**9, "wall_ns": 1} for s in seconds]
    for engine, cycles in (("native", 100), ("bt", 180)):
        records.append({"type": "sample", "suite": "micro", "image": "forkwait", "bench": "forkwait", "engine": engine, "process": 0, "n": 10,
                        "t1": [10 * cycles], "t2": [20 * cycles], "counters_n": [{"syscalls": 30}], "counters_2n": [{"syscalls": 60}]})
    return write(path, records)


def make_boot(path):
    """Boots whose Figure 5 can be worked out by hand: TSC 2.5 GHz, so 2,500,000 cycles are a millisecond."""
    columns = {"native": "native", "interp": "interp: software TLB", "bt": "bt: shadow", "bt:mmu=trace": "bt:mmu=trace: shadow"}
    records = heads(columns, 3)
    records[0].update(tool="boot")
    for record in records[1:]:
        record["counts"] = {"interp": COUNTS + ["returns", "cr8_writes", "tlb_flushes"], "native": []}.get(
            record["name"], ["exit_pio", "syscalls", "true_faults", "exceptions", "traced_writes", "tlb_flushes"])
    costs = {"syscall": 2500, "in": 500, "out": 300, "cr8wr": 1, "callret": 7, "pgfault": 10000, "ptemod": 100,
             "divzero": 12000, "cr3wr": 500, "invlpg": 200}
    for bench, cycles in costs.items():
        records += [sample("nano", bench, "bt", p, cycles, steady=True) for p in range(3)]
    records += [sample("nano", "callret", "native", p, 2, steady=True) for p in range(3)]
    for engine, cycles in (("native", 250), ("interp", 5000)):
        records += [sample("micro", "sort", engine, p, cycles, steady=True) for p in range(3)]
    exact = {"insns_kernel": 4_000_000, "insns_user": 1_000_000, "returns": 50_000, "cr8_writes": 7, "tlb_flushes": 1000}
    shared = {"syscalls": 1000, "exit_pio": 5000, "true_faults": 500, "exceptions": 501, "tlb_flushes": 1000}
    for p in range(3):
        for engine, ns, counters in (("interp", 50_000_000, dict(shared, **exact)),
                                     ("bt", 12_000_000 + p, dict(shared, traced_writes=20)),
                                     ("bt:mmu=trace", 14_000_000, dict(shared, traced_writes=2520))):
            records.append({"type": "boot", "suite": "macro", "image": "boothalt", "engine": engine, "process": p,
                            "wall_ns": ns + 10_000_000, "idle_ns": 10_000_000, "counters": counters, "stats": {"cycles": 5_000_000} if engine == "bt" else {}})
    return write(path, records + [{"type": "end", "complete": True}])


# bench -> exits by reason of one iteration, with shadow paging and with nested; `None`: this CPU does not have it.
EXITS = {("nano", "idle"): ({}, {}), ("nano", "in"): ({"hw_io": 1}, {"hw_io": 1}),
         ("nano", "pgfault"): ({"hw_page_fault": 1}, {}), ("nano", "asswitch_pcid"): (None, None),
         ("micro", "forkwait"): ({"hw_page_fault": 40, "hw_cr": 4}, {"hw_nested_fault": 2})}


def make_exits(path, wobble=0, wrong=0):
    """Two processes on two back ends, three repetitions each, of which the first has three exits more. wobble: exits more in
    the second process's last repetition of `pgfault`; wrong: exits that KVM's own statistic has too many of."""
    counts = ["exits", "kvm_exits", "kvm_pf_fixed", "hw_exits", "hw_interrupt", "hw_page_fault", "hw_nested_fault", "hw_io", "hw_cr",
              "hw_other"]
    names = {"kvm_soft:npt=0": "shadow (npt=0)", "kvm_soft:npt=1": "nested (npt)"}
    records = [{"type": "run", "version": 1, "tool": "exits", "time": "2026-01-02T03:04:05Z", "runs": 2, "reps": 3,
                "machine": {"commit": "0123456789abcdef", "dirty": False}}]
    records += [{"type": "engine", "name": name, "available": True, "hardware": True, "backend": "kvm_soft", "paging": paging,
                 "column": f"kvm_soft, {paging}, Emulator", "counts": counts} for name, paging in names.items()]
    records += [{"type": "image", "suite": s, "bench": "asswitch" if b == "asswitch_pcid" else b} for s, b in EXITS]
    records += [{"type": "kernel", "engine": name, "kernel": "6.0", "emulator": "emu 1"} for name in names]
    for (suite, bench), by_paging in EXITS.items():
        for name, reasons in zip(names, by_paging):
            for boot in range(2):
                common = {"suite": suite, "image": bench.removesuffix("_pcid"), "bench": bench, "engine": name, "process": boot}
                if reasons is None:
                    records.append(dict(common, type="skipped", reason="no PCID"))
                    continue

                def window(times, more=0):
                    made = {k: v * 10 * times for k, v in reasons.items()}
                    made["hw_io"] = made.get("hw_io", 0) + 1 + (more if bench == "pgfault" else 0)
                    made["hw_interrupt"] = 3 * times + boot
                    made["hw_exits"] = sum(made.values())
                    return dict(made, kvm_exits=made["hw_exits"] + wrong, exits=1, kvm_pf_fixed=made.get("hw_page_fault", 0))
                records.append(dict(common, type="sample", n=10, t1=[], t2=[], e1=None, e2=None, cold=None, value=None,
                                    counters_n=[window(1), window(1), window(1)],
                                    counters_2n=[window(2, 30), window(2), window(2, 10 * wobble if boot else 0)]))
    return write(path, records + [{"type": "end", "complete": True, "seconds": 1}])


def make(path, processes=9, complete=True, nano=None, micro=None):
    records = heads(COLUMNS, processes)
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
    return write(path, records)
