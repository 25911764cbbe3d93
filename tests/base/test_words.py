"""Texts as words: what makes no difference, and what does."""

from __future__ import annotations

import pytest

from ragbench.base.words import (
    cited,
    plain,
    plain_or_whole,
    replace_surrogates,
    uncited,
    whole_characters,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Beta-blocker\n(oral)", "beta blocker oral"),
        ("beta blocker, ORAL.", "beta blocker oral"),
        ("p<.001; 4.5 % of E11.9.", "p < 001 4.5 of e11.9"),
        ("The end.Next \ufb01nding_x", "the end next finding x"),
        ("?!", ""),
        ("hyper\u00adten\u200bsion, Me\u0301nie\u0300re", "hypertension m\u00e9ni\u00e8re"),
    ],
)
def test_words(text: str, words: str) -> None:
    assert plain(text) == words


def test_a_text_without_words_is_itself() -> None:
    assert plain_or_whole(" ?! ") == "?!"
    assert plain_or_whole("Yes!") == "yes"


def test_halves_of_characters_are_replaced_and_counted() -> None:
    assert replace_surrogates("a\ud83d b\udc00\U0001f600") == ("a\ufffd b\ufffd\U0001f600", 2)


def test_halves_are_replaced_wherever_json_has_them() -> None:
    value = {"a\ud83d": ["x\udc00", {"b": "\ud83d\ud83d", "n": 1}], "c": None}
    whole = {"a\ufffd": ["x\ufffd", {"b": "\ufffd\ufffd", "n": 1}], "c": None}
    assert whole_characters(value) == (whole, 4)


@pytest.mark.parametrize(
    ("text", "numbers", "rest"),
    [
        ("A [1]", (1,), "A"),
        ("A [2][1].", (2, 1), "A."),
        ("A [1, 3], [1\u20133; 12]", (1, 3, 2, 12), "A,"),
        ("[4] says so, and [4] again", (4,), " says so, and again"),
        ("[a], (1), [1234], [], [3-1]", (), "[a], (1), [1234], [],"),
        ("", (), ""),
    ],
)
def test_citations(text: str, numbers: tuple[int, ...], rest: str) -> None:
    assert cited(text) == numbers
    assert uncited(text) == rest
