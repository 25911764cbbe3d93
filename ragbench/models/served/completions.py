"""Requests to ``/chat/completions`` and ``/completions``, and their answers.

An incomplete or impossible answer is an error, never an empty reply: a server's fault must not
count as a model's mistake.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragbench.base.errors import BackendError
from ragbench.base.records import NOBODY, AnsweredBy, Finish
from ragbench.models.local.generation import PLAIN_STOP
from ragbench.models.rendering import Turn
from ragbench.models.served.http import Answer, excerpt, shown

CHAT, TEXT = "/chat/completions", "/completions"
TOKENIZE = "/tokenize"  # of vLLM and llama.cpp, above the API
TEMPLATED = "/apply-template"  # of llama.cpp, above the API
SEED = 0  # for servers that sample even at temperature 0
GREEDY = {"temperature": 0, "seed": SEED, "frequency_penalty": 0, "stream": False}
CONTINUED = {"add_generation_prompt": False, "continue_final_message": True}
ROUNDING = 1e-3  # error of a log-probability of zero
LOWEST = -1e5  # a log-probability below it is none: single precision ends near -100 per token
ENDED = ("", "stop", "eos", "eos_token", "end_turn", "stop_sequence")
LIMITED = ("length", "max_tokens", "model_length")
FILTERED = ("content_filter", "safety", "refusal", "guardrail_intervened")
MOST_TOKENS = 1 << 24  # more than any model's context
TOKEN_CHARACTERS = 256  # the longest tokens are runs of blanks of half this length


@dataclass(frozen=True, slots=True)
class Written:
    """Text that a server's model wrote.

    Attributes:
        text: The reply, after a separate reasoning trace if there is one.
        finish: ``length`` if the limit ended it, ``filtered`` if a content filter did.
        tokens: Tokens of the reply, if the server reports them.
        prompt_tokens: Tokens of the prompt, if the server reports them.
        cached_tokens: Those of them that the server had cached, if it reports them.
        has_trace: Whether the server gave a reasoning trace apart.
        replaced: Halves of characters in the answer, which are U+FFFD now.
        reasoning_tokens: Those of the reply that are of a reasoning trace, if it reports them.
        by: What the server says of the model.
    """

    text: str
    finish: Finish
    tokens: int | None
    prompt_tokens: int | None
    cached_tokens: int | None
    has_trace: bool = False
    replaced: int = 0
    reasoning_tokens: int | None = None
    by: AnsweredBy = NOBODY


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of reply and prompt, and those of both that a server reports apart; else None."""

    reply: int | None = None
    prompt: int | None = None
    cached: int | None = None
    reasoning: int | None = None


@dataclass(frozen=True, slots=True)
class Echo:
    """One echoed text.

    Attributes:
        numbers: The natural log-probability of every token; None for the first.
        tokens: The tokens in the server's own spelling, if it gives them; a token in two spellings
            is two tokens here.
    """

    numbers: list[float | None]
    tokens: list[str] | None


@dataclass(frozen=True, slots=True)
class Echoes:
    """Echoed texts, and what the server reports of all their requests."""

    texts: tuple[Echo, ...]
    requests: int
    cached_tokens: int | None
    by: AnsweredBy


def dated(date_string: str) -> dict[str, Any]:
    """Return the part of a request that gives the chat template its date."""
    return {"chat_template_kwargs": {"date_string": date_string}}


def chat_request(
    model: str, turns: Sequence[Turn], reply_start: str, limit: int, *, date_string: str = ""
) -> dict[str, Any]:
    """Return the request for a reply to turns, started or not.

    ``date_string`` is the date that the server's chat template is to write.
    """
    body = {"model": model, "messages": list(turns), "max_tokens": limit, **GREEDY}
    body |= dated(date_string) if date_string else {}
    if reply_start:
        body["messages"] = [*turns, {"role": "assistant", "content": reply_start}]
        body |= CONTINUED
    return body


def text_request(model: str, prompt: str, limit: int) -> dict[str, Any]:
    """Return the request for the continuation of a plain prompt, up to a blank line."""
    stop = [PLAIN_STOP]
    return {"model": model, "prompt": prompt, "max_tokens": limit, "stop": stop, **GREEDY}


def echo_request(model: str, texts: str | Sequence[str], limit: int) -> dict[str, Any]:
    """Return the request for the log-probabilities of the own tokens of one or several texts."""
    prompt = texts if isinstance(texts, str) else list(texts)
    body = {"model": model, "prompt": prompt, "max_tokens": limit, "echo": True, "logprobs": 1}
    return {**body, "temperature": 0}


