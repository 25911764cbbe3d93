"""Settings of the analysis, and the only place of their defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PrimaryEffect = Literal[
    "retrieval gain",
    "fine-tuning gain",
    "retrieval less fine-tuning",
    "fine-tuning gain with retrieval",
    "interaction",
    "placebo-corrected gain",
    "headroom",
]
PRIMARY_EFFECTS: tuple[PrimaryEffect, ...] = (
    "retrieval gain",
    "fine-tuning gain",
    "retrieval less fine-tuning",
    "interaction",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimarySettings:
    """What a run is designed to test; all other effects are exploratory.

    Attributes:
        arm: Retrieval arm; None for each task's first.
        effects: Names of effects as in tables.
        tasks: Tasks; empty for all.
    """

    arm: str | None = None
    effects: tuple[str, ...] = PRIMARY_EFFECTS
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisSettings:
    """How results are analysed.

    Attributes:
        alpha: Level of every test; intervals cover 1 - alpha.
        resamples: Number of bootstrap resamples and of permutations.
        equivalence_margin: Largest difference that does not matter, from 0 to 1.
        primary: What the run is designed to test.
    """

    alpha: float = 0.05
    resamples: int = 10_000
    equivalence_margin: float = 0.03
    primary: PrimarySettings = PrimarySettings()
