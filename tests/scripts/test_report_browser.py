#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The report in headless Chromium: nothing is asked of a network, nothing is wider than the window on a phone or a screen, and every text
can be read on its ground in light and dark. Skipped where there is no Chromium."""
import html
import json
import os
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../scripts"))
import _browser
import _fixture
import report
from _ok import check, done

CONTRAST = 4.5  # WCAG 2.1, 1.4.3: of text and its ground
# Put into a copy of the page: what it looks like from inside, written where --dump-dom shows it.
HOOK = """<script>
const errors = [];
addEventListener("error", e => errors.push(String(e.message || e.target.src)), true);
function luminance(c) {
    const v = c.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255).map(x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2];
}
function ground(e) {
    for (; e; e = e.parentElement) {
        const c = getComputedStyle(e).backgroundColor;
        if (!/, 0\\)$/.test(c)) return c;
    }
    return "rgb(255, 255, 255)";
}
function pale() {
    const found = new Set();
    for (const e of document.querySelectorAll("body *:not(script):not(style):not(svg):not(svg *)")) {
        if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
        const [a, b] = [luminance(getComputedStyle(e).color), luminance(ground(e))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < LEAST) found.add(e.tagName + "." + e.className + " " + ((a + 0.05) / (b + 0.05)).toFixed(2));
    }
    return [...found];
}
addEventListener("load", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
    const inside = e => e.closest(".scroll") && !e.matches(".scroll");
    const wide = [...document.querySelectorAll("body *")].filter(e => !inside(e) && !e.closest(".skip") &&
        e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + "." + e.className);
    const widest = document.documentElement.scrollWidth;
    document.documentElement.dataset.seen = JSON.stringify({window: innerWidth, page: widest, wide: wide.slice(0, 5), errors: errors,
        asked: performance.getEntriesByType("resource").map(r => r.name), pale: pale(), tables: document.querySelectorAll("table").length,
        pictures: [...document.querySelectorAll("figure svg")].filter(s => s.getBoundingClientRect().height > 100).length,
        sections: document.querySelectorAll("section > h2").length, dark: matchMedia("(prefers-color-scheme: dark)").matches,
        boxes: [...document.querySelectorAll(".scroll")].filter(s => s.scrollWidth > s.clientWidth).length});
});
</script>""".replace("LEAST", str(CONTRAST))


def seen(browser, text, folder, width, *options):
    """What the hook found, and what the console had to say."""
    copy = os.path.join(folder, "copy.html")
    with open(copy, "w", encoding="utf-8") as file:
        file.write(text.replace("<style>", HOOK + "<style>", 1))
    out, err = _browser.browse(browser, copy, "--dump-dom", f"--window-size={width},900", *options)
    found = re.search(r'data-seen="([^"]*)"', out)
    if not found:
        raise RuntimeError(f"{browser} gave no page: {err.strip()[-300:]}")
    return dict(json.loads(html.unescape(found.group(1))), console=re.findall(r"CONSOLE.*", err))


def screen(browser, text, folder, width, tables):
    s = seen(browser, text, folder, width)
    if s["window"] != width:
        print(f"skip this {browser} makes no window of {width} pixels but of {s['window']}")
        return
    check(f"{width} px: no wider than the window: {s['page']} {s['wide']}", s["page"] <= width and not s["wide"])
    check(f"{width} px: sections, tables and pictures are drawn", s["sections"] == len(report.SECTIONS) and s["tables"] == tables and s["pictures"] > 0)
    check(f"{width} px: nothing is asked for, no error: {s['asked']} {s['errors']} {s['console']}", not s["asked"] and not s["errors"] and not s["console"])
    check(f"{width} px: every text stands out from its ground {s['pale'][:4]}", not s["pale"])


def dark(browser, text, folder):
    s = seen(browser, text, folder, 1280, "--blink-settings=preferredColorScheme=0")
    if s["dark"]:
        check(f"dark: every text stands out from its ground {s['pale'][:4]}", not s["pale"])
    else:
        print("skip this browser cannot be told that the reader wants it dark")


def doubted(browser, text, folder):
    """The same checks on a page that has each fault: they must find it."""
    bad = text.replace("<main>", '<main><div style="width: 3000px">wide</div><p style="color: #eee; background: #fff">pale</p>'
                       '<img src="http://example.invalid/x.png" alt=""><script>console.error("said"); nothing()</script>')
    s = seen(browser, bad, folder, 1280)
    check("what is too wide is seen", s["page"] > 1280 and s["wide"])
    check("a request is seen", any("example.invalid" in name for name in s["asked"] + s["errors"]))
    check("an error is seen", len(s["errors"]) > 1 and len(s["console"]) > 1)
    check("pale text is seen", any(what.startswith("P.") for what in s["pale"]))


def whole(browser, folder):
    published = _browser.page(report.published(), folder)
    made = _browser.page(_fixture.make(os.path.join(folder, "made.jsonl"), complete=False), folder)
    for text, widths in ((published, (390, 1280)), (made, (390,))):
        for width in widths:
            screen(browser, text, folder, width, text.count("<table"))
    dark(browser, published, folder)
    doubted(browser, made, folder)


with tempfile.TemporaryDirectory() as scratch:
    whole(_browser.found(), scratch)
done()
