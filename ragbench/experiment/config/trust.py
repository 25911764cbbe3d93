"""Restricted data stays on this machine and on servers that the config trusts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ragbench.base.endpoint import WayOut
from ragbench.models.spec import ModelSpec

DECLARE = (
    "use a backend that declares `sends_to`; if you maintain this one, add it "
    "(ragbench.models.spec.Backend says how)"
)


def model_ways(models: Iterable[ModelSpec]) -> Iterator[WayOut]:
    """Yield where each model sends prompts; no model is loaded and no host name looked up."""
    for model in models:
        reach, name = model.sends_to(), f"the model {model.name!r}"
        if reach is None:
            name = f"the backend {model.backend!r} of {name}"
        has_url = reach is not None and "url" in type(model.options).model_fields
        yield WayOut(
            name, reach, f"models: {model.name}: {'url' if has_url else 'backend'}", DECLARE
        )


def untrusted(ways: Iterable[WayOut], trusted: Sequence[str]) -> list[WayOut]:
    """Return the ways out that restricted data may not take.

    ``trusted`` has the origins that are trusted besides this machine.
    """
    return [
        way
        for way in ways
        if way.reach is None or not all(end.is_trusted(trusted) for end in way.reach)
    ]