def read_chat(answer: Answer, *, limit: int) -> Written:
    """Return the reply of at most ``limit`` tokens in an answer of ``/chat/completions``.

    vLLM's ``reasoning_content`` (later ``reasoning``) precedes it between ``<think>`` and
    ``</think>``; the latter is missing if the limit cut the trace.

    Raises:
        BackendError: There is no choice, it has no content, or the answer reports an error beside
            it, impossible numbers of tokens or a reply that was not finished.
    """
    choice = choice_of(answer.value)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise BackendError("the server's answer has a choice without a message")
    trace = message.get("reasoning_content") or message.get("reasoning") or ""
    content = message.get("content")
    if not isinstance(trace, str) or not isinstance(content, str | None):
        raise BackendError("the server's answer has content that is not text")
    finish = _finish(choice)
    # A trace that is not shown may have taken the whole limit.
    if content is None and not trace and finish == "stop":
        raise BackendError("the server's answer has no content (null)")
    if trace:
        cut = content is None and finish == "length"
        content = f"<think>{trace}" + ("" if cut else f"</think>{content or ''}")
    _check_length(content or "", limit)
    return _written(content or "", finish, answer, has_trace=bool(trace))


def read_text(answer: Answer, *, limit: int) -> Written:
    """Return the reply of at most ``limit`` tokens in an answer of ``/completions``.

    A blank line ends it.

    Raises:
        BackendError: There is no choice, it has no text, or the answer is broken as in
            ``read_chat``.
    """
    choice = choice_of(answer.value)
    text = choice.get("text")
    if not isinstance(text, str):
        raise BackendError("the server's answer has a choice without a text")
    finish = _finish(choice)
    _check_length(text, limit)
    before, stopped, _ = text.partition(PLAIN_STOP)
    return _written(before, "stop" if stopped else finish, answer, has_trace=False)


def _written(text: str, finish: Finish, answer: Answer, *, has_trace: bool) -> Written:
    usage = usage_of(answer.value)
    return Written(
        text,
        finish,
        usage.reply,
        usage.prompt,
        usage.cached,
        has_trace,
        answer.replaced,
        usage.reasoning,
        answered_by(answer.value),
    )


def _check_length(text: str, limit: int) -> None:
    if len(text) > limit * TOKEN_CHARACTERS:
        raise BackendError(
            f"the server's reply has {len(text):,} characters, more than {limit:,} tokens can hold"
        )


def read_echo(answer: Answer, *, generated: int) -> Echo:
    """Return the echo of a text; ``generated`` is the number of tokens requested after it.

    Raises:
        BackendError: There is not one number per token.
    """
    return _echoes(answer.value, [choice_of(answer.value)], generated)[0]


def read_all(answer: Answer, count: int | None, *, generated: int) -> Echoes:
    """Return the echoes of a list of so many texts, or of one text (None), and what is reported."""
    if count is None:
        found = [read_echo(answer, generated=generated)]
    else:
        found = read_echoes(answer, count, generated=generated)
    return Echoes(tuple(found), 1, usage_of(answer.value).cached, answered_by(answer.value))


def read_echoes(answer: Answer, count: int, *, generated: int) -> list[Echo]:
    """Return the echoes of so many texts of one request, in the order of the request.

    The answer may have them in any order, and names each by its ``index``.

    Raises:
        BackendError: There is not one choice per text, or not one number per token.
    """
    _check_error(answer.value)
    choices = answer.value.get("choices")
    found = choices if isinstance(choices, list) else []
    placed = {
        choice["index"]: choice
        for choice in found
        if isinstance(choice, dict) and type(choice.get("index")) is int
    }
    if len(found) != count or sorted(placed) != list(range(count)):
        raise BackendError(f"the server's answer does not have one choice per text of {count}")
    for choice in placed.values():
        _check_error(choice)
    return _echoes(answer.value, [placed[place] for place in range(count)], generated)


