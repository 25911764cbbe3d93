"""The members of a config: index, task, arm, packing, analysis."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ragbench.base import home
from ragbench.base.records import Scoring
from ragbench.base.yamlfile import Fields
from ragbench.corpora.union import joined_name
from ragbench.experiment.config.runnable import RunnableSpec
from ragbench.experiment.config.samples import named_entry, refusal
from ragbench.experiment.config.written import FilterSpec, RoundsSpec, WriteSpec
from ragbench.runfolder.settings import PRIMARY_EFFECTS, AnalysisSettings, PrimaryEffect

TASK_CORPUS = "task"
CLOSED_BOOK = "closed-book"
DOCUMENTS = "documents"
WRITTEN = "written"
MAX_K = 1000
LEAST_BUDGET = 2048  # tokens of passages, where the config names no budget
DEFAULTS = AnalysisSettings()
REARRANGE = ("shuffled", "moved", "misled")  # controls that keep another arm's passages
Control = Literal["random", "near", "oracle", "oracle-removed", "shuffled", "moved", "misled"]


class Part(Fields):
    """Base of every part of a config; an undeclared key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def corpus_name(value: Any) -> Any:
    """Return the name of a corpus, or of the union of a list of corpora."""
    if not isinstance(value, list | tuple):
        return value
    if TASK_CORPUS in value:
        raise ValueError("`task` differs between tasks: a list names its corpora")
    if not all(isinstance(name, str) for name in value):
        raise ValueError("a list of corpora contains names only")
    return joined_name(value)


class IndexSpec(Part):
    """One entry of ``indexes``: a recipe over a corpus.

    Attributes:
        recipe: Name of an index recipe.
        corpus: Name of a corpus, or a list for a union; ``task`` is each task's own corpus.
    """

    recipe: str
    corpus: str = TASK_CORPUS

    @model_validator(mode="before")
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise refusal(
                "an index is a recipe over a corpus",
                f"write `{{recipe: {value}, corpus: NAME}}`; the default is each task's own corpus",
            )
        return value

    _corpus = field_validator("corpus", mode="before")(corpus_name)


class TaskSpec(Part):
    """One entry of ``tasks``.

    Attributes:
        name: The task's name in every table.
        task: The registered task if ``name`` is only a label.
        limit: Number of questions; all by default.
        scoring: ``options``, ``letters`` or ``generate``; by default that of the config, then of
            the task.
        reply_limit: Maximum tokens of a generated reply; by default that of the config.
        metrics: Metrics in addition to the task's own.
        cite: Whether generated replies are asked to name their passages by number.
        abstain: Whether every question has one more option, that the passages do not say.
        options: The task's own options.
    """

    name: str
    task: str = ""
    limit: int | None = Field(None, gt=0)
    scoring: Scoring | None = None
    reply_limit: int | None = Field(None, gt=0)
    metrics: tuple[str, ...] = ()
    cite: bool = False
    abstain: bool = False
    options: dict[str, Any] = Field(default_factory=dict)

    _name = field_validator("name")(home.legal_name)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        value = named_entry(value, "task", cls.model_fields)
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _kind(self) -> TaskSpec:
        return self if self.task else self.model_copy(update={"task": self.name})


