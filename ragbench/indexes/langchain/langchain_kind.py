"""An index that a function of the user's makes: it returns any LangChain retriever.

Nothing is built but a note: the function is called with the corpus whenever the index is opened.
That imports and runs code, at opening too, so the recipe must say ``trust_code: true``.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from ragbench.base import home
from ragbench.base.devices import Device
from ragbench.base.endpoint import Reach, parse
from ragbench.base.errors import RagbenchError, UsageError, first_line
from ragbench.base.files import sha256_file
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.langchain.adapters import FromLangchain, ScoreSource
from ragbench.indexes.recipe import Recipe


class LangchainRecipe(Recipe):
    """The options of a LangChain index; each is part of the index's identity.

    Attributes:
        factory: ``module:function``, on Python's path or in the home folder.
        options: Arguments of the function, after the corpus.
        scores: Origin of the scores, as in ``FromLangchain``.
        trust_code: Whether the function may be imported and run.
        servers: Addresses that the retriever sends passages or queries to; none if the list is
            empty. Without it, restricted data is refused.
    """

    factory: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    options: dict[str, Any] = Field(default_factory=dict)
    scores: ScoreSource = "auto"
    trust_code: bool = False
    servers: tuple[str, ...] | None = None

    @field_validator("servers")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if value is None else tuple(parse(address).url for address in value)

    @model_validator(mode="after")
    def _check_trust(self) -> LangchainRecipe:
        if not self.trust_code:
            raise ValueError(
                f"this recipe imports and runs the code of {self.factory!r}; read that code, "
                "and say so with `trust_code: true` if it may run"
            )
        return self

    def identity(self) -> dict[str, Any]:
        """Return the options that can change a hit, and the servers if they are declared."""
        excluded = {"description"} | ({"servers"} if self.servers is None else set())
        return self.model_dump(exclude=excluded)

    def sends_to(self) -> Reach:
        """Return the declared servers; None if the recipe declares none."""
        return None if self.servers is None else tuple(map(parse, self.servers))

    def encoder_digest(self) -> str | None:
        """Return the SHA-256 of the function's source file."""
        return sha256_file(self.source())

    def source(self) -> Path:
        """Return the file of the function's module, without importing that module.

        Raises:
            UsageError: There is no such module, or it has no file.
        """
        module = self.factory.partition(":")[0]
        _see_home()
        try:
            spec = find_spec(module)
        except (ImportError, ValueError) as error:
            raise self._unusable(first_line(error)) from None
        if spec is None or not spec.origin or not Path(spec.origin).is_file():
            raise self._unusable(f"there is no file of a module {module!r}")
        return Path(spec.origin)

    def retriever(self, corpus: Corpus) -> Any:
        """Return the LangChain retriever: the function is imported and called with the corpus.

        Raises:
            UsageError: It cannot be imported or called, or returns something else.
        """
        from langchain_core.retrievers import BaseRetriever

        module, _, name = self.factory.partition(":")
        _see_home()
        try:
            function = getattr(import_module(module), name)
        except (ImportError, AttributeError, SyntaxError) as error:
            raise self._unusable(first_line(error)) from None
        try:
            found = function(corpus, **self.options)
        except RagbenchError:
            raise
        except Exception as error:
            why = f"it raised {type(error).__name__}: {first_line(error)}"
            raise self._unusable(why) from error
        if not isinstance(found, BaseRetriever):
            raise self._unusable(f"it returned a {type(found).__name__}, not a BaseRetriever")
        return found

    def _unusable(self, why: str) -> UsageError:
        return UsageError(
            f"the factory {self.factory!r} cannot be used: {why}",
            where="recipe: factory",
            fix="write module:function, of a module on Python's path or in the home folder, which "
            "takes the corpus and the options and returns a LangChain retriever",
        )


def _see_home() -> None:
    """Let modules in the home folder be found, after all others."""
    if str(home.home()) not in sys.path:
        sys.path.append(str(home.home()))


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
