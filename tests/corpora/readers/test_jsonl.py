"""The reader of JSON lines: fields, files of a folder, and every way a line can be wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ragbench.base.errors import DataError, PrerequisiteError
from ragbench.base.records import Passage
from ragbench.corpora.reader import Located, Skipped
from ragbench.corpora.readers.jsonl import JsonlOptions, JsonlReader


def read(path: Path, **options: object) -> list[Located | Skipped]:
    return list(JsonlReader(path, JsonlOptions.model_validate(options)).read())


def write(path: Path, *lines: object) -> Path:
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    return path


def test_fields_are_named_by_the_options(tmp_path: Path) -> None:
    line = {"_id": "d1", "body": "Fever.", "head": "Heat", "year": 2001, "note": None, "other": []}
    path = write(tmp_path / "a.jsonl", line)
    assert read(
        path,
        id_field="_id",
        text_field="body",
        title_field="head",
        meta_fields=["year", "note", "absent"],
    ) == [Located(Passage("d1", "d1", "Heat", "Fever.", {"year": "2001"}), f"{path}:1")]


def test_title_and_meta_are_off_unless_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"id": "d1", "text": "Fever.", "title": "Heat"})
    assert read(path) == [Located(Passage("d1", "d1", "", "Fever."), f"{path}:1")]


def test_a_line_may_lack_its_title(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"id": "a", "text": "x"}, {"id": "b", "text": "y", "t": ""})
    titles = [e.passage.title for e in read(path, title_field="t") if isinstance(e, Located)]
    assert titles == ["", ""]


def test_whole_numbers_become_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"id": 21645374, "text": 7}, {"id": -1, "text": "y"})
    passages = [e.passage for e in read(path) if isinstance(e, Located)]
    assert [(p.id, p.text) for p in passages] == [("21645374", "7"), ("-1", "y")]


def test_a_folder_is_read_by_name_plain_and_gzip(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    write(folder / "c.jsonl", {"id": "c", "text": "x"})
    write(folder / "a.jsonl", {"id": "a", "text": "x"})
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(b'{"id": "b", "text": "x"}\n'))
    (folder / "README.md").write_text("not data", encoding="utf-8")
    reader = JsonlReader(folder, JsonlOptions())
    assert [p.name for p in reader.sources()] == ["a.jsonl", "b.jsonl.gz", "c.jsonl"]
    entries = list(reader.read())
    assert [e.where for e in entries] == [
        f"{folder / name}:1" for name in ("a.jsonl", "b.jsonl.gz", "c.jsonl")
    ]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ({"text": "x"}, "the field 'id' is missing"),
        ({"id": None, "text": "x"}, "the field 'id' is missing"),
        ({"id": "a"}, "the field 'text' is missing"),
        ({"id": True, "text": "x"}, "the field 'id' is a bool, not text"),
        ({"id": 1.0, "text": "x"}, "the field 'id' is a float, not text"),
        ({"id": "a", "text": ["x"]}, "the field 'text' is a list, not text"),
        ({"id": "a", "text": {"p": "x"}}, "the field 'text' is a dict, not text"),
        ({"id": "a", "text": ""}, "the field 'text' of document 'a' is empty"),
        ({"id": "a", "text": " \n\t\u00a0"}, "the field 'text' of document 'a' is empty"),
        ({"id": "a", "text": "x", "title": 0.5}, "the field 'title' is a float, not text"),
        ({"id": "a", "text": "x", "year": [1]}, "the field 'year' is a list, not text"),
        ({"id": "a", "text": "x\0y"}, "the field 'text' holds a NUL character, which no text has"),
        (["a"], "this line is a JSON list, not an object"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: object, what: str) -> None:
    path = write(tmp_path / "a.jsonl", {"id": "ok", "text": "x"}, line)
    with pytest.raises(DataError) as caught:
        read(path, title_field="title", meta_fields=["year"])
    assert caught.value.what == what
    assert caught.value.where == f"{path}:2"
    assert caught.value.fix


def test_a_missing_field_shows_those_there_are(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"pmid": "1", "abstract": "x"})
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.fix.startswith("the line has the fields: abstract, pmid; name the right")


def test_empty_texts_can_be_passed_over_and_are_counted(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl", {"id": "a", "text": ""}, {"id": "b", "text": "y"}, {"id": "c"}
    )
    reader = JsonlReader(path, JsonlOptions(skip_empty=True)).read()
    assert next(reader) == Skipped("empty text", f"{path}:1")
    assert isinstance(next(reader), Located)
    with pytest.raises(DataError, match="the field 'text' is missing"):  # missing is not empty
        next(reader)


def test_endings_are_read_whatever_their_case(tmp_path: Path) -> None:
    write(tmp_path / "A.JSONL", {"id": "a", "text": "x"})
    (tmp_path / "b.jsonl.GZ").write_bytes(gzip.compress(b'{"id": "b", "text": "y"}'))
    found = list(JsonlReader(tmp_path, JsonlOptions()).read())
    assert [entry.passage.id for entry in found if isinstance(entry, Located)] == ["a", "b"]


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="the jsonl reader needs a path"):
        JsonlReader(None, JsonlOptions())
    with pytest.raises(DataError, match="the corpus file is not there"):
        JsonlReader(tmp_path / "none.jsonl", JsonlOptions()).sources()
    with pytest.raises(DataError, match=r"the folder holds no \.jsonl"):
        JsonlReader(tmp_path, JsonlOptions()).sources()


@pytest.mark.parametrize(
    ("book", "n_passages", "n_modules", "mean_words"),
    [
        ("anatomy_physiology", 2793, 198, 144.5),
        ("microbiology", 2535, 158, 145.4),
        ("nutrition", 927, 93, 139.5),
        ("pharmacology", 2478, 203, 126.7),
    ],
)
def test_real_books_have_the_counts_that_are_stated_of_them(
    shared_data: Path, book: str, n_passages: int, n_modules: int, mean_words: float
) -> None:
    path = shared_data / "corpora" / f"openstax_{book}.jsonl.gz"
    found = read(path, title_field="title", meta_fields=["module"])
    passages = [e.passage for e in found if isinstance(e, Located)]
    assert len(passages) == len(found) == len({p.id for p in passages}) == n_passages
    assert len({p.meta["module"] for p in passages}) == n_modules
    assert all(p.title for p in passages)
    words = sum(len(p.text.split()) for p in passages) / n_passages
    assert words == pytest.approx(mean_words, abs=0.05)
