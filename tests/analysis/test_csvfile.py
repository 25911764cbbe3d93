"""CSV files that a spreadsheet opens."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.csvfile import quoted, write_csv


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("http://evil.example")',
        "+cmd|' /C calc'!A0",
        "-2+3",
        "-1 to +3)*cmd",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "--1",
        "-",
    ],
)
def test_no_text_is_a_formula(text: str) -> None:
    assert quoted(text) == (text if text == "-" else f"'{text}")


@pytest.mark.parametrize(
    "cell",
    ["-1.5", "+2", "-1e-9", "-inf", "a=1", "", "1-2", "-3.1 to +7.0", "+5 %", -3, -0.5, None],
)
def test_numbers_and_other_texts_stay(cell: object) -> None:
    assert quoted(cell) == cell


def test_a_table_is_read_back(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"stratum": ["=1+1", "-4.5", None], "value": [-0.25, 1 / 3, float("nan")], "-n": [-1, 2, 3]}
    )
    path = tmp_path / "deep" / "t.csv"
    write_csv(table, path)
    with path.open(newline="") as handle:
        rows = list(csv.reader(handle))
    assert rows == [
        ["stratum", "value", "'-n"],
        ["'=1+1", "-0.25", "-1"],
        ["-4.5", "0.3333333333", "2"],
        ["", "", "3"],
    ]
    assert table["stratum"][0] == "=1+1"


def test_two_columns_may_have_one_name_and_a_table_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write_csv(pd.DataFrame([["=a", 1, "=b"]], columns=["x", "n", "x"]), path)
    assert path.read_text() == "x,n,x\n'=a,1,'=b\n"
    write_csv(pd.DataFrame(columns=["x", "=y"]), path)
    assert path.read_text() == "x,'=y\n"
    write_csv(pd.DataFrame(), path)
    assert path.read_text().strip() == ""
