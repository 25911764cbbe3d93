"""Restricted data stays on this machine and on servers that the config trusts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragbench.base.errors import UsageError
from ragbench.base.records import DataUse
from ragbench.corpora.card import load_card
from ragbench.corpora.corpus import is_built
from ragbench.corpora.open import open_corpus
from ragbench.corpora.union_reader import members_of
from ragbench.models.endpoint import Endpoint
from ragbench.models.spec import ModelSpec

RESTRICTED = "restricted"


@dataclass(frozen=True, slots=True)
class Untrusted:
    """A model and a server that it sends prompts to; None if the backend does not say."""

    model: ModelSpec
    endpoint: Endpoint | None


def first_untrusted(models: Sequence[ModelSpec], trusted: Sequence[str]) -> Untrusted | None:
    """Return the first model that sends prompts where restricted data may not go.

    A backend that does not say where it sends prompts is not trusted. ``trusted`` holds the origins
    that are trusted besides this machine. No model is loaded and no host name looked up.
    """
    for model in models:
        endpoints = model.sends_to()
        if endpoints is None:
            return Untrusted(model, None)
        for endpoint in endpoints:
            if not endpoint.is_trusted(trusted):
                return Untrusted(model, endpoint)
    return None


def refuse_restricted(
    untrusted: Untrusted, *, tasks: Mapping[str, DataUse], corpora: Mapping[str, str]
) -> None:
    """Refuse restricted data for a model that is not trusted with it, before any prompt is sent.

    Args:
        untrusted: The model.
        tasks: Data use of the questions, by task.
        corpora: The first arm of each corpus; cards and manifests are read.

    Raises:
        UsageError: A task or a corpus is restricted.
    """
    closed = [f"the task {name!r}" for name, data_use in tasks.items() if data_use == RESTRICTED]
    closed += [
        f"the corpus {corpus!r} behind the arm {arm!r}"
        for corpus, arm in corpora.items()
        if not closed and _is_restricted(corpus)
    ]
    if not closed:
        return
    name, endpoint = untrusted.model.name, untrusted.endpoint
    if endpoint is None:
        raise UsageError(
            f"{closed[0]} is restricted, and the backend {untrusted.model.backend!r} of the model "
            f"{name!r} does not say where it sends prompts; nothing was sent",
            where=f"models: {name}: backend",
            fix="use a backend that declares `sends_to`; if you maintain this one, add it "
            "(ragbench.models.spec.Backend says how)",
        )
    key = "url" if "url" in type(untrusted.model.options).model_fields else "backend"
    raise UsageError(
        f"{closed[0]} is restricted, and the model {name!r} is served by {endpoint.host}, which "
        "is not trusted; nothing was sent",
        where=f"models: {name}: {key}",
        fix=f"serve it on this machine; or, if the terms of the data allow it, write "
        f"`trusted_endpoints: [{endpoint.origin!r}]` at the top of the config",
    )


def _is_restricted(corpus: str) -> bool:
    """Say whether a corpus or a member of a union is restricted."""
    if _says_restricted(corpus):
        return True
    return any(map(_says_restricted, members_of(load_card(corpus)[0])))


def _says_restricted(corpus: str) -> bool:
    """Say whether a corpus is restricted by its card or by its manifest."""
    if is_built(corpus) and open_corpus(corpus).manifest.data_use == RESTRICTED:
        return True
    return load_card(corpus)[0].data_use == RESTRICTED
