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
from dataclasses import dataclass
from pathlib import Path

from ragbench.base.errors import DataError, near
from ragbench.base.files import atomic_file, plain_file, read_jsonl
from ragbench.base.records import Hit, Query
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.formats.tables import ending, header_of, table_rows

ID_KEYS = ("id", "_id", "qid")
TEXT_KEYS = ("query", "question", "text")


def read_queries(
    path: Path, *, id_field: str | None = None, text_field: str | None = None
) -> list[Query]:
    """Return the queries of JSON lines or of a table in file order.

    A line or row has an id (``id``, ``_id`` or ``qid``), a text (``query``, ``question`` or
    ``text``) and perhaps a ``cluster``; of each, the first field that is there counts. A file of
    questions whose text to search with differs from the question has both: ``query`` and
    ``question``.

    Args:
        path: The file, plain or gzip.
        id_field: The field of the id, where it has another name.
        text_field: The field of the text, where it has another name.

    Raises:
        DataError: A line has no id or text, an id is repeated, or there is no query.
    """
    queries: list[Query] = []
    places: dict[str, str] = {}
    id_keys, text_keys = _Keys("id", ID_KEYS, id_field), _Keys("query", TEXT_KEYS, text_field)
    for where, line in _query_rows(path):
        identifier = id_keys.first(line, where)
        if not identifier.isprintable() or not identifier or any(map(str.isspace, identifier)):
            raise DataError(
                f"the query id {identifier!r} is empty or has white space or control characters",
                where=where,
                fix="ids are columns of TREC run files, which are separated by blanks",
            )
        if identifier in places:
            raise DataError(
                f"the query id {identifier!r} is repeated",
                where=f"{places[identifier]} and {where}",
            )
        places[identifier] = where
        query = Query(identifier, text_keys.first(line, where), _cluster(line, where))
        queries.append(query)
    if not queries:
        raise DataError("the file holds no query", where=str(path))
    return queries


def _query_rows(path: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield (place, fields) of the rows of a table, as its ending says, or of JSON lines."""
    if ending(path) is None:
        yield from ((f"{path}:{number}", line) for number, line in read_jsonl(path))
        return
    names, shape = header_of(path)
    for where, values in table_rows(path, names, shape):
        yield where, dict(zip(names, values, strict=True))


@dataclass(frozen=True, slots=True)
class _Keys:
    """The fields of a line that may hold its id or its text.

    Attributes:
        option: Beginning of the option that names the field: ``--OPTION-field``.
        usual: Usual names; the first that is there counts.
        chosen: The name that the user chose instead.
    """

    option: str
    usual: Sequence[str]
    chosen: str | None

    def first(self, line: Mapping[str, object], where: str) -> str:
        """Return the text of the first field that holds text or a whole number.

        Raises:
            DataError: There is none, or UTF-8 cannot hold it.
        """
        for key in self.usual if self.chosen is None else (self.chosen,):
            if (value := _text(line, key, where)) is not None:
                return value
        if self.chosen is None:
            raise DataError(
                f"the line has none of the fields {', '.join(self.usual)} as text",
                where=where,
                fix=f"it has: {', '.join(sorted(line)) or '(none)'}; --{self.option}-field NAME "
                "chooses one",
            )
        known = near(self.chosen, line)
        raise DataError(
            f"the line has no field {self.chosen!r}"
            if self.chosen not in line
            else f"the field {self.chosen!r} holds no text",
            where=where,
            fix=known if self.chosen not in line else "choose a field with a text in every line",
        )


def _text(line: Mapping[str, object], key: str, where: str) -> str | None:
    value = line.get(key)
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise DataError(f"the field {key!r} holds half of a surrogate pair", where=where)
        return value
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_whole else None


def _cluster(line: Mapping[str, object], where: str) -> str | None:
    if line.get("cluster") is None:
        return None
    found = _text(line, "cluster", where)
    if found is None:
        raise DataError("the field 'cluster' is neither text nor a whole number", where=where)
    return found.strip() or None


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
