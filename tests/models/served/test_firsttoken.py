"""The log-probabilities of a first token, in the forms that servers write them."""

from __future__ import annotations

from typing import Any

import pytest

from ragbench.base.errors import BackendError
from ragbench.models.served.firsttoken import chat_wishes, read_first, text_wishes
from ragbench.models.served.http import Answer


def answer(logprobs: Any, **more: Any) -> Answer:
    return Answer({"choices": [{"text": " A", "logprobs": logprobs}], **more}, "")


def in_list(*pairs: tuple[object, object]) -> dict[str, Any]:
    tops = [{"token": token, "logprob": number} for token, number in pairs]
    return {"content": [{"token": " A", "logprob": -0.1, "top_logprobs": tops}]}


def test_both_forms_are_read() -> None:
    by_text = {"tokens": [" A"], "top_logprobs": [{" A": -0.5, " B": -1.5}, {" x": -9.0}]}
    for logprobs in (by_text, in_list((" A", -0.5), (" B", -1.5))):
        first = read_first(answer(logprobs, usage={"prompt_tokens": 7}))
        assert (first.of(" A"), first.of(" B"), first.of("A")) == (-0.5, -1.5, None)
        assert (first.least, first.prompt_tokens) == (-1.5, 7)


def test_two_tokens_of_one_text_are_no_number_of_either() -> None:
    first = read_first(answer(in_list(("A", -0.5), ("A", -1.5), ("B", -2.0))))
    assert first.of("B") == -2.0
    with pytest.raises(BackendError, match="several tokens that are written 'A'"):
        first.of("A")


@pytest.mark.parametrize(
    ("logprobs", "match"),
    [
        (None, "no log-probabilities"),
        ({"top_logprobs": []}, "no log-probabilities"),
        ({"content": []}, "no log-probabilities"),
        ({"content": [{"token": "A"}]}, "no log-probabilities"),
        (in_list(("A", 0.5)), "the log-probability 0.5"),
        (in_list(("A", None)), "the log-probability None"),
        (in_list(("A", True)), "the log-probability True"),
        (in_list(("A", float("nan"))), "the log-probability nan"),
        (in_list(("A", -1e300)), "the log-probability -1e"),
        (in_list((65, -0.5)), "lists a token as"),
        ({"top_logprobs": [{"A": "-0.5"}]}, "the log-probability '-0.5'"),
    ],
)
def test_what_is_no_log_probability_is_an_error(logprobs: Any, match: str) -> None:
    with pytest.raises(BackendError, match=match):
        read_first(answer(logprobs))


def test_requests_name_the_tokens_or_ask_for_the_likeliest() -> None:
    assert text_wishes(None) == {"logprobs": 20}
    assert chat_wishes(None) == {"logprobs": True, "top_logprobs": 20}
    for wishes in (text_wishes([5, 6]), chat_wishes([5, 6])):
        assert wishes["logprob_token_ids"] == [5, 6]
        assert wishes["return_tokens_as_token_ids"] is True
