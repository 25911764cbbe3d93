"""Fields of a line, right and wrong, and JSON files of records."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from string import ascii_uppercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.errors import DataError
from ragbench.tasks.files import lines

HERE = "q.jsonl:7"
TEXTS = st.lists(st.text("abc ", min_size=1).map(str.strip).filter(bool), min_size=2, max_size=26)


@given(TEXTS, st.data())
def test_letters_and_lists_give_the_same_options_and_answers(
    texts: list[str], data: st.DataObject
) -> None:
    lettered = dict(data.draw(st.permutations(list(zip(ascii_uppercase, texts, strict=False)))))
    found = lines.options(lettered, HERE)
    assert found == lines.options(texts, HERE) == tuple(texts)
    at = data.draw(st.integers(0, len(texts) - 1))
    assert lines.answer(ascii_uppercase[at], found, HERE) == at


def test_an_answer_by_text_needs_that_text_once() -> None:
    assert lines.answer("iron", ("zinc", "iron"), HERE) == 1
    with pytest.raises(DataError, match="'iron' is not among the options"):
        lines.answer("iron", ("iron", "iron"), HERE)


def test_a_letter_outside_the_options_is_told_with_them() -> None:
    with pytest.raises(DataError, match="'C' is not among the options") as caught:
        lines.answer("C", ("zinc", "iron"), HERE)
    assert caught.value.where == HERE
    assert "A (zinc), B (iron)" in caught.value.fix


@pytest.mark.parametrize("value", [None, float("nan"), 3, "", "  ", ["a"], True])
def test_what_is_no_text_is_refused_with_its_field(value: object) -> None:
    with pytest.raises(DataError, match="'question' is missing, empty or not text") as caught:
        lines.text({"question": value, "id": "1"}, "question", HERE)
    assert caught.value.where == HERE
    assert caught.value.fix == "the line has the fields: id, question"


@pytest.mark.parametrize("value", ["d1", {"a": 1}, [1.5], [None], [True], [["d1"]]])
def test_what_is_no_list_of_ids_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="PMID is not a list of ids"):
        lines.ids({"PMID": value}, "PMID", HERE)


def test_ids_stand_once_and_in_order() -> None:
    assert lines.ids({"PMID": [7, "x", 7]}, "PMID", HERE) == ("7", "x")
    assert lines.ids({}, "PMID", HERE) == lines.ids({"PMID": None}, "PMID", HERE) == ()


@pytest.mark.parametrize("value", [True, 1.5, [1]])
def test_a_stratum_is_text_or_a_whole_number(value: object) -> None:
    assert lines.plain({"stratum": 3}, "stratum", HERE) == "3"
    with pytest.raises(DataError, match="'stratum' is neither"):
        lines.plain({"stratum": value}, "stratum", HERE)


def test_a_misnamed_field_is_told_with_the_right_ones() -> None:
    with pytest.raises(DataError, match="a field 'Question', which is not read") as caught:
        lines.check_fields({"id": "1", "Question": "?"}, {"id", "question"}, HERE, extra=False)
    assert "the fields are id, question" in caught.value.fix
    lines.check_fields({"id": "1", "Question": "?"}, {"id", "question"}, HERE, extra=True)


def test_json_objects_plain_and_gzip(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('\ufeff{"x": {"y": 1}}', encoding="utf-8")
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'{"x": {"y": 1}}'))
    assert lines.json_object(tmp_path / "a.json") == {"x": {"y": 1}}
    assert lines.json_object(tmp_path / "a.json.gz") == {"x": {"y": 1}}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "cannot be read"),
        (b'{"a": ', "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (json.dumps([1]).encode(), "does not hold an object"),
        (b'{"medqa": {"1": {}, "1": {}}}', "the key '1' is repeated"),
    ],
)
def test_json_that_is_no_object_of_records(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=what) as caught:
        lines.json_object(tmp_path / "a.json")
    assert caught.value.where == str(tmp_path / "a.json")


def test_a_torn_gzip_file(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'{"x": 1}')[:-6])
    with pytest.raises(DataError, match="cannot be read"):
        lines.json_object(tmp_path / "a.json.gz")
