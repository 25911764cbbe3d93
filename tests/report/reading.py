"""Reads a page back: its elements, tables and blocks of data, by the standard library alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "input", "br", "line", "path"}


@dataclass
class Element:
    """An element with its own text and that of its children."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, tag: str) -> list[Element]:
        """Return every element of a tag below this one, in the order of the page."""
        found = []
        for child in self.children:
            found += [child] * (child.tag == tag) + child.all(tag)
        return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.stack = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.stack[-1].children.append(element)
        if tag not in VOID:
            self.stack.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.stack[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack[-1].tag == tag, f"</{tag}> closes <{self.stack[-1].tag}>"
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        for element in self.stack:
            element.text += data


def read(page: str) -> Element:
    """Return the root of a page whose elements are all properly closed."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert len(reader.stack) == 1, f"<{reader.stack[-1].tag}> is not closed"
    return reader.stack[0]


def tables(root: Element) -> dict[str, list[list[str]]]:
    """Return the rows of each table, its header first, by caption."""
    return {
        table.all("caption")[0].text: [
            [cell.text for cell in row.children] for row in table.all("tr")
        ]
        for table in root.all("table")
    }


def data(root: Element) -> dict[str, str]:
    """Return the text of each block of data by its id."""
    return {s.attributes["id"]: s.text for s in root.all("script") if "id" in s.attributes}
