"""What the answers of a run have cost, and whether more may be asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from ragbench.runfolder.config import Billing
from ragbench.runfolder.records import Covered, Record

UNKNOWN = Billing()
UNCOUNTED = "tokens not reported"


def limit_text(limit: float) -> str:
    """Return a limit of cost with the digits that the config gives it.

    >>> limit_text(0.005), limit_text(12345.0), limit_text(2.5)
    ('0.005', '12,345', '2.5')
    """
    whole, point, rest = f"{Decimal(repr(limit)):,f}".partition(".")
    return whole + (point + rest if rest.strip("0") else "")


@dataclass(slots=True)
class Spending:
    """Cost of the answers so far; those of models without a price are not in it.

    Attributes:
        billing: What each model costs.
        limit: Cost at which no further question is asked; None without a limit.
        currency: Label of every cost.
        by_model: Cost by model; None where it is unknown.
        left: Number of questions that were not asked because of the limit.
    """

    billing: Mapping[str, Billing] = field(default_factory=dict)
    limit: float | None = None
    currency: str = "USD"
    by_model: dict[str, float | None] = field(default_factory=dict)
    left: int = 0
    _busy: dict[str, Covered] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Add the cost of an answer; an error and a reused answer have cost nothing."""
        if record.error is not None or record.reused is not None:
            return
        cost = self.billing.get(record.model, UNKNOWN).cost(
            sent=math.nan if record.is_uncounted else record.sent_tokens,
            cached=record.cached_tokens or 0,
            written=record.reply_tokens or 0,
            seconds=record.elapsed_s or 0.0,
            wall=self._wall(record),
        )
        before = self.by_model.get(record.model, 0.0)
        if cost is None or before is None or math.isnan(cost):
            self.by_model[record.model] = None
        else:
            self.by_model[record.model] = before + cost

    def _wall(self, record: Record) -> float | None:
        """Return the seconds of a record in which its model answered nothing that is added yet."""
        if record.ended_at is None:
            return None
        busy = self._busy.setdefault(record.model, Covered())
        return busy.add(record.ended_at - (record.elapsed_s or 0.0), record.ended_at)

    @property
    def total(self) -> float:
        """Cost of all answers of models with a price."""
        return sum(cost for cost in self.by_model.values() if cost is not None)

    def may_go_on(self) -> bool:
        """Say whether another question may be asked."""
        return self.limit is None or self.total < self.limit

    def sentence(self) -> str:
        """Return what the answers cost, in words; empty if nothing has cost anything."""
        unknown: dict[str, list[str]] = {}
        for name in (name for name, cost in self.by_model.items() if cost is None):
            has_price = self.billing.get(name, UNKNOWN).input is not None
            unknown.setdefault(UNCOUNTED if has_price else "no price", []).append(name)
        if not self.total:
            names = ", ".join(unknown.get(UNCOUNTED, ()))
            return f"the cost of the answers of {names} is unknown ({UNCOUNTED})" if names else ""
        amount = Decimal(f"{self.total:.4g}" if self.total < 1000 else f"{self.total:.0f}")
        text = f"the answers cost {amount:,f} {self.currency}"
        left_out = (f"{', '.join(names)} ({why})" for why, names in unknown.items())
        return text + (f", without {' and '.join(left_out)}" if unknown else "")
