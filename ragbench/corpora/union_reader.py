"""Several other corpora, named by their cards, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from ragbench.base.errors import UsageError
from ragbench.base.yamlfile import Document, check
from ragbench.corpora.corpus import MANIFEST, folder_of, is_built
from ragbench.corpora.reader import Located, Reader, ReaderOptions, Skipped
from ragbench.corpora.union import READER, check_members, inside, nested

if TYPE_CHECKING:
    from ragbench.corpora.card import Card


class UnionOptions(ReaderOptions):
    """The options of ``reader: union``.

    Attributes:
        corpora: The members, in the order of their rows; none is itself a union.
    """

    corpora: tuple[str, ...] = Field(min_length=2)

    _corpora = field_validator("corpora")(check_members)


class UnionReader:
    """Reads the members of a union one after the other; a build copies none of it."""

    Options: ClassVar[type[ReaderOptions]] = UnionOptions

    def __init__(self, path: Path | None, options: ReaderOptions) -> None:
        if path is not None:
            raise UsageError(
                "a union has no path: it is of other corpora", where=str(path), fix="leave it out"
            )
        self.corpora = UnionOptions.model_validate(options.model_dump()).corpora

    def sources(self) -> list[Path]:
        """Return the files of the members; of those that are built, their manifests."""
        return [
            path
            for name in self.corpora
            for path in (
                [folder_of(name) / MANIFEST] if is_built(name) else _reader_of(name).sources()
            )
        ]

    def read(self) -> Iterator[Located | Skipped]:
        """Yield the entries of the members' own sources."""
        for name in self.corpora:
            for entry in _reader_of(name).read():
                if isinstance(entry, Located):
                    yield Located(inside(name, entry.passage), entry.where)
                else:
                    yield entry


def _reader_of(name: str) -> Reader:
    from ragbench.corpora.card import load_card, make_reader

    card, path = load_card(name)
    if card.reader == READER:
        raise nested(name, "a union")
    return make_reader(card, path)


def members_of(card: Card) -> tuple[str, ...]:
    """Return the corpora that a card's union is of; none if it is of no union."""
    if card.reader != READER:
        return ()
    return check(UnionOptions, Document(card.options, Path("options"), {})).corpora
