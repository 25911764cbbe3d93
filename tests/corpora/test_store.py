"""The store against plain Python: rows, ids, documents, memory, damage."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from itertools import chain, product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragbench.base.errors import DataError, UsageError
from ragbench.base.files import sha256_file
from ragbench.base.records import Passage
from ragbench.base.registry import Entry, Registry
from ragbench.corpora import build, card
from ragbench.corpora.build import build_corpus
from ragbench.corpora.corpus import Corpus, folder_of, is_built
from ragbench.corpora.open import open_corpus
from tests.manifests import edit

AddCorpus = Callable[..., Path]


def built_of(folder: Path, ids: list[str]) -> Corpus:
    """Build a corpus of the given ids, three rows a batch, in a home of its own."""
    (folder / "corpora").mkdir()
    lines = [{"id": i, "text": f"text of {i}"} for i in ids]
    (folder / "corpora" / "x.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
    )
    (folder / "corpora" / "x.yaml").write_text("reader: jsonl\npath: x.jsonl\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(folder))
        patch.setattr(build, "BATCH_ROWS", 3)
        return build_corpus("x")


# Code points below, inside and above the surrogate range: UTF-16 order would differ from theirs.
letters = st.sampled_from("aAzZ09._-/é߿ऀ糖\uffee🩺\U0001f9ec")
identifiers = st.lists(st.text(letters, min_size=1, max_size=4), unique=True, min_size=1)


@given(ids=identifiers, others=st.lists(st.text(max_size=4), max_size=5))
@settings(max_examples=40)
def test_every_id_is_found_at_its_row_and_no_other(ids: list[str], others: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        corpus = built_of(Path(folder), ids)
        rows = {identifier: row for row, identifier in enumerate(ids)}
        for identifier in [*ids, *others, "", ids[0] + "\x00", ids[0][:-1]]:
            assert corpus.find(identifier) == rows.get(identifier)
            expected = [rows[identifier]] if identifier in rows else []
            assert corpus.rows_of_doc(identifier) == expected
        by_code_point = sorted(ids, key=lambda text: [ord(c) for c in text])
        assert [ids[row] for row in corpus.id_order] == by_code_point
        assert [by_code_point[rank] for rank in corpus.id_rank] == ids
        assert corpus.ids_of(list(range(len(ids)))) == [(i, i) for i in ids]
        for start, stop in product(range(len(ids) + 1), repeat=2):
            some = [batch.column("id").to_pylist() for batch in corpus.batches(start, stop)]
            assert list(chain(*some)) == ids[start:stop]


@pytest.fixture
def many(add_corpus: AddCorpus) -> Corpus:
    """Two full batches of the real size and one row more."""
    add_corpus("many", [{"id": f"d{i}", "text": f"text {i}", "n": i} for i in range(8193)])
    return build_corpus("many")


@pytest.mark.parametrize("row", [0, 1, 4094, 4095, 4096, 4097, 8191, 8192])
def test_rows_at_the_borders_of_batches(many: Corpus, row: int) -> None:
    assert many.manifest.batch_rows == 4096
    assert many[row] == Passage(f"d{row}", f"d{row}", "", f"text {row}")
    assert many.find(f"d{row}") == row


def test_reading_through_gives_every_row_in_order(many: Corpus) -> None:
    assert [p.id for p in many] == [f"d{i}" for i in range(8193)]
    assert len(many) == 8193
    assert all(many[row] == passage for row, passage in list(enumerate(many))[::97])


@pytest.mark.parametrize("row", [-1, 8193, 10**9])
def test_a_row_outside_is_an_index_error(many: Corpus, row: int) -> None:
    with pytest.raises(IndexError, match=f"row {row} of 8193 passages"):
        many[row]


def test_ids_of_many_rows_in_their_order(many: Corpus) -> None:
    rows = np.array([8192, 0, 4096, 0, 4095], dtype=np.int64)
    assert many.ids_of(rows) == [(f"d{i}", f"d{i}") for i in rows]
    assert many.ids_of([]) == []
    for _ in range(2):  # read where they lie; then kept as texts, as all have been asked for
        for outside in ([8193], [0, -1]):
            with pytest.raises(IndexError, match="of 8193 passages"):
                many.ids_of(outside)
        assert many.ids_of(range(8193)) == [(f"d{i}", f"d{i}") for i in range(8193)]


def test_title_and_meta_come_back(add_corpus: AddCorpus) -> None:
    line = {"id": "a", "text": "x\ny", "title": "Über", "year": 1999, "journal": 'A "B"'}
    add_corpus("one", [line], title_field="title", meta_fields=["year", "journal"])
    expected = Passage("a", "a", "Über", "x\ny", {"year": "1999", "journal": 'A "B"'})
    build_corpus("one")
    assert open_corpus("one")[0] == expected
    assert list(open_corpus("one")) == [expected]


def test_opening_and_fetching_copy_no_passages(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("large", [{"id": f"d{i}", "text": "x" * 2000} for i in range(5000)])
    build_corpus("large")
    before = pa.total_allocated_bytes()
    corpus = open_corpus("large")
    assert corpus[4999].id == "d4999"
    assert corpus.find("d4321") == 4321
    assert corpus.ids_of([17]) == [("d17", "d17")]
    size = (home / "corpora" / "large" / "passages.arrow").stat().st_size
    assert size > 10_000_000
    assert pa.total_allocated_bytes() - before < size / 20


# -- documents of several passages -----------------------------------------------------------

CHUNKS = """
from ragbench.corpora.reader import Located, ReaderOptions
from ragbench.base.records import Passage


