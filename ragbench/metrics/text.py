"""Overlap of a reply with the reference text: ROUGE, and the problems of a list."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ragbench.base.records import Answered

TOKEN = re.compile(r"[a-z0-9]+")
SEPARATORS = re.compile(r"[;,\n\u2022]|(?:^|\s)(?:[-*]|\d{1,2}[.)])\s", re.M)


def tokens(text: str) -> list[str]:
    """Return the runs of ASCII letters and digits in lower case, as Google's rouge_score does."""
    return TOKEN.findall(text.lower())


def f_measure(common: float, predicted: float, right: float) -> float:
    """Return 2PR / (P + R) of counts; 0 if none are common.

    >>> f_measure(1, 2, 1)
    0.6666666666666666
    """
    if not common:
        return 0.0
    precision, recall = common / predicted, common / right
    return 2 * precision * recall / (precision + recall)


def overlap(mine: set[str], theirs: set[str]) -> float:
    """Return the F-measure of two sets."""
    return f_measure(len(mine & theirs), len(mine), len(theirs))


def rouge_n(prediction: str, reference: str, n: int) -> float:
    """Return ROUGE-n (Lin 2004): the F-measure of clipped common n-grams, without stemming.

    >>> round(rouge_n("the cat sat", "the cat", 1), 4)
    0.8
    """
    mine, theirs = (_ngrams(tokens(text), n) for text in (prediction, reference))
    return f_measure((mine & theirs).total(), mine.total(), theirs.total())


def _ngrams(found: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(found[i:] for i in range(n)), strict=False))


def rouge_l(prediction: str, reference: str) -> float:
    """Return ROUGE-L: the F-measure of the longest common subsequence of the whole texts."""
    mine, theirs = tokens(prediction), tokens(reference)
    return f_measure(common_subsequence(mine, theirs), len(mine), len(theirs))


def common_subsequence(left: Sequence[str], right: Sequence[str]) -> int:
    """Return the length of the longest common subsequence.

    Bits replace a table (Hyyro 2004): bit i of ``row`` is 0 where the i-th token of ``left``
    increases the length.

    >>> common_subsequence("abcde", "xaxce")
    3
    """
    positions: dict[str, int] = {}
    for index, token in enumerate(left):
        positions[token] = positions.get(token, 0) | (1 << index)
    whole = (1 << len(left)) - 1
    row = whole
    for token in right:
        matches = row & positions.get(token, 0)
        row = ((row + matches) | (row - matches)) & whole
    return len(left) - row.bit_count()


def rouge1(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return ROUGE-1 of each reply."""
    return [rouge_n(a.text, a.question.reference, 1) for a in answers]


def rouge2(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return ROUGE-2 of each reply."""
    return [rouge_n(a.text, a.question.reference, 2) for a in answers]


def rougeL(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return ROUGE-L of each reply."""
    return [rouge_l(a.text, a.question.reference) for a in answers]


def exact_match(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return 1.0 if reply and reference have the same words, ignoring case and punctuation."""
    return [float(_words(a.text) == _words(a.question.reference)) for a in answers]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def problems(text: str) -> set[str]:
    """Return the members of a list of problems, without case, punctuation and repeated blanks.

    >>> sorted(problems("1. Sepsis; 2. AKI, likely pre-renal"))
    ['aki', 'likely pre renal', 'sepsis']
    """
    parts = (" ".join(_words(part)) for part in SEPARATORS.split(text))
    return {part for part in parts if part}


def problem_f1(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return the F-measure of the sets of problems of each reply and its reference."""
    return [overlap(problems(a.text), problems(a.question.reference)) for a in answers]
