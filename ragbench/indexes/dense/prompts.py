"""The prompts that a sentence-transformers model states for queries and for passages.

A model says in ``config_sentence_transformers.json`` what it was trained to read before a text:
``prompts`` by name, and ``default_prompt_name``. As in sentence-transformers, queries take the
prompt ``query``, and passages the first of ``document``, ``passage`` and ``corpus``. The default
prompt takes the place of a missing one, unless its name is that of the other side.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ragbench.base.errors import PrerequisiteError, UsageError
from ragbench.base.weights import locate

FILE = "config_sentence_transformers.json"
QUERY = ("query",)
DOCUMENT = ("document", "passage", "corpus")


@dataclass(frozen=True, slots=True)
class Prompts:
    """What a model reads before a text.

    Attributes:
        query: Before a query.
        document: Before a passage.
        unused: Names of further prompts, of which a card may copy one into its prefixes.
    """

    query: str = ""
    document: str = ""
    unused: tuple[str, ...] = ()


def own_prompts(model: str, revision: str | None) -> Prompts:
    """Return the prompts of a model; none where its folder states none, or cannot be had.

    Raises:
        UsageError: They are stated in another form.
    """
    prompts, default = _stated(model, revision)
    query = _chosen(prompts, default, QUERY, DOCUMENT)
    document = _chosen(prompts, default, DOCUMENT, QUERY)
    unused = sorted(
        name for name, text in prompts.items() if text and name not in {query, document}
    )
    return Prompts(
        (prompts.get(query) or "") if query else "",
        (prompts.get(document) or "") if document else "",
        tuple(unused),
    )


def pair_prompt(model: str, revision: str | None) -> str:
    """Return what a cross-encoder reads before the query of a pair: its default prompt, if any.

    As in sentence-transformers, its other prompts are only used by those who name them.

    Raises:
        UsageError: Prompts are stated in another form.
    """
    prompts, default = _stated(model, revision)
    return (prompts.get(default) or "") if default else ""


def _stated(model: str, revision: str | None) -> tuple[dict[str, str | None], str | None]:
    """Return the prompts that a model's folder states, and the name of the default one."""
    try:
        path = locate(model)
    except PrerequisiteError:  # reported where the weights are needed
        return {}, None
    file = _from_hub(model, revision) if path is None else path / FILE
    if file is None or not file.is_file():
        return {}, None
    try:
        stated = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _unfit(file, f"is not JSON: {error}") from None
    prompts = (stated.get("prompts") or {}) if isinstance(stated, dict) else None
    if not isinstance(prompts, dict) or not all(
        isinstance(text, str | None) for text in prompts.values()
    ):
        raise _unfit(file, "has prompts that are not texts by name")
    default = stated.get("default_prompt_name")
    if default is not None and default not in prompts:
        raise _unfit(file, f"names the default prompt {default!r}, which it does not have")
    return prompts, default


def _chosen(
    prompts: dict[str, str | None],
    default: str | None,
    own: tuple[str, ...],
    other: tuple[str, ...],
) -> str | None:
    """Return the name of the prompt of one side."""
    for name in own:
        if name in prompts:
            return name
    is_of_other = default is not None and any(name in default.lower() for name in other)
    return None if is_of_other else default


@cache
def _from_hub(model: str, revision: str | None) -> Path | None:
    """Return the file of a hub model, fetched where it is not in the cache; asked for once."""
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(model, FILE, revision=revision))
    except (OSError, ValueError, RecursionError):  # it has none, or the network is missing
        return None


def _unfit(file: Path, what: str) -> UsageError:
    return UsageError(
        f"the encoder's {FILE} {what}",
        where=str(file),
        fix="get the model again; or state query_prefix and passage_prefix after correcting it",
    )
