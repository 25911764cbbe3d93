"""Sections of articles and book chapters in the XML that publishers give to libraries.

JATS (ANSI/NISO Z39.96, articles of PubMed Central) and BITS (its form for books, as of NCBI's
Bookshelf). What is read: titles, abstracts, the body, the sections, appendices and glossaries after
it, and the floats that stand after them. What is not: references, acknowledgements, notes on
funding (parts after the text that are not read are counted), alternative texts of pictures. A
figure or note within a paragraph comes after it, so that its sentences stay whole.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from ragbench.corpora.formats.raised import CITATIONS, END, SCRIPTS, cited, marked, plain, uncited

ROOTS = ("article", "book-part-wrapper", "book-part")
SECTIONS = frozenset({"sec", "app", "book-part", "glossary"})
DROPPED = frozenset(
    "ref-list object-id graphic media inline-graphic inline-media permissions alt-text long-desc "
    "annotation annotation-xml sec-meta index-term book-part-meta sub-article response".split()
)
BLOCKS = frozenset(
    "p title subtitle label list list-item def-list def-item term def disp-quote speech statement "
    "verse-group verse-line disp-formula disp-formula-group fig fig-group caption table-wrap "
    "table-wrap-group table-wrap-foot table thead tbody tfoot tr boxed-text code preformat fn "
    "fn-group supplementary-material chem-struct-wrap array question answer explanation".split()
)
FLOATS = frozenset(
    "fig fig-group table-wrap table-wrap-group boxed-text supplementary-material fn "
    "chem-struct-wrap".split()
)
# Parts after the text: those that are read, and those that are counted as left out.
BACK = ("sec", "app-group", "app", "glossary")
HREF = "{http://www.w3.org/1999/xlink}href"


@dataclass(frozen=True, slots=True)
class Section:
    """A section's own text, without that of the sections in it.

    Attributes:
        titles: Its headings, the outermost first.
        text: A line a paragraph, list item, table row or caption.
    """

    titles: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Article:
    """An article or chapter.

    Attributes:
        title: Its title.
        ids: By kind (``pmcid``, ``pmid``, ``doi``), those that it states.
        meta: What else is known: journal or book, year, licence.
        sections: In reading order.
        n_translations: Abstracts in other languages, which are not read.
        n_others: Articles within it (replies, translations), which are not read.
        changes: Counts of what was left out of the text, by kind.
    """

    title: str
    ids: dict[str, str]
    meta: dict[str, str]
    sections: list[Section]
    n_translations: int = 0
    n_others: int = 0
    changes: Counter[str] = field(default_factory=Counter)


def article(root: Element, *, tables: bool, citations: bool) -> Article | None:
    """Return what an XML document holds.

    Args:
        root: Its root element.
        tables: Whether the rows of tables are text.
        citations: Whether references to the literature, such as ``[3]``, stay in the text.

    Returns:
        The article; None if it is neither JATS nor BITS.
    """
    tag = _tag(root)
    if tag not in ROOTS:
        return None
    if space := root.tag.removesuffix(tag):  # as PubMed Central's OAI service has it
        for element in root.iter():
            element.tag = element.tag.removeprefix(space)
    style = _Style(tables, citations)
    if tag == "article":
        head = root.find("front/article-meta")
        title = _text(_find(head, "title-group/article-title"), style)
        meta = {"journal": _text(root.find("front/journal-meta//journal-title"), style)}
    else:
        part = root.find("book-part") if tag == "book-part-wrapper" else root
        head = _find(part, "book-part-meta")
        title = _text(_find(head, "title-group/title"), style)
        meta = {"book": _text(root.find("book-meta/book-title-group/book-title"), style)}
        root = root if part is None else part
    meta |= {"year": _year(head), "license": _licence(head)}
    sections = list(_sections(root, head, style))
    for element in root.findall("back/*"):
        if _tag(element) not in BACK:
            style.changes[f"parts after the text, not read: <{_tag(element)}>"] += 1
    return Article(
        title,
        _ids(head),
        {key: value for key, value in meta.items() if value},
        sections,
        n_translations=0 if head is None else len(head.findall("trans-abstract")),
        n_others=len(root.findall("sub-article")) + len(root.findall("response")),
        changes=style.changes,
    )


def _tag(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def _find(element: Element | None, path: str) -> Element | None:
    return None if element is None else element.find(path)


def _ids(head: Element | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for element in [] if head is None else head:
        if _tag(element) not in ("article-id", "book-part-id"):
            continue
        kind = element.get("pub-id-type") or element.get("book-part-id-type") or ""
        value = "".join(element.itertext()).strip()
        if kind in ("pmc", "pmcid") and (digits := re.fullmatch(r"(?:PMC)?([0-9]+)", value)):
            found.setdefault("pmcid", f"PMC{digits[1]}")
        elif kind in ("pmid", "doi") and value:
            found.setdefault(kind, value)
    return found


def _year(head: Element | None) -> str:
    years = [] if head is None else [y.text or "" for y in head.iterfind("pub-date/year")]
    whole = sorted(year.strip() for year in years if year.strip().isdecimal())
    return whole[0] if whole else ""


def _licence(head: Element | None) -> str:
    for element in [] if head is None else head.iterfind("permissions/license"):
        links = [element.get(HREF), *(link.get(HREF) for link in element.iter("ext-link"))]
        found = next((link for link in links if link), None) or element.get("license-type")
        if found:
            return found
    return ""


def _sections(root: Element, head: Element | None, style: _Style) -> Iterator[Section]:
    for abstract in [] if head is None else head.findall("abstract"):
        yield from _walk(abstract, (_heading(abstract, style) or "Abstract",), style)
    for path in ("body", *(f"back/{part}" for part in BACK), "floats-group"):
        for element in root.findall(path):
            own = () if _tag(element) in ("body", "app-group", "floats-group") else None
            yield from _walk(element, own, style)


def _heading(element: Element, style: _Style) -> str:
    if _tag(element) == "book-part":
        return _text(element.find("book-part-meta/title-group/title"), style)
    return _text(element.find("title"), style) or _text(element.find("label"), style)


def _walk(element: Element, titles: tuple[str, ...] | None, style: _Style) -> Iterator[Section]:
    """Yield the section that an element is, if it has text of its own, then those in it."""
    if titles is None:
        titles = (_heading(element, style),)
    lines = _Lines(style, element)
    text = lines.read()
    titles = tuple(title for title in titles if title)
    if text:
        yield Section(titles, text)
    for inner in lines.inner:
        yield from _walk(inner, (*titles, _heading(inner, style)), style)


def _formula(text: str) -> str:
    """Return a formula without the LaTeX document around it."""
    _, begun, rest = text.partition(r"\begin{document}")
    inner, ended, _ = rest.partition(r"\end{document}")
    return inner if begun and ended else text


def _text(element: Element | None, style: _Style) -> str:
    """Return an element's text on one line."""
    return "" if element is None else " ".join(_Lines(style, element).read().split())


