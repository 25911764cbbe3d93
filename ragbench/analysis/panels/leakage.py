"""Leakage: how much of a question, its source and its answer is in its own passages.

Words are those of ``base.words``. Title and text of a passage are searched separately.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ragbench.analysis.clusters import cluster_codes
from ragbench.analysis.family import BASELINE, GAIN
from ragbench.analysis.load import Run
from ragbench.analysis.statistics.estimate import Cells, Settings
from ragbench.analysis.statistics.inference import Clusters
from ragbench.analysis.statistics.intervals import interval_of_mean, seeded
from ragbench.analysis.stopping import fixed_test
from ragbench.base.errors import DataError
from ragbench.base.records import Question
from ragbench.base.words import plain
from ragbench.runfolder.packed import delivered_ids
from ragbench.runfolder.passages import read_passages

NGRAM = 8
MATCHED = 0.8  # share of n-grams from which a question counts as matched
ANSWER_WORDS, ANSWER_CHARACTERS = 2, 4  # a shorter answer is in too many texts by chance
BREAK = " | "  # not a word, so that no match crosses it
FACT_COLUMNS = [
    "task",
    "arm",
    "model",
    "question_id",
    "passages",
    "source_known",
    "source_delivered",
    "ngram",
    "ngram_share",
    "longest_run",
    "answer_verbatim",
    "wrong_verbatim",
]
FACT_TYPES = {
    "passages": "int64",
    "source_known": "bool",
    "source_delivered": "boolean",
    "ngram": "int64",
    "ngram_share": "float64",
    "longest_run": "int64",
    "answer_verbatim": "boolean",
    "wrong_verbatim": "boolean",
}
ALL, CLEAN = "all", "clean"
SPLIT_COLUMNS = [
    "model",
    "task",
    "arm",
    "part",
    "metric",
    "n",
    "value",
    "ci_low",
    "ci_high",
    "closed_book",
    "gain",
    "gain_low",
    "gain_high",
    "n_clusters",
    "status",
]
Values = npt.NDArray[np.float64]
Key = tuple[str, str]  # corpus and id of a passage


@dataclass(frozen=True, slots=True)
class _Text:
    doc_id: str
    words: str  # with a blank at either end, so that only whole words match


@dataclass(frozen=True, slots=True)
class _Match:
    share: float
    longest: int
    right: bool
    wrong: bool


def common_runs(words: Sequence[str], text: Sequence[str]) -> list[int]:
    """Return, for each word, the length of the longest run that ends there and is in the text.

    >>> common_runs(["a", "b", "c", "b"], ["b", "c", "x", "a", "b"])
    [1, 2, 2, 1]
    """
    places: dict[str, list[int]] = {}
    for place, word in enumerate(words):
        places.setdefault(word, []).append(place)
    return _runs(places, len(words), text)


def _runs(places: dict[str, list[int]], n: int, text: Sequence[str]) -> list[int]:
    longest = [0] * n
    ending: dict[int, int] = {}  # length of the run that ends at the text's last word, by place
    for word in text:
        at = places.get(word)
        if at is None:
            ending = {}
            continue
        ending = {place: ending.get(place - 1, 0) + 1 for place in at}
        for place, length in ending.items():
            if length > longest[place]:
                longest[place] = length
    return longest


class _Asked:
    """The words of one question that its passages are searched for."""

    def __init__(self, question: Question, size: int) -> None:
        words = plain(question.query).split()
        self._words = len(words)
        self._places: dict[str, list[int]] = {}
        for place, word in enumerate(words):
            self._places.setdefault(word, []).append(place)
        self.ngram = min(size, self._words)
        self.right = _wanted([right_answer(question)])
        others = [o for i, o in enumerate(question.options) if i != question.answer]
        self.wrong = _wanted(others) if question.answer >= 0 else []

    def match(self, text: str) -> _Match:
        """Return what one passage contains."""
        runs = _runs(self._places, self._words, text.split())
        ends = sum(length >= self.ngram for length in runs)
        return _Match(
            share=ends / (self._words - self.ngram + 1) if self._words else math.nan,
            longest=max(runs, default=0),
            right=any(answer in text for answer in self.right),
            wrong=any(answer in text for answer in self.wrong),
        )

    def most(self, held: Sequence[_Match]) -> dict[str, Any]:
        """Return the facts on the passages of an arm, of the one that contains most."""
        none = 0.0 if self.ngram else math.nan
        return {
            "ngram": self.ngram,
            "ngram_share": max((match.share for match in held), default=none),
            "longest_run": max((match.longest for match in held), default=0),
            "answer_verbatim": any(match.right for match in held) if self.right else None,
            "wrong_verbatim": any(match.wrong for match in held) if self.wrong else None,
        }


def right_answer(question: Question) -> str:
    """Return the text of the right option, or of the reference where the answer is a text."""
    return question.options[question.answer] if question.answer >= 0 else question.reference


def _wanted(answers: Sequence[str]) -> list[str]:
    """Return the words of the answers that are long enough to search for."""
    found = (plain(answer) for answer in answers)
    return [
        f" {words} "
        for words in found
        if len(words.split()) >= ANSWER_WORDS and len(words) >= ANSWER_CHARACTERS
    ]


def leakage(run: Run, *, size: int = NGRAM) -> pd.DataFrame:
    """Return how much of each question, its source and its answer its passages contain.

    ``source_known``: the arm's corpus has a source of the question (a gold document).
    ``source_delivered``: a passage of a source was delivered; missing where none is known.
    ``ngram_share``: the share of the question's n-grams of words (each counted as often as it
    occurs) that are in one delivered passage: the one with most of them. ``ngram`` is the n: at
    most ``size``, or the number of words of a shorter question. ``longest_run``: the most words in
    sequence that the question and a passage have in common. The question is what the retriever
    saw: without options, context and the words of a template. ``answer_verbatim``: the words of
    the right option, or of the reference, are in sequence in a delivered passage.
    ``wrong_verbatim``: those of a wrong option are (also where they are part of the right one).
    Both are missing for answers of one word (such as yes, no and maybe) or of fewer than four
    characters, which are not searched for.

    Source: the share of 8-grams is that of the contamination analysis of PaLM (Chowdhery et al.
    2022, section 8), which calls a share from 0.7 contaminated; GPT-3 (Brown et al. 2020,
    appendix C) takes any common n-gram, n 8 to 13. Both compare questions with training data;
    here it is the passages in the prompt.

    There is one row per task, arm that delivers passages, and question, with an empty ``model``;
    where each model gets its own passages there is one per model. An imported run, whose passages
    are not known, has none.
    """
    texts = {
        key: _Text(p.doc_id, f" {plain(p.title)}{BREAK}{plain(p.text)} ")
        for key, p in read_passages(run.files.passages).items()
    }
    rows: list[dict[str, Any]] = []
    for task in run.members("tasks"):
        rows += _task_rows(run, task, texts, size)
    return pd.DataFrame(rows, columns=FACT_COLUMNS).astype(FACT_TYPES)


def _task_rows(run: Run, task: str, texts: dict[Key, _Text], size: int) -> list[dict[str, Any]]:
    every = [(arm, model) for arm in run.arms(task) for model in run.readers(arm)]
    packed = {key: delivered_ids(run.files.packed(task, *key)) for key in every}
    packed = {key: found for key, found in packed.items() if any(found.values())}
    corpora = {key: run.corpus_of(task, key[0]) for key in packed}
    first = run.members("models")[0]  # the corpus is the same for every model
    known = {
        key: dict(run.cell(first, task, key[0])[["question_id", "has_gold"]].values)
        for key in packed
    }
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {key: [] for key in packed}
    for question in run.questions(task):
        asked = _Asked(question, size)
        matches: dict[Key, _Match] = {}  # arms share passages
        for (arm, model), found in packed.items():
            if question.id not in found:
                raise missing(run, f"packing of question {question.id!r} in the arm {arm!r}")
            corpus = corpora[arm, model]
            keys = [(corpus, i) for i in found[question.id]]
            for key in keys:
                if key not in texts:
                    raise missing(run, f"text of passage {key[1]!r} of the corpus {key[0]!r}")
                if key not in matches:
                    matches[key] = asked.match(texts[key].words)
            sources = run.ids_in(corpus, question.gold_doc_ids)
            in_corpus = bool(known[arm, model].get(question.id, False))
            delivered = any(k[1] in sources or texts[k].doc_id in sources for k in keys)
            row: dict[str, Any] = {"task": task, "arm": arm, "model": model}
            row |= {"question_id": question.id, "passages": len(keys)}
            row |= {"source_known": in_corpus, "source_delivered": delivered if in_corpus else None}
            rows[arm, model].append(row | asked.most([matches[key] for key in keys]))
    return [row for found in rows.values() for row in found]


def missing(run: Run, what: str) -> DataError:
    """Return the error of a run folder without a part that its config asks for."""
    return DataError(
        f"the run has no {what}",
        where=str(run.path),
        fix="an extension was interrupted: repeat the same `ragbench run`",
    )


def parts(facts: pd.DataFrame) -> dict[str, pd.Series[bool]]:
    """Return which rows of the facts belong to each part.

    ``clean`` are the questions for which no fact is known to hold; a question with a missing fact
    is in neither part of that fact, and may still be clean. ``all`` is first, ``clean`` last.
    """
    share = facts["ngram_share"]
    matched = (share >= MATCHED).astype("boolean").mask(share.isna())
    named = {
        ("source delivered", "source not delivered"): facts["source_delivered"],
        ("question matched", "question not matched"): matched,
        ("answer verbatim", "answer not verbatim"): facts["answer_verbatim"],
    }
    found = {ALL: pd.Series(True, index=facts.index)}
    clean = found[ALL]
    for (yes, no), fact in named.items():
        found[yes] = fact.fillna(False).astype(bool)
        found[no] = (~fact).fillna(False).astype(bool)
        clean = clean & ~found[yes]
    return found | {CLEAN: clean}


def splits(run: Run, facts: pd.DataFrame) -> pd.DataFrame:
    """Return scores and gains of questions by whether source, text or answer was delivered.

    The score is the task's first metric; closed-book scores are over the same questions. Questions
    count that have a score in the arm and, if the run asks it, closed-book. A rate has Wilson's
    interval, all else a bootstrap interval, by cluster where the task has clusters. A part with
    questions that have no answer is ``incomplete``: bounds and no estimate. A part without
    questions has no values.

    The parts are not random, so their difference is not an effect of leakage: questions whose
    source is found may be easier, or worded more like their sources.
    """
    rows: list[dict[str, Any]] = []
    for model in run.members("models"):
        mine = facts[facts["model"].isin(["", model])]
        for (task, arm), found in mine.groupby(["task", "arm"], sort=False):
            rows += _part_rows(run, model, str(task), str(arm), found)
    return pd.DataFrame(rows, columns=SPLIT_COLUMNS).astype({"n_clusters": "Int64"})


def _part_rows(
    run: Run, model: str, task: str, arm: str, facts: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    metric = run.metrics(task)[0]
    cells = [run.cell(model, task, a).set_index("question_id") for a in (arm, BASELINE)]
    with_baseline = not cells[1].empty
    facts = facts[facts["question_id"].isin([question.id for question in run.shared(task)])]
    cells = [cell.loc[facts["question_id"]] for cell in cells[: 1 + with_baseline]]
    values = np.column_stack([cell[metric].to_numpy(dtype=float) for cell in cells])
    failed = np.column_stack([(cell["outcome"] == "error").to_numpy() for cell in cells])
    counted = (failed | ~np.isnan(values)).all(axis=1)
    for part, mask in parts(facts).items():
        held = mask.to_numpy() & counted
        scores, units = values[held], cluster_codes(run, task, cells[0][held])
        # Named like results and effects, so that the same questions have the same interval.
        value, low, high = _mean(run, scores[:, :1], units, [model, task, arm, metric])
        closed_book, gain, gain_low, gain_high = math.nan, math.nan, math.nan, math.nan
        if with_baseline and len(scores):
            closed_book = float(scores[:, 1].mean())
            names = [arm, BASELINE, GAIN, model, "", task]
            gain, gain_low, gain_high = _mean(run, scores, units, names)
        yield {
            "model": model,
            "task": task,
            "arm": arm,
            "part": part,
            "metric": metric,
            "n": int(held.sum()),
            "value": value,
            "ci_low": low,
            "ci_high": high,
            "closed_book": closed_book,
            "gain": gain,
            "gain_low": gain_low,
            "gain_high": gain_high,
            "n_clusters": None if units is None else int(np.unique(units).size),
            "status": "incomplete" if np.isnan(scores).any() else "complete",
        }


def _mean(
    run: Run, scores: Values, clusters: Clusters | None, names: list[str]
) -> tuple[float, float, float]:
    """Return mean and interval of the first column, less the second if there is one."""
    if not len(scores):
        return math.nan, math.nan, math.nan
    signs = np.array([1.0, -1.0])[: scores.shape[1]]
    if np.isnan(scores).any():
        # A missing score may be 0 or 1.
        low, high = (
            float((np.where(np.isnan(scores), worst, scores) @ signs).mean())
            for worst in (signs < 0, signs > 0)
        )
        return math.nan, low, high
    if len(signs) == 2:
        cells = Cells(scores * signs, clusters)
        found = fixed_test(run, cells, names)
        low, high = (found.low, found.high) if found is not None else (math.nan, math.nan)
        return float(cells.differences.mean()), low, high
    settings = Settings.of(run.config)
    low, high = interval_of_mean(
        scores[:, 0],
        seeded(settings.seed, *names),
        clusters=clusters,
        resamples=settings.resamples,
        alpha=settings.alpha,
    )
    return float(scores.mean()), low, high
