"""A model whose numbers follow from a rule.

It has a small vocabulary of likely tokens and one class of all others. It may know answers to some
questions, and better ones if the prompt has the evidence.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_uppercase

TOKEN = re.compile(r" ?[A-Za-z]+| ?[0-9]|\n+| ?[^A-Za-z0-9\n]")
WORDS = (
    "Yes No The This It Is And Answer I We He She You Because If That These Both None All".split()
)
LIKELY = tuple(f"{blank}{w}" for blank in ("", " ") for w in (*ascii_uppercase[:8], *WORDS))
OTHERS = 10_000  # tokens in the class of all others, each about as likely as the next
EXACT = 64  # tokens at the end of an echoed text with exact numbers; others cost too much
BEST, GOOD = 20.0, 19.0  # logits of a known letter, and of a known answer's text


@dataclass(frozen=True)
class Fact:
    """A question and what the model answers.

    Attributes:
        question: Text by which a prompt is recognised.
        guess: The answer without evidence: a letter and the option's text.
        evidence: Text of a passage that decides the question.
        right: The answer with it.
    """

    question: str
    guess: Sequence[str]
    evidence: str
    right: Sequence[str]

    def answers(self, context: str) -> Sequence[str]:
        """Return the answer to a prompt."""
        return self.right if self.evidence in context else self.guess


def read_facts(path: Path) -> tuple[Fact, ...]:
    """Return the facts in a file of JSON lines with the fields of ``Fact``."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(Fact(**json.loads(line)) for line in lines if line.strip())


@dataclass
class RuleModel:
    """Logits of the next token by a rule.

    Attributes:
        logits: Fixed logits by token, whatever precedes; those of other tokens follow from a hash.
        others: Logit of the class of all tokens that are not ``LIKELY``.
        facts: Answers that the model knows.
    """

    logits: Mapping[str, float] = field(default_factory=dict)
    others: float = -4.0
    facts: Sequence[Fact] = ()
    _ids: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        return TOKEN.findall(text)

    def id_of(self, token: str) -> int:
        """Return a token's number."""
        with self._lock:
            return self._ids.setdefault(token, 100 + len(self._ids))

    def token_of(self, number: int) -> str:
        """Return the token with a number."""
        with self._lock:
            return next(token for token, known in self._ids.items() if known == number)

    def next_token(self, context: str) -> dict[str, float]:
        """Return the log-probability of every likely token after a context."""
        logits = {token: self._logit(context, token) for token in LIKELY}
        logits |= dict(self._known(context))
        total = math.log(sum(map(math.exp, [*logits.values(), self.others])))
        return {token: logit - total for token, logit in logits.items()}

    def log_probability(self, context: str, token: str) -> float:
        """Return the log-probability of any token after a context."""
        likely = self.next_token(context)
        if token in likely:
            return likely[token]
        rest = 1.0 - sum(map(math.exp, likely.values()))
        return math.log(max(rest, 1e-12) / (OTHERS + 100 * len(token)))

    def _logit(self, context: str, token: str) -> float:
        if token in self.logits:
            return self.logits[token]
        digest = hashlib.sha256(f"{context}\0{token}".encode()).digest()
        return 6.0 * int.from_bytes(digest[:6], "big") / 2.0**48

    def _known(self, context: str) -> Iterator[tuple[str, float]]:
        """Yield the tokens that start or continue the answer to the context's last question."""
        asked = [(context.rfind(fact.question), fact) for fact in self.facts]
        place, last = max(asked, key=lambda pair: pair[0], default=(-1, None))
        if last is None or place < 0:
            return
        end = self.tokens(context[-256:])
        for answer in last.answers(context):
            for tokens in (self.tokens(answer), self.tokens(f" {answer}")):
                sizes = (n for n in range(len(tokens) - 1, 0, -1) if end[-n:] == tokens[:n])
                yield tokens[next(sizes, 0)], BEST if len(answer) == 1 else GOOD

    def top(self, context: str, count: int) -> list[tuple[str, float]]:
        """Return the likeliest tokens after a context, the likeliest first."""
        ranked = sorted(self.next_token(context).items(), key=lambda pair: (-pair[1], pair[0]))
        return ranked[:count]

    def echoed(self, text: str) -> tuple[list[str], list[float | None]]:
        """Return a text's tokens and their log-probabilities; None for the first."""
        tokens = self.tokens(text)
        numbers: list[float | None] = [None]
        for place in range(1, len(tokens)):
            if place < len(tokens) - EXACT:
                numbers.append(-1.0 - len(tokens[place]) / 8)
            else:
                numbers.append(self.log_probability("".join(tokens[:place]), tokens[place]))
        return tokens, numbers

    def write(self, context: str, limit: int) -> str:
        """Return the one greedy token of a reply that then ends."""
        return self.top(context, 1)[0][0] if limit else ""


def templated(turns: Sequence[Mapping[str, str]], *, continued: bool = False) -> str:
    """Return turns in the vendors' chat template; a continued last turn stays open."""
    text = "".join(f"[{turn['role']}]\n{turn['content']}\n" for turn in turns)
    return text.removesuffix("\n") if continued else f"{text}[assistant]\n"
