"""Restricted data stays on this machine, and on servers that the config trusts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragbench.base.errors import UsageError
from ragbench.corpora.card import load_card
from ragbench.corpora.corpus import is_built
from ragbench.corpora.open import open_corpus
from ragbench.corpora.readers.union import members_of

if TYPE_CHECKING:
    from ragbench.experiment.grid import Grid

RESTRICTED = "restricted"


def check_endpoints(grid: Grid) -> None:
    """Refuse restricted data for servers that are neither on this machine nor trusted.

    Nothing has been sent by then and no name looked up: only what the config says is read, and the
    cards and manifests of the corpora behind arms.

    Args:
        grid: The experiment; its models need not have been made.

    Raises:
        UsageError: A task or a corpus is restricted, and a model is served elsewhere.
    """
    config = grid.config
    elsewhere = [
        (spec.name, endpoint)
        for spec in config.models
        for endpoint in spec.endpoints
        if not endpoint.is_trusted(config.trusted_endpoints)
    ]
    closed = _restricted(grid) if elsewhere else ""
    if closed:
        name, endpoint = elsewhere[0]
        raise UsageError(
            f"{closed} is restricted, and the model {name!r} is served by {endpoint.host}, which "
            "is not trusted; nothing was sent",
            where=f"models: {name}: url",
            fix=f"serve it on this machine; or, if the terms of the data allow it, write "
            f"`trusted_endpoints: [{endpoint.origin!r}]` at the top of the config",
        )


def _restricted(grid: Grid) -> str:
    """Return the first task or corpus behind an arm that is restricted; empty if none is."""
    for task in grid.tasks:
        if task.info.data_use == RESTRICTED:
            return f"the task {task.spec.name!r}"
        for arm in grid.arms_of(task):
            source = grid.source_of(arm, task)
            if source is not None and _is_restricted(source.corpus):
                return f"the corpus {source.corpus!r} behind the arm {arm.name!r}"
    return ""


def _is_restricted(corpus: str) -> bool:
    """Say whether a corpus is restricted, or one of the members of a union."""
    if _says_restricted(corpus):
        return True
    return any(map(_says_restricted, members_of(load_card(corpus)[0])))


def _says_restricted(corpus: str) -> bool:
    """Say whether a corpus is restricted: by its card, or by what it was when it was built."""
    if is_built(corpus) and open_corpus(corpus).manifest.data_use == RESTRICTED:
        return True
    return load_card(corpus)[0].data_use == RESTRICTED
