# SPDX-License-Identifier: BSD-2-Clause
"""From the lines that the other scripts print as Markdown to a page of HTML: tables with a caption and a mark for the kind
of each figure, lists, notes, pictures. It knows the few forms that those lines have, and nothing of what they are about."""
import collections
import html
import math
import re
import xml.etree.ElementTree

import kinds

# Kind of a figure (kinds.py) -> its mark: a shape, not only a colour.
MARKS = {"measured": "●", "counted": "#", "modelled": "≈", "published": "†"}
NOTE = re.compile(r"^(~|\[\d+\]) (.*)$")
REFERENCE = re.compile(r"\[(\d+)\]")
SVG = "{http://www.w3.org/2000/svg}"
ON_PAPER = 45  # lines of a table that one sheet holds whole
TEXT_LIKE = re.compile(r"[^\d.,+\-~%×x\s]")


def fits_on_paper(rows):
    """Whether one sheet holds the table, by about as many lines as a row takes there: for its longest cell, and for all of them."""
    return sum(math.ceil(max(max(map(len, row)) / 100, sum(map(len, row)) / 200)) for row in rows) <= ON_PAPER


class ColumnKinds:
    """Of which kind the figures of a table are: the default, and what other heads or row names say; "" is no figure."""

    def __init__(self, default, heads=(), rows=()):
        self.default, self.heads, self.rows = default, list(heads), list(rows)

    def of_head(self, head):
        return next((kind for pattern, kind in self.heads if re.search(pattern, head)), self.default)

    def of_row(self, name):
        return next((kind for pattern, kind in self.rows if re.search(pattern, name)), None)


Block = collections.namedtuple("Block", "form content")


def blocks(lines):
    """Groups of lines: `table` ([cells of a row]), `list` and `notes` ([text]), `text` (one paragraph)."""
    found = []

    def add(form, item, joins):
        if joins and found and found[-1].form == form:
            found[-1].content.append(item)
        else:
            found.append(Block(form, [item]))
    after_blank = True
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            after_blank = True
            continue
        if text.startswith("|"):
            if not re.fullmatch(r"\|(-+:?\|)+", text):
                add("table", [cell.strip() for cell in text.strip("|").split("|")] if text.strip("| ") else [], not after_blank)
        elif NOTE.match(text):
            add("notes", text, True)
        elif text.startswith("- "):
            add("list", text[2:], True)
        elif line.startswith("  ") and not after_blank and found and found[-1].form == "list":
            found[-1].content[-1] += " " + text  # goes on with the item above
        elif not after_blank and found and found[-1].form == "text" and not found[-1].content[-1].endswith("  "):
            found[-1].content[-1] += " " + line.lstrip()
        else:
            add("text", line.lstrip(), False)
        after_blank = False
    return found


def inline(text):
    """Code, emphasis and links of a line. Links to other files are text: the page stands alone."""
    out = html.escape(text.strip(), quote=False)
    out = re.sub(r"\[([^\]]+)\]\((https?://[^)\s]+)\)", r'<a href="\2">\1</a>', out)
    out = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", out)
    out = re.sub(r"`([^`]+)`", r"<code>\1</code>", out)
    out = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", out)
    out = re.sub(rf"<strong>((?:{'|'.join(MARKS)})(?: and (?:{'|'.join(MARKS)}))*)</strong>", lambda m: marked(m.group(1)), out)
    out = re.sub(r" (?=~$)", "&nbsp;", out)
    return re.sub(r"(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])", r"<em>\1</em>", out)


def mark(kind):
    return f'<span class="mark {kind}" role="img" aria-label="{kind}" title="{kind}">{MARKS[kind]}</span>' if kind else ""


def marked(words):
    """`measured and counted`: a kind in bold type gets its mark."""
    return " and ".join(f"{mark(kind)} <strong>{kind}</strong>" for kind in words.split(" and "))


def legend(words):
    """The marks of some kinds (kind -> words) in one line."""
    return " ".join(f'<span class="kind">{mark(kind)} {kind}{": " if words[kind] else ""}{inline(words[kind])}</span>'
                    for kind in MARKS if kind in words)


def breakable(text):
    """A long name may be broken behind `_`, `=` and `:`."""
    return re.sub(r"([_=:])(?=\w)", r"\1<wbr>", text)


