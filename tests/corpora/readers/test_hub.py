"""The hub's data sets, by the library itself over local folders; the hub is never reached."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ragbench.base.errors import DataError, PrerequisiteError, UsageError
from ragbench.base.records import Passage
from ragbench.corpora.reader import Located, Skipped
from ragbench.corpora.readers import hub
from ragbench.corpora.readers.hub import HubOptions, HubReader
from tests.conftest import ragbench
from tests.corpora.files import hidden

ROWS = [
    {"id": "Anatomy_Gray_0", "title": "Anatomy_Gray", "content": "The femur.", "contents": "-"},
    {"id": "Anatomy_Gray_1", "title": "Anatomy_Gray", "content": "The tibia.", "contents": "-"},
    {"id": "Surgery_Schwartz_0", "title": "Surgery", "content": "Sutures.", "contents": "-"},
]
FIELDS: dict[str, object] = {"text_field": "content", "title_field": "title", "doc_id": "prefix"}
PASSAGES = [
    Passage("Anatomy_Gray_0", "Anatomy_Gray", "Anatomy_Gray", "The femur."),
    Passage("Anatomy_Gray_1", "Anatomy_Gray", "Anatomy_Gray", "The tibia."),
    Passage("Surgery_Schwartz_0", "Surgery_Schwartz", "Surgery", "Sutures."),
]


def reader(path: Path | None, **options: object) -> HubReader:
    return HubReader(path, HubOptions.model_validate(options))


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows in the format that the ending says."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(pa.Table.from_pylist(rows), path)
    else:
        data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".parquet", ".csv"])
def test_a_local_folder_is_streamed(tmp_path: Path, ending: str) -> None:
    paths = [write(tmp_path / f"chunk/part-{n}{ending}", [row]) for n, row in enumerate(ROWS)]
    opened = reader(tmp_path, **FIELDS)
    assert opened.sources() == [path.resolve() for path in paths]
    found = list(opened.read())
    assert found == [
        Located(passage, f"{tmp_path}, train: row {number}")
        for number, passage in enumerate(PASSAGES, 1)
    ]
    assert list(opened.read()) == found  # the same stream again
    assert opened.origin() == {}


def test_one_file_is_a_split_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", ROWS[:1])
    write(tmp_path / "b.jsonl", ROWS[1:])
    opened = reader(path, **FIELDS)
    assert opened.sources() == [path.resolve()]
    assert [e.passage for e in opened.read() if isinstance(e, Located)] == PASSAGES[:1]


def test_cells_of_csv_are_the_text_that_they_hold(tmp_path: Path) -> None:
    rows = "id,text,year\n007,NA,2020\n1e3,true,\n008,12,2021-01-01\n"
    (tmp_path / "train.csv").write_text(rows, encoding="utf-8")
    entries = reader(tmp_path, meta_fields=("year",)).read()
    found = [e.passage for e in entries if isinstance(e, Located)]
    assert [(p.id, p.text) for p in found] == [("007", "NA"), ("1e3", "true"), ("008", "12")]
    assert [p.meta["year"] for p in found] == ["2020", "", "2021-01-01"]


def test_split_subset_and_files_are_chosen(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", ROWS[:1])
    write(tmp_path / "test.jsonl", ROWS[1:2])
    write(tmp_path / "more" / "x.jsonl", ROWS[2:])

    def texts(**options: object) -> list[str]:
        found = reader(tmp_path, **FIELDS, **options).read()
        return [e.passage.text for e in found if isinstance(e, Located)]

    assert texts(split="test") == ["The tibia."]
    assert texts(data_files=["more/*.jsonl", "train.jsonl"]) == ["Sutures.", "The femur."]
    with pytest.raises(DataError, match="there is no split 'dev'") as caught:
        texts(split="dev")
    assert "train" in caught.value.fix
    card = "---\nconfigs:\n- config_name: large\n  data_files: more/x.jsonl\n- config_name: small\n"
    (tmp_path / "README.md").write_text(f"{card}  data_files: test.jsonl\n---\n")
    assert texts(subset="large") == ["Sutures."]
    with pytest.raises(DataError, match=r"cannot be read: .*(large|small)"):
        texts()


def test_files_that_are_of_no_split_are_listed(tmp_path: Path) -> None:
    """The library reads the commonest format, and of names with a split in them only those."""
    write(tmp_path / "two" / "a.jsonl", ROWS[:1])
    write(tmp_path / "two" / "b.jsonl.gz", ROWS[1:2])
    left = write(tmp_path / "two" / "more" / "c.parquet", ROWS[2:])
    write(tmp_path / "named" / "train.jsonl", ROWS[:2])
    write(tmp_path / "named" / "test.jsonl", ROWS[2:])
    other = write(tmp_path / "named" / "more.jsonl", ROWS[2:])
    (tmp_path / "named" / "README.txt").write_text("no data")
    (tmp_path / "named" / "dataset_infos.json").write_text("{}")
    for path in (left, other):
        folder = tmp_path / path.relative_to(tmp_path).parts[0]
        found = list(reader(folder, **FIELDS).read())
        assert [e.passage for e in found if isinstance(e, Located)] == PASSAGES[:2]
        skipped = [entry for entry in found if isinstance(entry, Skipped)]
        assert skipped == [Skipped("a data file of no split", str(path.resolve()), listed=True)]
        assert not any(isinstance(e, Skipped) for e in reader(path, **FIELDS).read())


@pytest.mark.parametrize(
    "files", ["../secret.jsonl", "/etc/hostname", "hf://datasets/a/b@main/x.jsonl"]
)
def test_a_description_that_names_files_elsewhere_is_refused(tmp_path: Path, files: str) -> None:
    write(tmp_path / "secret.jsonl", ROWS[:1])
    folder = tmp_path / "set"
    write(folder / "a.jsonl", ROWS[1:])
    card = f"---\nconfigs:\n- config_name: default\n  data_files: {files}\n---\n"
    (folder / "README.md").write_text(card)
    with pytest.raises((DataError, PrerequisiteError)):
        list(reader(folder, **FIELDS).read())
    kept = reader(folder, **FIELDS, data_files=["a.jsonl"]).read()
    assert len(list(kept)) == 2


def test_scripts_and_pickles_are_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    mark = tmp_path / "ran"
    script = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n"
    (tmp_path / "set" / "set.py").write_text(script)
    with pytest.raises(DataError, match="the data set cannot be read"):
        list(reader(tmp_path / "set").read())
    import pandas as pd

    (tmp_path / "pickles").mkdir()
    pd.DataFrame(ROWS).to_pickle(tmp_path / "pickles" / "a.pkl")
    with pytest.raises(DataError, match=r"of the kind 'pandas'|cannot be read"):
        list(reader(tmp_path / "pickles").read())
    assert not mark.exists()


def test_wrong_rows_are_named(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [ROWS[0], {"id": "x_1", "title": "t", "content": " "}])
    with pytest.raises(DataError) as caught:
        list(reader(tmp_path, **FIELDS).read())
    assert caught.value.what == "the field 'content' of document 'x_1' is empty"
    assert caught.value.where == f"{tmp_path}, train: row 2"
    found = list(reader(tmp_path, **FIELDS, skip_empty=True).read())
    assert found[1] == Skipped("empty text", f"{tmp_path}, train: row 2")
    with pytest.raises(DataError, match="the field 'body' is missing") as caught:
        list(reader(tmp_path, text_field="body").read())
    assert "content, contents, id, title" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b'{"id": "a_0", "text": '),
        ("a.jsonl", b"\xff\xfe\0\0"),
        ("a.parquet", b"PAR1 and no more"),
        ("a.jsonl.gz", b"no gzip"),
        ("a.jsonl", b""),
        ("a.txt.none", b"no data"),
    ],
)
def test_broken_files_are_an_error_and_no_traceback(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        if not list(reader(tmp_path).read()):
            raise DataError("no row", where=str(tmp_path))
    assert str(tmp_path) in caught.value.where


def test_there_is_one_place_to_read_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, options in ((None, {}), (tmp_path, {"dataset": "a/b"})):
        with pytest.raises(UsageError, match="the hub reader needs one place to read from"):
            reader(path, **options)
    with pytest.raises(DataError, match="the data set is not there"):
        reader(tmp_path / "none").sources()
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="a folder 'a/b' is here"):
        list(reader(None, dataset="a/b").read())


@pytest.mark.parametrize(
    "options",
    [
        {"dataset": "textbooks"},
        {"dataset": "../a/b"},
        {"dataset": "https://host/a/b"},
        {"data_files": ["../x.jsonl"]},
        {"data_files": ["/etc/passwd"]},
        {"data_files": ["https://host/x.jsonl"]},
        {"trust_remote_code": True},
    ],
)
def test_options_name_nothing_else(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        HubOptions.model_validate(options)


def test_the_hub_out_of_reach_is_said_with_what_to_do(home: Path) -> None:
    (home / "corpora").mkdir()
    card = "reader: hub\noptions: {dataset: MedRAG/textbooks, text_field: content}\n"
    (home / "corpora" / "books.yaml").write_text(card, encoding="utf-8")
    done = ragbench(home, "corpus", "build", "books", HF_HUB_OFFLINE="1")
    assert done.returncode == 4, done.stderr
    assert "the hub cannot be reached" in done.stderr
    fetch = "hf download --repo-type dataset MedRAG/textbooks --local-dir FOLDER"
    assert fetch in done.stderr
    assert "Traceback" not in done.stderr
    assert not (home / "corpora" / "books").exists()


def test_a_missing_package_is_named_with_the_line_to_type(home: Path) -> None:
    write(home / "set" / "a.jsonl", ROWS)
    (home / "corpora").mkdir()
    (home / "corpora" / "books.yaml").write_text("reader: hub\npath: ../set\n", encoding="utf-8")
    done = ragbench(home, "corpus", "build", "books", **hidden(home, "datasets"))
    assert done.returncode == 4, done.stderr
    assert "pip install 'ragbench[hub]'" in done.stderr


class Builder:
    """What the library returns for a data set of the hub, with the names that it gives there."""

    __module__ = "datasets.packaged_modules.json.json"

    def __init__(self, files: list[str], rows: Path) -> None:
        self.config = self
        self.data_files = {"train": files}
        self.rows = rows

    def as_streaming_dataset(self, split: str) -> Iterator[dict[str, object]]:
        for line in self.rows.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that a data set of the hub is said to have; its rows are local ones."""
    files = [f"hf://datasets/MedRAG/textbooks@{COMMIT}/chunk/{name}.jsonl" for name in "ab"]
    rows = write(tmp_path / "rows.jsonl", ROWS)
    import datasets

    monkeypatch.setattr(datasets, "load_dataset_builder", lambda **_: Builder(files, rows))
    return files


