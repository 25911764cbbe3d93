"""Judgements of relevance: TREC's four columns, BEIR's three with a header, or questions.

TREC       query-id iteration id grade          no header
BEIR       query-id <tab> corpus-id <tab> score with that header
questions  JSON lines with id and gold_doc_ids, such as those of a run folder
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from ragbench.base.errors import DataError
from ragbench.base.files import read_jsonl
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.evaluation.runfile import text_lines

BEIR_HEADER = ("query-id", "corpus-id", "score")
MOST = 1_000_000  # trec_eval counts relevant ids by grade, in as many places
Level = Literal["passage", "document"]
Missing = Literal["error", "count"]
Qrels = dict[str, dict[str, int]]


def read_qrels(path: Path) -> Qrels:
    """Return the grade by passage or document id, by query id; 0 or less is not relevant.

    The gold ids of questions have the grade 1; a question without any is not judged.

    Raises:
        DataError: A line has other columns, a grade is not a whole number or is beyond a million,
            an id has two different grades, or nothing is judged.
    """
    qrels: Qrels = {}
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return _of_questions(path)
    is_beir = False
    for number, line in text_lines(path, what="the qrels"):
        where = f"{path}:{number}"
        if not qrels and tuple(line.lower().split()) == BEIR_HEADER:
            is_beir = True
            continue
        query, identifier, grade = _columns(line, is_beir=is_beir, where=where)
        try:
            value = int(grade)
        except ValueError:
            raise DataError(
                f"the grade {grade!r} is not a whole number",
                where=where,
                fix="TREC's four columns have no header; BEIR's is query-id, corpus-id, score",
            ) from None
        if abs(value) > MOST:
            raise DataError(
                f"the grade {value} is beyond {MOST:,}, which no evaluator can count with",
                where=where,
                fix="write grades such as 0, 1, 2; query, passage and grade come in this order",
            )
        known = qrels.setdefault(query, {})
        if known.setdefault(identifier, value) != value:
            raise DataError(
                f"{identifier!r} is judged both {known[identifier]} and {value} for {query!r}",
                where=where,
            )
    if not qrels:
        raise DataError("the file holds no judgement", where=str(path))
    return qrels


def _of_questions(path: Path) -> Qrels:
    qrels: Qrels = {}
    for number, line in read_jsonl(path):
        identifier, gold = line.get("id"), line.get("gold_doc_ids", [])
        if not isinstance(identifier, str) or not isinstance(gold, list):
            raise DataError(
                "the line has no `id` that is a text, or `gold_doc_ids` that are no list",
                where=f"{path}:{number}",
                fix="give qrels, or the questions of a run: runs/NAME/questions/TASK.jsonl",
            )
        if gold:
            qrels[identifier] = {str(name): 1 for name in gold}
    if not qrels:
        raise DataError("the file holds no question with gold_doc_ids", where=str(path))
    return qrels


def _columns(line: str, *, is_beir: bool, where: str) -> tuple[str, str, str]:
    parts = line.split("\t") if is_beir and "\t" in line else line.split()
    if len(parts) != (3 if is_beir else 4):
        beir = "query-id <tab> corpus-id <tab> score"
        trec = "write, between tabs or blanks: query-id 0 id grade"
        raise DataError(
            f"the line has {len(parts)} columns, not {3 if is_beir else 4}",
            where=where,
            fix=f"write: {beir}"
            if is_beir
            else f"begin the file with the header: {beir}"
            if len(parts) == 3
            else trec,
        )
    return parts[0], parts[-2], parts[-1]


def level_of(
    qrels: Mapping[str, Mapping[str, int]], corpus: Corpus, *, missing: Missing = "error"
) -> Level:
    """Return what the judged ids are: passage ids if any of them is one, else document ids.

    Args:
        qrels: Grades by id, by query id.
        corpus: The corpus that was searched.
        missing: Whether a relevant id outside the corpus is an error.

    Raises:
        DataError: A relevant id is not in the corpus and may not be, none of them is, or no id is
            relevant.
    """
    judged = {i for grades in qrels.values() for i in grades}
    relevant = _relevant(qrels)
    if not relevant:
        raise DataError("no judgement has a grade above 0", where="the qrels")
    is_passage = any(corpus.match(identifier) is not None for identifier in judged)
    level: Level = "passage" if is_passage else "document"
    outside = absent(qrels, corpus, level)
    if outside and (missing == "error" or len(outside) == len(relevant)):
        count = "" if len(outside) == len(relevant) else "; or count them with --missing count"
        raise DataError(
            f"{len(outside):,} of {len(relevant):,} relevant ids are not a {level} of the corpus "
            f"{corpus.name!r}: {', '.join(outside[:5])}",
            where=str(corpus.folder),
            fix=f"give the qrels of this corpus and edition; {_examples(corpus)}{count}",
        )
    return level


def _examples(corpus: Corpus) -> str:
    """Return what ids look like: those of documents, and of passages where they differ."""
    first = [corpus[row] for row in range(min(100, len(corpus)))]
    documents = list(dict.fromkeys(passage.doc_id for passage in first))[:3]
    passages = [passage.id for passage in first[:3]]
    if documents == passages:
        return f"ids there look like: {', '.join(passages)}"
    return (
        f"ids of documents there look like: {', '.join(documents)}; those of passages: "
        f"{', '.join(passages)}"
    )


def absent(qrels: Mapping[str, Mapping[str, int]], corpus: Corpus, level: Level) -> list[str]:
    """Return the relevant ids that are not in the corpus, sorted; a search never finds them."""
    if level == "passage":
        return sorted(i for i in _relevant(qrels) if corpus.match(i) is None)
    return sorted(i for i in _relevant(qrels) if not corpus.match_doc(i))


def _relevant(qrels: Mapping[str, Mapping[str, int]]) -> set[str]:
    return {i for grades in qrels.values() for i, grade in grades.items() if grade > 0}


def in_corpus(qrels: Qrels, corpus: Corpus, level: Level) -> Qrels:
    """Return judgements under the corpus's own ids, which begin with a corpus's name in a union.

    Ids that are not in the corpus stay as they are.

    Raises:
        DataError: Two ids of one query are the same passage, with different grades.
    """
    found: Qrels = {}
    for query, grades in qrels.items():
        known = found.setdefault(query, {})
        for written, grade in grades.items():
            identifier = _own_id(corpus, written, level)
            if known.setdefault(identifier, grade) != grade:
                raise DataError(
                    f"{identifier!r} is judged both {known[identifier]} and {grade} for {query!r}",
                    where="the qrels",
                )
    return found


def _own_id(corpus: Corpus, written: str, level: Level) -> str:
    if level == "passage":
        row = corpus.match(written)
        return written if row is None else corpus.ids_of([row])[0][0]
    rows = corpus.match_doc(written)
    return corpus.ids_of(rows[:1])[0][1] if rows else written


def best_first(corpus: Corpus, passages: list[str], level: Level) -> list[str]:
    """Return a ranking of passage ids at a level; a document has the rank of its best passage."""
    if level == "passage":
        return passages
    rows = [row for row in map(corpus.find, passages) if row is not None]
    return list(dict.fromkeys(doc for _, doc in corpus.ids_of(rows)))
