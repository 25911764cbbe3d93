"""The chunking of a card (chunker, size, tokenizer), and a reader that cuts documents.

Without a tokenizer the sizes count characters. A chunk's id is ``DOC#n`` with n from 0, also
where the document is a single chunk; its meta holds its place in the document's text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, Field, model_validator

from ragbench.base.errors import DataError
from ragbench.base.yamlfile import Fields
from ragbench.corpora.chunking import chunkers
from ragbench.corpora.chunking.chunker import Chunker
from ragbench.corpora.chunking.measure import make_measure, tokenizer_digest
from ragbench.corpora.cleaned import CUT, cleaned, source_offset
from ragbench.corpora.reader import Located, Reader, ReaderOptions, Skipped, origin_of


class Chunking(Fields):
    """The key ``chunking`` of a card.

    Attributes:
        chunker: A registered chunker.
        size: Maximum tokens of a chunk (characters without a tokenizer).
        overlap: Maximum tokens that a chunk shares with the one before it.
        tokenizer: ``package:NAME/FOLDER``, a local folder or a hub id.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    chunker: str
    size: int = Field(256, gt=0)
    overlap: int = Field(0, ge=0)
    tokenizer: str | None = None

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> Chunking:
        if self.overlap >= self.size:
            raise ValueError(f"overlap ({self.overlap}) is not smaller than size ({self.size})")
        return self

    def facts(self) -> dict[str, Any]:
        """Return all that decides the chunks: the options, and the digest of the tokenizer."""
        digest = tokenizer_digest(self.tokenizer) if self.tokenizer else None
        return self.model_dump() | {"tokenizer_digest": digest}

    def warning(self) -> str:
        """Return that the sizes count characters; empty with a tokenizer."""
        if self.tokenizer:
            return ""
        return (
            f"warning: chunks have at most {self.size:,} characters, because the sizes of chunks "
            "count characters without a tokenizer; --chunk-tokenizer (`tokenizer:` under "
            "`chunking:` in the card) counts tokens"
        )

    def make(self) -> Chunker:
        """Return the chunker."""
        kind = chunkers.get(self.chunker)
        return kind(self.size, self.overlap, make_measure(self.tokenizer))


class Chunked:
    """A reader whose documents come in chunks."""

    Options: ClassVar[type[ReaderOptions]] = ReaderOptions

    def __init__(self, reader: Reader, chunker: Chunker) -> None:
        self._reader = reader
        self._chunker = chunker

    def sources(self) -> list[Path]:
        """Return the files that the reader reads."""
        return self._reader.sources()

    def origin(self) -> dict[str, str]:
        """Return where the reader reads from, if that is no file."""
        return origin_of(self._reader)

    def read(self) -> Iterator[Located | Skipped]:
        """Yield the chunks of each document in text order."""
        for entry in self._reader.read():
            if isinstance(entry, Skipped) or not _is_unicode(entry.passage.text):
                yield entry  # the build names text that is none
            else:
                yield from self._chunks(cleaned(entry))

    def _chunks(self, entry: Located) -> Iterator[Located | Skipped]:
        passage = entry.passage
        if re.search(r"#\d+$", passage.id):
            raise DataError(
                f"the id {passage.id!r} looks like that of a chunk",
                where=entry.where,
                fix="chunks are named DOC#0, DOC#1 and so on: write the document's id otherwise",
            )
        spans = self._chunker.spans(passage.text)
        if not spans:
            yield Skipped("empty text", entry.where)
        for number, (start, end) in enumerate(spans):
            chunk = replace(
                passage,
                id=f"{passage.id}#{number}",
                text=passage.text[start:end],
                meta=passage.meta | _places(passage.meta, start, end),
            )
            yield replace(entry, passage=chunk, changes=entry.changes if number == 0 else {})


def _places(meta: Mapping[str, str], start: int, end: int) -> dict[str, str]:
    """Return the place of a chunk, and of the changes to its document what that place needs."""
    found = {"start": str(start), "end": str(end)}
    if CUT in meta:
        before, until = source_offset(meta, start) - start, source_offset(meta, end) - end
        found[CUT] = f"0:{before} {end}:{until - before}"
    return found


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
