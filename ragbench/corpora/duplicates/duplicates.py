"""Repeated passages: a reader that drops them, or notes which passage they repeat.

Texts are compared after NFKC, in lower case, with single blanks; the title counts only where the
card says so. ``exact`` takes equal texts. ``near`` takes texts whose sets of word shingles have a
Jaccard similarity of the threshold or more: MinHash finds candidates, the similarity itself
decides. The first in source order stays, and later ones are compared with those that stayed: what
resembles only a dropped passage stays. Passages are compared as they are indexed, after chunking.
"""

from __future__ import annotations

import os
import tempfile
import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import IO, ClassVar, Literal, TypeGuard

import numpy as np
from pydantic import ConfigDict, Field, field_validator, model_validator

from ragbench.base.yamlfile import Fields
from ragbench.corpora.cleaned import cleaned
from ragbench.corpora.duplicates.digests import Digests
from ragbench.corpora.duplicates.minhash import Bands, Sketch, jaccard, shingles
from ragbench.corpora.reader import Located, Reader, ReaderOptions, Skipped, origin_of

BLOCK = 1024
EXACT = "the text of an earlier passage"
NEAR = "nearly the text of an earlier passage"
META = "duplicate_of"
Action = Literal["drop", "report", "off"]


class Duplicates(Fields):
    """The key ``duplicates`` of a card.

    Attributes:
        exact: Treatment of a passage with an earlier one's text: ``drop`` leaves it out and
            lists it, ``report`` keeps it and notes the earlier one as ``duplicate_of`` in its
            meta.
        near: Treatment of a passage whose text nearly repeats an earlier one.
        threshold: Jaccard similarity from which two texts are nearly the same.
        shingle: Number of words in a shingle.
        title: Whether the title is part of the text here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    exact: Action = "drop"
    near: Action = "off"
    threshold: float = Field(0.9, ge=0.3, le=1)
    shingle: int = Field(5, ge=1, le=50)
    title: bool = False

    @field_validator("exact", "near", mode="before")
    @classmethod
    def _off(cls, value: object) -> object:
        return "off" if value is False else value  # YAML reads a bare off as False

    @model_validator(mode="after")
    def _does_something(self) -> Duplicates:
        if self.exact == self.near == "off":
            raise ValueError("exact and near are both off: leave `duplicates` away")
        return self

    def facts(self) -> dict[str, str | float | bool]:
        """Return the options that decide; those of near duplicates only if they are looked for."""
        off = {"threshold", "shingle"} if self.near == "off" else set()
        return self.model_dump(exclude=off)


def normalised(text: str) -> str:
    """Return a text in NFKC, lower case, with single blanks and none at its ends."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


class Deduplicated:
    """A reader without repeated passages, or with a note on them."""

    Options: ClassVar[type[ReaderOptions]] = ReaderOptions

    def __init__(self, reader: Reader, duplicates: Duplicates) -> None:
        self._reader = reader
        self._card = duplicates

    def sources(self) -> list[Path]:
        """Return the files that the reader reads."""
        return self._reader.sources()

    def origin(self) -> dict[str, str]:
        """Return where the reader reads from, if that is no file."""
        return origin_of(self._reader)

    def read(self) -> Iterator[Located | Skipped]:
        """Yield every entry in its order, repeated passages as Skipped or with a note."""
        entries = (e if isinstance(e, Skipped) else cleaned(e) for e in self._reader.read())
        with tempfile.TemporaryFile() as ids, tempfile.TemporaryFile() as sets:
            seen = _Seen(self._card, _Spool(ids), _Spool(sets))
            while block := list(islice(entries, BLOCK)):
                compared = [entry for entry in block if _is_passage(entry)]
                verdicts = iter(seen.verdicts(compared) if compared else [])
                for entry in block:
                    if _is_passage(entry) and (verdict := next(verdicts)):
                        yield self._judged(entry, verdict)
                    else:
                        yield entry

    def _judged(self, entry: Located, verdict: tuple[str, str]) -> Located | Skipped:
        reason, kept = verdict
        passage = entry.passage
        if (self._card.exact if reason == EXACT else self._card.near) == "drop":
            return Skipped(reason, entry.where, id=passage.id, detail=kept)
        told = replace(passage, meta=passage.meta | {META: kept})
        return replace(entry, passage=told, noted=reason)


