"""A model without weights, for tests and for dry runs of a config.

It reads the rendered prompt like any model, and answers from a table, or by a rule for prompts
without an entry. Answers depend only on the prompt, the seed and the table.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from ragbench.base import home
from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import BackendError, DataError, PrerequisiteError
from ragbench.base.files import read_jsonl, sha256_json, sha256_text
from ragbench.base.modelfacts import ModelFacts
from ragbench.base.records import Message, OptionScores, Reply
from ragbench.base.yamlfile import Fields
from ragbench.models.model import OneByOne
from ragbench.models.rendering import USUAL_CONTROL, plain_text, turns_of
from ragbench.models.spec import BackendOptions, ModelSpec

VERSION = 1  # raised when a changed rule changes answers
HEADING = "Reference passages:\n\n"  # above the passages of a prompt
ENTRY = re.compile(r"^\[\d+\](?: (.*))?$", re.MULTILINE)
LISTED = re.compile(r"^([A-Z])\. (.+)$", re.MULTILINE)
TOKEN = re.compile(r"\w+|[^\w\s]")
WORD = re.compile(r"\w+(?:\.\w+)*")
SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
END = "<|end|>\n"
NOISE = 0.25  # share of randomness in the rule `overlap`


class Line(Fields):
    """One entry of the table: the prompts that it answers, and the answer.

    Attributes:
        prompt: SHA-256 of a rendered prompt.
        contains: Text in the prompt, such as the question.
        matches: Regular expression that matches in the prompt.
        reply: Generated reply.
        log_likelihoods: One log-likelihood per option, in their order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str | None = None
    contains: str | None = None
    matches: str | None = None
    reply: str | None = None
    log_likelihoods: tuple[float, ...] | None = None

    @field_validator("log_likelihoods")
    @classmethod
    def _are_logarithms(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and not all(float("-inf") < number <= 0 for number in value):
            raise ValueError("a log-likelihood is a finite number of at most 0")
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> Line:
        if sum(key is not None for key in (self.prompt, self.contains, self.matches)) != 1:
            raise ValueError("an entry has one of `prompt`, `contains` and `matches`")
        if self.reply is None and self.log_likelihoods is None:
            raise ValueError("an entry has a `reply`, `log_likelihoods` or both")
        _expression(self.matches)
        return self

    def answers(self, prompt: str) -> bool:
        """Say whether the entry is for a prompt."""
        if self.prompt is not None:
            return self.prompt == sha256_text(prompt)
        if self.contains is not None:
            return self.contains in prompt
        return re.search(self.matches or "", prompt) is not None


class ScriptedOptions(BackendOptions):
    """Keys of the backend ``scripted``; the last five change no answer.

    Attributes:
        replies: The table: entries, or a JSONL file of entries relative to RAGBENCH_HOME.
        rule: Rule for prompts without an entry.
        seed: Seed of the rule.
        letter: Answer of ``rule: letter``.
        context: Maximum tokens of a prompt with its reply.
        concurrency: Number of prompts in flight.
        delay_s: Seconds per call.
        fail_every: Every call with a multiple of this number fails, counted per process.
        fail_on: A prompt that matches this regular expression fails.
        calls: File, relative to RAGBENCH_HOME, that gets one JSON line per call.
    """

    replies: str | tuple[Line, ...] | None = None
    rule: Literal["hash", "overlap", "letter"] = "hash"
    seed: int = 0
    letter: str = Field("A", pattern="^[A-Z]$")
    context: int = Field(8192, gt=0)
    concurrency: int = Field(1, gt=0, le=256, exclude=True)
    delay_s: float = Field(0.0, ge=0, le=3600, exclude=True)
    fail_every: int | None = Field(None, gt=0, exclude=True)
    fail_on: str | None = Field(None, exclude=True)
    calls: str | None = Field(None, exclude=True)

    @field_validator("fail_on")
    @classmethod
    def _is_expression(cls, value: str | None) -> str | None:
        return _expression(value)

    @field_validator("calls")
    @classmethod
    def _stays_inside(cls, value: str | None) -> str | None:
        path = Path(value or "calls")
        if path.is_absolute() or ".." in path.parts or path.parts[0].startswith("~"):
            raise ValueError("the file is given relative to RAGBENCH_HOME and stays inside it")
        return value

    @property
    def stated_context(self) -> int:
        """Context in tokens."""
        return self.context


def _expression(value: str | None) -> str | None:
    try:
        re.compile(value or "")
    except re.error as error:
        raise ValueError(f"the regular expression is invalid: {error}") from None
    return value


class ScriptedModel(OneByOne):
    """Answers from a table and by a rule; ``format: auto`` is chat.

    Raises:
        PrerequisiteError: The file of the table is missing.
        DataError: A line of the table is wrong.
    """

    Options: ClassVar[type[BackendOptions]] = ScriptedOptions

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.options = spec.read(ScriptedOptions)
        self.is_chat = spec.format != "plain"
        self.concurrency = self.options.concurrency
        self.context_tokens = self.options.context
        self.calls = 0
        self._lock = Lock()
        self._table = _table(self.options.replies, where=f"models: {spec.name}: replies")

    @classmethod
    def sends_to(cls, options: ScriptedOptions) -> tuple[Endpoint, ...]:
        """Return no endpoint: the model runs in this process."""
        return ()

    def digest(self) -> str:
        """Return the identity of table, rule, seed and prompt format."""
        return sha256_json({"scripted": self._identity(), "format": self.prompt_format})

    def _identity(self) -> dict[str, Any]:
        options = self.options
        return {
            "version": VERSION,
            "rule": options.rule,
            **({"letter": options.letter} if options.rule == "letter" else {}),
            "seed": options.seed,
            "replies": [line.model_dump() for line in self._table],
        }

    def facts(self) -> ModelFacts:
        """Return the facts that the run folder records."""
        return ModelFacts(
            digest=self.digest(),
            weights=f"none; scripted:{sha256_json(self._identity())}",
            dtype="scripted",
            device="none",
            format=self.prompt_format,
            context_tokens=self.context_tokens,
            parameters=0,
        )

    def render(self, messages: Sequence[Message]) -> str:
        """Return the prompt: turns between visible marks for a chat, else the plain format.

        Control tokens of the usual families in a content are broken by a blank.
        """
        turns, reply_start = turns_of(messages, USUAL_CONTROL)
        if not self.is_chat:
            return plain_text(turns, reply_start)
        parts = [f"<|{turn['role']}|>\n{turn['content']}{END}" for turn in turns]
        return "".join([*parts, "<|assistant|>\n", reply_start])

    def count_tokens(self, text: str) -> int:
        """Return the number of words and other characters, without white space."""
        return len(TOKEN.findall(text))

    def release(self) -> None:
        """Do nothing: there are no weights."""

    def score_options(self, prompt: str, options: Sequence[str]) -> OptionScores:
        """Return the log-likelihoods of the table or of the rule.

        The rule costs an option from 0.1 to 1.1 per character, as picks compare sums divided by
        length.

        Raises:
            BackendError: The call fails on purpose, or the table has another number of options.
        """
        started = time.perf_counter()
        self._call("score", prompt)
        found = [e.log_likelihoods for e in self._table if e.log_likelihoods and e.answers(prompt)]
        if found and len(found[0]) != len(options):
            raise BackendError(
                f"the table of {self.spec.name} has {len(found[0])} log-likelihoods for "
                f"{len(options)} options",
                fix="give the entry one per option",
            )
        values = self._values(prompt, options)
        sums = [-max(len(o), 1) * (1.1 - v) for o, v in zip(options, values, strict=True)]
        return OptionScores(
            log_likelihoods=found[0] if found else tuple(sums),
            option_tokens=tuple(self.count_tokens(option) for option in options),
            prompt_tokens=self.count_tokens(prompt),
            elapsed_s=time.perf_counter() - started,
        )

    def generate(self, prompt: str, *, limit: int) -> Reply:
        """Return the reply of the table or of the rule, cut to the limit.

        Raises:
            BackendError: The call fails on purpose.
        """
        started = time.perf_counter()
        self._call("generate", prompt)
        table = (e.reply for e in self._table if e.reply is not None and e.answers(prompt))
        text = next(table, None)
        if text is None:
            text = self._reply(prompt)
        tokens = list(TOKEN.finditer(text))
        if len(tokens) > limit:
            text = text[: tokens[limit - 1].end()]
        return Reply(
            text=text,
            tokens=min(len(tokens), limit),
            finish="length" if len(tokens) > limit else "stop",
            prompt_tokens=self.count_tokens(prompt),
            elapsed_s=time.perf_counter() - started,
        )

    def _values(self, prompt: str, options: Sequence[str]) -> list[float]:
        """Return how much the rule favours each option, from 0 to 1."""
        chance = [_unit(self.options.seed, prompt, option) for option in options]
        if self.options.rule == "hash":
            return chance
        if self.options.rule == "letter":
            chosen = min(ord(self.options.letter) - ord("A"), len(options) - 1)
            return [1.0 if place == chosen else v / 2 for place, v in enumerate(chance)]
        read = _read(prompt)
        texts = [read.listed.get(option, option) for option in options]
        return [
            (1 - NOISE) * read.support(text) + NOISE * v
            for text, v in zip(texts, chance, strict=True)
        ]

    def _reply(self, prompt: str) -> str:
        """Return the rule's reply: a letter if options are listed, else a sentence."""
        read = _read(prompt)
        if self.options.rule == "letter":
            return f"The answer is {self.options.letter}."
        if read.listed:
            letters = list(read.listed)
            values = self._values(prompt, letters)
            return f"The answer is {letters[values.index(max(values))]}."
        if self.options.rule == "overlap" and read.passages:
            sentences = [s for passage in read.passages for s in SENTENCE.split(passage) if s]
            asked = _words(read.question)
            return max(sentences, key=lambda s: len(asked & _words(s)), default="")
        sentences = [s for s in SENTENCE.split(read.question) if s]
        return max(sentences, key=lambda s: _unit(self.options.seed, prompt, s), default="")

    def _call(self, kind: str, prompt: str) -> None:
        """Count and log a call, wait, and fail if configured."""
        options = self.options
        with self._lock:
            self.calls += 1
            number = self.calls
        if options.calls is not None:
            line = {"model": self.spec.name, "call": kind, "prompt": sha256_text(prompt)}
            _append(home.home() / options.calls, json.dumps(line) + "\n")
        time.sleep(options.delay_s)
        every = options.fail_every is not None and number % options.fail_every == 0
        if every or (options.fail_on is not None and re.search(options.fail_on, prompt)):
            raise BackendError(
                f"{self.spec.name} fails on purpose (call {number})",
                fix="remove fail_every and fail_on from the model",
            )


@dataclass(frozen=True, slots=True)
class _Read:
    """A prompt as the rule reads it: passages, the question, and its options by letter."""

    passages: list[str]
    question: str
    listed: dict[str, str]

    def support(self, option: str) -> float:
        """Return how well the passages support an option, from 0 to 1.

        Per passage: the share of the option's words in the passage, times the number of the
        question's words in it relative to the passage with most of them.
        """
        mine, asked = _words(option), _words(self.question)
        held = [_words(passage) for passage in self.passages]
        most = max((len(asked & words) for words in held), default=0)
        if not mine or not most:
            return 0.0
        return max(len(mine & w) / len(mine) * len(asked & w) / most for w in held)


def _read(prompt: str) -> _Read:
    """Return the parts of a prompt; the last passage ends with its first paragraph."""
    last = prompt.rpartition("<|user|>\n")[2]
    _, heading, block = last.rpartition(HEADING)
    passages, rest = [], last
    starts = list(ENTRY.finditer(block)) if heading else []
    for place, start in enumerate(starts):
        end = starts[place + 1].start() if place + 1 < len(starts) else len(block)
        text = block[start.end() : end].strip("\n")
        if end == len(block):
            text, _, rest = text.partition("\n\n")
        passages.append(f"{start[1] or ''}\n{text}".strip())
    rest = rest.partition(END)[0]
    found = LISTED.findall(rest)
    first = max((i for i, (letter, _) in enumerate(found) if letter == "A"), default=len(found))
    return _Read(passages, LISTED.sub("", rest), dict(found[first:]))


def _words(text: str) -> set[str]:
    return set(WORD.findall(text.casefold()))


def _unit(seed: int, prompt: str, option: str) -> float:
    """Return a pseudo-random number from 0 to 1 that depends on all three."""
    digest = sha256(json.dumps([seed, prompt, option]).encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _table(replies: str | tuple[Line, ...] | None, *, where: str) -> tuple[Line, ...]:
    if not isinstance(replies, str):
        return replies or ()
    path = home.home() / home.expand(replies)
    if not path.is_file():
        raise PrerequisiteError(
            f"the table of replies {str(path)!r} is missing",
            where=where,
            fix="give a JSONL file, relative to RAGBENCH_HOME",
        )
    found = []
    for number, line in read_jsonl(path):
        try:
            found.append(Line.model_validate(line))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(map(str, first["loc"]))
            raise DataError(
                f"the entry is wrong: {first['msg'].removeprefix('Value error, ')}",
                where=f"{path}:{number}" + (f" ({key})" if key else ""),
                fix="write {contains, reply} or {contains, log_likelihoods}",
            ) from None
    return tuple(found)


def _append(path: Path, line: str) -> None:
    """Append a line in one write, so that the lines of several processes do not mix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, line.encode("utf-8"))
    finally:
        os.close(handle)
