"""Texts as LaTeX prints them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.report.paper.escapes import UNBROKEN, breakable, escaped
from tests.report.paper.reading import HOSTILE


def test_every_sign_is_escaped() -> None:
    text = escaped(HOSTILE)
    assert r"\input{" not in text
    assert r"\textbackslash{}input\{/etc/passwd\}" in text
    assert escaped("5 %_x") == r"5 \%\_x"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Sjögren, Behçet, Ménière", r"Sj\"{o}gren, Beh\c{c}et, M\'{e}ni\`{e}re"),
        ("naïve", r"na\"{\i}ve"),
        ("e\u0301", r"\'{e}"),  # an accent of its own
        ("β₂ ≥ 5 µg", r"\ensuremath{\beta}{[}U+2082{]} \ensuremath{\geq} 5 \ensuremath{\mu}g"),
        ("Δ 中 \ud800", r"\ensuremath{\Delta} {[}U+4E2D{]} {[}U+D800{]}"),
        ("[0, 1)*", "{[}0, 1){*}"),
        ("a--b\u2013c", r"a-{}-b\textendash{}c"),
        ("a\tb\x00c\u00a0d", "a b c~d"),
    ],
)
def test_other_signs_become_commands_or_their_number(text: str, wanted: str) -> None:
    assert escaped(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("BioMistral_7B", r"BioMistral\_\allowbreak{}7B"),
        ("org/model", r"org/\allowbreak{}model"),
        ("v0.2 (95 %)", r"v0.2 (95 \%)"),  # a number is not broken
        ("ends_ here_", r"ends\_ here\_"),  # a blank and the end break by themselves
        ("abcdefghijklmnop", r"abcdefghijkl\allowbreak{}mnop"),
        ("abcdefghijkl mnop", "abcdefghijkl mnop"),
        ("smollm2-135m-instruct", "smollm2-135m-instruct"),  # LaTeX breaks after hyphens
    ],
)
def test_long_names_may_break(text: str, wanted: str) -> None:
    assert breakable(text) == wanted


@given(st.text("ab_/-:.% \\{é", max_size=40))
def test_breaks_change_nothing_else(text: str) -> None:
    broken = breakable(text)
    # Two hyphens are kept apart by braces, so that they are not a dash.
    assert broken.replace(r"\allowbreak{}", "") == escaped(text)
    words = re.split(r"\\allowbreak\{\}|[ -]", broken)
    signs = (re.sub(r"\\textbackslash\{\}|\\'\{e\}|\\.", "x", word) for word in words)
    assert all(len(word.replace("{}", "")) <= UNBROKEN for word in signs)