class _Seen:
    """What has been read so far, the bulk of it in files that vanish with the reading."""

    def __init__(self, card: Duplicates, ids: _Spool, sets: _Spool) -> None:
        self._card = card
        self._digests = Digests()
        self._bands = Bands(card.threshold)
        self._ids = ids
        self._sets = sets
        self._like: dict[int, tuple[str, int]] = {}  # of repeated texts: reason, and of which
        self._count = 0

    def verdicts(self, entries: Sequence[Located]) -> Iterator[tuple[str, str] | None]:
        """Yield the reason and the kept passage's id for each that repeats one."""
        passages = [entry.passage for entry in entries]
        texts = [
            normalised(f"{p.title} {p.text}" if self._card.title else p.text) for p in passages
        ]
        self._ids.extend([p.id.encode("utf-8", "surrogatepass") for p in passages])
        firsts = self._digests.add(texts)
        sketches = None
        if self._card.near != "off":
            words, starts = shingles(texts, self._card.shingle)
            sketches = self._bands.sketch(words, starts)
            self._sets.extend([words[a:b].tobytes() for a, b in pairwise(starts)])
        for place, first in enumerate(firsts.tolist()):
            number = self._count
            self._count += 1
            like = None
            if self._card.exact != "off" and first < number:
                like = self._like_of(first)
            elif sketches and self._sets.size(number):
                like = self._near(sketches[place], number)
            if like:
                self._like[number] = like
                yield like[0], self._ids.read(like[1]).decode("utf-8", "surrogatepass")
            else:
                yield None

    def _like_of(self, first: int) -> tuple[str, int]:
        """Return what an equal text is like: where the first was dropped, what that one was."""
        reason, kept = self._like.get(first, (EXACT, first))
        is_gone = reason == EXACT or self._card.near == "drop"
        return (reason, kept) if is_gone else (EXACT, first)

    def _near(self, sketch: Sketch, number: int) -> tuple[str, int] | None:
        """Return the earliest passage that is near enough, or enter this one."""
        own = np.frombuffer(self._sets.read(number), dtype=np.uint64)
        for other in self._bands.candidates(sketch):
            sizes = own.size, self._sets.size(other) // own.itemsize
            if min(sizes) / max(sizes) < self._card.threshold:  # nothing to read: it is no more
                continue
            theirs = np.frombuffer(self._sets.read(other), dtype=np.uint64)
            if jaccard(theirs, own) >= self._card.threshold:
                return NEAR, other
        self._bands.add(sketch, number)
        return None


class _Spool:
    """Byte strings by number, in a temporary file; eight bytes each in memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._ends = array("Q", [0])

    def extend(self, values: Sequence[bytes]) -> None:
        """Append some."""
        self._file.write(b"".join(values))
        self._file.flush()
        for value in values:
            self._ends.append(self._ends[-1] + len(value))

    def size(self, number: int) -> int:
        """Return how many bytes one has."""
        return self._ends[number + 1] - self._ends[number]

    def read(self, number: int) -> bytes:
        """Return one."""
        return os.pread(self._file.fileno(), self.size(number), self._ends[number])


def _is_passage(entry: Located | Skipped) -> TypeGuard[Located]:
    """Return whether an entry has a text to compare; the build reports text that is not Unicode."""
    if isinstance(entry, Skipped):
        return False
    passage = entry.passage
    try:
        f"{passage.title}{passage.text}".encode()
    except UnicodeEncodeError:
        return False
    return True
