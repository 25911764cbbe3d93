"""Settings of the analysis, and the only place of their defaults."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

PrimaryEffect = Literal[
    "retrieval gain",
    "fine-tuning gain",
    "retrieval less fine-tuning",
    "fine-tuning gain with retrieval",
    "interaction",
    "placebo-corrected gain",
    "headroom with gold missing",
    "headroom with gold delivered",
]
PRIMARY_EFFECTS: tuple[PrimaryEffect, ...] = (
    "retrieval gain",
    "fine-tuning gain",
    "retrieval less fine-tuning",
    "interaction",
)

AVERAGE = "(macro)"  # the average over tasks that count the same; no task can have such a name


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimarySettings:
    """What a run is designed to test; all other effects are exploratory.

    Attributes:
        arm: Retrieval arm; None for each task's ``default_arm``.
        effects: Names of effects as in tables.
        tasks: Tasks, and AVERAGE for their average; empty for all tasks.
    """

    arm: str | None = None
    effects: tuple[str, ...] = PRIMARY_EFFECTS
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSettings:
    """When a run stops asking.

    Attributes:
        effects: Names of effects as in tables; empty for those of ``primary``.
        margin: Largest difference that does not matter; None for ``equivalence_margin``.
        min_questions: Number of questions per task before which nothing is decided.
    """

    effects: tuple[str, ...] = ()
    margin: float | None = None
    min_questions: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisSettings:
    """How results are analysed.

    Attributes:
        alpha: Level of every test; intervals cover 1 - alpha.
        resamples: Largest number of random signs that a test draws.
        equivalence_margin: Largest difference that does not matter, from 0 to 1.
        primary: What the run is designed to test.
        stop: When it stops asking; None for a run that asks every question.
    """

    alpha: float = 0.05
    resamples: int = 10_000
    equivalence_margin: float = 0.03
    primary: PrimarySettings = PrimarySettings()
    stop: StopSettings | None = None


DECLARED = "declared in the config"
IMITATED = "the first retrieval arm that a control imitates"
NOT_IMITATED = "the first retrieval arm, as no control imitates one"


def default_arm(arms: Sequence[str], imitated: Collection[str]) -> tuple[str, str] | None:
    """Return the retrieval arm that a task tests by default, and why; None without any.

    Args:
        arms: Retrieval arms in the config's order.
        imitated: Arms that some control is ``like``.
    """
    for arm in arms:
        if arm in imitated:
            return arm, IMITATED
    return (arms[0], NOT_IMITATED) if arms else None
