# SPDX-License-Identifier: BSD-2-Clause
"""The sections of the report that hold no measurement: the machine, method and threats, and what the page was made from."""
import hashlib
import os
import re

import peers_table
import results
import table
from report_sections import FILES

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
# Keys of a run's `machine` record (docs/results.md), in the order of the table, and those that are tables of their own.
MACHINE = {"cpu_model": "CPU", "vendor": "vendor", "family": "family", "model": "model", "stepping": "stepping",
           "microcode": "microcode", "cpus": "CPUs online", "hypervisor": "hypervisor", "tsc_khz": "TSC, kHz",
           "tsc_khz_from": "known from", "constant_tsc": "constant TSC", "nonstop_tsc": "nonstop TSC", "kernel": "kernel",
           "governor": "governor", "boost": "boost", "kvm": "kvm modules", "pmu": "PMU", "load_average": "load before the run",
           "unquiet": "warnings", "compiler": "compiler", "commit": "commit of Ringside", "dirty": "with local changes", "capstone": "Capstone"}
NESTED = {"Mitigations of CPU vulnerabilities": lambda m: m.get("mitigations") or {},
          "Parameters of the kvm modules": lambda m: (m.get("kvm") or {}).get("parameters") or {}}


# ---- Machine ----

def machine_text(key, value):
    if value is None or value == []:
        return "none" if key in ("unquiet", "hypervisor") else "not known"
    if key == "load_average":
        return " ".join(f"{load:.2f}" for load in value)
    if key == "kvm":
        return ", ".join(value.get("modules") or []) or "none"
    if key == "pmu":
        return ", ".join(value.get("events") or []) if value.get("available") else f"none: {value.get('reason')}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return str(value)


def safe(text):
    """For a cell: a bar would end it."""
    return text.replace("|", "/") or "-"


def machine_table(items, keys, of):
    """A row a key; a value that is not the same in all files says in which it stands."""
    rows = []
    for key, name in keys.items():
        values = {}
        for item in items:
            values.setdefault(safe(machine_text(key, of(item.run).get(key))), []).append(item.kind)
        rows.append([name, "; ".join(f"{value} ({', '.join(found)})" if len(values) > 1 else value for value, found in values.items())])
    return table.markdown(["what", "as recorded"], rows)


def machine(page, context):
    items = [item for item in context.files.values() if item.kind != "exits"]
    if not items:
        return page.text("No file says on what machine: exits are counted in emulated ones.", "missing")
    page.text(f"{results.machine_line(items[0].run)}.")
    words = "In brackets: in which results files it is so, where they differ."
    page.lines(machine_table(items, MACHINE, lambda run: run.machine), "The machine, as the program recorded it", None, words)
    for key, of in NESTED.items():
        names = sorted({name for item in items for name in of(item.run.machine)})
        if names:
            page.details(key)
            page.lines(machine_table(items, {n: n for n in names}, lambda run, of=of: of(run.machine)), f"{key}, as the kernel says", None, words)
            page.end_details()
    page.details("How each file was measured, and on which engines")
    page.raw('<div class="runs">')
    for item in items:
        page.raw("<div>")
        page.heading(FILES[item.kind])
        page.lines([f"- {line.strip()}" for line in scope_of(item.run)] + table.engine_list(item.run))
        page.raw("</div>")
    page.raw("</div>")
    page.end_details()
    return None


def scope_of(run):
    return peers_table.scope(run) if run.header.get("tool") == "peers" else table.scope(run)


# ---- Method ----

def prose(name):
    """The lines below a heading of PAPER.md, up to the next one of its level or above."""
    with open(os.path.join(ROOT, "PAPER.md"), encoding="utf-8") as file:
        text = file.read()
    head = re.search(rf"^(#+) {name}\b.*\n", text, re.M)
    if not head:
        return []
    rest = re.split(rf"^#{{1,{len(head.group(1))}}} ", text[head.end():], 1, re.M)[0]
    return re.sub(r"<!-- generated.*?<!-- end -->", "", rest, flags=re.S).strip().split("\n")


def method(page, context):
    """In the words of PAPER.md, which has the place for them."""
    for title in ("Method", "Threats"):
        lines = prose(title)
        page.heading({"Method": "How a figure is taken", "Threats": "Threats to validity"}[title])
        if lines:
            page.lines(lines)
        else:
            page.text(f"PAPER.md has no section {title} here.", "missing")
    page.text("The paper: K. Adams and O. Agesen, [*A Comparison of Software and Hardware Techniques for x86 "
              "Virtualization*](https://doi.org/10.1145/1168857.1168860), ASPLOS 2006.")


# ---- Data ----

def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def files_table(files):
    rows = []
    for item in files.values():
        run = item.run
        end = "complete" if run.end and run.end.get("complete") else "interrupted"
        records = len(run.samples) + len(run.boots) + len(run.translations) + len(run.once)
        runs = f"{item.runs}, the last is shown" if item.runs > 1 else str(item.runs)
        rows.append([f"`{item.name}`", f"`{sha256(item.path)}`", f"{os.path.getsize(item.path):,}", runs, str(run.header.get("time")),
                     str(records), str(len(run.failed)), end])
    return table.markdown(["file", "SHA-256", "bytes", "runs", "time of the run", "records", "failed", "end"], rows)


def images_table(files):
    """Image -> SHA-256; one row for each that differs between files."""
    seen = {}
    for item in files.values():
        for (_, bench), record in item.run.images.items():
            key = (record["suite"], bench, record.get("sha256"), record.get("native_sha256"))
            if record.get("sha256"):
                seen.setdefault(key, []).append(item.kind)
    rows = [[f"{suite}/{bench}", f"`{digest}`", f"`{native}`" if native else "none", ", ".join(kinds)]
            for (suite, bench, digest, native), kinds in sorted(seen.items(), key=lambda pair: pair[0][:3])]
    return table.markdown(["image", "SHA-256 of the image", "of the native program", "ran in"], rows) if rows else []


def data(page, context):
    page.text("Every figure on this page is made by `scripts/report.py` from these files and from results/reference (the paper's figures).")
    page.lines(files_table(context.files), "Results files", None, "Heads as docs/results.md has them.")
    page.details("Images: the same bytes ran on every engine of a run")
    page.lines(images_table(context.files), "Images", None, "Last column: the results files in which these bytes ran.")
    page.end_details()
