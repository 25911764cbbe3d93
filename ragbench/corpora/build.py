"""Card -> reader -> store, streaming; the folder appears only when the corpus is whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ragbench.base import home
from ragbench.base.checksums import sums_of, write_manifest
from ragbench.base.endpoint import RESTRICTED
from ragbench.base.errors import DataError, RagbenchError
from ragbench.base.files import (
    atomic_folder,
    check_replaceable,
    locked,
    private,
    sha256_file,
    sha256_json,
)
from ragbench.base.progress import say, stage
from ragbench.base.provenance import now, versions
from ragbench.corpora.card import Card, load_card, make_reader, source_of
from ragbench.corpora.corpus import (
    FORMAT,
    MANIFEST,
    CardFacts,
    Corpus,
    CorpusManifest,
    SourceFile,
    folder_of,
    is_built,
    other_content,
    update_manifest,
)
from ragbench.corpora.ingest import ingest
from ragbench.corpora.reader import Located, Reader, origin_of
from ragbench.corpora.store import ID_ORDER, ID_RANK, PASSAGES, StoredCorpus
from ragbench.corpora.terms import is_restricted_name
from ragbench.corpora.union import READER
from ragbench.corpora.union_build import build_union
from ragbench.corpora.union_reader import members_of

BATCH_ROWS = 4096


def build_corpus(name: str, *, replace: bool = False) -> Corpus:
    """Build a corpus, or open it if it is built from the same card and files.

    Args:
        name: The corpus; its card says the rest.
        replace: Whether a corpus of the same name and other content may be replaced.

    Returns:
        The open corpus.

    Raises:
        DataError: The source is missing, empty or wrong somewhere (the place is named), or a
            different corpus of this name is built and ``replace`` is false.
    """
    home.check_name(name, what="a corpus")
    card, card_path = load_card(name)
    is_private = card.data_use == RESTRICTED or any(map(is_restricted_name, members_of(card)))
    with private(is_private, folder_of(name)):
        return _build(name, card, card_path, replace=replace)


def _build(name: str, card: Card, card_path: Path, *, replace: bool) -> Corpus:
    reader = make_reader(card, card_path)
    if card.reader == READER:
        return build_union(name, card, build_corpus, replace=replace)
    sources, base = reader.sources(), source_of(card, card_path)
    if is_built(name) and not replace:
        built = StoredCorpus(folder_of(name))
        if built.manifest.card_digest == card.digest() and is_unchanged(
            built.manifest, sources, base
        ):
            changed = update_manifest(built, _card_facts(name, card), card.digest())
            return StoredCorpus(built.folder) if changed else built
        raise other_content(name)
    folder = folder_of(name)
    check_replaceable(folder, MANIFEST, what="corpus")
    facts = [_file_facts(path, base, digest=True) for path in sources]
    identity = sha256_json([card.digest(), BATCH_ROWS, [asdict(one) for one in facts]])[:12]
    staging = folder.parent / f".{name}.{identity}.building"
    with locked(folder, what=f"the corpus {name!r}"), _unless_refused(staging):
        if not sources:  # what comes from afar may have changed since
            shutil.rmtree(staging, ignore_errors=True)
        with atomic_folder(folder, staging=staging) as work:
            if card.chunking and (warning := card.chunking.warning()):
                say(f"corpus {name}: {warning}")
            with stage(f"corpus {name}: reading") as progress:
                counts = ingest(reader, work, progress, batch_rows=BATCH_ROWS)
            _write_id_order(reader, work)
            _check_unchanged(facts, make_reader(card, card_path).sources(), base)
            manifest = CorpusManifest(
                name=name,
                card_digest=card.digest(),
                batch_rows=BATCH_ROWS,
                **_card_facts(name, card),
                reader=card.reader,
                files=facts,
                built_at=now(),
                versions=versions(),
                chunking=card.chunking.facts() if card.chunking else None,
                origin=origin_of(reader) or None,
                sums=sums_of(work),
                format=FORMAT,
                **counts,
            )
            write_manifest(work / MANIFEST, asdict(manifest))
        # The digest's digits are spelt out: ``.*.`` would match the corpus NAME.OTHER too.
        for stale in folder.parent.glob(f".{name}.{'[0-9a-f]' * 12}.building"):
            shutil.rmtree(stale, ignore_errors=True)
    return StoredCorpus(folder)


def _check_unchanged(before: list[SourceFile], sources: list[Path], base: Path | None) -> None:
    """Refuse sources that changed while they were read, as under a copy that is still running.

    Raises:
        DataError: A file has another size, time or digest than before, is new, or is gone.
    """
    try:
        after = [_file_facts(path, base, digest=True) for path in sources]
    except FileNotFoundError as error:
        raise _changing(str(error.filename), "is gone") from None
    known = {facts.name: facts for facts in before}
    for facts, path in zip(after, sources, strict=True):
        was = known.pop(facts.name, None)
        if was != facts:
            raise _changing(str(path), "is new" if was is None else "has changed")
    if known:
        raise _changing(next(iter(known)), "is gone")


def _changing(name: str, what: str) -> DataError:
    return DataError(
        f"a source file {what} since the build began to read",
        where=name,
        fix="wait until nothing writes to the sources any more, then build again",
    )


@contextmanager
def _unless_refused(staging: Path) -> Iterator[None]:
    """Remove what a build that cannot succeed has left; one that was stopped may resume."""
    try:
        yield
    except RagbenchError:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _card_facts(name: str, card: Card) -> CardFacts:
    """Return what the manifest repeats of the card."""
    return {
        "licence": card.licence,
        "data_use": card.data_use,
        "title": card.title or name,
        "description": card.description,
        "source": card.source,
    }


def _file_facts(path: Path, base: Path | None, *, digest: bool) -> SourceFile:
    """Return a file's name within the card's path, size and time; a name may be no text."""
    inner = path.relative_to(base) if base and path != base and path.is_relative_to(base) else None
    name = os.fsencode(inner or path.name).decode("utf-8", "backslashreplace")
    stat = path.stat()
    return SourceFile(name, stat.st_size, stat.st_mtime_ns, _sha256(path) if digest else "")


def _sha256(path: Path) -> str:
    """Return a file's digest; empty for a file that may not be read, which the reader skips."""
    try:
        return sha256_file(path)
    except PermissionError:
        return ""


