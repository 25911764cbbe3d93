"""The calls of an arm's pipeline: one per question, saved as it ends, and the passages they gave.

A passage whose id the arm's corpus knows is the corpus's, so that gold and recall are those of any
retriever; its text must agree. Any other passage is delivered as it came, under the id
``given-DIGEST`` of its title and text.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ragbench.base.errors import DataError
from ragbench.base.files import JsonlAppender, sha256_json
from ragbench.base.progress import say, stage
from ragbench.base.records import Passage, Question
from ragbench.corpora.cleaned import clean_query
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.experiment.config.runnable import RunnableSpec
from ragbench.experiment.grid.parts import Source, TaskPart
from ragbench.models.runnable.process import Answer, RunnableProcess
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.retrieval import (
    CallLine,
    GivenPassage,
    RetrievalNote,
    read_calls,
    sealed,
    write_calls,
)
from ragbench.runfolder.schema import to_json
from ragbench.tasks.replies.answers import letters

GIVEN = "given-"
DIGITS = 20
SHOWN = 60  # characters of a text in a message


@dataclass(frozen=True, slots=True)
class Call:
    """A question as a pipeline is given it, and the digest that finds its call again."""

    question: str
    text: str
    key: str


def calls_note(task: TaskPart, source: Source) -> RetrievalNote:
    """Return the inputs of the ranking of a pipeline.

    Raises:
        UsageError: The module of the pipeline has no file.
    """
    runnable = _runnable(source)
    return RetrievalNote(
        runnable=runnable.digest(),
        queries=sha256_json([[call.question, call.text] for call in _calls(task, runnable)]),
        corpus_digest=open_corpus(source.corpus).digest if source.corpus else None,
    )


def call_all(task: TaskPart, source: Source, folder: RunPaths) -> dict[str, list[str]]:
    """Call the pipeline for each question without a saved call, and return every ranking.

    Returns:
        Ids of passages by question id, best first.

    Raises:
        BackendError: The pipeline failed; calls before it are saved.
        DataError: It returned something else than passages, or another text of a known passage.
    """
    runnable, path = _runnable(source), _path(folder, task, source)
    wanted = {call.question: call for call in _calls(task, runnable)}
    kept = read_calls(path)
    saved = {q: c for q, c in kept.items() if q in wanted and c.key == wanted[q].key}
    if saved != kept:  # of other code, or of questions that are gone
        write_calls(path, saved.values())
    corpus = open_corpus(source.corpus) if source.corpus else None
    ranked = {q: [p.id for p in _resolved(c, corpus, source)] for q, c in saved.items()}
    left = [call for name, call in wanted.items() if name not in saved]
    label = f"call {source.key} for {task.spec.name}"
    if left:
        with (
            stage(label, len(left)) as progress,
            JsonlAppender(path) as log,
            RunnableProcess(
                runnable.call_spec(),
                f"the runnable of the arm {source.key!r}",
                f"arms: {source.key}: runnable {runnable.factory}",
            ) as process,
        ):
            for call in left:
                started = time.monotonic()
                answer = process.ask(call.text, f"question {call.question!r}")
                line = _line(call, answer, time.monotonic() - started)
                ranked[call.question] = [p.id for p in _resolved(line, corpus, source)]
                log.append(to_json(line))
                progress.advance()
    _say_known(ranked, corpus, source)
    return {question.id: ranked[question.id] for question in task.questions}


def given_passages(task: TaskPart, source: Source, folder: RunPaths) -> dict[str, Passage]:
    """Return the passages that the pipeline gave and its corpus does not have, by their ids."""
    corpus = open_corpus(source.corpus) if source.corpus else None
    calls = read_calls(_path(folder, task, source)).values()
    every = (passage for call in calls for passage in _resolved(call, corpus, source))
    return {passage.id: passage for passage in every if passage.id.startswith(GIVEN)}


def _runnable(source: Source) -> RunnableSpec:
    if source.runnable is None:
        raise TypeError(f"the source {source.key!r} has no runnable")
    return source.runnable


def _path(folder: RunPaths, task: TaskPart, source: Source) -> Path:
    return folder.retrieval(task.spec.name, source.key, "calls.jsonl")


def _calls(task: TaskPart, runnable: RunnableSpec) -> Iterator[Call]:
    """Yield what the pipeline is given for each question; never the answer."""
    digest = runnable.digest()
    for question in task.questions:
        text = shown_question(question, with_options=runnable.show_options)
        yield Call(question.id, text, sha256_json([digest, question.id, text]))


def shown_question(question: Question, *, with_options: bool) -> str:
    """Return a question as a pipeline is given it: the query of retrievers, or with its options."""
    query = clean_query(question.query)
    if not with_options or not question.options:
        return query
    names = letters(len(question.options))
    listed = (f"{n}. {option}" for n, option in zip(names, question.options, strict=True))
    return f"{query}\n\n" + "\n".join(listed)


def _line(call: Call, answer: Answer, seconds: float) -> CallLine:
    return sealed(
        CallLine(
            key=call.key,
            question_id=call.question,
            passages=tuple(map(_whole_characters, answer.passages)),
            seconds=seconds,
            model_calls=answer.model_calls,
            reported_calls=answer.reported_calls,
            sent_tokens=answer.sent_tokens,
            written_tokens=answer.written_tokens,
        )
    )


def _whole_characters(passage: GivenPassage) -> GivenPassage:
    """Return a passage without halves of surrogate pairs, which no file can hold."""
    id, title, text = (
        part.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        for part in (passage.id, passage.title, passage.text)
    )
    return GivenPassage(id=id, title=title, text=text)


def _resolved(call: CallLine, corpus: Corpus | None, source: Source) -> list[Passage]:
    """Return the passages of a call, each once, where it came first."""
    found: dict[str, Passage] = {}
    for given in call.passages:
        passage = _passage(given, call, corpus, source)
        found.setdefault(passage.id, passage)
    return list(found.values())


def _passage(given: GivenPassage, call: CallLine, corpus: Corpus | None, source: Source) -> Passage:
    row = corpus.find(given.id) if corpus is not None and given.id else None
    title, text = clean_query(" ".join(given.title.split())), clean_query(given.text)
    if corpus is None or row is None:
        digest = sha256_json([title, text])[:DIGITS]
        return Passage(f"{GIVEN}{digest}", f"{GIVEN}{digest}", title, text)
    known = corpus[row]
    if _words(text) not in (_words(known.text), _words(f"{known.title} {known.text}")):
        raise DataError(
            f"the runnable of {source.key!r} returned {text[:SHOWN]!r} as the passage {given.id!r} "
            f"of the corpus {corpus.name!r}, which has another text: {known.text[:SHOWN]!r}",
            where=f"question {call.question_id}",
            fix="return the text of the corpus, or leave the id out of the metadata of a passage "
            "that the pipeline has cut or written",
        )
    return known


def _words(text: str) -> list[str]:
    return text.split()


def _say_known(ranked: Mapping[str, Sequence[str]], corpus: Corpus | None, source: Source) -> None:
    """Say how many passages are the corpus's, if not all are: gold is known of those alone."""
    every = [identifier for ids in ranked.values() for identifier in ids]
    own = sum(identifier.startswith(GIVEN) for identifier in every)
    if corpus is not None and own:
        say(
            f"note: {own:,} of {len(every):,} passages of {source.key} are not of the corpus "
            f"{corpus.name!r} by their `metadata['id']`, and cannot count as gold"
        )
