"""Files of tasks: tables, JSON arrays, JSON lines; what a wrong one is told."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError
from ragbench.tasks.files.rows import file_rows, json_object

ROWS = [{"a": "one", "b": "x"}, {"a": "two", "b": "y"}]


def read(path: Path, *columns: str) -> list[tuple[str, dict[str, Any]]]:
    return list(file_rows(path, columns))


def test_an_array_and_lines_give_the_same_rows(tmp_path: Path) -> None:
    array, lines = tmp_path / "a.json", tmp_path / "b.json"
    array.write_text("\ufeff\n " + json.dumps(ROWS, indent=1), encoding="utf-8")
    lines.write_text("\ufeff" + "".join(json.dumps(r) + "\n\n" for r in ROWS), encoding="utf-8")
    assert read(array) == [(f"{array}, record 1", ROWS[0]), (f"{array}, record 2", ROWS[1])]
    assert read(lines) == [(f"{lines}:1", ROWS[0]), (f"{lines}:3", ROWS[1])]


def test_a_table_gives_the_columns_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('b,c,a\r\nx,1,"one\r\nline"\r\n,,\r\ny,2,two\r\n', encoding="utf-8")
    assert read(path, "a", "b") == [
        (f"{path}:2", {"a": "one\r\nline", "b": "x"}),
        (f"{path}:5", {"a": "two", "b": "y"}),
    ]


def test_a_missing_column_is_named_with_those_that_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("Subjective,b\nx,y\n")
    with pytest.raises(DataError, match="no column 'Subjectives'") as caught:
        read(path, "Subjectives", "b")
    assert caught.value.fix == "the columns read are Subjectives, b"


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ("[1]", "a JSON int, not an object", "record 1"),
        ('[{"a": 1}, null]', "a JSON NoneType, not an object", "record 2"),
        ('[{"a": 1}', "the file is not JSON", "t.json"),
        ("[" * 100_000, "the file is not JSON", "t.json"),
        ('{"a": 1}\nx', "this line is not JSON", "t.json:2"),
    ],
)
def test_what_is_no_row(tmp_path: Path, text: str, what: str, where: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(DataError, match=what) as caught:
        read(path)
    assert caught.value.where.endswith(where)


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes('[{"a": "Ménière"}]'.encode("cp1252"))
    with pytest.raises(DataError, match="not JSON: 'utf-8' codec"):
        read(path)


def test_json_objects_plain_and_gzip(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('\ufeff{"x": {"y": 1}}', encoding="utf-8")
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'{"x": {"y": 1}}'))
    assert json_object(tmp_path / "a.json") == {"x": {"y": 1}}
    assert json_object(tmp_path / "a.json.gz") == {"x": {"y": 1}}


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
        json_object(tmp_path / "a.json")
    assert caught.value.where == str(tmp_path / "a.json")


def test_a_torn_gzip_file(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'{"x": 1}')[:-6])
    with pytest.raises(DataError, match="cannot be read"):
        json_object(tmp_path / "a.json.gz")
