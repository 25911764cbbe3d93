"""Text of an HTML page: a line per block and per row of a table, without scripts and styles.

The cells of a row are parted by `` | ``. A table that holds tables or headings lays out a page: its
cells are blocks like others.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ragbench.base.files import plain_file
from ragbench.corpora.formats.parsed import Fault, undecodable, whole_text
from ragbench.corpora.formats.raised import (
    CITATIONS,
    DOWN,
    END,
    OWN,
    SCRIPTS,
    UP,
    cited,
    noted,
    plain,
    uncited,
)

DROPPED = frozenset(
    "script style template noscript head title svg annotation annotation-xml".split()
)
BLOCKS = frozenset(
    "address article aside blockquote caption dd div dl dt fieldset figcaption figure footer form "
    "h1 h2 h3 h4 h5 h6 header hr li main nav ol option p pre section table td th tr ul".split()
)
# What a table that lays out a page holds, and tables of data do not.
LAYOUT = frozenset("table h1 h2 h3 h4 h5 h6 article aside form header footer main nav".split())
# Links to the list of references or the notes of the same page.
REFERENCE = re.compile(r"#(?:cite|ref|bib|cr?\d|[br]\d|rn?\d|fn|ft|foot|note|en\d)", re.IGNORECASE)
CONTROL = re.compile(r"&#(?:0{0,8}[1-6]|[xX]0{0,8}[1-6])(?:;|(?![0-9a-fA-F]))")
MOST_INNER = 64  # tags and texts in what is raised, or refers to something
MOST_OF_FORMULA = 1024
YEAR = re.compile(r"(?:1[6-9]|20)\d\d")
FORMULAS = {"msup": ("", UP), "msub": ("", DOWN), "msubsup": ("", DOWN, UP), "mfrac": ("", "/")}


def read_html(path: Path, encoding: str) -> tuple[str, str, Counter[str]]:
    """Return the title of a page, its text, and counts of what was left out.

    ``encoding`` is that of a page which declares none. Raises Fault if the page is not of it.
    """
    from bs4 import BeautifulSoup

    markup = _without_open_ends(_decoded(plain_file(path).read_bytes(), encoding).translate(OWN))
    markup = CONTROL.sub("", markup)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of XHTML, and of a lone word
        soup = BeautifulSoup(markup, "html.parser")
    changes: Counter[str] = Counter()
    _mark(soup)
    heading = soup.title or soup.h1
    title = _line([heading.get_text()], Counter()) if heading else ""
    lines = (_line(parts, changes) for parts in _blocks(soup))
    return title, "\n".join(line for line in lines if line.strip(" |")), changes


def _without_open_ends(markup: str) -> str:
    """Return markup in which every opening sign that nothing closes is text.

    The parser looks for each of their ends up to the end of the page, which takes quadratic time.
    """
    for opening, closing in (("<!--", "-->"), ("<![", "]>"), ("<", ">")):
        end = markup.rfind(closing) + 1
        markup = markup[:end] + markup[end:].replace(opening, f"&lt;{opening[1:]}")
    return markup


def _line(parts: list[str], changes: Counter[str]) -> str:
    text, removed = uncited(noted("".join(parts)))
    if removed:
        changes[CITATIONS] += removed
    return " ".join(plain(text).split())


def _mark(soup: Any) -> None:
    """Put marks around raised and lowered text, references and the parts of formulas."""
    gone: set[int] = set()
    for tag in soup.find_all(["sup", "sub", "a", *FORMULAS]):
        if id(tag) in gone:
            continue
        if tag.name in FORMULAS and len(_inner(tag, MOST_OF_FORMULA)) < MOST_OF_FORMULA:
            for mark, child in zip(FORMULAS[tag.name], tag.find_all(recursive=False), strict=False):
                child.insert(0, mark)
                child.append(END if mark in (UP, DOWN) else "")
        elif (text := _reference(tag)) is not None:
            gone.update(map(id, _inner(tag, MOST_INNER)))
            tag.clear()
            tag.append(cited(text))
        elif tag.name in SCRIPTS and len(_inner(tag, MOST_INNER)) < MOST_INNER:
            tag.insert(0, SCRIPTS[tag.name])
            tag.append(END)


def _inner(tag: Any, most: int) -> list[Any]:
    """Return the tags and texts in a tag in their order; no more than the most that matter.

    The library's own ``descendants`` looks for the last of them first, however many there are.
    """
    from bs4 import Tag

    found: list[Any] = []
    stack = tag.contents[::-1]
    while stack and len(found) < most:
        node = stack.pop()
        found.append(node)
        stack += node.contents[::-1] if isinstance(node, Tag) else []
    return found


def _reference(tag: Any) -> str | None:
    """Return the text of a tag that refers to a note or the literature; None if it does not."""
    inner = _inner(tag, MOST_INNER)
    if len(inner) == MOST_INNER:
        return None
    text = "".join(each for each in inner if isinstance(each, str))
    is_number = not any(map(str.isalpha, text))
    if tag.name == "a":
        is_here = REFERENCE.match(str(tag.get("href") or ""))
        return text if is_here and (is_number or YEAR.search(text)) else None
    links = [str(each.get("href") or "") for each in inner if each.name == "a"]
    if tag.name == "sub" or not links:
        return None
    is_power = str(tag.previous_sibling or "")[-1:].isdigit()
    is_note = any(link.startswith("#") for link in links)
    return text if is_note or (is_number and not is_power) else None


def _layouts(soup: Any) -> set[int]:
    """Return the tables that lay out the page."""
    from bs4 import Tag

    table_of: dict[int, int] = {id(soup): 0}
    found: set[int] = set()
    for node in soup.descendants:
        if isinstance(node, Tag):
            around = table_of[id(node.parent)]
            if around and node.name in LAYOUT:
                found.add(around)
            if node.name == "table" and node.get("role") in ("presentation", "none"):
                found.add(id(node))
            table_of[id(node)] = id(node) if node.name == "table" else around
    return found


def _blocks(soup: Any) -> Iterator[list[str]]:
    """Yield the strings of each block in order, in a time that grows as the page does."""
    from bs4 import Tag
    from bs4.element import CData, NavigableString

    layouts = _layouts(soup)
    block_of: dict[int, int] = {id(soup): id(soup)}  # 0 in what is dropped
    table_of: dict[int, int] = {id(soup): 0}  # 0 outside tables of data
    cells: set[int] = set()  # what is in a cell of one
    started: set[int] = set()  # rows that have a cell
    parts: list[str] = []
    last = id(soup)
    for node in soup.descendants:
        above = id(node.parent)
        around = block_of[above]
        if isinstance(node, Tag):
            is_cell = node.name in ("td", "th") and table_of[above] != 0
            in_cell = above in cells and node.name not in ("tr", "caption")
            starts = node.name in BLOCKS and around and not is_cell and not in_cell
            block_of[id(node)] = 0 if node.name in DROPPED else id(node) if starts else around
            is_data = node.name == "table" and id(node) not in layouts
            is_layout = node.name == "table" and not is_data
            table_of[id(node)] = id(node) if is_data else 0 if is_layout else table_of[above]
            if is_cell or in_cell:
                cells.add(id(node))
            if is_cell and around:
                if around != last:
                    yield parts
                    parts, last = [], around
                parts.append(" | " if around in started else "")
                started.add(around)
            elif in_cell and (node.name in BLOCKS or node.name == "br"):
                parts.append(" ")
            elif node.name == "br":
                yield parts
                parts = []
        elif around and type(node) in (NavigableString, CData):  # comments are of other types
            if around != last:
                yield parts
                parts, last = [], around
            parts.append(node)
    yield parts


def _decoded(data: bytes, encoding: str) -> str:
    from bs4.dammit import EncodingDetector

    data, marked = EncodingDetector.strip_byte_order_mark(data)
    declared = EncodingDetector.find_declared_encoding(data, is_html=True)
    codec = marked or declared or encoding
    if codec.lower() in ("iso-8859-1", "latin-1", "ascii", "us-ascii"):
        codec = "cp1252"  # as every browser reads what calls itself so
    try:
        return whole_text(data.decode(codec))
    except UnicodeDecodeError as error:
        raise undecodable(codec, error) from None
    except LookupError:
        raise Fault("no text in its encoding", f"its encoding {codec!r} is unknown") from None
