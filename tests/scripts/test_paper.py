#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The generated blocks of README.md and PAPER.md: how they are rewritten, and that those committed are up to date."""
import os
import subprocess
import sys
import tempfile

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts")
sys.path.insert(0, SCRIPTS)
import _fixture
import claims
import figures
import kinds
import paper
from _ok import check, done

PAGE = "before\n<!-- generated: nano from - -->\nold\n<!-- end -->\nafter\n"


def rewriting(folder):
    path = _fixture.make(os.path.join(folder, "a.jsonl"))
    new = paper.rewrite(PAGE, {"nano": path})
    check("the block is filled", "| in | 3,209 | 216 | 15,826 |" in new and "old" not in new)
    check("what stands around it stays", new.startswith("before\n") and new.endswith("\nafter\n"))
    check("the block names its file", f"<!-- generated: nano from {path} -->" in new)
    check("a second time changes nothing", paper.rewrite(new, {}) == new)
    check("a block without a file says so", "No run is committed yet." in paper.rewrite(PAGE, {}))
    check("all blocks of a run can be made", all(paper.content(name, path) for name in paper.BENCH_BLOCKS))
    try:
        paper.rewrite(PAGE.replace("nano", "nonsense"), {})
        check("an unknown block is an error", False)
    except ValueError:
        check("an unknown block is an error", True)


def sentences(folder):
    """Figures within running text."""
    path = _fixture.make(os.path.join(folder, "v.jsonl"), nano={"in": {"interp": 60}}, micro={})
    files = figures.Files({"nano": path})
    page = "It takes <!-- value: measured(interp.nano/in) -->9<!-- end --> cycles, <!-- value: ref(asplos2006.nano/in.hardware) --><!-- end --> there."
    new = paper.rewrite(page, {}, files)
    check("a figure in a sentence is made", "interp.nano/in) -->60.0<!-- end --> cycles" in new and "-->15,826<!-- end --> there." in new)
    check("and again the same", paper.rewrite(new, {}, files) == new)
    check("what no file has is said so", "-->n/a<" in paper.rewrite(page.replace("interp", "bt"), {}, files))
    check("a number of claims", paper.inline("claims(not testable here)", files) == str(len(claims.CLAIMS)))
    try:
        paper.rewrite(page.replace("measured", "guessed"), {}, files)
        check("no figure of that name is an error", False)
    except ValueError as error:
        check("no figure of that name is an error", "guessed" in str(error))


def sorts(folder):
    """Each kind of results file fills blocks of its own."""
    made = {"process": _fixture.make_process, "boot": _fixture.make_boot, "peers": _fixture.make_peers,
            "exits": _fixture.make_exits}
    for name, make in made.items():
        path = make(os.path.join(folder, f"{name}.jsonl"))
        blocks = paper.blocks_of(path)
        check(f"a file of kind {name} fills its blocks, and no others", blocks is paper.OF_KIND[name] and
              all(paper.content(block, path).strip() for block in blocks))
    check("no two kinds share a block", len(paper.BLOCKS) == len(paper.FREE_BLOCKS) + len(paper.BENCH_BLOCKS) + len(paper.ABLATION_BLOCKS) +
          sum(len(blocks) for blocks in paper.OF_KIND.values()))


def words(folder):
    """Each block says of which kind its figures are, in the four words that the page explains."""
    check("every block has its kinds, and no other thing has", set(kinds.OF_BLOCK) == set(paper.BLOCKS))
    check("the four kinds, and no fifth", {k for of in kinds.OF_BLOCK.values() for k in of} == set(kinds.KINDS) and len(kinds.KINDS) == 4)
    text = paper.content("nano", _fixture.make(os.path.join(folder, "k.jsonl")))
    check("the caption stands over the table", text.startswith("\n**measured**: the engines' columns") and
          "; **published**: the P4 columns" in text and text.index("**published**") < text.index("| benchmark |"))
    check("what holds no figure has none", not kinds.caption("scope") and not kinds.caption("ablation-legend"))
    check("what others have printed has its source", "| Core 2 Duo 2.66 GHz | VM entry | 937 | ASPLOS 2006 Table 1 |" in
          paper.content("exit-costs", paper.NONE))
    check("the words are explained by a block of no run", all(f"- **{k}**: " in paper.content("kinds", paper.NONE) for k in kinds.KINDS))
    paper.BLOCKS["new"] = lambda path: ["| 1 |"]
    try:
        paper.content("new", "x")
        check("a block of no kind is an error", False)
    except ValueError as error:
        check("a block of no kind is an error", "block new" in str(error))
    finally:
        del paper.BLOCKS["new"]


with tempfile.TemporaryDirectory() as scratch:
    rewriting(scratch)
    sorts(scratch)
    words(scratch)
    sentences(scratch)
now = subprocess.run([sys.executable, os.path.join(SCRIPTS, "paper.py"), "--check"], capture_output=True, text=True)
check("the pages are what their results files give " + now.stdout.strip() + now.stderr.strip(),
      now.returncode == 0)
done()
