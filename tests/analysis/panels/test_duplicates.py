"""Duplicates: groups made by hand; near ones against every pair compared."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ragbench.analysis.panels.duplicates import COLUMNS, contradictory, duplicates, near_groups
from tests.analysis.making import make_run, question

# 24 words: 20 sets of five in sequence.
LONG = " ".join(f"w{i}" for i in range(24))
AB = {"options": ["A one", "B two"]}
QUESTIONS = [
    question("a", "Is TSH low?"),
    question("b", LONG),
    question("c", "is  tsh LOW", options=["maybe", "no.", "Yes"], answer=2),
    question("d", "Is TSH low?", options=["yes", "no"]),
    question("e", "Is T4 > 5?", answer=0),
    question("f", "Is T4 < 5?", answer=0),
    question("g", "Is TSH low!", answer=1),
    question("h", f"{LONG} w24", answer=1),
    question("i", "Which?", **AB, documents=["patient-1"]),
    question("j", "Which?", **AB, documents=["patient-2"]),
    question("k", "Why?", options=[], answer=-1, reference="Because."),
    question("l", "Why", options=[], answer=-1, reference="because"),
]


def test_groups_by_hand(tmp_path: Path) -> None:
    """a, c and g are one question (c has its options in another order), answered yes, yes, no.

    d has other options, e and f another sign, i and j other documents. k and l agree. b and h
    share 20 of 21 sets of five words, and may be answered differently.
    """
    questions = {"t": QUESTIONS, "u": QUESTIONS[:2]}
    found = duplicates(make_run(tmp_path / "run", questions=questions))
    assert list(found.columns) == COLUMNS
    assert [tuple(row) for row in found.itertuples(index=False)] == [
        ("t", "same", 1, "a", 2),
        ("t", "same", 1, "c", 2),
        ("t", "same", 1, "g", 2),
        ("t", "same", 2, "k", 1),
        ("t", "same", 2, "l", 1),
        ("t", "near", 1, "b", 2),
        ("t", "near", 1, "h", 2),
    ]
    assert list(contradictory(found).question_id) == ["a", "c", "g"]


def test_options_that_differ_in_a_lone_sign_are_told_apart(tmp_path: Path) -> None:
    signs = {"options": ["!", "?"]}
    questions = [question("a", "Which sign?", **signs), question("b", "Which sign?", **signs)]
    questions[1]["answer"] = 1
    found = duplicates(make_run(tmp_path / "run", questions={"t": questions}))
    assert list(found.n_answers) == [2, 2]


def test_none_is_an_empty_table(tmp_path: Path) -> None:
    found = duplicates(make_run(tmp_path / "run", questions={"t": QUESTIONS[:2]}))
    assert found.empty
    assert contradictory(found).empty


def test_near_at_the_threshold() -> None:
    """Of 20 sets, a changed first word costs 1 (19 of 21), a word in the middle 5 (15 of 25).

    Two texts of 12 words are eight sets each; with one word more, at the end of one and at the
    start of the other, they share 8 of 10, which is 0.8; with two more 8 of 12.
    """
    words = LONG.split()
    first, middle = ["x", *words[1:]], [*words[:12], "x", *words[13:]]
    assert near_groups([LONG, " ".join(first), " ".join(middle)]) == [[0, 1]]
    core = words[:12]
    assert near_groups([" ".join([*core, "x"]), " ".join(["y", *core])]) == [[0, 1]]
    assert near_groups([" ".join([*core, "x", "x2"]), " ".join(["y2", "y", *core])]) == []


def test_groups_join_through_their_members() -> None:
    """Windows of 24 words, each one further: neighbours share 19 of 21, first and last 17 of 23."""
    words = [f"w{i}" for i in range(30)]
    windows = [" ".join(words[i : i + 24]) for i in range(4)]
    assert near_groups(windows) == [[0, 1, 2, 3]]
    assert near_groups([windows[0], windows[3]]) == []


WORDS = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=14)


@given(texts=st.lists(WORDS.map(" ".join), unique=True, max_size=8))
def test_near_groups_are_those_of_all_pairs(texts: list[str]) -> None:
    def grams(text: str) -> set[str]:
        words = text.split()
        return {" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4))}

    groups = [{i} for i in range(len(texts))]
    for i, one in enumerate(texts):
        for j, other in enumerate(texts[:i]):
            both, either = grams(one) & grams(other), grams(one) | grams(other)
            if 5 * len(both) >= 4 * len(either):
                whole = groups[i] | groups[j]
                for member in whole:
                    groups[member] = whole
    expected = sorted({tuple(sorted(group)) for group in groups if len(group) > 1})
    assert sorted(tuple(group) for group in near_groups(texts)) == expected
