"""A card: the 2 x 2 of a pair on a task, and the three numbers that matter."""

from __future__ import annotations

from dataclasses import dataclass

from ragbench.analysis.family import MACRO, OF_PAIR

AVERAGE = "average over tasks"
GENERAL, BIOMEDICAL = "general", "biomedical"
SHOWN, EQUIVALENT, NOT_SHOWN = "shown", "equivalent", "not shown"
BOUNDS, UNTESTED = "bounds only", "not tested"
DOUBTFUL = "depends on how replies without an answer count"


@dataclass(frozen=True, slots=True)
class Cell:
    """The first metric of a model in one arm: a corner of the 2 x 2.

    Attributes:
        kind: ``general`` or ``biomedical``; a model without a pair is ``general``.
        model: The model.
        arm: ``closed-book``, or the primary retrieval arm.
        value: A rate from 0 to 1.
        low: Lower end of its interval; NaN where it has none.
        high: Upper end.
        n: Number of questions.
        is_complete: Whether every question has an answer; else the ends are bounds.
    """

    kind: str
    model: str
    arm: str
    value: float
    low: float
    high: float
    n: int
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Number:
    """An effect, paired by question.

    Attributes:
        effect: Its name in tables: a value of ``family.OF_PAIR``.
        arm: The arm.
        stratum: A part of the questions; empty for all of them.
        estimate: A difference of rates, from -1 to 1; NaN where answers are missing.
        low: Lower end of its interval; NaN where it has none.
        high: Upper end.
        n: Number of questions.
        state: SHOWN, EQUIVALENT, NOT_SHOWN, BOUNDS, UNTESTED or DOUBTFUL, whose texts end a
            sentence on the effect.
        is_small: Whether it is shown, and its interval is within the margin of equivalence.
        is_primary: Whether it is in the family that the run was made to test.
        p: The adjusted p.
        detectable: The true difference that would be found four times in five.
    """

    effect: str
    arm: str
    stratum: str
    estimate: float
    low: float
    high: float
    n: int
    state: str
    is_small: bool
    is_primary: bool
    p: float
    detectable: float


@dataclass(frozen=True, slots=True)
class Card:
    """What a pair, or a model without one, did on a task or on the average of all.

    Attributes:
        general: The general model, or the model without a pair.
        biomedical: The biomedical model, if it is a pair.
        task: The task; ``(macro)`` for the average in which every task counts the same.
        metric: The first metric of the task.
        arm: The primary retrieval arm, if there is one.
        cells: At most four: general and biomedical, closed-book and with the arm.
        numbers: At most three: retrieval gain (general model), fine-tuning gain, retrieval less
            fine-tuning; fine-tuning gain with retrieval where no arm is closed-book.
        strata: The fine-tuning gain by stratum, such as seen in training and held out.
    """

    general: str
    biomedical: str | None
    task: str
    metric: str
    arm: str | None
    cells: tuple[Cell, ...]
    numbers: tuple[Number, ...]
    strata: tuple[Number, ...] = ()

    @property
    def is_average(self) -> bool:
        """Whether the card is of the average over tasks."""
        return self.task == MACRO

    @property
    def name(self) -> str:
        """The pair, or the model."""
        return f"{self.biomedical} against {self.general}" if self.biomedical else self.general

    def number(self, effect: str) -> Number | None:
        """Return the number of an effect, by its key or value in ``family.OF_PAIR``."""
        wanted = OF_PAIR.get(effect, effect)
        return next((found for found in self.numbers if found.effect == wanted), None)

    def cell(self, kind: str, arm: str) -> Cell | None:
        """Return the cell of a kind of model in an arm."""
        return next((c for c in self.cells if (c.kind, c.arm) == (kind, arm)), None)
