"""Chat templates of every kind in use: nothing of a prompt is lost, and replies start in place."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import torch

from ragbench.base.errors import PrerequisiteError
from ragbench.base.records import Message
from ragbench.models.rendering import ChatTemplate, Turn, start_of_options
from tests.models.local import tiny

# Like the published templates of these families, written anew.
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
THINKS = CHATML.replace("assistant\n' }}", "assistant\n<think>\n' }}")
# Qwen 3: the last finished turn has an empty trace, and a trace of an earlier turn is removed.
QWEN3 = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{% if m['role'] == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ m['content'].split('</think>')[-1] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
INST = (
    "{% for m in messages %}{% if m['role'] == 'user' %}"
    "{{ '<s>[INST] ' + m['content'] + ' [/INST]' }}"
    "{% elif m['role'] == 'assistant' %}{{ ' ' + m['content'] + ' </s>' }}"
    "{% else %}{{ raise_exception('no system turn') }}{% endif %}{% endfor %}"
)
DROPS_SYSTEM = INST.replace("{{ raise_exception('no system turn') }}", "")
# Mistral 7B v0.3: the system turn is put into the last user turn only if that is the last of all.
DROPS_SHOTS = (
    "{% for m in messages %}{% if loop.last %}{{ m['role'] + ': ' + m['content'] }}{% endif %}"
    "{% endfor %}{{ ' reply:' }}"
)
PARTS = (  # of a model of images: a content is a list of parts
    "{% for m in messages %}{{ m['role'] + ':' }}{% for part in m['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
)
TRIMS = CHATML.replace("m['content']", "m['content'] | trim")
DATED = "{{ strftime_now('%d %B %Y') + ' ' + date_string + '. ' }}" + CHATML
NEVER_SYSTEM = CHATML.replace(
    "{% for m", "{% if messages[0]['role'] == 'system' %}{{ 1 + 'x' }}{% endif %}{% for m"
)

SYSTEM: Turn = {"role": "system", "content": "Be brief."}
USER: Turn = {"role": "user", "content": "Which vitamin?\n\nA. K\nB. D"}
SHOT: list[Turn] = [
    {"role": "user", "content": "Which code?"},
    {"role": "assistant", "content": "B"},
]
TURNS = [SYSTEM, *SHOT, USER]


def template(text: str, **keys: Any) -> ChatTemplate:
    return ChatTemplate(tiny.tokenizer(text), where="models: m", **keys)


@pytest.mark.parametrize("kind", [CHATML, THINKS, QWEN3, TRIMS, DATED])
def test_a_system_turn_that_the_template_has_stays(kind: str) -> None:
    text = template(kind).text(TURNS)
    assert "<|im_start|>system\nBe brief.<|im_end|>" in text
    assert "<|im_start|>assistant\nB<|im_end|>" in text


@pytest.mark.parametrize("kind", [INST, DROPS_SYSTEM])
def test_a_system_turn_that_is_refused_or_dropped_joins_the_users(kind: str) -> None:
    shot = "<s>[INST] Be brief.\n\nWhich code? [/INST] B </s>"
    asked = "<s>[INST] Which vitamin?\n\nA. K\nB. D [/INST]"
    assert template(kind).text(TURNS) == shot + asked
    alone = "<s>[INST] Be brief.\n\nWhich vitamin?\n\nA. K\nB. D [/INST]"
    assert template(kind).text([SYSTEM, USER]) == alone
    joined = template(NEVER_SYSTEM).text([SYSTEM, USER])
    assert joined.startswith("<|im_start|>user\nBe brief.\n\nWhich vitamin?")


@pytest.mark.parametrize("kind", [DROPS_SHOTS, PARTS])
def test_a_template_that_drops_another_turn_is_refused(kind: str) -> None:
    """The shot's reply ``B`` occurs in the prompt though its turn does not."""
    with pytest.raises(PrerequisiteError, match="drops a turn") as caught:
        template(kind).text(TURNS)
    assert (caught.value.where, caught.value.fix) == ("models: m", "write `format: plain`")


