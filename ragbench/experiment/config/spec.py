"""The members of a config: index, task, arm, packing, analysis."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ragbench.base import home
from ragbench.base.records import Scoring
from ragbench.corpora.union import joined_name
from ragbench.runfolder.settings import PRIMARY_EFFECTS, AnalysisSettings, PrimaryEffect

TASK_CORPUS = "task"
CLOSED_BOOK = "closed-book"
DOCUMENTS = "documents"
MAX_K = 1000
DEFAULTS = AnalysisSettings()
REARRANGE = ("shuffled", "moved")  # controls that give another arm's passages in other places
Control = Literal["random", "oracle", "oracle-removed", "shuffled", "moved"]


class Part(BaseModel):
    """Base of every member; a key that is not declared is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def corpus_name(value: Any) -> Any:
    """Return the name of a corpus; that of a list of corpora is their union's."""
    if not isinstance(value, list | tuple):
        return value
    if TASK_CORPUS in value:
        raise ValueError("`task` is another corpus for each task: name the corpora of a list")
    if not all(isinstance(name, str) for name in value):
        raise ValueError("a list of corpora holds their names")
    return joined_name(value)


class IndexSpec(Part):
    """One entry of ``indexes``: a recipe over a corpus.

    Attributes:
        recipe: The recipe.
        corpus: Its name, or a list whose union is searched; ``task`` is each task's own.
    """

    recipe: str
    corpus: str = TASK_CORPUS

    _corpus = field_validator("corpus", mode="before")(corpus_name)


class TaskSpec(Part):
    """One entry of ``tasks``.

    Attributes:
        name: The task's name in every table.
        task: The registered task, where ``name`` is a label.
        limit: How many questions; all if None.
        scoring: ``options``, ``letters`` or ``generate``; else the config's, else the task's own.
        reply_limit: The most tokens of a generated reply; else the config's.
        metrics: Metrics beside the task's own.
        options: The task's own options.
    """

    name: str
    task: str = ""
    limit: int | None = Field(None, gt=0)
    scoring: Scoring | None = None
    reply_limit: int | None = Field(None, gt=0)
    metrics: tuple[str, ...] = ()
    options: dict[str, Any] = Field(default_factory=dict)

    _name = field_validator("name")(home.legal_name)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _kind(self) -> TaskSpec:
        return self if self.task else self.model_copy(update={"task": self.name})


