"""Recipes inside recipes: their names, and what they are once they are written out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from ragbench.base.errors import UsageError
from ragbench.indexes.composite.hybrid import HybridRecipe
from ragbench.indexes.loading import load_recipe, part_of, resolved_part


def write(home: Path, name: str, **keys: object) -> None:
    (home / "indexes").mkdir(exist_ok=True)
    (home / "indexes" / f"{name}.yaml").write_text(json.dumps(keys), encoding="utf-8")


def test_a_named_part_keeps_its_name_and_an_inline_one_is_named_by_its_options(home: Path) -> None:
    write(home, "both", kind="hybrid", parts=["bm25", {"kind": "bm25", "k1": 2.0}])
    named, inline = load_recipe("both").inner()
    assert (named.role, named.name, named.recipe) == ("part 0", "bm25", load_recipe("bm25"))
    identity = json.dumps(inline.recipe.identity(), sort_keys=True, separators=(",", ":"))
    assert inline.name == f"bm25.{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
    # The same options have the same name wherever they are, others have another one.
    names = {part_of("first", {"kind": "bm25", **keys}).name for keys in ({}, {"k1": 2.0})}
    assert len(names) == 2
    assert inline.name in names
    described = {"kind": "bm25", "k1": 2.0, "description": "in other words"}
    assert part_of("of", described).name == inline.name


def test_an_inline_part_may_have_a_name_which_is_no_part_of_its_identity(home: Path) -> None:
    write(home, "both", kind="hybrid", parts=["bm25", {"name": "mine", "kind": "bm25", "k1": 2.0}])
    named = load_recipe("both")
    write(home, "both", kind="hybrid", parts=["bm25", {"kind": "bm25", "k1": 2.0}])
    assert named.inner()[1].name == "mine"
    assert named.identity() == load_recipe("both").identity()


@pytest.mark.parametrize("name", ["../mine", "", "a b"])
def test_a_name_that_could_leave_the_folder_is_refused(home: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of an index recipe"):
        resolved_part("of", {"name": name, "kind": "bm25"}, load_recipe)


def test_what_is_resolved_stays_as_it_is(home: Path) -> None:
    write(home, "both", kind="hybrid", parts=["bm25", {"kind": "bm25", "k1": 2.0}])
    once = load_recipe("both")
    assert once.resolved(load_recipe) == once
    assert HybridRecipe.model_validate(once.model_dump(mode="json")) == once
    with pytest.raises(TypeError, match="is not resolved"):
        HybridRecipe(kind="hybrid", parts=("bm25", "bm25")).inner()
