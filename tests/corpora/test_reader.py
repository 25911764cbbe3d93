"""The protocol of readers, held against every registered reader."""

from __future__ import annotations

import inspect
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from pydantic import ValidationError

from ragbench.corpora.reader import Located, Reader, ReaderOptions, Skipped
from ragbench.corpora.readers import readers
from ragbench.records import Passage

XML = (
    "<ICD10CM.tabular><chapter><name>1</name><desc>Infections</desc>"
    '<section id="A00-A09"><desc>Intestinal (A00-A09)</desc>'
    "<diag><name>A00</name><desc>Cholera</desc></diag></section></chapter></ICD10CM.tabular>"
)
SOURCES = {
    "jsonl": ("notes.jsonl", '{"id": "a", "text": "x"}\n{"id": "b", "text": "y"}\n'),
    "icd10cm": ("tabular.xml", XML),
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
        assert entry.passage.doc_id == entry.passage.id


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
