"""Whether a built corpus is whole, and whether its card and source are still those of the build."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise

import numpy as np

from ragbench.base import home
from ragbench.base.checksums import changed
from ragbench.base.errors import DataError, PrerequisiteError, RagbenchError, UsageError
from ragbench.base.progress import Progress, stage
from ragbench.corpora.build import is_unchanged
from ragbench.corpora.card import load_card, make_reader, source_of
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.corpora.store import ContentDigest
from ragbench.corpora.union import union_digest


@dataclass
class Check:
    """What was found.

    Attributes:
        name: The corpus.
        n_passages: How many passages were read.
        digest: The digest of what was read.
        repeated_texts: How many passages have the text of an earlier one.
        empty_texts: How many have nothing but white space.
        longest_id: The passage with the longest text.
        longest_characters: Its length.
        source: ``unchanged``, ``changed``, or why that is unknown.
        problems: What is wrong; empty if the corpus is whole and its source unchanged.
        rebuild: What to build again then, in this order: members of a union before it.
    """

    name: str
    n_passages: int = 0
    digest: str = ""
    repeated_texts: int = 0
    empty_texts: int = 0
    longest_id: str = ""
    longest_characters: int = -1
    source: str = "unchanged"
    problems: list[str] = field(default_factory=list)
    rebuild: list[str] = field(default_factory=list)


def check_corpus(name: str) -> Check:
    """Read a built corpus from end to end.

    Args:
        name: The corpus.

    Returns:
        What was found; a corpus that is not whole is no error here.

    Raises:
        DataError: It is not built, or cannot be opened at all.
    """
    corpus = open_corpus(name, is_checked=False)
    found = Check(name)
    _check_passages(corpus, found)
    if not found.problems:  # else the places of ids mean nothing
        _check_order(corpus, found)
    for part, of_member in _parts(corpus):
        wrong = changed(part.folder, part.manifest.sums, reread=True)
        found.problems += [of_member + problem for problem in wrong]
        if wrong and of_member:
            found.rebuild.append(part.name)
    _check_source(corpus, found)
    if found.problems:
        found.rebuild = [*dict.fromkeys(found.rebuild), name]
    return found


def check_card(corpus: Corpus) -> None:
    """Refuse a corpus whose card, or that of a member, says other passages than were built.

    Args:
        corpus: An open one; where its card is gone, or names a tokenizer that is, it is taken as
            it is.

    Raises:
        DataError: The card has changed since.
    """
    for part, _ in reversed(_parts(corpus)):
        try:
            path = home.find_yaml("corpora", part.name, what="corpus")
        except UsageError:
            continue
        with suppress(PrerequisiteError):
            if load_card(part.name)[0].digest() != part.manifest.card_digest:
                names = dict.fromkeys([part.name, corpus.name])
                raise DataError(
                    f"the card of the corpus {part.name!r} has changed since it was built",
                    where=str(path),
                    fix=", then ".join(f"ragbench corpus build {n} --replace" for n in names),
                )


def _parts(corpus: Corpus) -> list[tuple[Corpus, str]]:
    """Return a corpus and the members of a union, with what a message about each begins with."""
    return [(corpus, ""), *((member, f"{member.name}: ") for member in corpus.members)]


def _check_passages(corpus: Corpus, found: Check) -> None:
    hashes = array("Q")
    digests: list[tuple[str, str]] = []
    documents = 0
    try:
        with stage(f"corpus {corpus.name}: checking", total=len(corpus)) as progress:
            for part in corpus.members or (corpus,):
                prefix = f"{part.name}/" if part is not corpus else ""
                digest, of_part = _read(part, prefix, found, hashes, progress)
                digests.append((part.name, digest))
                documents += of_part
    except (DataError, UnicodeDecodeError, ValueError, OSError) as error:
        why = error.what if isinstance(error, DataError) else error
        found.problems.append(f"passage {found.n_passages + 1} cannot be read: {why}")
        return
    found.digest = union_digest(digests) if corpus.members else digests[0][1]
    found.repeated_texts = len(hashes) - len(np.unique(np.array(hashes)))
    for what, value, stated in (
        ("the digest of the passages", found.digest, corpus.manifest.digest),
        ("the number of passages", found.n_passages, corpus.manifest.n_passages),
        ("the number of documents", documents, corpus.manifest.n_docs),
    ):
        if value != stated:
            found.problems.append(f"{what} is {value}, the manifest says {stated}")


def _read(
    part: Corpus, prefix: str, found: Check, hashes: array[int], progress: Progress
) -> tuple[str, int]:
    """Read the passages of a corpus, or of a member; return their digest and their documents."""
    digest = ContentDigest()
    documents = 0
    last = None
    for row in _rows(part):
        digest.add(row)
        identifier, document, _, text, meta = row
        found.n_passages += 1
        found.empty_texts += not text.strip()
        documents += document != last
        last = document
        hashes.append(int.from_bytes(blake2b(text.encode(), digest_size=8).digest()))
        if len(text) > found.longest_characters:
            found.longest_id, found.longest_characters = prefix + identifier, len(text)
        if part.manifest.chunking:
            _check_offsets(prefix + identifier, text, json.loads(meta), found)
        progress.advance()
    return digest.hexdigest(), documents


def _rows(part: Corpus) -> Iterator[tuple[str, ...]]:
    for batch in part.batches():
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _check_offsets(identifier: str, text: str, meta: dict[str, str], found: Check) -> None:
    start, end = int(meta.get("start", -1)), int(meta.get("end", -1))
    if not 0 <= start < end or end - start != len(text):
        found.problems.append(f"the offsets of {identifier} are not those of its text")


def _check_order(corpus: Corpus, found: Check) -> None:
    """Check that the order of ids is one, strictly ascending, and that the ranks invert it."""
    order, rank = np.asarray(corpus.id_order), np.asarray(corpus.id_rank)
    size = len(corpus)
    if not np.array_equal(np.sort(order), np.arange(size)):
        found.problems.append("id_order.npy is not an order of all rows")
        return
    if len(rank) != size or not np.array_equal(rank[order], np.arange(size)):
        found.problems.append("id_rank.npy is not the inverse of id_order.npy")
    try:
        ids = [identifier for identifier, _ in corpus.ids_of(order)]
    except (ValueError, LookupError):
        found.problems.append("rows are not where the manifest's batch_rows has them")
        return
    if any(first >= second for first, second in pairwise(ids)):
        found.problems.append("id_order.npy does not give the ids in ascending order")


def _check_source(corpus: Corpus, found: Check) -> None:
    for part, of_member in _parts(corpus):
        source, is_problem = _source_of(part)
        if source != "unchanged":
            found.source = of_member + source
        if is_problem:
            found.problems.append(f"the source is not that of the build: {of_member}{source}")
            found.rebuild.append(part.name)


def _source_of(corpus: Corpus) -> tuple[str, bool]:
    """Return what is known of a corpus's source, and whether that is a problem."""
    try:
        card, path = load_card(corpus.name)
        if card.digest() != corpus.manifest.card_digest:
            return "the card has changed since", True
        if corpus.members:  # whose sources are checked by themselves
            return "unchanged", False
        sources = make_reader(card, path).sources()
        if not is_unchanged(corpus.manifest, sources, source_of(card, path)):
            return "changed", True
    except DataError as error:  # the corpus can be used where its source is gone
        return f"not there: {error.what}", False
    except RagbenchError as error:
        return f"unknown: {error.what}", False
    return "unchanged", False
