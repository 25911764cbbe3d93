"""The part of the resolved config in run.json that is read again after the run has started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ragbench.base.records import Mode
from ragbench.runfolder.settings import AnalysisSettings

EACH = "each"  # every model writes its own queries, passages or judgements
CROSS_ENCODER = "cross-encoder"  # judges passages, and writes nothing
CLOSED_BOOK = "closed-book"  # the arm without passages


def query_name(queries: str) -> str:
    """Return the name of the records of written queries, by their name in the config."""
    return f"queries.{queries}"


def passages_name(arm: str) -> str:
    """Return the name of the records of written passages."""
    return f"passages.{arm}"


def round_name(arm: str, number: int) -> str:
    """Return the name of the records of the queries of a round, counted from 1."""
    return f"rounds.{arm}.{number}"


def answers_name(arm: str, number: int) -> str:
    """Return the name of the records of the answers to the queries of a round."""
    return f"answers.{arm}.{number}"


def filter_name(ranking: str, depth: int, options: str) -> str:
    """Return the name of the records of judgements; arms that differ only in k share them."""
    return f"filter.{ranking}~{depth}" + "~shown" * (options == "shown")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One model of the config, without the keys of its backend.

    Attributes:
        name: Name in every table.
        backend: The registered backend.
        kind: ``general`` or ``biomedical``.
        base: The general model that a biomedical one was made from.
        model: Hub id, or the name that a server knows.
        format: Format of prompts.
    """

    name: str
    backend: str = ""
    kind: str = "general"
    base: str | None = None
    model: str | None = None
    format: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEntry:
    """One task of the config: its name in every table, and the registered task."""

    name: str
    task: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingEntry:
    """Queries, passages or judgements that a model writes; keys as in the config.

    Attributes:
        by: A model; ``each`` if every model writes for itself; ``cross-encoder``.
        write: Kind of the queries; empty for anything else.
        options: Whether the writer saw the options of the question: ``hidden`` or ``shown``.
        n: Number of texts.
        keep: Least score of a passage that a filter keeps.
        queries: Maximum number of queries per round.
        answers: Whether the queries of a round are answered for the next one.
    """

    by: str
    write: str = ""
    options: str = "hidden"
    n: int | None = None
    keep: float | None = None
    queries: int | None = None
    answers: bool | None = None

    def writer(self, model: str) -> str:
        """Return the model that writes for a model."""
        return model if self.by == EACH else self.by


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnableEntry:
    """The runnable of an arm: its name in tables, its code, and whether it saw the options."""

    name: str
    factory: str = ""
    show_options: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmEntry:
    """One arm of the config, with one k and one place; the keys are those of ``ArmSpec``."""

    name: str
    retriever: str | None = None
    fuse: tuple[str, ...] = ()
    run_file: str | None = None
    documents: str | None = None
    write: WritingEntry | None = None
    queries: str | None = None
    filter: WritingEntry | None = None
    rounds: WritingEntry | None = None
    runnable: RunnableEntry | None = None
    within: str = "corpus"
    budget_tokens: int | None = None
    corpus: str | None = None
    k: int | None = None
    depth: int | None = None
    k0: int | None = None
    control: str | None = None
    like: str | None = None
    fill: str = "none"
    place: int | None = None
    order: str = "best-first"
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Billing:
    """What a model costs, in the run's currency; unknown without a price on another machine.

    Attributes:
        input: Price of a million tokens sent.
        cached_input: Price of a million of them that the server had cached; None for ``input``.
        output: Price of a million tokens of replies.
        per_hour: Price of an hour of answering, on a rented machine.
        own_machine: Whether prompts stay in this process.
        in_flight: Most requests that are answered at the same time.
    """

    input: float | None = None
    cached_input: float | None = None
    output: float | None = None
    per_hour: float | None = None
    own_machine: bool = False
    in_flight: int = 1

    @property
    def is_free(self) -> bool:
        """Whether the model has no price because it answers on the own machine."""
        return self.own_machine and self.input is None and self.per_hour is None

    def cost(
        self,
        *,
        sent: float,
        cached: float,
        written: float,
        seconds: float,
        wall: float | None = None,
    ) -> float | None:
        """Return the cost of requests; None if it is unknown.

        Args:
            sent: Tokens of all requests, cached ones included.
            cached: Those of them that the server had cached.
            written: Tokens of all replies.
            seconds: Sum of the seconds of all requests.
            wall: Seconds in which at least one of them was under way; by default estimated as if
                ``in_flight`` of them always were.
        """
        if self.per_hour is not None:
            return self.per_hour * (seconds / self.in_flight if wall is None else wall) / 3600
        if self.input is not None and self.output is not None:
            again = self.input if self.cached_input is None else self.cached_input
            return ((sent - cached) * self.input + cached * again + written * self.output) / 1e6
        return 0.0 if self.own_machine else None


