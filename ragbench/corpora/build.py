"""Card -> reader -> store, streaming; the folder appears only when the corpus is whole."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ragbench import home
from ragbench.corpora.card import Card, load_card, make_reader
from ragbench.corpora.reader import Located, Reader, Skipped, origin_of
from ragbench.corpora.store import (
    FORMAT,
    ID_ORDER,
    ID_RANK,
    MANIFEST,
    PASSAGES,
    ContentDigest,
    Corpus,
    Manifest,
    folder_of,
    is_built,
)
from ragbench.errors import DataError
from ragbench.files import atomic_folder, check_replaceable, locked, sha256_file, write_json
from ragbench.progress import Progress, say, stage
from ragbench.provenance import now, versions
from ragbench.records import Passage

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
    reader = make_reader(card, card_path)
    sources = reader.sources()
    if is_built(name) and not replace:
        built = Corpus(folder_of(name))
        if built.manifest.card_digest == card.digest() and is_unchanged(built.manifest, sources):
            return _with_facts(built, card)
        raise DataError(
            f"the corpus {name!r} is built already, from another card or other files",
            where=str(folder_of(name)),
            fix=f"ragbench corpus build {name} --replace, or give the new one another name",
        )
    folder = folder_of(name)
    check_replaceable(folder, MANIFEST, what="corpus")
    with locked(folder, what=f"the corpus {name!r}"), atomic_folder(folder) as work:
        with stage(f"corpus {name}: reading") as progress:
            counts = _write_passages(reader, work / PASSAGES, progress)
        _write_id_order(reader, work)
        manifest = Manifest(
            name=name,
            card_digest=card.digest(),
            batch_rows=BATCH_ROWS,
            **_facts(name, card),
            reader=card.reader,
            files=[_file_facts(path, digest=True) for path in sources],
            built_at=now(),
            versions=versions(),
            chunking=card.chunking.facts() if card.chunking else None,
            origin=origin_of(reader) or None,
            format=FORMAT,
            **counts,
        )
        write_json(work / MANIFEST, asdict(manifest))
    return Corpus(folder)


def _facts(name: str, card: Card) -> dict[str, Any]:
    """Return what the manifest repeats of the card."""
    return {
        "licence": card.licence,
        "data_use": card.data_use,
        "title": card.title or name,
        "description": card.description,
        "source": card.source,
    }


def _with_facts(built: Corpus, card: Card) -> Corpus:
    """Bring the manifest up to the card where only its terms or words have changed."""
    old = asdict(built.manifest)
    fresh = old | _facts(built.name, card)
    if fresh != old:
        write_json(built.folder / MANIFEST, fresh)
        return Corpus(built.folder)
    return built


def _file_facts(path: Path, *, digest: bool) -> dict[str, Any]:
    stat = path.stat()
    facts: dict[str, Any] = {"name": path.name, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    return facts | ({"sha256": sha256_file(path)} if digest else {})


def is_unchanged(manifest: Manifest, sources: list[Path]) -> bool:
    """Say whether the source files are those of the build: by size and time, else by digest."""
    if len(sources) != len(manifest.files):
        return False
    for path, was in zip(sources, manifest.files, strict=True):
        facts = _file_facts(path, digest=False)
        if facts["size"] != was["size"]:
            return False
        if facts["mtime_ns"] != was["mtime_ns"] and sha256_file(path) != was["sha256"]:
            return False
    return True


def _write_passages(reader: Reader, path: Path, progress: Progress) -> dict[str, Any]:
    """Stream all passages into the Arrow file and return the counts for the manifest."""
    import pyarrow as pa

    names = ("id", "doc_id", "title", "text", "meta")
    schema = pa.schema([(name, pa.large_string()) for name in names])
    digest = ContentDigest()
    skipped: Counter[str] = Counter()
    n_passages = n_docs = n_characters = 0
    last_doc: str | None = None
    columns: list[list[str]] = [[] for _ in names]
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for entry in reader.read():
            if isinstance(entry, Skipped):
                skipped[entry.reason] += 1
                if entry.listed:
                    say(f"{entry.where}: passed over: {entry.reason}")
                continue
            row = _row(entry)
            for column, value in zip(columns, row, strict=True):
                column.append(value)
            digest.add(row)
            n_passages += 1
            n_characters += len(row[3])
            n_docs += row[1] != last_doc
            last_doc = row[1]
            progress.advance()
            if len(columns[0]) == BATCH_ROWS:
                writer.write_batch(pa.record_batch(columns, schema=schema))
                columns = [[] for _ in names]
        if columns[0]:
            writer.write_batch(pa.record_batch(columns, schema=schema))
    if not n_passages:
        reasons = ", ".join(f"{count} with {reason}" for reason, count in skipped.items())
        raise DataError(
            "the corpus is empty" + (f" (passed over: {reasons})" if reasons else ""),
            where=", ".join(str(p) for p in reader.sources()),
            fix="give a source that holds at least one document",
        )
    return {
        "digest": digest.hexdigest(),
        "n_passages": n_passages,
        "n_docs": n_docs,
        "n_characters": n_characters,
        "skipped": dict(skipped),
    }


def _row(entry: Located) -> tuple[str, str, str, str, str]:
    passage: Passage = entry.passage
    for identifier in (passage.id, passage.doc_id):
        if not identifier or not identifier.isprintable() or any(c.isspace() for c in identifier):
            raise DataError(
                f"the id {identifier!r} is empty or has white space or control characters",
                where=entry.where,
                fix="ids stand in TREC run files, whose columns are parted by blanks: "
                "write '_' or '-' instead",
            )
    meta = json.dumps(passage.meta, ensure_ascii=False, sort_keys=True)
    row = (passage.id, passage.doc_id, passage.title, passage.text, meta)
    try:
        for value in row:
            value.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(
            f"document {passage.id!r} holds half of a surrogate pair, which is no text",
            where=entry.where,
            fix="write the file again as valid UTF-8",
        ) from None
    return row


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
    """Read the source again to tell where the repeated id stands."""
    places = list(_places(reader, identifier))
    more = f" (and {count - 1} more repeats)" if count > 1 else ""
    return DataError(
        f"the id {identifier!r} stands {len(places)} times{more}",
        where=" and ".join(places[:3]),
        fix="give each document its own id",
    )


def _places(reader: Reader, identifier: str) -> Iterator[str]:
    for entry in reader.read():
        if isinstance(entry, Located) and entry.passage.id == identifier:
            yield entry.where
