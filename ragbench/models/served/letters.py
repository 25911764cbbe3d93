"""Letters scored by one request: the log-probabilities of the token that would start the reply.

Four ways, in the order in which they are tried: vLLM's ``logprob_token_ids``, which is exact; the
likeliest tokens of ``/completions``; those of ``/chat/completions``; and the text echoed with each
letter, which takes a request per letter and one more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Literal, get_args

from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import BackendError, PrerequisiteError
from ragbench.base.records import OptionScores
from ragbench.models.rendering import Turn
from ragbench.models.served.asking import Asker
from ragbench.models.served.counting import TokenCounter
from ragbench.models.served.firsttoken import NUMBERED, FirstToken

Way = Literal["logprob_token_ids", "completions", "chat", "echo"]
WAYS: tuple[Way, ...] = get_args(Way)
BY_NUMBER, BY_TEXT, BY_CHAT, BY_ECHO = WAYS
PROBED = 5  # letters of a check
TAIL = 64  # characters that a token may depend on
FEWEST = 2  # tokens of a list from which something can be picked


@dataclass(frozen=True, slots=True)
class Asking:
    """One prompt in the forms that a server may take.

    Attributes:
        turns: The turns of a chat; None for a plain prompt.
        reply_start: Beginning of the reply of a chat.
        head: The prompt as one text; None for a chat whose template is not known.
        blank: What is written between that text and a letter.
        date_string: The date for the server's chat template.
    """

    turns: tuple[Turn, ...] | None
    reply_start: str
    head: str | None
    blank: str
    date_string: str = ""


class _TemplateMissing(PrerequisiteError):
    """The servers echo, and only the model's chat template is missing."""


def are_letters(options: Sequence[str]) -> bool:
    """Say whether options are the first letters of the alphabet."""
    return tuple(options) == tuple(ascii_uppercase[: len(options)])


