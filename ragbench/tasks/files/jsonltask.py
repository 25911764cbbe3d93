"""Tasks over questions in JSON lines, with splits and drawn few-shot examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from pydantic import Field

from ragbench.base.errors import DataError
from ragbench.base.records import Question
from ragbench.tasks.files.fields import Reading
from ragbench.tasks.files.filetask import FileOptions, FileTask, Selection
from ragbench.tasks.task import TaskInfo, TaskOptions

MOST_SHOTS = 16  # taken unasked: more is a forgotten `shots`
SHOTS = "none; the options examples (a file of this layout) and shots give some"


class JsonlOptions(FileOptions):
    """Options of every task over JSON lines.

    Attributes:
        path: The file, plain or gzip; a relative path starts from RAGBENCH_HOME. Where it is
            empty, the place that ``ragbench list tasks`` names.
        split: Split of the lines that are asked; all lines by default.
        instruction: System turn of every prompt; by default the task's own.
        answers: Whether the answers of multiple-choice lines are letters or texts of options;
            ``either`` refuses one that is both.
        extra_fields: Whether lines may have other fields, which are ignored.
        examples_split: Split of the lines that are examples.
        shots: Number of examples, from the first one; all by default.
        shots_seed: Seed that draws the examples; by default the first ones are taken.
    """

    split: str | None = None
    instruction: str = ""
    answers: Reading = "either"
    extra_fields: bool = False
    examples_split: str | None = None
    shots: int | None = Field(None, gt=0)
    shots_seed: int | None = Field(None, ge=0)


class JsonlTask(FileTask):
    """Reads JSON lines, one question each; examples come from a file or split of their own."""

    Options: ClassVar[type[TaskOptions]] = JsonlOptions
    options: JsonlOptions
    OTHER_EXAMPLES = (
        "take examples from another split (the option examples_split), under ids of their own"
    )

    def _info(self) -> TaskInfo:
        info = super()._info()
        return replace(info, instruction=self.options.instruction or info.instruction)

    def _split(self, *, examples: bool) -> str | None:
        return self.options.examples_split if examples else self.options.split

    def _select(self, asked: Sequence[Question]) -> Selection:
        chosen = self.options
        if chosen.examples is None:
            for name in ("examples_split", "shots", "shots_seed"):
                if getattr(chosen, name) is not None:
                    raise DataError(
                        f"the option {name} has no effect without the option examples",
                        where=f"tasks: options: {name}",
                        fix="give examples: FILE, a file of the same layout",
                    )
            return Selection(tuple(asked))
        path = self._at(chosen.examples)
        candidates = self._candidates(path)
        if chosen.shots is None and len(candidates) > MOST_SHOTS:
            raise DataError(
                f"the file holds {len(candidates):,} examples, which are many for a prompt",
                where=str(path),
                fix="set the task's option shots",
            )
        shots = len(candidates) if chosen.shots is None else chosen.shots
        if chosen.shots_seed is not None:
            draw = np.random.default_rng(chosen.shots_seed).permutation(len(candidates))
            candidates = [candidates[i] for i in draw]
        return Selection(tuple(asked), self._examples(candidates, shots, asked, path))
