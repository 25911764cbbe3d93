"""The ICD-10-CM questions against the tree of the package simple_icd_10_cm.

The task reads the XML of the tabular list; the package's look-up functions build their own tree.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import simple_icd_10_cm as icd
from pydantic import ValidationError
from scipy.stats import chisquare

from ragbench.base.errors import DataError
from ragbench.base.records import Question
from ragbench.tasks.icd10cm import Icd10cmTask, Icd10cmTaskOptions

TO_CODE, TO_DESCRIPTION = "description-to-code", "code-to-description"


def make(limit: int | None, seed: int, **options: Any) -> list[Question]:
    task = Icd10cmTask(Icd10cmTaskOptions.model_validate(options))
    return task.questions(limit=limit, seed=seed)


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    """2,000 questions from all chapters."""
    return make(2000, 11)


@pytest.fixture(scope="module")
def to_code(questions: list[Question]) -> list[Question]:
    return [question for question in questions if question.stratum == TO_CODE]


@pytest.fixture(scope="module")
def every_code() -> list[Question]:
    """One question for each billable code."""
    return make(None, 3, direction=TO_CODE)


def path(code: str) -> list[str]:
    """Chapter, block, category and so on down to the code itself."""
    return [*reversed(icd.get_ancestors(code)), code]


@cache
def billable_under(node: str) -> tuple[str, ...]:
    """The leaves below a node that need no seventh character."""
    return tuple(
        code
        for code in icd.get_descendants(node)
        if icd.is_leaf(code) and not icd.is_extended_subcategory(code)
    )


def shared_levels(one: str, other: str) -> int:
    """How many nodes two codes share, from the chapter down."""
    levels = 0
    for a, b in zip(path(one), path(other), strict=False):
        if a != b:
            break
        levels += 1
    return levels


def test_every_question_has_four_different_options_and_the_right_one(
    questions: list[Question],
) -> None:
    for question in questions:
        (code,) = question.gold_doc_ids
        assert len({option.casefold() for option in question.options}) == 4
        right = question.options[question.answer]
        if question.stratum == TO_CODE:
            assert right == code
            assert question.query == icd.get_description(code)
            assert icd.get_description(code) in question.text
        else:
            assert right == icd.get_description(code)
            assert question.query == code
            assert code in question.text


def test_every_option_is_a_leaf_of_the_packages_tree(to_code: list[Question]) -> None:
    for question in to_code:
        for code in question.options:
            assert icd.is_valid_item(code)
            assert icd.is_leaf(code)
            assert not icd.is_chapter(code)


def test_described_options_are_leaves_too(questions: list[Question]) -> None:
    descriptions = {icd.get_description(code) for code in icd.get_all_codes() if icd.is_leaf(code)}
    for question in questions:
        if question.stratum == TO_DESCRIPTION:
            assert descriptions.issuperset(question.options)


def test_wrong_options_are_no_farther_than_necessary(to_code: list[Question]) -> None:
    """For every heading above the code: all options that can come from under it do.

    So siblings are used up before cousins, and cousins before the rest of the chapter.
    """
    for question in to_code:
        (code,) = question.gold_doc_ids
        wrong = [option for option in question.options if option != code]
        own = icd.get_description(code).casefold()
        near = [shared_levels(code, option) for option in wrong]
        headings = path(code)[:-1]
        for level, heading in enumerate(headings, 1):
            below = {icd.get_description(c).casefold() for c in billable_under(heading)} - {own}
            assert sum(n >= level for n in near) == min(3, len(below)), question


def test_wrong_options_stand_in_the_same_chapter(to_code: list[Question]) -> None:
    for question in to_code:
        (chapter,) = {path(option)[0] for option in question.options}
        assert icd.is_chapter(chapter)


def test_wrong_options_are_siblings_where_there_are_enough() -> None:
    """Below B18 there are billable codes and no headings."""
    siblings = set(icd.get_children("B18"))
    assert len(siblings) > 4
    assert all(icd.is_leaf(code) for code in siblings)
    found = [
        q for q in make(None, 0, chapters=["1"], direction=TO_CODE) if "B18.2" in q.gold_doc_ids
    ]
    assert len(found) == 1
    assert set(found[0].options) < siblings


def test_a_chapter_with_fewer_than_four_codes_borrows_from_the_list(
    every_code: list[Question],
) -> None:
    """Chapter 22 has U07.0, U07.1 and U09.9 alone."""
    assert set(billable_under("22")) == {"U07.0", "U07.1", "U09.9"}
    asked = {question.gold_doc_ids[0]: question for question in every_code}
    for code in billable_under("22"):
        assert len(set(asked[code].options) & set(billable_under("22"))) == 3
        assert len(set(asked[code].options)) == 4


def test_all_billable_codes_are_asked_once_without_a_limit(every_code: list[Question]) -> None:
    expected = {code for n in range(1, 23) for code in billable_under(str(n))}
    blocks = {code for code in expected if icd.is_block(code) and not icd.is_category(code)}
    asked = [question.gold_doc_ids[0] for question in every_code]
    assert len(asked) == len(set(asked))
    assert set(asked) == expected - blocks


def test_ids_are_unique_and_without_white_space(questions: list[Question]) -> None:
    assert len({question.id for question in questions}) == len(questions)
    assert len({question.gold_doc_ids for question in questions}) == len(questions)
    assert not any(c.isspace() for question in questions for c in question.id)


def test_directions_take_turns(questions: list[Question]) -> None:
    assert [q.stratum for q in questions[:4]] == [TO_CODE, TO_DESCRIPTION] * 2
    assert Counter(q.stratum for q in questions) == {TO_CODE: 1000, TO_DESCRIPTION: 1000}


@pytest.mark.parametrize("direction", [TO_CODE, TO_DESCRIPTION])
def test_one_direction_alone(direction: str) -> None:
    found = make(30, 2, direction=direction, chapters=["3"])
    assert {question.stratum for question in found} == {direction}
    assert all(direction in question.id for question in found)


def test_chapters_limit_the_codes_and_the_options() -> None:
    found = make(60, 2, chapters=["3", "8"], direction=TO_CODE)
    assert {path(option)[0] for question in found for option in question.options} == {"3", "8"}


def test_neither_query_nor_question_holds_a_wrong_option(questions: list[Question]) -> None:
    for question in questions:
        for place, option in enumerate(question.options):
            if place != question.answer:
                assert option.casefold() not in question.query.casefold()
            assert option.casefold() not in question.text.casefold()


def test_a_larger_limit_only_adds(questions: list[Question]) -> None:
    assert make(200, 11) == questions[:200]


def test_another_seed_draws_other_questions(questions: list[Question]) -> None:
    drawn = {question.gold_doc_ids for question in make(50, 12)}
    assert len(drawn & {question.gold_doc_ids for question in questions[:50]}) < 5


def test_options_of_one_code_follow_the_seed() -> None:
    """Over a small chapter all codes are asked: only order and options can differ."""
    one = {q.id: q for q in make(None, 1, chapters=["3"], direction=TO_CODE)}
    two = {q.id: q for q in make(None, 2, chapters=["3"], direction=TO_CODE)}
    assert one.keys() == two.keys()
    differing = sum(one[key].options != two[key].options for key in one)
    assert differing > 0.8 * len(one)


def test_the_right_answer_stands_at_every_place_alike(questions: list[Question]) -> None:
    counts = Counter(question.answer for question in questions)
    assert chisquare([counts[place] for place in range(4)]).pvalue > 1e-4


def test_a_limit_above_the_number_of_codes_is_a_data_error() -> None:
    whole = make(None, 1, chapters=["3"])
    with pytest.raises(DataError, match=f"has {len(whole)} billable codes") as caught:
        make(len(whole) + 1, 1, chapters=["3"])
    assert caught.value.fix == f"set limit to {len(whole)} or less"


def test_too_few_codes_for_four_options_are_a_data_error() -> None:
    with pytest.raises(DataError, match="fewer than 4"):
        make(None, 1, chapters=["22"])


def test_a_chapter_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="no chapter 23"):
        make(1, 1, chapters=["23"])


def test_a_direction_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValidationError, match="direction"):
        Icd10cmTaskOptions.model_validate({"direction": "up"})


# -- added since ----------------------------------------------------------------------------


def old_codes() -> dict[str, Any]:
    """The older list by the package's own module."""
    codes: dict[str, Any] = import_module("icd10").codes
    return codes


