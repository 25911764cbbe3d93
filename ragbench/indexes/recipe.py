"""What every recipe of an index declares: its identity, its parts, its size, its models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ConfigDict
from pydantic_core import PydanticSerializationError

from ragbench.base.devices import Device
from ragbench.base.endpoint import Reach
from ragbench.base.yamlfile import Fields
from ragbench.corpora.corpus import Corpus

BASE_MEMORY = 600e6  # bytes of the process itself: Python, torch, FAISS
HubModels = Mapping[str, str | None]  # revisions by id


class Recipe(Fields):
    """Base of every index recipe; a key that is not declared is an error.

    Attributes:
        kind: Registered kind of index.
        description: One line for ``ragbench list indexes``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    description: str = ""

    def identity(self) -> dict[str, Any]:
        """Return the options that can change a hit; part of the index's digest."""
        try:
            return self.model_dump(exclude={"description"})
        except PydanticSerializationError as error:  # around what an encoder's part raises
            raise error.__cause__ or error from None

    def resolved(self, load: Callable[[str], Recipe]) -> Recipe:
        """Return the recipe with the recipes that it names, loaded, in their places."""
        return self

    def inner(self) -> tuple[Part, ...]:
        """Return the recipes inside a resolved one; each is built as an index of its own."""
        return ()

    def encoder_digest(self) -> str | None:
        """Return the digest of what else decides, such as the encoder's weights; None if none."""
        return None

    def hub_models(self) -> HubModels:
        """Return the models that come from the hub, with their revisions."""
        return {
            name: rev for part in self.inner() for name, rev in part.recipe.hub_models().items()
        }

    def sends_to(self) -> Reach:
        """Return the servers that passages or queries are sent to; None if that is unknown.

        No endpoint means that no data leaves this process. What the inner recipes send does not
        count. Unknown means that restricted data is refused.
        """
        return None

    def max_hits(self) -> int | None:
        """Return the most hits that a query can ask for; None without a limit."""
        return None

    def require(self) -> None:
        """Refuse a machine without a needed package or weights; hub models may come later.

        Raises:
            PrerequisiteError: A package or the weights are missing.
        """
        for part in self.inner():
            part.recipe.require()
        self.encoder_digest()

    def estimate(
        self, name: str, corpus: Corpus, *, measure: bool, device: Device
    ) -> Footprint | None:
        """Return what the index takes without its parts; None if the kind cannot say.

        ``measure`` asks for hours as well, which takes some seconds.
        """
        return None

    def alternatives(self, name: str, corpus: Corpus, device: Device) -> list[Footprint]:
        """Return what comparable recipes would take, without hours."""
        return []


@dataclass(frozen=True, slots=True)
class Part:
    """A recipe inside another one.

    Attributes:
        role: What it is there, such as ``part 0`` or ``first``.
        name: The name of a recipe, or one that follows from the options of an inline recipe.
        recipe: The recipe itself.
    """

    role: str
    name: str
    recipe: Recipe

    def index(self, corpus: Corpus) -> str:
        """Return the name of the part's index."""
        return index_name(self.name, corpus.name)


def index_name(recipe: str, corpus: str) -> str:
    """Return the default name of the index of a recipe over a corpus."""
    return f"{recipe}-{corpus}"


@dataclass(frozen=True)
class Footprint:
    """What one index takes.

    Attributes:
        name: The recipe.
        what: The kind, or the factory with its cells counted.
        disk: Bytes of the built index.
        embeddings: Bytes of the vectors that are kept beside it, if they are not there yet.
        build_memory: Bytes of memory while it is built, without the pages of files that the
            system may drop.
        search_memory: Bytes in memory after all of it has been searched.
        gpu_memory: Bytes on a GPU; None where FAISS has no GPU form.
        hours: Hours of building on this machine; None if not measured.
        scratch: Bytes on disk that only the build needs.
    """

    name: str
    what: str
    disk: float
    embeddings: float = 0.0
    build_memory: float = BASE_MEMORY
    search_memory: float = BASE_MEMORY
    gpu_memory: float | None = None
    hours: float | None = None
    scratch: float = 0.0

    @property
    def build_disk(self) -> float:
        """Bytes on disk at the end of the build."""
        return self.embeddings + self.disk + self.scratch

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)
