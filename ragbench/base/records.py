"""The record types that every part speaks in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Outcome = Literal["parsed", "unparsed", "refused", "truncated", "error"]
DataUse = Literal["open", "restricted", "bring-your-own"]
Scoring = Literal["options", "letters", "generate"]
# The option of LongHealth that calls a question unanswerable.
UNANSWERABLE = "Question cannot be answered with provided documents"
Mode = Literal["correct", "clue-2024", "clue-2025", "mirage"]


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrievable piece of a document; an unchunked document has its doc id as its id."""

    id: str
    doc_id: str
    title: str
    text: str
    meta: dict[str, str] = field(default_factory=dict)


class Hit(NamedTuple):
    """A retrieved passage: its row in the corpus and the retriever's own score (higher first).

    A named tuple, since a search makes thousands and a dataclass takes four times as long to make.
    """

    id: str
    doc_id: str
    row: int
    score: float


@dataclass(frozen=True, slots=True)
class Query:
    """What a retriever is asked, under the id that its TREC run lines carry."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a task: multiple choice, or one whose answer is a text.

    Attributes:
        id: Unique within the task, without white space.
        text: The question as the prompt shows it.
        options: The answer texts, in the order in which ties are broken; none where the answer
            is a text.
        answer: Index of the right option; -1 where there are none.
        query: What the retriever sees; never the options.
        gold_doc_ids: The documents that hold the answer, where the task knows them.
        stratum: The part of the task that the question belongs to.
        cluster: The unit that questions are drawn by; None where each stands alone.
        reference: The right answer where it is a text.
        documents: The documents that the question is about, in the order in which a budget is
            spent on them; a task that has any shows them in no prompt of its own.
        gold_spans: (document, start, end) in characters, where the task knows the answer's place.
    """

    id: str
    text: str
    options: tuple[str, ...]
    answer: int
    query: str
    gold_doc_ids: tuple[str, ...] = ()
    stratum: str = ""
    cluster: str | None = None
    reference: str = ""
    documents: tuple[str, ...] = ()
    gold_spans: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """One answered question, as metrics see it.

    Attributes:
        question: What was asked.
        outcome: How the answer was read.
        pick: Index of the chosen option; None if there is none.
        text: The reply without its reasoning; empty where options were scored.
        log_likelihoods: Of each option, where options were scored.
    """

    question: Question
    outcome: Outcome
    pick: int | None
    text: str = ""
    log_likelihoods: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat prompt."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class OptionScores:
    """What a model says of each option of one question.

    Attributes:
        log_likelihoods: Sum of the natural log-probabilities of each option's tokens.
        option_tokens: How many tokens each option has.
        prompt_tokens: How many tokens the prompt has.
        elapsed_s: Seconds that the model took.
    """

    log_likelihoods: tuple[float, ...]
    option_tokens: tuple[int, ...]
    prompt_tokens: int
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model wrote as its reply to one prompt.

    Attributes:
        text: The reply as decoded, reasoning trace included, the end-of-turn token not.
        tokens: How many tokens were generated, the end-of-turn token included.
        finish: ``stop`` where the model ended its turn, ``length`` where the limit did.
        prompt_tokens: How many tokens the prompt has.
        elapsed_s: Seconds that the model took.
    """

    text: str
    tokens: int
    finish: Literal["stop", "length"]
    prompt_tokens: int
    elapsed_s: float