def money_text(amount: float, digits: int = 2) -> str:
    """Return an amount with decimals; one that they cannot show is under their last unit.

    >>> money_text(1234.5), money_text(0.00123), money_text(0.00123, 4), money_text(0.0)
    ('1,234.50', 'under 0.01', '0.0012', '0.00')
    """
    least = 10**-digits
    return f"under {least:.{digits}f}" if 0 < amount < least else f"{amount:,.{digits}f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """The resolved config of a run; ``raw`` is the whole object in run.json.

    Attributes:
        currency: Label of every price and cost.
        max_cost: Cost at which the run stops asking; None without a limit.
        billing: What each model costs; empty in runs of earlier versions and in imported ones.
        seed: Seed for every random draw.
        mode: How questions are asked and scored.
        metrics: Options by the name of a metric.
        queries: Texts that models wrote to search with, by the names that arms use.
    """

    seed: int
    models: tuple[ModelEntry, ...]
    tasks: tuple[TaskEntry, ...]
    arms: tuple[ArmEntry, ...]
    mode: Mode = "correct"
    description: str = ""
    metrics: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    queries: Mapping[str, WritingEntry] = field(default_factory=dict)
    analysis: AnalysisSettings = field(default_factory=AnalysisSettings)
    currency: str = "USD"
    max_cost: float | None = None
    billing: Mapping[str, Billing] = field(default_factory=dict)
    raw: Mapping[str, object] = field(default_factory=dict)

    def arm(self, name: str) -> ArmEntry:
        """Return the arm with a name."""
        return next(arm for arm in self.arms if arm.name == name)

    def imitated(self, name: str) -> ArmEntry:
        """Return the arm that a control imitates in the end, or the arm itself."""
        arm = self.arm(name)
        for _ in self.arms:  # a control may imitate one that imitates another
            arm = arm if arm.like is None else self.arm(arm.like)
        return arm

    def writings(self, arm: str) -> list[WritingEntry]:
        """Return what models write for an arm, in the order of the calls."""
        spec = self.imitated(arm)
        queries = self.queries.get(spec.queries or "")
        every = (queries, spec.write, spec.rounds, spec.filter)
        return [one for one in every if one is not None]

    def has_own(self, arm: str) -> bool:
        """Say whether each model gets passages of its own in an arm."""
        return any(one.by == EACH for one in self.writings(arm))

    def ranking(self, arm: str, part: str, model: str) -> str:
        """Return the name of a ranking in ``retrieval/`` that an arm takes from an index.

        Args:
            arm: The arm.
            part: The index, with its suffix.
            model: The model that gets the passages.
        """
        spec = self.imitated(arm)
        name, one = spec.queries or "", self.queries.get(spec.queries or "")
        if spec.rounds is not None:
            name, one = spec.name, spec.rounds
        if one is None:
            return part
        return f"{part}~{name}@{model}" if one.by == EACH else f"{part}~{name}"

    def written_for(self, arm: str, model: str) -> list[tuple[str, str]]:
        """Return (writer, name of its records) of all that is written for an arm and a model."""
        spec = self.imitated(arm)
        found = []
        if spec.queries is not None and spec.queries in self.queries:
            found.append((self.queries[spec.queries].writer(model), query_name(spec.queries)))
        if spec.write is not None:
            found.append((spec.write.writer(model), passages_name(spec.name)))
        if spec.rounds is not None:
            writer, n = spec.rounds.writer(model), spec.rounds.n or 0
            found += [(writer, round_name(spec.name, number)) for number in range(1, n + 1)]
            if spec.rounds.answers:
                found += [(writer, answers_name(spec.name, number)) for number in range(1, n)]
        if spec.filter is not None and spec.filter.by != CROSS_ENCODER:
            part = (spec.retriever or "") + "~documents" * (spec.within == "documents")
            ranking = self.ranking(arm, part, model)
            name = filter_name(ranking, spec.depth or 0, spec.filter.options)
            found.append((spec.filter.writer(model), name))
        return found

    def budget(self, arm: str) -> int | None:
        """Return the maximum tokens of passages in the prompts of an arm; None if unknown."""
        packing = self.raw.get("packing")
        common = packing.get("budget_tokens") if isinstance(packing, Mapping) else None
        return self.arm(arm).budget_tokens or (common if isinstance(common, int) else None)

    def bases(self) -> list[tuple[str, str | None]]:
        """Return (name, name of the base or None) of each model."""
        return [(model.name, model.base) for model in self.models]
