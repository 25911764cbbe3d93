"""What the base of recipes says for a kind that says nothing itself, and sums over parts."""

from __future__ import annotations

import pytest
from pydantic import model_serializer

from ragbench.base.errors import UsageError
from ragbench.indexes.recipe import Footprint, HubModels, Part, Recipe, index_name


class OfHub(Recipe):
    """A recipe with a model of the hub; it counts how often it is asked for what it needs."""

    model: str
    required: list[str] = []  # noqa: RUF012 - of pydantic, which copies it

    def hub_models(self) -> HubModels:
        return {self.model: None}

    def require(self) -> None:
        self.required.append(self.model)


class OfTwo(Recipe):
    """A recipe with two parts."""

    first: OfHub
    second: OfHub

    def inner(self) -> tuple[Part, ...]:
        return (Part("first", "one", self.first), Part("second", "two", self.second))


def test_a_recipe_that_declares_nothing() -> None:
    recipe = Recipe(kind="plain", description="a note")
    assert recipe.identity() == {"kind": "plain"}
    assert (recipe.inner(), recipe.hub_models(), recipe.max_hits()) == ((), {}, None)
    assert recipe.encoder_digest() is None
    recipe.require()


def test_parts_are_asked_too() -> None:
    first, second = OfHub(kind="h", model="owner/a"), OfHub(kind="h", model="owner/b")
    both = OfTwo(kind="two", first=first, second=second)
    assert both.hub_models() == {"owner/a": None, "owner/b": None}
    both.require()
    assert both.first.required + both.second.required == ["owner/a", "owner/b"]


def test_the_disk_of_a_build_is_all_that_lies_there_at_its_end() -> None:
    assert Footprint("a", "b", 10.0, embeddings=5.0, scratch=7.0).build_disk == 22.0
    assert index_name("bm25", "ward") == "bm25-ward"


def test_an_error_of_a_part_is_not_wrapped_by_the_writer_of_the_identity() -> None:
    class Failing(Recipe):
        @model_serializer
        def _written(self) -> dict[str, str]:
            raise UsageError("it is not a file of a package")

    with pytest.raises(UsageError, match="not a file of a package"):
        Failing(kind="failing").identity()
