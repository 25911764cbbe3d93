"""Judgements in both formats, and what their ids mean in a corpus."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.base.registry import Entry, Registry
from ragbench.corpora import card
from ragbench.corpora.build import build_corpus
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.indexes.evaluation.qrels import absent, best_first, in_corpus, level_of, read_qrels
from tests.unions import write_corpus

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
EXPECTED = {"q1": {"d1": 1, "d2": 0}, "q2": {"d1": 2}}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "q1 0 d1 1\nq1 0 d2 0\nq2 0 d1 2\n",
        "q1\tQ0\td1\t1\r\n\r\nq1\t0\td2\t0\r\nq2\t0\td1\t2",
        "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\nq2\td1\t2\n",
        "\ufeffQuery-ID corpus-id score\nq1 d1 1\nq1 d2 0\nq2 d1 2\n",
        "q1 0 d1 1\nq1 0 d2 0\nq2 0 d1 2\nq1 1 d1 1\n",  # the same judgement twice
    ],
    ids=["trec", "tabs", "beir", "beir-blanks", "twice"],
)
def test_both_formats_are_read(tmp_path: Path, text: str) -> None:
    assert read_qrels(write(tmp_path / "qrels", text)) == EXPECTED
    with gzip.open(tmp_path / "qrels.gz", "wt", encoding="utf-8") as handle:
        handle.write(text)
    assert read_qrels(tmp_path / "qrels.gz") == EXPECTED


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("q1 0 d1 1\nq1 d2 1\n", 2, "3 columns, not 4"),
        ("q1\td1\t1\n", 1, "3 columns, not 4"),
        ("q1 0 d1 1 more\n", 1, "5 columns, not 4"),
        ("query-id\tcorpus-id\tscore\nq1\t0\td1\t1\n", 2, "4 columns, not 3"),
        ("q1 0 d1 high\n", 1, "grade 'high' is not a whole number"),
        ("q1 0 d1 0.5\n", 1, "grade '0.5'"),
        ("q1 0 d1 1\nq1 0 d2 99999999999999999999\n", 2, "grade 99999999999999999999 is beyond"),
        ("q1 0 d1 -2147483648\n", 1, "grade -2147483648 is beyond"),
        ("topic iteration document grade\nq1 0 d1 1\n", 1, "grade 'grade'"),
        ("q1 0 d1 1\nq1 0 d1 2\n", 2, "'d1' is judged both 1 and 2 for 'q1'"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, line: int, what: str) -> None:
    path = write(tmp_path / "qrels", text)
    with pytest.raises(DataError) as caught:
        read_qrels(path)
    assert what in caught.value.what
    assert caught.value.where == f"{path}:{line}"


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("q1,0,d1,1\n", "write, between tabs or blanks: query-id 0 id grade"),
        ("q1\td1\t1\n", "begin the file with the header: query-id <tab> corpus-id <tab> score"),
        ("query-id\tcorpus-id\tscore\nq1,d1,1\n", "write: query-id <tab> corpus-id <tab> score"),
    ],
)
def test_the_form_of_a_line_is_named(tmp_path: Path, text: str, fix: str) -> None:
    with pytest.raises(DataError) as caught:
        read_qrels(write(tmp_path / "qrels", text))
    assert caught.value.fix == fix


@pytest.mark.parametrize("text", ["", "\n", "query-id\tcorpus-id\tscore\n"])
def test_nothing_judged_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="holds no judgement"):
        read_qrels(write(tmp_path / "qrels", text))
    with pytest.raises(DataError, match="cannot be read"):
        read_qrels(tmp_path / "nowhere")


READER = """
from ragbench.corpora.reader import Located, ReaderOptions
from ragbench.base.records import Passage


class PartReader:
    Options = ReaderOptions

    def __init__(self, path, options):
        self.path = path

    def sources(self):
        return [self.path]

    def read(self):
        for line in self.path.read_text().splitlines():
            identifier, doc, text = line.split()
            yield Located(Passage(identifier, doc, "", text), str(self.path))