def test_only_codes_that_the_older_package_lacks_are_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    added = make(None, 5, added_since="package")
    new = {gold for question in added for gold in question.gold_doc_ids}
    old = old_codes()
    leaves = {c for c in icd.get_all_codes() if icd.is_leaf(c) and not icd.is_chapter_or_block(c)}
    plain = {c for c in leaves if not icd.is_extended_subcategory(c)}
    assert new == {c for c in plain if c.replace(".", "") not in old}
    assert len(added) == len(new) == 1_207
    assert capsys.readouterr().err == (
        "icd10cm: 1,207 of 23,414 billable codes are not in the list 'package'\n"
    )
    for code, is_old in (("K35.20", True), ("I26.93", False), ("U07.1", False), ("A00.9", True)):
        assert (code.replace(".", "") in old) == is_old
        assert (code in new) != is_old


def test_added_codes_keep_seed_and_limit() -> None:
    first = make(30, 5, added_since="package")
    assert make(60, 5, added_since="package")[:30] == first
    assert make(30, 6, added_since="package") != first
    by_direction = Counter(question.stratum for question in first)
    assert by_direction == {TO_CODE: 15, TO_DESCRIPTION: 15}
    with pytest.raises(DataError, match="icd10cm has 1,207 billable codes to ask about, fewer"):
        make(1_208, 5, added_since="package")


