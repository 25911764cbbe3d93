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
from ragbench.base.records import Finish
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
    """

    text: str
    finish: Finish
    tokens: int | None
    prompt_tokens: int | None
    cached_tokens: int | None
    has_trace: bool = False
    replaced: int = 0


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


def echo_request(model: str, text: str, limit: int) -> dict[str, Any]:
    """Return the request for the log-probabilities of a text's own tokens."""
    body = {"model": model, "prompt": text, "max_tokens": limit, "echo": True, "logprobs": 1}
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
    counts = usage_of(answer.value)
    return Written(content or "", finish, *counts, bool(trace), answer.replaced)


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
    usage = usage_of(answer.value)
    ending: Finish = "stop" if stopped else finish
    return Written(before, ending, *usage, replaced=answer.replaced)


def _check_length(text: str, limit: int) -> None:
    if len(text) > limit * TOKEN_CHARACTERS:
        raise BackendError(
            f"the server's reply has {len(text):,} characters, more than {limit:,} tokens can hold"
        )


def read_echo(answer: Answer, *, generated: int) -> list[float | None]:
    """Return the natural log-probability of every token sent; None for the first.

    ``generated`` is the number of tokens requested after the text.

    Raises:
        BackendError: There is not one number per token.
    """
    found = choice_of(answer.value).get("logprobs")
    numbers = found.get("token_logprobs") if isinstance(found, dict) else None
    if not isinstance(numbers, list) or len(numbers) <= generated:
        raise BackendError("the server's answer has no log-probabilities of the prompt")
    tokens = found.get("tokens") if isinstance(found, dict) else None
    if isinstance(tokens, list) and len(tokens) != len(numbers):
        raise BackendError(
            f"the server's answer has {len(numbers)} log-probabilities for {len(tokens)} tokens"
        )
    reported = usage_of(answer.value)[1]
    size = reported if reported is not None else len(numbers) - generated
    if not 0 < size <= len(numbers) <= size + generated:
        raise BackendError(
            f"the server's answer has {len(numbers)} log-probabilities for {size} tokens"
        )
    for place, number in enumerate(numbers[:size]):
        if place or number is not None:
            check_log_probability(number)
    return numbers[:size]


def check_log_probability(number: object) -> None:
    """Refuse what cannot be a log-probability."""
    if (
        not isinstance(number, int | float)
        or isinstance(number, bool)
        or not LOWEST <= number <= ROUNDING
    ):
        raise BackendError(f"the server gave the log-probability {shown(repr(number)[:99])}")


def read_tokens(answer: Mapping[str, Any], size: int) -> list[str] | None:
    """Return the first ``size`` tokens of a text sent, in the server's own spelling.

    None if the server does not give them; a token in two spellings is two tokens here.
    """
    found = choice_of(answer).get("logprobs")
    tokens = found.get("tokens") if isinstance(found, dict) else None
    if not isinstance(tokens, list) or len(tokens) < size:
        return None
    return tokens[:size] if all(isinstance(token, str) for token in tokens) else None


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


def usage_of(answer: Mapping[str, Any]) -> tuple[int | None, int | None, int | None]:
    """Return the reported tokens of reply and prompt, and the cached ones of the prompt."""
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return None, None, None
    prompt, details = _tokens(usage, "prompt_tokens"), usage.get("prompt_tokens_details")
    cached = _tokens(details, "cached_tokens") if isinstance(details, dict) else None
    if cached is not None and cached > (prompt or 0):
        cached = None
    return _tokens(usage, "completion_tokens"), prompt, cached


def _tokens(usage: Mapping[str, Any], name: str) -> int | None:
    """Return a number of tokens; None if there is none, BackendError if it is impossible."""
    count = usage.get(name)
    if isinstance(count, int | float) and not count <= MOST_TOKENS:
        raise BackendError(f"the server reports {shown(str(count)[:40])} as `{name}`")
    return count if type(count) is int and count >= 0 else None
