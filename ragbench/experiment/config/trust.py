"""Restricted data stays on this machine and on servers that the config trusts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ragbench.base.endpoint import Endpoint, WayOut
from ragbench.models.spec import ModelSpec

DECLARE = (
    "use a backend that declares `sends_to`; if you maintain this one, add it "
    "(ragbench.models.spec.Backend says how)"
)


def model_ways(models: Iterable[ModelSpec]) -> Iterator[WayOut]:
    """Yield where each model sends prompts; no model is loaded and no host name looked up."""
    for model in models:
        reach, name = model.sends_to(), f"the model {model.name!r}"
        declare = model.options.declare_reach
        if reach is None and not declare:
            name = f"the backend {model.backend!r} of {name}"
        yield WayOut(name, reach, _where(model), declare or DECLARE)


def new_way(model: ModelSpec, endpoint: Endpoint) -> WayOut:
    """Return the way out to a server that a model found during the run."""
    return WayOut(f"the model {model.name!r}", (endpoint,), _where(model), DECLARE)


def _where(model: ModelSpec) -> str:
    """Return the key that says where a model's prompts go."""
    keys = model.options.model_dump(exclude_none=True) if model.sends_to() else {}
    key = next((key for key in ("url", "url_file", "servers") if key in keys), "backend")
    return f"models: {model.name}: {key}"


def untrusted(ways: Iterable[WayOut], trusted: Sequence[str]) -> list[WayOut]:
    """Return the ways out that restricted data may not take.

    ``trusted`` has the origins that are trusted besides this machine.
    """
    return [
        way
        for way in ways
        if way.reach is None or not all(end.is_trusted(trusted) for end in way.reach)
    ]
