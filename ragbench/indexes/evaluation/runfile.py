"""TREC runs and query files.

A run line is ``query-id Q0 passage-id rank score tag``; ranks count from 1. The rank column is the
order that ragbench reads. trec_eval and what is built on it read the score instead, as float32 and
with ties by passage id descending; so a score that is not below the one before it is written as the
float32 next below, and every tool sees one order. All others are the retriever's own.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ragbench.base.errors import DataError
from ragbench.base.files import atomic_file, plain_file, read_jsonl
from ragbench.base.records import Hit, Query
from ragbench.corpora.corpus import Corpus

ID_KEYS = ("id", "_id", "qid")
TEXT_KEYS = ("question", "query", "text")


def read_queries(path: Path) -> list[Query]:
    """Return the queries of JSON lines in file order.

    A line has an id (``id``, ``_id`` or ``qid``) and a text (``question``, ``query`` or ``text``);
    the first of each that is there counts.

    Raises:
        DataError: A line has no id or text, an id is repeated, or there is no query.
    """
    queries: list[Query] = []
    places: dict[str, int] = {}
    for number, line in read_jsonl(path):
        where = f"{path}:{number}"
        identifier = _first(line, ID_KEYS, where)
        if not identifier.isprintable() or not identifier or any(map(str.isspace, identifier)):
            raise DataError(
                f"the query id {identifier!r} is empty or has white space or control characters",
                where=where,
                fix="ids are columns of TREC run files, which are separated by blanks",
            )
        if identifier in places:
            raise DataError(
                f"the query id {identifier!r} is repeated",
                where=f"{path}:{places[identifier]} and {where}",
            )
        places[identifier] = number
        queries.append(Query(identifier, _first(line, TEXT_KEYS, where)))
    if not queries:
        raise DataError("the file holds no query", where=str(path))
    return queries


def _first(line: Mapping[str, object], keys: Sequence[str], where: str) -> str:
    for key in keys:
        value = line.get(key)
        if isinstance(value, str):
            if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
                raise DataError(f"the field {key!r} holds half of a surrogate pair", where=where)
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    raise DataError(
        f"the line has none of the fields {', '.join(keys)} as text",
        where=where,
        fix=f"it has: {', '.join(sorted(line)) or '(none)'}",
    )


def write_run(
    path: Path, queries: Iterable[Query], hits: Iterable[Sequence[Hit]], *, tag: str
) -> None:
    """Write a TREC run of the hits of each query, best first, atomically."""
    with atomic_file(path) as handle:
        for query, found in zip(queries, hits, strict=True):
            scored = [(hit.id, hit.score) for hit in found]
            handle.write(ranking_lines(query.id, scored, tag=tag).encode("utf-8"))


def ranking_lines(query: str, scored: Iterable[tuple[str, float]], *, tag: str) -> str:
    """Return a query's lines of a TREC run, from its (passage id, score), best first.

    The written scores fall strictly as float32.
    """
    import numpy as np

    lines: list[str] = []
    above = np.float32(np.inf)
    for rank, (passage, score) in enumerate(scored, 1):
        written = np.float32(score)
        if written >= above:
            written = np.nextafter(above, np.float32(-np.inf))
        lines.append(f"{query} Q0 {passage} {rank} {written:.9g} {tag}\n")
        above = written
    return "".join(lines)


Run = dict[str, list[tuple[str, float]]]


def read_run(path: Path) -> Run:
    """Return (passage id, score) by rank for each query id, from a TREC run, plain or gzip.

    Ties are in ascending order of passage id; where rank and score disagree, the rank counts.

    Raises:
        DataError: A line does not have six columns, a rank or score is not a number, or a passage
            is repeated under one query.
    """
    ranked: dict[str, list[tuple[int, float, str]]] = {}
    seen: set[tuple[str, str]] = set()
    for number, line in text_lines(path, what="the run"):
        where = f"{path}:{number}"
        parts = line.split()
        if len(parts) != 6:
            raise DataError(
                f"the line has {len(parts)} columns, not 6",
                where=where,
                fix="write: query-id Q0 passage-id rank score tag",
            )
        query, _, passage, rank, score, _ = parts
        try:
            entry = (int(rank), -float(score), passage)
        except ValueError:
            raise DataError(
                f"rank {rank!r} or score {score!r} is not a number",
                where=where,
                fix="a run has no header" if number == 1 else "write whole ranks, from 1",
            ) from None
        if not math.isfinite(entry[1]):
            raise DataError(f"the score {score!r} is not finite", where=where)
        if (query, passage) in seen:
            raise DataError(f"{passage!r} is repeated under query {query!r}", where=where)
        seen.add((query, passage))
        ranked.setdefault(query, []).append(entry)
    return {
        query: [(passage, -below) for _, below, passage in sorted(entries)]
        for query, entries in ranked.items()
    }


def check_run_ids(run: Mapping[str, Sequence[tuple[str, float]]], corpus: Corpus) -> None:
    """Refuse a run that names passages which the corpus does not hold.

    Raises:
        DataError: Some ids are unknown; they are counted and examples are given.
    """
    every = {passage for found in run.values() for passage, _ in found}
    unknown = sorted(passage for passage in every if corpus.find(passage) is None)
    if unknown:
        have = ", ".join(corpus[row].id for row in range(min(3, len(corpus))))
        raise DataError(
            f"{len(unknown):,} of the {len(every):,} passage ids of the run are not in the corpus "
            f"{corpus.name!r}: {', '.join(unknown[:5])}",
            where=str(corpus.folder),
            fix=f"give the corpus that the run was made over; ids there look like: {have}",
        )


def text_lines(path: Path, *, what: str) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of a UTF-8 file; blank lines are skipped.

    The file is gzip if its name ends in ``.gz``.

    Raises:
        DataError: The file cannot be read or is not UTF-8.
    """
    number = 0
    try:
        is_packed = plain_file(path).suffix == ".gz"
        with gzip.open(path, "rb") if is_packed else path.open("rb") as handle:
            for number, line in enumerate(handle, 1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if "\0" in text:
                    raise DataError(
                        f"{what} holds a NUL character, where trec_eval ends an id",
                        where=f"{path}:{number}",
                        fix="copy the file again, as a broken copy is often filled with them; or "
                        "write it as UTF-8, if it is UTF-16",
                    )
                if text.strip():
                    yield number, text.rstrip("\r\n")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(
            f"{what} cannot be read after line {number}: {error}", where=str(path)
        ) from None