def head_html(head):
    """`vtx: kvm_pvm (...), ...` is a name and what it stands for."""
    name, colon, rest = head.partition(": ")
    if not colon or name.startswith("`"):
        return breakable(inline(head))
    return f'<span class="who">{breakable(inline(name))}</span> <span class="what">{inline(rest)}</span>'


class Page:
    """The body of a page as it grows. Hands out the numbers that make ids unique."""

    def __init__(self):
        self.out, self.sections, self.tables, self.pictures, self.open = [], [], 0, 0, False

    def section(self, ident, title):
        self.close()
        self.sections.append((ident, title))
        self.out.append(f'<section id="{ident}" aria-labelledby="{ident}-title">\n<h2 id="{ident}-title">{html.escape(title)}</h2>')
        self.open = True

    def close(self):
        if self.open:
            self.out.append("</section>")
        self.open = False

    def heading(self, text):
        self.out.append(f"<h3>{inline(text)}</h3>")

    def text(self, text, name=""):
        self.out.append(f'<p{f" class={chr(34)}{name}{chr(34)}" if name else ""}>{inline(text)}</p>')

    def raw(self, made):
        self.out.append(made)

    def lines(self, lines, title="", columns=None, scope="", best=None, block=None):
        """Everything that is in the lines, in their order. A text right above a table goes into its caption, and so do the
        words of kinds.py on the block of the pages that the table is. best: row name -> heads of the cells to be set off."""
        words = kinds.of(block) if block else None
        waiting = blocks(lines)
        while waiting:
            form, content = waiting.pop(0)
            more = ""
            if form == "text" and waiting and waiting[0].form == "table":
                more, (form, content) = content[0].strip().rstrip(":"), waiting.pop(0)
            if form == "table":
                notes = waiting.pop(0).content if waiting and waiting[0].form == "notes" else []
                self.table(content, f"{title}: {more}" if more else title, columns or ColumnKinds(""), words, scope, notes, best or {})
            elif form in ("list", "notes"):
                self.out.append("<ul>" + "".join(f"<li>{inline(item)}</li>" for item in content) + "</ul>")
            else:
                self.out += [f"<p>{inline(item)}</p>" for item in content]

    def table(self, rows, title, columns, words, scope, notes, best):
        head, body = rows[0], rows[1:]
        if not body:
            self.text(f"{title}: none.", "missing")
            return
        if any(len(row) != len(head) for row in body):
            raise ValueError(f"the table `{title}` has a row that is longer or shorter than its head")
        self.tables += 1
        name = f"table-{self.tables}"
        marks = [""] + [self.kind_of_column(columns, head, body, i) for i in range(1, len(head))]
        seen = (set(marks) | {columns.of_row(row[0]) for row in body}) & set(MARKS)
        if words is not None and not seen <= set(words):
            raise ValueError(f"the table `{title}` has figures that scripts/kinds.py does not name: {seen - set(words)}")
        left = [i == 0 or self.is_text(body, i) for i in range(len(head))]
        caption = f'<span class="title">{inline(title)}</span>'
        caption += f' <span class="kinds">{legend({kind: (words or {}).get(kind, "") for kind in seen})}</span>' if seen else ""
        caption += f' <span class="scope">{inline(scope)}</span>' if scope else ""
        heads = "".join(f'<th scope="col"{" class=text" if left[i] else ""}>{head_html(text)}{" " if marks[i] else ""}{mark(marks[i])}</th>'
                        for i, text in enumerate(head))
        self.out.append(f'<div class="scroll" role="region" aria-labelledby="{name}" tabindex="0">\n'
                        f'<table{" class=whole" if fits_on_paper(body) else ""}>\n<caption><div id="{name}">{caption}</div></caption>\n'
                        f"<thead><tr>{heads}</tr></thead>\n<tbody>")
        self.out += [self.row(row, head, name, left, columns.of_row(row[0]), notes, best.get(row[0], ())) for row in body]
        self.out.append("</tbody>\n</table>\n</div>")
        self.notes(notes, name)

    @staticmethod
    def kind_of_column(columns, head, body, i):
        """A column without a figure has no kind."""
        return columns.of_head(head[i]) if any(re.search(r"\d", row[i]) for row in body) else ""

    @staticmethod
    def is_text(body, i):
        cells = [row[i].replace(" to ", "-") for row in body if row[i] and not row[i].startswith(("n/a", "not "))]
        return sum(bool(TEXT_LIKE.search(cell)) for cell in cells) * 2 > len(cells)

    @staticmethod
    def row(cells, head, table, left, kind, notes, best):
        texts = [REFERENCE.sub(rf'<a href="#{table}-note-\1">[\1]</a>', inline(cell)) if notes else inline(cell) for cell in cells]
        first = f'<th scope="row">{texts[0]}{" " + mark(kind) if kind else ""}</th>'
        mean = ' class="total"' if cells[0].startswith("*") else ""

        def classes(i):
            names = (["text"] if left[i] else []) + (["best"] if head[i] in best else []) + (
                ["none"] if cells[i].startswith("n/a") else [])
            return f' class="{" ".join(names)}"' if names else ""
        return f"<tr{mean}>{first}" + "".join(f"<td{classes(i)}>{texts[i]}</td>" for i in range(1, len(cells))) + "</tr>"

    def notes(self, notes, table):
        if notes:
            items = [NOTE.match(note).groups() for note in notes]
            self.out.append('<ul class="notes">' + "".join(
                f'<li{f" id={chr(34)}{table}-note-{sign[1:-1]}{chr(34)}" if sign != "~" else ""}>{sign} {inline(text)}</li>'
                for sign, text in items) + "</ul>")

    def details(self, title):
        self.out.append(f"<details><summary>{inline(title)}</summary>")

    def end_details(self):
        self.out.append("</details>")

    def picture(self, svg, text, caption):
        """svg: the text of a file by gnuplot. text: what a reader who cannot see it is told."""
        self.pictures += 1
        name = f"picture-{self.pictures}"
        self.out.append(f'<figure>\n<div class="scroll" role="region" aria-label="picture" tabindex="0">{inline_svg(svg, name, text)}</div>\n'
                        f"<figcaption>{inline(caption)}</figcaption>\n</figure>")


