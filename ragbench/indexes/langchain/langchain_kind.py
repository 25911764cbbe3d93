"""An index that a function of the user's makes: it returns any LangChain retriever.

Nothing is built but a note: the function is called with the corpus whenever the index is opened.
That imports and runs code, at opening too, so the recipe must say ``trust_code: true``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ragbench.base.devices import Device
from ragbench.base.errors import RagbenchError, first_line
from ragbench.base.files import sha256_file
from ragbench.base.usercode.factory import FactoryKeys
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.langchain.adapters import FromLangchain, ScoreSource
from ragbench.indexes.recipe import Recipe


class LangchainRecipe(FactoryKeys, Recipe):
    """The options of a LangChain index; each is part of the index's identity.

    The function takes the corpus before the ``options``.

    Attributes:
        scores: Origin of the scores, as in ``FromLangchain``.
    """

    use: ClassVar[str] = "takes the corpus and the options and returns a LangChain retriever"

    scores: ScoreSource = "auto"

    def identity(self) -> dict[str, Any]:
        """Return the options that can change a hit, and the servers if they are declared."""
        excluded = {"description"} | ({"servers"} if self.servers is None else set())
        return self.model_dump(exclude=excluded)

    def encoder_digest(self) -> str | None:
        """Return the SHA-256 of the function's source file."""
        return sha256_file(self.source())

    def retriever(self, corpus: Corpus) -> Any:
        """Return the LangChain retriever: the function is imported and called with the corpus.

        Raises:
            UsageError: It cannot be imported or called, or returns something else.
        """
        from langchain_core.retrievers import BaseRetriever

        function = self.imported()
        try:
            found = function(corpus, **self.options)
        except RagbenchError:
            raise
        except Exception as error:
            why = f"it raised {type(error).__name__}: {first_line(error)}"
            raise self.unusable(why) from error
        if not isinstance(found, BaseRetriever):
            raise self.unusable(f"it returned a {type(found).__name__}, not a BaseRetriever")
        return found


class LangchainIndex(FromLangchain):
    """A LangChain retriever under a recipe."""

    Options: ClassVar[type[Recipe]] = LangchainRecipe

    @classmethod
    def build(cls, recipe: Recipe, corpus: Corpus, work: Path, device: Device) -> dict[str, Any]:
        """Call the function once, and search for one passage; return facts for the manifest."""
        opened = cls.open(work, recipe, {}, corpus, device)
        (hits,) = opened.search([corpus[0].title or corpus[0].text[:80]], 1)
        return {"langchain_class": type(opened._retriever).__name__, "n_hits_of_first": len(hits)}

    @classmethod
    def open(
        cls, folder: Path, recipe: Recipe, facts: dict[str, Any], corpus: Corpus, device: Device
    ) -> LangchainIndex:
        """Return the index of the retriever that the function returns."""
        options = LangchainRecipe.model_validate(recipe.model_dump())
        reach = options.sends_to()
        return cls(options.retriever(corpus), corpus, scores=options.scores, sends_to=reach)
