"""The reader of tables: what a cell becomes, and how missing ones are told."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ragbench.base.errors import DataError, PrerequisiteError
from ragbench.base.records import Passage
from ragbench.corpora.reader import Located, Skipped
from ragbench.corpora.readers.tabular import TabularOptions, TabularReader
from tests.conftest import ragbench

FORMATS = ["a.csv", "a.parquet", "a.xlsx"]


def read(path: Path, **options: object) -> list[Located | Skipped]:
    return list(TabularReader(path, TabularOptions.model_validate(options)).read())


def write(path: Path, **columns: list[Any]) -> Path:
    import pandas as pd

    frame = pd.DataFrame(columns)
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix == ".xlsx":
        frame.to_excel(path, index=False)
    else:
        frame.to_csv(path, index=False)
    return path


def place(path: Path, row: int) -> str:
    """Return where the reader says that the row with this index stands."""
    return {
        ".csv": f"{path}:{row + 2}",
        ".parquet": f"{path}: row {row + 1}",
        ".xlsx": f"{path}: sheet 'Sheet1', row {row + 2}",
    }[path.suffix]


@pytest.mark.parametrize("name", FORMATS)
def test_columns_are_named_by_the_options(tmp_path: Path, name: str) -> None:
    path = write(
        tmp_path / name, pmid=["7", "8"], body=["Fever.", "Chill."], head=["Heat", None], n=[1, 2]
    )
    found = read(path, id_field="pmid", text_field="body", title_field="head", meta_fields=["n"])
    assert found == [
        Located(Passage("7", "7", "Heat", "Fever.", {"n": "1"}), place(path, 0)),
        Located(Passage("8", "8", "", "Chill.", {"n": "2"}), place(path, 1)),
    ]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("column", ["id", "text"])
@pytest.mark.parametrize("value", [None, float("nan"), "", "  ", "nan", "NaN", "NULL"])
def test_a_missing_cell_is_named_or_counted(
    tmp_path: Path, name: str, column: str, value: object
) -> None:
    cells: dict[str, list[Any]] = {"id": ["a", "b"], "text": ["x", "y"]}
    cells[column][1] = value
    path = write(tmp_path / name, **cells)
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.what.startswith(f"the {column} in column {column!r} is missing")
    if isinstance(value, str) and value.strip():
        assert caught.value.what.endswith(f"the cell holds {value!r}, which means nothing")
    assert caught.value.where == place(path, 1)
    assert "skip_empty" in caught.value.fix
    assert read(path, skip_empty=True)[1] == Skipped(f"empty {column}", place(path, 1))


@pytest.mark.parametrize("name", ["a.parquet", "a.xlsx"])
def test_whole_numbers_kept_as_floats_are_ids(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, id=[12.0, 21645374.0], text=[3.0, 5.0])
    entries = read(path)
    assert [(e.passage.id, e.passage.text) for e in entries if isinstance(e, Located)] == [
        ("12", "3"),
        ("21645374", "5"),
    ]
    with pytest.raises(DataError) as caught:
        read(write(tmp_path / name, id=[12.0, 12.5], text=["x", "y"]))
    assert (
        caught.value.what == "the column 'id' holds 12.5, which is neither text nor a whole number"
    )
    assert caught.value.where == place(path, 1)


def test_csv_holds_text_so_that_codes_with_dots_stay(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", id=["250.0", "250.1", "007"], text=["x", "y", "z"])
    entries = read(path)
    assert [e.passage.id for e in entries if isinstance(e, Located)] == ["250.0", "250.1", "007"]


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (True, "the column 'id' holds a bool, not text"),
        (float("inf"), "the column 'id' holds inf, which is neither text nor a whole number"),
        (Decimal("1.5"), "the column 'id' holds 1.5, which is neither text nor a whole number"),
        (b"a", "the column 'id' holds a bytes, not text"),
        (["a"], "the column 'id' holds a list, not text"),
        (datetime.date(2020, 3, 1), "the column 'id' holds a date, not text (Excel turns some"),
    ],
)
def test_other_types_are_no_ids(tmp_path: Path, value: object, what: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [value], "text": ["x"]}), path)
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.what.startswith(what)
    assert caught.value.where == place(path, 0)


@pytest.mark.parametrize("column", ["id", "text", "title"])
def test_nul_characters_are_refused_as_in_json_lines(tmp_path: Path, column: str) -> None:
    columns = {"id": ["a"], "text": ["x"], "title": ["T"]} | {column: ["a\0b"]}
    path = write(tmp_path / "a.parquet", **columns)
    with pytest.raises(DataError) as caught:
        read(path, title_field="title")
    assert caught.value.what == f"the column '{column}' holds a NUL character, which no text has"
    assert caught.value.where == f"{path}: row 1"


def test_further_fields_may_be_fractions_dates_and_truths(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    cells = {
        "id": ["a"],
        "text": ["x"],
        "score": [0.25],
        "day": [datetime.date(2020, 3, 1)],
        "open": [True],
        "year": [2001.0],
        "none": [float("nan")],
    }
    pq.write_table(pa.table(cells), path)
    (entry,) = read(path, meta_fields=["score", "day", "open", "year", "none"])
    assert isinstance(entry, Located)
    assert entry.passage.meta == {
        "score": "0.25",
        "day": "2020-03-01",
        "open": "true",
        "year": "2001",
    }


def test_a_folder_is_read_by_name_whatever_the_formats(tmp_path: Path) -> None:
    write(tmp_path / "c.csv", id=["c"], text=["x"])
    write(tmp_path / "a.xlsx", id=["a"], text=["x"])
    write(tmp_path / "b.parquet", id=["b"], text=["x"])
    for name in ("README.md", "~$a.xlsx", ".hidden.csv"):
        (tmp_path / name).write_text("not data", encoding="utf-8")
    ids = [e.passage.id for e in read(tmp_path) if isinstance(e, Located)]
    assert ids == ["a", "b", "c"]


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="the tabular reader needs a path"):
        TabularReader(None, TabularOptions())
    with pytest.raises(DataError, match="the corpus file is not there"):
        TabularReader(tmp_path / "none.csv", TabularOptions()).sources()
    with pytest.raises(DataError, match=r"the folder holds no \.csv, \.tsv"):
        TabularReader(tmp_path, TabularOptions()).sources()


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": ";;"},
        {"delimiter": ""},
        {"delimiter": '"'},
        {"encoding": "no-such"},
        {"encoding": "hex"},
    ],
)
def test_options_are_checked(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        TabularOptions.model_validate(options)


def test_a_workbook_through_the_command_line(home: Path) -> None:
    write(home / "notes.xlsx", Nr=[1.0, 2.0], Note=["Fever.", "Chill."])
    added = ragbench(
        home,
        *["corpus", "add", "notes.xlsx", "--name", "notes", "--reader", "tabular"],
        *["--id-field", "Nr", "--text-field", "Note"],
    )
    assert added.returncode == 0, added.stderr
    assert ragbench(home, "corpus", "build", "notes").returncode == 0
    shown = ragbench(home, "corpus", "show", "notes", "--sample", "2", "--json")
    assert [p["id"] for p in json.loads(shown.stdout)["sample"]] == ["1", "2"]
    write(home / "notes.xlsx", Nr=[1, 2], Note=["Fever.", None])
    failed = ragbench(home, "corpus", "build", "notes", "--replace")
    assert failed.returncode == 3
    assert "sheet 'Sheet1', row 3" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_real_workbook_gives_what_its_earlier_conversion_says(shared_data: Path) -> None:
    tasks = shared_data / "tasks"
    (workbook,) = tasks.glob("MeQSum*.xlsx")
    options = {"id_field": "File", "text_field": "CHQ", "title_field": "Summary"}
    with (tasks / "meqsum.jsonl").open(encoding="utf-8") as handle:
        lines = [json.loads(line) for line in handle]
    passages = [e.passage for e in read(workbook, **options) if isinstance(e, Located)]
    assert len(passages) == len(lines) == 1000
    assert [p.id for p in passages] == [line["source_file"] for line in lines]
    for passage, line in zip(passages, lines, strict=True):
        values = {" ".join(str(value).split()) for value in line.values()}
        assert " ".join(passage.text.split()) in values
        assert " ".join(passage.title.split()) in values
