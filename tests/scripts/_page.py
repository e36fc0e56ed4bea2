# SPDX-License-Identifier: BSD-2-Clause
"""What can be said of a page of HTML without a browser: well nested, ids, links, tables, and what it would load."""
import html.parser
import re

VOID = {"meta", "br", "wbr", "img", "input", "link", "hr"}


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.faults, self.ids, self.links, self.loads, self.stack = [], [], [], [], []
        self.tables, self.heads, self.sections, self.svgs, self.language, self.table = [], [], {}, 0, None, None
        self.text = ""
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> is not closed" for tag in self.stack]

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        self.ids += [a["id"]] if "id" in a else []
        self.loads += [f"<{tag} {key}={value}>" for key, value in attributes if key in ("src", "srcset", "data", "poster", "xlink:href")
                       or (key == "href" and tag != "a" and not value.startswith("#")) or "url(http" in (value or "")]
        if tag == "html":
            self.language = a.get("lang")
        if tag in ("a", "use"):
            self.links.append(a.get("href", ""))
        if tag == "section":
            self.sections[a.get("id")] = ""
        if tag == "svg":
            self.svgs += 1
            self.faults += [] if a.get("role") == "img" and a.get("aria-labelledby") else ["an <svg> without a text alternative"]
        if tag == "table":
            self.table = {"caption": "", "head": [], "rows": 0, "row_heads": 0, "marks": set()}
            self.tables.append(self.table)
        if self.table is not None:
            self.in_table(tag, a)
        if tag not in VOID and not ("svg" in self.stack and self.get_starttag_text().endswith("/>")):
            self.stack.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)

    def in_table(self, tag, a):
        if tag == "tr" and "tbody" in self.stack:
            self.table["rows"] += 1
        if tag == "th":
            where = "col" if "thead" in self.stack else "row"
            self.faults += [] if a.get("scope") == where else [f"a <th> without scope={where}"]
            self.table["row_heads"] += where == "row"
            self.table["head"] += [""] if where == "col" else []
        if "mark" in (a.get("class") or "").split() and "caption" not in self.stack:
            self.table["marks"].add(a["aria-label"])

    def handle_endtag(self, tag):
        if not self.stack or self.stack.pop() != tag:
            self.faults.append(f"</{tag}> where another is open")
        if tag == "table":
            self.table = None

    def handle_data(self, data):
        if "style" in self.stack:
            self.loads += re.findall(r"@import.*|url\((?!#)[^)]*\)", data)
            return
        self.text += data
        if "section" in self.stack and self.sections:
            self.sections[list(self.sections)[-1]] += data
        if self.table is not None and "caption" in self.stack:
            self.table["caption"] += data
        if self.table is not None and "thead" in self.stack and "th" in self.stack:
            self.table["head"][-1] += data


def faults(page):
    """Everything that is wrong with it, in words."""
    found = list(page.faults) + [f"loads {what}" for what in page.loads]
    found += [f"id {name} twice" for name in {i for i in page.ids if page.ids.count(i) > 1}]
    found += [f"link to nowhere: {link}" for link in page.links if not re.match(r"https://", link) and link.removeprefix("#") not in page.ids]
    found += [] if page.language == "en" else ["no language"]
    for table in page.tables:
        name = table["caption"].strip()[:60]
        found += [] if name else ["a table without a caption"]
        found += [] if table["rows"] else [f"table `{name}` is empty"]
        found += [] if table["rows"] == table["row_heads"] else [f"table `{name}`: a row without a head"]
    return found