# ---- Pictures ----

def inline_svg(text, name, description):
    """The picture for use within a page: no ids but those it refers to itself, and these with its name before them; in the
    page's own fonts."""
    root = xml.etree.ElementTree.fromstring(text)
    used = references(root)
    for parent in list(root.iter()):
        for child in list(parent):
            defined = parent.tag == SVG + "defs" and not used & ids(child)
            if defined or child.tag in (SVG + "title", SVG + "desc") or (child.tag == SVG + "defs" and not used & ids(child)):
                parent.remove(child)
    for element in root.iter():
        tidy(element, name, used)
    title = xml.etree.ElementTree.Element(SVG + "title", {"id": f"{name}-title"})
    title.text = description
    root.insert(0, title)
    width, height = root.attrib.pop("width"), root.attrib.pop("height")
    root.attrib.update({"viewBox": root.get("viewBox") or f"0 0 {width} {height}", "role": "img",
                        "aria-labelledby": f"{name}-title"})
    xml.etree.ElementTree.register_namespace("", SVG[1:-1])
    return prune(xml.etree.ElementTree.tostring(root, encoding="unicode"))


def named(elements):
    """The ids that some elements refer to."""
    return {name for e in elements for value in e.attrib.values() for name in re.findall(r"(?:^|url\()#([\w.-]+)", value)}


def references(root):
    """The ids that the picture refers to, directly or through what it refers to; not what its definitions have among themselves."""
    inside = {e for defs in root.iter(SVG + "defs") for e in defs.iter()}
    by_id = {e.get("id"): e for e in inside if e.get("id")}
    used, more = set(), named(e for e in root.iter() if e not in inside)
    while more - used:
        used |= more
        more = named(e for name in more if name in by_id for e in by_id[name].iter())
    return used


def tidy(element, name, used):
    if element.get("id") in used:
        element.set("id", f"{name}-{element.get('id')}")
    else:
        element.attrib.pop("id", None)
    element.attrib.pop("font-family", None)
    for key, value in list(element.attrib.items()):
        value = re.sub(r"url\(#([\w.-]+)\)", rf"url(#{name}-\1)", value)
        if key.endswith("}href"):  # without its namespace, which HTML has no word for
            del element.attrib[key]
            key, value = "href", re.sub(r"^#", f"#{name}-", value)
        element.set(key, " ".join(value.split()))
    element.tail = None
    if element.text and not element.text.strip():
        element.text = None


def ids(element):
    return {e.get("id") for e in element.iter() if e.get("id")}


def prune(text):
    """Groups with nothing in them are half of a picture by gnuplot."""
    while True:
        shorter = re.sub(r"<g(?: [^<>]*[^<>/])?(?: ?/>|></g>)", "", text)
        if shorter == text:
            return text
        text = shorter
