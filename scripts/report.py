#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""One HTML page that stands alone, from a results file and those that belong to it.

Beside NAME.jsonl (or any of them) NAME-process, -boot, -ablation, -translation, -peers and -linux are taken, and, for what is counted in
emulated machines and for Linux as the guest, the newest results/*-exits-*.jsonl and *-linux.jsonl where none is named. Without a name: the newest run of results/local, or the
published one where there is none. Exit status: 0 a page, 1 a file that cannot be read or written, 2 usage."""
import argparse
import glob
import html
import os
import re

import entry
import figures
import kinds
import paper
import report_answer
import report_claims
import report_model
import report_rest
import report_sections as sections
import results
from report_html import Page, inline, legend

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SUFFIXES = ["process", "boot", "ablation", "translation", "peers", "linux", "exits"]
SECTIONS = [("answer", "The answer", report_answer.section), ("claims", "The paper's claims", report_claims.section),
            ("nano", "Single operations", sections.nano),
            ("micro", "Kernels that compute", sections.micro), ("processes", "Processes and servers", sections.processes),
            ("boot", "A boot: Figure 5", sections.boot), ("ablation", "What each technique is worth", sections.techniques),
            ("translation", "What is translated", sections.translations), ("peers", "Against QEMU and Bochs", sections.peers),
            ("linux", "Debian's kernel as the guest", sections.linux_guest),
            ("exits", "Hardware exits, counted", sections.counted_exits), ("model", "Model against measurement", report_model.section),
            ("machine", "The machine", report_rest.machine), ("method", "Method and threats", report_rest.method),
            ("data", "Raw data", report_rest.data)]


# ---- Files ----

class Item:
    """One results file: its last run."""

    def __init__(self, path):
        runs = results.load(path)
        self.path, self.run, self.runs = path, runs[-1], len(runs)
        self.kind = figures.sort_of(self.run)
        self.name = os.path.relpath(path, ROOT) if not os.path.relpath(path, ROOT).startswith("..") else os.path.basename(path)
        if self.kind not in sections.FILES:
            raise ValueError(f"{path}: a run of `{self.kind}`, which no section shows")


def base_of(path):
    """results/NAME of results/NAME-process.jsonl."""
    return re.sub(rf"(-({'|'.join(SUFFIXES)}))?\.jsonl$", "", path)


def published():
    """The run that PAPER.md is made from."""
    with open(os.path.join(ROOT, "PAPER.md"), encoding="utf-8") as file:
        found = {name: path for name, path, _ in paper.BLOCK.findall(file.read())}
    if found.get("nano", paper.NONE) == paper.NONE:
        raise ValueError("PAPER.md names no published run: give a results file")
    return os.path.join(ROOT, found["nano"])


def newest_local():
    """The newest run of results/local that is more than one technique against another, or None."""
    found = glob.glob(os.path.join(ROOT, "results/local/*.jsonl"))
    whole = [path for path in found if base_of(path) + ".jsonl" == path]
    return max(whole or found, key=os.path.getmtime, default=None)


def gathered(paths):
    """Kind -> Item: the files that are named, then those beside them, then the exits that are committed."""
    files = {}
    for path in paths:
        item = Item(path)
        if item.kind in files:
            raise ValueError(f"{path} and {files[item.kind].path} are both of {sections.FILES[item.kind]}: one page shows one run")
        files[item.kind] = item
    beside = [f"{base_of(path)}{suffix}.jsonl" for path in paths for suffix in [""] + [f"-{s}" for s in SUFFIXES]]
    for committed in ("*-exits-*.jsonl", "*-linux.jsonl"):
        beside += sorted(glob.glob(os.path.join(ROOT, "results", committed)))[-1:]
    for path in beside:
        if os.path.exists(path) and not any(os.path.samefile(path, item.path) for item in files.values()):
            item = Item(path)
            files.setdefault(item.kind, item)
    return {kind: files[kind] for kind in sections.FILES if kind in files}


class Context:
    """What the sections are made from."""

    def __init__(self, files):
        self.files, self.pictures = files, sections.pictures(files)
        self.base = os.path.basename(base_of(next(iter(files.values())).path))

    def run(self, kind):
        return self.files[kind].run if kind in self.files else None

    def of_suite(self, suite):
        """The run, of the two that `make bench` makes, that has benchmarks of the suite; or None."""
        return next((self.run(k) for k in ("bench", "process") if self.run(k) and suite in self.run(k).suites()), None)

    def missing(self, page, kind):
        what, command = sections.FILES[kind], figures.COMMAND_OF[kind]
        if kind in self.files:
            page.text(f"`{self.files[kind].name}` has nothing for this section.", "missing")
        else:
            page.text(f"No results file of {what} was given; `{command.replace('NAME', self.base)}` makes one.", "missing")


# ---- The page ----

def doubts(files):
    """What a reader must know before any figure."""
    out = []
    for item in files.values():
        what = sections.FILES[item.kind]
        if not (item.run.end and item.run.end.get("complete")):
            out.append(f"Partial: the run of {what} (`{item.name}`) was interrupted; what had been measured by then is here.")
        if item.run.quick():
            out.append(f"A quick run of {what}: for a first look, not for a published figure.")
    absent = [sections.FILES[kind] for kind in sections.FILES if kind not in files]
    if absent:
        out.append(f"Not here, as there is no results file: {', '.join(absent)}.")
    return out


def head(context):
    """Title, machine, date; doubts; the legend of the marks."""
    first = next((item for item in context.files.values() if item.kind != "exits"), next(iter(context.files.values())))
    m = first.run.machine
    title = f"Ringside on {m.get('cpu_model') or 'an unknown CPU'}"
    date = (first.run.header.get("time") or "at an unknown time").split("T")[0]
    changes = " with local changes" if m.get("dirty") else ""
    lines = [f"What virtualization techniques cost: Adams and Agesen, ASPLOS 2006, measured again on {results.machine_line(first.run)}, {date}.",
             f"Kernel {m.get('kernel') or 'unknown'}; commit {(m.get('commit') or 'none')[:12]}{changes}; made from `{first.name}` and what "
             "belongs to it."]
    out = ["<header>", f"<h1>{html.escape(title)}</h1>"] + [f"<p>{inline(line)}</p>" for line in lines]
    found = doubts(context.files)
    if found:
        out.append('<div class="banner" role="note">' + "".join(f"<p>{inline(line)}</p>" for line in found) + "</div>")
    out.append('<ul class="legend" aria-label="marks of figures">' + "".join(
        f"<li>{legend({kind: meaning})}</li>" for kind, meaning in kinds.KINDS.items()) + "</ul></header>")
    return title, date, "\n".join(out)


def page_html(context):
    page = Page()
    for ident, title, make in SECTIONS:
        page.section(ident, title)
        make(page, context)
    page.close()
    title, date, top = head(context)
    with open(os.path.join(ROOT, "scripts/report.css"), encoding="utf-8") as file:
        style = file.read()
    links = "".join(f'<li><a href="#{ident}">{html.escape(name)}</a></li>' for ident, name in page.sections)
    return "\n".join([
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title)}, {date}</title>\n<style>\n{style}</style>\n</head>\n<body>",
        '<a class="skip" href="#answer">To the answer</a>\n<div class="frame">', top,
        f'<div class="columns">\n<nav aria-label="sections"><ol>{links}</ol></nav>\n<main>'] + page.out + [
        "</main>\n</div>\n<footer>Made by <code>scripts/report.py</code>; no figure on this page is typed by hand.</footer>",
        "</div>\n</body>\n</html>\n"])


def parse(args):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="RESULTS", help="results files of one run, at most one of a kind")
    parser.add_argument("--out", default=os.path.join(ROOT, "build/report.html"), metavar="FILE", help="the page (default build/report.html)")
    return parser.parse_args(args)


def main(args):
    options = parse(args)
    paths = options.files or [newest_local() or published()]
    context = Context(gathered(paths))
    made = page_html(context)
    os.makedirs(os.path.dirname(os.path.abspath(options.out)), exist_ok=True)
    with open(options.out, "w", encoding="utf-8") as file:
        file.write(made)
    print(f"report:   {os.path.relpath(options.out)} ({len(made.encode()) / 1e6:.1f} MB, from {len(context.files)} files)")
    return 0


if __name__ == "__main__":
    entry.run(main)
