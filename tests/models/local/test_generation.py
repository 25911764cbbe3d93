"""Greedy replies of the real SmolLM2 against a decoding loop written out."""

from __future__ import annotations

import pytest
import torch

from ragbench.base.records import Message
from ragbench.models.local.generation import PLAIN_STOP, turn_ends
from ragbench.models.local.hf import HfModel

QUESTIONS = ["What is the capital of France?", "Name three fruits.", "Is the sky green?"]


def by_hand(model: HfModel, prompt: str, limit: int) -> list[int]:
    """Take the likeliest token, again and again, each time over the whole sequence."""
    (ids,) = model._encode_all([prompt])
    new: list[int] = []
    end = model._tokenizer.convert_tokens_to_ids("<|im_end|>")
    with torch.no_grad():
        while len(new) < limit:
            logits = model._model(input_ids=torch.tensor([ids + new])).logits[0, -1]
            new.append(int(logits.argmax()))
            if new[-1] == end:
                break
    return new


@pytest.mark.parametrize(
    "question", [QUESTIONS[0], *(pytest.param(q, marks=pytest.mark.slow) for q in QUESTIONS[1:])]
)
def test_replies_are_the_likeliest_tokens(smollm2: HfModel, question: str) -> None:
    prompt = smollm2.render([Message("user", question)])
    expected = by_hand(smollm2, prompt, 16)
    found = smollm2.generate(prompt, limit=16)
    ended = expected[-1] == smollm2._tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert found.tokens == len(expected)
    assert found.finish == ("stop" if ended else "length")
    assert found.text == smollm2._tokenizer.decode(expected[:-1] if ended else expected)
    assert found.prompt_tokens == len(smollm2._encode_all([prompt])[0])
    assert "<|im_end|>" not in found.text


def test_the_limit_holds(smollm2: HfModel) -> None:
    prompt = smollm2.render([Message("user", "Tell me a long story.")])
    found = smollm2.generate(prompt, limit=5)
    assert (found.tokens, found.finish) == (5, "length")


def test_a_plain_reply_ends_at_a_blank_line(plain: HfModel) -> None:
    prompt = "Question: 1 + 1?\n\nAnswer: 2\n\nQuestion: 2 + 2?\n\nAnswer:"
    found = plain.generate(prompt, limit=40)
    assert found.finish == "stop"
    assert PLAIN_STOP not in found.text
    assert found.text.strip()


def test_ends_of_the_turn(smollm2: HfModel) -> None:
    end = smollm2._tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert end in turn_ends(smollm2._model, smollm2._tokenizer)


def test_the_repositorys_sampling_is_forgotten(smollm2: HfModel) -> None:
    config = smollm2._model.generation_config
    assert not config.do_sample
    assert config.repetition_penalty in (None, 1.0)
