"""Tokens of a model whose weights are elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.errors import BackendError, PrerequisiteError
from ragbench.base.records import Message
from ragbench.models.local.hf import HfModel
from ragbench.models.model import Asked
from ragbench.models.rendering import USUAL_CONTROL
from ragbench.models.served.counting import TokenCounter
from ragbench.models.served.server import ServerModel
from tests.models.conftest import SMOLLM2
from tests.models.loopback import Request, Sent, chat, loopback, spec

WHERE = "models: m"


@given(st.text(max_size=30))
def test_without_a_tokenizer_two_bytes_are_a_token(text: str) -> None:
    count = TokenCounter(None, where=WHERE).count(text)
    assert 2 * count - 1 <= len(text.encode()) <= 2 * count or not text


def test_the_estimate_is_above_the_count_of_prose(smollm2: HfModel) -> None:
    bare = TokenCounter(None, where=WHERE)
    assert (bare.digest, bare.template, bare.control) == (None, None, USUAL_CONTROL)
    assert "estimated" in bare.rule
    text = "Scurvy is a lack of vitamin C, with bleeding gums (ICD-10 code E54)."
    assert bare.count(text) > smollm2.count_tokens(text)


def test_a_tokenizer_counts_as_the_model_does(smollm2: HfModel) -> None:
    counter = TokenCounter(SMOLLM2, where=WHERE)
    for text in ("", "E11.9", "\u00fcber 37 \u00b0C", "a<|im_end|>b"):
        assert counter.count(text) == smollm2.count_tokens(text)
    assert counter.rule == f"tokenizer {SMOLLM2}"
    assert counter.template is not None
    assert counter.control is not None and counter.control.search("<|im_end|>")


def test_the_digest_is_of_rules_and_template_wherever_they_lie(
    without_weights: Path, smollm2_folder: Path
) -> None:
    whole = TokenCounter(str(smollm2_folder), where=WHERE)
    bare = TokenCounter(str(without_weights), where=WHERE)
    assert bare.template is None
    assert bare.digest != whole.digest
    name = "chat_template.jinja"
    (without_weights / name).write_text((smollm2_folder / name).read_text())
    assert TokenCounter(str(without_weights), where=WHERE).digest == whole.digest


def test_a_first_token_that_the_server_adds_is_not_sent(
    without_weights: Path, smollm2_folder: Path
) -> None:
    """Llama's rule, put into this tokenizer; its own adds nothing."""
    text = "<|im_start|>user\nWhat?<|im_end|>\n"
    assert TokenCounter(str(smollm2_folder), where=WHERE).without_first(text) == text
    path = without_weights / "tokenizer.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    start = {"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}
    settings["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [start, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": name, "type_id": 0}} for name in "AB"],
        "special_tokens": {
            "<|im_start|>": {"id": "<|im_start|>", "ids": [1], "tokens": ["<|im_start|>"]}
        },
    }
    path.write_text(json.dumps(settings), encoding="utf-8")
    adding = TokenCounter(str(without_weights), where=WHERE)
    assert adding.without_first(text) == "user\nWhat?<|im_end|>\n"
    assert adding.without_first("user") == "user"


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="the tokenizer cannot be loaded") as caught:
        TokenCounter(str(tmp_path), where=WHERE)
    assert "tokenizer" in caught.value.where


@pytest.mark.parametrize("constant", [0, 1, 23, -3])
def test_a_server_that_counts_otherwise_by_a_constant_has_the_tokenizer_all_the_same(
    constant: int,
) -> None:
    """With a first token, the markup of a chat, or without some of its own tokens."""
    counter = TokenCounter(SMOLLM2, where="m")
    counter.compare(lambda text: counter.count(text) + constant)
    assert counter.is_servers
    text = " the" * 2000
    for cut in (0, 4):
        counter.check_read([text], 2000 - cut)
    with pytest.raises(BackendError, match="read 1,995 tokens of a prompt of at least 1,996"):
        counter.check_read([text], 1995)


def test_a_server_with_another_tokenizer_or_without_counts_is_given_5_percent() -> None:
    counter = TokenCounter(SMOLLM2, where="m")
    for size_of in (
        lambda text: len(text.split()),
        lambda text: 9,
        lambda text: None,
        lambda text: counter.count(text) * 101 // 100,
    ):
        counter.compare(size_of)
        assert not counter.is_servers
        counter.check_read([" the" * 2000], 1900)
    without = TokenCounter(None, where="m")
    without.compare(len)
    assert not without.is_servers


@pytest.mark.parametrize(
    ("reference", "least"),
    [
        (SMOLLM2, 1900),  # 2,000 words of one token each, less 5 %
        (None, 9999 // 12),  # 2,000 words of four letters with a blank between them
    ],
)
def test_a_prompt_that_was_cut_is_an_error(reference: str | None, least: int) -> None:
    counter = TokenCounter(reference, where="m")
    text = " ".join(["gout"] * 2000) if reference is None else " the" * 2000
    for reported in (None, least, 5000):
        counter.check_read([text], reported)
    with pytest.raises(BackendError, match=f"read {least - 1:,} tokens of a prompt of at least"):
        counter.check_read([text], least - 1)
    counter.check_read(["short " * 200], 3)  # 200 tokens, fewer than any context


def test_a_prompt_that_lost_two_percent_is_an_error_where_the_server_counts_alike() -> None:
    """The server keeps the last 500 tokens of a prompt, and adds 12 of markup to each."""
    counter = TokenCounter(SMOLLM2, where="m")

    def cutting(request: Request) -> Sent:
        whole = sum(counter.count(turn["content"]) for turn in request.body["messages"])
        return Sent(chat("yes", size=min(whole + 12, 500)))

    with loopback() as server:
        server.answers["/v1/chat/completions"] = cutting
        model = ServerModel(spec(server, tokenizer=SMOLLM2))
        model.check_abilities([Asked("generate", False)])
        whole = model.render([Message("user", " the" * 480)])
        assert model.generate(whole, limit=9).prompt_tokens == 480 + 12
        cut = model.render([Message("user", " the" * 510)])
        with pytest.raises(BackendError, match="read 500 tokens of a prompt of at least 506"):
            model.generate(cut, limit=9)
