"""The OBO text format of ontologies: stanzas of tags, each with its line.

Source: The OBO Flat File Format Guide, version 1.4. A value ends before an unquoted ``!``
(a comment) and before a list of qualifiers in braces at its end; a backslash escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ragbench.base.errors import DataError
from ragbench.base.files import plain_file

ESCAPES = {"n": "\n", "W": " ", "t": "\t"}
MARKS = re.compile(r'\\.|["!{]')  # an escape hides the mark after it
QUALIFIERS = re.compile(r'\{\s*[^\s={}"]+\s*=\s*"(?:[^"\\]|\\.)*"[^{}]*\}\s*')
QUOTED = re.compile(r'\s*"((?:[^"\\]|\\.)*)"\s*')


@dataclass(frozen=True, slots=True)
class Tag:
    """One ``name: value`` line; comment and qualifiers are cut off, escapes still stand."""

    name: str
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Stanza:
    """A stanza such as ``Term``; the header's kind is empty."""

    kind: str
    line: int
    tags: list[Tag] = field(default_factory=list)

    def all(self, name: str) -> list[Tag]:
        """Return the tags of a name, in order."""
        return [tag for tag in self.tags if tag.name == name]

    def text(self, name: str) -> str:
        """Return the plain value of the first tag of a name; empty if there is none."""
        return next((unescape(tag.value) for tag in self.tags if tag.name == name), "")


def stanzas(path: Path) -> Iterator[Stanza]:
    """Yield the header, then every stanza of a file.

    Args:
        path: The ``.obo`` file, in UTF-8.

    Yields:
        The stanzas in the order of the file.

    Raises:
        DataError: A line is neither a tag, a stanza's head, a comment nor blank, or no UTF-8.
    """
    current = Stanza("", 1)
    for number, line in _lines(path):
        where = f"{path}:{number}"
        if not line or line.startswith("!"):
            continue
        if line.startswith("["):
            head = re.fullmatch(r"\[([^\[\]]+)\]\s*(?:!.*)?", line)
            if head is None:
                raise DataError(
                    f"{line[:60]!r} is not the head of a stanza",
                    where=where,
                    fix="get the ontology again, in the OBO format",
                )
            yield current
            current = Stanza(head[1], number)
            continue
        name, colon, value = line.partition(":")
        if not colon or len(name.split()) != 1:
            raise DataError(
                f"{line[:60]!r} is not a line of the OBO format",
                where=where,
                fix="write `tag: value`, as in `name: Fever`; the file may not be OBO at all",
            )
        current.tags.append(Tag(name.strip(), _bare(value), number))
    yield current


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (number, stripped line); a line that ends in a lone backslash goes on in the next."""
    start, whole = 0, ""
    try:
        with plain_file(path).open("rb") as handle:
            for number, data in enumerate(handle, 1):
                try:
                    text = data.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                except UnicodeDecodeError as error:
                    raise DataError(
                        f"this line is not UTF-8: {error.reason} at byte {error.start + 1}",
                        where=f"{path}:{number}",
                        fix="write the file again as UTF-8",
                    ) from None
                start = start or number
                whole += text
                if (len(text) - len(text.rstrip("\\"))) % 2:
                    whole = whole[:-1]
                    continue
                yield start, whole
                start, whole = 0, ""
    except OSError as error:
        raise DataError(
            f"the file cannot be read: {error.strerror}",
            where=str(path),
            fix="check that you may read it",
        ) from None
    if whole:
        yield start, whole


def _bare(value: str) -> str:
    """Return a value without its comment and qualifiers."""
    is_quoted = False
    for found in MARKS.finditer(value):
        mark, position = found[0], found.start()
        if mark == '"':
            is_quoted = not is_quoted
        elif not is_quoted and (
            mark == "!" or (mark == "{" and _ends_in_qualifiers(value, position))
        ):
            return value[:position].strip()
    return value.strip()


def _ends_in_qualifiers(value: str, position: int) -> bool:
    found = QUALIFIERS.match(value, position)
    return found is not None and value[found.end() : found.end() + 1] in ("", "!")


def quoted(tag: Tag, path: Path) -> tuple[str, str]:
    """Split a value such as ``"text" EXACT []``.

    Args:
        tag: The tag.
        path: The file, for the message.

    Returns:
        The text without its quotes and escapes, and what follows it.

    Raises:
        DataError: The value does not begin with text in quotes.
    """
    found = QUOTED.match(tag.value)
    if found is None:
        raise DataError(
            f"the {tag.name!r} does not begin with text in quotes: {tag.value[:60]!r}",
            where=f"{path}:{tag.line}",
            fix=f'write `{tag.name}: "..." [...]`',
        )
    return unescape(found[1]), tag.value[found.end() :]


def unescape(text: str) -> str:
    """Return text with its backslash escapes resolved."""
    if "\\" not in text:
        return text
    return re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[1]), text)
