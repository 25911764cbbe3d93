"""A real vLLM on the processor, with the real small model in float32, on loopback."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from ragbench.models.local.hf import HfModel
from ragbench.models.served.server import ServerModel
from tests.models.served.real import (
    GENERATE,
    LETTERS,
    OPTIONS,
    RealServer,
    agreement,
    here,
    items,
    scores_of,
    served,
)

pytestmark = pytest.mark.slow
CLOSE = 2e-3  # of a log-likelihood in float32, added in another order


@pytest.fixture(params=["chat", "plain"])
def pair(
    request: pytest.FixtureRequest,
    vllm: RealServer,
    smollm2_folder: Path,
    smollm2: HfModel,
    plain: HfModel,
) -> tuple[HfModel, ServerModel]:
    """The model here and behind the server, with the same format of prompts."""
    keys = {"model": str(smollm2_folder), "tokenizer": str(smollm2_folder)}
    there = served(vllm.url, **keys, format=request.param)
    return (smollm2 if request.param == "chat" else plain), there


def finished(server: RealServer) -> int:
    """Return the number of requests that the server itself says it has answered."""
    told = httpx.get(f"{server.root}/metrics", trust_env=False, timeout=60).text
    found = re.findall(r"^vllm:request_success_total\{.*\} ([0-9.e+]+)$", told, re.MULTILINE)
    return sum(int(float(number)) for number in found)


def test_letters_are_the_local_models_at_one_request_each(
    vllm: RealServer,
    pair: tuple[HfModel, ServerModel],
) -> None:
    own, model = pair
    model.check_abilities([LETTERS])
    facts = model.facts()
    assert facts.served is not None
    assert facts.served.letters == "logprob_token_ids"
    assert facts.served.server.endswith(" 0.32.0")
    before = finished(vllm)
    there = scores_of(model, items(), threads=8)
    assert finished(vllm) - before == len(items()) == sum(one.requests or 0 for one in there)
    found = agreement(here(own), there)
    assert found.differing == {}
    assert found.largest < CLOSE
    assert [one.prompt_tokens for one in there] == [one.prompt_tokens for one in here(own)]


@pytest.mark.parametrize(("way", "prefills"), [("completions", 1), ("echo", 5)])
def test_other_ways_of_letters_have_the_same_picks(
    vllm: RealServer,
    pair: tuple[HfModel, ServerModel],
    way: str,
    prefills: int,
) -> None:
    own, model = pair
    count = 20
    keys = {**model.spec.options.model_dump(), "letters": way, "format": model.prompt_format}
    model = served(**{k: v for k, v in keys.items() if v})
    model.check_abilities([LETTERS])
    before = finished(vllm)
    there = scores_of(model, items()[:count], threads=8)
    sent = finished(vllm) - before
    unlisted = [one.unlisted for one in there if one.unlisted]
    # A letter that is not among the 20 likeliest is echoed, and so is its prompt.
    assert sent == prefills * count + len(unlisted) + sum(unlisted)
    found = agreement(here(own)[:count], there)
    assert found.differing == {}
    assert found.largest < CLOSE


def test_options_are_the_local_models(pair: tuple[HfModel, ServerModel]) -> None:
    own, model = pair
    model.check_abilities([OPTIONS])
    found = agreement(
        here(own, letters=False, count=20),
        scores_of(model, items()[:20], letters=False, threads=8),
    )
    assert found.differing == {}
    assert found.largest < 10 * CLOSE  # sums over the tokens of an option


def test_replies_are_the_local_models(pair: tuple[HfModel, ServerModel]) -> None:
    own, model = pair
    model.check_abilities([GENERATE])
    for item in items()[:10]:
        mine = own.generate(own.render(item.turns), limit=12)
        there = model.generate(model.render(item.turns), limit=12)
        assert (there.text, there.prompt_tokens) == (mine.text, mine.prompt_tokens)