class ArmSpec(Part):
    """One entry of ``arms``.

    Attributes:
        name: The arm's name in every table; by default made of the other keys.
        retriever: A key of ``indexes``.
        fuse: Two or more keys of ``indexes`` over one corpus, fused by reciprocal ranks.
        run_file: A TREC run made elsewhere, over ``corpus``.
        documents: ``whole`` gives the question's own documents, as the task draws them.
        corpus: Of a ``run_file`` or of ``documents``; a list is a union; ``task`` is each task's
            own.
        within: ``documents`` ranks the passages of the question's own documents alone.
        k: How many passages are asked for; a list makes an arm for each.
        depth: How many hits of each retriever ``fuse`` takes.
        k0: The constant of reciprocal rank fusion.
        control: What the arm does to the passages of ``like``.
        like: The arm that a control imitates.
        fill: Whether ``oracle`` goes on with retrieved passages up to what ``like`` asks for.
        place: Where ``moved`` puts the gold passage; a list makes an arm for each place.
        budget_tokens: The most tokens of passages; else that of ``packing``.
        order: Whether the best passage stands first or last in the prompt.
        tasks: The tasks of the arm; all if empty.
    """

    name: str = ""
    retriever: str | None = None
    fuse: tuple[str, ...] = ()
    run_file: str | None = None
    documents: Literal["whole"] | None = None
    within: Literal["corpus", "documents"] = "corpus"
    budget_tokens: int | None = Field(None, gt=0)
    corpus: str | None = None
    k: int | tuple[int, ...] | None = None
    depth: int = Field(100, gt=0, le=MAX_K)
    k0: int = Field(60, ge=0)
    control: Control | None = None
    like: str | None = None
    fill: Literal["none", "retrieved"] = "none"
    place: int | tuple[int, ...] | None = None
    order: Literal["best-first", "best-last"] = "best-first"
    tasks: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    _corpus = field_validator("corpus", mode="before")(corpus_name)

    @field_validator("k")
    @classmethod
    def _sizes(cls, k: int | tuple[int, ...] | None) -> int | tuple[int, ...] | None:
        sizes = k if isinstance(k, tuple) else () if k is None else (k,)
        if k == () or not all(0 < size <= MAX_K for size in sizes) or len(set(sizes)) < len(sizes):
            raise ValueError(f"k is a number from 1 to {MAX_K}, or a list of different ones")
        return k

    @field_validator("place")
    @classmethod
    def _places(cls, place: int | tuple[int, ...] | None) -> int | tuple[int, ...] | None:
        given = place if isinstance(place, tuple) else () if place is None else (place,)
        whole = all(0 < one <= MAX_K for one in given) and len(set(given)) == len(given)
        if place == () or not whole:
            raise ValueError(f"place is a number from 1 to {MAX_K}, or a list of different ones")
        return place

    @model_validator(mode="after")
    def _shape(self) -> ArmSpec:
        if self.name:
            home.legal_name(self.name)
        if self.name == CLOSED_BOOK and self.kind != CLOSED_BOOK:
            raise ValueError("the name closed-book is for the arm without passages")
        given = [self.retriever, self.run_file, self.control, self.fuse or None, self.documents]
        sources = sum(value is not None for value in given)
        if sources > 1:
            raise ValueError(
                "give one of `retriever`, `fuse`, `run_file`, `documents` and `control`"
            )
        if sources == 0 and self.name != CLOSED_BOOK:
            raise ValueError(
                "an arm is `closed-book`, or has a `retriever`, `fuse`, `run_file`, `documents` "
                "or `control`"
            )
        if (self.control is not None) != (self.like is not None):
            raise ValueError("a control takes `like: ARM`, and nothing else does")
        if (self.kind == "retriever") != (self.k is not None):
            raise ValueError("an arm with a retriever, `fuse` or `run_file` takes `k`")
        if (self.control == "moved") != (self.place is not None):
            raise ValueError("`control: moved` takes `place`, and nothing else does")
        self._check_keys()
        return self

    def _check_keys(self) -> None:
        """Refuse keys that the arm's kind does not use."""
        uses = {
            "corpus": self.run_file is not None or self.documents is not None,
            "within": bool(self.retriever or self.fuse),
            "budget_tokens": self.kind != CLOSED_BOOK and self.control not in REARRANGE,
            "depth": bool(self.fuse),
            "k0": bool(self.fuse),
            "fill": self.control == "oracle",
            "order": self.kind not in (CLOSED_BOOK, DOCUMENTS, *REARRANGE),
        }
        for key, used in uses.items():
            if key in self.model_fields_set and not used:
                raise ValueError(f"`{key}` means nothing in an arm of the kind {self.kind}")
        if self.fuse and (len(self.fuse) < 2 or len(set(self.fuse)) < len(self.fuse)):
            raise ValueError("`fuse` takes two or more different retrievers")
        if self.fuse and max(self.sizes()) > self.depth:
            raise ValueError("k is larger than the `depth` of the fusion")

    @property
    def kind(self) -> str:
        """The registered arm that carries this entry out."""
        if self.control is not None:
            return self.control
        if self.documents is not None:
            return DOCUMENTS
        return "retriever" if self.retriever or self.fuse or self.run_file else CLOSED_BOOK

    def sizes(self) -> tuple[int, ...]:
        """Return every k of the entry."""
        if self.k is None:
            return ()
        return self.k if isinstance(self.k, tuple) else (self.k,)

    @property
    def asked(self) -> int:
        """How many passages are asked for; 0 for closed-book and for controls."""
        return max(self.sizes(), default=0)

    def each(self) -> list[ArmSpec]:
        """Return the arms that the entry stands for, each with one k and a name."""
        several = isinstance(self.k, tuple)
        stem = self.name
        if isinstance(self.place, tuple):
            base = stem or f"{self.control}-{self.like}"
            return [
                self.model_copy(update={"place": place, "name": f"{base}-at-{place}"})
                for place in self.place
            ]
        if self.control is not None:
            at = "" if self.place is None else f"-at-{self.place}"
            return [self.model_copy(update={"name": stem or f"{self.control}-{self.like}{at}"})]
        if self.documents is not None:
            return [self.model_copy(update={"name": stem or DOCUMENTS})]
        if self.k is None:
            return [self]
        base = stem or self.retriever or "-".join(self.fuse) or "run-file"
        return [
            self.model_copy(update={"k": k, "name": f"{base}-{k}" if several or not stem else stem})
            for k in self.sizes()
        ]


class PackingSpec(Part):
    """How passages get into prompts.

    Attributes:
        budget_tokens: The most tokens of passages in any prompt.
        tokenizer: The model whose tokenizer counts them; the first general model by default.
    """

    budget_tokens: int = Field(2048, gt=0)
    tokenizer: str | None = None


class PrimarySpec(Part):
    """What a run is made to test, as ``PrimarySettings`` describes it."""

    arm: str | None = None
    effects: tuple[PrimaryEffect, ...] = PRIMARY_EFFECTS
    tasks: tuple[str, ...] = ()


class AnalysisSpec(Part):
    """How results are analysed, as ``AnalysisSettings`` describes it."""

    alpha: float = Field(DEFAULTS.alpha, gt=0, lt=1)
    resamples: int = Field(DEFAULTS.resamples, ge=100)
    equivalence_margin: float = Field(DEFAULTS.equivalence_margin, gt=0, lt=1)
    primary: PrimarySpec = PrimarySpec()
