#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Rewrites the generated blocks of PAPER.md and README.md from results files, so that no figure is typed by hand.

A block stands between `<!-- generated: NAME from FILE -->` and `<!-- end -->`, a figure in a sentence between
`<!-- value: FIGURE -->` (figures.py has the names) and `<!-- end -->`, in docs/*.md as well. `scripts/paper.py FILE...` points the
blocks that FILE can fill at it and rewrites all blocks; without FILE every block and picture is made anew from the file
that it names. Over each block stands of which kind its figures are (kinds.py). `--check` only says whether the blocks are
what their files give (status 1 where not). Either way status 1 where a sentence says what the figures do not (learned.py)."""
import os
import re
import sys

import ablation
import claims
import entry
import exits
import figure5
import figures
import kinds
import learned
import linux
import model_blocks
import peers_table
import plot
import process
import results
import table
import translation
import whatif

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
PAPER = "PAPER.md"
PAGES = ["README.md", PAPER] + sorted(f"docs/{name}" for name in os.listdir(os.path.join(ROOT, "docs")) if name.endswith(".md"))
BLOCK = re.compile(r"<!-- generated: (\S+) from (\S+) -->\n(.*?)<!-- end -->", re.S)
VALUE = re.compile(r"<!-- value: (.+?) -->(.*?)<!-- end -->", re.S)
NONE = "-"  # instead of a file: no run is committed yet


def picture(suite, alt):
    def block(path):
        base = os.path.splitext(path)[0]
        return [f"![{alt}]({base}-{suite}.png)"]
    return block


def last(make):
    return lambda path: make(results.load(path)[-1])


def sampled(path):
    return [f"Samples of the nano and micro benchmarks: [{path}]({path}); the other files lie beside it."]


def events(suite):
    def make(run):
        out = []
        for engine in results.engine_order(run):
            lines = table.events_table(run, suite, engine)
            out += ([f"On {results.column(run, engine)}:", ""] + lines + [""]) if lines else []
        return out
    return last(make)


BENCH_BLOCKS = {
    "scope": last(table.scope),
    "engines": last(table.engine_list),
    "samples": sampled,
    "nano": last(lambda run: table.costs_table(run, "nano")),
    "nano-cold": last(lambda run: table.cold_table(run, "nano")),
    "nano-events": events("nano"),
    "nano-spread": last(lambda run: table.spread_table(run, "nano")),
    "nano-picture": picture("nano", "Cost of each nano benchmark: the paper's columns and this machine's engines"),
    "micro": last(lambda run: table.costs_table(run, "micro")),
    "micro-slowdown": last(lambda run: table.slowdown_table(run, "micro")),
    "bt-native": last(table.native_share_table),
    "bt-native-user": last(table.user_share_table),
    "micro-events": events("micro"),
    "micro-picture": picture("micro", "Slowdown of each micro benchmark against its native program"),
}
ABLATION_BLOCKS = {
    "ablation": last(ablation.table),
    "ablation-legend": last(ablation.legend),
    "ablation-scope": last(table.scope),
    "ablation-picture": picture("factors", "What each of the translator's techniques is worth on each benchmark"),
    "rdtsc": last(ablation.rdtsc_table),
}
PROCESS_BLOCKS = {
    "process": last(process.costs_table),
    "process-ratios": last(process.ratios_table),
    "user-native": last(process.share_table),
    "process-bound": last(process.bound_table),
    "process-scope": last(table.scope),
    "process-policies": last(process.policies_table),
    "process-picture": picture("process", "Cost of processes, system calls and demand paging against native"),
    "forkwait-events": last(process.events_table),
    "direct-costs": last(process.direct_table),
}
BOOT_BLOCKS = {
    "figure5": last(figure5.figure),
    "figure5-picture": picture("figure5", "Where the time of a boot goes: the paper's Figure 5, and here"),
    "boot": last(figure5.totals_table),
    "boot-events": last(figure5.counts_table),
    "boot-scope": last(table.scope),
}
# Of no run, or of all that the pages show: these are given the Files.
FREE_BLOCKS = {"kinds": lambda _: kinds.legend(), "exit-costs": lambda _: table.exit_costs_table(), "claims": claims.block,
               **model_blocks.FREE_BLOCKS}
EXITS_BLOCKS = {
    "exits-nano": last(lambda run: exits.exits_table(run, ["nano"])),
    "exits-process": last(lambda run: exits.exits_table(run, exits.suites_but_nano(run))),
    "exits-kvm": last(lambda run: exits.kvm_table(run, run.suites())),
    "exits-scope": last(exits.scope),
}
TRANSLATION_BLOCKS = {"translation": last(translation.table), "translation-kinds": last(translation.kinds_table)}
LINUX_BLOCKS = {
    "linux-boot": last(linux.boot_table),
    "linux-picture": picture("linux", "The guest Unix's programs on Debian's kernel as the guest, against the host's own Linux"),
    "linux-ratios": last(process.ratios_table),
    "linux-process": last(process.costs_table),
    "linux-events": last(process.events_table),
    "linux-scope": last(linux.scope),
}
PEERS_BLOCKS = {
    "peers": last(peers_table.kernels_table),
    "peers-scope": last(peers_table.scope),
    "peers-process": last(peers_table.process_table),
    "peers-ahead": last(peers_table.process_ahead),
    "forkwait": last(process.forkwait_table),
    "forkwait-picture": picture("forkwait", "forkwait against native: the paper's two machines, and here"),
}
OF_KIND = {"peers": PEERS_BLOCKS, "translation": TRANSLATION_BLOCKS, "process": PROCESS_BLOCKS, "boot": BOOT_BLOCKS,
           "exits": EXITS_BLOCKS, "fork_counts": model_blocks.FORK_BLOCKS, "linux": LINUX_BLOCKS}
BLOCKS = {**FREE_BLOCKS, **BENCH_BLOCKS, **ABLATION_BLOCKS, **{name: b for blocks in OF_KIND.values() for name, b in blocks.items()}}


def blocks_of(path):
    """Names of the blocks that a file can fill."""
    run = results.load(path)[-1]
    if plot.kind(run) in OF_KIND:
        return OF_KIND[plot.kind(run)]
    return ABLATION_BLOCKS if ablation.columns(run) else BENCH_BLOCKS


def content(name, path, files=None):
    if name not in BLOCKS:
        raise ValueError(f"no block is called {name}; known: {', '.join(BLOCKS)}")
    if path == NONE and name not in FREE_BLOCKS:
        return "\nNo run is committed yet.\n\n"
    lines = kinds.caption(name) + BLOCKS[name](files if name in FREE_BLOCKS else path)
    while lines and not lines[-1]:
        lines = lines[:-1]
    return "\n" + "\n".join(lines) + "\n\n"


def inline(name, files):
    """The text of a figure in a sentence; `claims(VERDICT)`: how many have it."""
    counted = re.fullmatch(r"claims\((.*)\)", name)
    return str(claims.count(files, counted.group(1))) if counted else figures.find(files, name).number()


def rewrite(text, moves, files=None):
    """The page with its blocks and inline figures made new; moves: block name -> file that it shall come from, others stay;
    files: those of all pages."""
    def block(match):
        name, path = match.group(1), match.group(2)
        path = moves.get(name, path)
        return f"<!-- generated: {name} from {path} -->\n{content(name, path, files)}<!-- end -->"

    def value(match):
        return f"<!-- value: {match.group(1)} -->{inline(match.group(1), files)}<!-- end -->"
    return VALUE.sub(value, BLOCK.sub(block, text))


def pictured():
    """The results files whose pictures the pages show."""
    found = {}
    for page in PAGES:
        with open(page, encoding="utf-8") as file:
            found.update((path, None) for name, path, _ in BLOCK.findall(file.read()) if name.endswith("-picture") and path != NONE)
    return list(found)


def all_files(moves):
    with open(PAPER, encoding="utf-8") as file:
        return figures.files_of(file.read(), moves)


def main(args):
    check = args == ["--check"]
    if not check and any(a.startswith("-") for a in args):
        print("usage: scripts/paper.py [--check | RESULTS...]", file=sys.stderr)
        return 2
    paths = [] if check else [os.path.relpath(a, ROOT) for a in args]
    os.chdir(ROOT)
    moves = {name: path for path in paths for name in blocks_of(path)}
    files, stale = all_files(moves), 0
    for page in PAGES:
        with open(page, encoding="utf-8") as file:
            old = file.read()
        new = rewrite(old, moves, files)
        if new != old and check:
            print(f"{page}: its generated blocks or figures are not what their results files give: run scripts/paper.py")
            stale = 1
        elif new != old:
            with open(page, "w", encoding="utf-8") as file:
                file.write(new)
            print(f"{page}: rewritten")
    if not check:
        draw(paths)
    with open(PAPER, encoding="utf-8") as file:
        turned = learned.findings(file.read(), files)
    print("".join(f"{PAPER}: {line}\n" for line in turned), end="")
    return 1 if turned else stale


def draw(paths):
    """The pictures of these files; of all that the pages show where there are none, those of the cost model included."""
    for path in paths or pictured():
        for made in plot.pictures(path):
            print(made, flush=True)
    if not paths:
        whatif.main([])


if __name__ == "__main__":
    entry.run(main, __doc__)