def test_a_template_that_changes_a_content_is_refused() -> None:
    """Escaping is invisible on harmless words and changes ``p < 0.05``."""
    escapes = CHATML.replace("m['content']", "m['content'] | e")
    assert "Which code?" in template(escapes).text(SHOT[:1])
    with pytest.raises(PrerequisiteError, match="changes or drops a user turn"):
        template(escapes).text([{"role": "user", "content": "Is p < 0.05 low?"}])


@pytest.mark.parametrize(
    ("kind", "between", "opened"),
    [
        (CHATML, "", ""),
        (INST, " ", ""),
        (QWEN3, "<think>\n\n</think>\n\n", ""),
        (THINKS, "\n</think>\n\n", "<think>"),  # after "<think>\n", as Qwen 3 writes it
        (THINKS.replace("<think>\n", "<think>"), "\n\n</think>\n\n", "<think>"),
        (THINKS.replace("<think>\n", "<think>\n\n</think>\n\n"), "", ""),  # closed already
    ],
)
def test_a_reply_follows_what_the_template_writes_before_it(
    kind: str, between: str, opened: str
) -> None:
    made = template(kind)
    assert (made.between, made.opened) == (between, opened)
    prompt = made.text([USER])
    assert (made.before_reply(prompt), made.opened_in(prompt)) == (between, opened)
    started = made.text([USER], "The answer is")
    assert started == f"{prompt}{between}The answer is"
    assert (made.before_reply(started), made.opened_in(started)) == ("", "")


def test_a_marker_in_a_question_opens_no_trace() -> None:
    made = template(CHATML)
    prompt = made.text([{"role": "user", "content": "What does <think> mean?"}])
    assert made.opened_in(prompt) == ""


def test_the_day_of_a_template_is_pinned() -> None:
    """Neither form of today's date depends on the day on which a run is resumed."""
    made = template(DATED, day=date(2025, 11, 3))
    assert made.text([USER]).startswith("03 November 2025 03 Nov 2025. ")
    assert template(DATED).text([USER]).startswith("26 July 2024 26 Jul 2024. ")
    mistral = "{% set today = strftime_now('%Y-%m-%d') %}{{ today.split('-')[0] }}" + CHATML
    assert template(mistral).text([USER]).startswith("2024<|im_start|>user")
    guarded = "  {% if strftime_now is defined %}{{ strftime_now('%A %-d %b') }}{% endif %}"
    assert template(guarded + CHATML).text([USER]).startswith("Friday 26 Jul<|im_start|>")
    weekday = "{{ strftime_now('%A') }}" + CHATML
    assert [template(t).is_dated for t in (DATED, mistral, weekday, CHATML)] == [True] * 3 + [False]


@pytest.mark.parametrize(
    ("prompt", "written", "start"),
    [
        ("abc", {"X": "abcX", "Y": "abcY"}, 3),
        ("abc", {"XX": "abcXX", "XY": "abcXY"}, 3),  # what options share is theirs
        ("abc", {"X": "abQ", "Y": "abcY"}, 2),  # a token of one option spans the join
        ("abc", {"X": "abQ", "Y": "abR"}, 2),
        ("abN", {"X": "abcdX", "Y": "abcdY"}, 4),  # the prompt's end depends on what follows
        ("abN", {"XX": "abcdXX", "XY": "abcdXY"}, 2),
        ("abc", {"X": "abc", "Y": "abcY"}, 2),  # an option without a token of its own
        ("", {"X": "XX", "Y": "YZ"}, 1),  # the first token has no prediction
    ],
)
def test_options_start_where_the_prompt_ends_for_all(
    prompt: str, written: dict[str, str], start: int
) -> None:
    assert start_of_options(prompt, list(written.values()), list(written)) == start


