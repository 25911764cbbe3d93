"""Which models fit which cards, by hand arithmetic and by the configs of published models."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import MixtralConfig

from ragbench.base.modelfacts import Footprint, ModelFacts
from ragbench.experiment.planning.devices import DEVICES
from ragbench.experiment.planning.fitting import (
    Spread,
    fit,
    fits_here,
    spread_of,
    weight_bytes,
)
from ragbench.models.local.quantised import Quantised
from ragbench.models.spec import ModelSpec
from tests.models.local.test_skeleton import LLAMA_8B, LLAMA_70B, sized

INT4 = Quantised("gptq-int4", 4, "")
ONE = Spread(1, False, "device_map: auto", 192)
ALL = Spread(8, False, "device_map: auto", 192)


def facts(config: Any, dtype: str = "bfloat16", stored: Quantised | None = None) -> ModelFacts:
    return ModelFacts(dtype=dtype, footprint=sized(config).footprint(dtype, stored))


def test_what_fits_on_cards() -> None:
    """Nine tenths of 80 GB less 3 GB leave 69 GB; the head in float32 has 4.2 GB.

    70 B in bfloat16 need 141.1 + 4.2 + 1.3 (4,096 tokens of 327,680 bytes) = 146.6 GB: 3 cards.
    With 4 bits for the layers' 68.45 B and 2 bytes for the rest: 34.2 + 4.2 + 4.2 + 1.3 = 43.9.
    """
    h100 = DEVICES["h100"]
    large, small = facts(LLAMA_70B), facts(LLAMA_70B, "gptq-int4", INT4)
    assert fit("m", large, 4096, h100, ALL).cards == 3
    refused = fit("m", large, 4096, h100, ONE)
    assert (refused.cards, refused.refusal) == (
        None,
        "m does not fit on 1 x H100 SXM, 80 GB: it needs 147 GB; device_map: auto uses 3",
    )
    assert fit("m", small, 4096, h100, ONE).cards == 1
    assert weight_bytes(small) == pytest.approx(34.2e9 + 4.2e9, rel=5e-3)
    assert fit("m", small, 4096, DEVICES["rtx-4090"], ALL).cards == 3  # 43.9 / 18.6
    assert fit("m", facts(LLAMA_70B, "float32"), 4096, DEVICES["rtx-4090"], ALL).refusal == (
        "m does not fit on 8 x RTX 4090, 24 GB: it needs 285 GB"
    )


def test_replies_at_a_time_are_those_that_memory_holds() -> None:
    """8 B on 24 GB: 18.6 - 16.06 - 2.1 leave 0.44 GB, 1,000 tokens of 131,072 bytes take 0.13."""
    assert fit("m", facts(LLAMA_8B), 1000, DEVICES["rtx-4090"], ONE).together == 3
    assert fit("m", facts(LLAMA_8B), 1000, DEVICES["h100"], ONE).together == 65
    assert fit("m", facts(LLAMA_8B), 100, DEVICES["h100"], ONE).together == 192


def test_a_backend_uses_the_cards_that_its_entry_allows() -> None:
    def found(**entry: Any) -> Spread:
        return spread_of(ModelSpec.model_validate({"name": "m", **entry}))

    assert found(model="a/b").most == 1
    assert found(model="a/b", device_map="auto") == ALL
    four = found(model="a/b", backend="vllm", engine={"tensor_parallel_size": 4})
    assert (four.most, four.is_split) == (4, True)
    assert fit(
        "m", facts(LLAMA_70B), 4096, DEVICES["h100"], found(model="a/b", backend="vllm")
    ) == (fit("m", facts(LLAMA_70B), 4096, DEVICES["h100"], Spread(1, True, four.key, 64)))
    assert found(backend="scripted").most == 8


def test_this_machine_refuses_what_is_larger_than_its_memory() -> None:
    huge = ModelFacts(dtype="bfloat16", device="cpu", footprint=Footprint(10**15, 0, 1, 0))
    assert fits_here("m", huge, 10).startswith(
        "m does not fit on this machine: it needs 1,000,000 GB"
    )
    assert fits_here("m", facts(MixtralConfig(num_hidden_layers=1, vocab_size=100)), 10) == ""
    assert fits_here("m", ModelFacts(), 10) == ""