"""


@pytest.fixture
def parts(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """Documents A, B and C in passages with ids of their own."""
    (tmp_path / "site").mkdir()
    write(tmp_path / "site" / "part_reader_for_tests.py", READER)
    monkeypatch.syspath_prepend(tmp_path / "site")
    entry = Entry("part_reader_for_tests:PartReader", "lines of passage, document and text")
    monkeypatch.setattr(card, "readers", Registry("readers", {"parts": entry}, source=__file__))
    (home / "corpora").mkdir()
    lines = ["A#0 A gout", "A#1 A fever", "B#0 B gout", "C#0 C rash"]
    write(home / "corpora" / "parts.txt", "\n".join(lines))
    write(home / "corpora" / "parts.yaml", "reader: parts\npath: parts.txt\n")
    return build_corpus("parts")


def test_a_document_stands_where_its_best_passage_does(parts: Corpus) -> None:
    assert level_of({"q": {"A": 1, "C": 1}}, parts) == "document"
    assert level_of({"q": {"A#1": 1, "B#0": 0}}, parts) == "passage"
    with pytest.raises(DataError, match=r"1 of 2 relevant ids are not a passage .*: C"):
        level_of({"q": {"A#1": 1, "C": 1}}, parts)
    with pytest.raises(DataError, match=r"1 of 1 relevant ids are not a document .*: Z") as caught:
        level_of({"q": {"Z": 1}}, parts)
    documents = "ids of documents there look like: A, B, C; those of passages: A#0, A#1, B#0"
    assert documents in caught.value.fix
    ranking = ["B#0", "A#1", "C#0", "A#0"]
    assert best_first(parts, ranking, "document") == ["B", "A", "C"]
    assert best_first(parts, ranking, "passage") == ranking
    assert best_first(parts, [], "document") == []


def test_ids_are_passages_if_any_is_one_else_documents(home: Path, corpus_of: CorpusOf) -> None:
    corpus = corpus_of("small", {"d1": "gout", "d2": "fever"})
    assert level_of(EXPECTED, corpus) == "passage"
    with pytest.raises(DataError, match=r"1 of 2 relevant ids are not a passage .*: zz") as caught:
        level_of({"q": {"d1": 1, "zz": 1}}, corpus)
    assert "look like: d1, d2" in caught.value.fix
    assert level_of({"q": {"d1": 1, "zz": 0}}, corpus) == "passage"  # zz cannot change a value
    with pytest.raises(DataError, match="2 of 2 relevant ids are not a document"):
        level_of({"q": {"xx": 1, "yy": 2}}, corpus)
    half = {"q": {"d1": 1, "zz": 1}, "r": {"d2": 0, "zz": 2}}
    assert "--missing count" in caught.value.fix
    assert level_of(half, corpus, missing="count") == "passage"
    assert absent(half, corpus, "passage") == ["zz"]
    with pytest.raises(DataError, match="2 of 2 relevant ids are not a document"):
        level_of({"q": {"xx": 1, "yy": 2}}, corpus, missing="count")
    with pytest.raises(DataError, match="no judgement has a grade above 0"):
        level_of({"q": {"d1": 0}}, corpus)


def test_judged_ids_of_a_union_with_and_without_the_name_of_their_corpus(home: Path) -> None:
    write_corpus(home, "a", ["d1", "d2"])
    write_corpus(home, "b", ["d2", "d3"])
    union = build_corpus("a--b")
    qrels = {"q": {"d1": 2, "b/d2": 1, "nowhere": 0}}
    assert level_of(qrels, union) == "passage"
    assert in_corpus(qrels, union, "passage") == {"q": {"a/d1": 2, "b/d2": 1, "nowhere": 0}}
    with pytest.raises(DataError, match="'d2' is in several corpora"):
        level_of({"q": {"d2": 1}}, union)
    with pytest.raises(DataError, match="'a/d1' is judged both 2 and 1 for 'q'"):
        in_corpus({"q": {"d1": 2, "a/d1": 1}}, union, "passage")
    plain = open_corpus("a")
    assert in_corpus({"q": {"d1": 1}}, plain, level_of({"q": {"d1": 1}}, plain)) == {"q": {"d1": 1}}


def test_judged_documents_of_a_union(home: Path) -> None:
    cut = {"chunking": {"chunker": "sentences", "size": 3}}
    write_corpus(home, "a", ["d1", "d2"], **cut)
    write_corpus(home, "b", ["d2", "d3"], **cut)
    union = build_corpus("a--b")
    qrels = {"q": {"d1": 1, "b/d2": 1, "d3": 0, "nowhere": 0}}
    assert level_of(qrels, union) == "document"
    own = in_corpus(qrels, union, "document")
    assert own == {"q": {"a/d1": 1, "b/d2": 1, "b/d3": 0, "nowhere": 0}}
    passages = [passage.id for passage in union][::-1]
    assert best_first(union, passages, "document") == ["b/d3", "b/d2", "a/d2", "a/d1"]


def test_questions_with_gold_are_judgements(tmp_path: Path) -> None:
    lines = (
        '{"id": "q1", "gold_doc_ids": ["d1", "d2"]}\n{"id": "q2", "gold_doc_ids": []}\n'
        '{"id": "q3"}\n'
    )
    path = write(tmp_path / "asked.jsonl", lines)
    assert read_qrels(path) == {"q1": {"d1": 1, "d2": 1}}
    write(path, '{"id": "q2"}\n')
    with pytest.raises(DataError, match="holds no question with gold_doc_ids"):
        read_qrels(path)
    write(path, '{"id": "q2", "gold_doc_ids": "d1"}\n')
    with pytest.raises(DataError, match="gold_doc_ids` that are no list") as caught:
        read_qrels(path)
    assert caught.value.where == f"{path}:1"
