"""Recipes of indexes, read from ``indexes/NAME.yaml`` or from inside another recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ragbench.base import home
from ragbench.base.errors import UsageError
from ragbench.base.files import sha256_json
from ragbench.base.yamlfile import Document, check, load
from ragbench.indexes import retrievers
from ragbench.indexes.recipe import Part, Recipe

NAME = "name"
Written = Mapping[str, Any]
Load = Callable[[str], Recipe]


def load_recipe(name: str) -> Recipe:
    """Return the recipe of ``indexes/NAME.yaml``, with the recipes that it names in place.

    Raises:
        UsageError: The file has no kind or a wrong key, or names a recipe inside itself.
    """
    return _load(name, ())


def _load(name: str, above: tuple[str, ...]) -> Recipe:
    """Read a recipe that is inside others."""
    document = load(home.find_yaml("indexes", name, what="index recipe"))
    if name in above:
        raise UsageError(
            f"the index recipe {name!r} is named inside itself: {' -> '.join((*above, name))}",
            where=document.where(()),
            fix="name another recipe there, or write one inline",
        )
    return _checked(
        document,
        UsageError(
            "the recipe does not say its kind",
            where=document.where(()),
            fix=f"add `kind: {' | '.join(retrievers.names())}`",
        ),
    ).resolved(lambda inner: _load(inner, (*above, name)))


def _checked(document: Document, without_kind: UsageError) -> Recipe:
    kind = document.value.get("kind")
    if not isinstance(kind, str):
        raise without_kind
    return check(retrievers.get(kind).Options, document)


def resolved_part(role: str, given: str | Written, load: Load) -> dict[str, Any]:
    """Return the keys of a recipe inside another one, with all that it names in place.

    Raises:
        UsageError: Its name is not legal, it has no kind, or a key is wrong.
    """
    if isinstance(given, str):
        return {NAME: given, **load(given).model_dump(mode="json")}
    recipe = _inline(role, given).resolved(load)
    own = {NAME: given[NAME]} if NAME in given else {}
    return {**own, **recipe.model_dump(mode="json")}


def part_of(role: str, resolved: str | Written) -> Part:
    """Return a part of a resolved recipe.

    An inline recipe without a ``name`` is called KIND.DIGEST, by the first eight digits of the
    digest of its options: so the same options have the same index, in whatever recipe they are.
    """
    if isinstance(resolved, str):
        raise TypeError(f"the recipe {resolved!r} inside a recipe is not resolved")
    recipe = _inline(role, resolved)
    name = resolved.get(NAME) or f"{recipe.kind}.{sha256_json(recipe.identity())[:8]}"
    return Part(role, str(name), recipe)


def _inline(role: str, written: Written) -> Recipe:
    keys = {key: value for key, value in written.items() if key != NAME}
    if NAME in written:
        home.check_name(str(written[NAME]), what="an index recipe")
    without_kind = UsageError("a recipe inside the recipe does not say its kind", where=role)
    return _checked(Document(keys, Path(role), {}), without_kind)