def test_options_that_begin_alike_are_told_from_others() -> None:
    alike = {"XX": "abcdXX", "XY": "abcdXY"}
    found = start_of_options("abN", list(alike.values()), list(alike), {"A": "abcdA"})
    assert found == 4


@pytest.mark.parametrize("options", [["A", "B", "C"], ["Iron", "Iodine"], ["iron", "zinc", "7"]])
def test_newlines_before_a_reply_are_the_prompts(smollm2_folder: Path, options: list[str]) -> None:
    """SmolLM2 has one token for two newlines, but two before a letter: they are in no option."""
    model = tiny.load(smollm2_folder)
    model._tokenizer.chat_template = THINKS
    prompt = model.render([Message("user", "Which?")])
    whole = [model._tokenizer(f"{prompt}\n</think>\n\n{option}").input_ids for option in options]
    own = [model._tokenizer(option).input_ids for option in options]
    assert [ids[-len(mine) :] for ids, mine in zip(whole, own, strict=True)] == own
    found = model.score_options(prompt, options)
    assert found.option_tokens == tuple(map(len, own))


def log_probabilities(model: Any, text: str, n: int) -> float:
    """The sum over the last n tokens, in double precision and from one whole pass."""
    ids = model._tokenizer(text, add_special_tokens=False).input_ids
    with torch.no_grad():
        logits = model._model(input_ids=torch.tensor([ids])).logits[0].double()
    logged = torch.log_softmax(logits, dim=-1)
    return float(sum(logged[i - 1, ids[i]] for i in range(len(ids) - n, len(ids))))


BLANKS = tuple((" ", letter) for letter in "ABCD")  # " B" is one token


@pytest.mark.parametrize(
    ("kind", "written", "tokens"),
    [
        (CHATML, "B", 1),
        (INST, " B", 1),  # one token: the template's blank and the letter
        (QWEN3, "<think>\n\n</think>\n\nB", 1),
        (THINKS, "\n</think>\n\nB", 1),
        # The blank ends the prompt itself, and the tokenizer joins it to the letter.
        (INST.replace(" [/INST]'", " [/INST] '").replace("' ' + m", "m"), "B", 1),
    ],
)
def test_letters_are_scored_as_the_template_writes_them(
    tmp_path: Path, kind: str, written: str, tokens: int
) -> None:
    model = tiny.load(tiny.llama(tmp_path, tiny.tokenizer(kind, BLANKS)))
    prompt = model.render([Message(turn["role"], turn["content"]) for turn in TURNS])  # type: ignore[arg-type]
    found = model.score_options(prompt, ["A", "B", "C"])
    expected = log_probabilities(model, prompt + written, tokens)
    assert found.log_likelihoods[1] == pytest.approx(expected, abs=1e-4)
    assert found.option_tokens == (tokens,) * 3
    assert sum(torch.tensor(found.log_likelihoods).exp()) <= 1.0


def test_a_started_reply_is_scored_behind_its_start(tmp_path: Path) -> None:
    model = tiny.load(tiny.llama(tmp_path, tiny.tokenizer(INST, BLANKS)))
    prompt = model.render([Message("user", "Which?"), Message("assistant", "It is ")])
    assert prompt == "<s>[INST] Which? [/INST] It is "
    found = model.score_options(prompt, ["A", "B"])
    expected = log_probabilities(model, "<s>[INST] Which? [/INST] It is B", 1)
    assert found.log_likelihoods[1] == pytest.approx(expected, abs=1e-4)


def test_a_reply_says_which_trace_its_prompt_opened(tmp_path: Path) -> None:
    model = tiny.load(tiny.llama(tmp_path, tiny.tokenizer(THINKS)))
    reply = model.generate(model.render([Message("user", "Which?")]), limit=3)
    assert reply.opened == "<think>"
    plain = tiny.load(tmp_path, format="plain")
    assert plain.generate(plain.render([Message("user", "Which?")]), limit=3).opened == ""
    assert plain.digest() != model.digest()