class ArmSpec(Part):
    """One entry of ``arms``.

    Attributes:
        name: The arm's name in every table; by default derived from the other keys.
        retriever: A key of ``indexes``.
        fuse: Two or more keys of ``indexes`` over one corpus, fused by reciprocal ranks.
        run_file: A TREC run made elsewhere, over ``corpus``.
        documents: ``whole`` delivers the question's own documents, as the task draws them.
        write: Passages that a model writes from memory, without a corpus.
        queries: A key of ``queries``: search with these texts instead of the question.
        filter: Which of the first ``depth`` passages of the ``retriever`` may be delivered.
        rounds: Search in rounds with follow-up queries that a model writes.
        runnable: A LangChain runnable or LangGraph app that returns passages.
        corpus: Corpus of ``run_file``, ``documents`` or ``runnable``, or of a ``random`` control of
            ``write``; a list is a union; ``task`` is each task's own corpus. A runnable without it
            has no known passages.
        within: ``documents`` ranks only the passages of the question's own documents.
        k: Number of passages requested; a list makes one arm per number.
        depth: Hits of each retriever that ``fuse`` combines, or that ``filter`` judges.
        k0: Constant of reciprocal rank fusion.
        control: What the arm does with the passages of ``like``.
        like: The arm that a control imitates.
        fill: Whether ``oracle`` continues with retrieved passages, up to the k of ``like``.
        place: Where ``moved`` puts the gold passage; a list makes one arm per place.
        budget_tokens: Maximum tokens of passages; by default that of ``packing``.
        order: Whether the best passage comes first or last in the prompt.
        tasks: Tasks that the arm applies to; empty for all.
    """

    name: str = ""
    retriever: str | None = None
    fuse: tuple[str, ...] = ()
    run_file: str | None = None
    documents: Literal["whole"] | None = None
    write: WriteSpec | None = None
    queries: str | None = None
    filter: FilterSpec | None = None
    rounds: RoundsSpec | None = None
    runnable: RunnableSpec | None = None
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
        value = named_entry(value, "arm", cls.model_fields)
        if isinstance(value, str) and value != CLOSED_BOOK:
            raise refusal(
                f"there is no arm {value!r} that a name alone describes",
                f"write `closed-book`, or `{{name: {value}, retriever: NAME, k: 5}}` with a NAME "
                "of `indexes`",
            )
        return {"name": value} if isinstance(value, str) else value

    _corpus = field_validator("corpus", mode="before")(corpus_name)

    @field_validator("k", "place")
    @classmethod
    def _numbers(
        cls, value: int | tuple[int, ...] | None, info: ValidationInfo
    ) -> int | tuple[int, ...] | None:
        given = value if isinstance(value, tuple) else () if value is None else (value,)
        legal = all(0 < number <= MAX_K for number in given) and len(set(given)) == len(given)
        if value == () or not legal:
            raise ValueError(
                f"{info.field_name} is a number from 1 to {MAX_K}, or a list of different ones"
            )
        return value

    @model_validator(mode="after")
    def _shape(self) -> ArmSpec:
        if self.name:
            home.legal_name(self.name)
        if self.name == CLOSED_BOOK and self.kind != CLOSED_BOOK:
            raise ValueError("the name closed-book is reserved for the arm without passages")
        given = [self.retriever, self.run_file, self.control, self.fuse or None, self.documents]
        sources = sum(value is not None for value in [*given, self.write, self.runnable])
        if sources > 1:
            raise ValueError(
                "give one of `retriever`, `fuse`, `run_file`, `documents`, `write`, `runnable` and "
                "`control`"
            )
        if sources == 0 and self.name != CLOSED_BOOK:
            raise ValueError(
                "an arm is `closed-book` or has a `retriever`, `fuse`, `run_file`, `documents`, "
                "`write`, `runnable` or `control`"
            )
        if (self.control is not None) != (self.like is not None):
            raise ValueError("a control needs `like: ARM`, and no other arm has it")
        if (self.kind == "retriever") != (self.k is not None):
            raise ValueError(
                "an arm with `retriever`, `fuse`, `run_file` or `runnable` needs `k`, and no other "
                "arm has it"
            )
        if (self.control == "moved") != (self.place is not None):
            raise ValueError("`control: moved` needs `place`, and no other arm has it")
        self._check_keys()
        return self

    def _check_keys(self) -> None:
        """Refuse keys that the arm's kind does not use."""
        uses = {
            "corpus": any((self.run_file, self.documents, self.write, self.runnable)),
            "within": bool(self.retriever or self.fuse),
            "queries": bool(self.retriever or self.fuse),
            "filter": self.retriever is not None,
            "rounds": self.retriever is not None,
            "budget_tokens": self.kind != CLOSED_BOOK and self.control not in REARRANGE,
            "depth": bool(self.fuse or self.filter),
            "k0": bool(self.fuse),
            "fill": self.control == "oracle",
            "order": self.kind not in (CLOSED_BOOK, DOCUMENTS, "near", *REARRANGE),
        }
        for key, used in uses.items():
            if key in self.model_fields_set and not used:
                kind = "run_file" if self.run_file is not None else self.kind
                raise ValueError(f"`{key}` has no effect in an arm of kind {kind}")
        if self.fuse and (len(self.fuse) < 2 or len(set(self.fuse)) < len(self.fuse)):
            raise ValueError("`fuse` takes two or more different retrievers")
        if self.fuse and max(self.sizes()) > self.depth:
            raise ValueError("k is larger than the `depth` of the fusion")
        if self.rounds is not None and self.queries is not None:
            raise ValueError("an arm has `queries` or `rounds`: a round writes its own queries")
        if self.filter is not None and "depth" not in self.model_fields_set:
            raise ValueError("an arm with `filter` needs `depth`, the number of passages it judges")
        if self.filter is not None and max(self.sizes()) > self.depth:
            raise ValueError("k is larger than the `depth` that the filter judges")

    def in_formats(self, names: Collection[str]) -> ArmSpec:
        """Return the arm with the writers that ``prompt_format: both`` names anew."""
        own = {"write": self.write, "filter": self.filter, "rounds": self.rounds}
        new = {key: spec.in_formats(names) for key, spec in own.items() if spec is not None}
        return self.model_copy(update=new) if new else self

    @property
    def kind(self) -> str:
        """Name of the registered arm that implements this entry."""
        if self.control is not None:
            return self.control
        if self.documents is not None:
            return DOCUMENTS
        if self.write is not None:
            return WRITTEN
        ranked = self.retriever or self.fuse or self.run_file or self.runnable
        return "retriever" if ranked else CLOSED_BOOK

    def sizes(self) -> tuple[int, ...]:
        """Return every k of the entry."""
        if self.k is None:
            return ()
        return self.k if isinstance(self.k, tuple) else (self.k,)

    @property
    def asked(self) -> int:
        """Number of passages requested; 0 for closed-book and for controls."""
        return max(self.sizes(), default=0)

    def each(self) -> list[ArmSpec]:
        """Return the arms of the entry, each with one k and a name."""
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
        if self.write is not None:
            return [self.model_copy(update={"name": stem or f"{WRITTEN}-{self.write.n}"})]
        if self.k is None:
            return [self]
        last = "run-file" if self.runnable is None else "runnable"
        base = stem or self.retriever or "-".join(self.fuse) or last
        if not stem:
            ways = ["rounds" if self.rounds else "", "filtered" if self.filter else ""]
            base = "-".join(filter(None, [base, self.queries, *ways]))
        shared = {} if self.runnable is None else {"runnable": self.runnable.named(base)}
        return [
            self.model_copy(
                update={"k": k, "name": f"{base}-{k}" if several or not stem else stem} | shared
            )
            for k in self.sizes()
        ]


