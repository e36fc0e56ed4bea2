#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The tables of scripts/translation.py, from statistics whose shares are known beforehand."""
import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts"))
import paper
import results
import translation
from _ok import check, done


def stats(ident, biased, callout, cycles):
    return {"units": 10, "guest_bytes": 100, "hot_bytes": 250, "cold_bytes": 50, "cycles": cycles,
            "IDENT: as it is": ident, "biased: with a prefix": biased, "callout: emulated in C": callout}


with tempfile.TemporaryDirectory() as scratch:
    path = os.path.join(scratch, "a.jsonl")
    records = [{"type": "run", "tool": "translation", "time": "t"}]
    for process, cycles in enumerate((60000, 40000, 90000)):
        records.append({"type": "translation", "suite": "nano", "image": "in", "stats": stats(10, 6, 4, cycles)})
    records.append({"type": "translation", "suite": "micro", "image": "crc", "stats": stats(30, 0, 10, 40000)})
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(r) + "\n" for r in records)
    run = results.load(path)[-1]
    text = "\n".join(translation.table(run))
    check("shares, growth and the median cost of an image", "| in | 10 | 2.0 | 50% | 80% | 2.50 | 0.50 | 3,000 |" in text)
    check("all images together", "| 20 | 3.0 | 67% | 77% | 2.50 | 0.50 | 2,000 |" in text)
    text = "\n".join(translation.kinds_table(run))
    check("instructions by kind", "| callout | emulated in C | 14 | 23.3% |" in text)
    check("the file fills its blocks", paper.blocks_of(path) is paper.TRANSLATION_BLOCKS and
          all(paper.content(name, path) for name in paper.TRANSLATION_BLOCKS))
done()