class ChunkReader:
    Options = ReaderOptions

    def __init__(self, path, options):
        self.path = path

    def sources(self):
        return [self.path]

    def read(self):
        for line in self.path.read_text().splitlines():
            identifier, doc = line.split()
            yield Located(Passage(identifier, doc, "", "text"), str(self.path))
"""


@pytest.fixture
def add_chunks(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Corpus]:
    """Return a function that builds a corpus from lines of passage id and document id."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "chunk_reader_for_tests.py").write_text(CHUNKS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    entry = Entry("chunk_reader_for_tests:ChunkReader", "lines of passage and document")
    monkeypatch.setattr(card, "readers", Registry("readers", {"chunks": entry}, source=__file__))

    def add(lines: str) -> Corpus:
        (home / "corpora").mkdir()
        (home / "corpora" / "x.txt").write_text(lines, encoding="utf-8")
        (home / "corpora" / "x.yaml").write_text("reader: chunks\npath: x.txt\n", encoding="utf-8")
        return build_corpus("x")

    return add


def test_the_passages_of_a_document_in_text_order(add_chunks: Callable[[str], Corpus]) -> None:
    corpus = add_chunks("a#0 a\na#1 a\na#2 a\nb#0 b\na2#0 a2\n")
    assert (len(corpus), corpus.manifest.n_docs) == (5, 3)
    assert corpus.rows_of_doc("a") == [0, 1, 2]
    assert corpus.rows_of_doc("b") == [3]
    assert corpus.rows_of_doc("a2") == [4]
    assert corpus.rows_of_doc("a#0") == []
    assert corpus.ids_of([2, 4]) == [("a#2", "a"), ("a2#0", "a2")]


def test_the_passages_of_documents_that_lie_apart(add_chunks: Callable[[str], Corpus]) -> None:
    names = ["a", "a2", "aa", "B", "é", "\uffee", "\U0001f9ec"]
    docs = np.random.default_rng(5).choice(names, 300).tolist()
    corpus = add_chunks("".join(f"p{n} {doc}\n" for n, doc in enumerate(docs)))
    for name in [*names, "", "a1", "b", "\U0001f9ed"]:
        assert corpus.rows_of_doc(name) == [row for row, doc in enumerate(docs) if doc == name]


def test_documents_of_one_chunk_each_are_found_by_document(
    add_chunks: Callable[[str], Corpus],
) -> None:
    corpus = add_chunks("a#0 a\nb#0 b\n")
    assert corpus.rows_of_doc("a") == [0]
    assert corpus.rows_of_doc("b") == [1]
    assert corpus.rows_of_doc("a#0") == []


def test_a_passage_id_that_is_the_document_id_of_another(
    add_chunks: Callable[[str], Corpus],
) -> None:
    corpus = add_chunks("a b\nb a\n")
    assert corpus.rows_of_doc("a") == [1]
    assert corpus.rows_of_doc("b") == [0]
    assert corpus.find("a") == 0


# -- opening --------------------------------------------------------------------------------


