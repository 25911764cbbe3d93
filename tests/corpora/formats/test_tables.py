"""Rows of tables: what pandas writes comes back, and every way a file can be wrong."""

from __future__ import annotations

import csv
import gzip
import io
import tracemalloc
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from ragbench.base.errors import DataError
from ragbench.corpora.formats.delimited import Shape
from ragbench.corpora.formats.tables import ending, header_of, table_rows

Cells = list[list[object]]
PLAIN = Shape()


def rows(path: Path, *columns: str, shape: Shape = PLAIN) -> list[tuple[str, list[object]]]:
    return list(table_rows(path, columns or ("id", "text"), shape))


def excel(path: Path, *sheets: tuple[str, Cells]) -> Path:
    book = Workbook()
    del book["Sheet"]
    for name, cells in sheets:
        sheet = book.create_sheet(name)
        for row in cells:
            sheet.append(row)
    book.save(path)
    return path


def refused(path: Path, *columns: str, shape: Shape = PLAIN) -> DataError:
    with pytest.raises(DataError) as caught:
        rows(path, *columns, shape=shape)
    assert str(path) in caught.value.where
    assert caught.value.fix
    return caught.value


# -- what pandas writes ---------------------------------------------------------------------

TEXTS = [
    "plain",
    'with "quotes", and commas',
    "two\nlines\r\nor three",
    "tab\there",
    "Ménière ≥ 🫀",
]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.tsv.gz", "a.parquet", "a.xlsx"])
def test_what_pandas_writes_comes_back(tmp_path: Path, name: str) -> None:
    import pandas as pd

    path = tmp_path / name
    frame = pd.DataFrame({"n": range(5), "text": TEXTS, "id": [f"d{i}" for i in range(5)]})
    if name.endswith(".parquet"):
        frame.to_parquet(path)
    elif name.endswith(".xlsx"):
        frame.to_excel(path, index=False)
    else:
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in name else ",")
    values = [value for _, value in rows(path, "id", "text", "id")]
    assert [(first, last) for first, _, last in values] == [(f"d{i}", f"d{i}") for i in range(5)]
    texts = [str(text) for _, text, _ in values]
    if name.endswith(".xlsx"):  # XML has one kind of line end
        assert [t.replace("\r\n", "\n") for t in texts] == [t.replace("\r\n", "\n") for t in TEXTS]
    else:
        assert texts == TEXTS


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1))
def test_any_text_comes_back_from_csv(texts: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        with path.open("w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle, quoting=csv.QUOTE_ALL)
            writer.writerows([["id", "text"], *([f"d{i}", t] for i, t in enumerate(texts))])
        assert [values[1] for _, values in rows(path)] == texts


def test_values_of_parquet_keep_their_types(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    table = pa.table({"id": [1, 2], "text": ["a", None], "year": [1.5, float("nan")]})
    pq.write_table(table, path, row_group_size=1)
    (first, one), (second, two) = rows(path, "id", "text", "year")
    assert (first, one) == (f"{path}: row 1", [1, "a", 1.5])
    assert (second, two[:2]) == (f"{path}: row 2", [2, None])
    assert two[2] != two[2]


# -- places, blank rows, many forms ---------------------------------------------------------


def test_places_are_the_lines_at_which_rows_begin(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfid,text\r\na,"one\r\ntwo"\r\n\r\n,\r\nb,three\r\n')
    assert rows(path) == [(f"{path}:2", ["a", "one\r\ntwo"]), (f"{path}:6", ["b", "three"])]


def test_rows_of_a_sheet_are_counted_as_excel_does(tmp_path: Path) -> None:
    path = excel(tmp_path / "a.xlsx", ("Notes", [["id", "text"], ["a", 1], [], ["b", 2.5, None]]))
    assert rows(path) == [
        (f"{path}: sheet 'Notes', row 2", ["a", 1]),
        (f"{path}: sheet 'Notes', row 4", ["b", 2.5]),
    ]


def test_a_sheet_is_chosen_by_its_name(tmp_path: Path) -> None:
    cells: Cells = [["id", "text"], ["a", "x"]]
    path = excel(tmp_path / "a.xlsx", ("One", cells), ("Two", [["id", "text"], ["b", "y"]]))
    assert [v for _, v in rows(path, shape=Shape(sheet="Two"))] == [["b", "y"]]
    error = refused(path)
    assert error.what == "the workbook has 2 sheets"
    assert error.fix == "set the reader's option sheet to one of: 'One', 'Two'"
    assert refused(path, shape=Shape(sheet="Three")).what == "there is no sheet 'Three'"


def test_delimiter_and_encoding_can_be_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("id;text\n1;Ménière, otitis\n".encode("cp1252"))
    assert rows(path, shape=Shape(";", "cp1252")) == [(f"{path}:2", ["1", "Ménière, otitis"])]
    path.write_bytes("id,text\n1,Ménière\n".encode("utf-16"))
    assert rows(path, shape=Shape(encoding="utf-16")) == [(f"{path}:2", ["1", "Ménière"])]
    path.write_bytes("id,text\n1,Ménière\n".encode("utf-8-sig"))
    assert rows(path, shape=Shape(encoding="UTF_8")) == [(f"{path}:2", ["1", "Ménière"])]


def test_a_cell_may_be_longer_than_the_csv_modules_own_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    text = "x" * (csv.field_size_limit() + 1 if csv.field_size_limit() < 1 << 20 else 200_000)
    path.write_text(f"id,text\n1,{text}\n", encoding="utf-8")
    assert rows(path) == [(f"{path}:2", ["1", text])]


def test_a_csv_file_is_never_held_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    text = "x" * 1000
    path.write_bytes(gzip.compress(b"id,text\n" + f"1,{text}\n".encode() * 20_000))
    tracemalloc.start()
    try:
        count = sum(1 for _ in table_rows(path, ("id", "text"), PLAIN))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 2_000_000  # of 20 million


def test_endings_are_read_whatever_their_case() -> None:
    assert [ending(Path(n)) for n in ("A.CSV", "b.tsv.GZ", "c.xls", "d.gz", "csv")] == [
        ".csv",
        ".tsv.gz",
        None,
        None,
        None,
    ]


# -- what is wrong --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.xlsx"])
def test_a_missing_column_shows_those_there_are(tmp_path: Path, name: str) -> None:
    import pandas as pd

    path = tmp_path / name
    frame = pd.DataFrame({"pmid": ["1"], "abstract": ["x"]})
    if name == "a.csv":
        frame.to_csv(path, index=False)
    elif name == "a.parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_excel(path, index=False)
    error = refused(path, "pmid", "abstrakt")
    assert error.what == "there is no column 'abstrakt'"
    assert error.fix.startswith("did you mean 'abstract'? known: abstract, pmid; name the right")


def test_a_repeated_column_is_an_error_where_it_is_wanted(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    header = ["id", "text", "text", "year", "year"]
    comma = tmp_path / "a.csv"
    comma.write_text(",".join(header) + "\n1,x,y,z,z\n", encoding="utf-8")
    sheet = excel(tmp_path / "a.xlsx", ("S", [list(header), [1, "x", "y", 3, 3]]))
    parquet = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array(["x"])] * 5, names=header), parquet)
    for path in (comma, sheet, parquet):
        assert refused(path).what == "2 columns have the name 'text': number 2, 3"
        assert len(rows(path, "id")) == 1


@pytest.mark.parametrize(
    ("content", "what", "line"),
    [
        (b"", "the file is empty", None),
        (b"\n\n", "the file is empty", None),
        (b"id,text\na,x\nb\n", "the row has 1 cells, the header 2", 3),
        (b'id,text\na,"x\ny"\nb,x, y\n', "the row has 3 cells, the header 2", 4),
        (b'id,text\na,"never closed\nb,x\n', "the row that ends here is not whole CSV", 3),
        (b'id,text\na,"x"y\n', "the row that ends here is not whole CSV", 2),
        (b"id,text\na,x\nb,\xe9\n", "this line is not utf-8: ", 3),
        (b"id,text\n" + b"a,x\n" * 50_000 + b"b,\xff\n", "this line is not utf-8: ", 50_002),
        (b"id,text\na,\0\n", "the row holds NUL characters", 2),
        ("id,text\na,x\n".encode("utf-16"), "this line is not utf-8: ", 1),
        (b"PK\x03\x04more", "the file is not what its ending .csv says: it is a zip arch", None),
        (b"PAR1more", "the file is not what its ending .csv says: it is Parquet", None),
        (b"\xd0\xcf\x11\xe0", "the file is not what its ending .csv says: it is an old E", None),
        (
            gzip.compress(b"id,text\n", mtime=0),
            "the file is not what its ending .csv says: it is g",
            None,
        ),
    ],
)
def test_wrong_csv_is_named_by_its_line(
    tmp_path: Path, content: bytes, what: str, line: int | None
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    error = refused(path)
    assert error.what.startswith(what)
    assert error.where == (f"{path}:{line}" if line else str(path))
    if not what.startswith("the file is not what"):
        packed = tmp_path / "a.csv.gz"
        packed.write_bytes(gzip.compress(content))
        assert refused(packed).what == error.what


def test_a_torn_archive_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    whole = gzip.compress(b"id,text\n" + b"a,some text\n" * 1000)
    for content in (whole[:-9], whole[:-4] + b"abcd", whole[:20]):
        path.write_bytes(content)
        assert refused(path).what.startswith("the file cannot be read to its end")


@pytest.mark.parametrize("name", ["a.parquet", "a.xlsx", "a.csv.gz", "a.tsv.gz"])
@pytest.mark.parametrize("content", [b"", b"id,text\na,x\n"])
def test_text_is_no_binary_table(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert refused(path).what.startswith("the file is not what its ending .")


def test_a_torn_parquet_file_is_an_error(tmp_path: Path) -> None:
    import pandas as pd

    path = tmp_path / "a.parquet"
    pd.DataFrame({"id": ["a"], "text": ["x" * 500]}).to_parquet(path)
    whole = path.read_bytes()
    broken = bytearray(whole)
    broken[4:40] = b"\xff" * 36
    for content in (whole[:-20], b"PAR1", bytes(broken)):
        path.write_bytes(content)
        assert refused(path).what.startswith("the Parquet file cannot be read after row 0")


def test_a_broken_workbook_is_an_error(tmp_path: Path) -> None:
    path = excel(tmp_path / "a.xlsx", ("S", [["id", "text"], ["a", "x"]]))
    whole = path.read_bytes()
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("hello.txt", "not a workbook")
    torn = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(torn, "w") as archive:
        for item in source.namelist():
            data = source.read(item)
            archive.writestr(item, data[: len(data) // 2] if "sheet1" in item else data)
    for content in (whole[: len(whole) // 2], other.getvalue(), torn.getvalue()):
        path.write_bytes(content)
        assert refused(path).what.startswith("the workbook cannot be read")


def test_wrong_sheets_are_named(tmp_path: Path) -> None:
    path = excel(tmp_path / "a.xlsx", ("S", []))
    assert refused(path).what == "the sheet is empty"
    path = excel(tmp_path / "b.xlsx", ("S", [["id", "text"], ["a", "x", "stray"]]))
    error = refused(path)
    assert error.what == "a cell is to the right of the header's 2 columns"
    assert error.where == f"{path}: sheet 'S', row 2"
    path = excel(tmp_path / "c.xlsx", ("S", [["id", "text"], ["a", "#N/A"]]))
    assert refused(path).what == "the cell of column 'text' holds the Excel error #N/A"


def test_a_row_that_no_sheet_has_is_refused_and_not_counted_up_to(tmp_path: Path) -> None:
    path = excel(tmp_path / "a.xlsx", ("S", [["id", "text"], ["a", "x"]]))
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    last = b'<row r="999999999999"><c r="A999999999999"><v>3</v></c></row></sheetData>'
    name = "xl/worksheets/sheet1.xml"
    parts[name] = parts[name].replace(b"</sheetData>", last)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    assert refused(path).what == "the sheet states rows beyond 1,048,576, which no sheet has"


def test_other_endings_are_no_tables(tmp_path: Path) -> None:
    path = tmp_path / "a.xls"
    path.write_bytes(b"x")
    assert refused(path).what == "the ending of 'a.xls' is not that of a table"


def test_the_header_of_each_format(tmp_path: Path) -> None:
    excel(tmp_path / "a.xlsx", ("one", [[], ["id", None, "text"], [1, 2, 3]]))
    pq.write_table(pa.table({"id": [1], "text": ["x"]}), tmp_path / "a.parquet")
    with gzip.open(tmp_path / "a.csv.gz", "wt") as handle:
        handle.write('id,"the text"\n1,x\n')
    assert header_of(tmp_path / "a.xlsx") == (["id", "text"], Shape())
    assert header_of(tmp_path / "a.parquet") == (["id", "text"], Shape())
    assert header_of(tmp_path / "a.csv.gz") == (["id", "the text"], Shape())
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="the Parquet file cannot be read"):
        header_of(tmp_path / "b.parquet")
    Workbook().save(tmp_path / "b.xlsx")
    with pytest.raises(DataError, match="the sheet is empty"):
        header_of(tmp_path / "b.xlsx")


@pytest.mark.parametrize(
    ("name", "text", "names", "delimiter"),
    [
        ("a.csv", "id;the text\n", ["id", "the text"], ";"),
        ("a.csv", "\ufeffid\ttext\n", ["id", "text"], "\t"),
        ("a.csv", "\n,,\nid,te;xt\n", ["id", "te;xt"], None),
        ("a.csv", "text\n", ["text"], None),
        ("a.tsv", "id\ttext, long\n", ["id", "text, long"], None),
    ],
)
def test_the_delimiter_that_a_header_shows(
    tmp_path: Path, name: str, text: str, names: list[str], delimiter: str | None
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert header_of(tmp_path / name) == (names, Shape(delimiter))


def test_a_header_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n\n", encoding="utf-8")
    with pytest.raises(DataError, match="the file is empty"):
        header_of(path)
    path.write_bytes("id,größe\n".encode("cp1252"))
    with pytest.raises(DataError, match="this line is not utf-8"):
        header_of(path)
