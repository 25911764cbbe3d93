"""Prices in a config: what is refused, and what each model costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.config.prices import billing_of

GOOD = """\
name: x
models:
  - {name: m, backend: scripted}
  - {name: far, backend: server, url: "http://127.0.0.1:9/v1", model: far, context: 8192}
tasks: [icd10cm]
arms: [closed-book]
"""


def write(folder: Path, more: str) -> str:
    path = folder / "config.yaml"
    path.write_text(GOOD + more, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("more", "what", "fix"),
    [
        ("prices: {fra: {input: 1, output: 2}}", "there is no model 'fra'", "did you mean 'far'"),
        ("prices: {far: {input: 1}}", "a price is of tokens", "{input: 2.5, cached_input: 1.25"),
        ("prices: {far: {input: 1, output: 2, per_hour: 3}}", "a price is of tokens", "per_hour"),
        ("prices: {far: {cached_input: 1, per_hour: 3}}", "a price is of tokens", "per_hour"),
        ("prices: {far: {input: -1, output: 2}}", "`input` takes a number of at least 0", "2.5"),
        ("prices: {far: 3}", "`far` takes a mapping of keys", "per_hour"),
        ("max_cost: 5", "`max_cost` needs the price of every model behind a server", "prices:"),
        ("max_cost: 0", "`max_cost` takes a number above 0", ""),
    ],
)
def test_a_wrong_price_is_explained(tmp_path: Path, more: str, what: str, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(write(tmp_path, more))
    assert what in caught.value.what
    assert fix in caught.value.fix
    assert "config.yaml:7" in caught.value.where


def test_a_model_costs_its_price_or_nothing_or_the_unknown(tmp_path: Path) -> None:
    """2 M tokens sent, half of them cached, 0.1 M written, an hour at 2 requests at a time."""
    config, _ = load_config(
        write(tmp_path, "prices: {far: {input: 3, cached_input: 1, output: 10}}\ncurrency: EUR\n")
    )
    assert config.currency == "EUR"
    own, far = config.models
    used = {"sent": 2_000_000, "cached": 1_000_000, "written": 100_000, "seconds": 3600.0}
    priced = billing_of(far, config.prices["far"], in_flight=2)
    assert priced.cost(**used) == pytest.approx(3 + 1 + 1)
    assert billing_of(own, None, in_flight=1).cost(**used) == 0
    assert billing_of(own, None, in_flight=1).own_machine
    assert billing_of(far, None, in_flight=1).cost(**used) is None  # a gateway may cost anything
    hourly = config.prices["far"].model_copy(
        update={"input": None, "cached_input": None, "output": None, "per_hour": 4.0}
    )
    assert billing_of(far, hourly, in_flight=2).cost(**used) == 2.0
    dear = config.prices["far"].model_copy(update={"cached_input": None})
    assert billing_of(far, dear, in_flight=2).cost(**used) == pytest.approx(6 + 1)


def test_a_model_may_have_its_price_in_its_entry(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    of_far = "context: 8192, price: {input: 3, output: 10}}"
    path.write_text(GOOD.replace("context: 8192}", of_far), encoding="utf-8")
    config, _ = load_config(str(path))
    assert config.prices["far"].output == 10
    assert "price" not in config.models[1].model_dump()
    changed, _ = load_config(str(path), ["models.far.price.output=12"])
    assert changed.prices["far"].output == 12
    both, _ = load_config(str(path), ["prompt_format=both"])
    assert {name: price.input for name, price in both.prices.items()} == {
        "far-chat": 3,
        "far-plain": 3,
    }
    with pytest.raises(UsageError, match="the price of 'far' is given twice") as caught:
        load_config(str(path), ["prices.far={input: 1, output: 2}"])
    assert "config.yaml:4" in caught.value.where
    path.write_text(path.read_text().replace("output: 10", "outptu: 10"))
    with pytest.raises(UsageError, match="outptu") as caught:
        load_config(str(path))
    assert "config.yaml:4" in caught.value.where


def test_a_price_holds_in_both_formats(tmp_path: Path) -> None:
    config, _ = load_config(
        write(tmp_path, "prices: {m: {input: 1, output: 2}}\nprompt_format: both\n")
    )
    assert sorted(config.prices) == ["m-chat", "m-plain"]