class LetterScorer:
    """Scores letters in the best way that every server of a model has.

    Args:
        asker: Asks the servers.
        counter: Knows the tokens, if the model has a tokenizer.
        echo: Scores options by echo.
        where: Place in the config, for messages.
    """

    def __init__(
        self,
        asker: Asker,
        counter: TokenCounter,
        echo: Callable[[Asking, Sequence[str]], OptionScores],
        *,
        where: str,
    ) -> None:
        self._asker = asker
        self._counter = counter
        self._echo = echo
        self._where = where
        self._ids: dict[tuple[str, str], tuple[int, ...] | None] = {}
        self.way: Way | None = None
        self.has_echo = False

    @property
    def rule(self) -> str | None:
        """The way and what is done for letters that the server does not list; None if not chosen.

        It is part of the model's identity.
        """
        if self.way in (BY_TEXT, BY_CHAT):
            return f"{self.way}, then echo" if self.has_echo else f"{self.way} alone"
        return self.way

    def choose(self, probe: Asking, wanted: Way | None) -> None:
        """Choose the way by requests without any text of a task.

        Args:
            probe: A prompt as those of the tasks are, without any text of a task.
            wanted: The one way that may be chosen; None tries all.

        Raises:
            PrerequisiteError: The servers have none; the message says why for each.
        """
        whys: list[str] = []
        needs_template = False
        for way in WAYS if wanted is None else (wanted,):
            try:
                self._check(way, probe)
            except (BackendError, PrerequisiteError) as error:
                whys.append(f"{way}: {error.what}")
                needs_template |= isinstance(error, _TemplateMissing)
                continue
            self.way = way
            self.has_echo = way == BY_ECHO or (way == BY_TEXT and self._echoes(probe))
            return
        raise PrerequisiteError(
            "the server does not score letters: " + "; ".join(whys),
            where=self._where,
            fix=("give the model's `tokenizer`, " if needs_template else "")
            + "write `scoring: generate`, or use a server that reports log-probabilities, such as "
            "vLLM or llama.cpp",
        )

    def _echoes(self, probe: Asking) -> bool:
        try:
            self._check(BY_ECHO, probe)
        except (BackendError, PrerequisiteError):
            return False
        return True

    def _check(self, way: Way, probe: Asking) -> None:
        if way == BY_ECHO:
            self._asker.check_echo()
            if probe.head is None:
                raise _TemplateMissing(
                    "options of a chat are scored as a text in the model's chat template, which "
                    "is missing; give the model's `tokenizer`"
                )
            return
        options = tuple(ascii_uppercase[:PROBED])
        numbers = self._numbers(probe, options) if way == BY_NUMBER else None
        if way == BY_NUMBER and not numbers:
            raise BackendError("the letters are not one token each, or their tokens are not known")
        for endpoint in self._asker.endpoints:
            first = self._first(way, probe, numbers, endpoint)
            if way == BY_NUMBER:
                _all_of(first, numbers or ())
                if len(first.listed) > len(options) + 1:  # the likeliest, whatever was asked for
                    raise BackendError("the server lists other tokens than those asked for")
            elif len(first.listed) < PROBED or len(set(first.listed.values())) < FEWEST:
                raise BackendError(
                    f"the server lists {len(first.listed)} tokens with "
                    f"{len(set(first.listed.values()))} different log-probabilities"
                )

    def _first(
        self,
        way: Way,
        asking: Asking,
        numbers: Sequence[int] | None,
        endpoint: Endpoint | None = None,
    ) -> FirstToken:
        if asking.head is not None and way != BY_CHAT:
            return self._asker.first_of_text(self._split(asking)[0], numbers, endpoint)
        if asking.turns is None or way == BY_TEXT:
            raise BackendError("the prompt is not a chat" if way == BY_CHAT else "no known text")
        return self._asker.first_of_chat(
            asking.turns, asking.reply_start, numbers, endpoint, date_string=asking.date_string
        )

    def score(self, asking: Asking, options: Sequence[str]) -> OptionScores:
        """Return the log-likelihood of each letter, without the seconds.

        Letters of more than one token are scored by echo. So is a letter that the server does not
        list, where it can echo. Elsewhere its number is just below the smallest of the list, which
        bounds it: the pick is right all the same if a letter is in the list.

        Raises:
            BackendError: A server failed, or lists no letter.
        """
        if self.way is None or self.way == BY_ECHO:
            return self._echo(asking, options)
        numbers = self._numbers(asking, options) if self.way != BY_CHAT else None
        if numbers == []:
            if self.has_echo:
                return self._echo(asking, options)
            raise BackendError("the letters are not one token each after this prompt")
        if self.way == BY_NUMBER:
            first = self._first(self.way, asking, numbers)
            return self._scores(asking, first, _all_of(first, numbers or ()))
        first = self._first(self.way, asking, None)
        blank = self._split(asking)[1]
        found = {option: first.of(blank + option) for option in options}
        missing = [option for option, number in found.items() if number is None]
        others = dict.fromkeys(missing, math.nextafter(first.least, -math.inf))
        echoed: OptionScores | None = None
        if missing and self.has_echo:
            echoed = self._echo(asking, missing)
            others = dict(zip(missing, echoed.log_likelihoods, strict=True))
        elif len(missing) == len(options):
            raise BackendError(
                f"none of the letters is among the {len(first.listed)} likeliest tokens that the "
                "server lists",
                fix="write `scoring: generate`",
            )
        known = {option: number for option, number in found.items() if number is not None}
        scores = self._scores(asking, first, [(known | others)[option] for option in options])
        scores = replace(scores, unlisted=len(missing))
        if echoed is None:
            return scores
        texts = len(missing) + 1
        cached = [n for n in (scores.cached_tokens, echoed.cached_tokens) if n is not None]
        return replace(
            scores,
            requests=1 + (echoed.requests or texts),
            texts=None if echoed.requests is None else 1 + texts,
            cached_tokens=sum(cached) if cached else None,
        )

    def _scores(self, asking: Asking, first: FirstToken, numbers: Sequence[float]) -> OptionScores:
        size = first.prompt_tokens
        if size is None:
            turns = " ".join(turn["content"] for turn in asking.turns or ())
            size = self._counter.count(turns if asking.head is None else asking.head)
        return OptionScores(
            tuple(numbers),
            (1,) * len(numbers),
            size,
            0.0,
            requests=1,
            cached_tokens=first.cached_tokens,
            by=first.by,
        )

    def _split(self, asking: Asking) -> tuple[str, str]:
        """Return the text of a prompt without its last blank, and what precedes a letter.

        A blank is part of the token that follows it.
        """
        head, blank = asking.head or "", asking.blank if asking.head is not None else ""
        return (head[:-1], " ") if not blank and head.endswith(" ") else (head, blank)

    def _numbers(self, asking: Asking, options: Sequence[str]) -> list[int] | None:
        """Return the token of each letter after a prompt, as a local model reads both together.

        The tokens are those of the tokenizer or else the server's, and depend on the prompt's last
        line alone, which is the same for every question. Empty if a letter is not one token; None
        if they are not known.
        """
        head, blank = self._split(asking)
        found: list[int] = []
        for option in options:
            key = (_last_line(head) or asking.reply_start, blank + option)
            if key not in self._ids:
                self._ids[key] = self._added(asking, *key)
            added = self._ids[key]
            if added is None:
                return None
            found += added if len(added) == 1 else ()
        return found if len(set(found)) == len(options) else []

    def _added(self, asking: Asking, head: str, added: str) -> tuple[int, ...] | None:
        """Return the tokens that a text adds to another; None if they are not known."""
        texts = [head, head + added]
        if asking.head is None:
            ids = self._asker.ids_of_replies(texts)
        else:
            ids = self._counter.ids(texts) or self._asker.ids_of_texts(texts)
        if not ids:
            return None
        alone, whole = ids
        return tuple(whole[len(alone) :]) if whole[: len(alone)] == alone else ()


def _last_line(text: str) -> str:
    """Return the last line of a text with its line break, or the end of a long one."""
    end = text[-TAIL:]
    return end[end.rstrip("\n").rfind("\n") + 1 :]


def _all_of(first: FirstToken, numbers: Sequence[int]) -> list[float]:
    found = [first.of(f"{NUMBERED}{number}") for number in numbers]
    known = [number for number in found if number is not None]
    if not known or len(known) < len(found):
        raise BackendError(
            f"the server gives {len(known)} of the {len(found)} log-probabilities that were "
            "asked for"
        )
    return known
