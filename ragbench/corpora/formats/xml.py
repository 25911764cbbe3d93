"""XML that is not trusted: streamed, without entities, and never deeper than a document needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from html.entities import html5
from pathlib import Path
from typing import Any, Protocol
from xml.etree.ElementTree import Element, ParseError, XMLParser, XMLPullParser
from xml.parsers.expat import ExpatError, ParserCreate

from ragbench.base.errors import DataError
from ragbench.base.files import plain_file

BLOCK_BYTES = 1 << 18
MAX_DEPTH = 64
WHOLE = "get the file again, and compare its size with that of its source; or remove it"
TRUSTED = "remove the file; if you trust it, write it again without that"
ENTITIES = {name[:-1]: text for name, text in html5.items() if name[-1] == ";"}


class Readable(Protocol):
    """What gives bytes."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes; none at the end."""


def elements(
    path: Path, *tags: str, handle: Readable | None = None, depth: int | None = MAX_DEPTH
) -> Iterator[Element]:
    """Yield each whole element of some tags, in document order.

    Args:
        path: The file.
        *tags: The elements to yield; the caller clears each when it is done with it.
        handle: Gives the XML, where the file is not itself XML.
        depth: How deeply elements may be nested; None leaves it open, which is faster and safe
            for a caller that follows paths and does not recur.

    Yields:
        The elements.

    Raises:
        DataError: The file is not whole XML, declares entities or is nested too deeply.
    """
    parser: Any = XMLPullParser(["end"])
    guard = _guard(str(path), depth)
    block = b"-"
    try:
        with nullcontext(handle) if handle is not None else plain_file(path).open("rb") as source:
            while block:
                block = source.read(BLOCK_BYTES)
                guard.Parse(block, not block)  # the end, too: a cut file is an error
                parser.feed(block) if block else parser.close()
                yield from (e for _, e in parser.read_events() if e.tag in tags)
    except (ParseError, ExpatError) as error:
        raise _broken("the file is not whole XML", error, str(path)) from None
    except (LookupError, ValueError) as error:  # an encoding unknown to Python or expat
        raise _broken("the XML cannot be decoded", error, str(path)) from None


def root_of(data: bytes, where: str, *, depth: int = MAX_DEPTH) -> Element:
    """Return the root of a whole document.

    Entities that HTML names, such as ``&alpha;``, are read where the document says that a DTD
    declares them; the DTD is not fetched.

    Args:
        data: The document.
        where: What it is, for messages.
        depth: How deeply its elements may be nested.

    Returns:
        Its root element.

    Raises:
        DataError: It is not whole XML, declares entities or is nested too deeply.
    """
    parser: Any = XMLParser()  # noqa: S314 - the guard has passed what it is fed
    parser.entity.update(ENTITIES)
    try:
        _guard(where, depth).Parse(data, True)
        parser.feed(data)
        root: Element = parser.close()
    except (ParseError, ExpatError) as error:
        raise _broken("the file is not whole XML", error, where) from None
    except (LookupError, ValueError) as error:
        raise _broken("the XML cannot be decoded", error, where) from None
    return root


def _broken(what: str, error: Exception, where: str) -> DataError:
    return DataError(f"{what}: {error}", where=where, fix=WHOLE)


def _guard(where: str, depth_limit: int | None) -> Any:
    """Return a second parser that sees a declaration in any encoding and across blocks."""
    depth = 0

    def refuse(*_: object) -> None:
        raise DataError("the XML declares entities, which are not read", where=where, fix=TRUSTED)

    def down(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth_limit is not None and depth > depth_limit:
            what = f"the XML is nested more than {depth_limit} deep"
            raise DataError(what, where=where, fix=TRUSTED)

    def up(*_: object) -> None:
        nonlocal depth
        depth -= 1

    guard = ParserCreate()
    guard.EntityDeclHandler = refuse
    if depth_limit is not None:
        guard.StartElementHandler = down
        guard.EndElementHandler = up
    return guard
