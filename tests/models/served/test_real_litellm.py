"""A real gateway, LiteLLM, in front of a real vLLM."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragbench.models.local.hf import HfModel
from tests.models.served.real import (
    GENERATE,
    LETTERS,
    RealServer,
    agreement,
    here,
    items,
    running,
    scores_of,
    served,
)

pytestmark = pytest.mark.slow
KEY = "sk-of-a-test-on-loopback-0123456789"  # the gateway refuses short ones
PROVIDERS = ("hosted_vllm", "openai")


@pytest.fixture(scope="module")
def gateway(
    vllm: RealServer, smollm2_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealServer]:
    folder = tmp_path_factory.mktemp("litellm")
    behind = {"api_base": vllm.url, "api_key": "none"}
    listed = [
        {"model_name": one, "litellm_params": {"model": f"{one}/{smollm2_folder}", **behind}}
        for one in PROVIDERS
    ]
    config = {"model_list": listed, "general_settings": {"master_key": "os.environ/GATEWAY_KEY"}}
    (folder / "gateway.yml").write_text(json.dumps(config))  # JSON is YAML
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GATEWAY_KEY", KEY)
        ready = "/health/liveliness"
        with running("litellm", folder / "gateway.yml", folder, ready=ready) as found:
            yield found


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("format_", ["chat", "plain"])
def test_letters_through_a_gateway_are_the_local_models(
    gateway: RealServer,
    smollm2_folder: Path,
    smollm2: HfModel,
    plain: HfModel,
    format_: str,
    provider: str,
) -> None:
    """The gateway passes ``logprob_token_ids`` on to vLLM, and the numbers back."""
    own = smollm2 if format_ == "chat" else plain
    # The gateway does not report the context.
    keys = {"model": provider, "api_key_env": "GATEWAY_KEY", "context": 4096}
    model = served(gateway.url, **keys, tokenizer=str(smollm2_folder), format=format_)
    model.check_abilities([LETTERS])
    facts = model.facts().served
    assert facts is not None
    assert facts.letters == "logprob_token_ids"
    count = len(items()) if provider == PROVIDERS[0] else 20
    there = scores_of(model, items()[:count], threads=8)
    found = agreement(here(own)[:count], there)
    assert {one.requests for one in there} == {1}
    assert found.differing == {}
    assert found.largest < 2e-3


def test_replies_through_a_gateway_are_the_local_models(
    gateway: RealServer, smollm2: HfModel
) -> None:
    keys = {"model": PROVIDERS[0], "api_key_env": "GATEWAY_KEY", "context": 4096}
    model = served(gateway.url, **keys)
    model.check_abilities([GENERATE])
    for item in items()[:5]:
        mine = smollm2.generate(smollm2.render(item.turns), limit=12)
        there = model.generate(model.render(item.turns), limit=12)
        assert (there.text, there.prompt_tokens) == (mine.text, mine.prompt_tokens)
