"""The protocol of readers, held against every registered reader."""

from __future__ import annotations

import inspect
import os
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from pydantic import ValidationError

from ragbench.base.errors import DataError, PrerequisiteError
from ragbench.base.records import Passage
from ragbench.corpora.reader import (
    FileReader,
    Located,
    PerFile,
    Reader,
    ReaderOptions,
    Remote,
    Skipped,
    natural,
    origin_of,
)
from ragbench.corpora.readers import readers
from ragbench.corpora.readers.hub import HubOptions, HubReader
from ragbench.corpora.readers.jsonl import JsonlOptions, JsonlReader

XML = (
    "<ICD10CM.tabular><chapter><name>1</name><desc>Infections</desc>"
    '<section id="A00-A09"><desc>Intestinal (A00-A09)</desc>'
    "<diag><name>A00</name><desc>Cholera</desc></diag></section></chapter></ICD10CM.tabular>"
)
SOURCES = {
    "jsonl": ("notes.jsonl", '{"id": "a", "text": "x"}\n{"id": "b", "text": "y"}\n'),
    "icd10cm": ("tabular.xml", XML),
    "tabular": ("notes.csv", "id,text\na,x\nb,y\n"),
    "snippets": (
        "chunk.jsonl",
        '{"id": "a_0", "title": "A", "content": "x", "contents": "A. x"}\n',
    ),
    "beir": ("corpus.jsonl", '{"_id": "a", "title": "A", "text": "x"}\n'),
    "folder": ("note.md", "# Gout\n\nPain in one joint.\n"),
}
PAIR = (
    '<Document source="s"><QAPairs><QAPair><Question qid="1">Why?</Question>'
    "<Answer>So.</Answer></QAPair></QAPairs></Document>"
)
FOLDERS = {  # several files of each reader that reads file by file
    "jsonl": {"a.jsonl": '{"id": "a", "text": "x"}\n', "b.jsonl": '{"id": "b", "text": "y"}\n'},
    "tabular": {"a.csv": "id,text\na,x\n", "b.tsv": "id\ttext\nb\ty\n"},
    "medquad": {"1.xml": PAIR, "2.xml": PAIR},
    "snippets": {
        "chunk/b10.jsonl": '{"id": "c", "content": "z"}\n',
        "chunk/b9.jsonl": '{"id": "b", "content": "y"}\n',
        "a.jsonl": '{"id": "a", "content": "x"}\n',
    },
    "beir": {"corpus.jsonl": '{"_id": "a", "text": "x"}\n{"_id": "b", "text": ""}\n'},
    "folder": {"a.txt": "x", "b/c.md": "# y\ny", "b/empty.txt": "", "picture.png": "-"},
}


def test_every_reader_has_a_source_here() -> None:
    assert [name for name in readers.names() if name in SOURCES] == sorted(SOURCES)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_reader_meets_the_protocol(name: str, tmp_path: Path) -> None:
    kind = readers.get(name)
    for method in ("__init__", "sources", "read"):
        expected = list(inspect.signature(getattr(Reader, method)).parameters)
        assert list(inspect.signature(getattr(kind, method)).parameters) == expected
    assert issubclass(kind.Options, ReaderOptions)
    with pytest.raises(ValidationError):
        kind.Options.model_validate({"no_such_option": 1})
    file, content = SOURCES[name]
    path = tmp_path / file
    path.write_text(content, encoding="utf-8")
    reader = kind(path, kind.Options())
    assert reader.sources() == [path]
    first = list(reader.read())
    assert first
    assert first == list(reader.read())  # the same stream again
    for entry in first:
        assert isinstance(entry, Located)
        assert str(path) in entry.where
        assert entry.passage.doc_id == entry.passage.id, "unless an option says otherwise"


