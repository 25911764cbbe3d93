"""Text of a DOCX file (ECMA-376): paragraphs, rows of tables, boxes, diagrams and notes, each once.

What is read: the text as it is after all tracked changes, headers before it, and footnotes,
endnotes and footers after it. A row of a table is a line, its cells parted by `` | ``. The words of
a text box, diagram or chart follow its paragraph. What is not read: deleted and moved-away text,
hidden text, and, counted, comments and embedded documents.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element, XMLParser, fromstring

from ragbench.base.files import plain_file
from ragbench.corpora.formats.drawn import FILES, child_of, drawn, name_of, related, value_of
from ragbench.corpora.formats.parsed import Fault, check_xml
from ragbench.corpora.formats.raised import (
    CITATIONS,
    DOWN,
    END,
    OWN,
    UP,
    cited,
    noted,
    plain,
    uncited,
)

MAX_XML_BYTES = 1 << 27  # of what is unpacked
READ = re.compile(
    r"word/(document|header[0-9]*|footer[0-9]*|footnotes|endnotes|styles)\.xml|docProps/core\.xml"
    rf"|word/({FILES})\.xml|word/(charts/)?_rels/[^/]*\.xml\.rels"
)
DOCUMENT = "word/document.xml"
DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"
# Fields and content controls of programs that manage references.
CITING = re.compile(
    r"\s*(?:ADDIN\s+(?:EN\.CITE|ZOTERO_ITEM|CSL_CITATION|Mendeley Citation|PAPERS2_CITATIONS"
    r"|RW\.CITE|NE\.Ref)|CITATION\b|MENDELEY_CITATION)"
)
GONE = frozenset("del moveFrom pPr rPr sectPr tblPr tblGrid trPr tcPr sdtPr sdtEndPr rt".split())
PICTURES = frozenset("drawing pict object".split())
DRAWN = {"relIds": "dm", "chart": "id"}  # a diagram or chart, by the attribute that names its file
WORD_ART = "textpath"
EMBEDDED = ("altChunk", "subDoc")
NOTES = {"footnoteReference": "footnotes", "endnoteReference": "endnotes"}
SIGNS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
# The font Symbol, which older files write Greek and comparisons in, by the codes of its letters.
SYMBOL: dict[int, str] = dict(
    zip(
        [*range(0x41, 0x5B), *range(0x61, 0x7B)],
        "\u0391\u0392\u03a7\u0394\u0395\u03a6\u0393\u0397\u0399\u03d1\u039a\u039b\u039c\u039d\u039f"
        "\u03a0\u0398\u03a1\u03a3\u03a4\u03a5\u03c2\u03a9\u039e\u03a8\u0396"
        "\u03b1\u03b2\u03c7\u03b4\u03b5\u03c6\u03b3\u03b7\u03b9\u03d5\u03ba\u03bb\u03bc\u03bd\u03bf"
        "\u03c0\u03b8\u03c1\u03c3\u03c4\u03c5\u03d6\u03c9\u03be\u03c8\u03b6",
        strict=True,
    )
) | {
    0xA3: "\u2264", 0xA5: "\u221e", 0xAB: "\u2194", 0xAC: "\u2190", 0xAD: "\u2191", 0xAE: "\u2192",
    0xAF: "\u2193", 0xB0: "\u00b0", 0xB1: "\u00b1", 0xB3: "\u2265", 0xB4: "\u00d7", 0xB7: "\u2022",
    0xB8: "\u00f7", 0xB9: "\u2260", 0xBB: "\u2248", 0xD2: "\u00ae", 0xD3: "\u00a9", 0xD4: "\u2122",
}  # fmt: skip
WORD = re.compile(r"\s*[\w.]*\s*")
UNKNOWN_SIGN = "\ufffd"


def read_docx(path: Path) -> tuple[str, str, Counter[str]]:
    """Return the title of a DOCX file, its text, and counts of what was left out or replaced.

    Raises:
        Fault: It is no DOCX, encrypted, too large, or declares entities.
    """
    parts = _parts(path)
    body = _Body(parts, _raising(parts.get("word/styles.xml")))
    texts: list[str] = []
    for name in sorted(name for name in parts if name.startswith("word/header")):
        texts.append(body.read(name))
    texts.append(body.read(DOCUMENT))
    texts += body.notes()
    for name in sorted(name for name in parts if name.startswith("word/footer")):
        texts.append(body.read(name))
    core = parts.get("docProps/core.xml")
    title = "" if core is None else core.findtext(DC_TITLE) or ""
    return title, "\n\n".join(dict.fromkeys(text for text in texts if text)), body.changes


def _parts(path: Path) -> dict[str, Element]:
    found: dict[str, Element] = {}
    with zipfile.ZipFile(plain_file(path)) as archive:
        parts = [part for part in archive.infolist() if READ.fullmatch(part.filename)]
        # zipfile unpacks no more than what a part states, so that the sum is a bound.
        if (size := sum(part.file_size for part in parts)) > MAX_XML_BYTES:
            raise Fault("too large a file", f"it unpacks to {size:,} bytes: an archive bomb?")
        for part in parts:
            if part.flag_bits & 1:
                raise Fault("encryption", "it is encrypted")
            data = archive.read(part)
            check_xml(data)
            found[part.filename] = fromstring(data, XMLParser())  # noqa: S314 - checked
    if DOCUMENT not in found:
        raise Fault("damage", f"it holds no {DOCUMENT}, so it is no DOCX")
    return found


def _raising(styles: Element | None) -> dict[str, str]:
    """Return the mark of each style of characters that raises or lowers text."""
    found: dict[str, str] = {}
    bases: dict[str, str] = {}
    for style in styles if styles is not None else ():
        identifier = value_of(style, "styleId")
        found[identifier] = _mark(child_of(style, "rPr"), {})
        bases[identifier] = value_of(child_of(style, "basedOn"))
    for identifier in found:
        base, steps = bases[identifier], 0
        while not found[identifier] and base in found and steps < 16:
            found[identifier], base, steps = found[base], bases[base], steps + 1
    return {identifier: mark for identifier, mark in found.items() if mark}


def _mark(properties: Element | None, styles: dict[str, str]) -> str:
    """Return the mark of a run: what it says itself, else what its style says."""
    aligned = value_of(child_of(properties, "vertAlign"))
    if aligned:
        return {"superscript": UP, "subscript": DOWN}.get(aligned, "")
    moved = value_of(child_of(properties, "position"))  # in half points
    if re.fullmatch(r"-?[1-9]\d*", moved):
        return DOWN if moved[0] == "-" else UP
    return styles.get(value_of(child_of(properties, "rStyle")), "")


def _part_of(kind: str) -> str:
    return f"word/{kind}.xml"


@dataclass
class _Field:
    """A field that is open: its code, and where its result begins in the paragraph."""

    code: str = ""
    start: int | None = None


@dataclass
class _Body:
    """The text of one part after another."""

    files: dict[str, Element]
    styles: dict[str, str]
    changes: Counter[str] = field(default_factory=Counter)
    _blocks: list[str] = field(default_factory=list)
    _parts: list[str] = field(default_factory=list)
    _boxes: list[Element] = field(default_factory=list)
    _related: dict[str, str] = field(default_factory=dict)
    _fields: list[_Field] = field(default_factory=list)
    _notes: dict[tuple[str, str], None] = field(default_factory=dict)

    def read(self, part: str, note: Element | None = None) -> str:
        """Return the text of a part, or of a note in it, with a blank line between paragraphs."""
        self._blocks, self._fields = [], []
        self._related = related(self.files, part)
        self._visit(self.files[part] if note is None else note)
        return "\n\n".join(self._blocks)

    def notes(self) -> Iterator[str]:
        """Yield the text of each note in the order in which the text refers to them."""
        known = {
            (kind, value_of(note, "id")): note
            for kind in NOTES.values()
            for note in self.files.get(_part_of(kind), ())
        }
        for reference in list(self._notes):
            if reference in known:
                yield self.read(_part_of(reference[0]), known[reference])
            else:
                self.changes["notes that the file does not hold"] += 1

    def _visit(self, node: Element) -> None:
        for child in _present(node):
            name = name_of(child)
            if name in ("p", "oMathPara"):
                self._paragraph(child)
            elif name == "tbl":
                self._table(child)
            elif name in EMBEDDED:
                self.changes["embedded documents, not read"] += 1
            else:
                self._visit(child)

    def _paragraph(self, node: Element) -> None:
        outer, outer_boxes = self._parts, self._boxes
        self._parts, self._boxes = [], []
        for each in self._fields:
            each.start = None if each.start is None else 0
        self._inline(node)
        text, removed = uncited(noted("".join(self._parts)))
        if removed:
            self.changes[CITATIONS] += removed
        if (text := plain(text)).strip():
            self._blocks.append(text.strip())
        boxes = self._boxes
        self._parts, self._boxes = outer, outer_boxes
        for box in boxes:
            if name_of(box) == "txbxContent":
                self._visit(box)
            else:
                self._draw(box)

    def _draw(self, node: Element) -> None:
        """Take the words of a diagram, a chart or an older WordArt."""
        name = name_of(node)
        file = self._related.get(value_of(node, DRAWN.get(name, "")), "")
        text = value_of(node, "string") if name == WORD_ART else drawn(self.files, file)
        if text is None:
            self.changes["diagrams or charts that the file does not hold"] += 1
        elif text := plain(text).strip():
            self._blocks.append(text)

    def _table(self, node: Element) -> None:
        rows = [line for row in _all(node, "tr") for line in self._row(row)]
        if rows:
            self._blocks.append("\n".join(rows))

    def _row(self, row: Element) -> list[str]:
        """Return the lines of a row: one, unless it has a single cell, as boxes of text have."""
        if child_of(child_of(row, "trPr"), "del") is not None:
            return []
        outer, cells = self._blocks, list[list[str]]()
        for cell in _all(row, "tc"):
            self._blocks = []
            self._visit(cell)
            cells.append(self._blocks)
        self._blocks = outer
        if len(cells) == 1:
            return cells[0]
        texts = [" ".join(" ".join(cell).split()) for cell in cells]
        return [" ".join(" | ".join(texts).split())] if any(texts) else []

    def _inline(self, node: Element) -> None:
        for child in _present(node):
            name = name_of(child)
            if name == "r":
                self._run(child)
            elif name in ("oMath", "oMathPara"):
                self._formula(child)
            elif (name == "fldSimple" and CITING.match(value_of(child, "instr"))) or (
                name == "sdt" and CITING.match(value_of(child_of(child_of(child, "sdtPr"), "tag")))
            ):
                self._cite(child)
            else:
                self._inline(child)

    def _cite(self, node: Element) -> None:
        start = len(self._parts)
        self._inline(node)
        self._close(_Field(start=start))

    def _close(self, ended: _Field) -> None:
        """Put the mark of a reference in the place of a field's result."""
        inner = "".join(self._parts[ended.start :])
        del self._parts[ended.start :]
        if inner.strip():
            self._parts.append(cited(inner))

    def _run(self, node: Element) -> None:
        properties = child_of(node, "rPr")
        vanish = child_of(properties, "vanish")
        if vanish is not None and value_of(vanish) not in ("0", "false", "off"):
            return
        texts: list[str] = []
        for child in _present(node):
            self._of_run(child, texts)
        if not (text := "".join(texts)):
            return
        mark = _mark(properties, self.styles)
        if not mark:
            self._parts.append(text)
        elif len(self._parts) > 2 and self._parts[-1] == END and self._parts[-3] == mark:
            self._parts[-2] += text  # one raised text in several runs
        else:
            self._parts += [mark, text, END]

    def _of_run(self, node: Element, texts: list[str]) -> None:
        name = name_of(node)
        is_code = any(each.start is None for each in self._fields)
        if name == "fldChar":
            self._turn(value_of(node, "fldCharType"))
        elif name == "instrText" and self._fields:
            self._fields[-1].code += node.text or ""
        elif name in PICTURES or name == "AlternateContent":
            self._boxes += _boxes(node)
        elif name in NOTES:
            self._notes.setdefault((NOTES[name], value_of(node, "id")))
        elif name == "commentReference":
            self.changes["comments, not read"] += 1
        elif is_code:
            return
        elif name == "t":
            texts.append((node.text or "").translate(OWN))
        elif name in SIGNS:
            texts.append(SIGNS[name])
        elif name == "sym":
            texts.append(self._symbol(node))
        elif name in ("ruby", "rubyBase", "r"):
            for child in _present(node):
                self._of_run(child, texts)

    def _turn(self, kind: str) -> None:
        """Begin a field, its result, or what follows it."""
        if kind == "begin":
            self._fields.append(_Field())
        elif kind == "separate" and self._fields:
            self._fields[-1].start = len(self._parts)
        elif kind == "end" and self._fields:
            ended = self._fields.pop()
            if ended.start is not None and CITING.match(ended.code):
                self._close(ended)

    def _symbol(self, node: Element) -> str:
        code = value_of(node, "char")
        number = int(code, 16) if re.fullmatch(r"[0-9A-Fa-f]{2,4}", code) else 0
        low = number & 0xFF if number >= 0xF000 else number
        if value_of(node, "font").lower() == "symbol" and low in SYMBOL:
            return SYMBOL[low]
        self.changes["signs of a font that have no letter"] += 1
        return UNKNOWN_SIGN

    def _formula(self, node: Element) -> None:
        """Take a formula of Office's own markup: exponents, indices, fractions and roots."""
        name = name_of(node)
        if name == "t":
            self._parts.append((node.text or "").translate(OWN))
        elif name == "f":
            self._sides(node, ("num", "den"), "", "/", "")
        elif name == "rad":
            degree = (
                "".join(degree.itertext()) if (degree := child_of(node, "deg")) is not None else ""
            )
            self._sides(node, ("e",), f"root({degree}, " if degree.strip() else "sqrt(", "", ")")
        else:
            mark = {"sup": UP, "sub": DOWN}.get(name, "")
            self._parts.append(mark)
            for child in _present(node):
                self._formula(child)
            self._parts.append(END if mark else "")

    def _sides(
        self, node: Element, names: tuple[str, ...], before: str, between: str, after: str
    ) -> None:
        """Take some children of a formula; those of a fraction in brackets where they are long."""
        sides = [side for side in _present(node) if name_of(side) in names]
        is_long = bool(between) and not all(WORD.fullmatch("".join(s.itertext())) for s in sides)
        self._parts.append(before)
        for place, side in enumerate(sides):
            self._parts.append((between if place else "") + ("(" if is_long else ""))
            self._formula(side)
            self._parts.append(")" if is_long else "")
        self._parts.append(after)


def _present(node: Element) -> Iterable[Element]:
    """Yield the children that are text of the document now; of alternatives, the first."""
    if name_of(node) == "AlternateContent":
        choice = child_of(node, "Choice")
        chosen = choice if choice is not None else child_of(node, "Fallback")
        return [] if chosen is None else [chosen]
    return [child for child in node if name_of(child) not in GONE]


def _all(node: Element, name: str) -> Iterator[Element]:
    """Yield the rows of a table or the cells of a row, those in content controls too."""
    for child in _present(node):
        if name_of(child) == name:
            yield child
        elif name_of(child) not in ("p", "tbl"):
            yield from _all(child, name)


def _boxes(node: Element) -> Iterator[Element]:
    """Yield the text boxes, diagrams, charts and words in a drawing, each once."""
    for child in _present(node):
        name = name_of(child)
        if name in ("txbxContent", WORD_ART) or name in DRAWN:
            yield child
        else:
            yield from _boxes(child)
