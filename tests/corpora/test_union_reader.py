"""The reader of unions: the stream that a build would have copied."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import DataError, UsageError
from ragbench.corpora.build import build_corpus
from ragbench.corpora.card import Card, load_card, make_reader
from ragbench.corpora.reader import Located, Skipped
from ragbench.corpora.union_reader import members_of
from tests.unions import write_corpus, write_union


@pytest.fixture
def wards(home: Path) -> Path:
    write_corpus(home, "a", ["d1", "d2"])
    write_corpus(home, "b", ["d1"])
    with (home / "corpora" / "b.jsonl").open("a", encoding="utf-8") as handle:
        handle.write('{"id": "empty", "text": ""}\n')
    options = {"title_field": "title", "skip_empty": True}
    write_corpus_card = (home / "corpora" / "b.yaml").write_text
    write_corpus_card(f"reader: jsonl\npath: b.jsonl\noptions: {options}\n", encoding="utf-8")
    write_union(home, "all", ["b", "a"])
    return home


def test_it_reads_what_the_built_union_holds(wards: Path) -> None:
    entries = list(make_reader(*load_card("all")).read())
    read = [entry for entry in entries if isinstance(entry, Located)]
    assert [entry.passage for entry in read] == list(build_corpus("all"))
    assert [Path(entry.where.rpartition(":")[0]).name for entry in read] == [
        "b.jsonl",
        "a.jsonl",
        "a.jsonl",
    ]
    assert [entry.where.endswith(":2") for entry in entries if isinstance(entry, Skipped)] == [True]


def test_its_sources_are_those_of_the_members_or_their_manifests(wards: Path) -> None:
    folder = wards / "corpora"
    reader = make_reader(*load_card("all"))
    assert reader.sources() == [folder / "b.jsonl", folder / "a.jsonl"]
    build_corpus("b")
    (folder / "b.jsonl").unlink()
    assert reader.sources() == [folder / "b" / "manifest.json", folder / "a.jsonl"]
    (folder / "a.jsonl").unlink()
    with pytest.raises(DataError, match="the corpus file is not there"):
        reader.sources()


def test_a_union_in_a_union_ends(wards: Path) -> None:
    write_union(wards, "all", ["a", "all"])
    reader = make_reader(*load_card("all"))
    with pytest.raises(UsageError, match="'all' is itself a union"):
        reader.sources()
    with pytest.raises(UsageError, match="'all' is itself a union"):
        list(reader.read())


def test_members_of_a_card(wards: Path) -> None:
    assert members_of(load_card("all")[0]) == ("b", "a")
    assert members_of(load_card("a--b")[0]) == ("a", "b")
    assert members_of(load_card("a")[0]) == ()
    with pytest.raises(UsageError, match="a union has no path"):
        make_reader(Card(reader="union", path="x", options={"corpora": ["a", "b"]}), wards / "x")
    with pytest.raises(UsageError, match="`corpora` takes at least 2 entries"):
        members_of(Card(reader="union", options={"corpora": ["a"]}))
