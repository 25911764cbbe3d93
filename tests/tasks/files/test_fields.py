"""Fields of a row, right and wrong."""

from __future__ import annotations

from string import ascii_uppercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.errors import DataError
from ragbench.tasks.files import fields

HERE = "q.jsonl:7"
TEXTS = st.lists(st.text("abc ", min_size=1).map(str.strip).filter(bool), min_size=2, max_size=26)


@given(TEXTS, st.data())
def test_letters_and_lists_give_the_same_options_and_answers(
    texts: list[str], data: st.DataObject
) -> None:
    lettered = dict(data.draw(st.permutations(list(zip(ascii_uppercase, texts, strict=False)))))
    found = fields.options(lettered, HERE)
    assert found == fields.options(texts, HERE) == tuple(texts)
    at = data.draw(st.integers(0, len(texts) - 1))
    assert fields.answer(ascii_uppercase[at], found, HERE) == at


def test_an_answer_by_text_needs_that_text_once() -> None:
    assert fields.answer("iron", ("zinc", "iron"), HERE) == 1
    with pytest.raises(DataError, match="'iron' is not among the options"):
        fields.answer("iron", ("iron", "iron"), HERE)


VITAMINS = ("E", "D", "A", "K")


def test_an_answer_that_is_a_letter_and_the_text_of_another_option_is_refused() -> None:
    with pytest.raises(DataError, match="can be read in two ways") as caught:
        fields.answer("D", VITAMINS, HERE)
    assert "as the letter of the option D (K)" in caught.value.what
    assert "as the text of the option B (D)" in caught.value.what
    assert caught.value.where == HERE
    assert fields.answer("D", VITAMINS, HERE, reading="letter") == 3
    assert fields.answer("D", VITAMINS, HERE, reading="text") == 1
    assert fields.answer("K", VITAMINS, HERE) == 3  # no letter of an option
    assert fields.answer("C", VITAMINS, HERE) == 2  # no text of one
    assert fields.answer("A", ("A", "B"), HERE) == 0  # both readings are the same option
    for wrong in ("B", "vitamin D"):
        with pytest.raises(DataError, match="not among the options"):
            fields.answer(wrong, VITAMINS, HERE, reading="text")


def test_a_letter_outside_the_options_is_told_with_them() -> None:
    with pytest.raises(DataError, match="'C' is not among the options") as caught:
        fields.answer("C", ("zinc", "iron"), HERE)
    assert caught.value.where == HERE
    assert "A (zinc), B (iron)" in caught.value.fix


@pytest.mark.parametrize("value", [None, float("nan"), 3, "", "  ", ["a"], True])
def test_what_is_no_text_is_refused_with_its_field(value: object) -> None:
    with pytest.raises(DataError, match="'question' is empty or not text") as caught:
        fields.text({"question": value, "id": "1"}, "question", HERE)
    assert caught.value.where == HERE
    assert caught.value.fix == "the row has the fields: question, id"


@pytest.mark.parametrize("value", ["d1", {"a": 1}, [1.5], [None], [True], [["d1"]]])
def test_what_is_no_list_of_ids_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="PMID is not a list of ids"):
        fields.ids({"PMID": value}, "PMID", HERE)


def test_ids_stand_once_and_in_order() -> None:
    assert fields.ids({"PMID": [7, "x", 7]}, "PMID", HERE) == ("7", "x")
    assert fields.ids({}, "PMID", HERE) == fields.ids({"PMID": None}, "PMID", HERE) == ()


@pytest.mark.parametrize("value", [True, 1.5, [1]])
def test_a_stratum_is_text_or_a_whole_number(value: object) -> None:
    assert fields.text_or_number({"stratum": 3}, "stratum", HERE) == "3"
    with pytest.raises(DataError, match="'stratum' is neither"):
        fields.text_or_number({"stratum": value}, "stratum", HERE)


def test_a_misnamed_field_is_told_with_the_right_ones() -> None:
    with pytest.raises(DataError, match="a field 'Question', which is not read") as caught:
        fields.check_names({"id": "1", "Question": "?"}, {"id", "question"}, HERE, extra=False)
    assert "the fields are id, question" in caught.value.fix
    fields.check_names({"id": "1", "Question": "?"}, {"id", "question"}, HERE, extra=True)


def test_the_first_name_that_a_row_has_is_read() -> None:
    row = {"question": " q ", "Question": None, "n": float("nan"), "half": "\ud800"}
    assert fields.text(row, ["CHQ", "question"], "x:1") == "q"
    for names, what in (
        (["Question", "question"], "'Question' is empty or not text"),
        (["n"], "'n' is empty or not text"),
        (["CHQ", "inquiry"], "'CHQ' or 'inquiry' is missing"),
        (["half"], "half of a surrogate pair"),
    ):
        with pytest.raises(DataError, match=what) as caught:
            fields.text(row, names, "x:1")
        assert caught.value.where == "x:1"


def test_ids() -> None:
    assert fields.optional_id({"File": "1 2.xml", "id": 3}, ["File", "id"], "x") == "12.xml"
    assert fields.optional_id({"File": None, "id": 0}, ["File", "id"], "x") == "0"
    assert fields.optional_id({"File": " "}, ["File", "id"], "x") is None
    assert fields.optional_id({}, ["id"], "x") is None
    for value in (True, 1.5, float("nan"), ["a"], "a\x00"):
        with pytest.raises(DataError, match=r"'id' .* is no id"):
            fields.optional_id({"id": value}, ["id"], "x")
