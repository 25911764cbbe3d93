"""The corpus card: where passages come from, under which licence, read by which reader."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field

from ragbench.base import home
from ragbench.base.errors import UsageError
from ragbench.base.files import sha256_json, write_text
from ragbench.base.yamlfile import Document, Fields, check, load
from ragbench.corpora.chunking.chunking import Chunked, Chunking
from ragbench.corpora.duplicates.duplicates import Deduplicated, Duplicates
from ragbench.corpora.reader import Reader
from ragbench.corpora.readers import readers
from ragbench.corpora.union import READER, split_name


class Published(Fields):
    """The size that the source of a corpus states, for plans before it is built.

    Attributes:
        passages: Number of passages.
        tokens: Mean tokens of a passage.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    passages: int = Field(gt=0)
    tokens: int = Field(gt=0)


class Card(Fields):
    """The contents of ``corpora/NAME.yaml``.

    Attributes:
        title: Title of the corpus.
        description: Contents of the corpus.
        reader: A registered reader.
        path: File or folder; a relative path starts from the card's folder, or, for a card of the
            package, from ``corpora`` in the home folder.
        options: The reader's own options.
        chunking: How documents are split; by default each is one passage.
        duplicates: Treatment of repeated passages; by default all are kept.
        source: Origin of the texts, with their edition.
        published: The size that the source states.
        licence: Terms of use.
        data_use: ``restricted`` for anything under a data-use agreement.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = ""
    description: str = ""
    reader: str
    path: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    chunking: Chunking | None = None
    duplicates: Duplicates | None = None
    source: str = ""
    published: Published | None = None
    licence: str = "not stated"
    data_use: Literal["open", "restricted"] = "open"

    def digest(self) -> str:
        """Return the digest of what can change the passages; words and terms are no part of it."""
        facts = self.model_dump(include={"reader", "path", "options"})
        if self.chunking:
            facts["chunking"] = self.chunking.facts()
        if self.duplicates:
            facts["duplicates"] = self.duplicates.facts()
        return sha256_json(facts)


def load_card(name: str) -> tuple[Card, Path]:
    """Return the card of a corpus, or one made from the name of a union, and its file.

    The file of a union without a card does not exist.

    Raises UsageError if there is no such card, or it is wrong.
    """
    try:
        path = home.find_yaml("corpora", name, what="corpus")
    except UsageError:
        if not split_name(name):
            raise
        options = {"corpora": list(split_name(name))}
        return Card(reader=READER, options=options), home.home() / "corpora" / f"{name}.yaml"
    return check(Card, load(path)), path


def make_reader(card: Card, card_path: Path) -> Reader:
    """Make the card's reader with its options checked.

    Args:
        card: The card.
        card_path: Its file; relative paths start from its folder.

    Returns:
        A reader, which chunks and drops repeats if the card says so; nothing has been read yet.
    """
    kind = readers.get(card.reader)
    written = card_path.is_file()  # that of a union may not be
    document = load(card_path).part("options") if written else Document(card.options, card_path, {})
    options = check(kind.Options, document)
    reader: Reader = kind(source_of(card, card_path), options)
    if card.chunking:
        reader = Chunked(reader, card.chunking.make())
    return Deduplicated(reader, card.duplicates) if card.duplicates else reader


def source_of(card: Card, card_path: Path) -> Path | None:
    """Return the file or folder that a card at a path names; none if it names none."""
    if card.path is None:
        return None
    carried = card_path.is_relative_to(home.bundled() / "corpora")
    base = home.home() / "corpora" if carried else card_path.parent
    return Path(os.path.normpath(base / home.expand(card.path)))  # the base may not exist yet


def add_card(name: str, card: Card, *, replace: bool) -> Path:
    """Write the card of a new corpus into the home folder.

    Args:
        name: The corpus.
        card: What to write; its reader, its source and its tokenizer must be there.
        replace: Whether an existing card may be overwritten.

    Returns:
        The file written.

    Raises:
        UsageError: The corpus has a card already.
        DataError: The source is missing, or its first entry has no such fields.
    """
    home.check_name(name, what="a corpus")
    path = home.home() / "corpora" / f"{name}.yaml"
    if path.exists() and not replace:
        raise UsageError(
            f"the corpus {name!r} has a card already",
            where=str(path),
            fix="choose another --name, or add --replace",
        )
    import yaml

    text = yaml.safe_dump(
        card.model_dump(exclude_defaults=True, mode="json"), sort_keys=False, allow_unicode=True
    )
    kind = readers.get(card.reader)
    options = kind.Options.model_validate(card.options)
    reader = kind(source_of(card, path), options)
    reader.sources()
    if "id_field" in kind.Options.model_fields:
        next(iter(reader.read()), None)  # names the fields that there are where one is missing
    if card.chunking:
        card.chunking.make()
    write_text(path, text)
    return path