def test_an_older_list_in_a_file(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    every = [gold for q in make(None, 1, chapters=["3"]) for gold in q.gold_doc_ids]
    (home / "old.txt").write_text(
        "\ufeff# FY 2019\n\n"
        + "\n".join(
            c.lower() if i % 2 else c.replace(".", "") + " # x" for i, c in enumerate(every[5:])
        ),
        encoding="utf-8",
    )
    added = make(None, 1, chapters=["3"], added_since="old.txt")
    assert {q.gold_doc_ids[0] for q in added} == set(every[:5])
    assert "5 of " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the older list holds no code"),
        (b"# nothing\n", "the older list holds no code"),
        (b"A00.9\nCholera\n", "'Cholera' is not an ICD-10-CM code"),
        (b"A00.9 Cholera\n", "'A00.9 Cholera' is not an ICD-10-CM code"),
        (b"001.1\n", "'001.1' is not an ICD-10-CM code"),
        (b"A00.9\nB\xff\n", "the older list of codes cannot be read"),
        (b"A00.9\n", "the older list has none of the"),
        (None, "the older list of codes cannot be read"),
    ],
)
def test_a_wrong_older_list_is_named(home: Path, content: bytes | None, what: str) -> None:
    if content is not None:
        (home / "old.txt").write_bytes(content)
    with pytest.raises(DataError) as caught:
        make(5, 1, chapters=["3"], added_since="old.txt")
    assert caught.value.what.startswith(what)
    assert "added_since" in caught.value.where or "old.txt" in caught.value.where


def test_a_list_of_all_codes_leaves_nothing_to_ask(home: Path) -> None:
    every = [gold for q in make(None, 1, chapters=["3"]) for gold in q.gold_doc_ids]
    (home / "old.txt").write_text("\n".join(every), encoding="utf-8")
    with pytest.raises(DataError, match="billable codes are in the older list too"):
        make(5, 1, chapters=["3"], added_since="old.txt")
