"""Checking a built corpus: what is counted, and every damage that is told."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from ragbench.base.errors import DataError
from ragbench.corpora.build import build_corpus
from ragbench.corpora.check import check_card, check_corpus
from ragbench.corpora.open import open_corpus
from tests.conftest import ragbench
from tests.manifests import edit

AddCorpus = Callable[..., Path]
DOCS: list[dict[str, object]] = [
    {"id": "c", "text": "Fever."},
    {"id": "a", "text": "Cough for two weeks."},
    {"id": "b", "text": "Fever."},
    {"id": "d", "text": "Fever."},
]


@pytest.fixture
def folder(home: Path, add_corpus: AddCorpus) -> Path:
    add_corpus("notes", DOCS)
    return build_corpus("notes").folder


def test_a_whole_corpus(folder: Path) -> None:
    found = check_corpus("notes")
    assert found.problems == []
    assert (found.n_passages, found.repeated_texts, found.empty_texts) == (4, 2, 0)
    assert (found.longest_id, found.longest_characters) == ("a", 20)
    assert found.source == "unchanged"
    assert found.digest == json.loads((folder / "manifest.json").read_text("utf-8"))["digest"]


def test_a_pipe_in_place_of_a_file_is_told(folder: Path) -> None:
    """Nothing writes to it, so that opening it as a file would wait for ever."""
    for file in sorted(folder.iterdir()):
        if file.name == ".verified.json":
            continue
        data = file.read_bytes()
        file.unlink()
        os.mkfifo(file)
        with pytest.raises(DataError) as caught:
            open_corpus("notes")
        what = caught.value.what
        assert "pipe" in what or file.name in what or "is not built" in what
        with suppress(DataError):
            assert check_corpus("notes").problems
        file.unlink()
        file.write_bytes(data)
    (folder / ".verified.json").unlink()
    os.mkfifo(folder / ".verified.json")
    assert len(open_corpus("notes")) == 4


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("digest", "0" * 64, "the digest of the passages is "),
        ("n_passages", 5, "the number of passages is 4, the manifest says 5"),
        ("n_docs", 3, "the number of documents is 4, the manifest says 3"),
        ("batch_rows", 1, "rows are not where the manifest's batch_rows has them"),
    ],
)
def test_a_manifest_of_other_passages_is_told(
    folder: Path, key: str, value: object, problem: str
) -> None:
    edit(folder / "manifest.json", **{key: value})
    assert check_corpus("notes").problems[0].startswith(problem)


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("files", [{"name": "notes.jsonl", "size": 9, "mtime_ns": 1}], "files.0.sha256"),
        ("files", [{"name": "n", "size": "x", "mtime_ns": 1, "sha256": ""}], "files.0.size"),
        ("members", [{"name": "a", "digest": "b"}], "members.0.n_passages"),
    ],
)
def test_a_manifest_that_no_build_writes_is_refused(
    folder: Path, key: str, value: object, place: str
) -> None:
    edit(folder / "manifest.json", **{key: value})
    with pytest.raises(DataError, match=re.escape(f"the manifest is invalid: {place}")):
        check_corpus("notes")


def test_changed_bytes_are_told(folder: Path) -> None:
    path = folder / "passages.arrow"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"Cough", b"Tough"))
    assert [p.partition(" is ")[0] for p in check_corpus("notes").problems] == [
        "the digest of the passages",
        "the file passages.arrow has changed since the build",
    ]
    path.write_bytes(data.replace(b"Cough", b"\xff\xff\xff\xff\xff"))
    assert check_corpus("notes").problems[0].startswith("passage 1 cannot be read")


def test_torn_offsets_are_told_before_arrow_follows_them(folder: Path) -> None:
    """The texts begin at 0, 5, ...: an end that lies far behind them would be read from memory."""
    path = folder / "passages.arrow"
    data = path.read_bytes()
    text = open_corpus("notes").__dict__["_reader"].get_batch(0).column(3)
    bounds = text.buffers()[1].to_pybytes()[: 8 * (len(text) + 1)]
    at = data.index(bounds)
    path.write_bytes(data[: at + 8 + 6] + b"\x40" + data[at + 8 + 7 :])
    assert check_corpus("notes").problems[0].startswith("passage 1 cannot be read")


@pytest.mark.parametrize(
    ("file", "values", "problem"),
    [
        ("id_order.npy", [0, 1, 2, 3], "id_rank.npy is not the inverse of id_order.npy"),
        ("id_order.npy", [0, 1, 2, 2], "id_order.npy is not an order of all rows"),
        ("id_order.npy", [1, 2, 0], "id_order.npy is not an order of all rows"),
        ("id_order.npy", [1, 2, 0, 9], "id_order.npy is not an order of all rows"),
        ("id_rank.npy", [0, 1, 2, 3], "id_rank.npy is not the inverse of id_order.npy"),
        ("id_rank.npy", [0], "id_rank.npy is not the inverse of id_order.npy"),
    ],
)
def test_a_wrong_order_is_told(folder: Path, file: str, values: list[int], problem: str) -> None:
    np.save(folder / file, np.array(values))
    assert problem in check_corpus("notes").problems


def test_an_order_that_does_not_ascend_is_told(folder: Path) -> None:
    for file in ("id_order.npy", "id_rank.npy"):
        np.save(folder / file, np.arange(4))
    assert check_corpus("notes").problems == [
        "id_order.npy does not give the ids in ascending order",
        "the file id_order.npy has changed since the build",
        "the file id_rank.npy has changed since the build",
    ]


def test_the_source_is_compared(home: Path, folder: Path) -> None:
    source = home / "sources" / "notes.jsonl"
    os.utime(source, (1, 1))
    assert check_corpus("notes").problems == []  # the same bytes
    data = source.read_bytes()
    source.write_bytes(data.replace(b"Cough", b"Tough"))
    assert check_corpus("notes").problems == ["the source is not that of the build: changed"]
    source.unlink()
    gone = check_corpus("notes")
    assert (gone.problems, gone.source) == ([], "not there: the corpus file is not there")
    source.write_bytes(data)
    card = home / "corpora" / "notes.yaml"
    card.write_text(card.read_text("utf-8").replace("{}", "{skip_empty: true}"), encoding="utf-8")
    assert check_corpus("notes").problems == [
        "the source is not that of the build: the card has changed since"
    ]
    card.unlink()
    assert check_corpus("notes").source.startswith("unknown: there is no corpus 'notes'")


def test_what_to_build_again_comes_before_what_holds_it(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", DOCS)
    add_corpus("more", [{"id": "a", "text": "Fever."}], "more.jsonl")
    union = build_corpus("notes--more")
    assert check_corpus("notes--more").rebuild == []
    card = home / "corpora" / "more.yaml"
    text = card.read_text("utf-8")
    card.write_text(text + "description: fevers\n", encoding="utf-8")
    check_card(union)  # terms are no passages
    card.write_text(text + "duplicates: {exact: drop}\n", encoding="utf-8")
    assert check_corpus("notes--more").rebuild == ["more", "notes--more"]
    for name in ("more", "notes--more"):
        with pytest.raises(DataError, match="the card of the corpus 'more' has changed") as caught:
            check_card(open_corpus(name))
    assert caught.value.where == str(card)
    assert caught.value.fix == (
        "ragbench corpus build more --replace, then ragbench corpus build notes--more --replace"
    )
    done = ragbench(home, "corpus", "check", "notes--more")
    assert caught.value.fix in done.stderr
    build_corpus("more", replace=True)
    check_card(build_corpus("notes--more", replace=True))
    card.unlink()
    check_card(open_corpus("notes--more"))


def test_wrong_offsets_of_chunks_are_told(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", DOCS)
    card = home / "corpora" / "notes.yaml"
    chunking = "chunking: {chunker: sentences, size: 12}\n"
    card.write_text(card.read_text("utf-8") + chunking, encoding="utf-8")
    folder = build_corpus("notes").folder
    assert check_corpus("notes").problems == []
    path = folder / "passages.arrow"
    path.write_bytes(path.read_bytes().replace(b'"end": "6"', b'"end": "9"'))
    assert check_corpus("notes").problems[0] == "the offsets of c#0 are not those of its text"


def test_a_corpus_that_is_not_built_is_an_error(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", DOCS)
    with pytest.raises(DataError, match="the corpus 'notes' is not built"):
        check_corpus("notes")


def test_a_union_is_checked_through_its_members(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", DOCS)
    add_corpus("more", [{"id": "a", "text": "Fever."}, {"id": "z", "text": "x" * 50}], "more.jsonl")
    build_corpus("notes--more")
    found = check_corpus("notes--more")
    assert (found.problems, found.source) == ([], "unchanged")
    assert (found.n_passages, found.repeated_texts) == (6, 3)
    assert (found.longest_id, found.longest_characters) == ("more/z", 50)
    assert found.digest == open_corpus("notes--more").digest

    source = home / "sources" / "more.jsonl"
    data = source.read_bytes()
    source.write_bytes(data.replace(b"Fever", b"Cough"))
    assert check_corpus("notes--more").problems == [
        "the source is not that of the build: more: changed"
    ]
    source.write_bytes(data)
    stored = home / "corpora" / "more" / "passages.arrow"
    kept = stored.read_bytes()
    stored.write_bytes(kept.replace(b"Fever", b"Cough"))
    problems = check_corpus("notes--more").problems
    assert problems[0].startswith("the digest of the passages is ")
    assert problems[1:] == ["more: the file passages.arrow has changed since the build"]
    stored.write_bytes(kept)
    for file in ("id_order.npy", "id_rank.npy"):
        np.save(home / "corpora" / "notes--more" / file, np.arange(6))
    problems = check_corpus("notes--more").problems
    assert problems[0] == "id_order.npy does not give the ids in ascending order"
    assert len(problems) == 3  # and neither file is that of the build
