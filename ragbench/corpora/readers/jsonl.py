"""JSON lines, plain or gzip: one document per line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from ragbench.base.errors import DataError
from ragbench.base.files import read_jsonl
from ragbench.base.records import Passage
from ragbench.corpora.reader import FileReader, Located, ReaderOptions, Skipped, files_at


class JsonlOptions(ReaderOptions):
    """Which fields of a line hold what.

    Attributes:
        id_field: Field of the document's id: a text or a whole number.
        text_field: Field of the text.
        title_field: Its title; it may be missing in a line.
        meta_fields: Further fields to keep beside the passage.
        skip_empty: Whether lines with an empty text are skipped and counted; they stop the build
            otherwise.
    """

    id_field: str = "id"
    text_field: str = "text"
    title_field: str | None = None
    meta_fields: tuple[str, ...] = ()
    skip_empty: bool = False


class JsonlReader(FileReader[JsonlOptions]):
    """Reads one ``.jsonl`` or ``.jsonl.gz`` file, or every such file of a folder by name."""

    Options: ClassVar[type[ReaderOptions]] = JsonlOptions

    def sources(self) -> list[Path]:
        """Return the file itself, or the folder's files in the order of their names.

        Raises DataError if there is no such file, or the folder holds none.
        """
        return files_at(
            self.path,
            lambda path: path.name.lower().endswith((".jsonl", ".jsonl.gz")),
            what=".jsonl or .jsonl.gz",
        )

    def read_file(self, path: Path) -> Iterator[Located | Skipped]:
        """Yield one passage per line of one file."""
        for number, line in read_jsonl(path):
            yield entry(line, self.options, f"{path}:{number}")


def entry(line: Mapping[str, Any], options: JsonlOptions, where: str) -> Located | Skipped:
    """Return the passage of an object, or why it gives none.

    Args:
        line: Values by field.
        options: Which fields hold what.
        where: The place, for messages.

    Returns:
        A passage whose document is itself, or what was skipped.

    Raises:
        DataError: A field is missing or no text, or the text is empty and may not be.
    """
    identifier = string(line, options.id_field, where)
    text = string(line, options.text_field, where)
    if not text.strip():
        if options.skip_empty:
            return Skipped("empty text", where)
        raise DataError(
            f"the field {options.text_field!r} of document {identifier!r} is empty",
            where=where,
            fix="remove the line, or set the reader's option skip_empty: true",
        )
    title = ""
    if options.title_field and line.get(options.title_field) is not None:
        title = string(line, options.title_field, where)
    meta = {
        name: string(line, name, where)
        for name in options.meta_fields
        if line.get(name) is not None
    }
    return Located(Passage(identifier, identifier, title, text, meta), where)


def string(line: Mapping[str, Any], name: str, where: str) -> str:
    """Return a field as text; whole numbers are taken too, anything else is an error.

    Args:
        line: Values by field.
        name: The field.
        where: The place, for messages.

    Returns:
        The text.

    Raises:
        DataError: The field is missing, is no text or holds a NUL character.
    """
    if line.get(name) is None:
        has = ", ".join(sorted(line)) or "(none)"
        raise DataError(
            f"the field {name!r} is missing",
            where=where,
            fix=f"the line has the fields: {has}; name the right one in the card or with "
            "--id-field, --text-field, --title-field",
        )
    value = line[name]
    if isinstance(value, str):
        if "\0" in value:
            raise DataError(
                f"the field {name!r} holds a NUL character, which no text has",
                where=where,
                fix="write the file again without it",
            )
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise DataError(
        f"the field {name!r} is a {type(value).__name__}, not text",
        where=where,
        fix="write it as a string",
    )
