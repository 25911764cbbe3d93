"""Letters of a few sample prompts: their probability, how they are rounded, and their seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ragbench.base.errors import BackendError, PrerequisiteError
from ragbench.base.records import (
    LEAST_MASS,
    OptionScores,
    coarse_grid,
    coarse_remark,
    small_share,
)
from ragbench.experiment.grid.parts import TaskPart
from ragbench.metrics.likelihood import option_mass
from ragbench.models.model import Choice, Model
from ragbench.tasks.replies.answers import letters

QUICKLY_LOADED = 4e9  # bytes of weights that a plan loads to weigh the letters


@dataclass(frozen=True)
class PromptSample:
    """One question as a model would read it in an arm; the note says why passages are missing."""

    model: str
    task: str
    arm: str
    question_id: str
    prompt: str
    prompt_tokens: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class OptionMass:
    """Mean probability of all letters together as the start of a reply to a few sample prompts."""

    model: str
    task: str
    mass: float
    prompts: int


@dataclass(slots=True)
class Weighed:
    """What the letters of sample prompts show.

    Attributes:
        masses: Probability of the letters.
        notes: Remarks and warnings.
        seconds: Seconds of each sample prompt, asked one at a time.
    """

    masses: list[OptionMass] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def weigh_letters(
    model: Model,
    name: str,
    tasks: Sequence[TaskPart],
    samples: Sequence[PromptSample],
    weight_bytes: int | None,
) -> Weighed:
    """Return what the letters of a model's sample prompts show; nothing without such tasks."""
    found = Weighed()
    tasks = [task for task in tasks if task.scoring == "letters"]
    facts = model.facts()
    if not tasks or facts.stands_in or weight_bytes == 0:  # a scripted model has no probabilities
        return found
    if facts.served is None and (weight_bytes is None or weight_bytes > QUICKLY_LOADED):
        found.notes.append(
            f"{name}: the plan does not load its weights, so the report alone has the probability "
            "of the letters"
        )
        return found
    for task in tasks:
        mine = [s for s in samples if (s.model, s.task) == (name, task.spec.name)]
        asked = {s.prompt: s.question_id for s in mine if s.arm == mine[0].arm}
        options = {question.id: question.options for question in task.questions}
        choices = [Choice(p, letters(len(options[q]))) for p, q in asked.items()]
        try:
            answers = model.score_batch(choices)
        except PrerequisiteError as error:  # weights that cannot be loaded; the run refuses them
            found.notes.append(f"{name}: the letters could not be scored: {error.what}")
            return found
        failed = next((x for x in answers if isinstance(x, BackendError)), None)
        if failed is not None:
            found.notes.append(f"{name} on {task.spec.name}: a sample prompt failed: {failed.what}")
            continue
        scored = [x for x in answers if isinstance(x, OptionScores)]
        masses = [option_mass(x.log_likelihoods) for x in scored]
        mass = sum(masses) / len(masses)
        found.seconds += [x.elapsed_s for x in scored]
        found.masses.append(OptionMass(name, task.spec.name, mass, len(masses)))
        grid = coarse_grid(x.log_likelihoods for x in scored) if facts.served else None
        if grid is not None:
            found.notes.append(f"warning: {name} on {task.spec.name}: {coarse_remark(grid)}")
        if mass < LEAST_MASS:
            found.notes.append(
                f"warning: {name} on {task.spec.name}: all letters together have "
                f"{small_share(mass)} of the probability of the reply's start in {len(masses)} "
                "sample prompts. The model would write something else: check the prompt format, "
                "or use scoring: generate"
            )
    model.release()
    return found
