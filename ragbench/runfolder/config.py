"""The part of the resolved config in run.json that is read again after the run has started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ragbench.base.records import Mode
from ragbench.runfolder.settings import AnalysisSettings

CLOSED_BOOK = "closed-book"  # the arm without passages


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
    """

    seed: int
    models: tuple[ModelEntry, ...]
    tasks: tuple[TaskEntry, ...]
    arms: tuple[ArmEntry, ...]
    mode: Mode = "correct"
    description: str = ""
    metrics: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    analysis: AnalysisSettings = field(default_factory=AnalysisSettings)
    currency: str = "USD"
    max_cost: float | None = None
    billing: Mapping[str, Billing] = field(default_factory=dict)
    raw: Mapping[str, object] = field(default_factory=dict)

    def arm(self, name: str) -> ArmEntry:
        """Return the arm with a name."""
        return next(arm for arm in self.arms if arm.name == name)

    def budget(self, arm: str) -> int | None:
        """Return the maximum tokens of passages in the prompts of an arm; None if unknown."""
        packing = self.raw.get("packing")
        common = packing.get("budget_tokens") if isinstance(packing, Mapping) else None
        return self.arm(arm).budget_tokens or (common if isinstance(common, int) else None)

    def bases(self) -> list[tuple[str, str | None]]:
        """Return (name, name of the base or None) of each model."""
        return [(model.name, model.base) for model in self.models]
