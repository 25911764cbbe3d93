"""Requests for the log-probabilities of a reply's first token, and their answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragbench.base.errors import BackendError, FilteredError
from ragbench.base.records import AnsweredBy
from ragbench.models.served.completions import (
    FILTERED,
    answered_by,
    check_log_probability,
    choice_of,
    usage_of,
)
from ragbench.models.served.http import Answer, shown

TOP = 20  # the most that OpenAI and vLLM give
NUMBERED = "token_id:"  # how vLLM spells a token by its number


@dataclass(frozen=True, slots=True)
class FirstToken:
    """Natural log-probabilities of a reply's first token, as far as the server lists them.

    Attributes:
        listed: By the token's text, or by ``token_id:N``.
        ambiguous: Texts that several tokens share, so that neither number is any one token's.
        prompt_tokens: Tokens of the prompt, if the server reports them.
        cached_tokens: Those of them that the server had cached, if it reports them.
        by: What the server says of the model.
    """

    listed: Mapping[str, float]
    ambiguous: frozenset[str]
    prompt_tokens: int | None
    cached_tokens: int | None
    by: AnsweredBy

    @property
    def least(self) -> float:
        """The smallest log-probability of the list."""
        return min(self.listed.values())

    def of(self, token: str) -> float | None:
        """Return the log-probability of a token; None if the list does not have it.

        Raises:
            BackendError: Several tokens of the list have this text.
        """
        if token in self.ambiguous:
            raise BackendError(f"the server lists several tokens that are written {token!r}")
        return self.listed.get(token)


def text_wishes(numbers: Sequence[int] | None) -> dict[str, Any]:
    """Return the part of a request to ``/completions`` that asks for the first token.

    ``numbers`` are the tokens to list (vLLM's ``logprob_token_ids``); by default the likeliest.
    """
    return {"logprobs": TOP} | (_numbered(numbers) if numbers else {})


def chat_wishes(numbers: Sequence[int] | None) -> dict[str, Any]:
    """Return the same for ``/chat/completions``."""
    return {"logprobs": True, "top_logprobs": TOP} | (_numbered(numbers) if numbers else {})


def _numbered(numbers: Sequence[int]) -> dict[str, Any]:
    return {"logprob_token_ids": list(numbers), "return_tokens_as_token_ids": True}


def read_first(answer: Answer) -> FirstToken:
    """Return the log-probabilities of a reply's first token.

    Servers write them in one of two forms: an object by text (OpenAI's older form, vLLM), or a list
    of objects with ``token`` and ``logprob`` (chats, and llama.cpp everywhere).

    Raises:
        BackendError: The answer has none, or impossible ones.
        FilteredError: A content filter ended the reply.
    """
    choice = choice_of(answer.value)
    if choice.get("finish_reason") in FILTERED:
        raise FilteredError("the server's content filter ended the reply")
    found = choice.get("logprobs")
    listed: dict[str, float] = {}
    ambiguous = set()
    for token, number in _pairs(found if isinstance(found, dict) else {}):
        check_log_probability(number)
        if listed.setdefault(token, number) != number:
            ambiguous.add(token)
    if not listed:
        raise BackendError("the server's answer has no log-probabilities of the reply's tokens")
    usage, by = usage_of(answer.value), answered_by(answer.value)
    return FirstToken(listed, frozenset(ambiguous), usage.prompt, usage.cached, by)


def _pairs(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    tops = found.get("top_logprobs")
    first = tops[0] if isinstance(tops, list) and tops else None
    if isinstance(first, dict):
        yield from first.items()
        return
    content = found.get("content")
    first = content[0] if isinstance(content, list) and content else None
    members = first.get("top_logprobs") if isinstance(first, dict) else None
    for member in members if isinstance(members, list) else ():
        if not isinstance(member, dict) or not isinstance(member.get("token"), str):
            raise BackendError(f"the server lists a token as {shown(repr(member)[:99])}")
        yield member["token"], member.get("logprob")
