"""Quotes of CSV and TSV: bounds of cells or characters of the text, and never rows that merge."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.corpora.formats.delimited import Quoting, Shape, csv_rows


def rows(path: Path, content: str, **shape: str) -> list[list[object]]:
    path.write_text(content, encoding="utf-8", newline="")
    quoting: Quoting = "none" if shape.pop("quoting", "") == "none" else "auto"
    return [v for _, v in csv_rows(path, ["id", "text"], Shape(quoting=quoting, **shape))]


def test_a_tsv_whose_quotes_are_text_is_read_line_by_line(tmp_path: Path) -> None:
    content = 'id\ttext\nd1\tPlain.\nd2\t"Water brash" is acid.\nd3\t"Open.\nd4\tlike "a band"\n'
    wanted = [["d1", "Plain."], ["d2", '"Water brash" is acid.'], ["d3", '"Open.']]
    assert rows(tmp_path / "a.tsv", content) == [*wanted, ["d4", 'like "a band"']]
    assert rows(tmp_path / "a.tsv", content.replace("\n", "\r\n"))[1:3] == wanted[1:]


MERGED = 'id\ttext\nd1\tPlain.\nd2\t"Hot tea,\nd3\tno tea"\nd4\tWarfarin.\n'


@pytest.mark.parametrize(("name", "parting"), [("a.tsv", "\t"), ("a.csv", ",")])
def test_rows_that_would_merge_are_an_error_unless_the_card_decides(
    tmp_path: Path, name: str, parting: str
) -> None:
    content = MERGED.replace(",", ";").replace("\t", parting)
    with pytest.raises(DataError, match="several lines, each of which could be a row") as caught:
        rows(tmp_path / name, content)
    assert caught.value.where == f"{tmp_path / name}:3"
    assert "quoting: none" in caught.value.fix
    assert [v[0] for v in rows(tmp_path / name, content, quoting="none")] == [
        "d1",
        "d2",
        "d3",
        "d4",
    ]
    (tmp_path / name).write_text(content, encoding="utf-8")
    found = csv_rows(tmp_path / name, ["id", "text"], Shape(quoting="quotes"))
    assert [values[0] for _, values in found] == ["d1", "d2", "d4"]


@pytest.mark.parametrize(
    "sign",
    ['d0\t"says ""ow"""\n', 'd0\t"a\ttab"\n', '"d0"\tx\n', 'd0\t"one\ntwo"\n'],
)
def test_a_file_that_shows_its_quoting_may_have_cells_of_several_lines(
    tmp_path: Path, sign: str
) -> None:
    found = rows(tmp_path / "a.tsv", MERGED + sign)
    assert found[1] == ["d2", "Hot tea,\nd3\tno tea"]


def test_a_broken_row_of_a_quoted_file_is_not_taken_for_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not whole CSV") as caught:
        rows(tmp_path / "a.tsv", 'id\ttext\nd0\t"says ""ow"""\nd1\t"x"y\n')
    assert caught.value.where == f"{tmp_path / 'a.tsv'}:3"
    assert "quoting: none" in caught.value.fix


def test_escaped_quotes_need_the_option(tmp_path: Path) -> None:
    content = 'id,text\nd1,"He said \\"ow\\", twice"\n'
    with pytest.raises(DataError, match="not whole CSV") as caught:
        rows(tmp_path / "a.csv", content)
    assert "set escape to it" in caught.value.fix
    assert rows(tmp_path / "a.csv", content, escape="\\") == [["d1", 'He said "ow", twice']]


@pytest.mark.parametrize("parting", [";", "|", "\t"])
def test_another_delimiter_is_named(tmp_path: Path, parting: str) -> None:
    content = f"id{parting}text\nd1{parting}x\n"
    with pytest.raises(DataError, match="the header is one column") as caught:
        rows(tmp_path / "a.csv", content)
    assert caught.value.fix == f"set the reader's option delimiter to {parting!r}"
    assert rows(tmp_path / "a.csv", content, delimiter=parting) == [["d1", "x"]]