def _echoes(
    answer: Mapping[str, Any], choices: Sequence[Mapping[str, Any]], generated: int
) -> list[Echo]:
    lists, spelt = [], []
    for choice in choices:
        found = choice.get("logprobs")
        numbers = found.get("token_logprobs") if isinstance(found, dict) else None
        if not isinstance(numbers, list) or len(numbers) <= generated:
            raise BackendError("the server's answer has no log-probabilities of the prompt")
        tokens = found.get("tokens") if isinstance(found, dict) else None
        if isinstance(tokens, list) and len(tokens) != len(numbers):
            raise BackendError(
                f"the server's answer has {len(numbers)} log-probabilities for {len(tokens)} tokens"
            )
        lists.append(numbers)
        spelt.append(tokens)
    total, reported = sum(map(len, lists)), usage_of(answer).prompt
    size = reported if reported is not None else total - generated * len(lists)
    # The tokens after the texts are in all lists or in none, so that each text's own are known.
    if size <= 0 or total - size not in (0, generated * len(lists)):
        raise BackendError(f"the server's answer has {total} log-probabilities for {size} tokens")
    beyond = (total - size) // len(lists)
    echoes = []
    for numbers, tokens in zip(lists, spelt, strict=True):
        own = numbers[: len(numbers) - beyond]
        for place, number in enumerate(own):
            if place or number is not None:
                check_log_probability(number)
        given = isinstance(tokens, list) and all(isinstance(x, str) for x in tokens[: len(own)])
        echoes.append(Echo(own, tokens[: len(own)] if tokens and given else None))
    return echoes


def check_log_probability(number: object) -> None:
    """Refuse what cannot be a log-probability."""
    if (
        not isinstance(number, int | float)
        or isinstance(number, bool)
        or not LOWEST <= number <= ROUNDING
    ):
        raise BackendError(f"the server gave the log-probability {shown(repr(number)[:99])}")


def choice_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the one choice of an answer; BackendError if there is not one, or an error."""
    choices = answer.get("choices")
    _check_error(answer)
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        count = len(choices) if isinstance(choices, list) else "no list of"
        raise BackendError(f"the server's answer has {count} choices, not one")
    found: dict[str, Any] = choices[0]
    _check_error(found)
    return found


def _check_error(part: Mapping[str, Any]) -> None:
    """Refuse an answer or a choice with an error in it: its text is not the model's reply."""
    if part.get("error"):
        raise BackendError(
            f"the server reports an error: {excerpt(json.dumps(part['error']).encode())}"
        )


def _finish(choice: Mapping[str, Any]) -> Finish:
    """Return how the reply ended; a reason that is not known may mean that it did not."""
    why = choice.get("finish_reason")
    known = (why or "").lower() if isinstance(why, str | None) else None
    if known in LIMITED:
        return "length"
    if known in FILTERED:
        return "filtered"
    if known not in ENDED:
        raise BackendError(f"the server did not finish the reply: {shown(str(why)[:99])}")
    return "stop"


def usage_of(answer: Mapping[str, Any]) -> Usage:
    """Return the tokens that an answer reports.

    The prompt's tokens include the cached ones in OpenAI's form, and those of the reply its
    reasoning. A server that reports more cached tokens than the prompt has, or more of reasoning
    than the reply, counts them apart, so that both are added. No prompt has 0 tokens: a server that
    says so does not count.
    """
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return Usage()
    prompt, reply = _tokens(usage, "prompt_tokens"), _tokens(usage, "completion_tokens")
    cached = _detail(usage, "prompt_tokens_details", "cached_tokens")
    reasoning = _detail(usage, "completion_tokens_details", "reasoning_tokens")
    if prompt is not None and cached is not None and cached > prompt:
        prompt += cached
    if reply is not None and reasoning is not None and reasoning > reply:
        reply += reasoning
    return Usage(reply, prompt or None, cached if prompt else None, reasoning)


def answered_by(answer: Mapping[str, Any]) -> AnsweredBy:
    """Return what an answer says of the model that gave it."""
    texts = (answer.get(name) for name in ("model", "system_fingerprint"))
    return AnsweredBy(*(shown(text) if isinstance(text, str) else "" for text in texts))


def _detail(usage: Mapping[str, Any], kind: str, name: str) -> int | None:
    details = usage.get(kind)
    return _tokens(details, name) if isinstance(details, dict) else None


def _tokens(usage: Mapping[str, Any], name: str) -> int | None:
    """Return a number of tokens; None if there is none, BackendError if it is impossible."""
    count = usage.get(name)
    if isinstance(count, int | float) and not count <= MOST_TOKENS:
        raise BackendError(f"the server reports {shown(str(count)[:40])} as `{name}`")
    return count if type(count) is int and count >= 0 else None
