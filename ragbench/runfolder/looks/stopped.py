"""``stopped.json``: the looks at a run that may stop early, and what they decided."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ragbench.base.errors import DataError
from ragbench.base.files import read_json, sha256_json, write_json
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.schema import AGAIN, parse, to_json
from ragbench.runfolder.settings import StopSettings

SEAL = "seal"
Verdict = Literal["open", "shown", "equivalent", "exhausted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCell:
    """The number of first questions of its task that a cell was asked."""

    model: str
    task: str
    arm: str
    n: int

    @property
    def key(self) -> tuple[str, str, str]:
        """Model, task and arm."""
        return self.model, self.task, self.arm


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectLook:
    """What one look at an effect gave; p and interval are valid at any look.

    Attributes:
        n: Number of questions.
        estimate: Mean effect; None without questions.
        low: Lower end of the sequence.
        high: Upper end.
        e_value: The e-value of no effect.
        p: p of no effect.
        p_below: p of an effect of minus the margin or less.
        p_above: p of an effect of the margin or more.
    """

    n: int
    estimate: float | None
    low: float
    high: float
    e_value: float
    p: float
    p_below: float
    p_above: float

    @property
    def p_equivalence(self) -> float:
        """The p of an effect outside of plus or minus the margin."""
        return max(self.p_below, self.p_above)


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectDecision:
    """What is known of one effect after the last look.

    Attributes:
        cells: Model, task and arm of each cell that it needs.
        looks: Its trajectory.
        p_adjusted: p of no effect, adjusted within the family.
        p_equivalence_adjusted: The same for equivalence.
        verdict: What was decided first.
        decided_at: Number of questions at which it was decided; None while it is open.
    """

    effect: str
    model: str
    base: str
    task: str
    arm: str
    baseline: str
    cells: tuple[tuple[str, str, str], ...]
    looks: tuple[EffectLook, ...]
    p_adjusted: float
    p_equivalence_adjusted: float
    verdict: Verdict
    decided_at: int | None

    @property
    def name(self) -> tuple[str, ...]:
        """What identifies it in the run."""
        return self.effect, self.model, self.base, self.task, self.arm, self.baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class StopFile:
    """Contents of stopped.json.

    Attributes:
        alpha: Level of the family.
        share: Part of alpha that the sequence has.
        settings: When the run stops, with its margin and effects.
        asked: What each cell is asked so far; the round after the last look may be under way.
        looks: What each cell had been asked at each look.
        effects: What the last look gave; empty before the first.
    """

    alpha: float
    share: float
    settings: StopSettings
    asked: tuple[AskedCell, ...]
    looks: tuple[tuple[AskedCell, ...], ...] = ()
    effects: tuple[EffectDecision, ...] = ()

    @property
    def n(self) -> Mapping[tuple[str, str, str], int]:
        """The number of questions asked, by model, task and arm."""
        return {cell.key: cell.n for cell in self.asked}


def read_stopped(folder: RunPaths) -> StopFile | None:
    """Return the looks at a run; None for a run that asks every question.

    Raises:
        DataError: The file is unreadable, or is not as it was written.
    """
    if not folder.stopped.is_file():
        return None
    what = "file stopped.json of the run"
    value = read_json(folder.stopped, what=f"the {what}")
    seal = value.pop(SEAL, None)
    if seal != sha256_json(value):
        raise DataError(
            f"the {what} has changed since it was written", where=str(folder.stopped), fix=AGAIN
        )
    return parse(StopFile, value, str(folder.stopped), what=what)


def write_stopped(folder: RunPaths, stopped: StopFile) -> None:
    """Write the looks at a run."""
    value = json.loads(json.dumps(to_json(stopped)))
    write_json(folder.stopped, value | {SEAL: sha256_json(value)})