def test_the_commit_read_is_recorded(home: Path, remote: list[str]) -> None:
    from ragbench.corpora.build import build_corpus

    (home / "corpora").mkdir()
    options = json.dumps({"dataset": "MedRAG/textbooks", **FIELDS})
    chunking = "chunking: {chunker: sentences, size: 50}\n"
    repeats = "duplicates: {exact: drop}\n"
    for name, more in (("books", ""), ("cut", chunking), ("once", repeats)):
        card = f"reader: hub\noptions: {options}\n{more}"
        (home / "corpora" / f"{name}.yaml").write_text(card, encoding="utf-8")
        built = build_corpus(name)
        expected = {"dataset": "MedRAG/textbooks", "revision": COMMIT, "split": "train"}
        assert built.manifest.origin == expected
        assert built.manifest.files == []
        assert built.manifest.n_docs == 2
        assert build_corpus(name).digest == built.digest  # found again, and not read


def test_files_outside_the_data_set_are_refused(remote: list[str]) -> None:
    remote.append("hf://datasets/other/set@main/x.jsonl")
    with pytest.raises(DataError, match="names a file outside it: hf://datasets/other"):
        list(reader(None, dataset="MedRAG/textbooks", **FIELDS).read())


def test_a_line_that_breaks_off_is_said_with_its_row() -> None:
    said = pytest.raises(PrerequisiteError, match=r"cannot be reached after row 7: timed out")
    with said, hub._named("a/b@0123, train", lambda: " after row 7"):
        raise TimeoutError("timed out")
