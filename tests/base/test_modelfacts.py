"""What is recorded of a model keeps its keys, their order and its values."""

from __future__ import annotations

from typing import Any

import pytest

from ragbench.base.modelfacts import ModelFacts, ServedFacts

COMMON = {
    "digest": "d",
    "weights": "w",
    "dtype": "bfloat16",
    "device": "cpu",
    "format": "chat",
    "chat_template_digest": None,
    "context_tokens": 8,
}
LOCAL = COMMON | {"architecture": "LlamaForCausalLM", "parameters": None}
SERVED = COMMON | {
    "told": {"id": "m", "root": None},
    "server": "vllm 1",
    "tokens": "estimated",
    "tokenizer_digest": None,
    "parameters": None,
}
DATED = COMMON | {"template_day": "2024-07-26", "parameters": None}
IMPORTED = {"digest": "imported", "dtype": None, "format": None, "context_tokens": None}


@pytest.mark.parametrize("value", [LOCAL, SERVED, IMPORTED, LOCAL | {"prompt": "terse 1"}, DATED])
def test_facts_are_read_and_written_alike(value: dict[str, Any]) -> None:
    facts = ModelFacts.from_json(value)
    assert list(facts.to_json().items()) == list(value.items())


def test_keys_find_their_fields() -> None:
    assert ModelFacts.from_json(SERVED).served == ServedFacts(
        {"id": "m", "root": None}, "vllm 1", "estimated", None
    )
    local = ModelFacts.from_json(LOCAL | {"prompt": "terse 1", "server": "mine"})
    assert local.served is None
    assert local.own == {"prompt": "terse 1", "server": "mine"}
    assert local.architecture == "LlamaForCausalLM"


@pytest.mark.parametrize(
    ("facts", "scorings", "abilities"),
    [
        ({}, {"generate"}, []),
        (
            {"letters": "logprob_token_ids", "joins_system": True},
            {"letters", "generate"},
            [
                "letters by logprob_token_ids, 1 request per question",
                "the system turn is joined to the user's, as the server supports none",
            ],
        ),
        (
            {"letters": "echo"},
            {"letters", "options"},
            [
                "letters by echo, a request for the prompt and one per letter",
                "options by echo, a request for the prompt and one per option",
            ],
        ),
        (
            {"takes_lists": True},
            {"options"},
            [
                "options by echo, one text for the prompt and one per option, all in 1 request per "
                "question"
            ],
        ),
    ],
)
def test_abilities_are_in_words(
    facts: dict[str, Any], scorings: set[str], abilities: list[str]
) -> None:
    assert list(ServedFacts({}, "", "", None, **facts).abilities(scorings)) == abilities
