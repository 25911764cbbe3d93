"""The patterns alone; test_answers and test_answer_shapes test what is read with them."""

from __future__ import annotations

import re
from string import ascii_uppercase

import pytest

from ragbench.tasks.replies import patterns


def test_plain_text_has_ascii_letters_and_no_invisible_signs() -> None:
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in ascii_uppercase)
    assert patterns.plain(wide) == ascii_uppercase
    assert patterns.plain("\ufeffB\u200b\uff1a") == "B:"
    assert patterns.plain("Caf\u00e9 \u7b54\u6848") == "Caf\u00e9 \u7b54\u6848"


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (patterns.HEDGE, " or C", "C"),
        (patterns.HEDGE, ", C", "C"),
        (patterns.HEDGE, ") oder D", "D"),
        (patterns.HEDGE, ", possibly C", "C"),
        (patterns.HEDGE, " or Crohn", None),
        (patterns.HEDGE, " because C", None),
        (patterns.LEADING, "(B) Gout", "B"),
        (patterns.LEADING, "B cells", None),
        (patterns.REVERSED, "so B is the correct answer", "B"),
        (patterns.REVERSED, "so B is not the correct answer", None),
        (patterns.IS_RIGHT, "Therefore, option B is correct.", "B"),
        (patterns.IS_RIGHT, "Option B is correct only in part", None),
        (patterns.BOXED, "\\boxed{\\text{B}}", "\\text{B}"),
        (patterns.WITH_LETTER, "Gout (B)", "Gout"),
    ],
)
def test_a_form(pattern: re.Pattern[str], text: str, found: str | None) -> None:
    match = pattern.search(text)
    assert (match[1] if match else None) == found


@pytest.mark.parametrize(
    ("rest", "denied"),
    [
        (" is wrong", True),
        (": not likely", True),
        (" isn't right", True),
        (" cannot be right", True),
        (", not C", False),
        (" is right", False),
        (" because it is not the others", False),
    ],
)
def test_denials(rest: str, denied: bool) -> None:
    assert bool(patterns.DENIED.match(rest)) == denied


def test_a_reply_is_bounded_in_length_and_in_signs_in_a_row() -> None:
    """The first and last 50,000 characters, with a line break between, and 32 signs of each end."""
    text = "a" * 60_000 + "b" * 60_000
    assert patterns.bounded(text) == "a" * 50_000 + "\n" + "b" * 50_000
    assert patterns.bounded("x" + "*" * 65 + "y") == "x" + "*" * 64 + "y"
    assert patterns.bounded("x" + "*" * 64 + "y") == "x" + "*" * 64 + "y"
    assert patterns.bounded(" " * 40 + "*" * 99) == " " * 32 + "*" * 32
    assert patterns.bounded("The answer is B.") == "The answer is B."
