#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The report on paper, as headless Chromium prints it: all of it, unfolded. Skipped where there is no Chromium."""
import os
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../scripts"))
import _browser
import report
from _ok import check, done


def sheets(browser, text, folder):
    """Pages of the PDF."""
    path, pdf = os.path.join(folder, "print.html"), os.path.join(folder, "print.pdf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    _browser.browse(browser, path, f"--print-to-pdf={pdf}", "--no-pdf-header-footer")
    with open(pdf, "rb") as file:
        return len(re.findall(rb"/Type\s*/Page\b", file.read()))


def paper(browser, text, folder):
    number = sheets(browser, text, folder)
    folded = sheets(browser, text.replace("</style>", "details > :not(summary) { display: none; }</style>", 1), folder)
    check(f"a plausible number of sheets: {number}", len(report.SECTIONS) <= number <= 100)
    check(f"what is folded away on a screen is on paper: {folded} sheets without", folded < number - 5)


with tempfile.TemporaryDirectory() as scratch:
    paper(_browser.found(), _browser.page(report.published(), scratch), scratch)
done()
