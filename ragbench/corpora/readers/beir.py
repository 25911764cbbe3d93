"""The documents of a BEIR collection: ``corpus.jsonl`` with ``_id``, ``title`` and ``text``.

Source: Thakur et al. 2021 (arXiv 2104.08663). A collection's ``queries.jsonl`` and
``qrels/test.tsv`` are read by ``ragbench index eval`` as they are. A document that has only a
title (trec-covid has thousands) is a passage whose text is that title, so that each word of it
is counted once, as where title and text are joined.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from ragbench.base.errors import DataError
from ragbench.base.files import read_jsonl
from ragbench.corpora.reader import FileReader, Located, ReaderOptions, Skipped
from ragbench.corpora.readers.jsonl import JsonlOptions, entry

NAMES = ("corpus.jsonl", "corpus.jsonl.gz")
FIELDS = JsonlOptions(id_field="_id", title_field="title", skip_empty=True)
FILES = "a folder with corpus.jsonl, queries.jsonl and qrels/test.tsv, or corpus.jsonl itself"


class BeirOptions(ReaderOptions):
    """The reader has no options."""


class BeirReader(FileReader[BeirOptions]):
    """Streams the one file of documents."""

    Options: ClassVar[type[ReaderOptions]] = BeirOptions
    path_holds: ClassVar[str] = FILES

    def sources(self) -> list[Path]:
        """Return the file of documents.

        Raises DataError if it is missing, or there twice.
        """
        if self.path.is_file():
            return [self.path]
        if not self.path.is_dir():
            raise DataError(
                "the collection is not there", where=str(self.path), fix=f"give {FILES}"
            )
        found = [self.path / name for name in NAMES if (self.path / name).is_file()]
        if not found:
            raise DataError(
                f"the folder holds no {NAMES[0]}", where=str(self.path), fix=f"give {FILES}"
            )
        if found[1:]:
            raise DataError(
                f"the folder holds both {NAMES[0]} and {NAMES[1]}",
                where=str(self.path),
                fix="remove one of them",
            )
        return found

    def read_file(self, path: Path) -> Iterator[Located | Skipped]:
        """Yield one passage per document of the file."""
        for number, line in read_jsonl(path):
            where = f"{path}:{number}"
            title = line.get("title")
            if isinstance(title, str) and title.strip() and not str(line.get("text", "-")).strip():
                found = entry(line | {"text": title}, FIELDS, where)
                if isinstance(found, Located):
                    found = Located(replace(found.passage, title=""), where)
                yield found
            else:
                yield entry(line, FIELDS, where)
