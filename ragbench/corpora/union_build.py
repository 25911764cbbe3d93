"""Card -> union: what its members have is counted and put in order, and none of it copied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ragbench.base.checksums import sums_of, write_manifest
from ragbench.base.errors import UsageError
from ragbench.base.files import atomic_folder, check_replaceable, locked
from ragbench.base.progress import Progress, stage
from ragbench.base.provenance import now, versions
from ragbench.corpora.card import Card, load_card
from ragbench.corpora.corpus import (
    FORMAT,
    MANIFEST,
    CardFacts,
    Corpus,
    CorpusManifest,
    Member,
    folder_of,
    is_built,
    other_content,
    update_manifest,
)
from ragbench.corpora.open import open_corpus
from ragbench.corpora.store import ID_ORDER, ID_RANK
from ragbench.corpora.union import READER, Union, nested, open_member, terms, union_digest
from ragbench.corpora.union_reader import members_of

STEP_ROWS = 1 << 20


def build_union(
    name: str, card: Card, build: Callable[[str], Corpus], *, replace: bool = False
) -> Union:
    """Build a union, and first those of its members that are not built.

    Args:
        name: The union.
        card: What it is of.
        build: Builds a member.
        replace: Whether a corpus of the same name and other content may be replaced.

    Returns:
        The open union.

    Raises:
        UsageError: The card says what only the members can, or a member is itself a union.
        DataError: Something else of this name is built and ``replace`` is false.
    """
    _check_card(name, card)
    members = _members(name, card, build)
    facts = _card_facts(name, card, members)
    folder = folder_of(name)
    if is_built(name) and not replace:
        return _same(folder, card, facts, members)
    check_replaceable(folder, MANIFEST, what="corpus")
    with locked(folder, what=f"the corpus {name!r}"), atomic_folder(folder) as work:
        with stage(f"corpus {name}: order of ids", sum(map(len, members))) as progress:
            _write_id_order(members, work, progress)
        counts = [member.manifest for member in members]
        manifest = CorpusManifest(
            name=name,
            digest=union_digest((m.name, m.digest) for m in members),
            card_digest=card.digest(),
            n_passages=sum(m.n_passages for m in counts),
            n_docs=sum(m.n_docs for m in counts),
            n_characters=sum(m.n_characters for m in counts),
            batch_rows=0,
            skipped=dict(sum((Counter(m.skipped) for m in counts), Counter())),
            noted=dict(sum((Counter(m.noted) for m in counts), Counter())),
            changed=dict(sum((Counter(m.changed) for m in counts), Counter())),
            **facts,
            reader=READER,
            files=[],
            built_at=now(),
            versions=versions(),
            members=[Member(m.name, m.digest, m.n_passages) for m in counts],
            sums=sums_of(work),
            format=FORMAT,
        )
        write_manifest(work / MANIFEST, asdict(manifest))
    return Union(folder)


def _check_card(name: str, card: Card) -> None:
    given = card.model_fields_set & {"chunking", "duplicates", "licence"}
    if given:
        key = min(given)
        raise UsageError(
            f"the union {name!r} has a {key} of its own",
            where=f"corpora/{name}.yaml: {key}",
            fix=f"leave it out: each member has its {key}",
        )


def _members(name: str, card: Card, build: Callable[[str], Corpus]) -> list[Corpus]:
    """Open the members, those built that are not; none is built if one cannot be a member."""
    names = members_of(card)
    for member in names:
        if is_built(member):
            open_member(member, name)
        elif load_card(member)[0].reader == READER:
            raise nested(member, name)
    return [open_corpus(member) if is_built(member) else build(member) for member in names]


def _card_facts(name: str, card: Card, members: Sequence[Corpus]) -> CardFacts:
    """Return what the manifest repeats of the card and of the members."""
    sources = [f"{m.name}: {m.manifest.source}" for m in members if m.manifest.source]
    return {
        "title": card.title or name,
        "description": card.description,
        "source": card.source or "; ".join(sources),
        **terms(members, card.data_use),
    }


def _same(folder: Path, card: Card, facts: CardFacts, members: Sequence[Corpus]) -> Union:
    """Return the union that is built if it is this one, its terms and facts as they are now."""
    built = open_corpus(folder.name)
    digest = union_digest((m.name, m.digest) for m in members)
    if not isinstance(built, Union) or built.digest != digest:
        raise other_content(folder.name)
    changed = update_manifest(built, facts, card.digest())
    return Union(folder) if changed else built


def _write_id_order(members: Sequence[Corpus], work: Path, progress: Progress) -> None:
    """Write order and rank: all ids of a member begin with its name, and follow each other."""
    starts: dict[str, int] = {}
    size = 0
    for member in members:
        starts[member.name] = size
        size += len(member)
    order, rank = (_new_array(work / file, size) for file in (ID_ORDER, ID_RANK))
    at = 0
    for member in sorted(members, key=lambda member: f"{member.name}/"):
        start = starts[member.name]
        for low in range(0, len(member), STEP_ROWS):
            part = slice(low, min(low + STEP_ROWS, len(member)))
            order[at + part.start : at + part.stop] = member.id_order[part] + start
            rank[start + part.start : start + part.stop] = member.id_rank[part] + at
            progress.advance(part.stop - part.start)
        at += len(member)
    order.flush()
    rank.flush()


def _new_array(path: Path, size: int) -> np.memmap[Any, np.dtype[np.int64]]:
    made: np.memmap[Any, np.dtype[np.int64]] = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.int64, shape=(size,)
    )
    return made
