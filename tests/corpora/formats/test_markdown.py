"""Markdown: metadata before the text is no text, and exponents are kept."""

from __future__ import annotations

import pytest

from ragbench.corpora.formats.markdown import read_markdown


@pytest.mark.parametrize(
    "front",
    [
        "---\ntitle: Gout\nauthors: [Ann, Bo]\nyear: 2024\ndraft: false\ndate: 2024-05-01\n---\n",
        'title = "Gout"\nauthors = ["Ann", "Bo"]\nyear = 2024\ndraft = false\ndate = 2024-05-01\n',
    ],
)
def test_front_matter_is_metadata(front: str) -> None:
    front = front if front[0] == "-" else f"+++\n{front}+++\n"
    title, text, meta = read_markdown(f"{front}\n# Uric acid\n\nPain.\n")
    assert (title, text) == ("Gout", "\n# Uric acid\n\nPain.\n")
    assert meta == {
        "authors": "Ann; Bo",
        "year": "2024",
        "draft": "false",
        "date": "2024-05-01",
    }


@pytest.mark.parametrize(
    "source",
    [
        "---\nJust a line between rules.\n---\nText.\n",
        "---\ntitle: [broken\n---\nText.\n",
        "---\nno end\n",
        "Text.\n---\ntitle: later\n---\n",
        "---\na: &a [x, x]\nb: &b [*a, *a, *a]\n" + "c: [*b, *b]\n" * 2 + "---\nText.\n",
    ],
)
def test_what_is_no_front_matter_is_text(source: str) -> None:
    assert read_markdown(source) == ("", source, {})


def test_metadata_cannot_take_the_place_of_what_ragbench_writes() -> None:
    _, _, meta = read_markdown("---\nstart: 3\nnested: {a: 1}\n---\nText.")
    assert meta == {"stated_start": "3", "nested": '{"a": 1}'}


def test_exponents_in_markdown() -> None:
    assert read_markdown("10<sup>9</sup>/L of H<sub>2</sub>O")[1] == "10^9/L of H2O"