class PackingSpec(Part):
    """How passages get into prompts.

    Attributes:
        budget_tokens: Maximum tokens of passages in a prompt; by default chosen from the arms' k,
            the lengths of passages and the smallest context.
        tokenizer: Model whose tokenizer counts them; by default the first general model.
    """

    budget_tokens: int | None = Field(None, gt=0)
    tokenizer: str | None = None


class PrimarySpec(Part):
    """What a run is designed to test; all other effects are exploratory.

    Attributes:
        arm: Retrieval arm; by default each task's first one that a control imitates.
        effects: Names of effects as in tables.
        tasks: Tasks, and ``(macro)`` for their average; empty for all tasks.
    """

    arm: str | None = None
    effects: tuple[PrimaryEffect, ...] = PRIMARY_EFFECTS
    tasks: tuple[str, ...] = ()

    @field_validator("effects", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, list | tuple) and "headroom" in value:
            raise PydanticCustomError(
                "headroom",
                "headroom is two effects, by whether the arm delivered the gold passage",
                {
                    "fix": "name one or both: `headroom with gold missing`, "
                    "`headroom with gold delivered`"
                },
            )
        return value


class StopSpec(Part):
    """When a run stops asking; its questions are in random order.

    Attributes:
        effects: Names of effects as in tables; by default those of ``primary``.
        margin: Largest difference that does not matter; by default ``equivalence_margin``.
        min_questions: Number of questions per task before which nothing is decided.
    """

    effects: tuple[PrimaryEffect, ...] = ()
    margin: float | None = Field(None, gt=0, lt=1)
    min_questions: int = Field(50, ge=2)


class AnalysisSpec(Part):
    """How results are analysed.

    Attributes:
        alpha: Level of every test; intervals cover 1 - alpha.
        resamples: Largest number of random signs that a test draws.
        equivalence_margin: Largest difference that does not matter, from 0 to 1.
        primary: What the run is designed to test.
        stop: When it stops asking; without it, every question is asked.
    """

    alpha: float = Field(DEFAULTS.alpha, gt=0, lt=1)
    resamples: int = Field(DEFAULTS.resamples, ge=100)
    equivalence_margin: float = Field(DEFAULTS.equivalence_margin, gt=0, lt=1)
    primary: PrimarySpec = PrimarySpec()
    stop: StopSpec | None = None