def is_unchanged(manifest: CorpusManifest, sources: list[Path], base: Path | None) -> bool:
    """Return whether the source files are those of the build: by size and time, else by digest.

    Names within ``base``, the card's path, count too, as ids may be made from them.
    """
    if len(sources) != len(manifest.files):
        return False
    for path, was in zip(sources, manifest.files, strict=True):
        facts = _file_facts(path, base, digest=False)
        if (facts.name, facts.size) != (was.name, was.size):
            return False
        if facts.mtime_ns != was.mtime_ns and _sha256(path) != was.sha256:
            return False
    return True


def _write_id_order(reader: Reader, work: Path) -> None:
    """Sort the rows by id, refuse repeated ids, and write order and rank."""
    import pyarrow as pa
    import pyarrow.compute as pc

    with pa.memory_map(str(work / PASSAGES)) as source:
        ids = pa.ipc.open_file(source).read_all().column("id")
        order = pc.sort_indices(ids).to_numpy().astype(np.int64)
        ordered = ids.take(order)
        same = pc.equal(ordered.slice(1), ordered.slice(0, len(ordered) - 1))
        repeats = np.flatnonzero(same.to_numpy(zero_copy_only=False))
        if repeats.size:
            raise _repeated(reader, ordered[int(repeats[0])].as_py(), repeats.size)
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    np.save(work / ID_ORDER, order)
    np.save(work / ID_RANK, rank)


def _repeated(reader: Reader, identifier: str, count: int) -> DataError:
    """Read the source again for the places of a repeated id."""
    places = list(_places(reader, identifier))
    more = f" (and {count - 1} more repeats)" if count > 1 else ""
    return DataError(
        f"the id {identifier!r} appears {len(places)} times{more}",
        where=" and ".join(places[:3]),
        fix="give each document its own id",
    )


def _places(reader: Reader, identifier: str) -> Iterator[str]:
    for entry in reader.read():
        if isinstance(entry, Located) and entry.passage.id == identifier:
            yield entry.where
