"""Greedy replies of the real SmolLM2 against a decoding loop written out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ragbench.base.records import Message, Reply
from ragbench.models.local.generation import PLAIN_STOP, Written, turn_ends, written
from ragbench.models.local.hf import HfModel
from tests.models.local.tiny import llama, load, tokenizer

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


@pytest.mark.parametrize("is_chat", [True, False])
def test_replies_together_are_those_alone(tmp_path: Path, is_chat: bool) -> None:
    """Of a model with random weights, whose replies end at various places."""
    template = "{% for m in messages %}{{ m['content'] }}{% endfor %}<s>" if is_chat else None
    model = load(llama(tmp_path, tokenizer(template), initializer_range=0.5))
    prompts = [model.render([Message("user", text)]) for text in ("a", "to be or not", "x y z", "")]
    together = model.generate_batch(prompts, limit=12)
    alone = [model.generate(prompt, limit=12) for prompt in prompts]
    for one, other in zip(together, alone, strict=True):
        assert isinstance(one, Reply)
        assert replace(one, elapsed_s=0) == replace(other, elapsed_s=0)
    assert len({other.text for other in alone}) > 1


def test_what_follows_the_end_of_a_row_is_no_reply(tmp_path: Path) -> None:
    """Rows that end early are filled up; 2 is the end."""
    letters = tokenizer()
    ids = letters("ab\n\nc").input_ids
    cases: list[tuple[list[int], bool, Written]] = [
        ([*ids[:2], 2, 2, 2], False, Written("ab", 3, "stop")),
        ([*ids[:2], ids[0]], False, Written("aba", 3, "length")),
        ([*ids[:4], 2, 2], True, Written("ab", 4, "stop")),
        ([*ids[:2], 2, 2], True, Written("ab", 3, "stop")),
        ([*ids], False, Written("ab\n\nc", 5, "length")),
        ([2, 2], False, Written("", 1, "stop")),
    ]
    for row, plain, expected in cases:
        assert written(row, letters, {2}, plain) == expected