def test_whether_a_corpus_is_built(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", [{"id": "a", "text": "x"}])
    assert folder_of("notes") == home / "corpora" / "notes"
    assert not is_built("notes")
    with pytest.raises(DataError) as caught:
        open_corpus("notes")
    assert caught.value.fix == "ragbench corpus build notes"
    build_corpus("notes")
    assert is_built("notes")
    assert open_corpus("notes").name == "notes"
    with pytest.raises(UsageError):
        is_built("../notes")


@pytest.mark.parametrize("file", ["passages.arrow", "id_order.npy", "id_rank.npy"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "garbage"])
def test_a_damaged_file_is_an_error_with_the_way_out(
    home: Path, add_corpus: AddCorpus, file: str, damage: str
) -> None:
    add_corpus("notes", [{"id": f"d{i}", "text": "x"} for i in range(50)])
    build_corpus("notes")
    path = home / "corpora" / "notes" / file
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(
            {"empty": b"", "cut": data[: len(data) // 2], "garbage": b"x" * 500}[damage]
        )
    with pytest.raises(DataError) as caught:
        open_corpus("notes")
    assert caught.value.what.startswith("the built corpus is damaged: ")
    assert caught.value.fix == "ragbench corpus build notes --replace"
    assert len(build_corpus("notes", replace=True)) == 50


def test_a_passage_that_sums_made_again_hide_is_an_error_of_its_row(
    home: Path, add_corpus: AddCorpus
) -> None:
    """Whoever edits a corpus can make its sums again; its bytes are not trusted for that."""
    add_corpus("x", [{"id": "a", "text": "xylophone"}, {"id": "b", "text": "gout"}])
    build_corpus("x")
    path = folder_of("x") / "passages.arrow"
    for whole, broken in ((b"xylophone", b"xyl\xffphone"), (b"{}", b"{{")):
        data = path.read_bytes()
        path.write_bytes(data.replace(whole, broken))
        sums = {"size": path.stat().st_size, "sha256": sha256_file(path)}
        about = json.loads((folder_of("x") / "manifest.json").read_text())
        edit(folder_of("x") / "manifest.json", sums=about["sums"] | {path.name: sums})
        with pytest.raises(DataError, match=r"the built corpus is damaged: row 0") as caught:
            open_corpus("x")[0]
        assert caught.value.where == str(path)
        path.write_bytes(data)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "the manifest of the corpus cannot be read"),
        ('{"format": 2}', "the corpus has format 2, not 1"),
        ("{}", "the corpus has format None, not 1"),
        ('{"format": 1, "name": "x"}', "the manifest is invalid"),
        ('{"format": 1, "surprise": 1}', "the manifest is invalid"),
    ],
)
def test_a_wrong_manifest_is_an_error(
    home: Path, add_corpus: AddCorpus, content: str, what: str
) -> None:
    add_corpus("notes", [{"id": "a", "text": "x"}])
    build_corpus("notes")
    (home / "corpora" / "notes" / "manifest.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        open_corpus("notes")
    assert caught.value.what.startswith(what)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("n_passages", "many"),
        ("n_passages", 2),
        ("n_passages", 10**30),
        ("batch_rows", 0),
        ("batch_rows", -1),
        ("batch_rows", 2),
        ("batch_rows", None),
        ("name", 7),
        ("files", None),
        ("files", [1]),
        ("sums", []),
        ("sums", {"passages.arrow": {}}),
        ("sums", {"passages.arrow": {"size": "x", "sha256": ""}}),
    ],
)
def test_a_manifest_with_a_wrong_value_is_an_error(
    home: Path, add_corpus: AddCorpus, key: str, value: object
) -> None:
    add_corpus("notes", [{"id": letter, "text": "x"} for letter in "abc"])
    path = build_corpus("notes").folder / "manifest.json"
    edit(path, **{key: value})
    with pytest.raises(DataError, match="manifest") as caught:
        open_corpus("notes")
    assert caught.value.where and "--replace" in caught.value.fix
    path.write_text(path.read_text("utf-8")[:-9], "utf-8")
    with pytest.raises(DataError, match="cannot be read") as caught:
        open_corpus("notes", is_checked=False)
    assert "--replace" in caught.value.fix


def test_a_flipped_bit_anywhere_in_the_manifest_is_an_error(
    home: Path, add_corpus: AddCorpus
) -> None:
    """But between the values, where a blank may become another character that JSON ignores."""
    add_corpus("notes", [{"id": letter, "text": "x"} for letter in "abc"])
    path = build_corpus("notes").folder / "manifest.json"
    whole = path.read_bytes()
    facts = json.loads(whole)
    for at in range(len(whole)):
        damaged = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        path.write_bytes(damaged)
        try:
            open_corpus("notes")
        except DataError as error:
            assert error.fix == "ragbench corpus build notes --replace"
        else:
            assert json.loads(damaged) == facts
