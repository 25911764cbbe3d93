"""Which models of a run answer at the same time, and which questions a model answers together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from ragbench.base.endpoint import Endpoint
from ragbench.experiment.stages.writing import Job, OpenCell
from ragbench.models.served.addresses.keys import AddressKeys
from ragbench.models.spec import ModelSpec

Phase = list[list[str]]


def phases_of(models: Iterable[ModelSpec]) -> list[Phase]:
    """Return the names of models in phases of lanes.

    Phases follow one another, the lanes of a phase go on side by side, and the models of a lane
    follow one another without a gap. Models behind servers are in one phase, and those that share a
    server in one lane: Ollama, for one, loads a model again whenever another was asked. Every other
    model is a phase by itself, as its weights are in memory.
    """
    served: list[tuple[set[Endpoint], list[str]]] = []
    phases: list[Phase] = []
    for model in models:
        reach, names = _servers(model), [model.name]
        if not reach:
            phases.append([names])
            continue
        sharing = [lane for lane in served if lane[0] & reach]
        first = sharing[0] if sharing else (set[Endpoint](), [])
        if not sharing:
            served.append(first)
        for lane in sharing[1:]:
            first[0].update(lane[0])
            first[1].extend(lane[1])
            served.remove(lane)
        first[0].update(reach)
        first[1].extend(names)
    return [[names for _, names in served], *phases] if served else phases


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that is asked with others; ``place`` is None if its answer is there already."""

    cell: OpenCell
    job: Job
    place: int | None


def batches_of(cells: Iterable[OpenCell], size: int) -> Iterator[list[Asked]]:
    """Yield the questions of one model that are answered together, with at least one open one.

    All arms of a question follow one another, as their prompts begin alike. In bfloat16 an answer
    depends on those beside it. So a batch is that of an uninterrupted run, and answers that a
    killed run has already are computed again, not written. Arms that were added to a finished run
    have batches of their own.
    """
    for _, group in groupby(cells, key=lambda cell: cell.cell.task.spec.name):
        arms = _together(list(group))
        places = {cell: {job.question.id: n for n, job in enumerate(cell.jobs)} for cell in arms}
        rows = zip(*(cell.every for cell in arms), strict=True)
        asked = [
            Asked(cell, job, places[cell].get(job.question.id))
            for row in rows
            for cell, job in zip(arms, row, strict=True)
        ]
        for start in range(0, len(asked), size):
            batch = asked[start : start + size]
            if any(one.place is not None for one in batch):
                yield batch


def _together(arms: Sequence[OpenCell]) -> Sequence[OpenCell]:
    untouched = [cell for cell in arms if len(cell.jobs) == len(cell.every)]
    done = [cell for cell in arms if not cell.jobs]
    return untouched if len(untouched) + len(done) == len(arms) and done else arms


def _servers(model: ModelSpec) -> set[Endpoint]:
    """Return the servers that answer for a model; what its prompts pass on the way does not."""
    options = model.options
    return set(options.endpoints if isinstance(options, AddressKeys) else model.sends_to() or ())
