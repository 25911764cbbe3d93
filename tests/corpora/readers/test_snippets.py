"""MedRAG's snippets: the order of files, and which document a snippet is of."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ragbench.base.errors import DataError, PrerequisiteError
from ragbench.base.records import Passage
from ragbench.corpora.reader import Located, Skipped
from ragbench.corpora.readers.snippets import SnippetOptions, SnippetsReader
from tests.conftest import ragbench


def write(path: Path, *lines: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read(path: Path, **options: object) -> list[Located | Skipped]:
    return list(SnippetsReader(path, SnippetOptions.model_validate(options)).read())


def line(identifier: str, **more: object) -> dict[str, object]:
    title, content = "A title", f"Text of {identifier}."
    joined = f"{title}. {content}"
    return {"id": identifier, "title": title, "content": content, "contents": joined, **more}


@pytest.mark.parametrize(
    ("entry", "doc_id", "document"),
    [
        (line("Anatomy_Gray_0"), "prefix", "Anatomy_Gray"),
        (line("Anatomy_Gray_0"), "id", "Anatomy_Gray_0"),
        (line("article-149_3"), "prefix", "article-149"),
        (line("pubmed23n0001_0", PMID=21645374), "pmid", "21645374"),
        (line("wiki20220301en000_17", wiki_id="35917228"), "wiki_id", "35917228"),
    ],
)
def test_the_document_is_what_the_option_says(
    tmp_path: Path, entry: dict[str, object], doc_id: str, document: str
) -> None:
    path = write(tmp_path / "chunk" / "a.jsonl", entry)
    identifier = str(entry["id"])
    expected = Passage(identifier, document, "A title", f"Text of {identifier}.")
    assert read(tmp_path, doc_id=doc_id) == [Located(expected, f"{path}:1")]


def test_without_an_option_each_snippet_is_its_own_document(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", line("x_0"), line("x_1"))
    (first, second) = read(tmp_path)
    assert isinstance(first, Located)
    assert isinstance(second, Located)
    assert [first.passage.doc_id, second.passage.doc_id] == ["x_0", "x_1"]


def test_files_are_found_in_subfolders_and_read_in_the_order_people_count(tmp_path: Path) -> None:
    for name in ("chunk/pubmed10.jsonl", "chunk/pubmed9.jsonl.gz", "chunk/b/pubmed1.jsonl"):
        write(tmp_path / name, line(name.replace("/", "-")))
    for name in (".git/x.jsonl", "chunk/.cache/y.jsonl", "index/z.json", "chunk/README.md"):
        write(tmp_path / name, line("no"))
    (tmp_path / "dir.jsonl").mkdir()
    found = SnippetsReader(tmp_path, SnippetOptions()).sources()
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        *["chunk/b/pubmed1.jsonl", "chunk/pubmed9.jsonl.gz", "chunk/pubmed10.jsonl"]
    ]


def test_a_folder_below_a_hidden_one_is_read(tmp_path: Path) -> None:
    write(tmp_path / ".cache" / "snapshot" / "a.jsonl", line("x_0"))
    assert len(read(tmp_path / ".cache" / "snapshot")) == 1


@pytest.mark.parametrize(
    ("entry", "doc_id", "what"),
    [
        (line("alone"), "prefix", "the id 'alone' does not end in _ and a number"),
        (line("_3"), "prefix", "the id '_3' does not end in _ and a number"),
        (line("a_b"), "prefix", "the id 'a_b' does not end in _ and a number"),
        (line("a_0"), "pmid", "the field 'PMID' is missing"),
        (line("a_0", wiki_id=[1]), "wiki_id", "the field 'wiki_id' is a list, not text"),
        ({"id": "a_0", "title": "x"}, "id", "the field 'content' is missing"),
        ({"id": "a_0", "content": " "}, "id", "the field 'content' of document 'a_0' is empty"),
    ],
)
def test_a_wrong_line_is_named(
    tmp_path: Path, entry: dict[str, object], doc_id: str, what: str
) -> None:
    path = write(tmp_path / "a.jsonl", line("ok_0", PMID=1, wiki_id="1"), entry)
    with pytest.raises(DataError) as caught:
        read(tmp_path, doc_id=doc_id)
    assert caught.value.what == what
    assert caught.value.where == f"{path}:2"
    assert caught.value.fix


def test_empty_snippets_can_be_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", line("a_0"), {"id": "a_1", "content": ""})
    assert read(tmp_path, skip_empty=True, doc_id="prefix")[1] == Skipped("empty text", f"{path}:2")


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="the snippets reader needs a path"):
        SnippetsReader(None, SnippetOptions())
    with pytest.raises(DataError, match="the snippets are not there"):
        SnippetsReader(tmp_path / "none", SnippetOptions()).sources()
    with pytest.raises(DataError, match=r"holds no file .*\.jsonl") as caught:
        SnippetsReader(tmp_path, SnippetOptions()).sources()
    assert "git lfs pull" in caught.value.fix


def test_a_pointer_of_git_lfs_in_the_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(DataError, match="this line is not JSON"):
        read(tmp_path)


def test_books_are_counted_as_documents(home: Path) -> None:
    chunk = home / "textbooks" / "chunk"
    for book, size in (("Anatomy_Gray", 3), ("First_Aid_Step1", 2)):
        write(chunk / f"{book}.jsonl", *(line(f"{book}_{n}") for n in range(size)))
    (home / "corpora").mkdir()
    card = "reader: snippets\npath: ../textbooks\noptions: {doc_id: prefix}\n"
    (home / "corpora" / "books.yaml").write_text(card, encoding="utf-8")
    assert ragbench(home, "corpus", "build", "books").returncode == 0
    shown = json.loads(ragbench(home, "corpus", "show", "books", "--json").stdout)
    assert (shown["n_passages"], shown["n_docs"]) == (5, 2)
    assert [entry["name"] for entry in shown["files"]] == [
        *["chunk/Anatomy_Gray.jsonl", "chunk/First_Aid_Step1.jsonl"]
    ]
