"""Prices of models, and what each model of a run costs."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ConfigDict, Field, model_validator

from ragbench.base.errors import UsageError
from ragbench.base.yamlfile import Document, Fields, Keys
from ragbench.experiment.config.samples import SAMPLES, refusal
from ragbench.models.spec import ModelSpec
from ragbench.runfolder.config import Billing

Place = TypeVar("Place")


class PriceSpec(Fields):
    """One entry of ``prices``: prices of a million tokens, or of an hour, in ``currency``.

    Attributes:
        input: Price of a million tokens of prompts.
        cached_input: Price of a million of them that the server had cached; by default ``input``.
        output: Price of a million tokens of replies, reasoning included.
        per_hour: Price of an hour of the machine that the model runs on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float | None = Field(None, ge=0, allow_inf_nan=False)
    cached_input: float | None = Field(None, ge=0, allow_inf_nan=False)
    output: float | None = Field(None, ge=0, allow_inf_nan=False)
    per_hour: float | None = Field(None, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_whole(self) -> PriceSpec:
        given = [name for name, value in self if value is not None]
        if given != ["per_hour"] and ("per_hour" in given or not {"input", "output"} <= set(given)):
            raise refusal(
                "a price is of tokens (`input` and `output`) or of an hour (`per_hour`)",
                f"write {SAMPLES['prices.*']}",
            )
        return self


def gather_prices(document: Document) -> None:
    """Move the ``price`` of each entry of a config's ``models`` to ``prices``, under its name.

    Raises:
        UsageError: A model has a price in both places.
    """
    members, value = document.value.get("models"), document.value
    for index, member in enumerate(members if isinstance(members, list) else ()):
        if not isinstance(member, dict) or "price" not in member or "name" not in member:
            continue
        prices = value.setdefault("prices", {})
        name, own = str(member["name"]), ("models", index, "price")
        if not isinstance(prices, dict):
            return  # the check of the config reports it
        if name in prices:
            raise UsageError(
                f"the price of {name!r} is given twice",
                where=document.where(own),
                fix=f"remove `price` from the model, or {name!r} from `prices`",
            )
        prices[name] = member.pop("price")
        _move(document.lines, own, name)
        _move(document.origins, own, name)


def _move(places: dict[Keys, Place], own: Keys, name: str) -> None:
    """Let messages on a price name the place where it was written."""
    for key in [key for key in places if key[: len(own)] == own]:
        places[("prices", name, *key[len(own) :])] = places[key]


def billing_of(model: ModelSpec, price: PriceSpec | None, *, in_flight: int) -> Billing:
    """Return what a model costs; nothing without a price where prompts stay in this process.

    A server on this machine may be a gateway to a paid one, so its cost is unknown without a price.

    Args:
        model: The model.
        price: Its price in the config.
        in_flight: Number of requests that it answers at the same time.
    """
    given = {} if price is None else price.model_dump()
    return Billing(**given, own_machine=model.sends_to() == (), in_flight=in_flight)
