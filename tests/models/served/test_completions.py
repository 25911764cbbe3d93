"""Requests and answers of the two endpoints: no fault of a server passes for a reply."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ragbench.base.errors import BackendError
from ragbench.models.served import completions
from ragbench.models.served.completions import (
    Written,
    answered_by,
    chat_request,
    echo_request,
    read_echo,
    text_request,
    usage_of,
)
from ragbench.models.served.http import Answer
from ragbench.tasks.replies.answers import read_reply
from tests.models.loopback import chat, text

LIMIT = 64
TURNS = [{"role": "user", "content": "What is E66?"}]


def read_chat(answer: Any) -> Written:
    return completions.read_chat(Answer(answer, ""), limit=LIMIT)


def read_text(answer: Any) -> Written:
    return completions.read_text(Answer(answer, ""), limit=LIMIT)


def test_requests_are_greedy_and_bounded() -> None:
    for body in (chat_request("m", TURNS, "", 64), text_request("m", "What", 64)):
        assert (body["temperature"], body["max_tokens"], body["stream"]) == (0, 64, False)
        assert body["seed"] == 0
    assert "continue_final_message" not in chat_request("m", TURNS, "", 64)
    assert text_request("m", "What", 64)["stop"] == ["\n\n"]
    echo = echo_request("m", "What", 1)
    assert (echo["echo"], echo["logprobs"], echo["max_tokens"]) == (True, 1, 1)


def test_a_begun_reply_is_a_last_turn_to_go_on_with() -> None:
    body = chat_request("m", TURNS, "It is", 64)
    assert body["messages"] == [*TURNS, {"role": "assistant", "content": "It is"}]
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert len(TURNS) == 1


def test_a_reply_is_read() -> None:
    found = read_chat(chat("B", finish="length"))
    assert (found.text, found.finish, found.tokens, found.prompt_tokens) == ("B", "length", 3, 9)
    assert read_chat(chat("")).text == ""
    assert read_text(text(" B")).text == " B"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_a_trace_that_came_apart_stands_before_the_reply(name: str) -> None:
    trace: dict[str, Any] = {name: "Not A."}
    answer = chat("The answer is B.", **trace)
    found = read_chat(answer)
    assert found.text == "<think>Not A.</think>The answer is B."
    read = read_reply(found.text, ("x", "y"), finish=found.finish)
    assert (read.outcome, read.pick, read.reasoning) == ("parsed", 1, "Not A.")


def test_a_trace_that_the_limit_cut_is_truncated() -> None:
    answer = chat(None, finish="length", reasoning_content="The answer is A")
    found = read_chat(answer)
    assert read_reply(found.text, ("x", "y"), finish=found.finish).outcome == "truncated"
    ended = chat(None, reasoning_content="The answer is A")
    assert read_chat(ended).text == "<think>The answer is A</think>"


def test_a_plain_reply_ends_at_a_blank_line() -> None:
    """transformers leaves the stop string in the text, and others go on after it."""
    answer: Any = text(" B\n\nWhat is", finish="length")
    found = read_text(answer)
    assert (found.text, found.finish) == (" B", "stop")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({}, "no list of choices"),
        ({"choices": None}, "no list of choices"),
        ({"choices": []}, "0 choices"),
        ({"choices": ["B"]}, "choices, not one"),
        ({"choices": [{}, {}]}, "2 choices"),
        ({"choices": [{}]}, "without a"),
        (chat(None), "null|without a text"),
        (chat(5), "not text|without a text"),
        (chat(["B"]), "not text|without a text"),
        (chat("B", reasoning=["A"]), "not text|without a text"),
        ({"choices": [{"text": None, "message": None}]}, "without a"),
        (chat("B", finish="abort"), "did not finish the reply: abort|without a text"),
        (text("B", finish="abort"), "did not finish|without a message"),
        ({"error": {"message": "no"}}, "reports an error: no"),
    ],
)
def test_what_lacks_a_reply_is_an_error(answer: Any, message: str) -> None:
    for read in (read_chat, read_text):
        with pytest.raises(BackendError, match=message):
            read(answer)


def test_a_content_filter_ends_a_reply_and_is_no_fault_of_the_server() -> None:
    for content in ("The answer", "", None):
        found = read_chat(chat(content, finish="content_filter"))
        assert (found.text, found.finish) == (content or "", "filtered")


@pytest.mark.parametrize("usage", [None, {}, {"completion_tokens": True}, {"prompt_tokens": -1}, 5])
def test_tokens_that_are_not_told(usage: Any) -> None:
    answer: Any = {"choices": [{"text": "B"}], "usage": usage}
    found = read_text(answer)
    assert (found.tokens, found.prompt_tokens) == (None, None)


def echo(numbers: object, told: int | None = None) -> Any:
    usage = {} if told is None else {"usage": {"prompt_tokens": told, "completion_tokens": 1}}
    return {"choices": [{"text": "", "logprobs": {"token_logprobs": numbers}}], **usage}


@pytest.mark.parametrize(
    ("answer", "generated"),
    [
        (echo([None, -1.5, -0.25]), 0),
        (echo([None, -1.5, -0.25], told=3), 0),
        (echo([None, -1.5, -0.25, -9.0]), 1),
        (echo([None, -1.5, -0.25, -9.0], told=3), 1),
        (echo([None, -1.5, -0.25], told=3), 1),
    ],
)
def test_the_tokens_of_the_text_alone_are_read(answer: Any, generated: int) -> None:
    assert read_echo(Answer(answer, ""), generated=generated).numbers == [None, -1.5, -0.25]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"choices": [{"text": "a", "logprobs": None}]}, "no log-probabilities of the prompt"),
        ({"choices": [{"text": "a"}]}, "no log-probabilities"),
        (echo([]), "no log-probabilities"),
        (echo({"a": 1}), "no log-probabilities"),
        (echo([None, -1.0], told=9), "2 log-probabilities for 9 tokens"),
        (echo([None, -1.0, -1.0, -1.0, -1.0], told=2), "5 log-probabilities for 2 tokens"),
        (echo([None, None, -1.0], told=3), "log-probability None"),
        (echo([None, "-1", -1.0], told=3), "log-probability '-1'"),
        (echo([None, math.nan, -1.0], told=3), "nan"),
        (echo([None, -math.inf, -1.0], told=3), "inf"),
        (echo([None, 1.0, -1.0], told=3), r"1\.0"),
        (echo([None, True, -1.0], told=3), "True"),
    ],
)
def test_log_probabilities_that_lack_are_an_error(answer: Any, message: str) -> None:
    with pytest.raises(BackendError, match=message):
        read_echo(Answer(answer, ""), generated=1)


def usage(**counts: object) -> Any:
    return {"choices": [{"text": "B"}], "usage": counts}


@pytest.mark.parametrize("name", ["completion_tokens", "prompt_tokens"])
@pytest.mark.parametrize("count", [10**30, 1 << 40, 2**63, 1e30, math.inf, math.nan])
def test_an_impossible_number_of_tokens_is_an_error(name: str, count: object) -> None:
    with pytest.raises(BackendError, match=f"the server reports .* as `{name}`"):
        read_text(usage(**{name: count}))


@pytest.mark.parametrize("error", ["overloaded", {"message": "overloaded"}, {"code": 500}])
def test_an_error_beside_a_reply_is_an_error(error: object) -> None:
    for answer in (chat("B") | {"error": error}, chat("B")):
        if "error" not in answer:
            answer["choices"][0]["error"] = error
        with pytest.raises(BackendError, match=r"the server reports an error: .*(overloaded|500)"):
            read_chat(answer)
    assert read_chat(chat("B") | {"error": None}).text == "B"


@pytest.mark.parametrize(
    ("why", "finish"),
    [
        (None, "stop"),
        ("stop", "stop"),
        ("EOS", "stop"),
        ("length", "length"),
        ("MAX_TOKENS", "length"),
        ("timeout", None),
        ("tool_calls", None),
        (["stop"], None),
        (5, None),
    ],
)
def test_a_reply_that_may_not_be_finished_is_an_error(why: Any, finish: str | None) -> None:
    for read, answer in ((read_chat, chat("B", finish=why)), (read_text, text("B", finish=why))):
        if finish is not None:
            assert read(answer).finish == finish
            continue
        with pytest.raises(BackendError, match="did not finish the reply"):
            read(answer)


def test_a_reply_beyond_its_limit_is_an_error() -> None:
    assert read_chat(chat("x" * 64 * 256)).text
    for read, answer in ((read_chat, chat("x" * 16385)), (read_text, text("x" * 16385))):
        with pytest.raises(BackendError, match="16,385 characters, more than 64 tokens can hold"):
            read(answer)


def test_log_probabilities_are_as_many_as_their_tokens() -> None:
    answer = echo([None, -1.0, -1.0])
    answer["choices"][0]["logprobs"]["tokens"] = ["One", ",", " two", ","]
    with pytest.raises(BackendError, match="3 log-probabilities for 4 tokens"):
        read_echo(Answer(answer, ""), generated=0)


def test_a_sum_of_log_probabilities_stays_finite() -> None:
    with pytest.raises(BackendError, match=r"log-probability -1e\+308"):
        read_echo(Answer(echo([None, -1e308, -1e308]), ""), generated=0)


@pytest.mark.parametrize(
    ("details", "cached"),
    [
        ({"cached_tokens": 64}, 64),
        ({"cached_tokens": 0}, 0),
        ({"cached_tokens": True}, None),
        ({}, None),
        (7, None),
    ],
)
def test_cached_tokens_are_taken_where_they_can_be_true(
    details: object, cached: int | None
) -> None:
    """As OpenAI reports them, within ``prompt_tokens_details``."""
    told = usage(prompt_tokens=100, completion_tokens=1, prompt_tokens_details=details)
    assert read_text(told).cached_tokens == cached


def test_tokens_are_read_in_the_forms_of_openai_and_of_anthropic() -> None:
    told = {
        "prompt_tokens": 20,
        "completion_tokens": 90,
        "prompt_tokens_details": {"cached_tokens": 500},
        "completion_tokens_details": {"reasoning_tokens": 80},
    }
    counted = usage_of({"usage": told})
    assert (counted.prompt, counted.cached) == (520, 500)  # those that were not cached, and those
    assert (counted.reply, counted.reasoning) == (90, 80)
    told["completion_tokens_details"] = {"reasoning_tokens": 91}  # more than the reply has
    assert usage_of({"usage": told}).reply == 90 + 91
    uncounted = usage_of({"usage": {"prompt_tokens": 0, "completion_tokens": 3}})
    assert (uncounted.prompt, uncounted.cached, uncounted.reply) == (None, None, 3)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"model": "gpt-5-2026-01-01", "system_fingerprint": "fp_1"}, ("gpt-5-2026-01-01", "fp_1")),
        ({"model": "m", "system_fingerprint": None}, ("m", "")),
        ({"model": 7, "system_fingerprint": ["a"]}, ("", "")),
        ({"model": "a\nb" + "c" * 999}, ("a b" + "c" * 194 + "...", "")),
    ],
)
def test_what_answered_is_what_the_answer_says(
    answer: dict[str, object], expected: tuple[str, str]
) -> None:
    found = answered_by(answer)
    assert (found.model, found.fingerprint) == expected
