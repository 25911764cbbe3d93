"""The record types that all rooms share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, NamedTuple, get_args

# An assumed answer is not in the reply: a published harness gives it all the same.
Outcome = Literal["parsed", "assumed", "unparsed", "refused", "truncated", "error"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
DataUse = Literal["open", "restricted", "bring-your-own"]
Scoring = Literal["options", "letters", "generate"]
# The option of LongHealth that calls a question unanswerable.
UNANSWERABLE = "Question cannot be answered with provided documents"
# The option that the config key `abstain` adds to every question.
ABSTAIN = "The passages do not say"
Finish = Literal["stop", "length", "filtered"]
Mode = Literal["correct", "clue-2024", "clue-2025", "mirage"]
# How an imported answer ended if it has no reply, and if the reply before it is scored instead.
NO_REPLY, REPEATED = "none", "repeated"
# Rules of assumed answers in the mode ``mirage``.
DEFAULT_RULE, REPLY_BEFORE, ERROR_MESSAGE = "default A", "reply before", "error message"

# Probability of all letters below which the likeliest one says little about the model's answer.
LEAST_MASS = 0.01
# A grid of log-likelihoods: parts of one, the error of a server that gives four decimals, the share
# of differences that must be on it, and their least number.
GRIDS = (8, 16, 32)
GRID_ROUNDING = 1.2e-4
GRID_SHARE = 0.95
FEWEST_GAPS = 3
# Opening and closing markers of the reasoning traces of current models.
TRACES = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("<thought>", "</thought>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<unused94>", "<unused95>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)


def open_trace(text: str) -> tuple[str, str] | None:
    """Return the markers of a reasoning trace that a text leaves open; None if there is none."""
    return next((pair for pair in TRACES if text.rfind(pair[0]) > text.rfind(pair[1])), None)


def coarse_grid(questions: Iterable[Sequence[float]]) -> int | None:
    """Return the 8, 16 or 32 whose parts of one all letters of all questions are apart; else None.

    A server whose output matrix is in bfloat16 rounds logits from 16 to 32 to eighths and those
    from 8 to 16 to sixteenths, which makes many of them equal. The softmax moves all letters of a
    question by the same amount, so their differences stay on the grid, and their values do not.

    >>> coarse_grid([[-1.30, -1.425, -3.05], [-0.71, -2.085, -2.46], [-1.9, -2.15, -2.775]])
    8
    """
    apart = [
        high - low
        for values in questions
        for low, high in pairwise(sorted(values))
        if high - low > GRID_ROUNDING
    ]

    def on_grid(parts: int) -> int:
        return sum(abs(gap * parts - round(gap * parts)) <= GRID_ROUNDING * parts for gap in apart)

    if len(apart) < FEWEST_GAPS or on_grid(1) == len(apart):
        return None
    return next((parts for parts in GRIDS if on_grid(parts) >= GRID_SHARE * len(apart)), None)


def coarse_remark(grid: int) -> str:
    """Return what log-likelihoods on a grid mean, and what cures it, as the end of a sentence."""
    return (
        f"the log-likelihoods of its letters differ by multiples of 1/{grid}, as if its server "
        "rounded its logits to bfloat16, so that letters tie which the model tells apart; with "
        'vLLM, `--hf-overrides \'{"head_dtype": "float32"}\'` cures it'
    )


def small_share(share: float) -> str:
    """Return a small share in percent, such as ``0.3 %`` or ``less than 0.01 %``."""
    return "less than 0.01 %" if share < 1e-4 else f"{100 * share:.2g} %"


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrievable piece of a document; for an unchunked document, ``id`` equals ``doc_id``."""

    id: str
    doc_id: str
    title: str
    text: str
    meta: dict[str, str] = field(default_factory=dict)


class Hit(NamedTuple):
    """A retrieved passage: its row in the corpus and the retriever's own score (higher is better).

    A named tuple, because a search creates thousands and a dataclass takes four times as long.
    """

    id: str
    doc_id: str
    row: int
    score: float


@dataclass(frozen=True, slots=True)
class Query:
    """A query of a retriever.

    Attributes:
        id: The query id in TREC run files.
        text: What the retriever sees.
        cluster: The sampling unit, such as a patient; None if the query is one of its own.
    """

    id: str
    text: str
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a task: multiple choice, or with a text as its answer.

    Attributes:
        id: Unique within the task, without white space.
        text: The question as the prompt shows it.
        options: The answer texts; ties are broken in this order; empty if the answer is a text.
        answer: Index of the right option; -1 without options.
        query: The text that the retriever sees; never the options.
        gold_doc_ids: The documents with the answer, if the task knows them.
        stratum: The subset of the task that the question belongs to.
        cluster: The sampling unit, such as a patient; None if the question is one of its own.
        reference: The right answer, if it is a text.
        documents: The documents that the question is about, in the order in which a budget is
            spent on them. Only an arm puts them into the prompt.
        gold_spans: (document, start, end) of the answer in characters, if the task knows them.
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
        question: The question.
        outcome: The result of parsing the answer.
        pick: Index of the chosen option; None if there is none.
        text: The reply without its reasoning; empty if options were scored.
        log_likelihoods: One per option, if options were scored.
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
class AnsweredBy:
    """What a server says of the model that gave an answer; empty where it says nothing.

    Attributes:
        model: The model, as the answer names it.
        fingerprint: The answer's ``system_fingerprint``.
    """

    model: str = ""
    fingerprint: str = ""


NOBODY = AnsweredBy()


@dataclass(frozen=True, slots=True)
class OptionScores:
    """A model's scores of the options of one question.

    Attributes:
        log_likelihoods: Sum of the natural log-probabilities of each option's tokens.
        option_tokens: Number of tokens of each option.
        prompt_tokens: Number of tokens of the prompt.
        elapsed_s: Seconds of computation.
        requests: Requests to a server; None for one of the prompt and one per option, and for a
            model in this process.
        unlisted: Letters that a server did not list among its likeliest tokens.
        texts: Texts that the requests held; None for one each.
        cached_tokens: Tokens of all texts that a server had cached; None if it does not report it.
        by: What the server says of the model.
    """

    log_likelihoods: tuple[float, ...]
    option_tokens: tuple[int, ...]
    prompt_tokens: int
    elapsed_s: float
    requests: int | None = None
    unlisted: int = 0
    texts: int | None = None
    cached_tokens: int | None = None
    by: AnsweredBy = NOBODY


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's reply to one prompt.

    Attributes:
        text: The decoded reply with its reasoning trace, without the end-of-turn token.
        tokens: Number of generated tokens, including the end-of-turn token; None if it is unknown.
        finish: ``stop`` if the model ended its turn, ``length`` if it reached the limit,
            ``filtered`` if a server's content filter ended it.
        prompt_tokens: Number of tokens of the prompt; None if it is unknown.
        elapsed_s: Seconds of computation.
        opened: Marker of a reasoning trace that the prompt opened, so that the reply continues it.
        replaced: Halves of characters (lone surrogates) in the reply, which are U+FFFD now.
        cached_tokens: Tokens of the prompt that a server had cached; None if it does not report it.
        reasoning_tokens: Tokens of a reasoning trace, as a server reports them, shown or not.
        by: What the server says of the model.
        model_calls: Calls of language models that a pipeline announced; None for any other model.
    """

    text: str
    tokens: int | None
    finish: Finish
    prompt_tokens: int | None
    elapsed_s: float
    opened: str = ""
    replaced: int = 0
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    by: AnsweredBy = NOBODY
    model_calls: int | None = None