@dataclass(frozen=True, slots=True)
class _Style:
    tables: bool
    citations: bool
    changes: Counter[str] = field(default_factory=Counter)


@dataclass
class _Lines:
    """The text of one element, one line per block; sections within it are kept for later."""

    style: _Style
    top: Element
    inner: list[Element] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)
    _parts: list[str] = field(default_factory=list)
    _label: str = ""
    _paragraphs: int = 0  # around what is being read
    _floats: list[Element] = field(default_factory=list)

    def read(self) -> str:
        """Return the lines."""
        self._parts.append(self.top.text or "")
        skipped = () if _tag(self.top) not in (*SECTIONS, "abstract") else ("title", "label")
        for child in self.top:
            if _tag(child) not in skipped:
                self._visit(child)
            self._parts.append(child.tail or "")
        self._break(anyway=True)
        return "\n".join(self._lines)

    def _visit(self, node: Element) -> None:
        tag = _tag(node)
        if tag in SECTIONS:
            self.inner.append(node)
        elif tag == "alternatives":
            self._visit_best(node)
        elif tag == "tr":
            cells = [_text(cell, self.style) for cell in node]
            self._break()
            self._parts.append(" | ".join(cells) if any(cells) else "")
            self._break()
        elif tag == "xref" and node.get("ref-type") == "bibr" and not self.style.citations:
            self._parts.append(cited("".join(node.itertext())))
        elif tag == "math":
            self._parts += marked(node)
        elif tag in FLOATS and self._paragraphs:
            self._floats.append(node)
        elif tag == "tex-math":
            self._parts.append(_formula(node.text or "").strip("\n $"))
        elif tag not in DROPPED and (self.style.tables or tag != "table"):
            self._visit_all(node, is_block=tag in BLOCKS, is_label=tag == "label")

    def _visit_all(self, node: Element, *, is_block: bool, is_label: bool) -> None:
        if is_block:
            self._break()
        elif _tag(node) == "break":
            self._parts.append(" ")
        raised = SCRIPTS.get(_tag(node), "")
        is_paragraph = _tag(node) == "p"
        self._paragraphs += is_paragraph
        self._parts.append(raised + (node.text or ""))
        for child in node:
            self._visit(child)
            self._parts.append(child.tail or "")
        self._parts.append(END if raised else "")
        self._paragraphs -= is_paragraph
        if is_label:  # it stands on one line with what it is the label of
            self._parts.append(" ")
            self._label = "".join(self._parts)
        elif is_block:
            self._break(anyway=True)
        if is_paragraph and not self._paragraphs:
            floats, self._floats = self._floats, []
            for inner in floats:
                self._visit(inner)

    def _visit_best(self, node: Element) -> None:
        """Visit one of several forms of the same thing: MathML, LaTeX, a table, or the first."""
        forms = {_tag(child): child for child in reversed(node)}
        for tag in ("math", "tex-math", "table", "textual-form"):
            if tag in forms:
                self._visit(forms[tag])
                return
        for child in list(node)[:1]:
            self._visit(child)

    def _break(self, *, anyway: bool = False) -> None:
        text = "".join(self._parts)
        if text == self._label and not anyway:
            return
        self._parts.clear()
        self._label = ""
        text, removed = uncited(text)
        if removed:
            self.style.changes[CITATIONS] += removed
        line = " ".join(plain(text).split())
        if line:
            self._lines.append(line)
