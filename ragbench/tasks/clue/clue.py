"""What the tasks of CLUE (Dada et al. 2024) share: modes, and examples by mode.

``clue-2024`` is the harness at the time of the published figures, ``clue-2025`` its rewrite. Both
take the first rows of the evaluated file as examples, the one in file order, the other shuffled
with seed 1. ``correct`` draws the examples and excludes all questions of their clusters.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from ragbench.base.errors import DataError
from ragbench.base.records import Mode, Question
from ragbench.base.words import plain_or_whole
from ragbench.tasks.files.filetask import FileTask, Keys, Selection, cluster_keys

MODES: tuple[Mode, ...] = ("correct", "clue-2024", "clue-2025")
SHUFFLE_SEED = 1  # of both harnesses
EXAMPLE = "few-shot example"
# The reply readers of answers that are texts.
TEXT_READERS: Mapping[Mode, str] = {
    "correct": "",
    "clue-2024": "clue-text",
    "clue-2025": "raw",
}


class ClueTask(FileTask):
    """Separates the questions of a file from the few-shot examples, by the mode."""

    SHOTS: ClassVar[int]
    SHUFFLED: ClassVar[tuple[Mode, ...]] = ("clue-2025",)

    def _select(self, asked: Sequence[Question]) -> Selection:
        shots = self.SHOTS if self.options.shots is None else self.options.shots
        if self.options.examples:
            return self._with_examples_of(self.options.examples, asked, shots)
        if shots >= len(asked):
            raise DataError(
                f"the file has {len(asked)} rows, of which {shots} are to be examples",
                where=str(self._path),
                fix="set the task's option shots to less",
            )
        if self.mode == "correct":
            return self._draw(asked, shots)
        rows = list(asked)
        if self.mode in self.SHUFFLED:
            random.Random(SHUFFLE_SEED).shuffle(rows)  # noqa: S311 - theirs
        excluded = tuple((q.id, EXAMPLE) for q in rows[:shots])
        return Selection(tuple(rows[shots:]), tuple(rows[:shots]), excluded)

    def _draw(self, asked: Sequence[Question], shots: int) -> Selection:
        """Draw the examples; they must be as many as asked, and leave questions to score."""
        drawn = draw_examples(asked, shots)
        if len(drawn.examples) == shots and drawn.questions:
            return drawn
        clustered = any(question.cluster is not None for question in asked)
        unit = self._unit() or ("cluster" if clustered else "question")
        raise DataError(
            f"{shots} examples, each with its {unit}, leave none of {len(asked)} rows to score",
            where=str(self._path),
            fix="set the task's option shots to less, or take the examples from another split "
            "with its option examples",
        )

    def _with_examples_of(self, file: str, asked: Sequence[Question], shots: int) -> Selection:
        """Take the first examples from a file of their own."""
        if self.mode != "correct":
            raise DataError(
                f"the mode {self.mode!r} takes its examples from the evaluated file",
                where="tasks: options: examples",
                fix="leave the option out",
            )
        path = self._at(file)
        found = self._examples(self._candidates(path), shots, asked, path)
        # Ids count rows, so those of two files are the same.
        named = (replace(q, id=f"{path.stem}:{q.id}") for q in found)
        return Selection(tuple(asked), tuple(named))

    def _keys(self, question: Question) -> Keys:
        return [("text", plain_or_whole(question.text)), *cluster_keys(question)]


def draw_examples(rows: Sequence[Question], shots: int) -> Selection:
    """Draw examples by the hash of their ids, and exclude the questions of their clusters or words.

    The examples are of different clusters, where there are any; the rest keeps its order.
    """
    order = sorted(rows, key=lambda q: hashlib.sha256(q.id.encode("utf-8")).digest())
    examples: list[Question] = []
    used: set[str] = set()
    for question in order:
        if len(examples) == shots:
            break
        if question.cluster is None or question.cluster not in used:
            examples.append(question)
            if question.cluster is not None:
                used.add(question.cluster)
    ids = {example.id for example in examples}
    excluded = [(example.id, EXAMPLE) for example in examples]
    shown = {plain_or_whole(example.text) for example in examples}
    kept = []
    for question in rows:
        if question.id in ids:
            continue
        if plain_or_whole(question.text) in shown:
            excluded.append((question.id, "has the words of a few-shot example"))
            continue
        if question.cluster is not None and question.cluster in used:
            excluded.append((question.id, "shares its cluster with a few-shot example"))
        else:
            kept.append(question)
    return Selection(tuple(kept), tuple(examples), tuple(excluded))
