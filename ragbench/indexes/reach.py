"""Where an index sends passages and queries, and the guard of restricted corpora."""

from __future__ import annotations

from collections.abc import Iterator

from ragbench.base.endpoint import Reach, WayOut, declares_reach, is_local, refuse_restricted
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.terms import is_restricted
from ragbench.indexes import retrievers
from ragbench.indexes.recipe import Recipe

DECLARE = (
    "a LangChain recipe declares `servers: []` if its retriever sends nothing, or the addresses; "
    "a kind of index from another package declares `sends_to` in its recipe class"
)


def reach_of(recipe: Recipe) -> Reach:
    """Return the servers that one recipe sends text to, without those of its inner recipes.

    A kind of index from another package whose recipe class does not say so itself is unknown.
    """
    if not declares_reach(retrievers.get(recipe.kind), type(recipe)):
        return None
    return recipe.sends_to()


def ways_out(recipe: Recipe, name: str, where: str) -> Iterator[WayOut]:
    """Yield where a resolved recipe and the recipes inside it send passages and queries."""
    yield WayOut(f"the index recipe {name!r}", reach_of(recipe), where, DECLARE)
    for part in recipe.inner():
        yield from ways_out(part.recipe, part.name, where)


def check_corpus(recipe: Recipe, corpus: Corpus, name: str) -> None:
    """Refuse to give a restricted corpus to an index that may send it elsewhere.

    ``name`` is that of the index or of its recipe, for the message.

    Raises:
        UsageError: The corpus is restricted, by its card now or at its build.
    """
    ways = [way for way in ways_out(recipe, name, f"index {name}") if not is_local(way.reach)]
    if ways and is_restricted(corpus):
        refuse_restricted(f"the corpus {corpus.name!r}", ways)
