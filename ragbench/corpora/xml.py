"""XML that is not trusted: streamed, without entities, and never deeper than a document needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLPullParser
from xml.parsers.expat import ExpatError, ParserCreate

from ragbench.errors import DataError

BLOCK_BYTES = 1 << 18
MAX_DEPTH = 64


def elements(path: Path, *tags: str) -> Iterator[Element]:
    """Yield each whole element of some tags, in document order.

    Args:
        path: The file.
        *tags: The elements to yield; the caller clears each when it is done with it.

    Yields:
        The elements.

    Raises:
        DataError: The file is not whole XML, declares entities or is nested too deeply.
    """
    parser: Any = XMLPullParser(["end"])
    guard = _guard(path)
    block = b"-"
    try:
        with path.open("rb") as handle:
            while block:
                block = handle.read(BLOCK_BYTES)
                guard.Parse(block, not block)  # the end, too: a cut file is an error
                parser.feed(block) if block else parser.close()
                yield from (e for _, e in parser.read_events() if e.tag in tags)
    except (ParseError, ExpatError) as error:
        raise DataError(f"the file is not whole XML: {error}", where=str(path)) from None
    except (LookupError, ValueError) as error:  # an encoding that Python or expat lacks
        raise DataError(f"the XML cannot be decoded: {error}", where=str(path)) from None


def _guard(path: Path) -> Any:
    """Return a second parser that sees a declaration in any encoding and across blocks."""
    depth = 0

    def refuse(*_: object) -> None:
        raise DataError("the XML declares entities, which are not read", where=str(path))

    def down(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise DataError(f"the XML is nested more than {MAX_DEPTH} deep", where=str(path))

    def up(*_: object) -> None:
        nonlocal depth
        depth -= 1

    guard = ParserCreate()
    guard.EntityDeclHandler = refuse
    guard.StartElementHandler = down
    guard.EndElementHandler = up
    return guard


def words(element: Element | None) -> str:
    """Return all text of an element on one line; empty if there is no such element."""
    return "" if element is None else " ".join("".join(element.itertext()).split())
