"""Which models of a run answer at the same time."""

from __future__ import annotations

from collections.abc import Iterable

from ragbench.base.endpoint import Endpoint
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


def is_local(model: ModelSpec) -> bool:
    """Say whether a model answers in this process, so that its weights are in its memory."""
    return not _servers(model)


def _servers(model: ModelSpec) -> set[Endpoint]:
    """Return the servers that answer for a model; what its prompts pass on the way does not."""
    options = model.options
    return set(options.endpoints if isinstance(options, AddressKeys) else model.sends_to() or ())
