"""Questions that a task asks more than once, and those whose answers contradict each other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from ragbench.analysis.load import Run
from ragbench.analysis.panels.leakage import right_answer
from ragbench.base.records import Question
from ragbench.base.words import plain_or_whole
from ragbench.runfolder.looks.clusters import same

SHINGLE = 5  # words of an n-gram
NEAR = 0.8  # Jaccard index
SAME, ALIKE = "same", "near"
COLUMNS = ["task", "kind", "group", "question_id", "n_answers"]
Gram = tuple[str, ...]


def duplicates(run: Run) -> pd.DataFrame:
    """Return the questions of each task that it asks more than once.

    Two questions are the ``same`` where their texts have the same words in the same order (apart
    from case, blanks and punctuation, see ``words``), and they have the same set of options and
    of documents of their own: the same text with other options, or about another patient's
    documents, is another question. They are ``near`` where options and documents are the same and
    the sets of 5-grams of words (fewer for a shorter text) have a Jaccard index of at least 0.8,
    directly or through others of the group. A group of the same questions is contradictory where
    ``n_answers``, the number of different right answers, is over 1; near ones may well ask for
    different things. Groups are numbered within task and kind, in the order asked.

    Source: 5-grams and 0.8 are those of Lee et al. 2022 (Deduplicating Training Data Makes
    Language Models Better), computed here exactly instead of by hashing.
    """
    rows: list[dict[str, Any]] = []
    for task in run.members("tasks"):
        questions = run.questions(task)
        for kind, groups in _groups(questions).items():
            for number, members in enumerate(groups, 1):
                answers = {plain_or_whole(right_answer(questions[i])) for i in members}
                base = {"task": task, "kind": kind, "group": number, "n_answers": len(answers)}
                rows += [base | {"question_id": questions[i].id} for i in members]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"group": "int64", "n_answers": "int64"})


def contradictory(found: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the same questions that have different right answers."""
    return found[(found["kind"] == SAME) & (found["n_answers"] > 1)]


def _groups(questions: Sequence[Question]) -> dict[str, list[list[int]]]:
    """Return the groups of each kind, as indexes of questions in ascending order."""
    blocks: dict[tuple[Any, ...], dict[str, list[int]]] = {}
    for place, question in enumerate(questions):
        options, documents, text = same(question)
        blocks.setdefault((options, documents), {}).setdefault(text, []).append(place)
    again = [places for block in blocks.values() for places in block.values() if len(places) > 1]
    near = [
        sorted(place for i in group for place in places[i])
        for places, texts in ((list(block.values()), list(block)) for block in blocks.values())
        for group in near_groups(texts)
    ]
    return {SAME: sorted(again), ALIKE: sorted(near)}


def near_groups(texts: Sequence[str]) -> list[list[int]]:
    """Return the indexes of different texts with nearly the same n-grams, in groups of two or more.

    Each member has a Jaccard index of at least 0.8 with another one of its group.
    """
    joined = list(range(len(texts)))

    def root(place: int) -> int:
        while joined[place] != place:
            joined[place] = joined[joined[place]]
            place = joined[place]
        return place

    for one, other in _near_pairs([_grams(text.split()) for text in texts]):
        joined[root(one)] = root(other)
    groups: dict[int, list[int]] = {}
    for place in range(len(texts)):
        groups.setdefault(root(place), []).append(place)
    return [group for group in groups.values() if len(group) > 1]


def _grams(words: Sequence[str]) -> set[Gram]:
    size = min(SHINGLE, len(words))
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)} if size else set()


def _near_pairs(sets: Sequence[set[Gram]]) -> Iterator[tuple[int, int]]:
    """Yield the pairs with a Jaccard index of at least NEAR.

    Such a pair shares one of the rarest ``n - ceil(NEAR * n) + 1`` n-grams of each (Chaudhuri et
    al. 2006), so that few pairs are compared at all.
    """
    counts = Counter(gram for grams in sets for gram in grams)
    holders: dict[Gram, list[int]] = {}
    for place in sorted(range(len(sets)), key=lambda i: len(sets[i])):
        grams = sets[place]
        rarest = sorted(grams, key=lambda gram: (counts[gram], gram))
        prefix = rarest[: len(grams) - math.ceil(NEAR * len(grams) - 1e-9) + 1] if grams else []
        for other in {i for gram in prefix for i in holders.get(gram, ())}:
            shared = len(grams & sets[other])
            if shared / (len(grams) + len(sets[other]) - shared) >= NEAR:
                yield other, place
        for gram in prefix:
            holders.setdefault(gram, []).append(place)
