"""Prices of models, and what each model of a run costs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ragbench.experiment.config.samples import SAMPLES, refusal
from ragbench.models.spec import ModelSpec
from ragbench.runfolder.config import Billing


class PriceSpec(BaseModel):
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
