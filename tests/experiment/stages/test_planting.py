"""Planted errors: whole words, every mention, in the case of the mention."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.records import Passage
from ragbench.experiment.stages.planting import MARK, mentions_of


def replaced(answer: str, text: str, option: str) -> str:
    mentions = mentions_of(answer)
    assert mentions is not None
    return mentions.replaced(text, option)


@pytest.mark.parametrize(
    ("answer", "option", "text", "expected"),
    [
        ("scurvy", "gout", "scurvy, (Scurvy) or SCURVY.", "gout, (Gout) or GOUT."),
        ("Scurvy", "Gout", "In scurvy. Scurvy is", "In gout. Gout is"),
        ("scurvy", "gout", "antiscurvy and scurvys stay", "antiscurvy and scurvys stay"),
        ("Vitamin C", "Vitamin D", "vitamin\nc and vitamin  C", "vitamin D and vitamin D"),
        ("E54", "E53.0", "E54 (not E54.1, E540 or 1.E54)", "E53.0 (not E54.1, E540 or 1.E54)"),
        ("5 mg", "10 mg", "2.5 mg, then 5 mg.", "2.5 mg, then 10 mg."),
        ("aspirin", "HIV protease inhibitor", "aspirin", "HIV protease inhibitor"),
        ("Aspirin", "HIV", "Give aspirin", "Give HIV"),  # an abbreviation keeps its capitals
        ("HIV infection", "Gout", "HIV infection", "Gout"),
        ("Scurvy.", "Gout.", "scurvy. Scurvy", "gout. Gout"),
        ("beta (2) agonist", "statin", "A beta (2) agonist.", "A statin."),
        (r"a\1b", r"c\1d", r"a\1b", r"c\1d"),  # nothing is an expression
    ],
)
def test_mentions_by_hand(answer: str, option: str, text: str, expected: str) -> None:
    assert replaced(answer, text, option) == expected


@pytest.mark.parametrize("answer", ["no", "yes", "A", "12", "...", ""])
def test_short_answers_are_not_searched_for(answer: str) -> None:
    assert mentions_of(answer) is None


@pytest.mark.parametrize("answer", ["E54", "B1", "gout", "maybe"])
def test_codes_and_words_are(answer: str) -> None:
    assert mentions_of(answer) is not None


@pytest.mark.parametrize(
    ("option", "can"),
    [
        ("gout", True),
        ("Scurvy", False),  # the same answer
        ("infantile scurvy", False),  # the right answer would still be there
        ("none of the above", False),
        ("All of these", False),
        ("Both A and B", False),
        ("both kidneys", True),
        ("", False),
    ],
)
def test_options_that_can_be_planted(option: str, can: bool) -> None:
    mentions = mentions_of("scurvy")
    assert mentions is not None
    assert mentions.can_become(option) is can


def test_a_changed_passage_has_an_id_of_its_own() -> None:
    mentions = mentions_of("scurvy")
    assert mentions is not None
    passage = Passage("d1#0", "d1", "Scurvy", "In scurvy, gums bleed.")
    one, other = (mentions.planted(passage, option) for option in ("gout", "croup"))
    assert (one.title, one.text, one.doc_id) == ("Gout", "In gout, gums bleed.", "d1")
    assert one.id.startswith("d1#0" + MARK) and one.id != other.id
    assert mentions.planted(passage, "gout") == one
    elsewhere = Passage("d2", "d2", "", "Croup.")
    assert mentions.planted(elsewhere, "gout") is elsewhere


@given(st.text("abcde. -\nAB", max_size=80), st.sampled_from(["abba", "a bad", "dead beef"]))
def test_no_mention_is_left(text: str, answer: str) -> None:
    mentions = mentions_of(answer)
    assert mentions is not None
    found = mentions.replaced(text, "xyz")
    assert not mentions.pattern.search(found)
    # Every replacement is one mention, and nothing else changes.
    assert len(mentions.pattern.findall(text)) == found.lower().count("xyz")
    assert len(mentions.pattern.split(text)) == found.lower().count("xyz") + 1
