"""What reading a document file gives: its texts, or why it cannot be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers.expat import ParserCreate


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """The texts of a file, or why it has none.

    Attributes:
        title: Its title; empty if it has none.
        pages: The text of its pages; one, if it has no pages.
        meta: What it states about itself, as text.
        changes: Counts of what was left out or replaced, by kind.
        fault: Why it cannot be read, in a word.
        detail: The same at length.
    """

    title: str = ""
    pages: tuple[str, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, int] = field(default_factory=dict)
    fault: str = ""
    detail: str = ""


class Fault(Exception):
    """A file that cannot be read; ``kind`` is few and short: it is what skips are counted by."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


def undecodable(encoding: str, error: UnicodeDecodeError) -> Fault:
    """Return the fault of a file that is not of its encoding."""
    detail = f"it is not {encoding}: {error.reason} at byte {error.start + 1:,}"
    return Fault("no text in its encoding", detail)


def whole_text(text: str) -> str:
    """Return a text; refuse NUL characters, which text of another encoding has."""
    if "\0" in text:
        raise Fault("no text in its encoding", "it holds NUL characters: is it UTF-16, or no text?")
    return text


def encodable(text: str) -> str:
    """Return a text with halves of surrogate pairs, which some PDFs map letters to, replaced."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def check_xml(data: bytes) -> None:
    """Refuse XML that is not whole, or that declares a document type or entities."""

    def refuse(*_: object) -> None:
        raise Fault("damage", "its XML declares a document type or entities, which are not read")

    guard = ParserCreate()
    guard.StartDoctypeDeclHandler = refuse
    guard.EntityDeclHandler = refuse
    guard.Parse(data, True)