def fill(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_reading_is_reading_file_by_file(name: str, tmp_path: Path) -> None:
    kind = readers.get(name)
    reader = kind(fill(tmp_path, FOLDERS[name]), kind.Options())
    assert isinstance(reader, PerFile)
    whole = list(reader.read())
    assert len(whole) >= 2
    assert [e for path in reader.sources() for e in reader.read_file(path)] == whole
    parts = [list(reader.read_file(path)) for path in reversed(reader.sources())]  # in any order
    assert [e for part in reversed(parts) for e in part] == whole


@pytest.mark.parametrize("name", sorted({*readers.names()} - {"union"}))
def test_a_source_that_is_not_there_is_told_with_what_to_do(name: str, tmp_path: Path) -> None:
    kind = readers.get(name)
    with pytest.raises(DataError) as caught:
        kind(tmp_path / "none", kind.Options()).sources()
    assert caught.value.where == str(tmp_path / "none")
    assert caught.value.fix


NAMES = {
    "jsonl": "x.jsonl",
    "tabular": "x.csv",
    "medquad": "1_A/x.xml",
    "snippets": "chunk/x.jsonl",
    "pubmed": "pubmed26n0009.xml.gz",
    "nxml": "x.tar.gz",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("is_alone", [True, False])
def test_what_is_no_file_is_neither_waited_for_nor_left_out(
    name: str, is_alone: bool, tmp_path: Path
) -> None:
    kind = readers.get(name)
    place = tmp_path / NAMES[name]
    place.parent.mkdir(exist_ok=True)
    os.mkfifo(place)
    path = place if is_alone and name != "medquad" else tmp_path
    with pytest.raises(DataError, match="a link that leads nowhere, a pipe or a device") as caught:
        kind(path, kind.Options()).sources()
    assert caught.value.where == str(place)
    place.unlink()
    place.symlink_to("nowhere")
    with pytest.raises(DataError):
        kind(path, kind.Options()).sources()


@pytest.mark.parametrize("name", sorted({*NAMES} - {"jsonl", "tabular"}))
def test_linked_folders_are_read_and_each_once(name: str, tmp_path: Path) -> None:
    file = Path(NAMES[name]).name
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there / "in" / ".hidden"):
        folder.mkdir(parents=True)
    for path in (there / file, there / "in" / f"._{file}", there / "in" / ".hidden" / file):
        path.touch()
    (here / "a").symlink_to(there)
    (here / "b").symlink_to(there)
    (there / "back").symlink_to(here)
    kind = readers.get(name)
    assert kind(here, kind.Options()).sources() == [here / "a" / file]


def test_a_subfolder_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.nxml").touch()
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(21):  # a path of more than 4,096 bytes, which nothing can open
        os.mkdir("n" * 200, dir_fd=here)
        inner = os.open("n" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    kind = readers.get("nxml")
    with pytest.raises(DataError, match="a part of the folder cannot be reached"):
        kind(tmp_path, kind.Options()).sources()


def test_names_with_numbers_sort_as_people_count() -> None:
    names = ["pubmed10", "pubmed9", "a/2", "a/10", "a", "10", "9", "\u0662"]
    assert sorted(names, key=natural) == [
        *["9", "10", "a", "a/2", "a/10", "pubmed9", "pubmed10", "\u0662"]
    ]


def test_only_a_remote_reader_has_an_origin(tmp_path: Path) -> None:
    assert origin_of(JsonlReader(tmp_path, JsonlOptions())) == {}
    hub = HubReader(fill(tmp_path, FOLDERS["jsonl"]), HubOptions())
    assert isinstance(hub, Remote)
    assert origin_of(hub) == {}  # a local copy is told by its files


def test_entries_are_frozen() -> None:
    located = Located(Passage("a", "a", "", "x"), "notes.jsonl:1")
    with pytest.raises(FrozenInstanceError):
        located.where = "elsewhere"  # type: ignore[misc]
    assert Skipped("empty text", "notes.jsonl:2") == Skipped("empty text", "notes.jsonl:2")


def test_options_are_frozen_and_closed() -> None:
    class Options(ReaderOptions):
        depth: int = 1

    options = Options(depth=2)
    with pytest.raises(ValidationError):
        options.depth = 3  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Options.model_validate({"deep": 2})


FILE_READERS = {
    name: readers.get(name) for name in readers.names() if issubclass(readers.get(name), FileReader)
}


def test_most_readers_need_a_path_and_read_file_by_file() -> None:
    assert set(readers.names()) - set(FILE_READERS) == {"hub", "icd10cm", "hpo", "union"}


@pytest.mark.parametrize("name", FILE_READERS)
def test_a_card_without_a_path_says_what_goes_there(name: str) -> None:
    kind = FILE_READERS[name]
    with pytest.raises(PrerequisiteError, match=f"the {name} reader needs a path") as caught:
        kind(None, kind.Options())
    assert caught.value.fix.startswith("add `path:` to the card")
