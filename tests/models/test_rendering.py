"""Prompts as texts, without a model."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.records import Message
from ragbench.models.local.hf import HfModel
from ragbench.models.rendering import (
    USUAL_CONTROL,
    chat_text,
    control_tokens,
    harmless,
    plain_text,
    turns_of,
    without_system,
)

SYSTEM = {"role": "system", "content": "Be brief."}
ASKED = {"role": "user", "content": "What is E66?"}
SAID = {"role": "assistant", "content": "Obesity"}


def test_a_plain_text_ends_with_the_cue_or_with_what_the_reply_is_begun_with() -> None:
    turns = [SYSTEM, ASKED, SAID, ASKED]
    assert plain_text(turns, "") == (
        "Be brief.\n\nWhat is E66?\n\nAnswer: Obesity\n\nWhat is E66?\n\nAnswer:"
    )
    assert plain_text([SYSTEM, ASKED], "Code: ") == "Be brief.\n\nWhat is E66?\n\nCode:"


def test_a_last_turn_of_the_assistant_begins_the_reply() -> None:
    messages = [Message("user", "What is E66?"), Message("assistant", "It is")]
    assert turns_of(messages, None) == ([ASKED], "It is")
    assert turns_of(messages[:1], None) == ([ASKED], "")


def test_a_system_turn_joins_the_first_user_turn() -> None:
    joined = [{"role": "user", "content": "Be brief.\n\nWhat is E66?"}]
    assert without_system([SYSTEM, ASKED]) == joined
    assert without_system([ASKED]) == [ASKED]
    assert without_system([]) == []


@pytest.mark.parametrize(
    "token",
    [
        *("<|im_end|>", "<|eot_id|>", "<|start_header_id|>", "<s>", "</s>", "<end_of_turn>"),
        *("[INST]", "[/INST]", "<<SYS>>", "<eos>", "<\uff5cAssistant\uff5c>"),
    ],
)
def test_usual_control_tokens_are_broken(token: str) -> None:
    assert token not in harmless(f"before{token}after", USUAL_CONTROL)


@pytest.mark.parametrize("text", ["p < 0.05 | q > 1", "[1] a list", "a <b> tag", "x|y|z"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert harmless(text, USUAL_CONTROL) == text


@given(st.text(alphabet="<|>ims_end/x", max_size=40))
def test_no_control_token_survives(text: str) -> None:
    control = re.compile(re.escape("<|im_end|>"))
    assert not control.search(harmless(text, control))


def test_a_tokenizer_tells_its_own_control_tokens(smollm2: HfModel) -> None:
    control = control_tokens(smollm2._tokenizer)
    assert control is not None
    assert control.findall("a<|im_end|>b<|endoftext|>c<nothing>") == ["<|im_end|>", "<|endoftext|>"]
    assert chat_text(smollm2._tokenizer, [ASKED], "E").endswith("<|im_start|>assistant\nE")
