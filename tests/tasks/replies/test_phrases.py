"""The forms alone; what the reader makes of them is in test_answers and test_answer_shapes."""

from __future__ import annotations

import re
from string import ascii_uppercase

import pytest

from ragbench.tasks.replies import phrases


def test_plain_text_has_ascii_letters_and_no_invisible_signs() -> None:
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in ascii_uppercase)
    assert phrases.plain(wide) == ascii_uppercase
    assert phrases.plain("\ufeffB\u200b\uff1a") == "B:"
    assert phrases.plain("Caf\u00e9 \u7b54\u6848") == "Caf\u00e9 \u7b54\u6848"


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (phrases.HEDGE, " or C", "C"),
        (phrases.HEDGE, ", C", "C"),
        (phrases.HEDGE, ") oder D", "D"),
        (phrases.HEDGE, ", possibly C", "C"),
        (phrases.HEDGE, " or Crohn", None),
        (phrases.HEDGE, " because C", None),
        (phrases.LEADING, "(B) Gout", "B"),
        (phrases.LEADING, "B cells", None),
        (phrases.REVERSED, "so B is the correct answer", "B"),
        (phrases.REVERSED, "so B is not the correct answer", None),
        (phrases.IS_RIGHT, "Therefore, option B is correct.", "B"),
        (phrases.IS_RIGHT, "Option B is correct only in part", None),
        (phrases.BOXED, "\\boxed{\\text{B}}", "\\text{B}"),
        (phrases.WITH_LETTER, "Gout (B)", "Gout"),
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
    assert bool(phrases.DENIED.match(rest)) == denied
